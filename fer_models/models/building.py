"""Builds an arm as a Keras model, and loads one that was saved.

Architecture after *Fusion approaches for spatiotemporal facial expression recognition* (two-stream CNN, Zhang et al.
2019): two streams of five convolutions over a face image and an optical flow picture, fused, then two dense layers.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from fer_models.errors import UseError
from fer_models.geometry import FACE_SIZE_PX
from fer_models.labels import EMOTIONS
from fer_models.models.arms import Arm, StreamName
from fer_models.models.inputs import (
    FaceScaling,
    FaceStandardisation,
    HsvOpticalFlowPicture,
    OpticalFlowComponents,
    PairedAugmentation,
)
from fer_models.settings import AugmentationSettings, ModelSettings

#: (filters as a multiple of the width, kernel side, pooling after it)
_CONVOLUTIONS = ((1, 5, "max"), (1, 3, None), (1, 3, "average"), (2, 3, None), (2, 3, None))
#: The study took Keras's default; with ReLU that shrinks the signal layer by layer (He et al. 2015).
_INITIALIZERS = {"study": keras.initializers.GlorotUniform, "corrected": keras.initializers.HeNormal}
_POOLS = {"max": (5, 2), "average": (3, 2)}


@keras.saving.register_keras_serializable(package="fer_models")
class EmotionProbabilities(keras.layers.Layer):
    """Softmax that carries what a user of the model must know: the label order and how its input was prepared.

    Args:
        labels: class names in the order of the outputs.
        prepare: the preparation settings that the training data was made with, for use on new videos.
    """

    def __init__(self, labels: Sequence[str], prepare: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(labels)
        self.prepare = prepare

    def call(self, logits: Any) -> Any:
        return keras.ops.softmax(logits, axis=-1)

    def compute_output_spec(self, logits: Any) -> Any:
        return keras.KerasTensor(logits.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": list(self.labels), "prepare": self.prepare}


#: Makes the initializer of a layer's weights from the layer's name.
Initializers = Callable[[str], keras.Initializer]


def seeded_initializers(form: str, seed: int) -> Initializers:
    """Initializers of a form's kind, each drawing from the seed and its layer's name alone.

    Keras would draw their seeds from Python's global generator, which other threads of the process draw from as well.
    """
    return lambda name: _INITIALIZERS[form](seed=zlib.crc32(f"{seed}/{name}".encode()))


def build_stream(
    picture: Any, name: StreamName, width: int, initializers: Initializers, precision: str = "float32"
) -> Any:
    """The convolutions of one stream: picture (batch, 48, 48, 3) -> feature map (batch, 3, 3, 2 * width)."""
    x = picture
    for number, (multiple, kernel, pool) in enumerate(_CONVOLUTIONS, start=1):
        layer = f"{name}_conv{number}"
        x = layers.Conv2D(
            multiple * width,
            kernel,
            activation="relu",
            padding="valid",
            kernel_initializer=initializers(layer),
            dtype=precision,
            name=layer,
        )(x)
        if pool:
            pooling = layers.MaxPooling2D if pool == "max" else layers.AveragePooling2D
            x = pooling(*_POOLS[pool], dtype=precision, name=f"{name}_pool{number}")(x)
    return x


def convolution_centres(number: int, size: int) -> np.ndarray:
    """Where the cells of a convolution's map look: the centres of their receptive fields, px of the input (size,)."""
    first, jump = 0.0, 1
    for current, (_, kernel, pool) in enumerate(_CONVOLUTIONS, start=1):
        first += jump * (kernel - 1) / 2
        if current == number:
            break
        if pool:
            side, stride = _POOLS[pool]
            first += jump * (side - 1) / 2
            jump *= stride
    return first + jump * np.arange(size)


def _vector(feature_map: Any, name: StreamName, pooling: str, form: str, precision: str) -> Any:
    """One stream's 3x3 map as a vector. The study's Flatten averages the map first, which makes it GAP."""
    if pooling == "gap":
        return layers.GlobalAveragePooling2D(dtype=precision, name=f"{name}_gap")(feature_map)
    if form == "study":
        feature_map = layers.AveragePooling2D(3, 2, dtype=precision, name=f"{name}_last_pool")(feature_map)
    return layers.Flatten(dtype=precision, name=f"{name}_flatten")(feature_map)


_FUSIONS = {"concatenate": layers.Concatenate, "sum": layers.Add, "average": layers.Average}


def build_model(
    arm: Arm,
    settings: ModelSettings,
    labels: Sequence[str] = EMOTIONS,
    augmentation: AugmentationSettings | None = None,
    precision: str = "float32",
    prepare: dict[str, Any] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build one arm, with fresh weights drawn from `seed`.

    Inputs: `face`, uint8 RGB (batch, 48, 48, 3), 0..255; `optical_flow`, float (batch, 48, 48, 2), dx and dy in px a
    frame at the stored 48x48 scale. A single-stream arm takes both too, and uses one. Output: probabilities, float32
    (batch, len(labels)), in the order of `labels`; the logits are the output of the layer `logits`.
    """
    initializers = seeded_initializers(settings.form, seed)
    width = arm.width or settings.width
    shape = (FACE_SIZE_PX, FACE_SIZE_PX)
    face = keras.Input((*shape, 3), dtype="uint8", name="face")
    optical_flow = keras.Input((*shape, 2), dtype="float32", name="optical_flow")
    pictures = _pictures(face, optical_flow, settings, augmentation, seed)
    vectors = [
        _vector(
            build_stream(pictures[name], name, width, initializers, precision),
            name,
            arm.pooling,
            settings.form,
            precision,
        )
        for name in arm.streams
    ]
    x = _FUSIONS[arm.fusion](dtype=precision, name="fusion")(vectors) if arm.fusion else vectors[0]

    def dense(name: str, **more: Any) -> layers.Dense:
        return layers.Dense(
            settings.head_units,
            activation="relu",
            kernel_initializer=initializers(name),
            dtype=precision,
            name=name,
            **more,
        )

    x = dense("dense1")(x)
    x = layers.Dropout(settings.dropout, dtype=precision, seed=seed, name="dropout1")(x)
    x = dense("dense2", kernel_regularizer=keras.regularizers.L2(settings.l2))(x)
    x = layers.Dropout(settings.dropout, dtype=precision, seed=seed + 1, name="dropout2")(x)
    # the last layer has no ReLU behind it, so it keeps Keras's default kind
    last = seeded_initializers("study", seed)("logits")
    logits = layers.Dense(len(labels), kernel_initializer=last, dtype="float32", name="logits")(x)
    probabilities = EmotionProbabilities(labels, prepare, dtype="float32", name="probabilities")(logits)
    return keras.Model([face, optical_flow], probabilities, name=arm.name.replace("-", "_"))


def _pictures(
    face: Any, optical_flow: Any, settings: ModelSettings, augmentation: AugmentationSettings | None, seed: int
) -> dict[StreamName, Any]:
    """Input pictures of both streams. The study augments drawn pictures; corrected augments the physics, then draws."""
    spatial = FaceScaling(name="face_scaling")(face)
    if settings.form == "study":
        temporal = HsvOpticalFlowPicture(name="optical_flow_picture")(optical_flow)
        if augmentation:
            spatial, temporal = _augment(spatial, temporal, augmentation, False, seed)
    else:
        temporal = layers.Identity(dtype="float32", name="optical_flow_px")(optical_flow)
        if augmentation:
            spatial, temporal = _augment(spatial, temporal, augmentation, True, seed)
        spatial = FaceStandardisation(name="face_standardisation")(spatial)
        temporal = OpticalFlowComponents(settings.optical_flow_scale_px, name="optical_flow_picture")(temporal)
    return {"spatial": spatial, "temporal": temporal}


def _augment(spatial: Any, temporal: Any, settings: AugmentationSettings, move_vectors: bool, seed: int) -> Any:
    return PairedAugmentation(settings.model_dump(), move_vectors, seed + 2, name="augmentation")([spatial, temporal])


def model_labels(model: keras.Model) -> tuple[str, ...]:
    """The label order that a model carries."""
    return model.get_layer("probabilities").labels


def model_prepare(model: keras.Model) -> dict[str, Any] | None:
    """The preparation settings that a model carries."""
    return model.get_layer("probabilities").prepare


def load_model(path: Any) -> keras.Model:
    """Load a `.keras` file without running any code from it; raises `UseError` when it is none of ours."""
    try:
        if not str(path).endswith(".keras"):
            raise ValueError("its name does not end in .keras")  # other formats can hold code
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        model_labels(model)
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise UseError(f"{path} is not a model of this project ({words[0][:120].rstrip('. ')}).") from error
    return model
