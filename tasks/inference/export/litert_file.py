"""LiteRT files (`.tflite`), for phones and small devices: written and run by TensorFlow itself.

Their notes lie in a zip archive behind the model, as LiteRT's own metadata does: `unzip -p model.tflite fer.json`.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

#: In the archive: an object of all notes by name.
NOTES_FILE = "fer.json"


def write(model: keras.Model, path: Path, notes: Mapping[str, str]) -> None:
    """Write a model that computes in float32, with notes behind it."""
    model.export(str(path), format="litert", verbose=False)
    values = {name: json.loads(text) for name, text in notes.items()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(NOTES_FILE, json.dumps(values, indent=1))


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probabilities, float32 (n, classes), for inputs by name."""
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(str(path), experimental_op_resolver_type=plain)
    (probabilities,) = interpreter.get_signature_runner()(**inputs).values()
    return np.asarray(probabilities, np.float32)
