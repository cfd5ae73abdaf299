"""A trained model in a format of other programs, with all that travels in our own: ONNX, and LiteRT for small devices.

What the model does to its input (scaling, drawing of optical flow) is in the file. What is outside it stands in the
file's metadata as JSON, by these names: `fer.labels` in the order of the outputs, `fer.prepare`, how faces and motion
are cut from videos, `fer.pooling`, how the probabilities of segments become those of a video, `fer.views`, what a
prediction is the mean of, and from the model's card `fer.temperature`, which calibrates those of videos, and `fer.card`
itself.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.building import load_model, model_labels, model_network, model_prepare
from fer_models.models.card import ModelCard
from fer_models.models.float32 import in_float32, precision_of
from tasks.config.model_card import read_card
from tasks.inference.export import litert_file, onnx_file
from tasks.inference.sources import find_model
from tasks.progress import progress
from tasks.storage.local_copies import local_copy

#: No probability of an exported model may be farther from that of Keras.
TOLERANCE = 1e-4
_NUM_SEGMENTS = 8


@dataclass(frozen=True)
class Format:
    """A format to export to.

    Args:
        words: what it is called.
        write: writes a model to a path with these notes; may raise anything where it cannot.
        run: probabilities, float32 (n, classes), that the model of a path gives for inputs by name.
    """

    words: str
    write: Callable[[keras.Model, Path, Mapping[str, str]], None]
    run: Callable[[Path, Mapping[str, np.ndarray]], np.ndarray]


#: By the end of a file's name.
FORMATS = {
    ".onnx": Format("ONNX", onnx_file.write, onnx_file.run),
    ".tflite": Format("LiteRT", litert_file.write, litert_file.run),
}


@dataclass(frozen=True)
class Comparison:
    """How near an exported model is to ours, on random segments.

    Args:
        difference: the largest of a probability, with ours in float32.
        precision: what ours was trained to compute in; an exported one computes in float32.
        rounding: the largest difference of a probability of ours between the two.
        has_card: whether a card lies beside our model.
    """

    num_segments: int
    difference: float
    precision: str
    rounding: float
    has_card: bool


def export_model(model_file: Path, path: Path) -> Comparison:
    """Write a model in the format that the end of `path`'s name tells, and hold it against ours.

    Args:
        model_file: a model.keras of a study, local or not.

    Raises:
        UserError: there is no such model, the format cannot hold it, or what was written gives other numbers.
    """
    chosen = FORMATS[path.suffix]
    _check_backend(chosen)
    with progress(f"Exporting to {chosen.words}", 3) as advance:
        with local_copy(find_model(model_file)) as copy:
            model = load_model(copy)
        card = read_card(model_file)
        plain = in_float32(model)
        advance("loaded")
        inputs = random_inputs(model, _NUM_SEGMENTS)
        ours, rounded = (np.asarray(one(list(inputs.values())), np.float32) for one in (plain, model))
        with _quiet(), _one_sentence(model_file, chosen):
            chosen.write(plain, path, notes_of(model, card))
            advance("written")
            # of other numbers of segments too, down to one
            theirs = [chosen.run(path, {name: some[part] for name, some in inputs.items()}) for part in _PARTS]
        difference = float(np.abs(np.concatenate(theirs) - ours).max())
        advance("compared")
    if not difference <= TOLERANCE:  # so too where it is no number
        raise UserError(
            f"{model_file} is not exported: as {chosen.words} its probabilities are up to {difference:.2g} from those "
            f"of Keras, and {TOLERANCE:g} is the most that counts as the same."
        )
    rounding = float(np.abs(rounded - ours).max())
    return Comparison(_NUM_SEGMENTS, difference, precision_of(model), rounding, card is not None)


_PARTS = (slice(0, 1), slice(1, 4), slice(4, None))


def notes_of(model: keras.Model, card: ModelCard | None) -> dict[str, str]:
    """What goes along with an exported model: JSON by name, without places of this machine."""
    network = model_network(model)
    prepare = {name: value for name, value in (model_prepare(model) or {}).items() if name != "detector_model"}
    notes: dict[str, Any] = {
        "fer.format": 1,
        "fer.labels": model_labels(model),
        "fer.prepare": prepare,
        "fer.pooling": network.pooling,
        "fer.views": network.views,
    }
    if card:
        notes |= {"fer.temperature": card.temperature, "fer.card": card.model_dump(mode="json")}
    return {name: json.dumps(value) for name, value in notes.items()}


def random_inputs(model: keras.Model, num: int) -> dict[str, np.ndarray]:
    """What a model takes, by name, of so many segments of noise; some frames are missing where it is told of that."""
    rng = np.random.default_rng(0)
    inputs = {}
    for tensor in model.inputs:
        shape = (num, *tensor.shape[1:])
        if tensor.dtype == "uint8":
            inputs[tensor.name] = rng.integers(0, 256, shape, np.uint8)
        elif tensor.dtype == "bool":
            inputs[tensor.name] = rng.random(shape) < 0.7
            inputs[tensor.name][:, rng.integers(shape[1])] = True
        else:
            inputs[tensor.name] = rng.normal(0, 0.5, shape).astype(np.float32)
    return inputs


def _check_backend(chosen: Format) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"{chosen.words} is written by TensorFlow, and Keras runs on {keras.backend.backend()} here: set "
            "KERAS_BACKEND=tensorflow for the export; the model's file is the same for both."
        )


@contextmanager
def _one_sentence(model_file: Path, chosen: Format) -> Iterator[None]:
    """Say what a converter says, which may be anything, in one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{model_file} cannot be exported: {chosen.words} does not take its layers ({words[0][:160].rstrip('. ')})."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what converters say of their own work off the terminal."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
