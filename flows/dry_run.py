"""What a study would do, without doing any of it."""

from rich.console import Console
from rich.markup import escape

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.reading import read_corpus
from tasks.dataset.foresight import Foreseen, foresee
from tasks.dataset.other_corpora.opening import OpenedCorpus, open_corpora
from tasks.outcomes import Outcome
from tasks.preparation.ledger import read_ledger
from tasks.study.costs import check_memory
from tasks.study.initial_weights import check_first_weights
from tasks.study.needs import check_needs
from tasks.study.runs import plan_runs
from tasks.tracking.connection import tracking_uri


def print_plan(settings: StudySettings, out: Console) -> None:
    """Check all that can be checked beforehand, and say what the study would prepare, train and write.

    Raises:
        UserError: what the study would stop with, as far as that is known.
    """
    layout = Layout.of(settings)
    tracking_uri(layout)
    check_needs(settings)
    check_first_weights(settings)
    check_memory(settings)
    others = open_corpora(settings)
    lines = [f"Study {settings.name}, results below {layout.root}"]
    if settings.corpus.draw_sample and not settings.corpus.root.exists():
        lines.append(f"Corpus: would be drawn into {settings.corpus.root}; nothing more is known before")
    else:
        videos, is_several = read_corpus(settings.corpus), len(settings.corpus.parts) > 1
        lines += _of_corpus(settings, foresee(videos, settings.corpus.emotions, settings.split, is_several))
    lines += [_of_preparation(settings, layout), _of_runs(settings, layout), *map(_of_other, others)]
    for line in lines:
        out.print(escape(f"{line}."), soft_wrap=True, highlight=False)
    out.print("Nothing was written. Without --dry-run all of this is done.")


def _of_other(other: OpenedCorpus) -> str:
    """What would be tested of another corpus."""
    if other.reason:
        return f"Tested on {other.name}: nothing. {other.reason.rstrip('.')}"
    videos = other.videos
    people = videos["subject"].nunique()
    return f"Tested on {other.name} too: {len(videos)} videos of {people} people, {', '.join(other.classes)}"


def _of_corpus(settings: StudySettings, foreseen: Foreseen) -> list[str]:
    """Videos, classes and people."""
    outcomes = dict(foreseen.outcomes)
    usable = outcomes.pop(Outcome.OK, 0)
    others = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    if not usable:
        raise UserError(
            f"No video of {settings.corpus.places!r} has a person and one of the classes "
            f"{', '.join(settings.corpus.emotions)} ({others}); check corpus.adapter and corpus.emotions."
        )
    classes = ", ".join(f"{name} {count}" for name, count in foreseen.classes.items())
    folds = foreseen.folds
    subsets = ", ".join(f"{count} {name}" for name, count in sorted(folds[0].items(), key=lambda one: -one[1]))
    rest = f", in the first of {len(folds)} folds" if len(folds) > 1 else ""
    return [
        f"Corpus: {usable} videos of {foreseen.num_people} people" + (f"; not used: {others}" if others else ""),
        f"Classes: {classes}",
        f"People: about {subsets}{rest} ({settings.split.protocol})",
    ]


def _of_preparation(settings: StudySettings, layout: Layout) -> str:
    """How much is prepared with these settings already."""
    if not layout.ledger.is_file():
        return "Preparation: nothing is prepared with these settings yet"
    prepared = int((read_ledger(layout.ledger, settings.corpus.emotions)["outcome"] == Outcome.OK).sum())
    return f"Preparation: {prepared} videos are prepared with these settings; new and changed ones would follow"


def _of_runs(settings: StudySettings, layout: Layout) -> str:
    """How many runs there are, and how many of them are done."""
    if layout.index.is_dir():
        runs = [run for run in plan_runs(settings) if not run.members]
        done = sum(run.trained for run in runs)
        return f"Training: {len(runs)} runs, of which {done} are done"
    arms = [arm.name for arm in settings.all_arms() if not arm.num_members]
    seeds = f"{len(settings.seeds)} seed" + ("s" if len(settings.seeds) > 1 else "")
    return f"Training: {len(arms)} arms with {seeds} in each fold: {', '.join(arms)}"
