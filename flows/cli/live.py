"""`fer predict --camera`: a camera in place of videos."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fer_models.errors import UserError
from flows.cli.answers import out
from flows.cli.options import from_home

if TYPE_CHECKING:
    from tasks.inference.model_files import ModelFiles
    from tasks.inference.predictor import Predictor


def check_camera_options(
    sources: list[str], by: str, into: str | None, workers: int | None, faces: str, draws: bool
) -> None:
    """Raise `UserError` for what does not go together with a camera."""
    if sources:
        raise UserError(f"--camera is looked at in place of videos; leave {sources[0]!r} away, or --camera.")
    if by == "segment":
        raise UserError("Of a camera there are rows by frame; leave --by segment away.")
    if workers:
        raise UserError("--workers is for many videos; leave it away with --camera.")
    if faces == "all":
        raise UserError("Of a camera one face is followed; leave --faces all away.")
    if into is None and draws:
        raise UserError("--timeline, --annotate and --format are of the files in a folder; name it with --out.")


def predict_camera(
    camera: str,
    models: "ModelFiles",
    load: Callable[[], "Predictor"],
    output: Path | None,
    into: Path | None,
    force: bool,
    **wishes: Any,
) -> None:
    """Print a line a second until Ctrl-C or the end, then write what was asked for.

    Args:
        camera: a number or a video file.
        load: makes the predictor of the models.
        into: folder for all files.
        wishes: of `tasks.inference.batch.wishes.Wishes`.
    """
    from tasks.inference.batch.wishes import Wishes
    from tasks.inference.live.camera import name_of, open_camera
    from tasks.inference.table_files import write_table
    from tasks.report.outputs import PREDICTIONS, check_output, output_file
    from tasks.storage.locations import as_remote

    source = camera if camera.isdigit() else str(from_home(camera))
    asked = Wishes(**wishes)
    files = [models.detector_model, *(None if as_remote(place) else place for place in models.files)]
    guarded = [Path(source), *filter(None, files)]
    check_output(output, PREDICTIONS, guarded, force)
    if into and as_remote(into):
        raise UserError("What a camera shows is written to a folder of this machine; name one with --out.")
    models.check()
    with open_camera(source):
        """Else it is said only after Keras was loaded that there is none."""
    predictor = load()
    from tasks.inference.live.watching import check_folder, watch_camera  # which need Keras, loaded by now

    if into:
        check_folder(into, asked, force)
    with noted_interrupts() as is_stopped:
        table = watch_camera(predictor, source, asked, into, is_stopped, _print_line)
        if output:
            table.insert(0, "video", name_of(source))
            with output_file(output, PREDICTIONS, guarded, force) as temporary:
                write_table(temporary, table)
    for place in filter(None, (output, into)):
        out.print(f"Written to {escape(str(place))}", soft_wrap=True, highlight=False)


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """In the block the first Ctrl-C is only noted, which the block asks for; another one ends it."""
    noted: list[int] = []

    def note(number: int, _: Any) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)


def _print_line(line: str) -> None:
    out.print(escape(line), highlight=False)
