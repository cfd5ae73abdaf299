"""Predicting videos, as a Prefect task."""

from collections.abc import Sequence

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from tasks.inference.batch.parts import predict_part
from tasks.inference.batch.planning import Due, Order
from tasks.inference.model_files import ModelFiles


@task(name="predict-videos", task_run_name="predict {name}", cache_policy=NO_CACHE)
def predict_batch(name: str, due: Sequence[Due], order: Order, models: ModelFiles) -> State:
    """Make what is ordered of each video, in child processes.

    The task run's result is the rows by video. It ends as failed, with the reasons, when of some of the videos nothing
    can be said; `name` says which videos these are.
    """
    rows = predict_part(due, order, models)
    failed = [
        f"{of_video[0]['video']}: {of_video[0]['outcome']}, {of_video[0]['message']}"
        for of_video in rows.values()
        if not any(row["predicted"] for row in of_video)
    ]
    if failed:
        count = f"{len(failed)} of {len(rows)} videos failed: " if len(rows) > 1 else ""
        return Failed(message=count + "; ".join(failed), data=rows)
    return Completed(message=f"{len(rows)} videos", data=rows)
