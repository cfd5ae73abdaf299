"""The pretrained model: found or said to be missing, prepared for, with all that a model carries, on real faces."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_models_mini_xception import draw_weights, write_weights

from fer_models.errors import UserError
from fer_models.models.backbones.mini_xception import CLASSES, WEIGHTS, build_mini_xception
from fer_models.models.building import model_labels, model_lineage, model_network, model_prepare
from tasks.config.saved_preparation import carried_prepare
from tasks.inference import pretrained
from tasks.inference.predictor import Predictor
from tasks.inference.pretrained import find_pretrained, pretrained_model, pretrained_prepare
from tasks.inference.smoothing import smooth
from tasks.weights import cache, registry

ROOT = Path(__file__).resolve().parent.parent
MEAD = Path(os.environ.get("FER_TEST_DATA", ROOT.parent / "shared" / "data")) / "mead24"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drawn weights of the network, registered and cached in place of the published ones; no detector's are there."""
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path))
    network = build_mini_xception()
    draw_weights(network)
    content = write_weights(tmp_path / "drawn.hdf5", network).read_bytes()
    record = replace(registry.WEIGHTS[WEIGHTS], sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    monkeypatch.setitem(registry.WEIGHTS, WEIGHTS, record)
    path = tmp_path / record.file_name
    path.write_bytes(content)
    return path


def test_it_is_named_as_in_the_registry() -> None:
    assert pretrained.NAME == WEIGHTS
    assert pretrained.pretrained_origin().trained_on == registry.WEIGHTS[WEIGHTS].trained_on


def test_without_weights_one_sentence_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path))
    for ask in (find_pretrained, pretrained_model):
        with pytest.raises(UserError, match=r"`fer weights get fer2013-mini-xception` fetches them\.$") as caught:
            ask()
        assert str(caught.value).count(". ") == 0


def test_a_damaged_file_counts_as_missing(weights: Path) -> None:
    assert find_pretrained() == weights
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match="fer weights get"):
        find_pretrained()


def test_looking_for_it_loads_nothing_heavy(weights: Path, tmp_path: Path) -> None:
    code = "import sys, tasks.inference.pretrained\nprint({'keras', 'tensorflow', 'h5py', 'cv2'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert told.stdout == "set()\n"


def test_the_detector_is_the_best_that_is_here(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (pretrained_prepare().detector, pretrained_prepare().align) == ("haar", "none")
    monkeypatch.setattr(pretrained, "find", lambda name: Path(name) if name != "blazeface-short-range" else None)
    assert pretrained_prepare().detector == "haar", "it needs both of its networks"
    monkeypatch.setattr(pretrained, "find", Path)
    assert (pretrained_prepare().detector, pretrained_prepare().align) == ("blazeface", "eyes")


def test_it_carries_what_models_of_a_study_carry(weights: Path) -> None:
    model = pretrained_model()
    assert model_labels(model) == CLASSES
    assert carried_prepare(model_prepare(model)) == pretrained_prepare()
    (origin,) = model_lineage(model).origins
    assert (origin.name, origin.licence) == (WEIGHTS, "MIT")
    assert origin.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert [(one.name, one.shape) for one in model.inputs] == [("face", (None, 76, 76, 3))]
    assert model_network(model).views == "mirror"


@pytest.mark.trains
def test_it_says_something_of_every_frame_of_a_video(weights: Path, moving_face: Path) -> None:
    prediction = Predictor([pretrained_model()], pretrained_prepare()).predict(moving_face)
    assert prediction.report.num_segments == prediction.report.num_covered == 34
    assert len(prediction.segments) == len(prediction.frames) == 34
    columns = [f"p_{label}" for label in CLASSES]
    np.testing.assert_allclose(prediction.frames[columns].sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        prediction.frames[columns].mean().to_numpy(float), [prediction.row[name] for name in columns], rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.skipif(not MEAD.is_dir(), reason="the real clips are not here")
@pytest.mark.skipif(cache.find(WEIGHTS) is None, reason="the real weights are not here")
def test_the_real_weights_know_plain_expressions_of_real_faces() -> None:
    """Of all three people, in most frames of each clip."""
    predictor = Predictor([pretrained_model()], pretrained_prepare())
    columns = [f"p_{label}" for label in CLASSES]
    for word, emotion in (("happy", "happiness"), ("surprised", "surprise")):
        for path in sorted(MEAD.glob(f"*_{word}_*.mp4")):
            frames = predictor.predict(path, stride=5).segments
            smoothed = smooth(
                frames[columns].to_numpy(float), frames["start_s"].to_numpy(float), pretrained.SMOOTHING_S
            )
            winners = np.array(CLASSES)[smoothed.argmax(axis=1)]
            assert (winners == emotion).mean() > 0.6, path.name
