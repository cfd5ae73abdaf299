"""The contact sheet shows what it says: segments of the training subset, of many subjects, in their class's row."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, write_shard
from PIL import Image

from tasks.outcomes import Outcome
from tasks.preparation.shards import shard_path
from tasks.report.contact_sheet import choose_segments, read_thumbnails
from tasks.report.plots.contact_sheet import Thumbnail, plot_contact_sheet
from tasks.video.segments import FaceFrame, VideoReport

EMOTIONS = ("anger", "fear")


def make_index(subjects: int = 6, videos: int = 2, segments: int = 20) -> pd.DataFrame:
    """Each subject shows both classes in `videos` videos each; the last third is not trained on."""
    rows = []
    for subject in range(subjects):
        subset = "train" if subject < subjects * 2 // 3 else ("validation", "test")[subject % 2]
        for emotion in EMOTIONS:
            for video in range(videos):
                sha256 = f"{subject:02d}{video}{EMOTIONS.index(emotion)}"
                rows += [
                    {
                        "video_id": f"p{subject}/{emotion}{video}",
                        "subject": f"p{subject}",
                        "emotion": emotion,
                        "side": subset,
                        "shard": shard_path(Path("shards"), sha256).as_posix(),
                        "row": number,
                        "segment": number,
                        "frame": number,
                        "sha256": sha256,
                    }
                    for number in range(segments)
                ]
    return pd.DataFrame(rows)


def test_only_the_training_side_is_shown() -> None:
    chosen = choose_segments(make_index(), EMOTIONS, seed=1)
    assert set(chosen["side"]) == {"train"}
    assert list(chosen.groupby("emotion").size()) == [12, 12]


def test_all_subjects_and_all_their_videos_have_a_turn_before_anybody_has_a_second() -> None:
    chosen = choose_segments(make_index(subjects=18), EMOTIONS, seed=1)
    assert (chosen.groupby("emotion")["subject"].nunique() == 12).all(), "12 of 12 subjects in the training subset"
    few = choose_segments(make_index(subjects=6), EMOTIONS, seed=1)
    assert (few.groupby(["emotion", "subject"]).size() == 3).all(), "4 subjects share 12 places"
    assert (few.groupby(["emotion", "subject"])["video_id"].nunique() == 2).all()


def test_the_seed_decides() -> None:
    index = make_index()
    chosen = choose_segments(index, EMOTIONS, seed=1)
    pd.testing.assert_frame_equal(chosen, choose_segments(index, EMOTIONS, seed=1))
    assert list(chosen.index) != list(choose_segments(index, EMOTIONS, seed=2).index)
    one = choose_segments(index, EMOTIONS[:1], seed=1)
    assert list(one.index) == list(chosen.index[:12]), "one class does not change another's"


def test_a_class_with_few_segments_shows_those() -> None:
    index = make_index()
    few = index[(index["emotion"] == "anger") | (index["row"] == 0)]
    counts = choose_segments(few, EMOTIONS, seed=1).groupby("emotion").size()
    assert counts.to_dict() == {"anger": 12, "fear": 8}


def test_the_images_are_those_of_the_rows(tmp_path: Path) -> None:
    index = make_index(subjects=3, videos=1, segments=4)
    for number, (shard, rows) in enumerate(index.groupby("shard")):
        segments = [
            FaceFrame(
                int(row),
                int(row),
                0.0,
                (0, 0, 48, 48),
                1,
                np.full(FACE_SHAPE, 10 * number + row, np.uint8),
                np.full(OPTICAL_FLOW_SHAPE, number),
            )
            for row in rows["row"]
        ]
        write_shard(tmp_path / str(shard), segments, VideoReport(outcome=Outcome.OK))
    shards = sorted(index["shard"].unique())
    chosen = choose_segments(index, EMOTIONS, seed=3, number=5).assign(prepared=tmp_path.name)
    thumbnails = read_thumbnails(chosen, tmp_path, EMOTIONS)
    for emotion in EMOTIONS:
        rows = chosen[chosen["emotion"] == emotion]
        assert [thumbnail.subject for thumbnail in thumbnails[emotion]] == list(rows["subject"])
        for thumbnail, shard, row in zip(thumbnails[emotion], rows["shard"], rows["row"], strict=True):
            assert (thumbnail.face == 10 * shards.index(shard) + row).all()
            assert (thumbnail.optical_flow == shards.index(shard)).all()


def test_faces_stand_above_their_motion_in_the_row_of_their_class() -> None:
    """Red faces that move right in the first row, blue ones that stand still in the second."""

    def thumbnails(colour: tuple[int, int, int], dx_px: float, number: int) -> list[Thumbnail]:
        face = np.full(FACE_SHAPE, colour, np.uint8)
        return [Thumbnail("p$1$\n", face, np.full(OPTICAL_FLOW_SHAPE, (dx_px, 0.0)))] * number

    figure = plot_contact_sheet({"anger": thumbnails((200, 30, 30), 0.0, 8), "fear": thumbnails((0, 0, 255), 3.0, 2)})
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    page = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    faces = np.abs(page - (200, 30, 30)).sum(axis=-1) < 6
    others = np.abs(page - (0, 0, 255)).sum(axis=-1) < 6
    moving = np.abs(page - (255, 0, 0)).sum(axis=-1) < 6
    for shown, number in ((faces, 8), (others, 2), (moving[len(page) // 2 :], 2)):
        subset = 110 * 12 / 8 * 96 / 102
        assert abs(shown.sum() / (number * subset**2) - 1) < 0.08
    top, bottom = np.flatnonzero(faces.any(axis=1))[[0, -1]]
    second_top = np.flatnonzero(others.any(axis=1))[0]
    flow_top = np.flatnonzero((moving & (np.arange(len(page)) > second_top)[:, None]).any(axis=1))[0]
    assert top < bottom < second_top < flow_top
    texts = [text.get_text() for text in figure.texts]
    assert {"anger", "fear", r"p$1$\n"} <= set(texts)
