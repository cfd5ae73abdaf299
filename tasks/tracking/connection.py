"""The store that a study is logged to: which it is, and a client of it."""

import logging
import os
import time

import httpx
import mlflow
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache as known_places

from fer_models.errors import StorageError, UserError
from tasks.config.layout import Layout
from tasks.progress import echo
from tasks.storage.addresses import hide_password_in, hide_secrets, user_of, without_user
from tasks.storage.disk import sync_folder, sync_tree
from tasks.storage.locations import as_remote
from tasks.tracking.mlflow_database import ARTIFACTS_FOLDER, DATABASE_FILE, ready_database, uri_of

#: MLflow writes the URI that it is given into the environment; these are ours, not the user's.
_set_here: set[str] = set()
#: In which a server that others run may be started again.
_PATIENCE_S = 30.0
_CONNECT = httpx.Timeout(30.0, connect=5.0)


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
    for name, level in (("mlflow", "WARNING"), ("alembic", "WARNING"), ("urllib3.connectionpool", "ERROR")):
        logging.getLogger(name).setLevel(level)
    layout.root.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(layout)
    if is_local(uri, layout):
        _set_here.add(ready_database(layout.root))
    if uri.startswith("http"):
        if user := user_of(uri):
            # in the address they would stand in messages, links and what MLflow prints
            os.environ.setdefault("MLFLOW_TRACKING_USERNAME", user[0])
            os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", user[1])
            uri = without_user(uri)
        _await_server(uri)
    if uri != mlflow.get_tracking_uri():
        known_places.clear()  # of artifacts, by run: a copy of a data root has runs of the same ids
    try:
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)  # else another version, or no MLflow, shows only later
        return client
    except Exception as error:  # of MLflow, or of the database's driver
        why = " ".join(hide_password_in(str(error), uri).split()).rstrip(".")
        if is_local(uri, layout):
            raise StorageError(
                f"MLflow cannot use {layout.root / DATABASE_FILE} ({why[:300]}); use the MLflow that wrote it, "
                "or move it away: what it holds is logged anew."
            ) from None
        raise UserError(f"MLflow cannot use MLFLOW_TRACKING_URI = {shown(uri)!r} ({why[:300]}); correct it.") from None


def _await_server(uri: str) -> None:
    """Wait a little for a server that takes no connection: MLflow itself would ask for minutes, without a word."""
    deadline, told = time.monotonic() + _PATIENCE_S, False
    while True:
        try:
            answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=_CONNECT)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol) or time.monotonic() > deadline:
                raise UserError(
                    f"No MLflow server answers at MLFLOW_TRACKING_URI = {shown(uri)!r} "
                    f"({hide_password_in(str(error) or type(error).__name__, uri)}); start `mlflow server` and wait "
                    "until it does, or unset MLFLOW_TRACKING_URI to do without one."
                ) from None
            if not told:
                echo(f"The MLflow server at {shown(uri)} does not answer; asking again for {_PATIENCE_S:g} s.")
                told = True
            time.sleep(1.0)
        else:
            if "json" in answer.headers.get("content-type", "") and answer.is_success:  # MLflow's own is the word OK
                raise UserError(
                    f"The server at MLFLOW_TRACKING_URI = {shown(uri)!r} is no MLflow server; name another one, or "
                    "unset MLFLOW_TRACKING_URI to do without one."
                )
            return


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
