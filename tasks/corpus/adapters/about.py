"""What is to be known of a corpus beside how it is read: `ABOUT` of its adapter, which `fer corpora` shows."""

import re
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Signs:
    """What a corpus is recognised by, as regular expressions without regard to letter case.

    Args:
        folders: the end of the path of a file's folder, below the root; a root that lies further down counts too.
        name: a whole file name; None where names say nothing, such as numbered images.
        labels: whole names of the files with labels or folds that have to be there, each with what users call it.
    """

    folders: str
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @cached_property
    def in_folders(self) -> re.Pattern[str]:
        """Searches the path of a folder, `/` in front and between its parts."""
        return re.compile(f"(?:^|/)(?:{self.folders})$", re.IGNORECASE)

    @cached_property
    def in_name(self) -> re.Pattern[str] | None:
        """Matches a whole file name."""
        return None if self.name is None else re.compile(self.name, re.IGNORECASE)


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
    num_people: int | None = None
    num_clips: int | None = None


#: Of an adapter that no real copy of its corpus was at hand for.
STAND_INS = "stand-ins with the names and quirks of real copies; no real files"
