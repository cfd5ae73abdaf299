"""Floating point operations of training, counted from the shapes of layers."""

import keras
import numpy as np


def training_flop(model: keras.Model) -> float:
    """FLOP of one sample's step: a product and a sum for every weight at every place, forward and twice backward.

    The first convolutions have no gradient to their input. All else (ReLU, pooling, augmentation) is not counted.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            places = int(np.prod(layer.output.shape[1:-1]))  # 1 for a dense layer
            passes = 2 if layer.name.endswith("_conv1") else 3
            total += passes * 2 * places * int(np.prod(layer.kernel.shape))
    return float(total)
