"""Many videos shared out to tasks, and trying again what failed for no fault of its own.

Knows nothing of Prefect: how a part of the videos is run is given by the caller.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.inference.batch.cutting import start_children
from tasks.inference.batch.done import Rows
from tasks.inference.batch.planning import Due, Order, Plan
from tasks.inference.batch.results import Results
from tasks.inference.batch.whole import children_for
from tasks.inference.model_files import ModelFiles
from tasks.outcomes import RETRIED, Outcome
from tasks.progress import echo, progress

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor

#: About so many tasks share the videos of a run; each has enough of them that all children are at work.
_TASKS = 64
_LEAST_VIDEOS, _MOST_VIDEOS = 16, 256
#: Further attempts of a video that crashed or could not be read, and the pause in seconds before the first of them;
#: each later one is five times longer.
_RETRIES, _PAUSE_S = 2, 2.0


@dataclass(frozen=True)
class Part:
    """Videos that one task predicts, and a name that says which."""

    name: str
    due: Sequence[Due]


#: Runs parts and yields their rows, those of each video, in the order in which they end.
RunParts = Callable[[Sequence[Part]], Iterator[dict[Path, Rows]]]


def predict_in_parts(plan: Plan, run: RunParts, pause_s: float = _PAUSE_S) -> Results:
    """Predict all that is due; what crashed or could not be read is tried again, each video in a part of its own."""
    results = Results(plan)
    results.write()
    due: Sequence[Due] = plan.due
    for attempt in range(1 + _RETRIES):
        if not due:
            break
        if attempt:
            delay_s = pause_s * 5 ** (attempt - 1)
            echo(f"{len(due)} videos crashed or could not be read; they are tried again in {delay_s:g} s.")
            time.sleep(delay_s)
        outcomes: dict[Path, object] = {}
        with progress(f"Attempt {attempt + 1}" if attempt else "Predicting", len(due)) as advance:
            for part in run(split_into_parts(due, 1 if attempt else None)):
                for video, rows in part.items():
                    results.add(video, rows)
                    outcomes[video] = rows[0]["outcome"]
                    advance("" if outcomes[video] == Outcome.OK else f"{outcomes[video]}: {rows[0]['message']}")
        due = [one for one in due if outcomes.get(one.placed.video) in RETRIED]
    results.write()
    return results


def split_into_parts(due: Sequence[Due], size: int | None = None) -> list[Part]:
    """Named parts of videos that follow each other.

    Args:
        size: videos of each; by default as many as make a few tasks of all.
    """
    size = size or max(_LEAST_VIDEOS, min(-(-len(due) // _TASKS), _MOST_VIDEOS))
    parts = [due[start : start + size] for start in range(0, len(due), size)]
    return [Part(_named([one.placed.video.name for one in part]), part) for part in parts]


def _named(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def predict_part(due: Sequence[Due], order: Order, models: ModelFiles) -> dict[Path, Rows]:
    """Predict some videos in children of this process, which loads the models once for all parts.

    Raises:
        UserError: the models cannot be loaded, or the results not written; what is done stays.
    """
    children = children_for(len(due))
    start_children(children)
    predictor = _load(models, order.models)
    from tasks.inference.batch.running import predict_videos  # which needs Keras

    return {ended.due.placed.video: ended.rows for ended in predict_videos(due, predictor, order, children)}


@functools.lru_cache(maxsize=1)
def _load(models: ModelFiles, contents: tuple[str, ...]) -> "Predictor":
    """The models, once for as long as their contents are these."""
    return models.load()
