"""Commands about models, trained and untrained."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import answering, out
from flows.cli.completion import complete_arm
from flows.cli.options import Chosen, Command, study_options
from flows.environment import check_keras, prepare_environment, silent_imports

if TYPE_CHECKING:
    from fer_models.models.arms import Arm
    from fer_models.segments import SegmentShape
    from fer_models.settings import ModelSettings
    from tasks.config.settings import StudySettings

#: Columns of a terminal that have room for what arms are.
_ROOM = 110

commands = typer.Typer()
_command = functools.partial(commands.command, cls=Command, rich_help_panel="Models")


@_command(epilog="fer models recurrent vgg16-spatial --preset modern")
@answering
@study_options(data_root=False)
def models(
    chosen: Chosen,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARM|FAMILY",
            help="only these arms, or those of these families",
            autocompletion=complete_arm,
        ),
    ] = None,
    equivalence: Annotated[
        bool, typer.Option("--equivalence", help="also compute which arms of the study are the same function")
    ] = False,
) -> None:
    """List the models that a study can compare (its arms), family by family: how large they are, what they need."""
    prepare_environment(quiet=not chosen.debug)
    check_keras()
    with silent_imports():
        from tasks.study.runs import shape_of
    from fer_models.models.arms import find_arms

    settings, arms = chosen.settings(), find_arms(names or [])
    shape = shape_of(settings)
    out.print(f"Arms in {settings.model.form} form, width {settings.model.width}; * in the study")
    if settings.model.video_classifier == "linear_svm":
        out.print("Once an arm is trained, a linear SVM on the mean features of videos takes its last layer's place.")
    _show_arms(arms, settings, shape)
    for origin, begun in _origins(arms, settings).items():
        out.print(escape(f"{', '.join(begun)}: begin with {origin}"), soft_wrap=True, highlight=False)
    if any(arm.num_members for arm in settings.all_arms()):
        out.print(f"Beside each trained arm of the study stands the ensemble of its {len(settings.seeds)} seeds.")
    if equivalence:
        _show_equivalences(settings.arms, settings.model)
    of_study = sum(arm.name in settings.arms for arm in arms)
    out.print(f"{len(arms)} arm{'s' * (len(arms) != 1)}, {of_study} of them in the study.")


def _show_arms(arms: Sequence["Arm"], settings: "StudySettings", shape: "SegmentShape") -> None:
    """Arms with their sizes, a section a family; what they are is told where there is room for it."""
    from fer_models.models.building import needs_of, weights_of
    from fer_models.models.sizes import size_of
    from tasks.study.runs import training_of

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("arm", no_wrap=True)
    for name in ("trained\nparameters", "others", "frames\nneeded", "input, px"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("needs too")
    if has_room := out.width >= _ROOM:
        table.add_column("what it is", no_wrap=True)
    rows = []
    for family in dict.fromkeys(arm.family for arm in arms):
        table.add_section()
        table.add_row(family, style="bold")
        for arm in (arm for arm in arms if arm.family == family):
            needed = needs_of(arm)
            own = shape.with_needs(needed)
            size = size_of(arm, settings.model, len(settings.corpus.emotions), own, training_of(settings, arm))
            sides = f"{own.side_px}x{own.side_px}"
            also = [
                *(["motion"] if needed.has_optical_flow else []),
                *(["weights"] if weights_of(arm, settings.model) else []),
            ]
            cells = [
                f"{'*' if arm.name in settings.arms else ' '} {arm.name}",
                f"{size.trained:,}",
                f"{size.fixed:,}",
                str(needed.num_frames),
                f"{own.num_frames} x {sides}" if size.takes_frames else sides,
                ", ".join(also),
            ]
            table.add_row(*cells, *([arm.title] if has_room else []))
            rows.append(
                {
                    "arm": arm.name,
                    "title": arm.title,
                    "family": family,
                    "in_study": arm.name in settings.arms,
                    "trained_parameters": size.trained,
                    "other_parameters": size.fixed,
                    "frames_needed": needed.num_frames,
                    "input_frames": own.num_frames if size.takes_frames else 1,
                    "input_side_px": own.side_px,
                    "needs": also,
                }
            )
    out.show("arms", rows, table)


def _origins(arms: Sequence["Arm"], settings: "StudySettings") -> dict[str, list[str]]:
    """Weights that arms begin with, in words, and the names of those arms."""
    from tasks.study.pretrained import origins_of
    from tasks.study.runs import own_training

    found: dict[str, list[str]] = {}
    for arm in arms:
        for origin in origins_of(own_training(settings, arm), settings.model, arm):
            found.setdefault(origin.in_words(), []).append(arm.name)
    return found


def _show_equivalences(arms: Sequence[str], settings: "ModelSettings") -> None:
    from fer_models.models.arms import get_arm
    from fer_models.models.equivalence import describe, find_equivalences, grouped

    found = find_equivalences([get_arm(name) for name in arms], settings)
    if not found:
        out.print(describe(found))
        return
    out.print("Computed with random weights and segments")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("arms", "other arms", "relation"):
        table.add_column(name, overflow="fold")
    groups = grouped(found)
    for row in groups:
        table.add_row(", ".join(row.first), ", ".join(row.second), row.relation)
    rows = [{"arms": row.first, "other_arms": row.second, "relation": row.relation} for row in groups]
    out.show("equivalences", rows, table)
