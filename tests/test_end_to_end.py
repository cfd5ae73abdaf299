"""The whole study on a tiny corpus: run it, open what it wrote, run it again, add a video."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import mlflow
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import predicted_rows
from nbclient import NotebookClient
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from test_house_rules import ROOT
from typer.testing import CliRunner

import fer_models
from fer_models.statistics.calibration import apply_temperature, expected_calibration_error
from flows.cli import app
from flows.prepare import prepare
from flows.split import split
from flows.study import full_study
from flows.train import train
from tasks.config.layout import Layout
from tasks.config.model_card import read_card
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import Clip, SampleCorpus, plan_clips, render_clip, write_corpus, write_video
from tasks.dataset.index import subset_file
from tasks.dataset.splits import SUBSETS
from tasks.report.input import collect
from tasks.study.comparison import best_run
from tasks.study.runs import plan_runs
from tasks.study.scoring import labels_of, probabilities_of

CORPUS = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180))
EMOTIONS = ("anger", "happiness", "sadness")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("study")
    write_corpus(folder / "corpus", CORPUS)
    arguments = {
        "preset": "sample",
        "overrides": {
            "name": "tiny",
            "data_root": str(folder / "data"),
            "corpus.root": str(folder / "corpus"),
            "corpus.draw_sample": False,
            "corpus.emotions": list(EMOTIONS),
            "model.width": 4,
            "model.head_units": 16,
            "training.epochs": 2,
            "training.refit": "train_and_validation",
            "arms": ["gap-sum", "temporal-only"],
        },
    }
    settings = resolve_settings(**arguments)
    layout = Layout.of(settings)
    prepare(**arguments, allow_failures=True)
    split(**arguments)
    test_subset = subset_file(layout.index, 0, "test")
    hidden = test_subset.rename(folder / "hidden.parquet")
    train(**arguments)
    hidden.rename(test_subset)
    trained = stamps(layout.runs, "model.keras")
    report = full_study(**arguments)
    return {"arguments": arguments, "report": report, "settings": settings, "layout": layout, "trained": trained}


def stamps(folder: Path, pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob(pattern)}


@pytest.mark.trains
def test_training_never_opened_the_test_side(study: dict[str, Any]) -> None:
    """The models that were trained while the index of the test subset was not there are those that were evaluated."""
    assert len(study["trained"]) == 2
    assert stamps(study["layout"].runs, "model.keras") == study["trained"]


def child_runs(layout: Layout) -> pd.DataFrame:
    mlflow.set_tracking_uri(f"sqlite:///{layout.root.absolute() / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["tiny"])
    return runs[runs["tags.fer.kind"] == "arm"].set_index("params.arm")


def test_the_ledger_lists_every_video_once(study: dict[str, Any]) -> None:
    ledger = pd.read_parquet(study["layout"].ledger)
    clips = plan_clips(CORPUS)
    assert sorted(ledger["video_id"]) == sorted(f"baum1s/{clip.name}" for clip in clips)
    outcome = dict(zip(ledger["video_id"], ledger["outcome"], strict=True))
    for clip in clips:
        content = {"no_face": "no_face", "missing": "file_missing", "truncated": "truncated"}.get(clip.content, "ok")
        wanted = content if clip.emotion in EMOTIONS or content == "file_missing" else "not_tried"
        found = outcome[f"baum1s/{clip.name}"]
        assert found == wanted or {found, wanted} == {"undecodable", "truncated"}


@pytest.mark.trains
def test_the_scores_are_those_of_the_predictions(study: dict[str, Any]) -> None:
    layout = study["layout"]
    runs = child_runs(layout)
    assert set(runs.index) == {"gap-sum", "temporal-only"}
    for run in plan_runs(study["settings"]):
        (predictions,) = run.folder.glob("test-*/predictions.parquet")
        segments = pd.read_parquet(predictions)
        assert set(segments["subject"]) == subjects_on_test(layout)
        logged = runs.loc[run.arm.name]
        assert logged["metrics.test_segment_accuracy"] == pytest.approx(
            accuracy_score(segments["emotion"], segments["predicted"])
        )
        probabilities = segments.groupby("video_id")[[f"p_{emotion}" for emotion in EMOTIONS]].mean()
        truth = segments.groupby("video_id")["emotion"].first()
        predicted = np.array(EMOTIONS)[probabilities.to_numpy().argmax(axis=1)]
        assert logged["metrics.test_video_uar"] == pytest.approx(balanced_accuracy_score(truth, predicted))
        assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-5)


def subjects_on_test(layout: Layout) -> set[str]:
    split = pd.read_parquet(layout.split)
    return set(split.loc[split["side"] == "test", "subject"])


def test_no_subject_is_on_two_sides(study: dict[str, Any]) -> None:
    index = pd.concat([pd.read_parquet(subset_file(study["layout"].index, 0, subset)) for subset in SUBSETS])
    assert (index.groupby("subject")["side"].nunique() == 1).all()
    assert set(index["side"]) == {"train", "validation", "test"}


@pytest.mark.trains
def test_mlflow_holds_the_run(study: dict[str, Any]) -> None:
    runs = child_runs(study["layout"])
    client = mlflow.MlflowClient()
    for _, run in runs.iterrows():
        assert run["status"] == "FINISHED"
        assert run["tags.backend"] == "tensorflow"
        history = client.get_metric_history(run["run_id"], "val_uar")
        assert [metric.step for metric in history] == [1, 2]
        figures = {file.path for file in client.list_artifacts(run["run_id"], "figures")}
        assert {"figures/confusion_videos.png", "figures/learning_curves.png", "figures/gradcam.jpg"} <= figures
    for kind in ("params", "tags"):
        assert runs[f"{kind}.arm.pooling"].to_dict() == {"gap-sum": "gap", "temporal-only": "flatten"}
        assert runs.loc["temporal-only", f"{kind}.arm.streams"] == "temporal"
    assert runs["tags.streams"].to_dict() == {"gap-sum": "spatial + temporal", "temporal-only": "temporal"}
    parent = client.get_run(runs.iloc[0]["tags.mlflow.parentRunId"])
    assert runs.loc[parent.data.tags["best_arm"], "metrics.test_video_uar"] == runs["metrics.test_video_uar"].max()
    assert "report/figures/contact_sheet.jpg" in {
        file.path for file in client.list_artifacts(parent.info.run_id, "report/figures")
    }
    assert {dataset.dataset.name for dataset in parent.inputs.dataset_inputs} == {"manifest", "index"}
    assert parent.info.artifact_uri.startswith(study["layout"].root.as_uri()), "artifacts lie in the data root"
    models = mlflow.search_logged_models(experiment_ids=[parent.info.experiment_id], output_format="list")
    assert len(models) == 2
    model = mlflow.keras.load_model(models[0].model_uri)
    assert model.output_shape == (None, len(EMOTIONS))


@pytest.mark.trains
def test_every_model_has_its_card(study: dict[str, Any]) -> None:
    layout = study["layout"]
    train = pd.read_parquet(subset_file(layout.index, 0, "train")).drop_duplicates("video_id")
    people = set(pd.read_parquet(layout.split)["subject"])
    logged = child_runs(layout)
    for run in plan_runs(study["settings"]):
        card = read_card(run.folder / "model.keras")
        assert card
        assert (card.arm, card.labels, card.seeds, card.fold) == (run.arm.name, EMOTIONS, (run.seed,), "")
        assert {one.name: one.videos for one in card.classes} == train["emotion"].value_counts().to_dict()
        (videos,) = (pd.read_parquet(path) for path in run.folder.glob("test-*/videos.parquet"))
        covered = videos[videos["num_segments"] > 0]
        uar = balanced_accuracy_score(covered["emotion"], covered["predicted"])
        assert card.scores["video_uar"].estimate == pytest.approx(uar)
        assert card.scores["video_accuracy"].estimate == pytest.approx(
            accuracy_score(covered["emotion"], covered["predicted"])
        )
        low, high = card.scores["video_uar"].low, card.scores["video_uar"].high
        assert low is not None
        assert high is not None
        assert low <= uar <= high
        assert card.subsets[-1].videos == len(covered)
        scaled = probabilities_of(covered, EMOTIONS, "scaled_")
        assert card.ece_scaled == pytest.approx(expected_calibration_error(labels_of(covered, EMOTIONS), scaled))
        assert apply_temperature(probabilities_of(covered, EMOTIONS), card.temperature) == pytest.approx(scaled)
        text = (run.folder / "model_card.md").read_text(encoding="utf-8")
        said = text + (run.folder / "model_card.json").read_text(encoding="utf-8")
        assert not [name for name in people if name in said]
        assert str(layout.root.parent) not in said
        of_run = logged.loc[run.arm.name]
        assert of_run["tags.mlflow.note.content"] == text
        artifacts = {file.path for file in mlflow.MlflowClient().list_artifacts(of_run["run_id"])}
        assert {"model_card.json", "model_card.md"} <= artifacts


@pytest.mark.trains
def test_what_is_logged_is_served_with_its_card(study: dict[str, Any], tmp_path: Path) -> None:
    """The very file of the run, so that the card beside it counts."""
    layout = study["layout"]
    of_run = child_runs(layout).loc["gap-sum"]
    (model_id,) = [one.model_id for one in mlflow.get_run(of_run["run_id"]).outputs.model_outputs]
    folder = mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=str(tmp_path))
    assert read_card(Path(folder, "data", "model.keras"))
    run = plan_runs(study["settings"])[0]
    example = mlflow.artifacts.load_dict(f"runs:/{of_run['run_id']}/input_example.json")["inputs"]
    segments = {"face": np.array(example["face"], np.uint8)}
    segments["optical_flow"] = np.array(example["optical_flow"], np.float32)
    found = mlflow.pyfunc.load_model(f"models:/{model_id}").predict(segments)
    expected = fer_models.load_model(run.folder / "model.keras").predict_on_batch(list(segments.values()))
    assert list(found) == list(EMOTIONS)
    assert np.stack(list(found.values()), axis=1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.trains
def test_the_report_is_self_contained_and_true(study: dict[str, Any]) -> None:
    html = study["report"].read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", html), "no outside requests"
    score = child_runs(study["layout"]).loc["gap-sum", "metrics.test_video_uar"]
    assert f"{100 * score:.1f}" in html
    markdown = (study["report"].parent / "report.md").read_text(encoding="utf-8")
    card = read_card(best_run(study["settings"], collect(study["settings"]).best).folder / "model.keras")
    assert card
    for text in (html, markdown):
        assert card.model_sha256 in text
        assert "Article 5(1)(f)" in text
    for figure in re.findall(r"\]\((figures/[^)]+)\)", markdown):
        assert (study["report"].parent / figure).is_file()


def test_a_second_study_does_nothing_again(study: dict[str, Any]) -> None:
    layout = study["layout"]

    def made() -> dict[Path, int]:
        found = stamps(layout.shards, "*.parquet")
        for name in ("*.keras", "evaluation.json", "model_card.*"):
            found |= stamps(layout.runs, name)
        return found

    before = made()
    runs = child_runs(layout)
    other_ways = {"execution.workers": 1, "watch.study_after": 3}  # which decide no result
    full_study(**study["arguments"] | {"overrides": study["arguments"]["overrides"] | other_ways})
    assert made() == before
    assert list(child_runs(layout)["run_id"]) == list(runs["run_id"])


def test_a_model_recognises_a_new_video(study: dict[str, Any], tmp_path: Path) -> None:
    run = plan_runs(study["settings"])[0]
    path = tmp_path / "new clip.mp4"
    write_video(path, render_clip(CORPUS, Clip(9, 1, "happiness")), 25)
    (tmp_path / "broken.mp4").write_bytes(b"broken")
    predictions = predicted_rows(run.folder / "model.keras", [tmp_path]).set_index("outcome")
    assert predictions.loc["ok", "predicted"] in EMOTIONS
    assert predictions.loc["ok", [f"p_{emotion}" for emotion in EMOTIONS]].sum() == pytest.approx(1.0, abs=1e-5)
    assert predictions.loc["undecodable", "predicted"] == ""


def test_what_a_study_came_to_can_be_read_by_programs(study: dict[str, Any], tmp_path: Path) -> None:
    """With `--json`, from the commands that look at it."""
    config = tmp_path / "study.yaml"
    overrides = study["arguments"]["overrides"]
    config.write_text(yaml.safe_dump({"preset": "sample"} | nested(overrides)), encoding="utf-8")

    def answer(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--config", str(config), "--json"])
        found = json.loads(result.stdout)
        assert found["ok"] is (result.exit_code == 0), result.output
        return found

    status = answer("status")["tables"]
    counts = pd.read_parquet(study["layout"].ledger)["outcome"].value_counts().rename({"not_tried": "out_of_scope"})
    assert {row["outcome"]: row["videos"] for row in status["outcomes"] if row["videos"]} == counts.to_dict()
    assert [row["outcome"] for row in status["not_used"]].count("ok") == 0
    assert status["runs"] == [{"run": f"{arm}, seed 1", "trained": True} for arm in ("gap-sum", "temporal-only")]
    report = answer("report")
    assert report["result"] == f"Report: {study['report']}"
    results = pd.read_csv(study["report"].parent / "results.csv").set_index("arm")
    for row in report["tables"]["results"]:
        assert row["video_uar"] == pytest.approx(results.loc[row["arm"], "video_uar"], abs=1e-4)
        assert row["video_uar_low"] <= row["video_uar"] <= row["video_uar_high"]
    audit = answer("audit")
    assert audit["ok"] is not any(row["severity"] == "error" for row in audit["tables"]["findings"])
    quiet = CliRunner().invoke(app, ["status", "--config", str(config), "--quiet"])
    assert quiet.stdout.endswith("2 of 2 runs are trained.\n")
    assert len(quiet.stdout.splitlines()) == 1


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    """Settings as a file has them."""
    found: dict[str, Any] = {}
    for key, value in dotted.items():
        *groups, last = key.split(".")
        inner = found
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return found


def test_the_report_is_light(study: dict[str, Any]) -> None:
    """Of two arms here; that of the sample study has 11 and must stay below 3 MB."""
    page = study["report"].read_text(encoding="utf-8")
    pictures = re.findall(r'src="([^"]+)"', page)
    kept = list((study["report"].parent / "figures").iterdir())
    assert len(page) < 600_000 < sum(path.stat().st_size for path in kept)
    assert {address.partition(",")[0] for address in pictures} == {"data:image/webp;base64"}
    shown = [address for address in pictures if len(address) > 10_000]
    assert len(shown) == len(set(shown)), "a figure is embedded twice"
    for run in plan_runs(study["settings"]):
        (tiles,) = run.folder.glob("test-*/tiles.parquet")
        ids = pd.read_parquet(tiles)["tile_id"]
        assert [one for one in ids if f"<code>{one}</code>" not in page] == []


def test_no_markdown_is_left_in_the_report(study: dict[str, Any]) -> None:
    page = study["report"].read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>|<pre>.*?</pre>|<[^>]+>", "", page, flags=re.DOTALL)
    assert "Where it looked" in text
    assert re.findall(r"`|\*\*|\]\(|^\s*(?:#+ |\| |[-*] ).*$|\{[{%].*", text, re.MULTILINE) == []


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_this_study(
    path: Path, study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stranger would run it, but for the folder that its first cell names."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # set in this process, as in those of all commands
    book = nbformat.read(path, as_version=4)
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    assert first.source.count('Path("fer-data/sample/studies/sample")') == 1
    first.source = first.source.replace("fer-data/sample/studies/sample", str(study["report"].parent.parent))
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(str(cell.get("outputs", "")) for cell in book.cells)
    assert {"gap-sum", "temporal-only"} <= set(re.findall(r"[a-z]+-[a-z]+", said))
    assert said.count("image/png") == 1


@pytest.mark.slow
def test_one_more_video_touches_one_video(study: dict[str, Any]) -> None:
    """Last of the module, for it changes the corpus."""
    layout = study["layout"]
    before = stamps(layout.shards, "*.parquet")
    subsets = pd.read_parquet(layout.split)
    table = pd.read_parquet(layout.manifest)
    lost = table[(table["status"] == "file_missing")].iloc[0]
    source = table[(table["status"] == "ok") & (table["subject"] == lost["subject"])].iloc[0]
    Path(lost["uri"]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source["uri"], lost["uri"])
    Path(lost["uri"]).write_bytes(Path(source["uri"]).read_bytes() + b"\0")  # other content, same film
    one_arm = {"arms": ["temporal-only"]}  # to train both of them again would tell no more
    full_study(**study["arguments"] | {"overrides": study["arguments"]["overrides"] | one_arm})
    after = stamps(layout.shards, "*.parquet")
    assert {path: stamp for path, stamp in after.items() if path in before} == before
    assert len(after) == len(before) + 1
    ledger = pd.read_parquet(layout.ledger).set_index("video_id")
    assert ledger.loc[lost["video_id"], "outcome"] == "ok"
    assert (ledger.loc[ledger["outcome"] == "ok", "attempts"] == 1).all()
    now = pd.read_parquet(layout.split)
    assert len(now.merge(subsets, on=["video_id", "subject", "side"])) == len(subsets), "nobody moved"
    pairs = pd.read_csv(study["report"].parent / "comparison.csv")
    assert pairs.empty, "one arm has nothing to be compared with"
    assert {"first", "second", "difference", "verdict"} <= set(pairs.columns)
