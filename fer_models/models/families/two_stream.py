"""Two streams of convolutions over a face image and an optical flow picture, fused, then the layers that decide.

After *Fusion approaches for spatiotemporal facial expression recognition* (two-stream CNN, Zhang et al. 2019): five
convolutions a stream, and two dense layers. The form `modern` has four with batch normalisation, and no dense layer
before the last. The spatial stream may be a network that others trained instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from fer_models.models.backbones import mini_xception
from fer_models.models.families import Family, Recipe
from fer_models.models.inputs import input_layers, input_pictures
from fer_models.models.network import FeatureMap, Network
from fer_models.models.resizing import ResizedMap
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, PositiveInt, Settings

_FUSIONS = {"concatenate": layers.Concatenate, "sum": layers.Add, "average": layers.Average}
_HEAD, _LOGITS = "dense1", "logits"
#: Before the names of the layers of a network that others trained.
_BACKBONE = "spatial_"
#: Of the statistics of batch normalisation: a few passes over little data must be enough to know them.
_MOMENTUM = 0.9


@dataclass(frozen=True)
class Convolution:
    """One convolution of a stream.

    Args:
        multiple: its filters, as a multiple of the width.
        kernel: side of its kernel, px of its input.
        pool: `max` or `average`, side and stride of the pooling after it.
    """

    multiple: int
    kernel: int
    pool: tuple[str, int, int] | None = None


@dataclass(frozen=True)
class Stream:
    """The convolutions of a stream; `normalised` ones keep the size of their input and have batch normalisation."""

    convolutions: tuple[Convolution, ...]
    normalised: bool = False


_PUBLISHED = Stream(
    (
        Convolution(1, 5, ("max", 5, 2)),
        Convolution(1, 3),
        Convolution(1, 3, ("average", 3, 2)),
        Convolution(2, 3),
        Convolution(2, 3),
    )
)
_HALVING = ("max", 2, 2)
_MODERN = Stream(
    (Convolution(1, 3, _HALVING), Convolution(2, 3, _HALVING), Convolution(4, 3, _HALVING), Convolution(4, 3)),
    normalised=True,
)
#: By form.
STREAMS = {"published": _PUBLISHED, "corrected": _PUBLISHED, "modern": _MODERN}


class TwoStreamOptions(Settings):
    """How two streams are made one.

    Args:
        streams: which of the two an arm has.
        pooling: how a stream's last map becomes a vector.
        fusion: how two streams become one vector; none for a single stream.
        width: fixes the width, whatever the study's settings say.
        spatial: the spatial stream is of the same kind as the temporal one, or a mini-Xception that was trained on
            FER2013.
    """

    streams: tuple[Literal["spatial", "temporal"], ...] = ("spatial", "temporal")
    pooling: Literal["flatten", "gap"]
    fusion: Literal["concatenate", "sum", "average"] | None = None
    width: PositiveInt | None = None
    spatial: Literal["own", "mini-xception"] = "own"

    @property
    def has_backbone(self) -> bool:
        """Whether its spatial stream is a network that others trained."""
        return self.spatial == "mini-xception" and "spatial" in self.streams


def needs(options: TwoStreamOptions) -> SegmentShape:
    """One frame, and its motion where there is a temporal stream."""
    return SegmentShape(num_frames=1, has_optical_flow="temporal" in options.streams)


def build(options: TwoStreamOptions, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm; a single stream takes both inputs too, and uses one."""
    settings, precision = recipe.settings, recipe.precision
    face, optical_flow = input_layers(recipe.shape)
    grey_px = mini_xception.SIDE_PX if options.has_backbone else None
    pictures = input_pictures(face, optical_flow, settings, recipe.augmentation, recipe.seed, grey_px)
    width = options.width or settings.width
    vectors = _vectors(options, pictures, width, recipe)
    x = _FUSIONS[options.fusion](dtype=precision, name="fusion")(vectors) if options.fusion else vectors[0]
    if settings.form != "modern":
        x = _dense(_HEAD, recipe)(x)
        x = layers.Dropout(settings.dropout, dtype=precision, seed=recipe.seed, name="dropout1")(x)
        x = _dense("dense2", recipe, kernel_regularizer=keras.regularizers.L2(settings.l2))(x)
    x = layers.Dropout(settings.dropout, dtype=precision, seed=recipe.seed + 1, name="dropout2")(x)
    # no ReLU follows the last layer, so it keeps Keras's default kind of weights
    last = layers.Dense(recipe.num_classes, kernel_initializer=recipe.last_initializer, dtype="float32", name=_LOGITS)
    logits = last(x)
    network = describe(options.streams, recipe.shape, settings.form)
    if options.has_backbone:
        maps = network.feature_maps | {"spatial": mini_xception.feature_maps(_BACKBONE, recipe.shape.side_px)}
        network = network.model_copy(update={"feature_maps": maps, "pretrained": mini_xception.layer_names(_BACKBONE)})
    return [face, optical_flow], logits, network


def describe(streams: tuple[str, ...], shape: SegmentShape, form: str) -> Network:
    """What others must know of such a network."""
    fields = _fields(STREAMS[form])
    maps = {
        stream: tuple(
            FeatureMap(layer=_map_name(stream, number, form), first_px=first, step_px=step)
            for number, (first, step) in enumerate(fields, start=1)
        )
        for stream in streams
    }
    head = _LOGITS if form == "modern" else _HEAD
    return Network(family=FAMILY.name, shape=shape, head=head, logits=_LOGITS, feature_maps=maps)


def recognise(model: keras.Model) -> Network:
    """The record of a model that was saved before models carried one: all of those were of this family."""
    names = {layer.name for layer in model.layers}
    streams = tuple(stream for stream in ("spatial", "temporal") if _name(stream, 1) in names)
    return describe(streams, SegmentShape(side_px=model.inputs[0].shape[1]), "corrected")


def build_stream(picture: Any, name: str, width: int, recipe: Recipe) -> Any:
    """The convolutions of one stream.

    Picture (batch, 48, 48, 3) -> feature map (batch, 3, 3, 2 * width); `modern`: (batch, 6, 6, 4 * width).
    """
    x, precision = picture, recipe.precision
    stream = STREAMS[recipe.settings.form]
    for number, one in enumerate(stream.convolutions, start=1):
        layer = _name(name, number)
        x = layers.Conv2D(
            one.multiple * width,
            one.kernel,
            activation=None if stream.normalised else "relu",
            padding="same" if stream.normalised else "valid",
            use_bias=not stream.normalised,
            kernel_initializer=recipe.initializers(layer),
            dtype=precision,
            name=layer,
        )(x)
        if stream.normalised:
            x = layers.BatchNormalization(momentum=_MOMENTUM, dtype=precision, name=f"{layer}_norm")(x)
            x = layers.ReLU(dtype=precision, name=f"{layer}_relu")(x)
        if one.pool:
            kind, side, stride = one.pool
            pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = pooling(side, stride, dtype=precision, name=f"{name}_pool{number}")(x)
    return x


def _name(stream: str, number: int) -> str:
    return f"{stream}_conv{number}"


def _map_name(stream: str, number: int, form: str) -> str:
    """The layer whose output is the feature map of a convolution, after its ReLU."""
    return f"{_name(stream, number)}_relu" if STREAMS[form].normalised else _name(stream, number)


def _fields(stream: Stream) -> list[tuple[float, float]]:
    """The centre of the first cell's receptive field of each convolution, and the distance of such centres, px."""
    fields: list[tuple[float, float]] = []
    first, jump = 0.0, 1
    for one in stream.convolutions:
        first += 0 if stream.normalised else jump * (one.kernel - 1) / 2
        fields.append((first, float(jump)))
        if one.pool:
            _, side, stride = one.pool
            first += jump * (side - 1) / 2
            jump *= stride
    return fields


def _vectors(options: TwoStreamOptions, pictures: dict[str, Any], width: int, recipe: Recipe) -> list[Any]:
    """The vector of each stream, in order."""
    maps = {
        name: _mini_xception(pictures[name], recipe)
        if name == "spatial" and options.has_backbone
        else _own_map(build_stream(pictures[name], name, width, recipe), name, options.pooling, recipe)
        for name in options.streams
    }
    if options.has_backbone and options.fusion in ("sum", "average"):
        maps["spatial"] = _fitted(maps["spatial"], maps["temporal"], options.pooling, recipe)
    pooling = layers.GlobalAveragePooling2D if options.pooling == "gap" else layers.Flatten
    return [pooling(dtype=recipe.precision, name=f"{name}_{options.pooling}")(one) for name, one in maps.items()]


def _own_map(feature_map: Any, name: str, pooling: str, recipe: Recipe) -> Any:
    """A stream's last map as it becomes a vector. The published Flatten averages it first, which makes it GAP."""
    if pooling == "flatten" and recipe.settings.form == "published":
        return layers.AveragePooling2D(3, 2, dtype=recipe.precision, name=f"{name}_last_pool")(feature_map)
    return feature_map


def _mini_xception(grey: Any, recipe: Recipe) -> Any:
    """The last map of the network that was trained on FER2013, (batch, 4, 4, 128)."""
    last = mini_xception.features(grey, _BACKBONE, recipe.precision, recipe.initializers)
    body = keras.Model(grey, last)
    if path := recipe.weights.get(mini_xception.WEIGHTS):
        mini_xception.load_weights(body, path, _BACKBONE)
    mini_xception.frozen_normalisation(body, _BACKBONE)
    return last


def _fitted(feature_map: Any, other: Any, pooling: str, recipe: Recipe) -> Any:
    """A map that becomes a vector as long as that of another one, so that the two can be summed.

    What is flattened takes the other's grid, so that equal cells look at about the same part of the face. Channels
    become those of the other by a convolution of 1x1 that is learned, with ReLU, as the other has.
    """
    x = feature_map
    if pooling == "flatten":
        x = ResizedMap(other.shape[1], dtype=recipe.precision, name="spatial_resized")(x)
    name = "spatial_projection"
    return layers.Conv2D(
        other.shape[-1],
        1,
        activation="relu",
        kernel_initializer=recipe.initializers(name),
        dtype=recipe.precision,
        name=name,
    )(x)


def _dense(name: str, recipe: Recipe, **more: Any) -> layers.Dense:
    return layers.Dense(
        recipe.settings.head_units,
        activation="relu",
        kernel_initializer=recipe.initializers(name),
        dtype=recipe.precision,
        name=name,
        **more,
    )


def methods(arms: Sequence[TwoStreamOptions], settings: ModelSettings) -> str:
    """What these arms are."""
    single = {arm.streams[0] for arm in arms if len(arm.streams) == 1}
    if not single:
        what = "Two-stream convolutional networks"
    elif any(len(arm.streams) == 2 for arm in arms):
        what = f"Two-stream convolutional networks, and {'single streams' if len(single) > 1 else 'a single stream'} "
        what += "of them,"
    else:
        seen = {"spatial": "the face", "temporal": "its motion"}
        what = f"Convolutional networks of one stream, {' or '.join(seen[name] for name in seen if name in single)},"
    size = f"width {settings.width}"
    if settings.form != "modern":
        size += f" with {settings.head_units} units in each of two dense layers"
    with_backbone = sum(arm.has_backbone for arm in arms)
    some = "" if with_backbone == len(arms) else " some of them"
    backbone = (
        f"{some} with a mini-Xception that was trained on FER2013 as the spatial stream," if with_backbone else ""
    )
    return f"{what} of {size}, in {settings.form} form,{backbone}"


def weights(options: TwoStreamOptions) -> tuple[str, ...]:
    """Those of the spatial stream, where others trained it."""
    return (mini_xception.WEIGHTS,) if options.has_backbone else ()


FAMILY = Family("two-stream", TwoStreamOptions, needs, lambda options: options.streams, build, methods, weights)
