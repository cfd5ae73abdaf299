"""Rectangles in px of a frame."""

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in px of the frame."""

    x: int
    y: int
    width: int
    height: int


def overlap(first: Box, second: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    common = max(width, 0) * max(height, 0)
    return common / (first.width * first.height + second.width * second.height - common)


def distance(first: Box, second: Box) -> float:
    """How far apart the centres are, in px, along the sides of the frame."""
    return abs(first.x + first.width / 2 - second.x - second.width / 2) + abs(
        first.y + first.height / 2 - second.y - second.height / 2
    )
