"""ResNet50 (He et al. 2016, *Deep residual learning for image recognition*), as Keras has it."""

from typing import Any

from fer_models.models.backbones.published import LayerMaker, Published, filters_of

#: Filters of the first convolution.
_WIDTH = 64
#: Residual blocks of the stages after it, which are called conv2 to conv5; the filters double from one to the next.
_BLOCKS = (3, 4, 6, 3)
_EPSILON = 1.001e-5


def _features(picture: Any, make: LayerMaker, share: float) -> Any:
    """(batch, S, S, 3) -> (batch, S / 32, S / 32, 2048), sides rounded up."""
    width = filters_of(_WIDTH, share)
    x = make.padded(picture, "conv1_pad", 3, 3)
    x = make.convolution(x, "conv1_conv", width, 7, strides=2, padding="valid")
    x = make.activated(make.normalised(x, "conv1_bn", _EPSILON), "conv1_relu", "relu")
    x = make.max_pooled(make.padded(x, "pool1_pad", 1, 1), "pool1_pool", 3, 2)
    for stage, blocks in enumerate(_BLOCKS):
        for block in range(1, blocks + 1):
            x = _block(x, make, f"conv{stage + 2}_block{block}", 2**stage * width, stage > 0 and block == 1, block == 1)
    return x


def _block(x: Any, make: LayerMaker, name: str, filters: int, halves: bool, projects: bool) -> Any:
    """Three convolutions, with what goes past them: the input itself, or a projection of it where it changes size."""
    if halves:
        x = make.every_other(x, f"{name}_every_other")
    past = x
    if projects:
        past = make.convolution(x, f"{name}_0_conv", 4 * filters, 1)
        past = make.normalised(past, f"{name}_0_bn", _EPSILON)
    for number, (side, wanted) in enumerate(((1, filters), (3, filters), (1, 4 * filters)), start=1):
        x = make.convolution(x, f"{name}_{number}_conv", wanted, side)
        x = make.normalised(x, f"{name}_{number}_bn", _EPSILON)
        if number < 3:
            x = make.activated(x, f"{name}_{number}_relu", "relu")
    return make.activated(make.sum([past, x], f"{name}_add"), f"{name}_out", "relu")


def _fields(side_px: int) -> dict[str, tuple[float, float]]:
    """All first cells have their centre at the first px, whatever the side: what halves a map begins at its corner."""
    ends = [f"conv{stage}_block{blocks}_out" for stage, blocks in enumerate(_BLOCKS, start=2)]
    return {layer: (0.0, 2.0 ** (number + 1)) for number, layer in enumerate(["conv1_relu", *ends])}


RESNET50 = Published(
    title="ResNet50", weights="resnet50-imagenet", least_px=33, colours="bgr", features=_features, fields=_fields
)
