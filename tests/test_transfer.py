"""From single images to videos: a network of faces, then two streams that begin with it, and who is told of it."""

from pathlib import Path

import cv2
import pandas as pd
import pytest
from conftest import FPS, predicted_rows, video_file

from fer_models.models.building import load_model, model_lineage
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.dataset.audit import audit
from tasks.dataset.findings import Check, Finding
from tasks.dataset.index import build_index, read_seen
from tasks.dataset.splits import update_split
from tasks.outcomes import Outcome
from tasks.preparation.ledger import write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.scan import scan_corpus
from tasks.preparation.shards import shard_path
from tasks.study.initial_weights import TRANSFERS_FILE, count_taken, saved_models
from tasks.study.runs import Run, plan_runs, train_run

pytestmark = [pytest.mark.trains, pytest.mark.slow]

EMOTIONS = ["anger", "happiness"]
#: As small as a study can be.
TINY = {
    "corpus.emotions": EMOTIONS,
    "model.form": "modern",
    "model.width": 4,
    "training.steps": 4,
    "training.epochs": 2,
    "training.batch_size": 4,
    "training.refit": "none",
    "training.precision": "float32",
    "prepare.detector": "haar",
}
DRAWN = SampleCorpus(seconds=0.8, size=(240, 180), faults=False)


def prepared(settings: StudySettings) -> StudySettings:
    """The same once it is prepared and split, without any service."""
    layout = Layout.of(settings)
    manifest = scan_corpus(settings).manifest
    usable = manifest[manifest["status"] == Outcome.OK]
    reports = {
        str(row.sha256): prepare_file(
            video_file(Path(str(row.uri))), shard_path(layout.shards, str(row.sha256)), settings.prepare
        )
        for row in usable.itertuples()
    }
    ledger = write_ledger(layout.ledger, manifest, reports, {})
    split = update_split(ledger, settings.corpus.emotions, settings.split, layout.split)
    build_index(ledger, split, layout.prepared, layout.index, settings.prepare.windows)
    return settings


def train_all(settings: StudySettings) -> dict[str, Run]:
    runs = plan_runs(settings)
    for run in runs:
        train_run(settings, run, lambda epoch: None)
    return {run.arm.name: run for run in runs}


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySettings, dict[str, Run]]:
    """A trained study of single images, of which one is damaged, in the layout of FER2013."""
    root = tmp_path_factory.mktemp("stills")
    for subject in range(1, 7):
        for number, emotion in enumerate(EMOTIONS):
            frame = render_clip(DRAWN, Clip(subject, number, emotion))[8]
            path = root / "corpus" / ("train" if subject < 5 else "test") / emotion / f"p{subject}_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".jpg", frame[20:160, 50:190, ::-1])[1].tobytes())
    (root / "corpus" / "train" / "anger" / "p9_0.png").write_bytes(b"no image")
    given = {
        "corpus.root": root / "corpus",
        "corpus.subject_pattern": "(p[0-9])_",
        "data_root": root / "data",
        "arms": ["spatial-only", "hog-svm"],
        "seeds": 2,
    }
    settings = prepared(resolve_settings("images", None, TINY | given))
    return settings, train_all(settings)


@pytest.fixture(scope="module")
def videos(stills: tuple[StudySettings, dict[str, Run]], tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    """A prepared study of videos that begins with that of single images; one of the people is in both."""
    root = tmp_path_factory.mktemp("videos")
    for subject in range(11, 17):
        for number, emotion in enumerate(EMOTIONS):
            path = root / "corpus" / emotion / f"p{subject}" / "a.mp4"
            path.parent.mkdir(parents=True)
            write_video(path, render_clip(DRAWN, Clip(subject, number, emotion)), FPS)
    given = {
        "corpus.root": root / "corpus",
        "data_root": root / "data",
        "arms": ["gap-sum", "temporal-only"],
        "training.initial_weights": str(Layout.of(stills[0]).study),
        "training.freeze": "warmup",
        "prepare.segment_stride": 4,
    }
    return prepared(resolve_settings("modern", None, TINY | given))


def test_images_are_prepared_split_and_learned(stills: tuple[StudySettings, dict[str, Run]]) -> None:
    settings, runs = stills
    layout = Layout.of(settings)
    ledger = pd.read_parquet(layout.ledger).set_index("video_id")
    assert ledger["outcome"].value_counts().to_dict() == {"ok": 12, "undecodable": 1}
    assert ledger.loc["train/anger/p9_0.png", "message"].startswith("p9_0.png cannot be read as an image")
    assert set(ledger["subject"]) == {f"p{number}" for number in (*range(1, 7), 9)}
    seen = read_seen(layout.index, 0, tuple(EMOTIONS))
    assert (len(seen), seen["video_id"].nunique()) == (10, 10)
    model = load_model(runs["spatial-only"].folder / "model.keras")
    assert [tensor.name for tensor in model.inputs] == ["face"]
    found = predicted_rows(runs["spatial-only"].folder / "model.keras", [Path(ledger["uri"].iloc[-1])])
    assert found["outcome"].tolist() == ["ok"]
    assert not [finding for finding in audit(settings) if finding.check is Check.FILES]


def test_two_streams_begin_with_them(
    stills: tuple[StudySettings, dict[str, Run]], videos: StudySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = train_all(videos)
    told = capsys.readouterr().err
    assert "gap-sum, seed 1 begins with 20 weights of " in told
    assert "temporal-only, seed 1 begins fresh: no model of " in told
    table = pd.read_csv(runs["gap-sum"].folder / TRANSFERS_FILE).set_index("weight")["outcome"]
    assert set(table[table.index.str.startswith("spatial_conv")]) == {"taken"}
    assert set(table[table.index.str.startswith("temporal_")]) == {"not in the source"}
    assert count_taken(runs["temporal-only"].folder) is None
    (source,) = saved_models(videos)
    earlier, later = (model_lineage(load_model(path)) for path in (source, runs["gap-sum"].folder / "model.keras"))
    assert earlier is not None
    assert later is not None
    assert len(earlier.videos) == 10
    assert set(earlier.videos) < set(later.videos)
    assert later.origins[0].name == f"images/{source.parent.name}"
    assert later.origins[0].trained_on == "the training and validation people of the study images (images)"


def test_whoever_is_in_both_is_found(stills: tuple[StudySettings, dict[str, Run]], videos: StudySettings) -> None:
    """An image that the network was trained on stands among the test videos of the other study."""
    layout = Layout.of(videos)
    source, arms = next(iter(saved_models(videos).items()))
    assert arms == ["gap-sum"]

    def seen() -> list[Finding]:
        return [one for one in audit(videos, {source: arms}) if one.check is Check.EARLIER_TRAINING]

    assert seen() == []
    ledger = pd.read_parquet(layout.ledger)
    planted = read_seen(Layout.of(stills[0]).index, 0, tuple(EMOTIONS))["sha256"].iloc[0]
    split = pd.read_parquet(layout.split)
    tested = split.loc[split["side"] == "test", "sha256"].iloc[0]
    ledger.replace({tested: planted}).to_parquet(layout.ledger)
    split.replace({tested: planted}).to_parquet(layout.split)
    (finding,) = seen()
    assert finding.what.startswith("the model that gap-sum begins with has seen 1 of the people who are tested: p1")
