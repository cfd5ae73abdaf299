"""CREMA-D (Cao et al. 2014): `VideoFlash/1001_DFA_ANG_XX.flv`, that is actor, sentence, emotion and level.

There is no surprise. Four clips are known to be bad and are not used.
"""

import re
from pathlib import PurePath

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below
from tasks.outcomes import Outcome

CODES: dict[str, str] = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
KNOWN_BAD = frozenset(("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"))
ABOUT = About(
    title="CREMA-D",
    classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness"),
    num_people=91,
    num_clips=7442,
    size="7,442 clips of 91 actors",
    licence="ODbL 1.0",
    ask="free download: https://github.com/CheyneyComputerScience/CREMA-D (with git lfs)",
    citation="Cao et al. 2014, IEEE Transactions on Affective Computing 5(4), 377-390",
    layout=("VideoFlash/1001_DFA_ANG_XX.flv (or .mp4)",),
    folds="five of 18 consecutive actors, the last of 19: split.protocol official",
    verified=STAND_INS,
    signs=Signs(None, r"1\d{3}_[a-z]{3}_(ang|dis|fea|hap|neu|sad)_[a-z]{2}\.\w+"),
)
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")
_FIRST, _LAST, _PER_FOLD, _NUM_FOLDS = 1001, 1091, 18, 5


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip."""
    root = require_folder(corpus.root)
    return read_named(root, "cremad", videos_below(root), _told)


def _told(relative: PurePath) -> Named | Untold:
    name = relative.stem.upper()
    match = _NAME.fullmatch(name)
    if not match or not _FIRST <= int(match[1]) <= _LAST:
        return Untold(f"{relative.name!r} is no name of CREMA-D (expected 1001_DFA_ANG_XX.flv, actors 1001 to 1091)")
    fault, why = Outcome.OK, ""
    if match[3] not in CODES:
        fault, why = Outcome.LABEL_CONFLICT, f"its name gives the emotion {match[3]}, none of {', '.join(CODES)}"
    elif name in KNOWN_BAD:
        fault, why = Outcome.UNDECODABLE, "it is one of the clips of this corpus that are known to be bad"
    fold = min((int(match[1]) - _FIRST) // _PER_FOLD + 1, _NUM_FOLDS)
    return Named(name, f"cremad/{match[1]}", CODES.get(match[3], ""), str(fold), fault, why)
