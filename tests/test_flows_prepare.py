"""The preparation as a Prefect flow: what Prefect shows of it, and doing again only what is asked for."""

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from fer_models.errors import UserError
from flows.prepare import prepare
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.changes import read_changes
from tasks.corpus.sample.corpus import write_video

#: Shorter than the preparation of any film; for runs in which one is to be given up.
AT_ONCE = {"execution.timeout_s": 0.02, "execution.retry_pause_s": 0.0}
LONG = "anger/carl/long.mp4"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of three subjects, of a wall, and a long one of a wall."""
    folder = tmp_path_factory.mktemp("drawn")
    for name, frames in {
        "anger/anna/a": draw_moving_face(1.0, 20, subject=1),
        "fear/ben/b": draw_moving_face(1.0, 20, subject=2),
        "fear/carl/c": draw_moving_face(1.0, 20, subject=4),
        "anger/carl/wall": draw_wall(20),
        "anger/carl/long": draw_wall(40, (1280, 960)) * 5,
    }.items():
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames, FPS)
    return folder


@pytest.fixture
def corpus(drawn: Path, tmp_path: Path) -> dict[str, Any]:
    """The overrides that prepare a copy of them."""
    shutil.copytree(drawn, tmp_path / "videos")
    return {
        "corpus.adapter": "folder",
        "corpus.root": str(tmp_path / "videos"),
        "corpus.emotions": ["anger", "fear"],
        "data_root": str(tmp_path / "data"),
        "prepare.segment_stride": 1,
    }


def run(corpus: dict[str, Any], *videos: str, **more: Any) -> tuple[dict[str, int], pd.DataFrame, Path]:
    overrides = corpus | more
    counts = prepare(overrides=overrides, videos=list(videos) or None, allow_failures=True)
    layout = Layout.of(resolve_settings(None, None, overrides))
    return counts, pd.read_parquet(layout.ledger).set_index("video_id"), layout.changes


def states_of_newest_run() -> dict[str, str]:
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_runs(limit=1, sort="START_TIME_DESC")[0]
        runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
    return {task_run.name: str(task_run.state.type.value) for task_run in runs if task_run.state}


def test_a_run_and_the_next(corpus: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    counts, ledger, _ = run(corpus, LONG, **AT_ONCE)
    assert counts == {"not_tried": 4, "timeout": 1}
    assert ledger.loc[LONG, "message"] == "it took longer than 0.02 s"
    counts, ledger, changes = run(corpus, *set(ledger.index) - {LONG})
    assert counts == {"ok": 3, "no_face": 1, "timeout": 1}
    assert ledger["attempts"].tolist() == [1] * 5
    assert read_changes(changes).empty

    counts, ledger, _ = run(corpus, "fear/ben/b.mp4")
    assert counts == {"ok": 3, "no_face": 1, "timeout": 1}, "what was not asked for stays as it was"
    assert ledger["attempts"].to_dict() | {"fear/ben/b.mp4": 2} == ledger["attempts"].to_dict()
    assert ledger["attempts"].sum() == 6

    counts, ledger, _ = run(corpus)
    assert counts == {"ok": 3, "no_face": 2}
    assert ledger.loc[LONG, "attempts"] == 2

    folder = Path(corpus["corpus.root"])
    (folder / "fear/carl/c.mp4").rename(folder / "fear/carl/renamed.mp4")
    (folder / "anger/carl/wall.mp4").write_bytes(b"no film")
    (folder / "anger/carl/long.mp4").unlink()
    capsys.readouterr()
    counts, ledger, changes = run(corpus)
    assert counts == {"ok": 3, "undecodable": 1}
    assert ledger.loc["fear/carl/renamed.mp4", "attempts"] == 1, "renaming costs no decoding"
    kept = read_changes(changes).set_index("change")["video_id"].to_dict()
    assert kept == {
        "renamed": "fear/carl/renamed.mp4",
        "changed": "anger/carl/wall.mp4",
        "removed": "anger/carl/long.mp4",
    }
    assert "1 renamed: fear/carl/c.mp4 -> fear/carl/renamed.mp4" in capsys.readouterr().err


def test_parts_of_a_corpus_that_are_prepared_apart_become_one(tmp_path: Path) -> None:
    """Each part in a data root of its own, on any machine: their shards put together leave nothing to decode."""
    for subject, (emotion, name) in enumerate((("anger", "anna"), ("fear", "ben"), ("fear", "carl"))):
        path = tmp_path / "videos" / emotion / name / "a.mp4"
        path.parent.mkdir(parents=True)
        write_video(path, draw_moving_face(1.0, 20, subject=subject), FPS)
    whole = {
        "corpus.adapter": "folder",
        "corpus.root": str(tmp_path / "videos"),
        "corpus.emotions": ["anger", "fear"],
        "data_root": str(tmp_path / "whole"),
    }
    for name in ("anger", "fear"):
        part = {
            "corpus.adapter": "videos",
            "corpus.root": str(tmp_path / "videos" / name),
            "data_root": str(tmp_path / name),
        }
        run(part)
        source, target = (Layout.of(resolve_settings(None, None, one)).shards for one in (part, whole))
        shutil.copytree(source, target, dirs_exist_ok=True)
    counts, ledger, _ = run(whole)
    assert counts == {"ok": 3}
    assert ledger["attempts"].tolist() == [0, 0, 0]


@pytest.mark.slow
def test_too_many_failures_fail_the_run_with_the_table_of_reasons(tmp_path: Path, corpus: dict[str, Any]) -> None:
    (tmp_path / "videos" / "anger/carl/wall.mp4").write_bytes(b"no film")
    with pytest.raises(UserError, match=r"2 of 5 videos(.|\n)* 1  undecodable +such as anger/carl/wall.mp4: it cannot"):
        run(corpus, **{"execution.max_failed_share": 0.0})


def test_an_unknown_video_is_named(corpus: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"There is no video 'fear/x.mp4' in the corpus any more"):
        run(corpus, "fear/x.mp4")


def test_prefect_shows_a_failed_video_by_its_name(corpus: dict[str, Any]) -> None:
    counts, _, _ = run(corpus, LONG, **AT_ONCE)
    assert counts == {"not_tried": 4, "timeout": 1}
    assert states_of_newest_run() == {f"prepare {LONG}": "FAILED"}


def test_a_run_with_failed_videos_fails_and_says_which_and_why(corpus: dict[str, Any]) -> None:
    state = prepare(overrides=corpus, return_state=True)
    assert state.is_failed()
    with pytest.raises(UserError, match=re.escape(state.message)):
        state.result()
    assert re.fullmatch(r"[12] videos could not be used: \d \w+ such as anger/carl/\w+\.mp4: .*\.", state.message)
    state = prepare(overrides=corpus, return_state=True)
    assert state.is_completed(), "a fault of the data that is known already fails no further run"
    assert state.message == "0 videos prepared, none failed."
