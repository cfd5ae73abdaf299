"""A stream over all frames of a segment, alone or as a third one beside the two of its first frame: what the families
of such streams share.

All streams end in global average pooling. Their vectors are then equally long whatever the number of frames, so that
they can be summed, and the layers that decide do not grow with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fer_models.models.families import Family, Recipe
from fer_models.models.inputs import input_layers, input_pictures
from fer_models.models.network import FeatureMap, Network
from fer_models.models.streams import (
    LOGITS,
    Fusion,
    build_stream,
    decide,
    head_name,
    pooled,
    size_in_words,
    stream_maps,
)
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings

#: The stream over all frames; its layers are called after it.
FRAMES = "frames"
#: Makes that stream from standardised faces, float32 (batch, T, S, S, 3): its last map, whose channels are as many as
#: those of `build_stream`, and the record of its feature maps.
BuildFrames = Callable[[Any, Recipe], tuple[Any, tuple[FeatureMap, ...]]]


class FramesOptions(Settings):
    """How a stream over all frames is used.

    Args:
        fusion: how it becomes one vector with the spatial and the temporal stream of the first frame; none where it
            stands alone.
    """

    fusion: Fusion | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of such an arm, in the order in which their vectors are fused."""
        return ("spatial", "temporal", FRAMES) if self.fusion else (FRAMES,)


def frames_family(name: str, what: str, build_frames: BuildFrames) -> Family:
    """A family of arms with a stream over all frames.

    Args:
        what: it is, for the report: it stands behind "Convolutional networks".
    """

    def build(options: FramesOptions, recipe: Recipe) -> tuple[list[Any], Any, Network]:
        """Inputs, logits and the record of an arm."""
        return _build(name, build_frames, options, recipe)

    def methods(arms: Sequence[FramesOptions], settings: ModelSettings) -> str:
        """What these arms are."""
        alone, third = (any(bool(arm.fusion) == fused for arm in arms) for fused in (False, True))
        beside = "as a third stream beside the face and the optical flow of its first frame"
        place = f", alone and {beside}" if alone and third else f", {beside}" if third else ""
        return f"Convolutional networks {what}{place}, of {size_in_words(settings)}, in {settings.form} form,"

    return Family(name, FramesOptions, _needs, lambda options: options.streams, build, methods)


def _needs(options: FramesOptions) -> SegmentShape:
    """Two frames, and the motion of the first where there is a temporal stream."""
    return SegmentShape(num_frames=2, has_optical_flow="temporal" in options.streams)


def _build(
    name: str, build_frames: BuildFrames, options: FramesOptions, recipe: Recipe
) -> tuple[list[Any], Any, Network]:
    """All frames and the first pair are augmented alike, by one draw a segment."""
    inputs = input_layers(replace(recipe.shape, has_optical_flow=False), all_frames=True)
    if "temporal" in options.streams:
        inputs["optical_flow"] = input_layers(recipe.shape)["optical_flow"]  # that of the first frame alone
    pictures = input_pictures(inputs, recipe.settings, recipe.augmentation, recipe.seed)
    faces = pictures["spatial"]  # (batch, T, S, S, 3)
    of_first_frame = pictures | {"spatial": faces[:, 0]}
    feature_map, frames_maps = build_frames(faces, recipe)
    last_maps, maps = {FRAMES: feature_map}, {FRAMES: frames_maps}
    for stream in options.streams[:-1]:
        last_maps[stream] = build_stream(of_first_frame[stream], stream, recipe.settings.width, recipe)
        maps[stream] = stream_maps(stream, recipe.settings.form)
    vectors = [pooled(last_maps[stream], stream, "gap", recipe) for stream in options.streams]
    network = Network(
        family=name,
        shape=recipe.shape,
        head=head_name(recipe.settings.form),
        logits=LOGITS,
        feature_maps={stream: maps[stream] for stream in options.streams},
    )
    return list(inputs.values()), decide(vectors, options.fusion, recipe), network
