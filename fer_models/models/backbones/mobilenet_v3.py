"""MobileNetV3-Small (Howard et al. 2019, *Searching for MobileNetV3*), as Keras has it: the practical choice.

Of the networks with ImageNet weights it is the one that two cores can fine-tune: on faces of 48 to 96 px a step of
training takes a quarter to an eighth of the time of EfficientNetV2-B0, which has six times as many parameters.
"""

from dataclasses import dataclass
from typing import Any

from fer_models.models.backbones.published import LayerMaker, Published

_EPSILON = 1e-3


@dataclass(frozen=True)
class _Block:
    """An inverted residual block.

    Args:
        expansion: filters inside, as a multiple of its input's.
        filters: of its output.
        side: of its kernel.
        stride: 2 halves the map.
        excites: whether channels are weighted by what all cells say (squeeze and excitation).
        activation: Keras's name of it.
    """

    expansion: float
    filters: int
    side: int
    stride: int
    excites: bool
    activation: str


_BLOCKS = (
    _Block(1, 16, 3, 2, True, "relu"),
    _Block(72 / 16, 24, 3, 2, False, "relu"),
    _Block(88 / 24, 24, 3, 1, False, "relu"),
    _Block(4, 40, 5, 2, True, "hard_swish"),
    _Block(6, 40, 5, 1, True, "hard_swish"),
    _Block(6, 40, 5, 1, True, "hard_swish"),
    _Block(3, 48, 5, 1, True, "hard_swish"),
    _Block(3, 48, 5, 1, True, "hard_swish"),
    _Block(6, 96, 5, 2, True, "hard_swish"),
    _Block(6, 96, 5, 1, True, "hard_swish"),
    _Block(6, 96, 5, 1, True, "hard_swish"),
)


def _depth(filters: float) -> int:
    """The multiple of 8 next to a number of filters, at least 8, and not below nine tenths of it."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _features(picture: Any, make: LayerMaker, share: float) -> Any:
    """(batch, S, S, 3) -> (batch, S / 32, S / 32, 576), sides rounded up. The first convolution has 16 filters always,
    and the other layers multiples of 8.
    """
    x = make.convolution(picture, "conv", 16, 3, strides=2, use_bias=False)
    x = make.activated(make.normalised(x, "conv_bn", _EPSILON), "conv_act", "hard_swish")
    for number, block in enumerate(_BLOCKS):
        x = _inverted(x, make, block, _depth(block.filters * share), _prefix(number), expands=number > 0)
    x = make.convolution(x, "conv_1", _depth(6 * x.shape[-1]), 1, use_bias=False)
    return make.activated(make.normalised(x, "conv_1_bn", _EPSILON), "conv_1_act", "hard_swish")


def _prefix(number: int) -> str:
    return f"expanded_conv_{number}_" if number else "expanded_conv_"


def _inverted(x: Any, make: LayerMaker, block: _Block, filters: int, prefix: str, expands: bool) -> Any:
    past, inside = x, _depth(x.shape[-1] * block.expansion)
    if expands:
        x = make.convolution(x, f"{prefix}expand", inside, 1, use_bias=False)
        x = make.normalised(x, f"{prefix}expand_bn", _EPSILON)
        x = make.activated(x, f"{prefix}expand_act", block.activation)
    if block.stride == 2:
        x = make.padded(x, f"{prefix}depthwise_pad", *_padding(x.shape[1], block.side))
    padding = "valid" if block.stride == 2 else "same"
    x = make.depthwise(x, f"{prefix}depthwise", block.side, strides=block.stride, padding=padding)
    x = make.activated(
        make.normalised(x, f"{prefix}depthwise_bn", _EPSILON), f"{prefix}depthwise_act", block.activation
    )
    if block.excites:
        x = _excited(x, make, inside, f"{prefix}squeeze_excite_")
    x = make.normalised(
        make.convolution(x, f"{prefix}project", filters, 1, use_bias=False), f"{prefix}project_bn", _EPSILON
    )
    keeps = block.stride == 1 and past.shape[-1] == filters
    return make.sum([past, x], f"{prefix}add") if keeps else x


def _excited(x: Any, make: LayerMaker, filters: int, prefix: str) -> Any:
    """Squeeze and excitation (Hu et al. 2018)."""
    weights = make.mean(x, f"{prefix}avg_pool")
    weights = make.convolution(weights, f"{prefix}conv", _depth(filters / 4), 1)
    weights = make.activated(weights, f"{prefix}relu", "relu")
    weights = make.convolution(weights, f"{prefix}conv_1", filters, 1)
    return make.product([x, make.activated(weights, f"{prefix}gate", "hard_sigmoid")], f"{prefix}mul")


def _padding(map_side: int, kernel_side: int) -> tuple[int, int]:
    """Rows before and after a map that is halved; of a map of even side the windows stand one row later."""
    half = kernel_side // 2
    return half - 1 + map_side % 2, half


def _fields(side_px: int) -> dict[str, tuple[float, float]]:
    """Of what ends each size of map; a map of even side is halved one cell off its corner."""
    ends = ("conv_act", "expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add", "conv_1_act")
    fields: dict[str, tuple[float, float]] = {}
    first, step, side = 0, 1, side_px
    for layer in ends:
        first += step * (1 - side % 2)
        step, side = 2 * step, (side + 1) // 2
        fields[layer] = (float(first), float(step))
    return fields


MOBILENET_V3_SMALL = Published(
    title="MobileNetV3-Small",
    weights="mobilenet-v3-small-imagenet",
    least_px=33,
    colours="symmetric",
    features=_features,
    fields=_fields,
)
