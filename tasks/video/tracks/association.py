"""Which of the faces in a frame is whose: each goes to one track at most, so that what all cost together is least."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from tasks.video.boxes import Box, overlap
from tasks.video.faces import SAME_OVERLAP

#: Above the sum of all costs.
_NEVER = 1e6


def assign(costs: np.ndarray, miss: float = _NEVER) -> list[tuple[int, int]]:
    """Pairs (track, face), each in one pair at most, of the least cost together.

    Args:
        costs: float (tracks, faces); infinite where a face cannot be a track's.
        miss: what a track costs that gets none; by default as many as possible get one.
    """
    num_tracks, num_faces = costs.shape
    if not np.isfinite(costs).any():
        return []
    misses = np.full((num_tracks, num_tracks), miss)
    possible = np.hstack([np.where(np.isfinite(costs), costs, 2 * _NEVER), misses])
    pairs = zip(*linear_sum_assignment(possible), strict=True)
    return [(int(track), int(face)) for track, face in pairs if face < num_faces]


def same_faces(boxes: Sequence[Box]) -> list[list[int]]:
    """Which boxes are of one face, for several tracks may see the same one: groups of their numbers."""
    groups: list[list[int]] = []
    for number, box in enumerate(boxes):
        of_it = [group for group in groups if any(overlap(box, boxes[other]) > SAME_OVERLAP for other in group)]
        groups = [group for group in groups if group not in of_it]
        groups.append([other for group in of_it for other in group] + [number])
    return groups
