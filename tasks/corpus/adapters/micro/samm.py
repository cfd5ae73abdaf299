"""SAMM (Davison et al. 2018): `SAMM/006/006_1_2/006_05562.jpg` and `SAMM_Micro_FACS_Codes_v2.xlsx`.

Lines stand above the header of the sheet. By default a clip is its onset and its apex.
"""

from pathlib import Path

from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import folders_below, folders_in, must_find
from tasks.corpus.adapters.micro.coded import Options, read_coded, sources_of_rows
from tasks.corpus.adapters.source import SourceVideo, require_folder

__all__ = ["ABOUT", "Options", "read"]

ABOUT = About(
    title="SAMM",
    classes=("anger", "contempt", "disgust", "fear", "happiness", "others", "sadness", "surprise"),
    num_people=29,
    num_clips=159,
    size="159 clips of 29 people at 200 images a second",
    licence="research, on request",
    ask="sign the agreement: http://www2.docm.mmu.ac.uk/STAFF/M.Yap/dataset.php",
    citation="Davison et al. 2018, IEEE Transactions on Affective Computing 9(1), 116-129",
    layout=("SAMM/006/006_1_2/006_05562.jpg", "SAMM_Micro_FACS_Codes_v2.xlsx"),
    folds="leave one subject out: split.protocol loso",
    verified=STAND_INS,
    unconfirmed="licence, address",
    signs=Signs(
        r"0\d\d/0\d\d_\d+_\d+",
        r"0\d\d_\d+\.(jpe?g|png|bmp)",
        "images",
        labels={r"samm.*micro.*\.(xlsx|csv)": "SAMM_Micro_FACS_Codes_v2.xlsx"},
    ),
)
#: Of the row at position 56 the offset is 5739.
_ERRATA = {56: 5739}


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip that has a row, or lies there, or both."""
    root = require_folder(corpus.root)
    rows = read_coded(root, r"samm.*micro.*\.(xlsx|csv)", _ERRATA)
    folder = must_find(_with_people(root), root, "folder of people 006, 007, ...")
    folders = {
        f"{person.name}/{clip.name}": clip
        for person in folders_in(folder)
        if _is_person(person.name)
        for clip in folders_in(person)
    }
    return sources_of_rows(
        "samm",
        rows,
        folders,
        lambda row: f"{row.subject:03d}/{row.clip}",
        lambda row: folder / f"{row.subject:03d}" / Path(row.clip).name,
        corpus.frames,
    )


def _is_person(name: str) -> bool:
    return len(name) == 3 and name.isdecimal()


def _with_people(root: Path) -> Path | None:
    of_people = (path for path in folders_below(root, 3) if any(_is_person(child.name) for child in folders_in(path)))
    return next(of_people, None)
