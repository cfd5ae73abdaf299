"""Makes the layers of this project known as soon as `mlflow.keras` is imported.

Keras loads a model only when its layers are known, and does not look for them by itself. MLflow imports this module
by an entry point of the package (`pyproject.toml`), so that `mlflow.keras.load_model` needs no import beside its own.
Until `mlflow.keras` is wanted nothing else is imported.
"""

from types import ModuleType

from mlflow.tracking.context.abstract_context import RunContextProvider
from mlflow.utils.import_hooks import register_post_import_hook


class LayersForMlflow(RunContextProvider):
    """Of a kind that MLflow makes one of when it is imported; it tells nothing of runs."""

    def __init__(self) -> None:
        register_post_import_hook(_make_layers_known, "mlflow.keras")

    def in_context(self) -> bool:
        """Never."""
        return False

    def tags(self) -> dict[str, str]:
        """None."""
        return {}


def _make_layers_known(module: ModuleType) -> None:
    import fer_models.models.building  # noqa: F401
    from fer_models.models.families import load_families

    load_families()
