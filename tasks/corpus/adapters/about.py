"""What is to be known of a corpus beside how it is read: `ABOUT` of its adapter, which `fer corpora` shows."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Signs:
    """What the files of a corpus are recognised by, as regular expressions without regard to letter case.

    Args:
        folders: the end of the path of the folder; None where it may be any.
        name: the whole file name; None where names say nothing, such as numbers. With neither of them `also` decides.
        kind: what the files are, by their suffixes.
        also: the end of the whole path in another layout of the corpus.
        labels: ends of the paths of the files with labels or folds that belong to it, each with what users call it.
        common: others have such names too, so that in other folders they count beside those files alone.
    """

    folders: str | None
    name: str | None = None
    kind: Literal["videos", "images"] = "videos"
    also: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    common: bool = False


@dataclass(frozen=True)
class About:
    """A corpus in words, for those who have it or want it.

    Args:
        classes: as the project calls them.
        num_people, num_clips: of what the adapter reads of the whole corpus by default; None where copies differ.
        size: in words.
        ask: how to get it.
        layout: where its files go, below `corpus.root`.
        folds: the official ones, or the custom of the field.
        verified: what the adapter was tried on.
        unconfirmed: which of these could not be checked against pages or papers of its authors.
    """

    title: str
    classes: tuple[str, ...]
    size: str
    licence: str
    ask: str
    citation: str
    layout: tuple[str, ...]
    folds: str
    verified: str
    signs: Signs
    unconfirmed: str = ""
    num_people: int | None = None
    num_clips: int | None = None


#: Of an adapter that no real copy of its corpus was at hand for.
STAND_INS = "stand-ins with the names and quirks of real copies; no real files"
