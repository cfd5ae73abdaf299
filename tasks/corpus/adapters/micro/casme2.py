"""CASME II (Yan et al. 2014): `CASME2_RAW_selected/sub01/EP02_01f/img46.jpg` and `CASME2-coding-20140508.xlsx`.

A cropped copy has images `reg_img46.jpg`. By default a clip is its onset and its apex; some rows give no usable apex.
"""

import re
from pathlib import Path

from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import find_folder, folders_below, folders_in, must_find
from tasks.corpus.adapters.forms import FACES
from tasks.corpus.adapters.micro.coded import Options, read_coded, sources_of_rows
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.progress import echo

__all__ = ["ABOUT", "Options", "read"]

ABOUT = About(
    title="CASME II",
    classes=("happiness", "disgust", "repression", "surprise", "sadness", "fear", "others"),
    num_people=26,
    num_clips=255,
    size="255 clips of 26 people at 200 images a second, 21 without a usable apex",
    licence="research, on request",
    ask="sign the agreement: http://casme.psych.ac.cn/casme/e2",
    citation="Yan et al. 2014, PLoS ONE 9(1), e86041",
    layout=("CASME2_RAW_selected/sub01/EP02_01f/img46.jpg", "CASME2-coding-20140508.xlsx (or -20190701)"),
    folds="leave one subject out: split.protocol loso",
    verified=STAND_INS,
    unconfirmed="that 255 clips are given out: its paper speaks of 247",
    signs=Signs(
        r"sub\d\d/ep\d\d_\w+",
        r"(reg_)?img\d+\.(jpe?g|png|bmp)",
        "images",
        labels={r"casme2.*cod.*\.(xlsx|csv)": "CASME2-coding-20140508.xlsx"},
    ),
)
_PLACES = {"frames": r"CASME_?2[_ -]RAW.*", FACES: r"(CASME_?2[ _-]?)?cropped([ _-].*)?"}
_SUBJECT = re.compile(r"sub0*(\d+)", re.IGNORECASE)
#: Of the row at position 60 the offset is 91.
_ERRATA = {60: 91}


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip that has a row, or lies there, or both."""
    root = require_folder(corpus.root)
    rows = read_coded(root, r"casme_?2.*cod.*\.(xlsx|csv)", _ERRATA)
    folder = must_find(_images(corpus, root), root, "folder CASME2_RAW_selected (or another of sub01, sub02, ...)")
    folders = {
        f"sub{int(match[1]):02d}/{clip.name}": clip
        for person in folders_in(folder)
        if (match := _SUBJECT.fullmatch(person.name))
        for clip in folders_in(person)
    }
    return sources_of_rows(
        "casme2",
        rows,
        folders,
        lambda row: f"sub{row.subject:02d}/{row.clip}",
        lambda row: folder / f"sub{row.subject:02d}" / Path(row.clip).name,
        corpus.frames,
    )


def _images(corpus: Options, root: Path) -> Path | None:
    """The folder of the people: of the chosen form, else any."""
    for form in _PLACES if corpus.form == "any" else [corpus.form]:
        above = find_folder(root, _PLACES.get(form, "(?!)"))
        if above and (found := _with_people(above)):
            if form == FACES:
                echo(f"{above.name} holds cropped faces: they need prepare.precropped=true.")
            return found
    return _with_people(root) if corpus.form == "any" else None


def _with_people(above: Path) -> Path | None:
    of_people = (
        path for path in folders_below(above, 2) if any(_SUBJECT.fullmatch(one.name) for one in folders_in(path))
    )
    return next(of_people, None)
