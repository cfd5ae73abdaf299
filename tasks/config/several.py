"""Settings of one of several corpora: those of its adapter, and a name."""

import functools
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidatorFunctionWrapHandler, WrapValidator, create_model, model_validator

from fer_models.labels import EMOTIONS
from tasks.config.registries import ADAPTERS
from tasks.config.settings import MOST_SIGNS, CorpusSettings, options_of

#: The adapter of several corpora.
SEVERAL = "several"
_WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class NamedCorpus(CorpusSettings):
    """One of several corpora: its name, its adapter, its place and the options of the adapter."""

    name: str = Field(pattern=_WORD, max_length=MOST_SIGNS, description="stands before its people and videos")
    people: str | None = Field(
        None,
        pattern=_WORD,
        max_length=MOST_SIGNS,
        description="corpora with the same word here show the same people; without one it is the name",
    )
    # What is said once, of all of them.
    emotions: tuple[str, ...] = Field(EMOTIONS, exclude=True)
    draw_sample: bool = Field(False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _says_nothing_of_all(cls, values: Any) -> Any:
        if isinstance(values, dict) and "emotions" in values:
            raise ValueError("the classes are those of all corpora; set corpus.emotions")
        if isinstance(values, dict) and "draw_sample" in values:
            raise ValueError("one of several corpora is not drawn; leave draw_sample out")
        return values


@functools.cache
def named_options_of(adapter: str) -> type[NamedCorpus]:
    """The settings of one of several corpora with this adapter."""
    bases: Any = (NamedCorpus, options_of(adapter))
    make: Any = create_model
    named: type[NamedCorpus] = make(f"Named_{adapter}", __base__=bases)
    return named


def _read_named(value: Any, as_common: ValidatorFunctionWrapHandler) -> NamedCorpus:
    values = value.model_dump() if isinstance(value, NamedCorpus) else value
    adapter = str(values.get("adapter", "folder")) if isinstance(values, dict) else ""
    if adapter == SEVERAL:
        raise ValueError("several corpora cannot be one of several; list each of them")
    if adapter not in ADAPTERS:
        named: NamedCorpus = as_common(values)  # which says what is wrong
        return named
    return named_options_of(adapter).model_validate(values)


#: One of several corpora, with the options that its adapter has.
OneOfSeveral = Annotated[SerializeAsAny[NamedCorpus], WrapValidator(_read_named)]
