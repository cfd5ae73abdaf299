"""The faces of a segment as the channels of one picture: a stream of 2D convolutions sees all of them at once.

After Karpathy et al. 2014, *Large-scale video classification with convolutional neural networks* ("early fusion"); the
temporal stream of Simonyan and Zisserman 2014, *Two-stream convolutional networks for action recognition in videos*,
stacks optical flow so. The first convolution alone knows of time, and has other weights for each frame.
"""

from typing import Any

from keras import layers

from fer_models.models.families import Recipe
from fer_models.models.network import FeatureMap
from fer_models.models.streams import build_stream, stream_maps
from fer_models.models.third_stream import FRAMES, frames_family


def build_frames(faces: Any, recipe: Recipe) -> tuple[Any, tuple[FeatureMap, ...]]:
    """The last map and the record of the feature maps of faces (batch, T, S, S, 3); no map has frames any more."""
    _, num_frames, height, width, channels = faces.shape
    x = layers.Permute((2, 3, 1, 4), dtype=recipe.precision, name=f"{FRAMES}_last")(faces)  # (batch, S, S, T, 3)
    x = layers.Reshape((height, width, num_frames * channels), dtype=recipe.precision, name=f"{FRAMES}_stack")(x)
    return build_stream(x, FRAMES, recipe.settings.width, recipe), stream_maps(FRAMES, recipe.settings.form)


FAMILY = frames_family("frame-stack", "over the faces of a segment, stacked as channels", build_frames)
