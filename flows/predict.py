"""Flow `fer-predict`: a model and videos -> tasks over all that are due -> a folder of results."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from fer_models.errors import UserError
from flows.limits import exclusive_results, stop_after_crashes
from tasks.inference.batch.done import Rows
from tasks.inference.batch.folders import results_folder
from tasks.inference.batch.parts import Part, predict_in_parts
from tasks.inference.batch.planning import Order, Plan, plain_row, plan_videos
from tasks.inference.batch.results import Results
from tasks.inference.batch.wishes import Wishes
from tasks.inference.model_files import ModelFiles
from tasks.inference.sources import list_videos
from tasks.outcomes import Outcome
from tasks.steps.artifacts import ProgressArtifact, show_predictions
from tasks.steps.predict import predict_batch
from tasks.storage.locations import local_path, read_location


def _run_name() -> str:
    """Names flow runs, such as `predict clips`."""
    return f"predict {Path(str(flow_run.parameters.get('videos', ''))).name}".strip()


@flow(name="fer-predict", flow_run_name=_run_name, task_runner=ThreadPoolTaskRunner(max_workers=1))
def predict(
    model: str = "",
    videos: str = "",
    out: str = "",
    by: Literal["video", "segment", "frame"] = "video",
    stride: int | None = None,
    timeline: bool = False,
    annotate: bool = False,
    faces: Literal["one", "all"] = "one",
) -> State:
    """Recognise the expression in many videos with a trained model; the result is how many ended in which way.

    What an earlier run into the same folder made is not made again. The run fails when videos crashed or could not be
    read, with the reasons; retrying it tries those again.

    Args:
        model: Path or URL of a model.keras, such as a study leaves in its runs; empty for the published network.
        videos: A folder of videos, a table with a column path (.csv, .parquet), or a list of paths (.txt), as workers
            see it.
        out: Folder for the results, as workers see it; predictions.csv has a row a video, each video a folder below.
        by: Write a table for each video with a row a segment or a row a frame; `video` writes none.
        stride: Frames from one segment to the next; empty for that of the training, 1 is finest.
        timeline: Also draw timeline.png of each video, its probabilities over time.
        annotate: Also make annotated.mp4 of each video, with what is said drawn into it.
        faces: Follow one face, or `all`, each with rows of its own.
    """
    stop_after_crashes()
    for name, value in {"videos": videos, "out": out}.items():
        if not value:
            raise UserError(f"The parameter {name} is empty; say which {name} is meant.")
    models, sources = ModelFiles((read_location(model),) if model else ()), [local_path(videos)]
    models.check()
    wishes = Wishes(by=by, stride=stride, timeline=timeline, annotate=annotate, faces=faces)
    folder = read_location(out)
    with exclusive_results(folder), results_folder(folder, sources) as there:
        plan = plan_videos(list_videos(sources), Order(there, wishes, models.contents()))
        results = _predict_due(plan, models)
    show_predictions(results)
    sentence = results.sentence()
    if results.num_to_try_again or not results.num_recognised:
        return Failed(message=sentence, data=UserError(sentence))
    return Completed(message=sentence, data=results.counts())


def _predict_due(plan: Plan, models: ModelFiles) -> Results:
    with ProgressArtifact("predict", len(plan.due)) as shown:

        def run(parts: Sequence[Part]) -> Iterator[dict[Path, Rows]]:
            futures = [predict_batch.submit(part.name, part.due, plan.order, models) for part in parts]
            for part, future in zip(parts, futures, strict=True):
                rows = _rows(part, future.result(raise_on_failure=False))
                shown.advance(len(rows))
                yield rows

        return predict_in_parts(plan, run)


def _rows(part: Part, result: Any) -> dict[Path, Rows]:
    if isinstance(result, dict):
        return result
    if isinstance(result, UserError):
        raise result
    videos = [due.placed.video for due in part.due]
    return {video: [plain_row(str(video), Outcome.CRASHED, f"the task died: {result}")] for video in videos}
