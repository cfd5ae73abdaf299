"""The store that a study is logged to: which it is, and a client of it."""

import logging
import os

import mlflow
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache as known_places

from fer_models.errors import StorageError, UserError
from tasks.config.layout import Layout
from tasks.storage.addresses import hide_password_in, hide_secrets, user_of, without_user
from tasks.storage.disk import sync_folder, sync_tree
from tasks.storage.locations import as_remote
from tasks.tracking.mlflow_database import ARTIFACTS_FOLDER, DATABASE_FILE, ready_database, uri_of

#: MLflow writes the URI that it is given into the environment; these are ours, not the user's.
_set_here: set[str] = set()


def tracking_uri(layout: Layout) -> str:
    """`MLFLOW_TRACKING_URI`, or a SQLite file in the data root; raises `UserError` where there can be none."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named and named not in _set_here:
        return named
    if as_remote(layout.root):
        raise UserError(
            f"The data root {layout.root} cannot hold MLflow's database; set MLFLOW_TRACKING_URI to the address of an "
            "MLflow server, such as http://localhost:5000."
        )
    return uri_of(layout.root)


def is_local(uri: str, layout: Layout) -> bool:
    """Whether a store is the database of the data root."""
    return not as_remote(layout.root) and uri == uri_of(layout.root)


def connect(layout: Layout) -> mlflow.MlflowClient:
    """A client of the store that a study is logged to; makes the data root, and its database, when there is none."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    layout.root.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(layout)
    if is_local(uri, layout):
        _set_here.add(ready_database(layout.root))
    if uri.startswith("http") and (user := user_of(uri)):
        # in the address they would stand in messages, links and what MLflow prints
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", user[0])
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", user[1])
        uri = without_user(uri)
    if uri != mlflow.get_tracking_uri():
        known_places.clear()  # of artifacts, by run: a copy of a data root has runs of the same ids
    try:
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient()
        if is_local(uri, layout):
            client.search_experiments(max_results=1)  # else another version of the database shows only later
        return client
    except Exception as error:  # of MLflow, or of the database's driver
        why = " ".join(hide_password_in(str(error), uri).split()).rstrip(".")
        if is_local(uri, layout):
            raise StorageError(
                f"MLflow cannot use {layout.root / DATABASE_FILE} ({why[:300]}); use the MLflow that wrote it, "
                "or move it away: what it holds is logged anew."
            ) from None
        raise UserError(f"MLflow cannot use MLFLOW_TRACKING_URI = {shown(uri)!r} ({why}); correct it.") from None


def shown(uri: str) -> str:
    """A store as it is remembered and shown."""
    return without_user(uri) if uri.startswith("http") else hide_secrets(uri)


def follow_data_root(layout: Layout) -> None:
    """See to it that MLflow's own programs find the artifacts of a data root that was moved or copied."""
    if not as_remote(layout.root) and (layout.root / DATABASE_FILE).is_file():
        ready_database(layout.root)


def sync_artifacts(layout: Layout, *folders: str) -> None:
    """Bring what MLflow wrote to the disk before it is remembered as logged; a server sees to its own.

    SQLite ends a transaction by removing its journal; should a power cut bring that back, the last one is undone.
    """
    if is_local(tracking_uri(layout), layout):
        for folder in folders:
            sync_tree(layout.root / ARTIFACTS_FOLDER / folder)
        sync_folder(layout.root)
