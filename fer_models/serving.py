"""A trained model for programs that serve models: named arrays in, probabilities by label out.

`mlflow models serve` and `mlflow.pyfunc.load_model` load a model of a study by this module, whose name it carries.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.building import load_model, model_labels, model_network
from fer_models.training.engine import outputs_of_batch

#: The model's file in the folder that a server is given.
MODEL_FILE = "model.keras"


class ServedModel:
    """A model that is asked about segments."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self.labels = model_labels(model)

    def predict(self, model_input: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Probabilities by label, float32 (n,) each, of n segments: the mean over the model's views.

        They are of segments and as the model gives them: its card has the temperature for those of videos.

        Args:
            model_input: by name what the model takes: `face`, uint8 RGB (n, S, S, 3), 0..255, or (n, T, S, S, 3), with
                `optical_flow`, dx and dy in px (n, S, S, 2) or (n, T, S, S, 2), and `seen`, bool (n, T), where the
                model has them.
            params: none are known.

        Raises:
            UserError: an array is missing, or has another shape.
        """
        batch = {}
        for tensor in self._model.inputs:
            wanted = tuple(tensor.shape[1:])
            values = np.asarray(model_input.get(tensor.name, ()), tensor.dtype)
            if values.shape[1:] != wanted or not len(values):
                raise UserError(
                    f"The model takes {tensor.name!r} of the shape (n, {', '.join(map(str, wanted))}), n > 0, not "
                    f"{values.shape}; give it {', '.join(one.name for one in self._model.inputs)}."
                )
            batch[tensor.name] = values
        probabilities = outputs_of_batch(self._model, batch, model_network(self._model).views)
        return dict(zip(self.labels, probabilities.T, strict=True))


def _load_pyfunc(path: str) -> ServedModel:
    """What MLflow calls; `path` is the folder of the model's file."""
    return ServedModel(load_model(Path(path) / MODEL_FILE))
