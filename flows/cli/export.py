"""The command that hands a trained model over to other programs."""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fer_models.errors import UserError
from flows.cli.answers import answering, out
from flows.cli.options import Command, Debug, Force, from_home
from flows.environment import check_keras, prepare_environment, silent_imports

if TYPE_CHECKING:
    from tasks.inference.export.exporting import Comparison

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="Models")
_OUT = "OUT"


@_command(epilog="fer export fer-data/sample/studies/sample/runs/gap-sum-*/model.keras expressions.onnx")
@answering
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a model.keras of a study, a path or a URL")],
    output: Annotated[
        Path,
        typer.Argument(
            parser=from_home, metavar=_OUT, help="where to write it: .onnx, or .tflite for LiteRT on small devices"
        ),
    ],
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Write a trained model as ONNX or LiteRT, with labels, preparation and card, once it gives the same numbers.

    The probabilities of the new file may be 0.0001 from those of the model, in float32, or nothing is written. Needs
    the packages of the extra `export`: pip install 'fer-pipeline[export]'.
    """
    prepare_environment(quiet=not debug)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # which writes the formats; models are the same on JAX
    check_keras()
    from tasks.inference.sources import find_model
    from tasks.report.outputs import EXPORTS, check_output, output_file
    from tasks.storage.locations import as_remote, read_location

    place = read_location(model)
    kind = EXPORTS.get(output.suffix)
    if kind is None:
        raise UserError(f"{_OUT} should end in {' or '.join(EXPORTS)}, not be {str(output)!r}.")
    inputs = [] if as_remote(place) else [place]
    check_output(output, kind, inputs, force, _OUT)
    find_model(place)
    with silent_imports():
        from tasks.inference.export.exporting import export_model
    with output_file(output, kind, inputs, force, _OUT) as temporary:
        found = export_model(place, temporary)
    out.print(escape(_in_words(output, found)), soft_wrap=True, highlight=False)


def _in_words(output: Path, found: "Comparison") -> str:
    """What became of the model."""
    words = (
        f"{output} gives probabilities within {found.difference:.1g} of the model's, on {found.num_segments} segments "
        "of noise."
    )
    if found.precision != "float32":
        words += (
            f" It computes in float32; the model, trained in {found.precision}, rounds, by up to {found.rounding:.1g} "
            "on these."
        )
    if not found.has_card:
        words += " No card lies beside the model, so the file tells of no temperature, scores or limits."
    return words
