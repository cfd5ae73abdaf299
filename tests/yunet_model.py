"""A network with YuNet's input and outputs that finds bright squares, written as ONNX byte by byte.

Its score in each cell of 8 px is the mean brightness of the 32 px around it; cells of 16 and 32 px score nothing. A box
has its centre in the middle of its cell and the side that is asked for. ONNX is protobuf: a field is a key (number and
wire type) and a varint, or a length and as many bytes; see onnx.proto.
"""

import struct
from collections.abc import Sequence
from math import log
from pathlib import Path

_CELLS_PX = (8, 16, 32)
_NUMBERS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_FLOAT, _INTEGER = 1, 7  # TensorProto.DataType
_ATTRIBUTE_INTEGERS = 7  # AttributeProto.AttributeType


def write_blob_detector(path: Path, side_px: float, kinds: Sequence[str] = tuple(_NUMBERS)) -> Path:
    """Write the network; with fewer `kinds` of outputs it is no YuNet."""
    nodes, constants, outputs = b"", b"", b""
    for kind in kinds:
        numbers = _NUMBERS[kind]
        for cell in _CELLS_PX:
            name = f"{kind}_{cell}"
            gain = 1 / (3 * 255) if kind in ("cls", "obj") and cell == 8 else 0.0
            bias = [0.5, 0.5, log(side_px / cell), log(side_px / cell)] if kind == "bbox" else [0.0] * numbers
            constants += _tensor(f"{name}_w", (numbers, 3, 1, 1), [gain] * 3 * numbers) + _tensor(
                f"{name}_b", (numbers,), bias
            )
            constants += _tensor(f"{name}_shape", (3,), [1, -1, numbers], _INTEGER)
            around = (32 - cell) // 2
            nodes += _node(
                "AveragePool", ["input"], f"{name}_mean", kernel_shape=[32] * 2, strides=[cell] * 2, pads=[around] * 4
            )
            nodes += _node("Conv", [f"{name}_mean", f"{name}_w", f"{name}_b"], f"{name}_map", kernel_shape=[1, 1])
            nodes += _node("Transpose", [f"{name}_map"], f"{name}_last", perm=[0, 2, 3, 1])
            nodes += _node("Reshape", [f"{name}_last", f"{name}_shape"], name)
            outputs += _field(12, _value(name, (1, 0, numbers)))
    graph = nodes + _field(2, b"blobs") + constants + _field(11, _value("input", (1, 3, 0, 0))) + outputs
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13)))
    return path


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative numbers take ten bytes
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name: str, shape: Sequence[int], values: Sequence[float], kind: int = _FLOAT) -> bytes:
    """An initializer of the graph."""
    raw = struct.pack(f"<{len(values)}{'f' if kind == _FLOAT else 'q'}", *values)
    sides = b"".join(_field(1, side) for side in shape)
    return _field(5, sides + _field(2, kind) + _field(8, name.encode()) + _field(9, raw))


def _node(operation: str, inputs: Sequence[str], output: str, **attributes: Sequence[int]) -> bytes:
    """A node of the graph with attributes that are lists of integers."""
    named = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    for name, values in attributes.items():
        integers = b"".join(_field(8, value) for value in values)
        named += _field(5, _field(1, name.encode()) + integers + _field(20, _ATTRIBUTE_INTEGERS))
    return _field(1, named + _field(4, operation.encode()))


def _value(name: str, shape: Sequence[int]) -> bytes:
    """An input or output; a side of 0 is left open."""
    sides = b"".join(_field(1, _field(1, side) if side else _field(2, b"open")) for side in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, sides)))
