"""A model of a study is loaded and served by programs that know nothing of this project."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import keras
import mlflow
import numpy as np
import psutil
import pytest
from lab import BIN, free_port, wait_for
from mlflow.models import Model
from model_cards import make_card

import fer_models
from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.models.building import build_model, load_model
from fer_models.models.network import model_inputs
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.serving import ServedModel
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict
from tasks.config.model_card import CARD_FILE, CARD_TEXT_FILE, file_sha256, read_card, write_card
from tasks.tracking import logged_model
from tasks.tracking.mlflow_database import ready_database

pytestmark = pytest.mark.trains
ROOT = Path(__file__).resolve().parent.parent
LABELS = ("anger", "fear", "joy")


def segments(num: int, shape: SegmentShape = SegmentShape()) -> FrameInputs:
    rng = np.random.default_rng(0)
    frames = num * shape.num_frames
    faces = rng.integers(0, 256, (frames, 48, 48, 3), np.uint8)
    flows = rng.normal(0, 0.5, (frames, 48, 48, 2)).astype(np.float16) if shape.has_optical_flow else None
    windows = np.arange(frames).reshape(num, shape.num_frames)
    return FrameInputs(faces, flows, windows, rng.random(windows.shape) < 0.7)


def make_model(arm: str = "gap-sum", views: str = "none", shape: SegmentShape = SegmentShape()) -> keras.Model:
    settings = ModelSettings(form="modern", width=2, views=views)
    return build_model(ARMS[arm], settings, LABELS, shape=shape, seed=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model, with its card beside it."""
    path = tmp_path_factory.mktemp("run") / "model.keras"
    make_model().save(path)
    write_card(path.parent, make_card(model_sha256=file_sha256(path)))
    return path


def named(model: keras.Model, source: FrameInputs) -> dict[str, np.ndarray]:
    arrays = model_inputs(model, source.batch(np.arange(len(source))))
    return {tensor.name: array for tensor, array in zip(model.inputs, arrays, strict=True)}


def in_plain_python(code: str, folder: Path, **environment: str) -> str:
    """What a script prints that imports what it says and nothing else."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": f"{folder}:{ROOT}"}
    kept = {name: os.environ[name] for name in ("PATH", "KERAS_BACKEND") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=kept | quiet | {"HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_loads_a_model(trained: Path) -> None:
    ours, same = fer_models.load_model(trained), load_model(trained)
    np.testing.assert_array_equal(predict(ours, segments(3)), predict(same, segments(3)))
    with pytest.raises(UserError, match=r"absent\.keras is not a model of this project"):
        fer_models.load_model(trained.with_name("absent.keras"))


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    heavy = ("keras", "numpy", "tensorflow", "pydantic")
    assert in_plain_python(f"import sys, fer_models\nprint(set({heavy}) & set(sys.modules))", tmp_path) == "set()\n"


@pytest.mark.parametrize("views", ["none", "mirror", "mirror_and_shifts"])
def test_what_is_served_is_what_is_predicted(views: str) -> None:
    model = make_model(views=views)
    source = segments(5)
    found = ServedModel(model).predict(named(model, source))
    assert tuple(found) == LABELS
    np.testing.assert_allclose(np.stack(list(found.values()), axis=1), predict(model, source), atol=1e-6)


def test_frames_and_which_of_them_show_the_face_are_served() -> None:
    shape = SegmentShape(3, has_optical_flow=False)
    model, source = make_model("lstm-spatial", shape=shape), segments(4, shape)
    inputs = named(model, source)
    found = ServedModel(model).predict(inputs)
    np.testing.assert_allclose(np.stack(list(found.values()), axis=1), predict(model, source), atol=1e-6)
    others = ServedModel(model).predict(inputs | {"seen": ~inputs["seen"]})
    assert np.abs(others["fear"] - found["fear"]).max() > 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optical_flow": np.zeros((2, 48, 48, 3))}, r"takes 'optical_flow' of the shape \(n, 48, 48, 2\)"),
        ({"face": np.zeros((0, 48, 48, 3))}, r"n > 0, not \(0, 48, 48, 3\)"),
        ({"face": None}, "give it face, optical_flow"),
    ],
)
def test_wrong_arrays_are_told(change: dict[str, Any], words: str) -> None:
    model = make_model()
    inputs = {name: array for name, array in (named(model, segments(2)) | change).items() if array is not None}
    with pytest.raises(UserError, match=words):
        ServedModel(model).predict(inputs)


def saved(trained: Path, folder: Path) -> Path:
    """A model as MLflow keeps it, in a folder."""
    cards = [trained.with_name(name) for name in (CARD_FILE, CARD_TEXT_FILE)]
    logged_model.save_model(str(folder), Model(), load_model(trained), trained, cards)
    return folder


def with_entry_points(folder: Path) -> None:
    """What `pyproject.toml` has `pip` tell of the package, whether it is installed here as it is now or not."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{a} = {b}\n" for a, b in names.items()) for group, names in wanted.items()]
    info = folder / "told_of-0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("\n".join(lines))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: told-of\nVersion: 0\n")


def test_mlflow_loads_a_model_in_a_script_that_knows_no_layer(trained: Path, tmp_path: Path) -> None:
    folder = saved(trained, tmp_path / "model")
    with_entry_points(tmp_path)
    code = f"""
import sys, mlflow, numpy as np
assert not {{"keras", "fer_models"}} & set(sys.modules), "importing MLflow costs nothing more"
model = mlflow.keras.load_model({str(folder)!r})
served = mlflow.pyfunc.load_model({str(folder)!r})
zeros = {{"face": np.zeros((2, 48, 48, 3), np.uint8), "optical_flow": np.zeros((2, 48, 48, 2), np.float32)}}
found = served.predict(zeros)
same = model.predict_on_batch(list(zeros.values()))
assert list(found) == {list(LABELS)!r}, found
assert np.allclose(np.stack(list(found.values()), axis=1), same, atol=1e-6)
print(model.output_shape)
"""
    assert in_plain_python(code, tmp_path).strip() == f"(None, {len(LABELS)})"


def test_what_mlflow_keeps_is_the_file_with_its_card_and_no_code(trained: Path, tmp_path: Path) -> None:
    folder = saved(trained, tmp_path / "model")
    kept = folder / "data" / "model.keras"
    assert kept.read_bytes() == trained.read_bytes()
    assert read_card(kept) == read_card(trained)
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".keras", ".json", ".md", ".txt", ".yaml", ""}
    flavours = Model.load(str(folder)).flavors
    assert flavours["python_function"]["loader_module"] == "fer_models.serving"
    assert "code" not in flavours["python_function"]


def test_descriptions_are_as_long_as_databases_take(tmp_path: Path) -> None:
    class OfRun:
        folder = tmp_path

    write_card(tmp_path, make_card())
    text = (tmp_path / CARD_TEXT_FILE).read_text(encoding="utf-8")
    assert logged_model.shown_card(OfRun) == text
    write_card(tmp_path, make_card(limits=tuple(f"Limit {number} of very many." for number in range(300))))
    shown = logged_model.shown_card(OfRun)
    assert len(shown) <= logged_model.MOST_SIGNS
    assert shown.endswith(f"The rest is in `{CARD_TEXT_FILE}` among the artifacts.\n")
    assert shown.splitlines()[-3].endswith("of very many.")


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ping", timeout=30).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlflow models serve` for the champion of a registry."""
    folder = tmp_path_factory.mktemp("registry")
    uri = ready_database(folder)
    client = mlflow.MlflowClient(uri)
    client.create_registered_model("corridor")
    version = client.create_model_version("corridor", str(saved(trained, folder / "model")))
    client.set_registered_model_alias("corridor", "champion", version.version)
    with (folder / "log.txt").open("w") as log:
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/corridor@champion"]
        command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
        path = os.pathsep.join((str(BIN), os.environ["PATH"]))  # MLflow calls uvicorn by its name
        environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT), "PATH": path}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, lambda: process.poll() is not None or answers(address), 300)
            assert process.poll() is None, (folder / "log.txt").read_text()
            yield address
        finally:
            if process.poll() is None:
                started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                for one in started:
                    one.terminate()
                process.wait(60)
                assert not psutil.wait_procs(started[1:], timeout=60)[1]


@pytest.mark.slow
def test_a_real_server_says_what_the_model_says(server: str, trained: Path) -> None:
    model, source = make_model(), segments(3)
    inputs = {name: array.tolist() for name, array in named(model, source).items()}
    answer = httpx.post(f"{server}/invocations", json={"inputs": inputs}, timeout=120).raise_for_status().json()
    assert list(answer["predictions"]) == list(LABELS)
    found = np.stack(list(answer["predictions"].values()), axis=1)
    np.testing.assert_allclose(found, predict(load_model(trained), source), atol=1e-5)


@pytest.mark.slow
def test_a_real_server_tells_what_it_takes(server: str) -> None:
    answer = httpx.post(f"{server}/invocations", json={"inputs": {"face": [[1]]}}, timeout=120)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "optical_flow" in answer.json()["message"]


@pytest.mark.slow
def test_mlflow_predicts_from_a_file(trained: Path, tmp_path: Path) -> None:
    model, source = make_model(), segments(2)
    inputs = {name: array.tolist() for name, array in named(model, source).items()}
    (tmp_path / "input.json").write_text(json.dumps({"inputs": inputs}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(saved(trained, tmp_path / "model"))]
    command += ["--env-manager", "local", "-i", "input.json", "-o", "output.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "output.json").read_text())["predictions"]
    np.testing.assert_allclose(np.stack(list(found.values()), axis=1), predict(model, source), atol=1e-5)
