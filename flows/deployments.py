"""Registers what `infra/prefect.yaml` says with a Prefect server, and what a cluster of workers needs besides."""

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType, WorkerStatus
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from fer_models.errors import UserError
from flows.limits import DEVICES
from tasks.services.home import HOME
from tasks.storage.files import atomic_write

POOLS = ("fer-cpu", "fer-gpu")
#: Deployments that know nothing of presets and configuration files.
OF_NO_STUDY = frozenset({"videos"})
_FILE = Path(__file__).parent.parent / "infra" / "prefect.yaml"
#: A run that gave no sign of life for so long has died with its worker.
_SILENCE = datetime.timedelta(minutes=5)
#: Seconds between two signs of life of a run.
HEARTBEAT_S = 60
#: The tag of deployments whose runs go on by themselves after a crash.
_GOES_ON = "goes-on-after-a-crash"


def register(
    api_url: str, folder: Path, parameters: dict[str, Any], look_every_s: float | None, num_devices: int
) -> None:
    """Register all deployments, the limit of training runs, and the automation that notices dead runs.

    Args:
        api_url: address of the server's API.
        folder: where the workers run; relative paths of settings start there. A copy of what is registered is left in
            its `fer-data/services`.
        parameters: defaults of all deployments that are of a study, such as preset and config.
        look_every_s: seconds between two looks for new videos; none are looked for without.
        num_devices: runs that may train at once. A higher limit that is there already stays.

    Raises:
        UserError: there is no `infra/prefect.yaml`, or Prefect refuses it.
    """
    if not _FILE.is_file():
        raise UserError(
            f"There is no {_FILE}; run from a checkout of the repository, or deploy from its infra/ folder."
        )
    wanted = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    for deployment in wanted["deployments"]:
        if deployment["name"] not in OF_NO_STUDY:
            deployment["parameters"] = deployment.get("parameters", {}) | parameters
        for schedule in deployment.get("schedules", []):
            schedule |= {"interval": look_every_s, "active": True} if look_every_s else {}
    with atomic_write(folder / HOME / "prefect.yaml") as path:
        path.write_text(yaml.safe_dump(wanted, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        environment = os.environ | {"FER_HOME": str(folder), "PREFECT_API_URL": api_url}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Prefect refused the deployments: {' '.join((done.stderr or done.stdout).split())[-600:]}")
    with _client(api_url) as client:
        try:
            allowed = client.read_global_concurrency_limit_by_name(DEVICES).limit
        except ObjectNotFound:
            allowed = 0
        client.upsert_global_concurrency_limit_by_name(DEVICES, max(allowed, num_devices))
        register_automations(client)


def make_pools(api_url: str, folder: Path, as_they_are: bool = False) -> None:
    """Make the pools of workers that are processes, and take from those that are there what a run could misuse.

    A run of such a pool is the flow of its deployment, with the worker's environment, in one folder: neither another
    command nor another environment or folder can be asked for when it is started.

    Args:
        folder: where runs work; relative paths of settings start there.
        as_they_are: pools that are there stay so, except those that a worker made for itself: their runs may choose
            their command.
    """
    with _client(api_url) as client:
        for name in POOLS:
            try:
                pool = client.read_work_pool(name)
            except ObjectNotFound:
                client.create_work_pool(
                    WorkPoolCreate(name=name, type="process", base_job_template=pool_template(folder))
                )
                continue
            if pool.type == "process" and (not as_they_are or _is_open(pool.base_job_template)):
                kept = pool_environment(pool.base_job_template)
                client.update_work_pool(name, WorkPoolUpdate(base_job_template=pool_template(folder, kept)))


def pool_template(folder: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a run of a pool is: no variable for the command or the environment, and one value for the folder.

    Args:
        environment: set for every run.
    """
    fixed = {"env": environment} if environment else {}
    one_folder = {"type": "string", "enum": [str(folder)], "default": str(folder)}
    return {
        "job_configuration": {"working_dir": str(folder), "stream_output": True, **fixed},
        "variables": {"type": "object", "properties": {"working_dir": one_folder}, "additionalProperties": False},
    }


def _is_open(template: dict[str, Any]) -> bool:
    """Whether a run may choose its command or environment, as with the template that Prefect gives a new pool."""
    return not {"command", "env"}.isdisjoint(template.get("variables", {}).get("properties", {}))


def pool_environment(template: dict[str, Any]) -> dict[str, str]:
    """What a pool's administrator has set for every run of it."""
    variables = template.get("variables", {}).get("properties", {})
    fixed = template.get("job_configuration", {}).get("env")
    return variables.get("env", {}).get("default") or (fixed if isinstance(fixed, dict) else {})


def register_automations(client: SyncPrefectClient) -> None:
    """Have the server notice runs whose machine died, and start those again that crashed."""
    for automation in (_end_silent_runs(), _go_on_after_a_crash()):
        if not client.read_automations_by_name(automation.name):
            client.create_automation(automation)


def workers_of(api_url: str, pool: str) -> list[str]:
    """Names of the workers that are online; none when there is no such pool."""
    with _client(api_url) as client:
        try:
            workers = client.read_workers_for_work_pool(pool)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return []
            raise
    return [worker.name for worker in workers if worker.status is WorkerStatus.ONLINE]


@contextmanager
def _client(api_url: str) -> Iterator[SyncPrefectClient]:
    """A client of that server, which brings the password of `PREFECT_API_AUTH_STRING`."""
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        yield client


def _end_silent_runs() -> AutomationCore:
    """Ends runs whose machine died: they would stay `Running`, and who waits for them would wait for ever."""
    heartbeat = "prefect.flow-run.heartbeat"
    ended = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "Crashed")}
    return AutomationCore(
        name="fer: a run without a sign of life has crashed",
        description=f"No heartbeat for {_SILENCE.total_seconds():g} s: the process or its machine is gone.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            after={heartbeat},
            expect={heartbeat, *ended},
            posture=Posture.Proactive,
            threshold=1,
            within=_SILENCE,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="No sign of life: the process or its machine is gone.")
        ],
    )


def _go_on_after_a_crash() -> AutomationCore:
    """Schedules a run again when its process died, as *Retry* does; `stop_after_crashes` sees to it that this ends."""
    return AutomationCore(
        name="fer: a run that crashed goes on",
        description="Finished work is not repeated. After three crashes in a row the run fails.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": ["tag"], "prefect.resource.id": [f"prefect.tag.{_GOES_ON}"]}
            ),
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Crashed"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED, name="AwaitingRetry", message="It crashed and goes on.", force=True
            )
        ],
    )
