"""`fer export` destroys nothing, and works whatever Keras runs on."""

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model
from fer_models.settings import ModelSettings
from flows.cli import app
from tasks.report.outputs import LITERT, ONNX, check_output

ROOT = Path(__file__).resolve().parent.parent


def refused(*words: str) -> str:
    """The sentence with which the command refuses."""
    result = CliRunner().invoke(app, ["export", *words])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def fer_export(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", "export", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What nobody has to read to refuse it."""
    path = tmp_path / "model.keras"
    path.write_bytes(b"a model")
    return path


@pytest.mark.parametrize("name", ["out.pb", "out", "out.ONNX", "model.keras"])
def test_the_name_tells_the_format(model: Path, name: str) -> None:
    said = refused(str(model), str(model.with_name(name)))
    assert "OUT should end in .onnx or .tflite" in said


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "There is no model" in refused(str(tmp_path / "absent.keras"), str(tmp_path / "out.onnx"))


def test_a_folder_that_is_not_there_is_told(model: Path) -> None:
    assert "There is no folder" in refused(str(model), str(model.parent / "absent" / "out.onnx"))


@pytest.mark.parametrize(
    ("content", "force", "words"),
    [
        (b"a diary\n", [], "holds something else than a model in ONNX"),
        (b"a diary\n", ["--force"], "holds something else than a model in ONNX"),
        (b"\x08\x08\x12\x07pytorch", [], "was not made by this command; give it another name, or add --force"),
    ],
)
def test_what_others_wrote_stays(model: Path, content: bytes, force: list[str], words: str) -> None:
    path = model.with_name("out.onnx")
    path.write_bytes(content)
    said = refused(str(model), str(path), *force)
    assert words in said
    assert "--output" not in said
    assert path.read_bytes() == content


def test_what_is_no_model_leaves_nothing(model: Path) -> None:
    done = fer_export(model.parent, "model.keras", "out.onnx")
    assert done.returncode == 1
    assert "model.keras is not a model of this project" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in model.parent.iterdir()] == ["model.keras"]


def test_kinds_are_known_by_their_beginnings(tmp_path: Path) -> None:
    foreign = tmp_path / "other.tflite"
    foreign.write_bytes(b"\x1c\0\0\0TFL3 of anybody")
    with pytest.raises(UserError, match="add --force"):
        check_output(foreign, LITERT)
    check_output(foreign, LITERT, force=True)
    for name, is_ours in (("fer-pipeline", True), ("fer-pipeline-of-others", False)):
        path = tmp_path / "model.onnx"
        path.write_bytes(onnx.ModelProto(ir_version=8, producer_name=name).SerializeToString())
        assert (ONNX.fits(path), ONNX.is_ours(path)) == (True, is_ours)


@pytest.mark.slow
@pytest.mark.trains
def test_a_model_is_exported_where_keras_runs_on_jax(tmp_path: Path) -> None:
    build_model(ARMS["hog-svm"], ModelSettings()).save(tmp_path / "model.keras")
    for _ in range(2):  # what it wrote itself it may replace
        done = fer_export(tmp_path, "model.keras", "out.onnx", KERAS_BACKEND="jax")
        assert done.returncode == 0, done.stderr
        assert "out.onnx gives probabilities within" in done.stdout
        assert "No card lies beside the model" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "out.onnx"}
    said = done.stderr.splitlines()
    assert [line for line in said if not line.startswith("Exporting to ONNX")] == [], "converters are quiet"
