"""eNTERFACE'05 (Martin et al. 2006): `subject 1/anger/sentence 1/s1_an_1.avi`, folders telling person and emotion.

Names of files are irregular, some clips lie right in the folder of the emotion and some a level further down.
"""

import re
from pathlib import PurePath

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
ABOUT = About(
    title="eNTERFACE'05",
    classes=EMOTIONS,
    size="about 1,290 clips of 42 people, six emotions of five sentences each; copies differ",
    licence="research use",
    ask="free download: https://enterface.net/enterface05/emotion.html",
    citation="Martin et al. 2006, ICDE Workshops",
    layout=("enterface database/subject 1/anger/sentence 1/s1_an_1.avi",),
    folds="none official; kfold or loso by person is the custom",
    verified=STAND_INS,
    unconfirmed="number of clips",
    signs=Signs(
        rf"subject[ _-]?\d+/({'|'.join(EMOTIONS)})(/[^/]+){{0,2}}", r"s\d+_(an|di|fe|ha|sa|su)(_[a-z0-9]+)*\.\w+"
    ),
)
_SUBJECT = re.compile(r"subject[ _-]?0*(\d+)", re.IGNORECASE)
_NAMED_AFTER = re.compile(r"s0*(\d+)_([a-z]{2})_", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip."""
    root = require_folder(corpus.root)
    own = _SUBJECT.fullmatch(root.absolute().name)
    return read_named(root, "enterface", videos_below(root), lambda relative: _told(relative, own))


def _told(relative: PurePath, own: re.Match[str] | None) -> Named | Untold:
    folders = relative.parts[:-1]
    subjects = [(at, match) for at, part in enumerate(folders) if (match := _SUBJECT.fullmatch(part))]
    at, subject = subjects[-1] if subjects else (-1, own)
    emotions = [part for part in folders[at + 1 :] if part.lower() in EMOTIONS]
    if not subject or not emotions:
        return Untold("its folders do not tell person and emotion (expected subject 1/anger/...)")
    number, emotion = subject[1], emotions[0].lower()
    below = "/".join([*folders[at + 1 :], relative.stem]).lower()
    named = _NAMED_AFTER.match(relative.name)
    why = ""
    if named and (named[1], named[2].lower()) != (number, emotion[:2]):
        why = f"its name speaks of subject {named[1]} and {named[2]}; its folders were believed"
    return Named(f"s{number}/{below}", f"enterface/s{number}", emotion, why=why)
