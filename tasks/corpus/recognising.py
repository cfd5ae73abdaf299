"""Which corpus a folder holds, told by the names of files and folders in it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fer_models.errors import UserError
from fer_models.labels import SYNONYMS, canonical_emotion
from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.finding import folders_below
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.progress import progress
from tasks.video.image_sequences import is_image

ARCHIVES = frozenset((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z", ".z01", ".001"))
UNFINISHED = frozenset((".part", ".partial", ".crdownload", ".download", ".aria2"))
#: Files of a folder that are looked at: those that follow are named alike.
_OF_FOLDER = 12
#: Levels of folders that are counted while looking.
_UPPER = 2
#: Of a file that is as its corpus has it, and of one whose name or whose folder only is.
_WHOLE, _HALF = 1.0, 0.5
#: A corpus with a smaller share of the files is none; those this near to the best are as likely.
_LEAST, _NEAR = 0.25, 0.05
_PARTS = re.compile(r"train\w*|val\w*|test\w*", re.IGNORECASE)


@dataclass
class Sample:
    """What lies in a folder.

    Args:
        files: videos and images, up to a dozen of each folder, relative to the root.
        others: names of all files that are neither.
        hidden: videos and images whose names begin with a dot, as other systems leave them behind.
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    hidden: int = 0

    def of_kind(self, suffixes: frozenset[str]) -> list[Path]:
        """The other files with one of these suffixes."""
        return [path for path in self.others if path.suffix.lower() in suffixes]


@dataclass(frozen=True)
class Fit:
    """How well a corpus fits a sample.

    Args:
        whole, named, placed: the files that are as the corpus has them, that have its names in other folders, and that
            lie in its folders under other names.
        lacking: files with labels or folds that are not there, as users call them.
        share: of the files that fit, from 0 to 1; halves count as such.
    """

    adapter: str
    about: About
    whole: list[Path]
    named: list[Path]
    placed: list[Path]
    lacking: tuple[str, ...]
    share: float


def look_at(root: Path) -> Sample:
    """Sample the files below a folder; raises `UserError` when there is none."""
    if not root.is_dir():
        raise UserError(f"There is no folder {str(root)!r}.")
    sample = Sample(root)
    upper = list(folders_below(root, _UPPER))
    with progress("Looking at the folder", len(upper)) as advance:
        for top in upper:
            goes_down = len(top.relative_to(root).parts) == _UPPER
            for name, folders, files in os.walk(top):
                folders[:] = sorted(folder for folder in folders if goes_down and not folder.startswith("."))
                _take(sample, Path(name).relative_to(root), sorted(files))
            advance("")
    return sample


def _take(sample: Sample, folder: Path, files: Sequence[str]) -> None:
    media = [file for file in files if _is_media(file.lstrip("."))]
    seen = [folder / file for file in media if not file.startswith(".")][:_OF_FOLDER]
    sample.files += seen
    sample.hidden += sum(file.startswith(".") for file in media)
    sample.others += [folder / file for file in files if not _is_media(file.lstrip("."))]
    with suppress(OSError):
        sample.empty += [path for path in seen if not (sample.root / path).stat().st_size]


def _is_media(name: str) -> bool:
    return is_image(name) or os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def recognise(sample: Sample, corpora: Mapping[str, About]) -> list[Fit]:
    """The corpora that a sample may be of, the likeliest first; several where names do not tell them apart.

    Where files do not both lie and are called as in one of them, also those whose label files are there, and those
    whose title the folder, a folder in it or an archive has.
    """
    fits = sorted((_fit(sample, name, about) for name, about in corpora.items()), key=lambda fit: -fit.share)
    best = fits[0].share if fits else 0.0
    likely = [fit for fit in fits if best >= _LEAST and fit.share > best - _NEAR]
    if best > _HALF:
        return likely
    likely = likely or [fit for fit in fits if fit.about.signs.labels and not fit.lacking and sample.files]
    return likely + [fit for fit in fits if fit not in likely and _is_named_so(sample, fit)]


def _is_named_so(sample: Sample, fit: Fit) -> bool:
    """Whether the folder, one in it or an archive is called as a corpus, such as `CREMA_D` or `CASME2.zip`."""
    titles = (fit.adapter, re.sub(r"[^\w+]", "", fit.about.title))
    words = "|".join("[ _.'-]*".join(map(re.escape, title)) for title in titles)
    pattern = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE)
    tops = {path.parts[0] for path in (*sample.files, *sample.others) if len(path.parts) > 1}
    archives = {path.stem for path in sample.of_kind(ARCHIVES)}
    return any(pattern.search(name) for name in (sample.root.absolute().name, *tops, *archives))


def _fit(sample: Sample, adapter: str, about: About) -> Fit:
    names = {path.as_posix() for path in sample.others} | {path.name for path in _beside(sample.root)}
    lacking = tuple(
        title
        for pattern, title in about.signs.labels.items()
        if not any(re.fullmatch(rf"(?:.*/)?(?:{pattern})", name, re.IGNORECASE) for name in names)
    )
    kinds: dict[str, list[Path]] = {"whole": [], "named": [], "placed": []}
    for path, kind in _kinds(sample, about.signs):
        if not (kind == "named" and about.signs.common and lacking):
            kinds[kind].append(path)
    points = _WHOLE * len(kinds["whole"]) + _HALF * (len(kinds["named"]) + len(kinds["placed"]))
    share = points / len(sample.files) if sample.files else 0.0
    if about.signs.labels and not lacking and share:
        share = min(1.0, share + _NEAR * 2)
    return Fit(adapter, about, kinds["whole"], kinds["named"], kinds["placed"], lacking, share)


def _beside(root: Path) -> Iterator[Path]:
    return (path for path in root.absolute().parent.iterdir() if path.is_file())


def _kinds(sample: Sample, signs: Signs) -> Iterator[tuple[Path, str]]:
    """The files that show a sign, and which."""
    above = "/".join(sample.root.absolute().parts[-4:])
    in_folders = re.compile(f"(?:^|/)(?:{signs.folders})$", re.IGNORECASE) if signs.folders is not None else None
    in_name = re.compile(signs.name, re.IGNORECASE) if signs.name is not None else None
    also = re.compile(f"(?:^|/)(?:{signs.also})$", re.IGNORECASE) if signs.also is not None else None
    for path in sample.files:
        folder = "/".join((above, *path.parts[:-1]))
        is_kind = is_image(path.name) == (signs.kind == "images")
        placed = in_folders is None or bool(in_folders.search(folder))
        named = in_name is None or bool(in_name.fullmatch(path.name))
        if (is_kind and placed and named and (in_folders or in_name)) or (
            also and also.search(f"{folder}/{path.name}")
        ):
            yield path, "whole"
        elif is_kind and in_name and named:
            yield path, "named"
        elif is_kind and in_folders and placed:
            yield path, "placed"


def nobodys_layout(sample: Sample, corpora: Mapping[str, About]) -> str:
    """The adapter that fits a folder whose first names are classes: `folder` or `images`; empty for none."""
    words = {*SYNONYMS.values(), *(word for about in corpora.values() for word in about.classes)}
    fitting = [path for path in sample.files if canonical_emotion(_first(path)) in words]
    if not fitting or len(fitting) < len(sample.files) / 2:
        return ""
    numbered = all(is_image(path.name) for path in fitting)
    return "images" if numbered and all(len(path.parts) <= 3 for path in fitting) else "folder"


def _first(path: Path) -> str:
    folders = [part for part in path.parts[:-1] if not _PARTS.fullmatch(part)]
    return folders[0] if folders else ""
