"""Recurrent networks over the frames of a segment: one stream looks at each frame, a memory goes from frame to frame.

As in LRCN (Donahue et al. 2015) a stream of `fer_models.models.streams`, the same for all frames, makes a vector of
each; a memory of LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) reads the vectors in order, and its
last state decides. ConvLSTM (Shi et al. 2015; without its peepholes, as Keras has it) reads the streams' maps, and its
state is a map. Face and optical flow are fused frame by frame, before the memory.

Frames that do not show the face are passed over: the state stays as it was.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import keras
from keras import layers

from fer_models.models.families import Family, Recipe
from fer_models.models.frames import FoldFrames, UnfoldFrames
from fer_models.models.inputs import input_layers, input_pictures
from fer_models.models.network import FeatureMap, Network
from fer_models.models.seeds import layer_seed
from fer_models.models.streams import (
    LOGITS,
    build_stream,
    decide,
    fused,
    head_name,
    last_map,
    pooled,
    size_in_words,
    stream_maps,
)
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings

Memory = Literal["lstm", "gru", "convlstm"]
#: Units of LSTM and GRU over the width: a state is as long as a cell of the last map of the `modern` form.
_UNITS = 4
#: Filters of ConvLSTM over the width: half of that, for each is there in every cell, with kernels of 3x3.
_FILTERS = 2


class RecurrentOptions(Settings):
    """What a recurrent network remembers, and how.

    Args:
        streams: which of the two an arm has.
        memory: what goes from frame to frame.
    """

    streams: tuple[Literal["spatial", "temporal"], ...]
    memory: Memory


def needs(options: RecurrentOptions) -> SegmentShape:
    """Two frames, which are the fewest that have an order, and their motion where there is a temporal stream."""
    return SegmentShape(num_frames=2, has_optical_flow="temporal" in options.streams)


def build(options: RecurrentOptions, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm."""
    used = replace(recipe.shape, has_optical_flow="temporal" in options.streams)
    inputs = input_layers(used, all_frames=True, seen=True)
    pictures = input_pictures(inputs, recipe.settings, recipe.augmentation, recipe.seed)
    of_frames = [_of_frames(pictures[name], name, options.memory, recipe) for name in options.streams]
    x = fused(of_frames, "concatenate", recipe) if len(of_frames) > 1 else of_frames[0]
    sequence = UnfoldFrames(recipe.shape.num_frames, dtype=recipe.precision, name="sequence")(x)
    state = _memory(options.memory, recipe)(sequence, mask=inputs["seen"])
    if options.memory == "convlstm":
        state = pooled(last_map(state, options.memory, "flatten", recipe), options.memory, "flatten", recipe)
    form = recipe.settings.form
    maps = {name: _maps(name, form) for name in options.streams}
    network = Network(family=FAMILY.name, shape=recipe.shape, head=head_name(form), logits=LOGITS, feature_maps=maps)
    return list(inputs.values()), decide([state], None, recipe), network


def _of_frames(pictures: Any, name: str, memory: Memory, recipe: Recipe) -> Any:
    """What the memory reads of pictures (batch, T, S, S, 3), frames in the batch: maps (batch * T, h, w, C) or vectors.

    Vectors keep where in the face something is, so maps are flattened.
    """

    def shown(feature_map: Any, layer: str) -> Any:
        """The same, by segment on its way, as explanations look at it."""
        frames = UnfoldFrames(recipe.shape.num_frames, dtype=recipe.precision, name=_by_segment(layer))(feature_map)
        return FoldFrames(dtype=recipe.precision, name=f"{layer}_folded")(frames)

    folded = FoldFrames(dtype=recipe.precision, name=f"{name}_folded")(pictures)
    feature_map = build_stream(folded, name, recipe.settings.width, recipe, shown)
    if memory == "convlstm":
        return feature_map
    return pooled(last_map(feature_map, name, "flatten", recipe), name, "flatten", recipe)


def _by_segment(layer: str) -> str:
    """The layer that gives the output of another one by segment, (batch, T, h, w, C)."""
    return f"{layer}_frames"


def _maps(stream: str, form: str) -> tuple[FeatureMap, ...]:
    """The feature maps of a stream, with frames."""
    return tuple(one.model_copy(update={"layer": _by_segment(one.layer)}) for one in stream_maps(stream, form))


def _memory(memory: Memory, recipe: Recipe) -> layers.Layer:
    """The layer that reads a sequence and gives its last state, (batch, units) or (batch, h, w, filters)."""
    common: dict[str, Any] = {
        "kernel_initializer": recipe.initializers(memory),
        "recurrent_initializer": keras.initializers.Orthogonal(seed=layer_seed(recipe.seed, f"{memory}_recurrent")),
        # of a dropout that there is none of, but without it Keras asks the generator that all threads share
        "seed": recipe.seed,
        # Keras's loop takes no mask of maps on JAX, and on a GPU none whose first frames are missing
        "unroll": True,
        "dtype": recipe.precision,
        "name": memory,
    }
    width = recipe.settings.width
    if memory == "convlstm":
        return layers.ConvLSTM2D(_FILTERS * width, 3, padding="same", **common)
    return (layers.LSTM if memory == "lstm" else layers.GRU)(_UNITS * width, **common)


_WORDS = {"lstm": "LSTM", "gru": "GRU", "convlstm": "ConvLSTM"}
_SIGHTS = {
    ("spatial",): "faces",
    ("temporal",): "optical flow",
    ("spatial", "temporal"): "faces with their optical flow",
}


def methods(arms: Sequence[RecurrentOptions], settings: ModelSettings) -> str:
    """What these arms are."""
    memories = ", ".join(words for name, words in _WORDS.items() if name in {arm.memory for arm in arms})
    sights = " or ".join(words for names, words in _SIGHTS.items() if names in {arm.streams for arm in arms})
    size = size_in_words(settings)
    return f"Recurrent networks ({memories}) that read {sights} frame by frame, of {size}, in {settings.form} form,"


FAMILY = Family("recurrent", RecurrentOptions, needs, lambda options: options.streams, build, methods)
