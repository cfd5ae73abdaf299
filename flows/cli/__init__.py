"""The command `fer`. Heavy packages are imported by the command that needs them, so that `fer --help` is quick."""

import functools
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_models.errors import FerError, UseError
from fer_models.settings import ModelSettings
from flows.environment import check_server, kill_prefect_server, prepare_environment, silent_imports

app = typer.Typer(
    name="fer",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Facial expression recognition from video: prepare, train six fusion models, compare them honestly.",
    epilog="Start with [b]fer study --preset sample[/b]; it needs no data.",
)
out = Console()

Preset = Annotated[str | None, typer.Option("--preset", "-p", help="sample, study or corrected (the default)")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file with settings that differ from the preset's")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="one setting, e.g. training.epochs=20")
]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="train every arm with so many seeds")]
DataRoot = Annotated[
    str | None,
    typer.Option("--data-root", help="folder or s3://bucket/prefix for all that is made, one corpus each"),
]
Debug = Annotated[bool, typer.Option("--debug", help="show stack traces and the logs of Prefect")]


def _overrides(pairs: list[str] | None, data_root: str | None, seeds: int | None = None) -> dict[str, Any]:
    # a string is read as YAML, which takes 2024 for a number; a path is taken as it is
    overrides: dict[str, Any] = {"data_root": data_root if "://" in data_root else Path(data_root)} if data_root else {}
    if seeds:
        overrides["seeds"] = seeds
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UseError(f"--set takes KEY=VALUE, not {pair!r}.")
        overrides[key.strip()] = value
    return overrides


def _stop(*_: object) -> NoReturn:
    """Ctrl-C: leave at once. Files are whole or not there, so there is nothing to wait for."""
    for child in multiprocessing.active_children():
        child.kill()
    kill_prefect_server()
    sys.stderr.write("\nfer: stopped; the same command goes on where it was.\n")
    sys.stderr.flush()
    os._exit(130)


def _run_flow(
    name: str,
    preset: str | None,
    config: Path | None,
    pairs: list[str] | None,
    data_root: str | None,
    debug: bool,
    seeds: int | None = None,
    **more: Any,
) -> Any:
    """Check settings and corpus, then run a flow in this process.

    With no server to tell of it, a preparation that has nothing to do ends here, without waiting for Prefect.
    """
    prepare_environment(quiet=not debug)
    from tasks.configuration import resolve_settings

    overrides = _overrides(pairs, data_root, seeds)
    settings = resolve_settings(preset, config, overrides)
    signal.signal(signal.SIGINT, _stop)
    if name in ("prepare", "study") and not os.environ.get("PREFECT_API_URL"):
        from tasks.fan_out import Attempts
        from tasks.scan import conclude, scan_corpus

        scan = scan_corpus(settings, more.get("videos"))
        if name == "prepare" and scan.plan.due.empty:
            return conclude(scan, settings, Attempts()).counts
    return _start(name, preset, config, overrides, **more)


def _start(name: str, preset: str | None, config: Path | None, overrides: dict[str, Any], **more: Any) -> Any:
    """Run a flow in this process, with the server that was named or one that lives as long as the process."""
    import importlib

    from tasks.progress import say

    if server := os.environ.get("PREFECT_API_URL"):
        check_server(server)
    elif "prefect" not in sys.modules:
        say("Starting Prefect in this process: 20 seconds or so, up to a minute the first time.")

    module, function = {
        "prepare": ("flows.prepare", "prepare"),
        "split": ("flows.split", "split"),
        "train": ("flows.train", "train"),
        "evaluate": ("flows.evaluate", "evaluate"),
        "study": ("flows.study", "full_study"),
    }[name]
    with silent_imports():
        run = getattr(importlib.import_module(module), function)
    if name == "prepare":
        more["tolerant"] = True  # the ledger and the last line tell of failed videos
    given = {"preset": preset, "config": str(config.absolute()) if config else None, "overrides": overrides}
    return run(**{name: value for name, value in given.items() if value}, **more)


@app.command(epilog="fer sample corpus --subjects 100 --clips 20 --size 640x480")
def sample(
    folder: Annotated[Path, typer.Argument(help="where to draw it")] = Path("sample-corpus"),
    subjects: Annotated[int, typer.Option(min=1, help="number of people")] = 32,
    clips: Annotated[int, typer.Option(min=1, help="clips a person")] = 9,
    seconds: Annotated[float, typer.Option(min=0.04, help="length of a clip")] = 1.6,
    size: Annotated[str, typer.Option(help="width x height in px, both even")] = "320x240",
    seed: Annotated[int, typer.Option(min=0)] = 7,
    faults: Annotated[bool, typer.Option(help="add a clip without a face, a truncated file and so on")] = True,
    debug: Debug = False,
) -> None:
    """Draw a corpus of made-up people in the layout of BAUM-1s."""
    from tasks.sample.corpus import SampleCorpus, write_corpus

    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64) or (
        int(width) % 2 or int(height) % 2
    ):
        raise UseError(f"--size takes two even numbers of at least 64 such as 320x240, not {size!r}.")
    corpus = SampleCorpus(subjects, clips, seconds, (int(width), int(height)), seed=seed, faults=faults)
    drawn = write_corpus(folder, corpus)
    out.print(
        f"{drawn} clips drawn, all of them in {folder}." if drawn else f"The corpus in {folder} is whole already."
    )


@app.command(epilog="fer prepare --set corpus.adapter=folder --set corpus.root=my-videos")
def prepare(
    preset: Preset = None, config: Config = None, set_: Set = None, data_root: DataRoot = None, debug: Debug = False
) -> None:
    """Find faces and optical flow in every video that is new."""
    _run_flow("prepare", preset, config, set_, data_root, debug)


@app.command(epilog="fer retry --reason timeout --set execution.timeout_s=3600  |  fer retry --video baum1s/S001_001")
def retry(
    reason: Annotated[str | None, typer.Option("--reason", help="only videos with this outcome, e.g. timeout")] = None,
    video: Annotated[list[str] | None, typer.Option("--video", help="only this video; may be given again")] = None,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Try failed videos again: those that crashed, hung or could not be read, or those that you name."""
    from tasks.configuration import resolve_settings
    from tasks.layout import Layout
    from tasks.ledger import read_ledger, select_videos

    layout = Layout.of(resolve_settings(preset, config, _overrides(set_, data_root)))
    videos = select_videos(read_ledger(layout.ledger), reason, video or [])
    if not videos:
        out.print(f"No video ended as {reason}." if reason else "No video crashed, hung or could not be read.")
        return
    _run_flow("prepare", preset, config, set_, data_root, debug, videos=videos)


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Remove what preparation left that these settings and this corpus do not use."""
    from tasks.configuration import resolve_settings
    from tasks.layout import Layout
    from tasks.unused import find_unused, remove

    unused = find_unused(Layout.of(resolve_settings(preset, config, _overrides(set_, data_root))))
    if not unused:
        out.print("There is nothing to remove.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "videos", "MB"):
        table.add_column(name, justify="left" if name == "what" else "right", overflow="fold")
    for item in unused:
        table.add_row(escape(item.description), str(item.num_shards), f"{item.size_bytes / 1e6:.1f}")
    out.print(table)
    if yes or typer.confirm("Remove it?"):
        remove(unused)
        out.print(f"Removed {sum(item.size_bytes for item in unused) / 1e6:.1f} MB.")


@app.command()
def split(
    preset: Preset = None, config: Config = None, set_: Set = None, data_root: DataRoot = None, debug: Debug = False
) -> None:
    """Give every person one side: train, validation or test."""
    _run_flow("split", preset, config, set_, data_root, debug)


@app.command(epilog="fer train --preset corrected --set training.epochs=20 --set 'arms=\\[gap-sum]'")
def train(
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    seeds: Seeds = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Train the arms that are not trained yet."""
    _run_flow("train", preset, config, set_, data_root, debug, seeds)


@app.command()
def evaluate(
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    seeds: Seeds = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Evaluate the trained arms on the test people, log to MLflow, write the report."""
    report = _run_flow("evaluate", preset, config, set_, data_root, debug, seeds)
    _show_results(report, preset, config, _overrides(set_, data_root, seeds))


@app.command(epilog="fer study --preset sample  |  fer study --preset corrected --set corpus.root=/data/BAUM-1")
def study(
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    seeds: Seeds = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Do it all: prepare, split, train, evaluate, report. What is done is not done again."""
    report = _run_flow("study", preset, config, set_, data_root, debug, seeds)
    _show_results(report, preset, config, _overrides(set_, data_root, seeds))


@app.command(epilog="fer up --config study.yaml  |  FER_POSTGRES=postgresql://user:password@host fer up")
def up(
    host: Annotated[str, typer.Option(help="address that the servers listen at")] = "127.0.0.1",
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="port of Prefect's server")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="port of MLflow's server")] = 5000,
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="FER_POSTGRES",
            metavar="URL",
            help="keep their records on this PostgreSQL server, not in SQLite files; "
            "as an environment variable no other user sees the password",
        ),
    ] = None,
    gpu_workers: Annotated[
        int | None, typer.Option(min=1, help="training runs at once; one a GPU, or one without GPUs, by default")
    ] = None,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Run Prefect, MLflow and workers on this machine until Ctrl-C; a study that is named is looked after."""
    prepare_environment()
    from tasks.configuration import resolve_settings

    overrides = _overrides(set_, data_root)
    settings = resolve_settings(preset, config, overrides)
    with silent_imports():
        from flows.up import serve
    from tasks.databases import Databases
    from tasks.services import HOME, Addresses

    named = {"preset": preset, "config": str(config.absolute()) if config else None, "overrides": overrides}
    parameters = {name: value for name, value in named.items() if value}
    serve(
        Addresses.of(host, prefect_port, mlflow_port),
        lambda: Databases.on_postgres(postgres) if postgres else Databases.in_folder(HOME),
        parameters,
        settings.watch.interval_s if parameters else None,
        gpu_workers,
        out,
    )


@app.command(epilog="fer watch --config study.yaml  |  in a crontab: fer watch --once --config study.yaml")
def watch(
    once: Annotated[bool, typer.Option("--once", help="one look, for cron; exits with 1 when it fails")] = False,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    seeds: Seeds = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Look at the corpus again and again: prepare what is new, and run the study when enough has come in."""
    prepare_environment(quiet=not debug)
    from flows.watch import look, watch_corpus
    from tasks.configuration import resolve_settings

    overrides = _overrides(set_, data_root, seeds)
    settings = resolve_settings(preset, config, overrides).watching()
    overrides["execution.settle_s"] = settings.execution.settle_s
    signal.signal(signal.SIGINT, _stop)
    run = functools.partial(_start, preset=preset, config=config, overrides=overrides)
    if once:
        look(settings, run, out)
    else:
        watch_corpus(settings, run, out)


@app.command()
def report(
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    seeds: Seeds = None,
    data_root: DataRoot = None,
    debug: Debug = False,
) -> None:
    """Write the report of an evaluated study again and print its table."""
    prepare_environment(quiet=not debug)
    with silent_imports():
        from tasks.report import write_report
        from tasks.report_input import collect
    from tasks.configuration import resolve_settings
    from tasks.layout import Layout

    overrides = _overrides(set_, data_root, seeds)
    settings = resolve_settings(preset, config, overrides)
    path = write_report(collect(settings), Layout.of(settings).report)
    _show_results(path, preset, config, overrides)


@app.command()
def models(
    equivalence: Annotated[
        bool, typer.Option("--equivalence", help="also find out which arms of the study are the same function")
    ] = False,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    debug: Debug = False,
) -> None:
    """List the arms with their trainable parameters."""
    prepare_environment(quiet=not debug)
    with silent_imports():
        from fer_models.building import build_model
    from fer_models.arms import ARMS
    from tasks.configuration import resolve_settings

    settings = resolve_settings(preset, config, _overrides(set_, None))
    out.print(f"Arms in {settings.model.form} form, width {settings.model.width}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("arm", no_wrap=True)
    table.add_column("what it is")
    table.add_column("parameters", justify="right")
    table.add_column("in the study", justify="center")
    for arm in ARMS.values():
        model = build_model(arm, settings.model, settings.corpus.emotions)
        table.add_row(arm.name, arm.title, f"{model.count_params():,}", "yes" if arm.name in settings.arms else "")
    out.print(table)
    if equivalence:
        _show_equivalences(settings.arms, settings.model)


@app.command()
def config(preset: Preset = None, config: Config = None, set_: Set = None, debug: Debug = False) -> None:
    """Print all settings as a configuration file."""
    from tasks.configuration import resolve_settings, settings_as_yaml

    sys.stdout.write(settings_as_yaml(resolve_settings(preset, config, _overrides(set_, None))))


@app.command()
def status(
    preset: Preset = None, config: Config = None, set_: Set = None, data_root: DataRoot = None, debug: Debug = False
) -> None:
    """Show what became of every video and which arms are trained."""
    prepare_environment(quiet=not debug)
    with silent_imports():
        from flows.status import print_status
    from tasks.configuration import resolve_settings

    print_status(resolve_settings(preset, config, _overrides(set_, data_root)), out)


@app.command(epilog="fer doctor --config study.yaml")
def doctor(
    preset: Preset = None, config: Config = None, set_: Set = None, data_root: DataRoot = None, debug: Debug = False
) -> None:
    """Check that this machine can run a study: packages, codecs, devices, disk, servers. Exits with 1 when not."""
    prepare_environment(quiet=not debug)
    with silent_imports():
        from flows.doctor import print_diagnosis
    from tasks.configuration import resolve_settings

    if print_diagnosis(resolve_settings(preset, config, _overrides(set_, data_root)), out):
        raise typer.Exit(1)


@app.command(epilog="fer audit --preset sample && fer train --preset sample")
def audit(
    preset: Preset = None, config: Config = None, set_: Set = None, data_root: DataRoot = None, debug: Debug = False
) -> None:
    """Look for leaks between the sides: people, files, footage, names, labels. Exits with 1 when there is one."""
    prepare_environment(quiet=not debug)
    from flows.audit import print_audit
    from tasks.configuration import resolve_settings

    if print_audit(resolve_settings(preset, config, _overrides(set_, data_root)), out):
        raise typer.Exit(1)


@app.command(epilog="fer inspect baum1s/S001_001 --preset sample")
def inspect(
    video: Annotated[str, typer.Argument(metavar="VIDEO_ID", help="a video's id, or an unmistakable part of it")],
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    data_root: DataRoot = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="where to write the PNG")] = None,
    debug: Debug = False,
) -> None:
    """Draw a video on one page: faces, motion, outcome and why."""
    prepare_environment(quiet=not debug)
    from tasks.configuration import resolve_settings
    from tasks.inspection import inspect_video

    path = inspect_video(resolve_settings(preset, config, _overrides(set_, data_root)), video, output)
    out.print(escape(str(path)), soft_wrap=True, highlight=False)


@app.command(epilog="fer explain 3fa9c1d204 --preset sample")
def explain(
    tile: Annotated[str, typer.Argument(metavar="TILE", help="id below a Grad-CAM tile, or its beginning")],
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    data_root: DataRoot = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="where to write the PNG")] = None,
    debug: Debug = False,
) -> None:
    """Draw a Grad-CAM tile on one page: frame, crop, motion, maps, probabilities and where all of it comes from."""
    prepare_environment(quiet=not debug)
    from tasks.configuration import resolve_settings
    from tasks.tile_page import explain_tile

    path = explain_tile(resolve_settings(preset, config, _overrides(set_, data_root)), tile, output)
    out.print(escape(str(path)), soft_wrap=True, highlight=False)


@app.command(epilog="fer predict fer-data/sample/studies/sample/runs/gap-sum-*/model.keras clip.mp4 folder/")
def predict(
    model: Annotated[str, typer.Argument(help="a model.keras of a study, a path or a URL")],
    videos: Annotated[list[Path], typer.Argument(help="videos, or folders of them")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="also write a CSV file")] = None,
    detector_model: Annotated[
        Path | None, typer.Option(help="the face detector's model file, if it was moved since the training")
    ] = None,
    debug: Debug = False,
) -> None:
    """Recognise the expression in new videos with a trained model."""
    prepare_environment(quiet=not debug)
    with silent_imports():
        from tasks.prediction import predict_videos
    from tasks.places import read_place

    if output and not output.parent.is_dir():
        raise UseError(f"There is no folder {str(output.parent)!r} for --output.")
    predictions = predict_videos(read_place(model), videos, detector_model)
    table = Table()
    for name in ("video", "expression", "probability", "segments", "remark"):
        table.add_column(name, justify="right" if name in ("probability", "segments") else "left")
    for row in predictions.to_dict("records"):
        probability = f"{row['p_' + row['predicted']]:.2f}" if row["predicted"] else ""
        remark = row["message"] if row["outcome"] != "ok" else ""
        expression = row["predicted"] or row["outcome"]
        table.add_row(escape(row["video"]), expression, probability, str(row["num_segments"]), escape(remark))
    out.print(table)
    if output:
        predictions.to_csv(output, index=False)
        out.print(f"Written to {escape(str(output))}", soft_wrap=True, highlight=False)
    if not predictions["predicted"].any():
        raise UseError("No video could be recognised; the table says why.")


def _show_equivalences(arms: Sequence[str], settings: ModelSettings) -> None:
    from fer_models.arms import get_arm
    from fer_models.equivalence import describe, find_equivalences, grouped

    found = find_equivalences([get_arm(name) for name in arms], settings)
    if not found:
        out.print(describe(found))
        return
    out.print("Computed with random weights and segments")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("arms", "other arms", "what they are to each other"):
        table.add_column(name, overflow="fold")
    for row in grouped(found):
        table.add_row(", ".join(row.first), ", ".join(row.second), row.relation)
    out.print(table)


def _show_results(path: Path, preset: str | None, config: Path | None, overrides: dict[str, Any]) -> None:
    from flows.status import print_results
    from tasks.configuration import resolve_settings

    print_results(resolve_settings(preset, config, overrides), path, out)


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit code 1."""
    try:
        app()
    except FerError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        _complain(str(error))
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        _complain(f"{error.filename or 'A file'}: {error.strerror or error}.")


def _complain(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]fer:[/] {escape(sentence)}", highlight=False)
    raise SystemExit(1) from None
