"""Prefect's and MLflow's servers behind a gate: `python -m flows.servers prefect --host 127.0.0.1 --listening 3`.

The socket is open already, and its number handed down: so nobody else can listen there before the server does.

Passwords and databases come from the environment: `PREFECT_SERVER_API_AUTH_STRING`, `MLFLOW_TRACKING_USERNAME` and
`MLFLOW_TRACKING_PASSWORD`, and what the servers themselves read. With `--parent` a server ends when that process does.
"""

import argparse
import os
import socket
from typing import Any

import uvicorn

from tasks.services.descendants import end_with_parent
from tasks.services.gate import App, Gate, names_of


def run(server: str, host: str, listening: int, parent: int | None = None) -> None:
    """Run a server until it is asked to end.

    Args:
        server: `prefect` or `mlflow`.
        host: the address that it listens at.
        listening: number of the socket that it listens on.
        parent: process that it ends with.
    """
    if parent is not None:
        end_with_parent(parent)
    app, settings = {"prefect": _prefect, "mlflow": _mlflow}[server](host)
    running = uvicorn.Server(uvicorn.Config(app, lifespan="on", **settings))
    running.run(sockets=[socket.socket(fileno=listening)])
    if not running.started:
        raise SystemExit(3)


def _prefect(host: str) -> tuple[App, dict[str, Any]]:
    """Prefect's own app, which asks for the password itself: its pages do, too."""
    if not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise SystemExit("PREFECT_SERVER_API_AUTH_STRING is not set: anybody could start commands on the workers.")
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    api = get_current_settings().server.api
    settings = {
        "timeout_keep_alive": api.keepalive_timeout,
        "ws_ping_interval": api.websocket_ping_interval,
        "ws_ping_timeout": api.websocket_ping_timeout,
        "log_level": get_current_settings().server.logging_level.lower(),
    }
    return Gate(create_app(final=True), names_of(host)), settings


def _mlflow(host: str) -> tuple[App, dict[str, Any]]:
    """MLflow's own app, as `mlflow server` sets it up, with the password asked for by the gate.

    MLflow's own check of names and origins knows nothing of `host`, and would refuse what the gate lets in.
    """
    os.environ["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"  # read when its server is imported
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    database = os.environ["MLFLOW_BACKEND_STORE_URI"]
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: os.environ["MLFLOW_ARTIFACTS_DESTINATION"],
    }
    initialize_backend_stores(database, database, "mlflow-artifacts:/")
    from mlflow.server.fastapi_app import app

    credentials = ":".join(os.environ[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD"))
    return Gate(app, names_of(host), credentials, {"/health"}), {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=["prefect", "mlflow"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--listening", type=int, required=True)
    parser.add_argument("--parent", type=int)
    run(**vars(parser.parse_args()))
