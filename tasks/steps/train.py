"""Training: one run as a Prefect task in this process, or several as runs of a deployment, which other workers take."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from fer_models.errors import FerError, UserError
from fer_models.training.progress import Epoch, Progress
from tasks.config.settings import StudySettings
from tasks.progress import echo, progress
from tasks.steps.artifacts import ProgressArtifact
from tasks.study.forecast import remember_training
from tasks.study.runs import Run, num_epochs, train_run
from tasks.tracking import mlflow_log

DEPLOYMENT = "fer-train/gpu"
_POLL_S = 2.0
#: Flow runs that a server tells of in one answer.
_MOST_ASKED = 200
#: A server that does not answer for longer than this is given up.
_OUTAGE_S = 900.0
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


@task(name="train-arm", task_run_name="train {run.name}", cache_policy=NO_CACHE)
def train_arm(settings: StudySettings, run: Run, study_run: mlflow_log.StudyRun) -> Progress:
    """Train one arm with one seed, or go on with it, telling MLflow of every epoch."""
    run_id = mlflow_log.open_run(settings, study_run, run)
    logged = mlflow_log.num_logged_epochs(run_id)
    with ProgressArtifact(f"train {run.name}", num_epochs(settings, run.arm)) as shown:

        def tell(epoch: Epoch) -> None:
            shown.reach(epoch.epoch)
            if epoch.epoch > logged:
                mlflow_log.log_epoch(run_id, epoch)

        begun, was_trained = time.monotonic(), run.trained
        result = train_run(settings, run, tell)
        if not (was_trained or run.members):
            remember_training(settings, run, result, time.monotonic() - begun)
        return result


def train_on_workers(runs: Sequence[Run], parameters: dict[str, Any], retries: int) -> dict[str, FerError]:
    """Have runs trained by whichever workers take them, and wait for all of them; returns what failed, by run.

    Called in a flow, whose subflows they become. A run that another study is having trained already is waited for, not
    trained twice. One whose worker died is submitted again, `retries` times; it goes on after its last epoch.

    Args:
        parameters: of the flow `fer-train`, without the name of the run.

    Raises:
        UserError: there is no such deployment.
    """
    under_way = {_start(run, parameters): run for run in runs}
    crashes: Counter[str] = Counter()
    failures: dict[str, FerError] = {}
    answered = time.monotonic()
    with progress("Training on workers", len(runs)) as advance, ProgressArtifact("train", len(runs)) as shown:
        while under_way:
            time.sleep(_POLL_S)
            try:
                ended = _ended(list(under_way))
                answered = time.monotonic()
            except (httpx.TransportError, httpx.HTTPStatusError):
                if time.monotonic() - answered > _OUTAGE_S:
                    raise
                continue
            for flow_run in ended:
                run = under_way.pop(flow_run.id)
                assert flow_run.state
                if flow_run.state.is_crashed() and crashes[run.name] < retries:
                    crashes[run.name] += 1
                    echo(f"{run.name}: the worker died; it is trained again.")
                    under_way[_start(run, parameters)] = run
                    continue
                if not flow_run.state.is_completed():
                    why = f"its run {flow_run.name!r} of {DEPLOYMENT} ended as {flow_run.state.name}"
                    failures[run.name] = UserError(f"{why}: {flow_run.state.message}")
                elif not run.trained:
                    failures[run.name] = UserError(
                        f"{DEPLOYMENT} trained it elsewhere than {run.folder}; workers need the same data root, the "
                        "same KERAS_BACKEND and the same version of this package"
                    )
                advance(run.name)
                shown.advance()
    return failures


def _start(run: Run, parameters: dict[str, Any]) -> UUID:
    """The flow run that trains a run already, or a new one."""
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED))
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=[run.folder.name]), state=states)
    with get_client(sync_client=True) as client:
        if found := client.read_flow_runs(flow_run_filter=chosen, limit=1):
            return found[0].id
    try:
        return run_deployment(
            DEPLOYMENT,
            parameters=parameters | {"run": run.name},
            timeout=0,
            tags=[run.folder.name],
            flow_run_name=f"train {run.name}",
        ).id
    except ObjectNotFound as error:
        raise UserError(f"There is no deployment {DEPLOYMENT}; `fer up` registers it.") from error


def _ended(flow_runs: Sequence[UUID]) -> list[FlowRun]:
    """Those that are in a final state."""
    final = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES)))
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        for start in range(0, len(flow_runs), _MOST_ASKED):
            ids = FlowRunFilterId(any_=list(flow_runs[start : start + _MOST_ASKED]))
            found += client.read_flow_runs(flow_run_filter=FlowRunFilter(id=ids, state=final))
    return found
