"""A trained model as MLflow keeps it: the very file of the run, with its card, loaded by `fer_models.serving`.

This module is a flavour in MLflow's sense, which calls `save_model`. It is that of Keras, so that `mlflow.keras` loads
it, with another way for `mlflow.pyfunc` and `mlflow models serve`. No code and no pickle is in it.
"""

import importlib.metadata
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import keras
import mlflow
import mlflow.keras
import mlflow.pyfunc
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import Schema, TensorSpec

from fer_models import serving
from fer_models.models.building import load_model, model_labels
from fer_models.models.network import model_inputs
from tasks.config.layout import Layout
from tasks.config.model_card import CARD_FILE, CARD_TEXT_FILE
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN
from tasks.dataset.index import load_arrays, read_subset
from tasks.storage.files import atomic_write
from tasks.storage.local_copies import local_copy
from tasks.study.checkpoints import MODEL_FILE
from tasks.study.runs import Run

_REQUIREMENTS = ("fer-pipeline", "keras", "numpy")
#: Below the folder of a model: its file and its card.
_DATA = "data"
#: The longest description that every database of MLflow takes.
MOST_SIGNS = 5000
_MORE = f"\n\nThe rest is in `{CARD_TEXT_FILE}` among the artifacts.\n"


def log_model(settings: StudySettings, run: Run) -> str:
    """Log the model of a run, which has a card, and an example of its input to the active run; returns its id."""
    with ExitStack() as stack:
        names = (MODEL_FILE, CARD_FILE, CARD_TEXT_FILE)
        model_file, *card = [stack.enter_context(local_copy(run.folder / name)) for name in names]
        model = load_model(model_file)
        parts = {"model": model, "model_file": model_file, "card_files": card}
        logged = Model.log(None, sys.modules[__name__], name="model", flavor_name="keras", **parts)
    layout, emotions = Layout.of(settings), settings.corpus.emotions
    rows = read_subset(layout.index, run.split_fold, TRAIN, emotions).head(2)
    example = load_arrays(rows, layout.prepared, emotions)
    arrays = zip(model.inputs, model_inputs(model, example.batch(np.arange(len(example)))), strict=True)
    values = {one.name: array.astype(float).round(4).tolist() for one, array in arrays}
    mlflow.log_dict({"inputs": values}, "input_example.json")
    return str(logged.model_id)


def save_model(
    path: str, mlflow_model: Model, model: keras.Model, model_file: Path, card_files: Sequence[Path]
) -> None:
    """Save a model as MLflow wants it.

    Args:
        path: a folder that is not there yet.
        model: what `model_file` holds.
    """
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS]
    mlflow.keras.save_model(
        model, path, mlflow_model=mlflow_model, signature=signature_of(model), pip_requirements=requirements
    )
    kept = {serving.MODEL_FILE: model_file, **{file.name: file for file in card_files}}
    for name, file in kept.items():
        with atomic_write(Path(path, _DATA, name)) as temporary:
            temporary.write_bytes(file.read_bytes())
    loaded_by = {mlflow.pyfunc.MAIN: serving.__name__, mlflow.pyfunc.DATA: _DATA}
    mlflow_model.flavors[mlflow.pyfunc.FLAVOR_NAME] |= loaded_by
    mlflow_model.save(str(Path(path, MLMODEL_FILE_NAME)))


def signature_of(model: keras.Model) -> ModelSignature:
    """What `fer_models.serving` takes and gives, as MLflow checks and shows it."""
    inputs = [TensorSpec(np.dtype(one.dtype), (-1, *one.shape[1:]), one.name) for one in model.inputs]
    outputs = [TensorSpec(np.dtype("float32"), (-1,), label) for label in model_labels(model)]
    return ModelSignature(Schema(inputs), Schema(outputs))


def log_card(client: mlflow.MlflowClient, run_id: str, run: Run) -> None:
    """Log the card of a run, and show it on the run's page."""
    for name in (CARD_FILE, CARD_TEXT_FILE):
        with local_copy(run.folder / name) as copy:
            client.log_artifact(run_id, str(copy))
    client.set_tag(run_id, "mlflow.note.content", shown_card(run))


def shown_card(run: Run) -> str:
    """The card of a run as Markdown, as much of it as MLflow takes for a description."""
    text = (run.folder / CARD_TEXT_FILE).read_text(encoding="utf-8")
    if len(text) <= MOST_SIGNS:
        return text
    return text[: MOST_SIGNS - len(_MORE)].rpartition("\n")[0] + _MORE
