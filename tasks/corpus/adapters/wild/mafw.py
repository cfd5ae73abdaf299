"""MAFW (Liu et al. 2022): `data/clips/00025.mp4`, or `data/frames/00025/` or `data/faces/00025/`; five official folds.

The lists (`Train & Test Set/single/no_caption/set_1/train.txt`, ...) name clips with their words.
"""

import re
from typing import Literal

from pydantic import Field

from tasks.corpus.adapters import forms
from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.finding import find_files
from tasks.corpus.adapters.named import tell_nameless
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.adapters.wild.lists import ListFile, read_lists, sources_of

ABOUT = About(
    title="MAFW",
    classes=(
        *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety"),
        *("helplessness", "disappointment"),
    ),
    num_clips=10045,
    size="10,045 clips from films, 9,171 of them single-labelled; nobody is named",
    licence="research, non-commercial, on request",
    ask="sign the agreement: https://mafw-database.github.io/MAFW",
    citation="Liu et al. 2022, ACM Multimedia",
    layout=(
        "data/clips/00025.mp4, or data/frames/00025/, or data/faces/00025/",
        "Train & Test Set/single/no_caption/set_1/train.txt, test.txt, ... to set_5",
    ),
    folds="five by clip: split.protocol official",
    verified="the first 60 lines of three real lists; else stand-ins",
    signs=Signs(
        r"data/clips",
        r"\d{5}\.\w+",
        also=r"data/(frames|faces)/\d{5}/[^/]+\.(jpe?g|png)",
        labels={r"set_\d/(train|test)\.txt": "Train & Test Set/single/no_caption/set_1/train.txt"},
        common=True,
    ),
)
_PLACES = {"videos": "clips", "frames": "frames", "faces": "faces"}
_LIST = re.compile(r"set_(\d)/(train|test)\.txt$", re.IGNORECASE)
_LINE = re.compile(r"(\d{5})(?:\.\w+)?\s+([A-Za-z_]+)")


class Options(forms.Options):
    """What MAFW has to be told."""

    labels: Literal["single", "compound"] = Field(
        "single", description="`compound`: several words joined by _ are a class of their own"
    )


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip that lies there or is listed."""
    form, folder = forms.choose_form(corpus, _PLACES)
    clips = forms.clips_in(folder, form)
    files = find_files(corpus.root, rf"{corpus.labels}/(.+/)?no[ _-]caption/set_\d/(train|test)\.txt", depth=6)
    matches = [(path, match) for path in files if (match := _LIST.search(path.as_posix()))]
    lists = read_lists((ListFile(path, match[1], match[2].lower() == "test") for path, match in matches), _told)
    why = "no official list names it" if matches else "the lists (.../single/no_caption/set_1/train.txt) are not there"
    suffix = ".mp4" if form == "videos" else ""
    sources = sources_of("mafw", clips, lists, lambda name: folder / f"{name}{suffix}", why)
    tell_nameless("MAFW", sources)
    return sources


def _told(line: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(line)
    return (match[1], match[2].lower()) if match else None
