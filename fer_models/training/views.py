"""What a prediction is the mean of: a segment, and the same segment seen otherwise. On batches, and in graphs."""

from typing import Any

import numpy as np
from keras import ops

from fer_models.segments import PICTURES, Batch, mirrored, shifted
from fer_models.settings import Views

#: Of views that are shifted: by this share of the side.
_SHIFT = 1 / 24
#: Whether it is seen in a mirror, and by how many px it is moved to the right and down.
View = tuple[bool, int, int]


def list_views(views: Views, side_px: int) -> list[View]:
    """The segment as it is, then what else is looked at."""
    turned = [False] if views == "none" else [False, True]
    by = max(1, round(side_px * _SHIFT))
    moves = ((by, 0), (-by, 0), (0, by), (0, -by)) if views == "mirror_and_shifts" else ()
    return [(mirror, 0, 0) for mirror in turned] + [(mirror, *move) for mirror in turned for move in moves]


def views_of(batch: Batch, views: Views) -> list[Batch]:
    """A batch as each view has it."""
    side_px = next(iter(batch.values())).shape[-2]
    found = []
    for mirror, right, down in list_views(views, side_px):
        one = mirrored(batch) if mirror else batch
        found.append(shifted(one, right, down) if right or down else one)
    return found


def view_in_graph(values: Any, name: str, view: View) -> Any:
    """An input of that name, (b, ..), as a view has it; `mirrored` and `shifted` do the same to a batch."""
    mirror, right, down = view
    if name not in PICTURES:
        return values
    if mirror:
        values = ops.flip(values, axis=-2)
        if name == "optical_flow":
            values = values * np.array([-1, 1], np.float32)
    for axis, by in ((-3, down), (-2, right)):
        if by:
            side = values.shape[axis]
            values = ops.take(values, np.clip(np.arange(side) - by, 0, side - 1), axis=axis)
    return values
