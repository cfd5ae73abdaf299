"""Arrays in, numbers out: models, training, metrics and Grad-CAM. Knows nothing of videos, MLflow or Prefect."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def load_model(path: str | PathLike[str]) -> "keras.Model":
    """A trained model of a study from its `model.keras`; no code of the file is run.

    `fer_models.models.network.model_inputs` says what it takes and `fer_models.training.engine.predict` asks it.

    Raises:
        UserError: the file is not there, or is no model of this project.
    """
    from fer_models.models.building import load_model as load

    return load(path)
