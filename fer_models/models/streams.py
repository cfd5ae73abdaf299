"""Streams of convolutions over pictures, and the layers that decide from what they found: what families share.

After *Fusion approaches for spatiotemporal facial expression recognition* (two-stream CNN, Zhang et al. 2019): five
convolutions a stream, and two dense layers. The form `modern` has four with batch normalisation, and no dense layer
before the last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from fer_models.models.families import Recipe
from fer_models.models.network import FeatureMap
from fer_models.settings import ModelSettings

#: How a stream's last map becomes a vector.
Pooling = Literal["flatten", "gap"]
#: How the vectors of several streams become one.
Fusion = Literal["concatenate", "sum", "average"]
_FUSIONS = {"concatenate": layers.Concatenate, "sum": layers.Add, "average": layers.Average}
#: The layer of the logits.
LOGITS = "logits"
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


def _as_it_is(feature_map: Any, layer: str) -> Any:
    return feature_map


def build_stream(
    picture: Any, name: str, width: int, recipe: Recipe, shown: Callable[[Any, str], Any] = _as_it_is
) -> Any:
    """The convolutions of one stream.

    Picture (batch, 48, 48, channels) -> feature map (batch, 3, 3, 2 * width); `modern`: (batch, 6, 6, 4 * width).

    Args:
        shown: what goes on of the feature map of a convolution, with the name of its layer in `stream_maps`.
    """
    x, precision = picture, recipe.precision
    stream = STREAMS[recipe.settings.form]
    for number, one in enumerate(stream.convolutions, start=1):
        layer = conv_name(name, number)
        x = layers.Conv2D(one.multiple * width, one.kernel, **convolution_options(layer, recipe))(x)
        x = shown(normalised(x, layer, recipe), _map_name(name, number, recipe.settings.form))
        if one.pool:
            kind, side, stride = one.pool
            pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = pooling(side, stride, dtype=precision, name=f"{name}_pool{number}")(x)
    return x


def convolution_options(layer: str, recipe: Recipe) -> dict[str, Any]:
    """What the convolutions of a form have in common, however many axes they have."""
    is_normalised = STREAMS[recipe.settings.form].normalised
    return {
        "activation": None if is_normalised else "relu",
        "padding": "same" if is_normalised else "valid",
        "use_bias": not is_normalised,
        "kernel_initializer": recipe.initializers(layer),
        "dtype": recipe.precision,
        "name": layer,
    }


def normalised(x: Any, convolution: str, recipe: Recipe) -> Any:
    """What comes out of the layer of a convolution, with the layers of normalisation and ReLU if the form has them."""
    if not STREAMS[recipe.settings.form].normalised:
        return x
    x = layers.BatchNormalization(momentum=_MOMENTUM, dtype=recipe.precision, name=f"{convolution}_norm")(x)
    return layers.ReLU(dtype=recipe.precision, name=f"{convolution}_relu")(x)


def conv_name(stream: str, number: int) -> str:
    """The layer of a convolution, numbered from 1."""
    return f"{stream}_conv{number}"


def _map_name(stream: str, number: int, form: str) -> str:
    """The layer whose output is the feature map of a convolution, after its ReLU."""
    return f"{conv_name(stream, number)}_relu" if STREAMS[form].normalised else conv_name(stream, number)


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


def stream_maps(stream: str, form: str) -> tuple[FeatureMap, ...]:
    """The feature maps of a stream of that name, from the input on."""
    return tuple(
        FeatureMap(layer=_map_name(stream, number, form), first_px=first, step_px=step)
        for number, (first, step) in enumerate(_fields(STREAMS[form]), start=1)
    )


def last_map(feature_map: Any, stream: str, pooling: Pooling, recipe: Recipe) -> Any:
    """A stream's map as it is pooled. The published Flatten averages it first, which makes it GAP."""
    if pooling == "flatten" and recipe.settings.form == "published":
        return layers.AveragePooling2D(3, 2, dtype=recipe.precision, name=f"{stream}_last_pool")(feature_map)
    return feature_map


def pooled(feature_map: Any, stream: str, pooling: Pooling, recipe: Recipe) -> Any:
    """A stream's map as a vector; of a map with frames GAP is the mean over time too."""
    mean = layers.GlobalAveragePooling3D if len(feature_map.shape) == 5 else layers.GlobalAveragePooling2D
    layer = mean if pooling == "gap" else layers.Flatten
    return layer(dtype=recipe.precision, name=f"{stream}_{pooling}")(feature_map)


def fused(tensors: Sequence[Any], fusion: Fusion, recipe: Recipe) -> Any:
    """One of several vectors or maps, of which all but the channels are alike."""
    return _FUSIONS[fusion](dtype=recipe.precision, name="fusion")(list(tensors))


def head_name(form: str) -> str:
    """The first layer of `decide` that has weights."""
    return LOGITS if form == "modern" else "dense1"


def decide(vectors: Sequence[Any], fusion: Fusion | None, recipe: Recipe) -> Any:
    """The logits (batch, classes) from the vectors of the streams, each (batch, length)."""
    settings, precision = recipe.settings, recipe.precision
    x = fused(vectors, fusion, recipe) if fusion else vectors[0]
    if settings.form != "modern":
        x = _dense("dense1", recipe)(x)
        x = layers.Dropout(settings.dropout, dtype=precision, seed=recipe.seed, name="dropout1")(x)
        x = _dense("dense2", recipe, kernel_regularizer=keras.regularizers.L2(settings.l2))(x)
    return decide_last(x, recipe)


def decide_last(vector: Any, recipe: Recipe) -> Any:
    """The logits (batch, classes) from one vector (batch, length), after dropout."""
    seed = recipe.seed + 1
    x = layers.Dropout(recipe.settings.dropout, dtype=recipe.precision, seed=seed, name="dropout2")(vector)
    # no ReLU follows the last layer, so it keeps Keras's default kind of weights
    last = layers.Dense(recipe.num_classes, kernel_initializer=recipe.last_initializer, dtype="float32", name=LOGITS)
    return last(x)


def _dense(name: str, recipe: Recipe, **more: Any) -> layers.Dense:
    return layers.Dense(
        recipe.settings.head_units,
        activation="relu",
        kernel_initializer=recipe.initializers(name),
        dtype=recipe.precision,
        name=name,
        **more,
    )


def size_in_words(settings: ModelSettings) -> str:
    """How large streams and head are, for a report."""
    size = f"width {settings.width}"
    return size if settings.form == "modern" else f"{size} with {settings.head_units} units in each of two dense layers"
