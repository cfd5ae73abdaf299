"""Training on mixtures of two pairs: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), face and motion alike.

What is mixed with what, and how, is drawn outside of the model by seed and step, so that a resumed run mixes as an
undisturbed one; the pictures are mixed in the graph, as they are stored and before they are augmented.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fer_models.settings import TrainingSettings


@dataclass(frozen=True)
class Mixing:
    """How the b rows of a batch are mixed.

    Args:
        partner: int32 (b,), the row of the batch that each is mixed with.
        share: float32 (b,), how much of each picture is its own outside of its rectangle, 0..1.
        rectangle: float32 (b, 4), top, bottom, left and right as shares of the side; inside all is the partner's.
    """

    partner: np.ndarray
    share: np.ndarray
    rectangle: np.ndarray

    @property
    def label_share(self) -> np.ndarray:
        """How much of each picture is its own, and so of its label: float32 (b,)."""
        top, bottom, left, right = self.rectangle.T
        return self.share * (1 - (bottom - top) * (right - left))

    def arrays(self) -> list[np.ndarray]:
        """As `PairMixing` takes them."""
        return [self.partner, self.share, self.rectangle]


def draw_mixing(size: int, settings: TrainingSettings, rng: np.random.Generator) -> Mixing:
    """A mixing of a batch; where the settings ask for both kinds, a batch has one or the other by chance."""
    partner = rng.permutation(size).astype(np.int32)
    rectangle = np.zeros((size, 4), np.float32)
    if settings.cutmix and not (settings.mixup and rng.random() < 0.5):
        side = np.sqrt(1 - rng.beta(settings.cutmix, settings.cutmix, size))
        start = rng.random((size, 2)) * (1 - side[:, None])
        rectangle[:, 0::2], rectangle[:, 1::2] = start, start + side[:, None]
        return Mixing(partner, np.ones(size, np.float32), rectangle)
    share = rng.beta(settings.mixup, settings.mixup, size)
    return Mixing(partner, share.astype(np.float32), rectangle)


class PairMixing(keras.layers.Layer):
    """Mixes a batch of pictures and vectors, each (b, .., H, W, C), as `[*tensors, partner, share, rectangle]` say.

    Their types stay what they are, and what is no picture stays whole. A part of training, never of a saved model.
    """

    def call(self, inputs: list[Any]) -> list[Any]:
        *tensors, partner, share, rectangle = inputs
        return [self._mix(tensor, partner, share, rectangle) for tensor in tensors]

    @staticmethod
    def _mix(tensor: Any, partner: Any, share: Any, rectangle: Any) -> Any:
        if len(tensor.shape) < 4:
            return tensor
        rows, columns = (
            (np.arange(side, dtype="float32") + 0.5) / side for side in (tensor.shape[-3], tensor.shape[-2])
        )
        top, bottom, left, right = (rectangle[:, number, None] for number in range(4))
        high, wide = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        own = ops.where(high[:, :, None] & wide[:, None, :], 0.0, share[:, None, None])  # (b, H, W)
        own = ops.reshape(own, (-1, *[1] * (len(tensor.shape) - 4), *own.shape[1:], 1))
        plain = ops.cast(tensor, "float32")
        mixed = plain * own + ops.take(plain, partner, axis=0) * (1 - own)
        whole = keras.backend.standardize_dtype(tensor.dtype) == "uint8"
        return ops.cast(ops.round(mixed) if whole else mixed, tensor.dtype)

    def compute_output_spec(self, inputs: list[Any]) -> list[Any]:
        return [keras.KerasTensor(tensor.shape, dtype=tensor.dtype) for tensor in inputs[:-3]]


def with_mixing(model: keras.Model) -> keras.Model:
    """The same outputs of mixed inputs; takes the inputs of the model, then the arrays of a `Mixing`."""
    inputs = [keras.Input(one.shape[1:], dtype=one.dtype, name=one.name) for one in model.inputs]
    mixing = [keras.Input(shape, dtype=dtype) for shape, dtype in (((), "int32"), ((), "float32"), ((4,), "float32"))]
    return keras.Model([*inputs, *mixing], model(PairMixing()([*inputs, *mixing])))
