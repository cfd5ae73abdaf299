"""Official lists: which clips train and which test in which fold, and their labels."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fer_models.labels import canonical_emotion
from tasks.corpus.adapters.named import Named, source_of
from tasks.corpus.adapters.source import TEST, TRAIN, SourceVideo
from tasks.outcomes import Outcome
from tasks.progress import echo
from tasks.storage.tables import read_lines


@dataclass(frozen=True)
class ListFile:
    """One list: its fold, and whether it names those that are tested."""

    path: Path
    fold: str
    is_test: bool


@dataclass
class Lists:
    """What all lists say, by clip."""

    labels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    trained: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    tested: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    folds: set[str] = field(default_factory=set)

    def official(self, clip: str) -> str:
        """The fold that tests a clip; with one fold only, `train` or `test`."""
        if len(self.folds) == 1:
            return TEST if self.tested.get(clip) else TRAIN if self.trained.get(clip) else ""
        return min(self.tested.get(clip, ()), default="")

    def contradictions(self, clip: str) -> list[str]:
        """What speaks against what the lists say of a clip."""
        labels, tested = self.labels.get(clip, set()), self.tested.get(clip, set())
        differ = len(set(map(canonical_emotion, labels))) > 1
        found = [f"it has different labels: {', '.join(sorted(labels))}"] if differ else []
        if both := tested & self.trained.get(clip, set()):
            found.append(f"the lists have it in train and in test of fold {min(both)}")
        if len(tested) > 1:
            found.append(f"the lists test it in the folds {', '.join(sorted(tested))}")
        return found


def read_lists(files: Iterable[ListFile], told_by: Callable[[str], tuple[str, str] | None]) -> Lists:
    """Read lists.

    Args:
        told_by: clip and label that a line tells; None for a line that does neither, such as a header.
    """
    lists = Lists()
    wrong = []
    for file in files:
        lists.folds.add(file.fold)
        for number, line in enumerate(read_lines(file.path), start=1):
            told = told_by(line)
            if told is None:
                if number > 1:
                    wrong.append(f"{file.path}, line {number}: {line[:60]!r}")
                continue
            clip, label = told
            lists.labels[clip].add(label)
            (lists.tested if file.is_test else lists.trained)[clip].add(file.fold)
    if wrong:
        echo(f"{len(wrong)} lines of the lists name no clip and class: {wrong[0]}.")
    return lists


def sources_of(
    dataset: str, clips: Mapping[str, Path], lists: Lists, expected: Callable[[str], Path], unlisted: str
) -> list[SourceVideo]:
    """One record per clip that lies there, or is listed, or both; nobody is named.

    Args:
        expected: where a clip would lie.
        unlisted: why a clip that no list names has no label.
    """
    names = sorted(clips.keys() | lists.labels.keys())
    return [_source(dataset, name, clips.get(name), lists, expected, unlisted) for name in names]


def _source(
    dataset: str, name: str, path: Path | None, lists: Lists, expected: Callable[[str], Path], unlisted: str
) -> SourceVideo:
    label = min(lists.labels.get(name, ()), default="")
    fault, why = Outcome.OK, ""
    if not label:
        fault, why = Outcome.LABEL_MISSING, unlisted
    elif conflicts := lists.contradictions(name):
        fault, why = Outcome.LABEL_CONFLICT, "; ".join(conflicts)
    elif path is None:
        fault, why = Outcome.FILE_MISSING, "a list names it, but there is no such clip"
    return source_of(dataset, path or expected(name), Named(name, None, label, lists.official(name), fault, why))
