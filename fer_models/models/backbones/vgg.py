"""VGG16 and VGG19 (Simonyan and Zisserman 2015, *Very deep convolutional networks for large-scale image recognition*),
as Keras has them.
"""

import functools
from typing import Any

from fer_models.models.backbones.published import LayerMaker, Published, filters_of

#: Filters of the first convolutions.
_WIDTH = 64
#: By block, as a multiple of that.
_MULTIPLES = (1, 2, 4, 8, 8)


def _features(convolutions: tuple[int, ...], picture: Any, make: LayerMaker, share: float) -> Any:
    """Five blocks of so many 3x3 convolutions each, with ReLU, each block halved by max pooling."""
    width, x = filters_of(_WIDTH, share), picture
    for block, (count, multiple) in enumerate(zip(convolutions, _MULTIPLES, strict=True), start=1):
        for number in range(1, count + 1):
            x = make.convolution(x, f"block{block}_conv{number}", multiple * width, 3, activation="relu")
        x = make.max_pooled(x, f"block{block}_pool", 2, 2)  # (batch, S / 2^block, .., ..), rounded down
    return x


def _fields(convolutions: tuple[int, ...], side_px: int) -> dict[str, tuple[float, float]]:
    """Of the last convolution of each block, before it is pooled; whatever the side."""
    steps = [2**block for block in range(len(convolutions))]
    return {
        f"block{block}_conv{count}": ((step - 1) / 2, step)
        for block, (count, step) in enumerate(zip(convolutions, steps, strict=True), start=1)
    }


def _vgg(title: str, *convolutions: int) -> Published:
    return Published(
        title=title,
        weights=f"{title.lower()}-imagenet",
        least_px=64,
        colours="bgr",
        features=functools.partial(_features, convolutions),
        fields=functools.partial(_fields, convolutions),
    )


VGG16 = _vgg("VGG16", 2, 2, 3, 3, 3)
VGG19 = _vgg("VGG19", 2, 2, 4, 4, 4)
