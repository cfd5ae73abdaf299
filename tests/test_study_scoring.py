"""Scores of prediction tables, against hand-computed ones."""

import numpy as np
import pandas as pd
import pytest

from tasks.study.scoring import (
    confusions,
    fit_video_temperature,
    predicted_segments,
    predicted_videos,
    score_tables,
    subject_uars,
    video_uar,
)

EMOTIONS = ("anger", "fear")
#: video -> subject, emotion, probability of anger in each segment
VIDEOS = {
    "a1": ("anna", "anger", [0.9, 0.4, 0.4]),  # the mean says anger, the majority fear
    "a2": ("anna", "fear", [0.2, 0.3]),
    "b1": ("ben", "anger", [0.3]),
    "b2": ("ben", "fear", [0.1, 0.2]),
    "b3": ("ben", "anger", []),  # no face
}


@pytest.fixture
def segments() -> pd.DataFrame:
    rows = [
        {
            "video_id": video,
            "subject": subject,
            "emotion": emotion,
            "sha256": video * 2,
            "segment": i,
            "frame": 16 * i,
            "pts_s": 0.5 * i,
            "side": "test",
            "shard": "",
            "row": i,
            "box": [0, 0, 9, 9],
        }
        for video, (subject, emotion, values) in VIDEOS.items()
        for i, _ in enumerate(values)
    ]
    anger = np.array([value for _, _, values in VIDEOS.values() for value in values])
    return predicted_segments(pd.DataFrame(rows), np.stack([anger, 1 - anger], axis=1), EMOTIONS)


@pytest.fixture
def videos(segments: pd.DataFrame) -> pd.DataFrame:
    known = [
        {"video_id": name, "sha256": name * 2, "subject": subject, "emotion": emotion}
        for name, (subject, emotion, _) in VIDEOS.items()
    ]
    return predicted_videos(segments, pd.DataFrame(known), 2.0, EMOTIONS, "mean")


def test_a_video_is_the_mean_of_its_segments(videos: pd.DataFrame) -> None:
    assert videos["video_id"].tolist() == list(VIDEOS)
    assert videos["num_segments"].tolist() == [3, 2, 1, 2, 0]
    assert videos["predicted"].tolist() == ["anger", "fear", "fear", "fear", ""]
    assert videos["p_anger"].tolist()[:4] == pytest.approx([1.7 / 3, 0.25, 0.3, 0.15])
    assert videos["p_anger"].isna().tolist() == [False] * 4 + [True]


def test_a_video_may_be_the_geometric_mean_of_its_segments(segments: pd.DataFrame) -> None:
    known = pd.DataFrame([{"video_id": "a1", "sha256": "", "subject": "anna", "emotion": "anger"}])
    (row,) = predicted_videos(segments, known, 1.0, EMOTIONS, "logit_mean").to_dict("records")
    anger, fear = (0.9 * 0.4 * 0.4) ** (1 / 3), (0.1 * 0.6 * 0.6) ** (1 / 3)
    assert row["p_anger"] == pytest.approx(anger / (anger + fear))
    assert row["scaled_anger"] == pytest.approx(row["p_anger"])
    assert video_uar(segments, EMOTIONS, "logit_mean") == pytest.approx(0.75)


def test_the_temperature_flattens_and_changes_no_winner(videos: pd.DataFrame) -> None:
    odds = (videos["p_anger"] / videos["p_fear"]).to_numpy()[:4]
    assert (videos["scaled_anger"] / videos["scaled_fear"]).to_numpy()[:4] == pytest.approx(np.sqrt(odds))


def test_scores_by_hand(videos: pd.DataFrame, segments: pd.DataFrame) -> None:
    scores = score_tables(videos, segments, EMOTIONS)
    assert scores["video_accuracy"] == pytest.approx(3 / 4)
    assert scores["video_uar"] == pytest.approx((1 / 2 + 1) / 2)
    assert scores["segment_accuracy"] == pytest.approx(5 / 8)
    assert scores["segment_uar"] == pytest.approx((1 / 4 + 1) / 2)
    assert scores["video_uar_majority"] == pytest.approx((0 / 2 + 1) / 2), "two of three segments of a1 say fear"
    assert scores["coverage"] == pytest.approx(4 / 5)
    assert scores["video_accuracy_all"] == pytest.approx(3 / 5), "the video without a face counts as wrong"
    assert scores["video_uar_all"] == pytest.approx((1 / 3 + 1) / 2)
    assert scores["video_worst_subject_uar"] == pytest.approx(1 / 2), "ben"
    assert scores["video_precision_fear"] == pytest.approx(2 / 3)


def test_confusions_leave_out_what_was_not_predicted(videos: pd.DataFrame) -> None:
    assert confusions(videos, EMOTIONS).tolist() == [[1, 1], [0, 2]]


def test_each_subject_over_the_classes_that_he_shows(videos: pd.DataFrame, segments: pd.DataFrame) -> None:
    assert subject_uars(videos, EMOTIONS) == {"anna": 1.0, "ben": 0.5}
    assert video_uar(segments, EMOTIONS, "mean") == pytest.approx(0.75)


def test_the_temperature_is_high_for_who_is_sure_and_wrong(segments: pd.DataFrame) -> None:
    sure = segments.assign(p_anger=0.99, p_fear=0.01)
    assert fit_video_temperature(sure, EMOTIONS, "mean") > 5
