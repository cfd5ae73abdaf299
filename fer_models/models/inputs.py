"""From stored physics to network input, inside the model.

A model takes what a shard holds, uint8 RGB faces and optical flow in px (see `tasks.preparation.shards`), and draws its
own input pictures. Training and inference therefore cannot disagree on scaling, colour order or flow representation.
All layers are backend-neutral and save with the model.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fer_models.models.motion import HeadMotionRemoval
from fer_models.models.resizing import resizing
from fer_models.segments import SegmentShape
from fer_models.settings import AugmentationSettings, ModelSettings

#: The axes of a picture, whatever stands before them: the batch, or the batch and the frames.
_PICTURE = (-3, -2, -1)
#: What a picture of optical flow shows at most, as a multiple of its scale.
MOST_MOTION = 3.0


@keras.saving.register_keras_serializable(package="fer_models")
class FaceScaling(keras.layers.Layer):
    """uint8 RGB faces (batch, .., S, S, 3) in 0..255 -> float32 in 0..1."""

    def call(self, faces: Any) -> Any:
        return ops.cast(faces, "float32") / 255.0

    def compute_output_spec(self, faces: Any) -> Any:
        return keras.KerasTensor(faces.shape, dtype="float32")


@keras.saving.register_keras_serializable(package="fer_models")
class FaceStandardisation(keras.layers.Layer):
    """Faces (batch, .., S, S, 3) to mean 0 and standard deviation 1 each: light and skin count less, features more."""

    def call(self, faces: Any) -> Any:
        centred = faces - ops.mean(faces, axis=_PICTURE, keepdims=True)
        return centred / (ops.std(faces, axis=_PICTURE, keepdims=True) + 1e-3)

    def compute_output_spec(self, faces: Any) -> Any:
        return keras.KerasTensor(faces.shape, dtype="float32")


@keras.saving.register_keras_serializable(package="fer_models")
class GreyFaces(keras.layers.Layer):
    """uint8 RGB faces (batch, .., S, S, 3) in 0..255 -> grey float32 (batch, .., side_px, side_px, 1) in -1..1.

    Grey by the weights of ITU-R BT.601, as OpenCV has it; resized bilinearly, where that reduces over all pixels that a
    new one covers. For networks that others trained on grey faces. Takes float32 of the same range too.
    """

    def __init__(self, side_px: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side_px = side_px

    def call(self, faces: Any) -> Any:
        grey = ops.sum(ops.cast(faces, "float32") * np.array([0.299, 0.587, 0.114], np.float32), axis=-1)
        rows, columns = (resizing(side, self.side_px) for side in faces.shape[-3:-1])
        resized = ops.matmul(ops.matmul(rows, grey), columns.T)  # (batch, .., side_px, side_px)
        return ops.expand_dims(resized, -1) / 127.5 - 1.0

    def compute_output_spec(self, faces: Any) -> Any:
        return keras.KerasTensor((*faces.shape[:-3], self.side_px, self.side_px, 1), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "side_px": self.side_px}


@keras.saving.register_keras_serializable(package="fer_models")
class BgrAboutMean(keras.layers.Layer):
    """RGB pictures (batch, .., S, S, 3) in 0..255 -> BGR without the means of these channels over ImageNet, float32.

    What VGG and ResNet were trained on by their authors, with Caffe.
    """

    def call(self, pictures: Any) -> Any:
        return pictures[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)

    def compute_output_spec(self, pictures: Any) -> Any:
        return keras.KerasTensor(pictures.shape, dtype="float32")


@keras.saving.register_keras_serializable(package="fer_models")
class HsvOpticalFlowPicture(keras.layers.Layer):
    """The published drawing: (dx, dy) in px (batch, .., H, W, 2) -> RGB float32 (batch, .., H, W, 3) in 0..1.

    Hue is the direction, saturation is full, value is the magnitude stretched to 0..255 per picture, all in 8 bit
    as OpenCV draws it. The stretching loses the speed; the study did it and `form: published` repeats it.
    """

    def call(self, optical_flow: Any) -> Any:
        optical_flow = ops.cast(optical_flow, "float32")
        dx, dy = optical_flow[..., 0], optical_flow[..., 1]
        magnitude = ops.sqrt(dx * dx + dy * dy)
        low = ops.min(magnitude, axis=(-2, -1), keepdims=True)
        high = ops.max(magnitude, axis=(-2, -1), keepdims=True)
        value = ops.floor((magnitude - low) / ops.maximum(high - low, 1e-12) * 255.0) / 255.0
        angle_deg = ops.arctan2(dy, dx) * (180.0 / math.pi)
        hue_deg = 2.0 * ops.floor(ops.where(angle_deg < 0, angle_deg + 360.0, angle_deg) / 2.0)

        def channel(offset: float) -> Any:  # the HSV to RGB formula for full saturation
            sector = (offset + hue_deg / 60.0) % 6.0
            return value * (1.0 - ops.clip(ops.minimum(sector, 4.0 - sector), 0.0, 1.0))

        return ops.stack([channel(5.0), channel(3.0), channel(1.0)], axis=-1)

    def compute_output_spec(self, optical_flow: Any) -> Any:
        return keras.KerasTensor((*optical_flow.shape[:-1], 3), dtype="float32")


@keras.saving.register_keras_serializable(package="fer_models")
class OpticalFlowComponents(keras.layers.Layer):
    """(dx, dy) in px (batch, .., H, W, 2) -> (dx, dy, magnitude) / scale, float32 (batch, .., H, W, 3).

    One fixed scale for all pictures keeps the speed; values are clipped to -3..3 against flow outliers.
    """

    def __init__(self, scale_px: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale_px = scale_px

    def call(self, optical_flow: Any) -> Any:
        scaled = ops.cast(optical_flow, "float32") / self.scale_px
        magnitude = ops.sqrt(ops.sum(scaled * scaled, axis=-1, keepdims=True))
        return ops.clip(ops.concatenate([scaled, magnitude], axis=-1), -MOST_MOTION, MOST_MOTION)

    def compute_output_spec(self, optical_flow: Any) -> Any:
        return keras.KerasTensor((*optical_flow.shape[:-1], 3), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale_px": self.scale_px}


@keras.saving.register_keras_serializable(package="fer_models")
class PairedAugmentation(keras.layers.Layer):
    """One random affine map a segment, applied to all of its faces and motion images alike; active in training only.

    Takes `[faces, motion]` or `[faces]`, float32 (batch, H, W, 3) and (batch, H, W, C), or with frames (batch, T, H, W,
    3) and (batch, T, H, W, C), and returns the same shapes.

    Args:
        settings: fields of `AugmentationSettings`.
        move_vectors: the motion image holds (dx, dy); turn the vectors with the picture, so that a mirrored
            face that moved left now moves right. `False` treats it as a mere picture, as the study did.
    """

    def __init__(self, settings: dict[str, Any], move_vectors: bool, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = AugmentationSettings(**settings)
        self.move_vectors = move_vectors
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_jit = keras.backend.backend() != "tensorflow"  # TensorFlow warps with an op that XLA lacks

    def call(self, inputs: list[Any], training: bool = False) -> list[Any]:
        if not training:
            return inputs
        flat = [_frames_as_channels(pictures) for pictures in inputs]
        linear, offset = self._draw_maps(ops.shape(flat[0])[0], flat[0].shape[1])
        a, b, c, d = linear
        zero = ops.zeros_like(a)
        transforms = ops.stack([a, b, offset[0], c, d, offset[1], zero, zero], axis=-1)
        moved = ops.image.affine_transform(
            ops.concatenate(flat, axis=-1), transforms, interpolation="bilinear", fill_mode="nearest"
        )
        num_channels = flat[0].shape[-1]
        faces, motion = self._change_light(moved[..., :num_channels]), moved[..., num_channels:]
        if self.move_vectors and len(inputs) == 2:
            motion = self._turn_vectors(motion, linear)
        erased = self._erase([faces, motion][: len(inputs)])
        return [_channels_as_frames(one, like.shape) for one, like in zip(erased, inputs, strict=True)]

    def _uniform(self, size: Any, half_range: float) -> Any:
        return keras.random.uniform((size,), -half_range, half_range, seed=self.seed_generator)

    def _draw_maps(self, size: Any, side_px: int) -> tuple[list[Any], list[Any]]:
        """Maps from output to input coordinates: linear part [a, b, c, d] and offset [x, y], each (batch,)."""
        s = self.settings
        radians = math.pi / 180.0
        angle = self._uniform(size, s.rotation_deg * radians)
        shear = self._uniform(size, s.shear_deg * radians)
        zoom_x, zoom_y = 1.0 + self._uniform(size, s.zoom), 1.0 + self._uniform(size, s.zoom)
        sign = ops.where(self._uniform(size, 1.0) < 0, -1.0, 1.0) if s.mirror else ops.ones((size,))
        a = sign * ops.cos(angle) * zoom_x
        b = -ops.sin(angle + shear) * zoom_y
        c = sign * ops.sin(angle) * zoom_x
        d = ops.cos(angle + shear) * zoom_y
        centre = (side_px - 1) / 2.0
        x = centre - (a + b) * centre + self._uniform(size, s.shift * side_px)
        y = centre - (c + d) * centre + self._uniform(size, s.shift * side_px)
        return [a, b, c, d], [x, y]

    @staticmethod
    def _turn_vectors(motion: Any, linear: list[Any]) -> Any:
        """Content moves by the inverse of the sampling map, and so do its velocity vectors, (batch, H, W, T * 2)."""
        a, b, c, d = (ops.reshape(entry, (-1, 1, 1, 1)) for entry in linear)
        determinant = a * d - b * c
        dx, dy = motion[..., 0::2], motion[..., 1::2]
        turned = ops.stack([(d * dx - b * dy) / determinant, (a * dy - c * dx) / determinant], axis=-1)
        return ops.reshape(turned, (-1, *motion.shape[1:]))

    def _change_light(self, faces: Any) -> Any:
        size = ops.shape(faces)[0]
        if self.settings.brightness:
            gain = ops.reshape(1.0 + self._uniform(size, self.settings.brightness), (-1, 1, 1, 1))
            offset = ops.reshape(self._uniform(size, self.settings.brightness / 2), (-1, 1, 1, 1))
            faces = ops.clip(faces * gain + offset, 0.0, 1.0)
        if self.settings.gamma:
            power = ops.reshape(1.0 + self._uniform(size, self.settings.gamma), (-1, 1, 1, 1))
            faces = ops.clip(faces, 1e-3, 1.0) ** power
        return faces

    def _erase(self, pictures: list[Any]) -> list[Any]:
        """Random erasing (Zhong et al. 2020): the mean of the face, and no motion, in the same rectangle of both."""
        if not self.settings.erasing:
            return pictures
        faces = pictures[0]
        size = ops.shape(faces)[0]
        chosen = self._uniform(size, 0.5) + 0.5 < self.settings.erasing
        inside = [
            ops.abs(self._uniform(size, 0.5)[:, None] - np.linspace(-0.5, 0.5, side, dtype="float32"))
            < 0.125 + self._uniform(size, 0.075)[:, None]
            for side in faces.shape[1:3]
        ]
        mask = chosen[:, None, None, None] & inside[0][:, :, None, None] & inside[1][:, None, :, None]
        means = ops.mean(faces, axis=(1, 2, 3), keepdims=True)
        return [ops.where(mask, means, faces), *(ops.where(mask, 0.0, motion) for motion in pictures[1:])]

    def compute_output_spec(self, inputs: list[Any], training: bool = False) -> list[Any]:
        return [keras.KerasTensor(x.shape, dtype="float32") for x in inputs]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "settings": self.settings.model_dump(),
            "move_vectors": self.move_vectors,
            "seed": self.seed,
        }


def _frames_as_channels(pictures: Any) -> Any:
    """Pictures (batch, H, W, C) as they are; with frames (batch, T, H, W, C) -> (batch, H, W, T * C)."""
    if len(pictures.shape) == 4:
        return pictures
    _, frames, height, width, channels = pictures.shape
    return ops.reshape(ops.transpose(pictures, (0, 2, 3, 1, 4)), (-1, height, width, frames * channels))


def _channels_as_frames(flat: Any, shape: tuple[Any, ...]) -> Any:
    """The reverse, for pictures that had that shape."""
    if len(shape) == 4:
        return flat
    _, frames, height, width, channels = shape
    return ops.transpose(ops.reshape(flat, (-1, height, width, frames, channels)), (0, 3, 1, 2, 4))


def input_layers(shape: SegmentShape, all_frames: bool = False, seen: bool = False) -> dict[str, Any]:
    """The inputs of a model of single frames, or of all frames of a segment.

    Returns:
        By name: `face`, uint8 RGB (batch, S, S, 3), 0..255, and where the segments have it `optical_flow`, float32
        (batch, S, S, 2), dx and dy in px at the stored scale, in the time that `prepare.pair` says. With `all_frames`
        (batch, T, S, S, 3) and (batch, T, S, S, 2), and, if asked for, `seen`, bool (batch, T), which of them show the
        face.
    """
    frames = (shape.num_frames,) if all_frames else ()
    side = (shape.side_px, shape.side_px)
    inputs = {"face": keras.Input((*frames, *side, 3), dtype="uint8", name="face")}
    if shape.has_optical_flow:
        inputs["optical_flow"] = keras.Input((*frames, *side, 2), dtype="float32", name="optical_flow")
    if seen:
        inputs["seen"] = keras.Input((shape.num_frames,), dtype="bool", name="seen")
    return inputs


def input_pictures(
    inputs: Mapping[str, Any],
    settings: ModelSettings,
    augmentation: AugmentationSettings | None,
    seed: int,
    grey_px: int | None = None,
    as_stored: bool = False,
) -> dict[str, Any]:
    """Pictures of the streams, `spatial` and, where there is optical flow, `temporal`: float32 (batch, .., S, S, 3).

    The published model augments drawn pictures; corrected augments the physics, then draws.

    Args:
        inputs: as from `input_layers`.
        grey_px: the face is that of `GreyFaces`, of this side, for a network that others trained.
        as_stored: both pictures have the range of stored ones, 0..255, for networks that were trained on photos: the
            face without standardisation, the optical flow with no motion at 127.5 and what is clipped at the ends.
    """
    published = settings.form == "published"
    pictures = [FaceScaling(name="face_scaling")(inputs["face"])]
    if "optical_flow" in inputs:
        optical_flow = inputs["optical_flow"]
        if published:
            pictures.append(HsvOpticalFlowPicture(name="optical_flow_picture")(optical_flow))
        else:
            pictures.append(layers.Identity(dtype="float32", name="optical_flow_px")(optical_flow))
    if augmentation:
        augment = PairedAugmentation(augmentation.model_dump(), not published, seed + 2, name="augmentation")
        pictures = augment(pictures)
    spatial = pictures[0]
    if grey_px:
        values = layers.Rescaling(255.0, dtype="float32", name="face_values")(spatial)
        spatial = GreyFaces(grey_px, name="grey_faces")(values)
    elif as_stored:
        spatial = layers.Rescaling(255.0, dtype="float32", name="face_values")(spatial)
    elif not published:
        spatial = FaceStandardisation(name="face_standardisation")(spatial)
    if len(pictures) == 1:
        return {"spatial": spatial}
    temporal = pictures[1]
    if not published:
        if settings.head_motion != "keep":
            temporal = HeadMotionRemoval(settings.head_motion, name="head_motion_removal")(temporal)
        scale_px = settings.optical_flow_scale_px * inputs["face"].shape[-2] / SegmentShape().side_px
        temporal = OpticalFlowComponents(scale_px, name="optical_flow_picture")(temporal)
    if as_stored:
        half = 127.5
        factor, offset = (255.0, 0.0) if published else (half / MOST_MOTION, half)
        temporal = layers.Rescaling(factor, offset, dtype="float32", name="optical_flow_values")(temporal)
    return {"spatial": spatial, "temporal": temporal}
