"""What the page is given of a video: one answer that agrees with the tables, or one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_predictor import LABELS, OVERLAPPING, P, build
from test_video_tracks import beside

from fer_models.errors import Refused
from tasks.corpus.sample.corpus import write_video
from tasks.inference.moments import Explainer
from tasks.inference.predictor import Predictor
from tasks.inference.web import answering
from tasks.inference.web.answering import answer
from tasks.inference.web.explaining import explain

NO_VIDEO = "It cannot be opened as a video (its content is of no known kind); try another file."
TOO_MANY_PIXELS = "It cannot be read as an image: it has too many pixels; try another file."
NO_FACE = "No face was found in it; show a face from the front, in good light."
TOO_LONG = "It is longer than 0.005 minutes, the most that is looked at here; cut it."


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor([build("gap-sum", OVERLAPPING)], OVERLAPPING)


@pytest.fixture(scope="module")
def of_stills() -> Predictor:
    """One that can be asked about pictures."""
    settings = OVERLAPPING.model_copy(update={"segment_length": 1, "pair": "none"})
    return Predictor([build("spatial-only", settings)], settings)


def ask(predictor: Predictor, video: Path, most_s: float = 60.0) -> list[tuple[str, float | None]]:
    told: list[tuple[str, float | None]] = []
    answer(predictor, video, most_s, lambda *step: told.append(step))
    return told


@pytest.fixture(scope="module")
def answered(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for 12 frames, then a wall for 8, as an upload with its answer."""
    folder = tmp_path_factory.mktemp("visit")
    write_video(folder / "upload.mp4", draw_moving_face(2.0, 12) + draw_wall(8), FPS)
    told = ask(predictor, folder / "upload.mp4")
    assert told[0] == ("Reading the video", 0.0)
    assert told[-1] == ("Drawing the answer into the video", None)
    return folder


def test_the_answer_is_that_of_the_tables(answered: Path) -> None:
    told = json.loads((answered / "answer.json").read_text())
    frames, segments = (pd.read_csv(answered / name) for name in ("frames.csv", "segments.csv"))
    assert (told["labels"], told["is_still"], len(told["colours"])) == (list(LABELS), False, 2)
    assert told["tracks"][0]["verdict"]["coverage"] == pytest.approx((segments["seen_share"] > 0).mean())
    (line,) = told["tracks"]
    assert line["times_s"] == pytest.approx(frames["time_s"], abs=1e-4)
    assert told["duration_s"] == pytest.approx(frames["time_s"].max())
    for number, name in enumerate(P):
        shown = [np.nan if value is None else value / 1000 for value in line["probabilities"][number]]
        assert shown == pytest.approx(frames[name], abs=1e-3, nan_ok=True)
    assert [LABELS[number] if number >= 0 else "" for number in line["predicted"]] == list(
        frames["predicted"].fillna("")
    )
    assert line["predicted"][-1] == -1
    assert line["uncertainty"] == [], "one model has none"


def test_each_face_has_a_line_of_the_whole_video(predictor: Predictor, tmp_path: Path) -> None:
    late = draw_wall(20) + draw_moving_face(0.5, 20, subject=5, scale_px=60)
    write_video(tmp_path / "upload.mp4", beside(draw_moving_face(0.5, 40), late), FPS)
    answer(predictor, tmp_path / "upload.mp4", 60.0, lambda *step: None, "all")
    told = json.loads((tmp_path / "answer.json").read_text())
    first, second = told["tracks"]
    assert (first["track"], second["track"]) == (1, 2)
    assert first["colour"] != second["colour"]
    for line in (first, second):
        assert line["times_s"] == pytest.approx(np.arange(40) / FPS, abs=1e-3)
        assert line["verdict"]["predicted"] in LABELS
        assert len(line["predicted"]) == len(line["probabilities"][0]) == 40
    assert set(second["predicted"][:16]) == {-1}, "it is not there yet"
    assert set(first["predicted"][:30]) <= {0, 1}
    explain(predictor, Explainer(predictor.members), tmp_path, 2, 1.2)
    assert json.loads((tmp_path / "moment.json").read_text())["start_s"] > 0.6


def test_of_many_faces_those_are_shown_that_are_seen_longest(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_MOST_FACES", 1)
    right = draw_moving_face(0.5, 24, subject=5, scale_px=60) + draw_wall(16)
    write_video(tmp_path / "upload.mp4", beside(draw_moving_face(0.5, 40), right), FPS)
    answer(predictor, tmp_path / "upload.mp4", 60.0, lambda *step: None, "all")
    told = json.loads((tmp_path / "answer.json").read_text())
    assert [line["track"] for line in told["tracks"]] == [1]
    assert told["remark"].endswith("the 1 of 2 faces that are seen longest can be chosen")


def test_the_video_is_there_and_no_file_names_the_machine(answered: Path) -> None:
    with av.open(str(answered / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20
        assert container.streams.video[0].codec_context.name == "h264", "which browsers play"
    for name in ("answer.json", "frames.csv", "segments.csv", "annotated.mp4"):
        assert str(answered).encode() not in (answered / name).read_bytes()


def test_a_moment_is_shown(predictor: Predictor, answered: Path) -> None:
    explain(predictor, Explainer(predictor.members), answered, 1, 0.2)
    told = json.loads((answered / "moment.json").read_text())
    assert told["start_s"] < 0.2 < told["end_s"]
    assert told["predicted"] in LABELS
    assert [tile["title"].split(",")[0] for tile in told["tiles"]] == ["Face", "Motion"]
    for tile in told["tiles"]:
        assert len(tile["seen"]) == len(tile["looked"]) == 1
        assert tile["looked"][0].startswith("data:image/png;base64,")
        assert tile["seen"] != tile["looked"]
    with pytest.raises(Refused, match="No face was seen for long enough"):
        explain(predictor, Explainer(predictor.members), answered, 2, 0.2)
    with pytest.raises(Refused, match="cannot say where it looks"):
        explain(predictor, Explainer([]), answered, 1, 0.2)


def wall(path: Path) -> None:
    write_video(path, draw_wall(20), FPS)


def broken(path: Path) -> None:
    wall(path)
    path.write_bytes(path.read_bytes()[:100] + b"\x00" * 5000)


def huge_picture(path: Path) -> None:
    picture = np.zeros((16000, 16000), np.uint8)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("upload.mp4", wall, NO_FACE),
        (
            "upload.mp4",
            lambda path: path.write_text("some words\n" * 500),
            NO_VIDEO,
        ),
        ("upload.mp4", playlist, NO_VIDEO),
        ("upload.mp4", broken, None),
        ("upload.mp4", lambda path: write_video(path, draw_moving_face(2.0, 1), FPS), "It is too short"),
        ("upload.png", huge_picture, TOO_MANY_PIXELS),
        (
            "upload.png",
            lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100),
            "It cannot be read as an image",
        ),
    ],
)
def test_a_fault_is_one_sentence(
    predictor: Predictor,
    of_stills: Predictor,
    tmp_path: Path,
    name: str,
    write: Callable[[Path], object],
    sentence: str | None,
) -> None:
    write(tmp_path / name)
    with pytest.raises(Refused) as refused:
        ask(of_stills if name.endswith(".png") else predictor, tmp_path / name)
    message = str(refused.value)
    assert message.startswith(sentence or "")
    assert message.endswith(".")
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert not (tmp_path / "answer.json").exists()


def test_a_long_video_is_left_early(predictor: Predictor, tmp_path: Path) -> None:
    write_video(tmp_path / "upload.mp4", draw_wall(40), FPS)
    with pytest.raises(Refused) as refused:
        ask(predictor, tmp_path / "upload.mp4", most_s=0.3)
    assert str(refused.value) == TOO_LONG


def test_a_video_larger_than_4k_is_left_early(predictor: Predictor, tmp_path: Path) -> None:
    write_video(tmp_path / "upload.mp4", [np.zeros((4096, 2400, 3), np.uint8)] * 5, FPS)
    with pytest.raises(Refused) as refused:
        ask(predictor, tmp_path / "upload.mp4")
    assert str(refused.value) == "Its pictures have 2400x4096 px; send it in 4K or smaller."


def test_a_picture_is_answered_with_a_picture(of_stills: Predictor, tmp_path: Path) -> None:
    (face,) = draw_moving_face(0.0, 1)
    cv2.imwrite(str(tmp_path / "upload.png"), face[..., ::-1])
    ask(of_stills, tmp_path / "upload.png")
    told = json.loads((tmp_path / "answer.json").read_text())
    assert told["is_still"]
    (line,) = told["tracks"]
    assert line["verdict"]["predicted"] in LABELS
    assert cv2.imread(str(tmp_path / "annotated.png")) is not None
