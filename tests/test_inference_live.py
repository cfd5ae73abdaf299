"""A model asked about frames that come live: what it says by each is what `predict` says of a video that ends there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import draw_moving_face, draw_wall, write_images
from test_inference_predictor import LABELS, OVERLAPPING, SEQUENCES, P, build

from fer_models.errors import UserError
from tasks.config.prepare_settings import PrepareSettings
from tasks.inference.live.stream import Moment, Stream, TimedFrame
from tasks.inference.predictor import Calibration, Predictor
from tasks.video.image_sequences import SEQUENCE_FPS

SINGLE = PrepareSettings(segment_length=1, segment_stride=1, pair="none", scene_cuts="split")
BOX = ["x", "y", "width", "height"]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A face for 14 frames, a wall for 8, and another face for 12."""
    return draw_moving_face(2.0, 14) + draw_wall(8) + draw_moving_face(1.0, 12, subject=5, start=0.5)


def timed(pictures: list[np.ndarray]) -> list[TimedFrame]:
    return [(number / SEQUENCE_FPS, one) for number, one in enumerate(pictures)]


def predictor_of(arm: str, prepare: PrepareSettings, members: int = 1, smoothing_s: float = 0.0) -> Predictor:
    models = [build(arm, prepare, seed) for seed in range(members)]
    return Predictor(models, prepare, calibration=Calibration(smoothing_s=smoothing_s))


def as_row(moment: Moment) -> list[object]:
    return [moment.frame, moment.face, *(moment.box or [pd.NA] * 4)]


@pytest.mark.parametrize(
    ("arm", "prepare", "members", "smoothing_s"),
    [
        ("spatial-only", SINGLE, 1, 0.4),
        *(
            pytest.param(arm, prepare.model_copy(update=other), members, smoothing_s, marks=pytest.mark.slow)
            for arm, prepare, other, members, smoothing_s in (
                ("gap-sum", OVERLAPPING, {}, 2, 0.0),
                ("gap-sum", OVERLAPPING, {"segment_stride": 3}, 1, 0.0),
                ("gap-sum", OVERLAPPING, {"segment_stride": 1}, 2, 0.4),
                ("spatial-only", SINGLE, {"segment_stride": 3}, 1, 0.4),
                ("spatial-only", SINGLE, {"precropped": True}, 1, 0.0),
            )
        ),
    ],
)
def test_a_moment_is_the_last_row_of_a_video_that_ends_there(
    pictures: list[np.ndarray], tmp_path: Path, arm: str, prepare: PrepareSettings, members: int, smoothing_s: float
) -> None:
    predictor = predictor_of(arm, prepare, members, smoothing_s)
    moments = list(predictor.stream(timed(pictures)))
    assert [one.time_s for one in moments] == [time_s for time_s, _ in timed(pictures)]
    expected, num_said = np.full(len(LABELS), np.nan), 0
    scene_ends = {14, 22} if prepare.scene_cuts == "split" else set()
    for number, moment in enumerate(moments):
        write_images(tmp_path / "clip", [pictures[number]], first=number)
        last = predictor.predict(tmp_path / "clip").frames.iloc[-1]
        assert as_row(moment) == [number, last["face"], *last[BOX]] or last["face"] == "none" == moment.face
        ends_segment = (number + 1 - prepare.segment_length) % prepare.segment_stride == 0
        if number + 1 >= prepare.segment_length and ends_segment:
            expected, uncertainty = last[P].to_numpy(float), last["uncertainty"]
        elif number in scene_ends:
            expected = np.full(len(LABELS), np.nan)
        shown = np.full(len(LABELS), np.nan) if moment.face == "none" else expected
        assert moment.probabilities == pytest.approx(shown, abs=1e-5, nan_ok=True), number
        if moment.predicted:
            num_said += 1
            assert moment.predicted == LABELS[int(shown.argmax())]
            assert moment.confidence == pytest.approx(shown.max(), abs=1e-5)
            assert moment.uncertainty == pytest.approx(uncertainty, abs=1e-5, nan_ok=True)
    assert num_said >= 10


@pytest.mark.parametrize(("arm", "prepare"), [("gap-sum", OVERLAPPING), ("lstm-fused", SEQUENCES)])
def test_what_is_said_is_the_row_of_the_newest_segment(
    pictures: list[np.ndarray], tmp_path: Path, arm: str, prepare: PrepareSettings
) -> None:
    predictor = predictor_of(arm, prepare)
    write_images(tmp_path / "clip", pictures)
    segments = predictor.predict(tmp_path / "clip").segments
    delay = prepare.segment_length - 1 + prepare.windows.last_place
    num_said = 0
    for number, moment in enumerate(predictor.stream(timed(pictures))):
        newest = (number - delay) // prepare.segment_stride
        if moment.predicted:
            num_said += 1
            assert moment.probabilities == pytest.approx(segments[P].iloc[newest].to_numpy(), abs=1e-5), number
    assert num_said >= 10


def test_a_face_that_comes_back_is_asked_about_at_once(pictures: list[np.ndarray]) -> None:
    """Of segments that end without a face it is not first told when one comes back."""
    moments = list(predictor_of("lstm-fused", SEQUENCES).stream(timed(pictures)))
    assert {one.predicted for one in moments[16:22]} == {""}
    assert moments[-1].predicted


def test_memory_does_not_grow(pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.video.pictures._MANY_FORGOTTEN", 8)
    monkeypatch.setattr("tasks.inference.live.stream._FORGET_EVERY", 8)
    predictor = predictor_of("lstm-fused", SEQUENCES)
    sizes: list[int] = []

    def watch(held: object, seen: set[int]) -> int:
        """Numbers and objects that are held in all."""
        if id(held) in seen:
            return 0
        seen.add(id(held))
        if isinstance(held, np.ndarray):
            return held.size
        inner = list(vars(held).values()) if hasattr(held, "__dict__") and "tasks." in type(held).__module__ else []
        if isinstance(held, dict):
            inner = list(held.values())
        elif type(held).__name__ in ("deque", "list", "tuple", "array"):
            inner = list(held)  # type: ignore[call-overload]
        return len(inner) + sum(watch(one, seen) for one in inner)

    stream = Stream(predictor.ask, LABELS, predictor.preparing(), 0.4)
    for number in range(240):
        stream.take(number / 25, pictures[number % 14])
        sizes.append(watch(stream, set()))
    assert max(sizes[200:]) <= max(sizes[40:80])


def test_what_is_no_frame_is_one_sentence(pictures: list[np.ndarray]) -> None:
    predictor = predictor_of("spatial-only", SINGLE)
    with pytest.raises(UserError, match=r"Frame 0 of the stream is float64 240x320x3; give uint8 RGB"):
        list(predictor.stream([(0.0, pictures[0] / 255)]))
    with pytest.raises(UserError, match=r"Frame 1 of the stream has the time 1 s, after one of 2 s"):
        list(predictor.stream([(2.0, pictures[0]), (1.0, pictures[1])]))
