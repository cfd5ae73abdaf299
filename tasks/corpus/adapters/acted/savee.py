"""SAVEE (Haq and Jackson 2010): `AudioVisualClip/DC/a1.avi`, four speakers, the emotion in front of the number."""

import re
from pathlib import PurePath

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, parts_of, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below
from tasks.outcomes import Outcome

CODES: dict[str, str] = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
ABOUT = About(
    title="SAVEE",
    classes=tuple(CODES.values()),
    num_people=4,
    num_clips=480,
    size="480 clips of 4 men",
    licence="research use",
    ask="register: http://kahlan.eps.surrey.ac.uk/savee",
    citation="Haq and Jackson 2010, in Machine Audition, IGI Global, 398-423",
    layout=("AudioVisualClip/DC/a1.avi, with DC, JE, JK and KL",),
    folds="none official; loso is the custom",
    verified=STAND_INS,
    unconfirmed="licence, address, citation",
    signs=Signs("dc|je|jk|kl", r"((dc|je|jk|kl)_)?(sa|su|a|d|f|h|n)\d{1,2}\.\w+"),
)
_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d{1,2})", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip."""
    root = require_folder(corpus.root)
    folder = root.absolute().name.upper()
    own = folder if folder in SPEAKERS else ""
    return read_named(root, "savee", videos_below(root), lambda relative: _told(relative, own))


def _told(relative: PurePath, own: str) -> Named | Untold:
    match = _NAME.fullmatch(relative.stem)
    if not match:
        return Untold(f"{relative.name!r} is no name of SAVEE (expected a1.avi, su15.avi)")
    in_name = (match[1] or "").upper()
    above = next((part.upper() for part in parts_of(relative) if part.upper() in SPEAKERS), own)
    speaker = above or in_name
    if not speaker:
        return Untold(f"nothing says who speaks: it lies in no folder {', '.join(SPEAKERS)}")
    fault, why = Outcome.OK, ""
    if in_name and above and in_name != above:
        fault, why = Outcome.LABEL_CONFLICT, f"it is named after {in_name}, and lies in the folder of {above}"
    code = match[2].lower()
    return Named(f"{speaker}/{code}{int(match[3]):02d}", f"savee/{speaker}", CODES[code], fault=fault, why=why)
