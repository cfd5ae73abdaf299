"""Which run of a study in a data root is the champion of the registry; Keras is not loaded for that."""

import os
from collections.abc import Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException
from pydantic import BaseModel

from tasks.config.layout import Layout
from tasks.storage.files import find_json
from tasks.storage.locations import as_remote
from tasks.tracking.connection import connect
from tasks.tracking.mlflow_database import DATABASE_FILE

#: Of the version of a registered model that people should use.
ALIAS = "champion"
#: Beside a run: which run of MLflow it is.
RECORD = "mlflow.json"


class _Record(BaseModel):
    run_id: str


def champions_among(models: Sequence[Path], data_root: Path) -> dict[Path, str]:
    """The models that are the champions of their studies, each with its version in the registry.

    Where there is no registry, none; of a champion that was trained elsewhere nothing is said.

    Args:
        models: of runs of studies of the data root.
    """
    has_own = not as_remote(data_root) and (data_root / DATABASE_FILE).is_file()
    if not has_own and not os.environ.get("MLFLOW_TRACKING_URI"):
        return {}
    champions = {}
    for study in dict.fromkeys(model.parents[2] for model in models):
        client = connect(Layout(root=data_root, prepared=data_root, study=study, split=data_root))
        try:
            version = client.get_model_version_by_alias(study.name, ALIAS)
        except MlflowException:
            continue
        for model in models:
            known = find_json(model.with_name(RECORD), _Record) if study in model.parents else None
            if known and known.run_id == version.run_id:
                champions[model] = str(version.version)
    return champions
