"""What runs of deployments wait for: slots of global concurrency limits, which Prefect's server counts.

A run in a process of its own, without a deployment, waits for nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import get_client
from prefect.concurrency.sync import concurrency
from prefect.runtime import deployment

#: Training runs share it: as many slots as there are devices. `fer up` makes it; else: prefect gcl create fer-gpu.
DEVICES = "fer-gpu"
#: Seconds after which a slot is free again when its holder died.
_LEASE_S = 60


@contextmanager
def one_device() -> Iterator[None]:
    """Wait for a device, and keep it for the block."""
    if deployment.id:
        with _slot(DEVICES, strict=True):
            yield
    else:
        yield


@contextmanager
def alone_in(data_root: Path) -> Iterator[None]:
    """Wait until no other run prepares videos into a data root, and keep others out for the block."""
    if deployment.id:
        name = "fer-prepare-" + re.sub(r"[^A-Za-z0-9]+", "-", str(data_root)).strip("-")
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(name, 1)
        with _slot(name):
            yield
    else:
        yield


@contextmanager
def _slot(name: str, strict: bool = False) -> Iterator[None]:
    """A server that is away for a while ends nobody's work."""
    with concurrency(name, strict=strict, lease_duration=_LEASE_S, raise_on_lease_renewal_failure=False):
        yield
