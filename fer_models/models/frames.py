"""The axis of frames, laid into the batch and taken out again, so that what works on pictures works on each frame."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fer_models")
class FoldFrames(keras.layers.Layer):
    """The frames of all segments one after another: (batch, T, ...) -> (batch * T, ...)."""

    def call(self, segments: Any) -> Any:
        return ops.reshape(segments, (-1, *segments.shape[2:]))

    def compute_output_spec(self, segments: Any) -> Any:
        return keras.KerasTensor((None, *segments.shape[2:]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="fer_models")
class UnfoldFrames(keras.layers.Layer):
    """The reverse of `FoldFrames`: (batch * num_frames, ...) -> (batch, num_frames, ...)."""

    def __init__(self, num_frames: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_frames = num_frames

    def call(self, frames: Any) -> Any:
        return ops.reshape(frames, (-1, self.num_frames, *frames.shape[1:]))

    def compute_output_spec(self, frames: Any) -> Any:
        return keras.KerasTensor((None, self.num_frames, *frames.shape[1:]), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_frames": self.num_frames}
