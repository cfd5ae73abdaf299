"""Which other corpora the runs of a study are evaluated on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from fer_models.labels import canonical_emotion
from fer_models.names import plain_name
from fer_models.settings import Settings
from tasks.config.path_types import DataPath
from tasks.storage.locations import as_remote, is_location


class OtherCorpus(Settings):
    """A corpus in a data root of its own, on which every run is evaluated too. That data root is only read."""

    data_root: DataPath = Field(description="where that corpus is prepared")
    name: str = Field(
        "", max_length=40, description="what the report calls it; by default as its manifest does, or its folder"
    )
    labels: dict[str, str] = Field(
        {},
        description="its words for emotions and the study's, where they differ, such as {calm: neutral}; an empty word "
        "leaves the videos of a class out",
    )

    @field_validator("name")
    @classmethod
    def _without_what_cannot_be_seen(cls, name: str) -> str:
        return plain_name(name)

    @field_validator("labels")
    @classmethod
    def _in_the_projects_words(cls, labels: dict[str, str]) -> dict[str, str]:
        return {canonical_emotion(word): canonical_emotion(ours) for word, ours in labels.items()}

    def emotion_of(self, word: str) -> str:
        """The study's word for one of that corpus; empty where its videos are left out."""
        return self.labels.get(word, word)


def _read(value: Any) -> Any:
    """A data root alone, or one with more to say."""
    return {"data_root": value} if isinstance(value, str) or is_location(value) else value


def _read_all(value: Any) -> Any:
    return (value,) if isinstance(value, str | dict | OtherCorpus) or is_location(value) else value


#: One or several of them.
TestOn = Annotated[tuple[Annotated[OtherCorpus, BeforeValidator(_read)], ...], BeforeValidator(_read_all)]


def check_roots(own: Path | None, others: Sequence[OtherCorpus]) -> None:
    """Raise `ValueError` when two of these corpora are one, or have one name.

    Args:
        own: the study's data root, where it is known.
    """
    roots = [_place(one.data_root) for one in others]
    if own is not None and _place(own) in roots:
        raise ValueError(f"{str(own)!r} is the study's own data root; name those of other corpora")
    names = [one.name for one in others if one.name]
    for given in (roots, names):
        if twice := [one for one in given if given.count(one) > 1]:
            raise ValueError(f"it names {twice[0]!r} twice")


def _place(root: Path) -> str:
    return str(root if as_remote(root) else root.absolute())
