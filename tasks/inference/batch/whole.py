"""A run over many videos from one end to the other: what is due is predicted, the table is written, progress shown.

Keras is loaded only when there is something to ask a model.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cores import whole_cores
from tasks.inference.batch.cutting import start_children
from tasks.inference.batch.folders import results_folder
from tasks.inference.batch.planning import Order, Plan, plan_videos
from tasks.inference.batch.results import Results
from tasks.inference.batch.wishes import Wishes
from tasks.inference.model_files import ModelFiles
from tasks.inference.sources import list_videos
from tasks.outcomes import Outcome
from tasks.progress import progress

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor

Load = Callable[[], "Predictor"]


def predict_into(
    out: Path,
    sources: Sequence[Path],
    models: ModelFiles,
    wishes: Wishes,
    workers: int | None = None,
    load: Load | None = None,
    force: bool = False,
) -> Results:
    """Make what is wished of all videos below a folder, but for what is there already.

    Args:
        out: the folder, see `tasks.inference.batch.folders`.
        sources: videos, folders, tables and lists, see `tasks.inference.sources`.
        workers: children at once; by default one a core.
        load: loads the models in another way than they do it; not called when nothing is due.
        force: `out` may hold files that others wrote.

    Raises:
        UserError: a model or a video that is named is not there, or `out` cannot be used.
        StorageError, OSError: the results cannot be written; what is done stays.
    """
    models.check()
    videos = list_videos(sources)
    with results_folder(out, sources, force) as folder:
        plan = plan_videos(videos, Order(folder, wishes, models.contents()))
        return run_plan(plan, load or models.load, workers)


def run_plan(plan: Plan, load: Load, workers: int | None = None) -> Results:
    """Predict what is due, with progress; arguments as of `predict_into`."""
    results = Results(plan)
    results.write()
    if not plan.due:
        return results
    children = children_for(len(plan.due), workers)
    start_children(children)
    predictor, begun_s = load(), time.monotonic()
    from tasks.inference.batch.running import predict_videos  # which needs Keras, loaded by now

    with progress("Predicting", len(plan.placed), len(plan.rows)) as advance:
        for number, ended in enumerate(predict_videos(plan.due, predictor, plan.order, children), start=1):
            results.add(ended.due.placed.video, ended.rows)
            first = ended.rows[0]
            pace = pace_in_words(number, len(plan.due) - number, time.monotonic() - begun_s)
            failed = "" if first["outcome"] == Outcome.OK else f"; {first['outcome']}: {first['message']}"
            advance(pace + failed)
    results.write()
    return results


def children_for(num_videos: int, workers: int | None = None) -> int:
    """How many children so many videos have.

    Args:
        workers: as many as were asked for; by default one a core, and none for a lone video on a lone core, where child
            and parent would only take turns.
    """
    cores = whole_cores()
    if workers is None and cores == num_videos == 1:
        return 0
    return min(workers or cores, num_videos)


def pace_in_words(num_done: int, num_left: int, seconds: float) -> str:
    """How many videos a minute, and how long those take that are left."""
    a_minute = f"{60 * num_done / max(seconds, 1e-9):.3g} a minute"
    if not num_left:
        return a_minute
    minutes = math.ceil(num_left * seconds / num_done / 60)
    hours = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"{a_minute}, {hours} left"
