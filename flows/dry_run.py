"""What a study would do and what that would take, without doing any of it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from fer_models.errors import UserError
from flows.cli.answers import Answers
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.reading import read_corpus
from tasks.dataset.foresight import Foreseen, foresee
from tasks.dataset.other_corpora.opening import OpenedCorpus, open_corpora
from tasks.memory import free_bytes
from tasks.outcomes import Outcome
from tasks.preparation.ledger import read_ledger
from tasks.preparation.measuring import due_videos
from tasks.progress import in_words
from tasks.storage.locations import as_remote
from tasks.study.costs import check_memory
from tasks.study.forecast import forecast, material_of
from tasks.study.initial_weights import check_first_weights
from tasks.study.needs import check_needs
from tasks.study.runs import plan_runs
from tasks.tracking.connection import tracking_uri


def print_plan(settings: StudySettings, out: Answers) -> None:
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
        lines += [_of_preparation(settings, layout, None), _of_runs(settings, layout, 0)]
    else:
        videos, is_several = read_corpus(settings.corpus), len(settings.corpus.parts) > 1
        foreseen = foresee(videos, settings.corpus.emotions, settings.split, is_several)
        lines += _of_corpus(settings, foreseen)
        due = due_videos(settings, videos)
        lines += [_of_preparation(settings, layout, due), _of_runs(settings, layout, len(foreseen.folds))]
        lines += _of_costs(settings, foreseen, due, out)
    lines += map(_of_other, others)
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
    nameless = f", {foreseen.num_nameless} of them videos that name nobody" if foreseen.num_nameless else ""
    return [
        f"Corpus: {usable} videos of {foreseen.num_people} people{nameless}"
        + (f"; not used: {others}" if others else ""),
        f"Classes: {classes}",
        f"People: about {subsets}{rest} ({settings.split.protocol})",
    ]


def _of_preparation(settings: StudySettings, layout: Layout, due: Sequence[Path] | None) -> str:
    """How much is to be prepared, and how much is done with these settings already."""
    to_prepare = "" if due is None else f"{len(due)} videos to prepare, "
    if not layout.ledger.is_file():
        return f"Preparation: {to_prepare}nothing is prepared with these settings yet"
    prepared = int((read_ledger(layout.ledger, settings.corpus.emotions)["outcome"] == Outcome.OK).sum())
    return f"Preparation: {to_prepare}{prepared} are prepared with these settings"


def _of_runs(settings: StudySettings, layout: Layout, num_folds: int) -> str:
    """How many runs there are, and how many of them are done."""
    if layout.index.is_dir():
        runs = [run for run in plan_runs(settings) if not run.members]
        done = sum(run.trained for run in runs)
        return f"Training: {len(runs)} runs, of which {done} are done"
    arms = [arm.name for arm in settings.all_arms() if not arm.num_members]
    seeds = f"{len(settings.seeds)} seed" + ("s" if len(settings.seeds) > 1 else "")
    num = f"{num_folds * len(arms) * len(settings.seeds)} runs: " if num_folds else ""
    return f"Training: {num}{len(arms)} arms with {seeds} in each fold: {', '.join(arms)}"


def _of_costs(settings: StudySettings, foreseen: Foreseen, due: Sequence[Path], out: Answers) -> list[str]:
    """Time, disk and memory, from what this machine measured before; the numbers are a table for programs too."""
    material = material_of(settings, foreseen, due)
    expected = forecast(settings, material)
    row = {
        "videos": material.num_videos,
        "videos_due": len(due),
        "people": foreseen.num_people,
        "folds": len(foreseen.folds),
        "runs": material.num_runs,
        "runs_due": len(material.arms),
        "seconds": expected.total_s,
        "seconds_by_step": dict(expected.seconds),
        "disk_bytes": expected.disk_bytes or None,
        "memory_bytes": expected.memory_bytes,
        "not_measured": list(expected.unknown),
    }
    out.show("plan", [row])
    if not (due or material.arms or material.num_evaluations):
        return ["Everything is done already; the report would be there at once"]
    steps = ", ".join(f"{in_words(seconds)} for {step}" for step, seconds in expected.seconds.items())
    missing = f"this machine has not measured yet: {', '.join(expected.unknown)}"
    if expected.total_s is not None:
        time = f"Time: about {in_words(expected.total_s)}, as this machine took before ({steps})"
    elif steps:
        time = f"Time: {steps}, as this machine took before, and what {missing}"
    else:
        time = f"Time: not known; {missing}. The first study measures it"
    if expected.unknown and not expected.disk_bytes:
        return [time]
    least = "more than " if expected.unknown else "about "
    disk = f"Disk: {least}{_in_size(expected.disk_bytes)}{_of_free(_free_disk_bytes(settings))}"
    if expected.memory_bytes is None:
        return [time, disk]
    return [time, disk, f"Memory: up to {_in_size(expected.memory_bytes)}{_of_free(free_bytes())}"]


def _free_disk_bytes(settings: StudySettings) -> int | None:
    """What is free where the results would go; None of an object store."""
    folder = settings.data_root
    if as_remote(folder):
        return None
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _of_free(num_bytes: int | None) -> str:
    return "" if num_bytes is None else f" of {_in_size(num_bytes)} that are free"


def _in_size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{max(1, num_bytes / 1e6):.0f} MB"
