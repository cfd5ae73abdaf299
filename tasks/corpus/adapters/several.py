"""Several corpora in one study, each with a name and an adapter of its own: `corpora` lists them.

The name stands before the names of a corpus's people and videos, so that person 01 of two corpora are two people. A
table says which label of which corpus is which class; a label that it does not name is the project's word for it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator

from fer_models.errors import UserError
from tasks.config.path_types import LocalPath
from tasks.config.registries import ADAPTERS
from tasks.config.settings import CorpusSettings
from tasks.config.several import SEVERAL, NamedCorpus, OneOfSeveral
from tasks.corpus.adapters.label_map import map_labels
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome

#: What stands before the names of people who are the same in all copies of a corpus, and in corpora cut from it.
_NAMESPACES = frozenset(ADAPTERS) - {"folder", "images", SEVERAL, "table", "videos"}


class Options(CorpusSettings):
    """Several corpora, and what their labels are called in a study of all."""

    root: LocalPath = Field(Path(), exclude=True, description="not used: each corpus has its own")
    draw_sample: bool = Field(False, exclude=True, description="not used: several corpora are not drawn")
    corpora: tuple[OneOfSeveral, ...] = Field(
        (),
        description="`name`, `adapter`, `root` and the options of the adapter for each; `people` with one word for "
        "those that show the same people",
    )
    label_map: LocalPath | None = Field(
        None,
        description="CSV or Parquet with the columns corpus, label, class, or YAML such as {ravdess: {calm: neutral}}: "
        "the class of each label that is to be called otherwise; without a class its videos are left out",
    )

    @field_validator("corpora")
    @classmethod
    def _two_names_or_more(cls, corpora: tuple[NamedCorpus, ...]) -> tuple[NamedCorpus, ...]:
        if len(corpora) < 2:
            raise ValueError("name two corpora or more, such as [{name: ravdess, adapter: ravdess, root: RAVDESS}]")
        counts = Counter(one.name.lower() for one in corpora)
        if twice := [one.name for one in corpora if counts[one.name.lower()] > 1]:
            raise ValueError(f"two corpora are called {twice[0]}; give each its own name")
        return corpora

    @field_validator("root")
    @classmethod
    def _is_not_used(cls, _: Path) -> Path:
        return Path()

    @field_validator("draw_sample")
    @classmethod
    def _is_not_drawn(cls, _: bool) -> bool:
        return False

    @property
    def is_of_stills(self) -> bool:
        """Whether some of them are."""
        return any(one.is_of_stills for one in self.corpora)

    @property
    def is_of_pairs(self) -> bool:
        """Whether some of them are."""
        return any(one.is_of_pairs for one in self.corpora)

    @property
    def parts(self) -> Sequence[NamedCorpus]:
        """The corpora."""
        return self.corpora


def read(corpus: Options) -> list[SourceVideo]:
    """The records of all corpora, one corpus after the other.

    Raises:
        UserError: one cannot be read, has no class of the study, or shows people of another; or the table of labels
            does not fit.
    """
    if not corpus.corpora:
        raise UserError(
            "No corpora are listed; name two or more, such as corpora: [{name: ravdess, adapter: ravdess}]."
        )
    found = {one.name: _read_one(one) for one in corpus.corpora}
    _refuse_unnamed_kin(corpus.corpora, found)
    found = map_labels(corpus.label_map, found, corpus.emotions)
    for name, sources in found.items():
        _check_classes(name, sources, corpus.emotions)
    return [_as_of(one, source) for one in corpus.corpora for source in found[one.name]]


def _read_one(one: NamedCorpus) -> list[SourceVideo]:
    from tasks.corpus.reading import read_sources  # only here, so that settings, which import adapters, stay light

    try:
        return read_sources(one)
    except UserError as error:
        own = "|".join(type(one).model_fields)
        what = re.sub(rf"\bcorpus\.({own})\b", r"its \1", str(error))
        raise UserError(f"The corpus {one.name}: {what}") from error


def _as_of(one: NamedCorpus, source: SourceVideo) -> SourceVideo:
    video_id = f"{one.name}/{_own_name(source.video_id, {one.adapter} & _NAMESPACES)}"
    subject = source.subject
    if subject == source.video_id:
        subject = video_id  # nobody is named
    elif subject:
        subject = f"{one.people or one.name}/{_own_name(subject, _NAMESPACES)}"
    return replace(source, video_id=video_id, dataset=one.name, subject=subject)


def _own_name(name: str, namespaces: frozenset[str] | set[str]) -> str:
    """A name without the corpus that its adapter put before it."""
    first, _, rest = name.partition("/")
    return rest if rest and first in namespaces else name


def _refuse_unnamed_kin(corpora: Sequence[NamedCorpus], found: dict[str, list[SourceVideo]]) -> None:
    """Raise `UserError` where two corpora name the same people of a known corpus and nothing says what they are.

    As several people they would stand in train and test.
    """
    seen: dict[str, dict[str, NamedCorpus]] = defaultdict(dict)
    for one in corpora:
        for subject in {source.subject for source in found[one.name]}:
            if subject.partition("/")[0] in _NAMESPACES:
                seen[subject][one.name] = one
    for subject, of in seen.items():
        apart = len({one.people or one.name for one in of.values()}) > 1
        if apart and any(one.people is None for one in of.values()):
            names = " and ".join(of)
            raise UserError(
                f"The corpora {names} both show {subject}: give them one word as `people`, such as people: "
                f"{subject.partition('/')[0]}, for nobody may stand in train and test; or different words, if they are "
                "different people."
            )


def _check_classes(name: str, sources: Sequence[SourceVideo], emotions: Sequence[str]) -> None:
    usable = [source for source in sources if source.status is Outcome.OK]
    if any(source.emotion in emotions for source in usable):
        return
    labels = ", ".join(f"{word} {count}" for word, count in Counter(one.emotion for one in usable).most_common())
    raise UserError(
        f"The corpus {name} has no usable video of the classes {', '.join(emotions)} (its labels are: "
        f"{labels or 'none'}); say in corpus.label_map which of them is which class, or leave it out."
    )
