"""What holds for runs of deployments: what they wait for, and when they are given up.

They wait for slots of global concurrency limits, which Prefect's server counts. A run in a process of its own, without
a deployment, waits for nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import StateType
from prefect.concurrency.sync import concurrency
from prefect.runtime import deployment, flow_run

from fer_models.errors import UserError

#: Training runs share it: as many slots as there are devices. `fer up` makes it; else: prefect gcl create fer-gpu.
DEVICES = "fer-gpu"
#: Crashes in a row after which a run is not started again.
_MOST_CRASHES = 3
#: Seconds after which a slot is free again when its holder died.
_LEASE_S = 60


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Wait for a device, and keep it for the block."""
    if deployment.id:
        with _slot(DEVICES, strict=True):
            yield
    else:
        yield


@contextmanager
def exclusive_preparation(data_root: Path) -> Iterator[None]:
    """Wait until no other run prepares videos into a data root, and keep others out for the block."""
    with _alone_in("fer-prepare", data_root):
        yield


@contextmanager
def exclusive_results(out: Path) -> Iterator[None]:
    """Wait until no other run writes results of videos to a folder, and keep others out for the block."""
    with _alone_in("fer-predict", out):
        yield


@contextmanager
def _alone_in(what: str, place: Path) -> Iterator[None]:
    if deployment.id:
        name = f"{what}-" + re.sub(r"[^A-Za-z0-9]+", "-", str(place)).strip("-")
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(name, 1)
        with _slot(name):
            yield
    else:
        yield


def stop_after_crashes() -> None:
    """End a run that crashed again and again; raises `UserError`. A retry by hand starts the count again."""
    if not (deployment.id and flow_run.id):
        return
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(UUID(flow_run.id))
    ended = [state.type for state in states if state.is_final()]
    crashes = list(takewhile(lambda state: state is StateType.CRASHED, reversed(ended)))
    if len(crashes) >= _MOST_CRASHES:
        raise UserError(
            f"Its process died {len(crashes)} times in a row, perhaps for lack of memory; see the logs of this run and "
            "of its worker. Retry it when that is fixed: finished work is not repeated."
        )


@contextmanager
def _slot(name: str, strict: bool = False) -> Iterator[None]:
    """A server that is away for a while ends nobody's work."""
    with concurrency(name, strict=strict, lease_duration=_LEASE_S, raise_on_lease_renewal_failure=False):
        yield
