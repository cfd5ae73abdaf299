"""An exported model gives the numbers of the model it was, to a program that has only the file."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from model_cards import make_card

from fer_models.errors import UserError
from fer_models.models.arms import ARMS, ensemble_of
from fer_models.models.building import build_ensemble, build_model, needs_of
from fer_models.models.families import FAMILIES
from fer_models.models.float32 import computes_bfloat16
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings
from tasks.config.model_card import file_sha256, write_card
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.saved_preparation import carry_prepare
from tasks.inference.export import exporting
from tasks.inference.export.exporting import TOLERANCE, export_model, random_inputs

pytestmark = pytest.mark.trains
LABELS = ("anger", "fear", "joy")
#: Arms of each family and settings of models that lead another way through the layers.
EVERY_FAMILY: list[tuple[str, dict[str, Any]]] = [
    ("gap-sum", {"form": "corrected", "head_motion": "remove_similarity", "views": "mirror"}),
    ("flatten-concatenate", {"form": "published"}),
    ("fer2013-gap-average", {"head_motion": "remove_shift"}),
    ("hog-svm", {}),
    ("hof-svm", {}),
    ("lbp-top-svm", {}),
    ("majority", {}),
    ("frame-stack-concatenate", {}),
    ("c3d-sum", {}),
    ("lstm-fused", {}),
    ("gru-spatial", {}),
    ("convlstm-fused", {}),
    ("mobilenet-concatenate", {}),
    ("resnet50-spatial", {}),
    ("vgg16-spatial", {}),
    ("zhang2019-dbn", {"video_classifier": "linear_svm"}),
]


def make_model(arm: str, precision: str = "float32", seed: int = 1, **settings: Any) -> keras.Model:
    """A model whose every weight says something, as after a training; segments have as many frames as it needs."""
    known = {"form": "modern", "width": 2, "head_units": 8, "backbone_width": 1 / 16} | settings
    shape = SegmentShape().with_needs(needs_of(ARMS[arm]))
    prepare = carry_prepare(PrepareSettings(detector="yunet", detector_model="detector.onnx"))
    built = build_model(ARMS[arm], ModelSettings(**known), LABELS, None, precision, prepare, seed, shape)
    if precision != "float32":
        built.set_weights(make_model(arm, seed=seed, **settings).get_weights())
        return built
    rng = np.random.default_rng(seed)
    for weight in built.weights:
        values = np.asarray(weight) * rng.uniform(0.8, 1.2, weight.shape)
        offsets = len(weight.shape) == 1 and "variance" not in weight.path and "seed" not in weight.path
        weight.assign(values + (rng.normal(0, 0.05, weight.shape) if offsets else 0))
    return with_clear_opinions(built) if arm != "majority" else built


def with_clear_opinions(model: keras.Model) -> keras.Model:
    """The same with logits that differ from segment to segment by about 1, as far as what they are of differs."""
    last = model.get_layer("logits")
    logits = keras.Model(model.inputs, last.output)
    values = np.asarray(logits(list(random_inputs(model, 16).values())))
    scale = min(1 / values.std(axis=0).mean(), 100)
    last.kernel.assign(last.kernel * scale)
    last.bias.assign((last.bias - values.mean(axis=0)) * scale)
    return model


@pytest.fixture
def model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a model is to be saved; the detector's file lies beside it."""
    monkeypatch.chdir(tmp_path)
    Path("detector.onnx").write_bytes(b"a detector")
    return tmp_path / "run" / "model.keras"


def save(model: keras.Model, path: Path) -> keras.Model:
    path.parent.mkdir()
    model.save(path)
    return model


def probabilities(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], inputs)
    return np.asarray(found)


def test_every_family_is_looked_at() -> None:
    published_as_a_whole = {"fer2013"}
    assert {ARMS[arm].family for arm, _ in EVERY_FAMILY} == set(FAMILIES) - published_as_a_whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arm", "settings"), EVERY_FAMILY[1:], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_model_of_every_family_gives_the_same_numbers(
    model_file: Path, tmp_path: Path, arm: str, settings: dict[str, Any]
) -> None:
    model = save(make_model(arm, **settings), model_file)
    path = tmp_path / "out.onnx"
    assert export_model(model_file, path).difference <= TOLERANCE
    for num in (1, 5):
        inputs = random_inputs(model, num)
        expected = np.asarray(model(list(inputs.values())))
        np.testing.assert_allclose(probabilities(path, inputs), expected, atol=TOLERANCE)
    if arm != "majority":
        assert np.ptp(expected, axis=0).max() > 5 * TOLERANCE, "what it sees matters"
    if "seen" in inputs:
        others = probabilities(path, inputs | {"seen": np.ones_like(inputs["seen"])})
        assert np.abs(others - expected).max() > 100 * TOLERANCE, "frames without a face are passed over"


def test_the_file_says_all_that_a_program_must_know(model_file: Path, tmp_path: Path) -> None:
    arm, settings = EVERY_FAMILY[0]
    model = save(make_model(arm, **settings), model_file)
    card = make_card(model_sha256=file_sha256(model_file))
    write_card(model_file.parent, card)
    path = tmp_path / "out.onnx"
    found = export_model(model_file, path)
    assert (found.has_card, found.precision, found.rounding) == (True, "float32", 0.0)
    inputs = random_inputs(model, 3)
    np.testing.assert_allclose(probabilities(path, inputs), model(list(inputs.values())), atol=TOLERANCE)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {one.name: (one.type, one.shape) for one in session.get_inputs()}
    assert taken == {
        "face": ("tensor(uint8)", ["batch", 48, 48, 3]),
        "optical_flow": ("tensor(float)", ["batch", 48, 48, 2]),
    }
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("probabilities", ["batch", 3])]
    notes = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert notes["fer.labels"] == list(LABELS)
    assert (notes["fer.views"], notes["fer.pooling"], notes["fer.temperature"]) == ("mirror", "mean", card.temperature)
    assert notes["fer.card"] == card.model_dump(mode="json")
    assert notes["fer.prepare"]["detector_sha256"]
    assert str(tmp_path).encode() not in path.read_bytes(), "nothing tells where it was made"
    assert onnx.load(str(path)).producer_name == "fer-pipeline"


def test_without_a_card_nothing_is_made_up(model_file: Path, tmp_path: Path) -> None:
    save(make_model("hog-svm"), model_file)
    path = tmp_path / "out.onnx"
    assert not export_model(model_file, path).has_card
    notes = {one.key for one in onnx.load(str(path)).metadata_props}
    assert notes == {"fer.format", "fer.labels", "fer.prepare", "fer.views", "fer.pooling"}


@pytest.mark.skipif(not computes_bfloat16(), reason="TensorFlow does not compute bfloat16 here")
def test_what_was_trained_in_bfloat16_is_exported_in_float32(model_file: Path, tmp_path: Path) -> None:
    plain, short = (make_model("gap-sum", precision) for precision in ("float32", "mixed_bfloat16"))
    save(short, model_file)
    path = tmp_path / "out.onnx"
    found = export_model(model_file, path)
    assert found.precision == "mixed_bfloat16"
    assert found.rounding > TOLERANCE
    inputs = random_inputs(plain, 4)
    np.testing.assert_allclose(probabilities(path, inputs), plain(list(inputs.values())), atol=TOLERANCE)


@pytest.mark.slow
def test_an_ensemble_is_exported_whole(model_file: Path, tmp_path: Path) -> None:
    members = [make_model("gap-sum", seed=seed) for seed in (1, 2)]
    save(build_ensemble(ensemble_of(ARMS["gap-sum"], 2), members), model_file)
    path = tmp_path / "out.onnx"
    export_model(model_file, path)
    inputs = random_inputs(members[0], 4)
    expected = np.mean([one(list(inputs.values())) for one in members], axis=0)
    np.testing.assert_allclose(probabilities(path, inputs), expected, atol=TOLERANCE)


def test_other_numbers_are_not_handed_over(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where one of many differs, nor where one is no number."""
    save(make_model("hog-svm"), model_file)
    honest = exporting.FORMATS[".onnx"]
    for wrong in (2 * TOLERANCE, np.nan):

        def run(path: Path, inputs: Any, wrong: float = wrong) -> np.ndarray:
            found = honest.run(path, inputs)
            found[-1, 0] += wrong
            return found

        monkeypatch.setitem(exporting.FORMATS, ".onnx", dataclasses.replace(honest, run=run))
        with pytest.raises(UserError, match=r"is not exported: as ONNX its probabilities are up to (0\.0002|nan) from"):
            export_model(model_file, tmp_path / "out.onnx")


def test_what_a_format_cannot_hold_is_one_sentence(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(make_model("hog-svm"), model_file)

    def write(*_: Any) -> None:
        raise NotImplementedError("no such operation\nas many more lines say")

    refusing = dataclasses.replace(exporting.FORMATS[".onnx"], write=write)
    monkeypatch.setitem(exporting.FORMATS, ".onnx", refusing)
    with pytest.raises(UserError) as caught:
        export_model(model_file, tmp_path / "out.onnx")
    assert str(caught.value) == (f"{model_file} cannot be exported: ONNX does not take its layers (no such operation).")


def test_a_missing_package_is_named(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(make_model("hog-svm"), model_file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime.*pip install 'fer-pipeline\[export\]'"):
        export_model(model_file, tmp_path / "out.onnx")


def test_another_backend_is_told(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="Keras runs on jax here: set KERAS_BACKEND=tensorflow"):
        export_model(model_file, tmp_path / "out.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["gap-sum", "lstm-fused"])
def test_litert_gives_the_same_numbers(model_file: Path, tmp_path: Path, arm: str) -> None:
    save(make_model(arm), model_file)
    write_card(model_file.parent, make_card(model_sha256=file_sha256(model_file)))
    path = tmp_path / "out.tflite"
    assert export_model(model_file, path).difference <= TOLERANCE
    with zipfile.ZipFile(path) as archive:
        notes = json.loads(archive.read("fer.json"))
    assert notes["fer.labels"] == list(LABELS)
    assert notes["fer.card"]["arm"] == "gap-sum"
    assert str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.slow
def test_litert_lacks_layers_over_frames(model_file: Path, tmp_path: Path) -> None:
    save(make_model("c3d"), model_file)
    with pytest.raises(UserError, match="LiteRT does not take its layers"):
        export_model(model_file, tmp_path / "out.tflite")


@pytest.mark.slow
def test_a_file_is_all_that_another_program_needs(model_file: Path, tmp_path: Path) -> None:
    """No Keras, no TensorFlow and nothing of this project."""
    save(make_model("gap-sum"), model_file)
    export_model(model_file, tmp_path / "out.onnx")
    code = (
        "import json, sys, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession('out.onnx', providers=['CPUExecutionProvider'])\n"
        "notes = session.get_modelmeta().custom_metadata_map\n"
        "faces, flows = np.zeros((2, 48, 48, 3), np.uint8), np.zeros((2, 48, 48, 2), np.float32)\n"
        "(found,) = session.run(None, {'face': faces, 'optical_flow': flows})\n"
        "assert not {'keras', 'tensorflow', 'fer_models'} & set(sys.modules)\n"
        "print(found.shape, json.loads(notes['fer.labels']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"(2, 3) {list(LABELS)}\n", done.stderr
