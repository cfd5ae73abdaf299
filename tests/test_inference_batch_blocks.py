"""What children hand over: nothing is lost or changed on its way, and no more than a few blocks of it lie about."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_models.errors import StorageError, VideoFault
from tasks.config.prepare_settings import NO_MOTION, PrepareSettings
from tasks.inference.batch import blocks
from tasks.inference.batch.blocks import BlockReader, BlockWriter
from tasks.video.boxes import Box
from tasks.video.segments import NO_SEGMENT, FaceFrame, Sighting

SETTINGS = PrepareSettings()


def frames(count: int, has_motion: bool = True, side_px: int = 48) -> list[FaceFrame]:
    rng = np.random.default_rng(0)
    return [
        FaceFrame(
            number if number % 3 else NO_SEGMENT,
            number + 2**33,
            number / 29.97,
            (number, -1, 90, 91),
            number % 4,
            rng.integers(0, 255, (side_px, side_px, 3), np.uint8),
            rng.normal(0, 9, (side_px, side_px, 2)).astype(np.float16) if has_motion else None,
            1 / 29.97,
        )
        for number in range(count)
    ]


def sightings(count: int) -> list[Sighting]:
    boxes = (None, Box(3, 4, 50, 60))
    return [Sighting(n, n / 29.97, (360, 640), bool(n % 2), boxes[n % 2], n // 5) for n in range(count)]


class Taken:
    """Takes what blocks hand over."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, FaceFrame]] = []
        self.sightings: list[tuple[int, Sighting]] = []

    def keep(self, track: int, frame: FaceFrame) -> None:
        self.frames.append((track, frame))

    def watch(self, track: int, sighting: Sighting) -> None:
        self.sightings.append((track, sighting))


@pytest.mark.parametrize("settings", [SETTINGS, PrepareSettings(pair=NO_MOTION, face_size_px=64)])
def test_all_comes_as_it_was(tmp_path: Path, settings: PrepareSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 100_000)
    given = frames(23, settings.has_optical_flow, settings.face_size_px)
    seen, taken, reader = sightings(40), Taken(), BlockReader(tmp_path, settings)
    with BlockWriter(tmp_path, settings) as writer:
        for number, sighting in enumerate(seen):
            writer.watch(number % 3, sighting)
            if number < len(given):
                writer.keep(number % 2 + 1, given[number])
            while block := reader.next():
                block.hand_over(taken.keep, taken.watch)
    while block := reader.next():
        block.hand_over(taken.keep, taken.watch)
    assert list(tmp_path.iterdir()) == []
    assert taken.sightings == [(number % 3, one) for number, one in enumerate(seen)]
    assert [track for track, _ in taken.frames] == [number % 2 + 1 for number in range(len(given))]
    for (_, one), before in zip(taken.frames, given, strict=True):
        plain, wanted = vars(one) | {}, vars(before) | {}
        for name in ("face", "optical_flow"):
            found, given_one = plain.pop(name), wanted.pop(name)
            assert (found is None) == (given_one is None)
            if found is not None:
                assert (found.dtype, found.tobytes()) == (given_one.dtype, given_one.tobytes())
        assert plain == wanted


def test_no_more_than_a_few_blocks_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly they are read: here one only when the writer cannot go on."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1)
    given, taken, reader, waiting = frames(12), Taken(), BlockReader(tmp_path, SETTINGS), []

    def read_one(_: float = 0.0) -> bool:
        waiting.append(len(list(tmp_path.iterdir())))
        block = reader.next()
        if block:
            block.hand_over(taken.keep, taken.watch)
        return block is not None

    monkeypatch.setattr(blocks, "time", SimpleNamespace(sleep=read_one, monotonic=time.monotonic))
    with BlockWriter(tmp_path, SETTINGS) as writer:
        for frame in given:
            writer.keep(1, frame)
    while read_one():
        pass
    assert max(waiting) == 4
    assert [frame.frame for _, frame in taken.frames] == [frame.frame for frame in given]


def test_a_child_at_work_is_heard_of_though_no_face_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(blocks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    writer, reader = BlockWriter(tmp_path, SETTINGS), BlockReader(tmp_path, SETTINGS)
    counts = []
    for sighting in sightings(12):
        writer.watch(1, sighting)
        if block := reader.next():
            counts.append(len(block.sightings))
    assert counts == [3, 3, 3, 3], "a frame a second, and a block every three"


def test_who_is_not_read_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(blocks, "parent_process", lambda: SimpleNamespace(is_alive=lambda: False))
    *first, last = frames(5)
    writer = BlockWriter(tmp_path, SETTINGS)
    for frame in first:
        writer.keep(1, frame)
    with pytest.raises(VideoFault, match="has ended"):
        writer.keep(1, last)


def test_a_block_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    writer = BlockWriter(tmp_path / "run" / "gone", SETTINGS)
    writer.watch(1, sightings(1)[0])
    with pytest.raises(StorageError, match=r"run cannot be written \(No such file or directory\); what is done stays"):
        writer.__exit__(None)
