"""Training one run, as a Prefect task: in this process, or as a run of a deployment that other workers take."""

import time
from typing import Any

import httpx
from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from fer_models.errors import UseError
from fer_models.training import Epoch, Progress
from tasks import tracking
from tasks.runs import Run, train_run
from tasks.settings import StudySettings
from tasks.steps.artifacts import ProgressArtifact

DEPLOYMENT = "fer-train/gpu"
_POLL_S = 2.0
#: A server that does not answer for longer than this is given up.
_OUTAGE_S = 900.0
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


@task(name="train-arm", task_run_name="train {run.name}", cache_policy=NO_CACHE)
def train_arm(settings: StudySettings, run: Run, study_run: tracking.StudyRun) -> Progress:
    """Train one arm with one seed, or go on with it, telling MLflow of every epoch."""
    run_id = tracking.open_run(settings, study_run, run)
    logged = tracking.num_logged_epochs(run_id)
    with ProgressArtifact(f"train {run.name}", settings.training.epochs) as shown:

        def tell(epoch: Epoch) -> None:
            shown.reach(epoch.epoch)
            if epoch.epoch > logged:
                tracking.log_epoch(run_id, epoch)

        return train_run(settings, run, tell)


@task(name="train-on-worker", task_run_name="train {run.name} on a worker", cache_policy=NO_CACHE)
def train_on_worker(run: Run, parameters: dict[str, Any], retries: int) -> None:
    """Have a run trained by whichever worker takes it, and wait for that.

    A run that another study is having trained already is waited for, not trained twice. One whose worker died is
    submitted again, `retries` times; it goes on after its last epoch.

    Args:
        parameters: of the flow `fer-train`, but for the name of the run.

    Raises:
        UseError: the run failed, or there is no such deployment.
    """
    for attempt in range(retries + 1):
        flow_run = _wait(_find_unfinished(run) or _submit(run, parameters))
        state = flow_run.state
        if state is None or state.is_completed():
            break
        if not state.is_crashed() or attempt == retries:
            raise UseError(f"its run {flow_run.name!r} of {DEPLOYMENT} ended as {state.name}: {state.message}")
        get_run_logger().warning("%s: the worker died; it is trained again.", run.name)
    if not run.trained:
        raise UseError(
            f"{DEPLOYMENT} trained it elsewhere than {run.folder}; workers need the same data root, the same "
            "KERAS_BACKEND and the same version of this package."
        )


def _submit(run: Run, parameters: dict[str, Any]) -> FlowRun:
    try:
        return run_deployment(
            DEPLOYMENT,
            parameters=parameters | {"run": run.name},
            timeout=0,
            tags=[run.folder.name],
            flow_run_name=f"train {run.name}",
        )
    except ObjectNotFound as error:
        raise UseError(f"There is no deployment {DEPLOYMENT}; `fer up` registers it.") from error


def _find_unfinished(run: Run) -> FlowRun | None:
    """The flow run that trains a run now, or will."""
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED))
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=[run.folder.name]), state=states)
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=chosen, limit=1)
    return found[0] if found else None


def _wait(flow_run: FlowRun) -> FlowRun:
    answered = time.monotonic()
    while not (flow_run.state and flow_run.state.is_final()):
        time.sleep(_POLL_S)
        try:
            with get_client(sync_client=True) as client:
                flow_run = client.read_flow_run(flow_run.id)
            answered = time.monotonic()
        except (httpx.TransportError, httpx.HTTPStatusError):
            if time.monotonic() - answered > _OUTAGE_S:
                raise
    return flow_run
