"""3D convolutions over the faces of a segment, whose kernels look along the time as well as over the picture.

After Tran et al. 2015, *Learning spatiotemporal features with 3D convolutional networks* (C3D): kernels of three
frames throughout, and the time is halved with the picture, but for the first pooling, so that it is not lost early. For
faces of 48x48 the convolutions are those of the streams of single frames, inflated (Carreira and Zisserman 2017, *Quo
vadis, action recognition?*): as many, as wide, and over the picture of the same kernels and pooling. An arm of 3D
convolutions differs from a spatial one by time alone.
"""

from dataclasses import replace
from typing import Any

import keras
from keras import layers

from fer_models.models.families import Recipe
from fer_models.models.network import FeatureMap
from fer_models.models.streams import STREAMS, conv_name, convolution_options, normalised, stream_maps
from fer_models.models.third_stream import FRAMES, frames_family

#: Of a kernel, in frames.
_KERNEL_FRAMES = 3


def build_frames(faces: Any, recipe: Recipe) -> tuple[Any, tuple[FeatureMap, ...]]:
    """The last map and the record of the feature maps of faces (batch, T, S, S, 3).

    The map (batch, T', 3, 3, 2 * width), of the form `modern` (batch, T', 6, 6, 4 * width), has as many frames as are
    left of T after `_halves`.
    """
    if keras.backend.backend() == "tensorflow":
        recipe = replace(recipe, precision="float32")  # 2.21 gives NaN for gradients of 3D kernels in bfloat16 on a CPU
    x, form, precision = faces, recipe.settings.form, recipe.precision
    stream, halves = STREAMS[form], _halves(form, faces.shape[1])
    for number, one in enumerate(stream.convolutions, start=1):
        layer = conv_name(FRAMES, number)
        if not stream.normalised:  # in time a map keeps its size in all forms
            x = layers.ZeroPadding3D((_KERNEL_FRAMES // 2, 0, 0), dtype=precision, name=f"{layer}_padding")(x)
        kernel = (_KERNEL_FRAMES, one.kernel, one.kernel)
        x = layers.Conv3D(one.multiple * recipe.settings.width, kernel, **convolution_options(layer, recipe))(x)
        x = normalised(x, layer, recipe)
        if one.pool:
            kind, side, stride = one.pool
            pooling = layers.MaxPooling3D if kind == "max" else layers.AveragePooling3D
            name = f"{FRAMES}_pool{number}"
            x = pooling((1, side, side), (1, stride, stride), dtype=precision, name=name)(x)
            if halves[number - 1]:
                x = pooling((2, 1, 1), padding="same", dtype=precision, name=f"{name}_time")(x)
    return x, _maps(form, halves)


def _halves(form: str, num_frames: int) -> list[bool]:
    """Whether the frames are halved, rounded up, after each convolution: where there is pooling and time is left."""
    halves = []
    for number, one in enumerate(STREAMS[form].convolutions):
        halves.append(number > 0 and one.pool is not None and num_frames > 1)
        num_frames = -(-num_frames // 2) if halves[-1] else num_frames
    return halves


def _maps(form: str, halves: list[bool]) -> tuple[FeatureMap, ...]:
    """Over the picture those of a stream of single frames; in time each looks about the middle of what was pooled."""
    maps, first, step = [], 0.0, 1.0
    for one, is_halved in zip(stream_maps(FRAMES, form), halves, strict=True):
        maps.append(one.model_copy(update={"first_frame": first, "step_frames": step}))
        if is_halved:
            first, step = first + step / 2, 2 * step
    return tuple(maps)


FAMILY = frames_family("volume", "of 3D convolutions over the faces of a segment", build_frames)
