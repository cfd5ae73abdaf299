"""Opens the data roots of other corpora for a study that is tested on them, without writing anything there.

A corpus fits a study when it was prepared with the study's own settings: then its shards lie below the same digest.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.presets import PRESETS
from tasks.config.resolving import DEFAULT_PRESET
from tasks.config.settings import StudySettings
from tasks.config.test_on_settings import OtherCorpus
from tasks.corpus.manifest import read_manifest
from tasks.dataset.other_corpora.mapping import ClassUse, map_classes, shared_classes, tested_videos
from tasks.preparation.ledger import find_previous
from tasks.storage.files import list_files, only_reading

_MOST_OF_A_NAME = 40
#: What manifests say of layouts that are those of no corpus.
_NAMELESS = {"", "folder", "table", "images", "videos"}


@dataclass(frozen=True)
class OpenedCorpus:
    """Another corpus as a study sees it.

    Args:
        corpus: names its content, whatever is prepared of it.
        prepared: the folder above its shards.
        ledger: every video of it, with its own words for emotions.
        uses: what becomes of each of its classes.
        classes: the models' classes that are tested, in their order.
        reason: why nothing can be tested on it, a sentence; else empty.
    """

    settings: OtherCorpus
    name: str
    corpus: str
    prepared: Path
    ledger: pd.DataFrame
    uses: tuple[ClassUse, ...]
    classes: tuple[str, ...]
    reason: str

    @property
    def videos(self) -> pd.DataFrame:
        """The rows of the ledger that are tested, with the models' words as `emotion`, by their ids."""
        videos = tested_videos(self.ledger, self.uses)
        return videos[videos["emotion"].isin(self.classes)].sort_values("video_id", ignore_index=True)


def open_corpora(settings: StudySettings) -> list[OpenedCorpus]:
    """The corpora that a study is tested on, in their order.

    Raises:
        UserError: one is not prepared as the study is, naming the command that does it; or its labels do not fit.
    """
    names = corpus_names(settings)[1:]
    return [_open(settings, other, name) for other, name in zip(settings.test_on, names, strict=True)]


def _open(settings: StudySettings, other: OtherCorpus, name: str) -> OpenedCorpus:
    layout = _layout(settings, other)
    emotions = settings.corpus.emotions
    with only_reading():
        ledger = find_previous(layout.ledger)
    if ledger is None:
        raise UserError(_not_prepared(settings, other))
    uses = map_classes(other, name, ledger, emotions)
    classes = shared_classes(tested_videos(ledger, uses), emotions)
    reason = _why_not(settings, other, name, uses, classes)
    return OpenedCorpus(other, name, content_digest(ledger), layout.prepared, ledger, tuple(uses), classes, reason)


def _layout(settings: StudySettings, other: OtherCorpus) -> Layout:
    return Layout.of(settings.model_copy(update={"data_root": other.data_root}))


def content_digest(ledger: pd.DataFrame) -> str:
    """Names the content of a corpus's files, whatever they are called and wherever they lie."""
    return digest(",".join(sorted(set(ledger["sha256"]) - {""})))


def _not_prepared(settings: StudySettings, other: OtherCorpus) -> str:
    root = other.data_root
    words: list[str] = []
    what = "holds no prepared corpus"
    if _layout(settings, other).manifest.is_file():
        with only_reading():
            found = set(read_manifest(_layout(settings, other).manifest)["emotion"])
        words = [word for word in sorted(found) if other.emotion_of(word) in settings.corpus.emotions]
        others = list_files(root / "prepared", "*/ledger.parquet")
        what = "is prepared with other settings than this study's" if others else "is not prepared yet"
    return f"{str(root)!r} of test_on {what}; run `{prepare_command(settings, other, words)}` first, {_WITH_ITS_OWN}."


_WITH_ITS_OWN = "with that corpus's own corpus.adapter and corpus.root"


def prepare_command(settings: StudySettings, other: OtherCorpus, words: Sequence[str]) -> str:
    """The command that prepares another corpus as the study is.

    Args:
        words: its classes that the models know, in its words; where none is known the study's.
    """
    common = PRESETS[DEFAULT_PRESET]().prepare.model_dump(mode="json")
    own = settings.prepare.model_dump(mode="json")
    given = [f"prepare.{name}={value}" for name, value in own.items() if value != common[name]]
    classes = tuple(words) or settings.corpus.emotions
    if classes != EMOTIONS:
        given.append(f"corpus.emotions=[{', '.join(classes)}]")
    options = "".join(f" --set {shlex.quote(one)}" for one in given)
    return f"fer prepare --data-root {shlex.quote(str(other.data_root))}{options}"


def _why_not(
    settings: StudySettings, other: OtherCorpus, name: str, uses: Sequence[ClassUse], classes: Sequence[str]
) -> str:
    """Why nothing can be tested on a corpus; empty when something can."""
    if len(classes) > 1:
        return ""
    words = [use.word for use in uses if use.emotion]
    if len({use.emotion for use in uses if use.emotion}) > 1:
        command = prepare_command(settings, other, words)
        return (
            f"Fewer than two shared classes of {name} have a video that is prepared with this study's settings; run "
            f"`{command}`, {_WITH_ITS_OWN}."
        )
    shared = f"only {words[0]}" if words else "none"
    return (
        f"Of the classes of {name} ({', '.join(use.word for use in uses) or 'it has none'}) the models know {shared}, "
        "and a score needs two; where only the words differ, give them as `labels` in test_on."
    )


def corpus_names(settings: StudySettings) -> list[str]:
    """What to call the study's own corpus and those that it is tested on, each name once.

    As the settings say, else as the manifest does; where two would have one name, after the folder.
    """
    roots = [settings.data_root, *(other.data_root for other in settings.test_on)]
    given = ["", *(other.name for other in settings.test_on)]
    names = [name or _in_manifest(root) or root.name for name, root in zip(given, roots, strict=True)]
    twice = {name for name, count in Counter(names).items() if count > 1}
    names = [
        name if said or name not in twice else root.name or name
        for name, said, root in zip(names, given, roots, strict=True)
    ]
    before: Counter[str] = Counter()
    for place, name in enumerate(names):
        before[name] += 1
        if before[name] > 1:
            names[place] = f"{name} {before[name]}"
    return names


def _in_manifest(root: Path) -> str:
    path = root / "manifest.parquet"
    if not path.is_file():
        return ""
    with only_reading():
        datasets = sorted({str(name) for name in read_manifest(path)["dataset"]} - _NAMELESS)
    name = " + ".join(datasets)
    return name if len(name) <= _MOST_OF_A_NAME else ""
