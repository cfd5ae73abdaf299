"""ONNX files: written by TensorFlow and tf2onnx, run by ONNX Runtime; they come with the extra `export`."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from fer_models.errors import UserError

#: The name of the output: probabilities, float32 (batch, classes).
OUTPUT = "probabilities"
#: The name of the first axis of each input and of the output.
_BATCH = "batch"


def write(model: keras.Model, path: Path, notes: Mapping[str, str]) -> None:
    """Write a model that computes in float32, with notes in its metadata.

    Raises:
        UserError: the packages are not installed.
    """
    onnx = _packages()[0]
    model.export(str(path), format="onnx", verbose=False)
    written = onnx.load(str(path))
    _name_axes_and_output(written.graph)
    written.producer_name, written.producer_version = "fer-pipeline", importlib.metadata.version("fer-pipeline")
    written.doc_string = f"Facial expressions by segment, {model.name}"
    onnx.helper.set_model_props(written, dict(notes))
    onnx.checker.check_model(written)
    onnx.save(written, str(path))


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probabilities, float32 (n, classes), for inputs by name."""
    runtime = _packages()[1]
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run([OUTPUT], dict(inputs))
    return np.asarray(probabilities, np.float32)


def _packages() -> tuple[ModuleType, ModuleType]:
    """The packages `onnx` and `onnxruntime`."""
    try:
        import onnx
        import onnxruntime
        import tf2onnx  # noqa: F401  Keras looks for it
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {error.name}, which is not installed; run `pip install 'fer-pipeline[export]'`."
        ) from error
    return onnx, onnxruntime


def _name_axes_and_output(graph: Any) -> None:
    """Give names that a reader understands to what the converter numbered."""
    (output,) = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [OUTPUT if name == output.name else name for name in names]
    output.name = OUTPUT
    for value in (*graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
