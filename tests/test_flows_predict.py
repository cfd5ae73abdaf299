"""Predicting many videos as a Prefect flow: what Prefect shows of it, and trying again what crashed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import ArtifactSort
from test_flows_prepare import states_of_newest_run
from test_inference_predictor import OVERLAPPING, build

from fer_models.errors import UserError, VideoFault
from flows.predict import predict
from tasks.corpus.sample.corpus import write_video
from tasks.inference.batch import parts, running
from tasks.inference.batch.cutting import cut_video
from tasks.inference.batch.folders import Placed
from tasks.inference.batch.parts import split_into_parts
from tasks.inference.batch.planning import Due
from tasks.outcomes import Outcome


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model and a list of three videos, one of which shows nobody."""
    folder = tmp_path_factory.mktemp("asked")
    build("gap-sum", OVERLAPPING).save(folder / "model.keras")
    for name, frames in {"a": draw_moving_face(1.0, 12), "b": draw_moving_face(1.0, 9), "wall": draw_wall(9)}.items():
        write_video(folder / f"{name}.mp4", frames, FPS)
    (folder / "list.txt").write_text("a.mp4\nb.mp4\nwall.mp4\n")
    return {"model": str(folder / "model.keras"), "videos": str(folder / "list.txt")}


@pytest.fixture(autouse=True)
def _here_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos are cut in this process, and nothing is waited for."""
    monkeypatch.setattr(parts, "children_for", lambda _: 0)
    monkeypatch.setattr(parts, "time", SimpleNamespace(sleep=lambda _: None))


def newest_artifacts(count: int) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        found = client.request(
            "POST", "/artifacts/filter", json={"limit": count, "sort": ArtifactSort.CREATED_DESC.value}
        ).json()
    return {artifact["type"]: artifact for artifact in found}


@pytest.mark.slow
def test_all_faces_are_followed_where_that_is_asked_for(asked: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(**asked, out=str(out), faces="all") == {"ok": 2, "no_face": 1}
    table = pd.read_csv(out / "predictions.csv")
    assert table["track"].tolist() == [1, 1, 0]
    shown = newest_artifacts(3)
    assert [row["track"] for row in json.loads(shown["table"]["data"])] == [1, 1, 0]


@pytest.mark.slow
def test_a_run_and_the_next(asked: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(**asked, out=str(out), by="segment", stride=1) == {"ok": 2, "no_face": 1}
    assert states_of_newest_run() == {"predict a.mp4 and 2 more": "FAILED"}, "of one of them nothing can be said"
    assert len(pd.read_csv(out / "a.mp4" / "segments.csv")) == 9
    shown = newest_artifacts(3)
    rows = json.loads(shown["table"]["data"])
    assert [(row["folder"], row["outcome"]) for row in rows] == [
        ("a.mp4", "ok"),
        ("b.mp4", "ok"),
        ("wall.mp4", "no_face"),
    ]
    assert shown["table"]["description"] == "3 videos, 3 of them predicted now: 2 ok, 1 no_face."
    assert "| ok | 2 |" in shown["markdown"]["data"]
    assert "predictions.csv" in shown["markdown"]["data"]
    state = predict(**asked, out=str(out), by="segment", stride=1, return_state=True)
    assert state.is_completed()
    assert state.message == "3 videos, nothing to do: 2 ok, 1 no_face."
    assert states_of_newest_run() == {}


@pytest.mark.parametrize(
    ("faults", "ends", "num_tasks"), [(1, {"ok": 2, "no_face": 1}, 2), (3, {"ok": 1, "crashed": 1, "no_face": 1}, 3)]
)
def test_a_crashed_video_is_tried_again_in_a_task_of_its_own(
    asked: dict[str, Any],
    tmp_path: Path,
    faults: int,
    ends: dict[str, int],
    num_tasks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = [faults]

    def crash(path: Path, *more: Any) -> Any:
        if path.name == "b.mp4" and left[0]:
            left[0] -= 1
            raise VideoFault(Outcome.CRASHED, "the worker process died")
        return cut_video(path, *more)

    monkeypatch.setattr(running, "cut_video", crash)
    state = predict(**asked, out=str(tmp_path / "out"), return_state=True)
    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(limit=1, sort="START_TIME_DESC")[0]
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        names = [task.name for task in client.read_task_runs(flow_run_filter=of_run)]
    assert sorted(names) == ["predict a.mp4 and 2 more", *["predict b.mp4"] * (num_tasks - 1)]
    assert state.is_failed() == ("crashed" in ends)
    if state.is_failed():
        assert state.message.endswith("1 can be tried again: run the same once more.")
        with pytest.raises(UserError, match="1 can be tried again"):
            state.result()
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["outcome"].value_counts().to_dict() == ends
    assert predict(**asked, out=str(tmp_path / "out")) == {"ok": 2, "no_face": 1}, "the next run tries it again"


@pytest.mark.parametrize("name", ["videos", "out"])
def test_what_is_not_said_is_asked_for(asked: dict[str, Any], tmp_path: Path, name: str) -> None:
    given = {**asked, "out": str(tmp_path / "out")}
    with pytest.raises(UserError, match=f"The parameter {name} is empty"):
        predict(**{**given, name: ""})


def test_a_model_that_is_none_ends_the_run(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_text("no model")
    with pytest.raises(UserError, match="is not a model of this project"):
        predict(str(tmp_path / "model.keras"), asked["videos"], str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(0, None, []), (5, None, [5]), (40, None, [16, 16, 8]), (3, 1, [1] * 3)]
)
def test_videos_share_tasks(count: int, size: int | None, sizes: list[int]) -> None:
    due = [Due(Placed(Path(f"{number}.mp4"), Path(str(number)))) for number in range(count)]
    found = split_into_parts(due, size)
    assert [len(part.due) for part in found] == sizes
    assert [one for part in found for one in part.due] == due
    assert all(part.name.startswith(part.due[0].placed.video.name) for part in found)
    many = [Due(Placed(Path("v"), Path("f")))] * 100_000
    assert {len(part.due) for part in split_into_parts(many)} == {256, 100_000 % 256}
