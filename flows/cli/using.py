"""Commands that use a trained model on new videos."""

import functools
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from fer_models.errors import UserError
from flows.cli.answers import answering, out
from flows.cli.live import check_camera_options, predict_camera
from flows.cli.options import Command, Debug, Force, from_home
from flows.cli.running import stop
from flows.environment import check_keras, prepare_environment, silent_imports

if TYPE_CHECKING:
    import pandas as pd

    from tasks.inference.model_files import ModelFiles
    from tasks.inference.predictor import Predictor
    from tasks.inference.table_files import By

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="Models")


_By = Annotated[
    Literal["video", "segment", "frame"],
    typer.Option("--by", help="what there is a row for in --output, or in the folder of each video in --out"),
]
_Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", min=1, help="frames from one segment to the next; by default as in the training, 1 is finest"
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", parser=from_home, metavar="FILE", help="also write a .csv, .parquet or .jsonl file"),
]
_Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="write a folder with a table of all videos and a folder for each; the same command goes on where it ended",
    ),
]
_Format = Annotated[
    Literal["csv", "parquet", "jsonl"] | None,
    typer.Option("--format", help="with --out: of the table by segment or frame of each video; csv by default"),
]
_Timeline = Annotated[bool, typer.Option("--timeline", help="with --out: also draw timeline.png of each video")]
_Annotate = Annotated[bool, typer.Option("--annotate", help="with --out: also make annotated.mp4 of each video")]
_Camera = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="NUMBER",
        help="in place of videos: a camera, 0 for the first, or a video file as if it came live. A line a second until "
        "Ctrl-C; --output and --out then get the rows by frame",
    ),
]
_Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="with --out: videos at once; by default one a core")
]
_DetectorModel = Annotated[
    Path | None,
    typer.Option(
        parser=from_home,
        metavar="FILE",
        help="the face detector's model file (or folder), if it was moved since the training",
    ),
]
_Precropped = Annotated[
    bool | None,
    typer.Option(
        "--precropped/--find-faces",
        help="use whole frames, or find faces in them; by default as in the training, "
        "and faces are searched in frames that cannot be face crops",
    ),
]

_Faces = Annotated[
    Literal["one", "all"],
    typer.Option("--faces", help="follow one face, or all of them, each with rows, a colour and a number of its own"),
]


@_command(epilog="fer predict fer-data/sample/studies/sample/runs/gap-sum-*/model.keras clip.mp4 folder/")
@answering
def predict(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|VIDEO",
            help="a model.keras of a study, a path or a URL; several are an ensemble, and without one a published "
            "network is asked. Then videos, images or folders of them, or a table with a column path (.csv, .parquet) "
            "or a list (.txt) that names them",
        ),
    ] = None,
    camera: _Camera = None,
    by: _By = "video",
    stride: _Stride = None,
    output: _Output = None,
    into: _Out = None,
    form: _Format = None,
    timeline: _Timeline = False,
    annotate: _Annotate = False,
    workers: _Workers = None,
    detector_model: _DetectorModel = None,
    precropped: _Precropped = None,
    faces: _Faces = "one",
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Recognise the expression in new videos with a trained model."""
    prepare_environment(quiet=not debug)
    check_keras()
    from tasks.inference.model_files import ModelFiles
    from tasks.inference.sources import split_inputs
    from tasks.storage.locations import read_location

    names, sources = split_inputs(inputs or [])
    asked = _Asked(
        ModelFiles(tuple(map(read_location, names)), detector_model), [from_home(one) for one in sources], force
    )
    how: dict[str, Any] = {"by": by, "stride": stride, "precropped": precropped, "faces": faces}
    wishes = {"form": form or "csv", "timeline": timeline, "annotate": annotate, **how}
    if output and into:
        raise UserError("--output writes one table and --out a folder with all results; name one of them.")
    if camera:
        check_camera_options(sources, by, into, workers, faces, bool(timeline or annotate or form))
        folder = read_location(into) if into else None
        predict_camera(camera, asked.models, asked.load, output, folder, force, **wishes | {"by": "frame"})
    elif not sources:
        raise UserError("Name videos, images, or folders of them; or a camera with --camera 0.")
    elif into:
        _predict_into(read_location(into), asked, workers, **wishes)
    else:
        _check_output_options(by, output, form, timeline or annotate)
        _predict_here(asked, output, **how)
    if not names:
        _tell_of_pretrained()


@dataclass(frozen=True)
class _Asked:
    """Which models are asked about what.

    Args:
        force: what somebody else made may be written over.
    """

    models: "ModelFiles"
    sources: list[Path]
    force: bool

    def load(self) -> "Predictor":
        """The models, ready to be asked."""
        with silent_imports():
            import tasks.inference.predictor  # noqa: F401
        return self.models.load()


def _tell_of_pretrained() -> None:
    from tasks.inference.pretrained import PRETRAINED_LIMITS

    out.remark(f"No model was named, so this is the published network of FER2013. {PRETRAINED_LIMITS[-1]}")


def _check_output_options(by: "By", output: Path | None, form: str | None, draws: bool) -> None:
    """Raise `UserError` for what needs --out, which was not given."""
    if draws:
        raise UserError("--timeline and --annotate draw a file for each video: name a folder for them with --out.")
    if form:
        raise UserError("--format is of the files in --out; that of --output is in the end of its name.")
    if by != "video" and not output:
        raise UserError(f"The rows by {by} are written to a file: name one with --output, or a folder with --out.")


def _predict_here(asked: _Asked, output: Path | None, by: "By", **options: Any) -> None:
    """Predict in this process, and show a row a video."""
    from tasks.inference.sources import find_videos
    from tasks.report.outputs import PREDICTIONS, check_output, output_file
    from tasks.storage.locations import as_remote

    models = asked.models
    check_output(output, PREDICTIONS, force=asked.force)
    models.check()  # else it is said only after Keras was loaded
    files = [models.detector_model, *(None if as_remote(place) else place for place in models.files)]
    guarded = [*find_videos(asked.sources), *filter(None, files)]
    check_output(output, PREDICTIONS, guarded, asked.force)
    rows: list[Mapping[str, Any]] = []
    tables = []
    for found in asked.load().predict_all(asked.sources, **options):
        rows += found.rows
        if output:
            tables.append(_with_name(found.table(by), found.video, by))
    out.show("predictions", rows, _table_of(rows))
    if output:
        with output_file(output, PREDICTIONS, guarded, asked.force) as temporary:
            _write(temporary, tables)
        out.print(f"Written to {escape(str(output))}", soft_wrap=True, highlight=False)
    recognised = {row["video"] for row in rows if row["predicted"]}
    if not recognised:
        raise UserError("No video could be recognised; the table says why.")
    out.print(f"{len(recognised)} of {len({row['video'] for row in rows})} videos recognised.")


@_command(epilog="fer serve --data-root fer-data/sample")
def serve(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="model.keras files to choose from, paths or URLs")
    ] = None,
    data_root: Annotated[
        str | None, typer.Option("--data-root", help="also the models of all studies there, the champion first")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="address to listen at; whoever comes from elsewhere has to know a token")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one")] = 7860,
    token: Annotated[
        str,
        typer.Option("--token", envvar="FER_SERVE_TOKEN", help="what visitors have to know; by default one is drawn"),
    ] = "",
    name: Annotated[
        str, typer.Option("--name", help="further name of the page, such as that of a server with HTTPS before it")
    ] = "",
    upload_mb: Annotated[int, typer.Option("--upload-mb", min=1, help="size of a video at most")] = 200,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=1440, help="length of a video at most")] = 5.0,
    waiting: Annotated[int, typer.Option("--waiting", min=0, help="videos that may wait beside the one at work")] = 8,
    keep_minutes: Annotated[
        float,
        typer.Option("--keep-minutes", min=0.1, max=1440, help="a video and its answer are kept after the last look"),
    ] = 15.0,
    memory_mb: Annotated[
        int, typer.Option("--memory-mb", min=500, help="what a video may take beside the model")
    ] = 3000,
    detector_model: _DetectorModel = None,
    debug: Debug = False,
) -> None:
    """Show in a web page what a model sees in a video that is sent to it or recorded there."""
    prepare_environment(quiet=not debug)
    check_keras()
    from flows.serving import Address, gather_choices
    from flows.serving import serve as serve_page
    from tasks.inference.web.limits import Limits
    from tasks.storage.locations import read_location

    limits = Limits(
        upload_mb=upload_mb, minutes=minutes, waiting=waiting, keep_minutes=keep_minutes, memory_mb=memory_mb
    )
    named = [read_location(model) for model in models or []]
    with gather_choices(named, read_location(data_root) if data_root else None) as choices:
        serve_page(choices, limits, Address(host, port, name, token), detector_model)


def _predict_into(into: Path, asked: _Asked, workers: int | None, **wishes: Any) -> None:
    """Predict in child processes, into a folder that holds what is done already."""
    signal.signal(signal.SIGINT, stop)
    from tasks.inference.batch.whole import predict_into
    from tasks.inference.batch.wishes import Wishes

    results = predict_into(into, asked.sources, asked.models, Wishes(**wishes), workers, asked.load, asked.force)
    out.print(escape(results.sentence()), soft_wrap=True, highlight=False)
    out.print(f"A row a video: {escape(str(results.path))}", soft_wrap=True, highlight=False)
    if not results.num_recognised:
        raise UserError("No video could be recognised; the table says why.")


def _write(path: Path, tables: Sequence["pd.DataFrame"]) -> None:
    """Several tables as one file."""
    import pandas as pd

    from tasks.inference.table_files import write_table

    write_table(path, pd.concat(tables, ignore_index=True))


def _with_name(table: "pd.DataFrame", video: Path, by: "By") -> "pd.DataFrame":
    """A table of one video with the video in its first column."""
    if by != "video":
        table.insert(0, "video", str(video))
    return table


def _table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Predictions as a terminal shows them."""
    from tasks.outcomes import Outcome

    follows_all = any("track" in row for row in rows)
    table = Table("video")
    if follows_all:
        table.add_column("face", justify="right")
        table.add_column("seen", no_wrap=True)
    table.add_column("expression")
    table.add_column("probability", justify="right")
    table.add_column("segments", justify="right")
    table.add_column("remark")
    for column in table.columns:
        column.overflow = "fold"
    before = ""
    for row in rows:
        probability = f"{row['confidence']:.2f}" if row["predicted"] else ""
        of_all = f" of {round(row['num_segments'] / row['coverage'])}" if row["num_segments"] else ""
        expression = row["predicted"] or ("no verdict" if row["outcome"] == Outcome.OK else row["outcome"])
        if row["predicted"] and not row["has_verdict"]:
            expression = f"no verdict ({expression}?)"
        followed = _who_and_when(row) if follows_all else []
        video, before = "" if row["video"] == before else escape(row["video"]), row["video"]
        table.add_row(
            video,
            *followed,
            escape(expression),
            probability,
            f"{row['num_segments']}{of_all}",
            escape(row["message"]),
        )
    return table


def _who_and_when(row: Mapping[str, Any]) -> list[str]:
    """The number of a followed face, and when it was seen; of no face nothing."""
    return [str(row["track"]), f"{row['first_s']:.1f} to {row['last_s']:.1f} s"] if row["track"] else ["", ""]
