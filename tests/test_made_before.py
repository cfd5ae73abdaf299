"""What an earlier version made goes on: a data root is taken up as it is, and a model says what it said.

`made_before/` was made by `made_before/make.py`, with the code of version 0.1.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from made_before.make import ARGUMENTS, HERE

from fer_models.models.building import load_model
from fer_models.training.engine import predict
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.split import split
from flows.train import train
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.study.runs import plan_runs, run_arrays

SAID = json.loads((HERE / "said.json").read_text())


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The flows' arguments, in a folder that holds a copy of the data root."""
    for name in ("corpus", "data"):
        shutil.copytree(HERE / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return ARGUMENTS


def contents(folder: Path, pattern: str) -> dict[Path, tuple[int, bytes]]:
    found = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob(pattern)}
    assert found
    return found


def test_no_video_is_decoded_again(arguments: dict[str, Any]) -> None:
    layout = Layout.of(resolve_settings(**arguments))
    shards = contents(layout.shards, "*.parquet")
    ledger = pd.read_parquet(layout.ledger)
    assert prepare(**arguments) == {"ok": 6}
    assert contents(layout.shards, "*.parquet") == shards
    columns = ["video_id", "sha256", "outcome", "attempts", "num_segments", "num_covered", "tried_at", "shard"]
    assert pd.read_parquet(layout.ledger)[columns].equals(ledger[columns])


def test_nobody_changes_sides(arguments: dict[str, Any]) -> None:
    layout = Layout.of(resolve_settings(**arguments))
    before = layout.split.read_bytes()
    prepare(**arguments)
    split(**arguments)
    assert layout.split.read_bytes() == before


@pytest.mark.skipif(keras.backend.backend() != SAID["backend"], reason="a run belongs to its backend")
@pytest.mark.slow
def test_no_run_is_trained_again(arguments: dict[str, Any]) -> None:
    layout = Layout.of(resolve_settings(**arguments))
    models = contents(layout.runs, "model.keras")
    for flow in (prepare, split, train):
        flow(**arguments)
    assert contents(layout.runs, "model.keras") == models
    evaluate(**arguments)
    results = pd.read_csv(layout.report / "results.csv")
    assert len(results) == 2


def test_a_model_says_what_it_said(arguments: dict[str, Any]) -> None:
    run = plan_runs(resolve_settings(**arguments))[0]
    segments = run_arrays(resolve_settings(**arguments), run, "train")
    assert list(segments.names) == SAID["segments"]
    probabilities = predict(load_model(SAID["run"] + "/model.keras"), segments)
    assert probabilities == pytest.approx(np.array(SAID["probabilities"]), abs=1e-4)
