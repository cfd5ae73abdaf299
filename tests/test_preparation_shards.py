"""Shards give back what was written, values and report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, images_of, report_of, write_shard

from fer_models.errors import WrongShard
from tasks.outcomes import Outcome
from tasks.preparation.shards import (
    find_reports,
    open_shard,
    read_all_faces,
    read_faces,
    read_image_batches,
    read_images_of,
    read_rows,
    shard_path,
)
from tasks.video.segments import FaceFrame, VideoReport

REPORT = VideoReport(
    sha256="ab" * 32,
    prepare_digest="0123456789ab",
    outcome=Outcome.OK,
    message="",
    num_frames=250,
    num_segments=60,
    num_covered=59,
    width=720,
    height=576,
    codec="h264",
    fps=29.97,
    duration_s=8.34,
    repeated_share=0.5,
    interval_s=0.04,
    num_far=3,
    seconds=1.25,
)


def make_segments(number: int, seed: int = 0, side_px: int = 48) -> list[FaceFrame]:
    rng = np.random.default_rng(seed)
    return [
        FaceFrame(
            segment=2 * i,
            frame=8 * i,
            pts_s=0.04 * i,
            box=(i, i + 1, 50, 60),
            num_faces=1 + i % 3,
            face=rng.integers(0, 256, (side_px, side_px, 3)).astype(np.uint8),
            optical_flow=rng.normal(0, 2, (side_px, side_px, 2)).astype(np.float16),
            interval_s=0.04 + 0.001 * i,
        )
        for i in range(number)
    ]


@pytest.mark.parametrize("number", [1, 7, 300])
def test_values_come_back(tmp_path: Path, number: int) -> None:
    segments = make_segments(number)
    write_shard(tmp_path / "a.parquet", segments, REPORT)
    faces, optical_flows = images_of(tmp_path / "a.parquet")
    assert (faces.dtype, optical_flows.dtype) == (np.uint8, np.float16)
    np.testing.assert_array_equal(faces, [row.face for row in segments])
    np.testing.assert_array_equal(optical_flows, [row.optical_flow for row in segments])
    rows = read_rows(tmp_path / "a.parquet").to_pylist()
    assert rows == [
        {
            "segment": row.segment,
            "frame": row.frame,
            "pts_s": row.pts_s,
            "interval_s": row.interval_s,
            "box": list(row.box),
            "num_faces": row.num_faces,
        }
        for row in segments
    ]


@pytest.mark.parametrize("side_px", [64, 224])
def test_faces_of_another_size_come_back(tmp_path: Path, side_px: int) -> None:
    segments = make_segments(5, side_px=side_px)
    path = tmp_path / "a.parquet"
    write_shard(path, segments, REPORT)
    faces, optical_flows = images_of(path)
    np.testing.assert_array_equal(faces, [row.face for row in segments])
    np.testing.assert_array_equal(optical_flows, [row.optical_flow for row in segments])
    np.testing.assert_array_equal(next(read_all_faces([path])), faces)
    np.testing.assert_array_equal(read_faces(path)[0], faces)
    ((_, batch, motion),) = read_image_batches(path)
    assert (batch.shape, motion.shape) == (faces.shape, optical_flows.shape)


def test_a_shard_without_segments_tells_the_size_of_its_faces(tmp_path: Path) -> None:
    with open_shard(tmp_path / "a.parquet", 64) as writer:
        writer.close(VideoReport(sha256="a", outcome=Outcome.NO_FACE))
    faces, optical_flows = images_of(tmp_path / "a.parquet")
    assert (faces.shape, optical_flows.shape) == ((0, 64, 64, 3), (0, 64, 64, 2))


def test_images_that_repeat_come_back(tmp_path: Path) -> None:
    """Parquet stores repeated values as a dictionary."""
    segments = make_segments(3) * 30
    write_shard(tmp_path / "a.parquet", segments, REPORT)
    faces, optical_flows = images_of(tmp_path / "a.parquet")
    np.testing.assert_array_equal(faces, [row.face for row in segments])
    np.testing.assert_array_equal(optical_flows, [row.optical_flow for row in segments])


@pytest.mark.parametrize("change", [np.asfortranarray, lambda image: image[:, ::-1]], ids=["fortran", "mirrored"])
def test_the_memory_order_of_an_image_does_not_matter(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    (plain,) = make_segments(1)
    face, optical_flow = change(plain.face), change(plain.optical_flow)
    segment = FaceFrame(0, 0, 0.0, (0, 0, 48, 48), 1, face, optical_flow)
    write_shard(tmp_path / "a.parquet", [segment], REPORT)
    faces, optical_flows = images_of(tmp_path / "a.parquet")
    np.testing.assert_array_equal(faces[0], face)
    np.testing.assert_array_equal(optical_flows[0], optical_flow)


def test_the_report_comes_back(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", make_segments(2), REPORT)
    assert report_of(tmp_path / "a.parquet") == REPORT.model_copy(update={"sha256": "a", "num_covered": 2})


@pytest.mark.parametrize("outcome", [Outcome.NO_FACE, Outcome.TOO_SHORT, Outcome.UNDECODABLE])
def test_a_video_without_segments_has_a_shard_with_a_report(tmp_path: Path, outcome: Outcome) -> None:
    report = VideoReport(sha256="a", outcome=outcome, message="café, déjà vu")
    write_shard(tmp_path / "a.parquet", [], report)
    assert report_of(tmp_path / "a.parquet") == report
    assert len(read_rows(tmp_path / "a.parquet")) == 0
    faces, optical_flows = images_of(tmp_path / "a.parquet")
    assert (faces.shape, faces.dtype) == ((0, *FACE_SHAPE), np.uint8)
    assert (optical_flows.shape, optical_flows.dtype) == ((0, *OPTICAL_FLOW_SHAPE), np.float16)


def test_motion_is_stored_in_px_with_half_precision(tmp_path: Path) -> None:
    optical_flow = np.full(OPTICAL_FLOW_SHAPE, [3.0, -0.25])
    segment = FaceFrame(0, 0, 0.0, (0, 0, 48, 48), 1, np.zeros(FACE_SHAPE, np.uint8), optical_flow)
    write_shard(tmp_path / "a.parquet", [segment], REPORT)
    stored = images_of(tmp_path / "a.parquet")[1][0]
    assert stored[..., 0].min() == stored[..., 0].max() == 3.0
    assert stored[..., 1].min() == stored[..., 1].max() == -0.25


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill_disk() -> None:
        with open_shard(tmp_path / "ab" / "a.parquet", 48) as writer:
            for segment in make_segments(300):  # more than one group of rows, so that something is written
                writer.add(segment)
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fill_disk()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_long_video_is_written_in_pieces(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", make_segments(600), REPORT)
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_shards_lie_in_folders_by_their_first_two_digits() -> None:
    assert shard_path(Path("shards"), "abcd").as_posix() == "shards/ab/abcd.parquet"


@pytest.mark.parametrize("rows_per_group", [100, 256, 1000])
def test_batches_of_images_are_the_images(tmp_path: Path, rows_per_group: int) -> None:
    """However the rows are grouped in the file."""
    write_shard(tmp_path / "a.parquet", make_segments(700), REPORT)
    table = pq.ParquetFile(tmp_path / "a.parquet").read()
    (tmp_path / "b").mkdir()
    pq.write_table(table, tmp_path / "b" / "a.parquet", row_group_size=rows_per_group)
    batches = list(read_image_batches(tmp_path / "b" / "a.parquet"))
    assert len(batches) > 1
    whole = next(read_images_of([tmp_path / "a.parquet"]))
    for stacked, values in zip(map(np.concatenate, zip(*batches, strict=True)), whole, strict=True):
        np.testing.assert_array_equal(stacked, values)


READERS = {
    "rows": read_rows,
    "images": images_of,
    "first faces": read_faces,
    "all faces": lambda path: next(read_all_faces([path])),
    "batches": lambda path: next(read_image_batches(path)),
}


def write_named(path: Path, report: VideoReport, number: int = 2) -> None:
    """A shard with a report as it is given."""
    with open_shard(path, 48) as writer:
        for segment in make_segments(number):
            writer.add(segment)
        writer.close(report)


def write_metadata(path: Path, metadata: dict[str, object]) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)


def swap(path: Path, folder: Path) -> None:
    write_shard(shard_path(folder, "cd" * 32), make_segments(2), REPORT)
    shard_path(folder, "cd" * 32).replace(path)


WRONG = {
    "another video": (swap, "holds the video with the SHA-256 cdcdcdcdcdcd"),
    "other settings": (
        lambda path, _: write_named(path, REPORT.model_copy(update={"prepare_digest": "f" * 12, "num_covered": 2})),
        "made with the settings ffffffffffff",
    ),
    "fewer rows": (
        lambda path, _: write_named(path, REPORT.model_copy(update={"num_covered": 3})),
        "has 2 rows where 3 were written",
    ),
    "no video at all": (
        lambda path, _: write_named(path, REPORT.model_copy(update={"sha256": ""})),
        "holds the video with the SHA-256 of nothing",
    ),
    "no shard": (
        lambda path, _: pq.write_table(pq.read_table(path, columns=["segment", "face", "optical_flow", "box"]), path),
        "is no shard",
    ),
    "no report": (lambda path, _: write_metadata(path, {"fer.video": '{"outcome": "ended well"}'}), "is no shard"),
    "metadata of others": (lambda path, _: write_metadata(path, {"fer.video": b"\xff"}), "is no shard"),
}


@pytest.mark.parametrize("how", WRONG)
def test_no_reader_takes_a_shard_for_what_it_is_not(tmp_path: Path, how: str) -> None:
    path = shard_path(tmp_path / "0123456789ab" / "shards", "ab" * 32)
    write_shard(path, make_segments(2), REPORT)
    for read in READERS.values():
        read(path)
    spoil, words = WRONG[how]
    spoil(path, tmp_path / "shards")
    for name, read in READERS.items():
        with pytest.raises(WrongShard, match=f"{path} is not what its name says.*{words}") as caught:
            read(path)
        assert f"`fer retry --video {'ab' * 32}`" in str(caught.value), name
    assert list(find_reports([path])) == [None]


def test_what_a_broken_video_left_is_counted_by_nobody(tmp_path: Path) -> None:
    """Whole segments of a video that breaks off are kept, and its report has no number of them."""
    truncated = REPORT.model_copy(update={"sha256": "a", "outcome": Outcome.TRUNCATED, "num_covered": 0})
    write_named(tmp_path / "a.parquet", truncated)
    assert report_of(tmp_path / "a.parquet") == truncated
