"""Two streams of convolutions over a face image and an optical flow picture, fused, then the layers that decide.

The streams are those of `fer_models.models.streams`; the spatial one may be a network that others trained instead.
"""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import layers

from fer_models.models.backbones import mini_xception
from fer_models.models.families import Family, Recipe
from fer_models.models.inputs import input_layers, input_pictures
from fer_models.models.network import Network
from fer_models.models.resizing import ResizedMap
from fer_models.models.streams import (
    LOGITS,
    Fusion,
    Pooling,
    build_stream,
    conv_name,
    decide,
    head_name,
    last_map,
    pooled,
    size_in_words,
    stream_maps,
)
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, PositiveInt, Settings

#: Before the names of the layers of a network that others trained.
_BACKBONE = "spatial_"


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
    pooling: Pooling
    fusion: Fusion | None = None
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
    inputs = input_layers(recipe.shape)
    grey_px = mini_xception.SIDE_PX if options.has_backbone else None
    pictures = input_pictures(inputs, recipe.settings, recipe.augmentation, recipe.seed, grey_px)
    logits = decide(_vectors(options, pictures, recipe), options.fusion, recipe)
    network = _describe(options.streams, recipe.shape, recipe.settings.form)
    if options.has_backbone:
        maps = network.feature_maps | {"spatial": mini_xception.feature_maps(_BACKBONE, recipe.shape.side_px)}
        network = network.model_copy(update={"feature_maps": maps, "pretrained": mini_xception.layer_names(_BACKBONE)})
    return list(inputs.values()), logits, network


def _describe(streams: tuple[str, ...], shape: SegmentShape, form: str) -> Network:
    """What others must know of such a network."""
    maps = {stream: stream_maps(stream, form) for stream in streams}
    return Network(family=FAMILY.name, shape=shape, head=head_name(form), logits=LOGITS, feature_maps=maps)


def recognise(model: keras.Model) -> Network:
    """The record of a model that was saved before models carried one: all of those were of this family."""
    names = {layer.name for layer in model.layers}
    streams = tuple(stream for stream in ("spatial", "temporal") if conv_name(stream, 1) in names)
    return _describe(streams, SegmentShape(side_px=model.inputs[0].shape[1]), "corrected")


def _vectors(options: TwoStreamOptions, pictures: dict[str, Any], recipe: Recipe) -> list[Any]:
    """The vector of each stream, in order."""
    width = options.width or recipe.settings.width
    maps = {
        name: _mini_xception(pictures[name], recipe)
        if name == "spatial" and options.has_backbone
        else last_map(build_stream(pictures[name], name, width, recipe), name, options.pooling, recipe)
        for name in options.streams
    }
    if options.has_backbone and options.fusion in ("sum", "average"):
        maps["spatial"] = _fitted(maps["spatial"], maps["temporal"], options.pooling, recipe)
    return [pooled(one, name, options.pooling, recipe) for name, one in maps.items()]


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
    with_backbone = sum(arm.has_backbone for arm in arms)
    some = "" if with_backbone == len(arms) else " some of them"
    backbone = (
        f"{some} with a mini-Xception that was trained on FER2013 as the spatial stream," if with_backbone else ""
    )
    return f"{what} of {size_in_words(settings)}, in {settings.form} form,{backbone}"


def weights(options: TwoStreamOptions, settings: ModelSettings) -> tuple[str, ...]:
    """Those of the spatial stream, where others trained it."""
    return (mini_xception.WEIGHTS,) if options.has_backbone else ()


FAMILY = Family("two-stream", TwoStreamOptions, needs, lambda options: options.streams, build, methods, weights)
