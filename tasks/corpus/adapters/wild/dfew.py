"""DFEW (Jiang et al. 2020): `Clip/original/00001.mp4` or faces in `Clip/clip_224x224/00001/`, five official folds.

The lists of the folds (`EmoLabel_DataSplit/train(single-labeled)/set_1.csv`, ...) name the single-labelled clips and
their classes by number; without them `Annotation/annotation.xlsx` does. Names of clips are filled up to five digits.
"""

import re
from pathlib import Path

from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.finding import find_files
from tasks.corpus.adapters.forms import Options, choose_form, clips_in
from tasks.corpus.adapters.named import tell_nameless
from tasks.corpus.adapters.sheets import read_sheet
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.adapters.wild.lists import ListFile, Lists, read_lists, sources_of

__all__ = ["ABOUT", "CODES", "Options", "read"]

CODES: dict[str, str] = {
    "1": "happy",
    "2": "sad",
    "3": "neutral",
    "4": "angry",
    "5": "surprise",
    "6": "disgust",
    "7": "fear",
}
NO_SINGLE_LABEL = "0"
ABOUT = About(
    title="DFEW",
    classes=("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    num_clips=16372,
    size="16,372 clips from films, 11,697 of them single-labelled; nobody is named",
    licence="research, on request",
    ask="sign the agreement: https://dfew-dataset.github.io",
    citation="Jiang et al. 2020, ACM Multimedia",
    layout=(
        "Clip/original/00001.mp4, or faces in Clip/clip_224x224/00001/",
        "EmoLabel_DataSplit/train(single-labeled)/set_1.csv, test(single-labeled)/set_1.csv, ... to set_5.csv",
    ),
    folds="five by clip: split.protocol official",
    verified="the first 60 lines of two real lists; else stand-ins",
    unconfirmed="licence, and that an agreement is asked for",
    signs=Signs(
        r"clip/original",
        r"\d{1,5}\.\w+",
        also=r"clip_224x224(_16f)?/\d{1,5}/[^/]+\.(jpe?g|png)",
        labels={r"[^/]*single[^/]*/(train_|test_)?set_\d\.csv": "EmoLabel_DataSplit/.../set_1.csv"},
        common=True,
    ),
)
_PLACES = {"videos": "original", "faces": r"clip_224x224(_16f)?"}
_LIST = re.compile(r"(train|test)\W*single[ _-]label?led\W*/(?:(?:train|test)_)?set_(\d)\.csv$", re.IGNORECASE)
_LINE = re.compile(r"0*(\d{1,5})(?:\.mp4)?\s*[,;\t ]\s*(\d)", re.IGNORECASE)


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip that lies there or is listed."""
    form, folder = choose_form(corpus, _PLACES)
    found = clips_in(folder, form)
    clips = {_padded(name): path for name, path in found.items() if name.isdecimal() and len(name) <= 5}
    files = find_files(corpus.root, r"[^/]+/(train_|test_)?set_\d\.csv")
    matches = [(path, match) for path in files if (match := _LIST.search(path.as_posix()))]
    lists = read_lists((ListFile(path, match[2], match[1].lower() == "test") for path, match in matches), _told)
    unlisted = "no official list names it: it has no single label"
    if not matches:
        lists, unlisted = _annotations(corpus.root), "neither official lists nor annotation.xlsx give it a label"
    suffix = ".mp4" if form == "videos" else ""
    sources = sources_of("dfew", clips, lists, lambda name: folder / f"{name}{suffix}", unlisted)
    tell_nameless("DFEW", sources)
    return sources


def _padded(name: str) -> str:
    return name.zfill(5)


def _told(line: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(line)
    if not match or match[2] not in (NO_SINGLE_LABEL, *CODES):
        return None
    return _padded(match[1]), CODES.get(match[2], "")


def _annotations(root: Path) -> Lists:
    """Labels of the sheet of all annotations, which knows no folds; 0 is no single label."""
    lists = Lists()
    for path in find_files(root, r"annotation\.xlsx")[:1]:
        for row in read_sheet(path, ("order", "label")):
            if (label := CODES.get(row.cells["label"])) and row.cells["order"].isdecimal():
                lists.labels[_padded(row.cells["order"])].add(label)
    return lists
