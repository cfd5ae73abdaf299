"""Corpora whose files tell by their names and folders who is seen and what is shown: what their adapters share."""

import filecmp
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from tasks.corpus.adapters.source import SourceVideo, label_status
from tasks.outcomes import Outcome
from tasks.progress import echo


@dataclass(frozen=True)
class Named:
    """What a name says of a clip.

    Args:
        key: names the clip in its corpus; files with one key are copies of one clip.
        subject: with the name of the corpus before it; None where the corpus names nobody.
        label: as the corpus spells it, or the word that its code stands for.
        official: the fold or part that it is officially tested in (see `SourceVideo`).
        fault, why: a status other than `ok`, or a remark beside `ok`.
    """

    key: str
    subject: str | None
    label: str
    official: str = ""
    fault: Outcome = Outcome.OK
    why: str = ""


@dataclass(frozen=True)
class Untold:
    """A file whose name says nothing of use, and why."""

    why: str


#: What the path of a clip below the root says; None for a clip that is not among the chosen ones.
Reader = Callable[[PurePath], Named | Untold | None]


def read_named(root: Path, dataset: str, clips: Iterable[Path], told_by: Reader) -> list[SourceVideo]:
    """One record per clip that is chosen, and one for each file that cannot be told; those of clips come first."""
    found: dict[str, list[tuple[Path, Named]]] = defaultdict(list)
    strays = []
    for path in clips:
        named = told_by(path.relative_to(root))
        if isinstance(named, Named):
            found[named.key].append((path, named))
        elif named is not None:
            video_id = f"{dataset}/{path.relative_to(root).as_posix()}"
            strays.append(SourceVideo(video_id, dataset, path, "", "", "", Outcome.LABEL_MISSING, named.why))
    return [_of_copies(dataset, found[key]) for key in sorted(found)] + strays


def _of_copies(dataset: str, copies: list[tuple[Path, Named]]) -> SourceVideo:
    path, named = copies[0]
    source = source_of(dataset, path, named)
    if len(copies) == 1 or source.status is not Outcome.OK:
        return source
    others = ", ".join(str(PurePath(*other.parts[-3:])) for other, _ in copies[1:])
    if len({(one.subject, one.label) for _, one in copies}) > 1:
        why = f"its name lies in folders that differ in person or class: {_places(copies)}"
        return replace(source, status=Outcome.LABEL_CONFLICT, reason=why)
    if all(_same_content(path, other) for other, _ in copies[1:]):
        return replace(source, reason=f"there are {len(copies)} copies of it; not used: {others}")
    why = f"there are {len(copies)} different files of it: {_places(copies)}"
    return replace(source, status=Outcome.LABEL_CONFLICT, reason=why)


def _places(copies: list[tuple[Path, Named]]) -> str:
    return ", ".join(str(PurePath(*path.parts[-3:])) for path, _ in copies)


def _same_content(path: Path, other: Path) -> bool:
    try:
        return path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def source_of(dataset: str, path: Path, named: Named) -> SourceVideo:
    """The record of one clip. Where nobody is named it counts as a person of its own, so that its id names that one."""
    video_id = f"{dataset}/{named.key}"
    emotion, status, reason = label_status(named.label)
    if named.fault is not Outcome.OK:
        status = named.fault
    subject = video_id if named.subject is None else named.subject
    why = named.why or reason
    return SourceVideo(video_id, dataset, path, subject, emotion, named.label, status, why, named.official)


def tell_nameless(corpus: str, sources: Iterable[SourceVideo]) -> None:
    """Say that a split of a corpus that names nobody goes by clip."""
    if any(source.subject == source.video_id for source in sources):
        echo(f"{corpus} names nobody: each clip counts as a person of its own, and people may stand in train and test.")


def parts_of(relative: PurePath) -> Iterator[str]:
    """The folders above a file below the root, the nearest first."""
    return reversed(relative.parts[:-1])
