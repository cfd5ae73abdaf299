"""Every family of models says the same of a video on all ways to ask it: Python, the command, the flow, the page."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from test_inference_batch_command import fer

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, model_network
from fer_models.models.families import FAMILIES
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings
from flows.predict import predict as predict_flow
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.inference.batch import parts
from tasks.inference.predictor import Predictor
from tasks.inference.pretrained import pretrained_model
from tasks.inference.web.answering import answer

#: Arms of each family; that of FER2013 has a published network alone.
ARMS = {
    "two-stream": ("gap-sum", "fer2013-gap-sum"),
    "linear": ("hog-svm", "lbp-top-svm"),
    "frame-stack": ("frame-stack-sum",),
    "volume": ("c3d",),
    "recurrent": ("lstm-fused", "convlstm-spatial"),
    "backbone": ("vgg16-concatenate",),
    "zhang2019": ("zhang2019-dense", "zhang2019-dbn"),
    "fer2013": ("",),
}
PREPARE = PrepareSettings(segment_length=6, segment_stride=3, frames_per_segment=3)
LABELS = ("anger", "fear", "happiness")


def test_each_family_has_an_arm_here() -> None:
    assert ARMS.keys() == FAMILIES.keys()
    assert [name for family, names in ARMS.items() for name in names if name and get_arm(name).family != family] == []


def build(name: str) -> keras.Model:
    """An untrained model whose probabilities differ from segment to segment."""
    if not name:
        return pretrained_model()
    prepare = PREPARE.model_dump(mode="json")
    settings = ModelSettings(width=2, head_units=4, backbone_width=0.1)
    model = build_model(
        get_arm(name), settings, LABELS, prepare=prepare, shape=SegmentShape(PREPARE.frames_per_segment)
    )
    logits, rng = model.get_layer(model_network(model).logits), np.random.default_rng(0)
    logits.set_weights([rng.normal(size=one.shape) for one in logits.get_weights()])
    return model


def numbers(table: pd.DataFrame) -> np.ndarray:
    """The probabilities of a table, (n, classes)."""
    return table[[name for name in table if name.startswith("p_")]].to_numpy(float)


def check_agreement(video: pd.DataFrame, segments: pd.DataFrame, frames: pd.DataFrame) -> None:
    """The row of a video is the mean of its segments, and that of a frame the mean of those that it stands in."""
    said = segments[segments["seen_share"] > 0]
    assert 0 < len(said) < len(segments)
    assert numbers(video)[0] == pytest.approx(numbers(said).mean(axis=0), abs=1e-6)
    assert video["num_segments"][0] == len(said)
    for row, expected in zip(frames.to_dict("records"), numbers(frames), strict=True):
        around = said[(said["first_frame"] <= row["frame"]) & (row["frame"] <= said["last_frame"])]
        if row["face"] == "none" or not len(around):
            assert np.isnan(expected).all()
        else:
            assert expected == pytest.approx(numbers(around).mean(axis=0), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for names in ARMS.values() for name in names], ids=lambda name: name or "fer2013"
)
def test_all_ways_give_the_same_numbers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.using.signal.signal", lambda *_: None)  # Ctrl-C stays pytest's own
    monkeypatch.setattr(parts, "children_for", lambda _: 0)
    monkeypatch.setattr(parts, "time", SimpleNamespace(sleep=lambda _: None))
    clip, model = tmp_path / "clip.mp4", tmp_path / "model.keras"
    write_video(clip, draw_moving_face(1.5, 18) + draw_wall(12), FPS)
    build(name).save(model)
    predictor = Predictor.load(model)
    alone = predictor.predict(clip)
    tables = {by: alone.table(by) for by in ("video", "segment", "frame")}
    check_agreement(*tables.values())
    assert np.nanstd(numbers(tables["segment"]), axis=0).max() > 1e-6

    found = fer(model, clip, "--by", "frame", "--format", "parquet", "--out", tmp_path / "command", "--workers", "1")
    assert found.exit_code == 0, found.output
    assert fer(model, clip, "--by", "segment", "-o", tmp_path / "segments.csv").exit_code == 0
    assert predict_flow(str(model), str(clip), str(tmp_path / "flow"), by="segment") == {"ok": 1}
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / clip.name).write_bytes(clip.read_bytes())
    answer(predictor, tmp_path / "page" / clip.name, 60.0, lambda *step: None)

    ways = {
        "video": [pd.read_csv(tmp_path / way / "predictions.csv") for way in ("command", "flow")],
        "segment": [
            pd.read_csv(tmp_path / "segments.csv"),
            pd.read_csv(tmp_path / "flow" / "clip.mp4" / "segments.csv"),
            pd.read_csv(tmp_path / "page" / "segments.csv"),
        ],
        "frame": [
            pd.read_parquet(tmp_path / "command" / "clip.mp4" / "frames.parquet"),
            pd.read_csv(tmp_path / "page" / "frames.csv"),
        ],
    }
    for by, others in ways.items():
        for other in others:
            assert numbers(other) == pytest.approx(numbers(tables[by]), abs=1e-6, nan_ok=True), by
            assert other["predicted"].fillna("").tolist() == tables[by]["predicted"].tolist()
