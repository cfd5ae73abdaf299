"""Commands that go on until they are ended: a lab on this machine, and a watch over a corpus."""

import functools
import signal
from typing import Annotated

import typer

from flows.cli.answers import out
from flows.cli.options import Chosen, Command, study_options
from flows.cli.running import start_flow, stop
from flows.environment import check_keras, import_prefect, prepare_environment, silent_imports

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="A lab")


@_command(epilog="fer up --config study.yaml  |  FER_POSTGRES=postgresql://user:password@host fer up")
@study_options()
def up(
    chosen: Chosen,
    host: Annotated[str, typer.Option(help="address that the servers listen on")] = "127.0.0.1",
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="port of Prefect's server")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="port of MLflow's server")] = 5000,
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="FER_POSTGRES",
            metavar="URL",
            help="keep their records on this PostgreSQL server, not in SQLite files; "
            "in the environment variable, no other user can see the password",
        ),
    ] = None,
    gpu_workers: Annotated[
        int | None, typer.Option(min=1, help="training runs at once; by default one for each GPU, or one without GPUs")
    ] = None,
) -> None:
    """Run Prefect, MLflow and workers on this machine until Ctrl-C; the corpus of a study that you name is watched."""
    prepare_environment()
    check_keras()
    settings = chosen.settings()
    with silent_imports():
        import_prefect()
        from flows.up import serve
    from tasks.services.databases import Databases
    from tasks.services.home import HOME
    from tasks.services.supervisor import Addresses

    parameters = chosen.parameters()
    serve(
        Addresses.of(host, prefect_port, mlflow_port),
        lambda: Databases.on_postgres(postgres) if postgres else Databases.in_folder(HOME),
        parameters,
        settings.watch.interval_s if parameters else None,
        gpu_workers,
        out,
    )


@_command(epilog="fer watch --config study.yaml  |  in a crontab: fer watch --once --config study.yaml")
@study_options(seeds=True)
def watch(
    chosen: Chosen,
    once: Annotated[bool, typer.Option("--once", help="look once, for cron; exits with 1 when that fails")] = False,
) -> None:
    """Watch the corpus: prepare new videos, and run the study when enough of them have come."""
    prepare_environment(quiet=not chosen.debug)
    check_keras()
    from flows.watch import poll, watch_corpus

    settings = chosen.settings().for_watching()
    overrides = chosen.overrides | {"execution.settle_s": settings.execution.settle_s}
    signal.signal(signal.SIGINT, stop)
    run = functools.partial(start_flow, parameters=chosen.parameters() | {"overrides": overrides})
    if once:
        poll(settings, run, out)
    else:
        watch_corpus(settings, run, out)
