"""Copies of a picture are found by their hashes and pixels; pictures of others are not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw_moving_face, write_shard

from tasks.dataset.near_duplicates import (
    HASH_LIMIT,
    MIN_CORRELATION,
    candidate_pairs,
    correlate_faces,
    hash_videos,
    perceptual_hash,
    sample_faces,
    show_the_same,
)
from tasks.outcomes import Outcome
from tasks.video.segments import FaceFrame, VideoReport


def crop_of(subject: int, size_px: int = 48) -> np.ndarray:
    """The middle of a frame of a drawn subject, uint8 RGB (size, size, 3)."""
    frame = draw_moving_face(0.0, 1, start=0.5, subject=subject)[0]
    return cv2.resize(frame[50:180, 95:225], (size_px, size_px), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.stack([crop_of(subject) for subject in range(1, 7)])


def as_jpeg(face: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def smaller_and_back(face: np.ndarray, size_px: int) -> np.ndarray:
    return cv2.resize(cv2.resize(face, (size_px, size_px), interpolation=cv2.INTER_AREA), (48, 48))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG of quality 40": lambda face: as_jpeg(face, 40),
    "two thirds the size": lambda face: smaller_and_back(face, 32),
    "brighter": lambda face: np.clip(face * 1.1 + 8.0, 0, 255).astype(np.uint8),
}


def distance(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.bitwise_count(perceptual_hash(a[None]) ^ perceptual_hash(b[None]))[0])


def test_a_bit_is_a_low_frequency_above_the_median() -> None:
    """A picture of 64 cosines, 32 of them with a plus, has a one for each of those; a constant wave does not count."""
    wanted = np.random.default_rng(0).permutation(np.repeat([0, 1], 32))
    waves = [np.cos(np.pi * k * (np.arange(48) + 0.5) / 48) for k in range(1, 9)]
    patterns = [np.outer(down, across) for down in waves for across in waves]
    sum_of_all = sum((1.6 if bit else -1.6) * pattern for bit, pattern in zip(wanted, patterns, strict=True))
    grey = np.round(128 + sum_of_all + 20 * waves[0]).clip(0, 255).astype(np.uint8)
    (hashed,) = perceptual_hash(np.repeat(grey[None, :, :, None], 3, axis=3))
    assert [int(bit) for bit in f"{int(hashed):064b}"] == wanted.tolist()


def test_the_same_picture_has_the_same_hash_whatever_stands_beside_it(faces: np.ndarray) -> None:
    hashes = perceptual_hash(faces)
    assert hashes.dtype == np.uint64
    assert [int(perceptual_hash(face[None])[0]) for face in faces] == hashes.tolist()


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_near_in_bits_and_pixels(name: str, faces: np.ndarray) -> None:
    for face in faces:
        copy = COPIES[name](face)
        assert distance(face, copy) <= HASH_LIMIT
        assert correlate_faces(face, copy) >= MIN_CORRELATION


def test_a_box_that_is_a_little_off_does_not_hide_a_copy() -> None:
    large = crop_of(3, 52)
    for top, left in ((0, 0), (2, 2), (4, 1)):
        assert correlate_faces(large[2:50, 2:50], large[top : top + 48, left : left + 48]) > 0.99
    assert correlate_faces(cv2.resize(large[1:51, 1:51], (48, 48)), crop_of(3)) > 0.97


def test_other_subjects_and_noise_are_far(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 48, 48, 3)).astype(np.uint8)
    bits = [distance(a, b) for a, b in zip(noise[::2], noise[1::2], strict=True)]
    assert np.mean(bits) == pytest.approx(32, abs=1.5)
    assert min(bits) > HASH_LIMIT
    for number, face in enumerate(faces):
        for other in faces[number + 1 :]:
            assert correlate_faces(face, other) < MIN_CORRELATION


def test_a_picture_without_contrast_is_like_no_other(faces: np.ndarray) -> None:
    black = np.zeros((48, 48, 3), np.uint8)
    assert correlate_faces(black, black) == 0.0
    assert correlate_faces(black, faces[0]) < 0.5
    assert correlate_faces(faces[0], black) < 0.5


def test_half_of_the_faces_of_either_video_are_enough(faces: np.ndarray) -> None:
    one = faces[[0, 0, 1, 1, 2, 2, 3, 3]]
    assert show_the_same(one, faces[[0, 1, 4, 4, 4, 5, 5, 5]]), "4 faces of the first are in the second"
    assert show_the_same(faces[[0, 1, 4, 4, 4, 5, 5, 5]], one)
    assert not show_the_same(one, faces[[0, 4, 4, 4, 4, 5, 5, 5]])


def brute_force(hashes: np.ndarray, subjects: np.ndarray, limit: int) -> list[list[int]]:
    """Candidates by the definition, one pair of videos after the other, in Python's own integers."""
    pairs = []
    for i, a in enumerate(hashes.tolist()):
        for j, b in enumerate(hashes.tolist()[:i]):
            near = [[(x ^ y).bit_count() <= limit for y in b] for x in a]
            most = max(sum(map(any, near)), sum(map(any, zip(*near, strict=True))))
            if most * 2 >= len(a) and subjects[i] != subjects[j]:
                pairs.append([j, i])
    return sorted(pairs)


@pytest.mark.parametrize("limit", [0, 6, 16, 24])
def test_the_search_finds_what_brute_force_finds(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes near to each other at every distance, in blocks that do not divide their number."""
    monkeypatch.setattr("tasks.dataset.near_duplicates._BLOCK", 16)
    rng = np.random.default_rng(limit)
    hashes = rng.integers(0, 2**64, (60, 8), dtype=np.uint64)
    for copy in range(30, 60):  # some faces of another video, some bits of each turned
        faces = rng.permutation(8)[: rng.integers(1, 9)]
        for face in faces:
            turned = rng.choice(64, int(rng.integers(0, 14) * rng.integers(0, 2)), replace=False)
            mask = np.bitwise_or.reduce(np.uint64(1) << turned.astype(np.uint64), initial=np.uint64(0))
            hashes[copy, face] = hashes[copy - 30, rng.integers(0, 8)] ^ mask
    subjects = rng.integers(0, 12, 60)
    wanted = brute_force(hashes, subjects, limit)
    assert wanted
    assert candidate_pairs(hashes, subjects, limit).tolist() == wanted


def test_no_videos_give_no_pairs() -> None:
    assert candidate_pairs(np.empty((0, 8), np.uint64), np.empty(0, int)).shape == (0, 2)


def test_faces_are_compared_at_one_size_whatever_they_are_stored_at(tmp_path: Path) -> None:
    paths = []
    for side_px in (48, 64):
        face = crop_of(3, side_px)
        segment = FaceFrame(0, 0, 0.0, (0, 0, 130, 130), 1, face, np.zeros((side_px, side_px, 2), np.float16))
        paths.append(tmp_path / f"{side_px}.parquet")
        write_shard(paths[-1], [segment], VideoReport(outcome=Outcome.OK))
    stored, larger = map(sample_faces, paths)
    assert stored.shape == larger.shape == (8, 48, 48, 3)
    np.testing.assert_array_equal(stored[0], crop_of(3))
    assert np.abs(larger.astype(int) - stored).mean() < 4
    hashes = hash_videos(paths)
    assert int(hashes[0, 0] ^ hashes[1, 0]).bit_count() <= HASH_LIMIT
