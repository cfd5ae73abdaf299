"""A run over many videos from one end to the other: what is due is predicted, the table is written, progress shown.

Keras is loaded only when there is something to ask a model.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.inference.batch.cutting import start_children
from tasks.inference.batch.folders import results_folder
from tasks.inference.batch.planning import Order, Plan, plan_videos
from tasks.inference.batch.results import Results
from tasks.inference.batch.wishes import Wishes
from tasks.inference.sources import find_model, list_videos
from tasks.outcomes import Outcome
from tasks.progress import progress
from tasks.storage.local_copies import local_copy
from tasks.video.fingerprint import content_sha256

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor


def predict_into(
    out: Path,
    sources: Sequence[Path],
    models: Sequence[Path],
    load: Callable[[], "Predictor"],
    wishes: Wishes,
    workers: int | None = None,
    detector_model: Path | None = None,
    force: bool = False,
) -> Results:
    """Make what is wished of all videos below a folder, but for what is there already.

    Args:
        out: the folder, see `tasks.inference.batch.folders`.
        sources: videos, folders, tables and lists, see `tasks.inference.sources`.
        models: files of models, local or not.
        load: gives the predictor that they make; not called when nothing is due.
        workers: children at once; by default one a core.
        detector_model: a file or folder that `load` uses too.
        force: `out` may hold files that others wrote.

    Raises:
        UserError: a model or a video that is named is not there, or `out` cannot be used.
        StorageError, OSError: the results cannot be written; what is done stays.
    """
    for model in models:
        find_model(model)
    videos = list_videos(sources)
    with results_folder(out, sources, force) as folder:
        plan = plan_videos(videos, Order(folder, wishes, contents_of(models, detector_model)))
        return run_plan(plan, load, workers)


def contents_of(models: Sequence[Path], detector_model: Path | None = None) -> tuple[str, ...]:
    """The SHA-256 of all files that predictions depend on, local or not."""
    files = [detector_model] if detector_model else []
    if detector_model and detector_model.is_dir():
        files = sorted(detector_model.iterdir())
    found = []
    for file in [*models, *files]:
        with local_copy(file) as copy:
            found.append(content_sha256(copy))
    return tuple(found)


def run_plan(plan: Plan, load: Callable[[], "Predictor"], workers: int | None = None) -> Results:
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
            results.add(ended.due.placed.video, ended.row)
            pace = pace_in_words(number, len(plan.due) - number, time.monotonic() - begun_s)
            failed = "" if ended.row["outcome"] == Outcome.OK else f"; {ended.row['outcome']}: {ended.row['message']}"
            advance(pace + failed)
    results.write()
    return results


def children_for(num_videos: int, workers: int | None = None) -> int:
    """How many children so many videos have.

    Args:
        workers: as many as were asked for; by default one a core, and none for a lone video on a lone core, where child
            and parent would only take turns.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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
