"""The same footage under two names: found by the faces in the shards, whatever was done to the file in between.

Two steps. A perceptual hash of some faces a video finds pairs of videos that may show the same, fast enough for all
pairs; aligned faces of two subjects can come as near to each other in it as a face and its compressed copy, so the
pixels of what it finds are compared in a second step.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.fft import dctn

from tasks.preparation.shards import read_all_faces
from tasks.progress import progress

#: Faces that stand for a video, evenly spread over it; a shorter one gives some of them twice.
FACES_PER_VIDEO = 8
#: Both limits were chosen on drawn subjects, 3 subjects of MEAD and sign language clips, each against copies of the
#: same clips: recompressed (crf 32 and 35), enlarged, shrunk to 0.6, brightened, or without their edges or first
#: frames. There, 491 of 497 copies are found and none of 54,167 pairs of two subjects. Nearest clips of two subjects:
#: hashes 4 bits apart (median of the faces) and a correlation of 0.945 for drawn subjects, 12 bits and 0.89 for MEAD's.
HASH_LIMIT = 10
MIN_CORRELATION = 0.95

_HASH_SIDE = 8
#: Side in px that faces are compared at, whatever they are stored at.
_SIDE_PX = 48
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK = 256
_MARGIN_PX = 4
_MIN_CONTRAST = 2.0
#: Sides in px to which a crop is brought: the box around a face is a little larger or smaller in a copy.
_SIDES_PX = (_SIDE_PX, _SIDE_PX - 3, _SIDE_PX + 3)
#: Other sizes have never lifted a correlation from below this to the limit.
_HOPELESS = 0.88


def perceptual_hash(faces: np.ndarray) -> np.ndarray:
    """The 64-bit DCT hash ("pHash") of Zauner 2010, Implementation and benchmarking of perceptual image hash functions.

    A bit says whether one of the 8x8 lowest frequencies, without the constant ones, is above their median. The low
    frequencies are those of any smaller picture.

    Args:
        faces: uint8 RGB (n, 48, 48, 3).

    Returns:
        uint64 (n,); the number of bits in which two differ is their distance.
    """
    coefficients = dctn(faces.astype(np.float32) @ _LUMA, axes=(1, 2))  # (n, 48, 48)
    low = coefficients[:, 1 : _HASH_SIDE + 1, 1 : _HASH_SIDE + 1].reshape(len(faces), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def sample_faces(shard: Path) -> np.ndarray:
    """`FACES_PER_VIDEO` faces of a shard that has any, evenly spread: uint8 RGB (8, 48, 48, 3)."""
    return _spread(next(read_all_faces([shard])))


def _spread(faces: np.ndarray) -> np.ndarray:
    chosen = faces[np.linspace(0, len(faces) - 1, FACES_PER_VIDEO).round().astype(int)]
    if chosen.shape[1] == _SIDE_PX:
        return chosen
    return np.stack([cv2.resize(face, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA) for face in chosen])


def hash_videos(shards: Sequence[Path]) -> np.ndarray:
    """The hashes of the sampled faces of each shard, uint64 (shards, 8)."""
    hashes = np.empty((len(shards), FACES_PER_VIDEO), np.uint64)
    with progress("Reading faces", len(shards)) as advance:
        for number, faces in enumerate(read_all_faces(shards)):
            hashes[number] = perceptual_hash(_spread(faces))
            advance("")
    return hashes


def candidate_pairs(hashes: np.ndarray, subjects: np.ndarray, limit: int = HASH_LIMIT) -> np.ndarray:
    """Pairs of videos of two subjects that may show the same footage. Exact: every pair is compared.

    In a pair at least half of one video's faces have one of the other within `limit` bits. 12,500 videos, which are
    100,000 faces, take about 10 s.

    Args:
        hashes: uint64 (videos, 8).
        subjects: int (videos,); pairs of one subject are left out.

    Returns:
        int64 (pairs, 2), the smaller number first, in order.
    """
    starts = range(0, len(hashes), _BLOCK)
    found = [np.empty((0, 2), np.int64)]
    with progress("Comparing faces", len(starts)) as advance:
        for first in starts:
            for second in range(first, len(hashes), _BLOCK):
                a, b = slice(first, first + _BLOCK), slice(second, second + _BLOCK)
                near = _num_matched(hashes[a], hashes[b], limit) * 2 >= hashes.shape[1]
                near &= subjects[a, None] != subjects[None, b]
                pairs = np.argwhere(near) + (first, second)
                found.append(pairs[pairs[:, 0] < pairs[:, 1]])
            advance("")
    pairs = np.concatenate(found)
    return pairs[np.lexsort(pairs.T[::-1])]


def _num_matched(a: np.ndarray, b: np.ndarray, limit: int) -> np.ndarray:
    """How many faces of each video of `a` have one within `limit` in each of `b`, or the other way round if more.

    Args:
        a: uint64 (n, faces).
        b: uint64 (m, faces).

    Returns:
        uint8 (n, m).
    """
    num_faces = a.shape[1]
    nearest_of_a = np.full((num_faces, len(a), len(b)), 64, np.uint8)
    nearest_of_b = nearest_of_a.copy()
    for i in range(num_faces):
        for j in range(num_faces):
            distance = np.bitwise_count(a[:, None, i] ^ b[None, :, j])  # (n, m)
            np.minimum(nearest_of_a[i], distance, out=nearest_of_a[i])
            np.minimum(nearest_of_b[j], distance, out=nearest_of_b[j])
    counts = [(nearest <= limit).sum(axis=0, dtype=np.uint8) for nearest in (nearest_of_a, nearest_of_b)]
    return np.maximum(*counts)


def show_the_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether at least half of the sampled faces of one video are faces of the other, pixel by pixel.

    Each is compared with the face of the other video whose hash is nearest.

    Args:
        a: uint8 RGB (8, 48, 48, 3).
        b: the same of the other video.
    """
    distance = np.bitwise_count(perceptual_hash(a)[:, None] ^ perceptual_hash(b)[None])  # (8, 8)
    return _is_in(a, b[distance.argmin(axis=1)]) or _is_in(b, a[distance.argmin(axis=0)])


def _is_in(faces: np.ndarray, partners: np.ndarray) -> bool:
    """Whether half of the faces are their partners; stops where the rest cannot change the answer."""
    num_other = 0
    for face, partner in zip(faces, partners, strict=True):
        num_other += correlate_faces(face, partner) < MIN_CORRELATION
        if 2 * num_other > len(faces):
            return False
    return True


def correlate_faces(face: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of the middle of a face with where it fits best in another, over some shifts and sizes.

    Brightness and contrast do not count. Colours do: they tell subjects apart whose features lie alike. A face without
    any contrast, such as a black frame, is like no other.

    Args:
        face: uint8 RGB (48, 48, 3).
        other: the same.

    Returns:
        At most 1.0, for the same picture.
    """
    inner = slice(_MARGIN_PX, _SIDE_PX - _MARGIN_PX)
    # Channels side by side in a row count as one picture with one mean; every third shift is one by a whole pixel.
    middle = np.ascontiguousarray(face[inner, inner]).reshape(_SIDE_PX - 2 * _MARGIN_PX, -1)
    if middle.std() < _MIN_CONTRAST:
        return 0.0
    best = -1.0
    for side in _SIDES_PX:
        resized = cv2.resize(other, (side, side), interpolation=cv2.INTER_LINEAR).reshape(side, -1)
        best = max(best, float(cv2.matchTemplate(resized, middle, cv2.TM_CCOEFF_NORMED)[:, ::3].max()))
        if best < _HOPELESS:
            break
    return best
