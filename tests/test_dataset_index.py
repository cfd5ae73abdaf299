"""The index and the arrays behind its rows agree with the shards."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, write_shard

from fer_models.errors import UserError, WrongShard
from fer_models.segments import SegmentShape
from tasks.config.prepare_settings import PrepareSettings
from tasks.dataset.index import (
    SCHEMA,
    build_index,
    count_frames,
    index_digest,
    load_arrays,
    read_seen,
    read_subset,
    subset_file,
)
from tasks.outcomes import Outcome
from tasks.preparation.shards import open_shard, read_images_of, shard_path
from tasks.video.segments import FaceFrame, VideoReport

EMOTIONS = ("anger", "fear", "sadness")
WINDOWS = PrepareSettings(segment_stride=4).windows
#: video -> subject, emotion, side, outcome, segments of its shard
VIDEOS = {
    "v3": ("ben", "fear", "test", Outcome.OK, [0, 4, 6]),
    "v1": ("anna", "anger", "train", Outcome.OK, [0, 1]),
    "v2": ("carl", "sadness", "validation", Outcome.OK, [2]),
    "v4": ("anna", "fear", "train", Outcome.NO_FACE, []),
    "v5": ("ben", "anger", "reserve", Outcome.OK, [0]),
    "v6": ("anna", "sadness", "train", Outcome.TRUNCATED, [0, 1]),
}


def sha_of(video_id: str) -> str:
    return video_id[1] * 64


def make_segment(video_id: str, segment: int) -> FaceFrame:
    rng = np.random.default_rng([int(video_id[1]), segment])
    face = rng.integers(0, 256, FACE_SHAPE).astype(np.uint8)
    optical_flow = rng.normal(0, 1, OPTICAL_FLOW_SHAPE).astype(np.float16)
    return FaceFrame(segment, 4 * segment, 0.16 * segment, (segment, 2, 30, 40), 1, face, optical_flow)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder above `shards` with one shard a video."""
    folder = tmp_path_factory.mktemp("prepared")
    for video_id, (_, _, _, outcome, segments) in VIDEOS.items():
        report = VideoReport(sha256=sha_of(video_id), outcome=outcome, num_covered=len(segments))
        rows = [make_segment(video_id, segment) for segment in segments]
        write_shard(shard_path(folder / "shards", sha_of(video_id)), rows, report)
    return folder


def make_ledger() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "video_id": video_id,
                "subject": subject,
                "emotion": emotion,
                "outcome": str(outcome),
                "num_covered": len(segments),
                "num_segments": 7,
                "sha256": sha_of(video_id),
                "shard": shard_path(Path("shards"), sha_of(video_id)).as_posix(),
            }
            for video_id, (subject, emotion, _, outcome, segments) in VIDEOS.items()
        ]
    )


def make_split() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"fold": 0, "video_id": name, "sha256": sha_of(name), "subject": values[0], "side": values[2]}
            for name, values in reversed(VIDEOS.items())
        ]
    )


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    build_index(make_ledger(), make_split(), prepared, tmp_path / "index", WINDOWS)
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> pd.DataFrame:
    subsets = [pd.read_parquet(subset_file(folder, 0, subset)) for subset in ("train", "validation", "test")]
    return pd.concat(subsets, ignore_index=True)


def test_every_usable_segment_stands_in_order_with_its_side(index: pd.DataFrame) -> None:
    columns = ["video_id", "segment", "row", "frame", "subject", "emotion", "side"]
    assert index[columns].to_numpy().tolist() == [
        ["v1", 0, 0, 0, "anna", "anger", "train"],
        ["v1", 1, 1, 4, "anna", "anger", "train"],
        ["v2", 2, 0, 8, "carl", "sadness", "validation"],
        ["v3", 0, 0, 0, "ben", "fear", "test"],
        ["v3", 4, 1, 16, "ben", "fear", "test"],
        ["v3", 6, 2, 24, "ben", "fear", "test"],
    ], "and what waits in reserve stands nowhere"
    assert index["pts_s"].tolist() == [0.16 * segment for segment in index["segment"]]
    assert [list(box) for box in index["box"]] == [[segment, 2, 30, 40] for segment in index["segment"]]


def test_the_counts_of_each_side_are_returned(prepared: Path, tmp_path: Path) -> None:
    counts = build_index(make_ledger(), make_split(), prepared, tmp_path, WINDOWS)
    assert counts.to_numpy().tolist() == [
        [0, "test", 1, 1, 3],
        [0, "train", 1, 1, 2],
        [0, "validation", 1, 1, 1],
    ]


def test_a_video_stands_on_another_side_in_another_fold(prepared: Path, tmp_path: Path) -> None:
    turned = make_split().assign(fold=1)
    turned["side"] = turned["side"].map({"train": "test", "test": "validation", "validation": "train"})
    build_index(make_ledger(), pd.concat([make_split(), turned]), prepared, tmp_path, WINDOWS)
    assert set(read_subset(tmp_path, 1, "test", EMOTIONS)["subject"]) == {"anna"}
    assert set(read_subset(tmp_path, 0, "test", EMOTIONS)["subject"]) == {"ben"}


def test_training_sees_two_sides_and_needs_no_third(folder: Path) -> None:
    subset_file(folder, 0, "test").unlink()
    narrow = pd.read_parquet(subset_file(folder, 0, "train")).assign(emotion="anger")
    narrow.to_parquet(subset_file(folder, 0, "train"))
    narrow.assign(side="validation").to_parquet(subset_file(folder, 0, "validation"))
    assert set(read_seen(folder, 0, ("anger",))["side"]) == {"train", "validation"}


@pytest.mark.parametrize("seed", [None, 0, 1], ids=["in-order", "shuffled", "shuffled-again"])
def test_arrays_are_the_shards_images_in_the_order_of_the_rows(
    index: pd.DataFrame, prepared: Path, seed: int | None
) -> None:
    rows = index if seed is None else index.sample(frac=1, random_state=seed).reset_index(drop=True)
    arrays = load_arrays(rows, prepared, EMOTIONS)
    for at, row in enumerate(rows.itertuples()):
        expected = make_segment(row.video_id, row.segment)
        batch = arrays.batch(np.array([at]))
        np.testing.assert_array_equal(batch["face"][0, 0], expected.face)
        np.testing.assert_array_equal(batch["optical_flow"][0, 0], expected.optical_flow)
        assert EMOTIONS[arrays.labels[at]] == row.emotion
        assert (arrays.videos[at], arrays.names[at]) == (row.video_id, f"{row.video_id}#{row.segment}")


def test_frames_are_counted_before_they_are_loaded(index: pd.DataFrame, prepared: Path) -> None:
    for part in (index, index[::2]):
        assert count_frames(part) == len(load_arrays(part, prepared, EMOTIONS).faces)
    assert count_frames(index[:0]) == 0


def test_a_part_of_the_index_gives_that_part_of_the_arrays(index: pd.DataFrame, prepared: Path) -> None:
    rows = index[index["side"] == "test"].iloc[[2, 0]].reset_index(drop=True)
    arrays = load_arrays(rows, prepared, EMOTIONS)
    faces = arrays.batch(np.arange(2))["face"][:, 0]
    np.testing.assert_array_equal(faces, [make_segment("v3", 6).face, make_segment("v3", 0).face])


def test_labels_follow_the_order_of_the_classes(index: pd.DataFrame, prepared: Path) -> None:
    labels = load_arrays(index, prepared, tuple(reversed(EMOTIONS))).labels
    assert labels.tolist() == [2 - EMOTIONS.index(emotion) for emotion in index["emotion"]]


def test_nothing_usable_gives_an_empty_index(prepared: Path, tmp_path: Path) -> None:
    ledger = make_ledger().assign(outcome="no_face")
    counts = build_index(ledger, make_split(), prepared, tmp_path, WINDOWS)
    assert counts["segments"].sum() == len(read_subset(tmp_path, 0, "test", EMOTIONS)) == 0


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`fer split` first"):
        read_subset(tmp_path, 0, "train", EMOTIONS)


@pytest.mark.parametrize("subset", ["train", "test"])
def test_an_index_of_other_classes_is_refused(folder: Path, subset: str) -> None:
    with pytest.raises(UserError, match="made for other classes"):
        read_subset(folder, 0, subset, ("joy", "sadness"))


def test_the_test_side_of_a_fold_need_not_show_every_class(folder: Path) -> None:
    assert set(read_subset(folder, 0, "test", EMOTIONS)["emotion"]) == {"fear"}


def test_the_digest_does_not_know_the_order_of_rows(index: pd.DataFrame) -> None:
    shuffled = index.sample(frac=1, random_state=3)
    assert shuffled["video_id"].tolist() != index["video_id"].tolist()
    assert index_digest(shuffled) == index_digest(index)


@pytest.mark.parametrize(
    ("column", "value"),
    [("emotion", "fear"), ("side", "test"), ("subject", "dora"), ("sha256", "f" * 64), ("segment", 9)],
)
def test_the_digest_changes_with_every_part(index: pd.DataFrame, column: str, value: object) -> None:
    changed = index.copy()
    changed.loc[0, column] = value
    assert index_digest(changed) != index_digest(index)


def test_the_digest_changes_when_a_segment_goes(index: pd.DataFrame) -> None:
    assert index_digest(index.iloc[1:]) != index_digest(index)


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder that can be spoilt."""
    shutil.copytree(prepared, tmp_path / prepared.name)
    return tmp_path / prepared.name


def test_two_shards_that_were_swapped_are_told(index: pd.DataFrame, copy: Path, tmp_path: Path) -> None:
    first, second = (shard_path(copy / "shards", sha_of(name)) for name in ("v1", "v3"))
    kept = first.read_bytes()
    second.replace(first)
    second.write_bytes(kept)
    for read in (
        lambda: load_arrays(index, copy, EMOTIONS),
        lambda: build_index(make_ledger(), make_split(), copy, tmp_path / "again", WINDOWS),
    ):
        with pytest.raises(
            WrongShard, match=r"(1{64}|3{64})\.parquet is not what its name says: it holds the video .*(3{12}|1{12})"
        ):
            read()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("row", -1, "names row -1 of its 3 rows"),
        ("row", 3, "names row 3 of its 3 rows"),
        ("row", 0, "means other segments, number 4 for one"),
        ("frame", 17, "means other segments"),
        ("segment", 5, "means other segments"),
        ("sha256", "f" * 64, "names it as that of the video ffffffffffff"),
    ],
)
def test_an_index_that_does_not_fit_its_shards_is_told(
    index: pd.DataFrame, prepared: Path, column: str, value: object, words: str
) -> None:
    spoilt = index[index["video_id"] == "v3"].reset_index(drop=True)
    spoilt.loc[1, column] = value
    with pytest.raises(UserError, match=f"The index does not fit .*{'3' * 64}.parquet: .*{words}.*; run `fer split`"):
        load_arrays(spoilt, prepared, EMOTIONS)


def test_an_index_of_other_settings_is_told(index: pd.DataFrame, prepared: Path, tmp_path: Path) -> None:
    other = tmp_path / "fedcba987654"
    shutil.copytree(prepared, other)
    with pytest.raises(UserError, match=r"made of prepared\w+, prepared with other settings than fedcba987654"):
        load_arrays(index, other, EMOTIONS)


@pytest.mark.parametrize("column", SCHEMA.names)
def test_an_index_that_lacks_values_is_told_and_made_anew(folder: Path, prepared: Path, column: str) -> None:
    """A null shard would leave the rows of its arrays as the memory was."""
    path = subset_file(folder, 0, "train")
    whole = pd.read_parquet(path)
    for spoilt in (whole.drop(columns=column), whole.assign(**{column: [None, whole[column].iloc[1]]})):
        spoilt.to_parquet(path)
        told = (
            rf"train\.parquet lacks values of {column}; run `fer split` again|There is no index at .* `fer split` first"
        )
        with pytest.raises(UserError, match=told):  # numbers with a gap are no whole numbers any more
            read_subset(folder, 0, "train", ("anger",))
    build_index(make_ledger(), make_split(), prepared, folder, WINDOWS)
    pd.testing.assert_frame_equal(read_subset(folder, 0, "train", ("anger",)), whole)


def test_a_side_under_the_name_of_another_is_told(folder: Path) -> None:
    subset_file(folder, 0, "test").replace(subset_file(folder, 0, "train"))
    with pytest.raises(UserError, match="holds another subset than its name says"):
        read_subset(folder, 0, "train", ("fear",))


#: Two frames of each segment of four, one segment every two frames.
SEQUENCES = PrepareSettings(segment_length=4, segment_stride=2, frames_per_segment=2, pair="none").windows
#: Frames of v3 that show the face: all but number 4, so that segment 1 (2, 4) and segment 2 (4, 6) lack one.
FRAMES = (0, 2, 6, 8)


@pytest.fixture
def sequences(tmp_path: Path) -> tuple[Path, Path]:
    """A folder above the shard of v3, whose segments have two frames and share them, and its index."""
    faces = np.random.default_rng(0).integers(0, 256, (9, *FACE_SHAPE)).astype(np.uint8)
    rows = [FaceFrame(frame // 2, frame, frame / 25, (frame, 2, 30, 40), 1, faces[frame], None) for frame in FRAMES]
    report = VideoReport(outcome=Outcome.OK, num_segments=4, num_covered=4, num_kept=len(rows), sha256=sha_of("v3"))
    prepared = tmp_path / "prepared"
    with open_shard(shard_path(prepared / "shards", sha_of("v3")), FACE_SHAPE[0], has_optical_flow=False) as writer:
        for row in rows:
            writer.add(row)
        writer.close(report)
    ledger = make_ledger()
    ledger = ledger[ledger["video_id"] == "v3"].assign(num_segments=4)
    build_index(ledger, make_split(), prepared, tmp_path / "index", SEQUENCES)
    return prepared, tmp_path / "index"


def test_segments_of_several_frames_share_them(sequences: tuple[Path, Path]) -> None:
    prepared, folder = sequences
    index = read_subset(folder, 0, "test", EMOTIONS)
    assert index["segment"].tolist() == [0, 1, 2, 3]
    assert index["frame"].tolist() == [0, 2, 4, 6], "where each begins, whether that frame shows the face or not"
    assert index["frames"].map(list).tolist() == [[0, 2], [2, 2], [6, 6], [6, 8]]
    assert index["seen"].map(list).tolist() == [[True, True], [True, False], [False, True], [True, True]]
    arrays = load_arrays(index, prepared, EMOTIONS)
    assert arrays.shape == SegmentShape(num_frames=2, side_px=FACE_SHAPE[0], has_optical_flow=False)
    assert len(arrays.faces) == count_frames(index) == len(FRAMES), "no frame is held twice"
    ((_, stored, flows),) = read_images_of([shard_path(prepared / "shards", sha_of("v3"))])
    assert flows is None
    batch = arrays.batch(np.array([2, 0]))
    np.testing.assert_array_equal(batch["face"], stored[[[2, 2], [0, 1]]])
    assert batch["seen"].tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(("column", "value"), [("frames", [0, 3]), ("rows", [0, 9]), ("rows", [0])])
def test_an_index_of_other_frames_is_told(sequences: tuple[Path, Path], column: str, value: list[int]) -> None:
    prepared, folder = sequences
    path = subset_file(folder, 0, "test")
    index = pd.read_parquet(path)
    index.at[0, column] = value
    index.to_parquet(path)
    with pytest.raises(UserError, match="run `fer split` again"):
        load_arrays(read_subset(folder, 0, "test", EMOTIONS), prepared, EMOTIONS)


def test_an_index_without_the_rows_of_its_frames_is_told(sequences: tuple[Path, Path]) -> None:
    path = subset_file(sequences[1], 0, "test")
    pd.read_parquet(path).drop(columns="seen").to_parquet(path)
    with pytest.raises(UserError, match="lacks values of seen; run `fer split` again"):
        read_subset(sequences[1], 0, "test", EMOTIONS)
