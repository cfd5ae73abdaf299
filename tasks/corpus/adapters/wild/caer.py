"""CAER (Lee et al. 2019): `train/Anger/0001.avi`, also below `validation` and `test`, which are the official parts.

Names repeat between the parts. Some copies say Angry, and case varies.
"""

from pathlib import PurePath

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, read_named, tell_nameless
from tasks.corpus.adapters.source import TEST, TRAIN, VALIDATION, SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below

EMOTIONS = ("anger", "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
PARTS = (TRAIN, VALIDATION, TEST)
ABOUT = About(
    title="CAER",
    classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    num_clips=13201,
    size="13,201 clips from television; nobody is named",
    licence="research, non-commercial",
    ask="https://caer-dataset.github.io",
    citation="Lee et al. 2019, ICCV",
    layout=("CAER/train/Anger/0001.avi, with validation and test",),
    folds="train, validation and test by clip: split.protocol official",
    verified=STAND_INS,
    unconfirmed="number of clips, licence, address, citation",
    signs=Signs(rf"({'|'.join(PARTS)})/({'|'.join(EMOTIONS)})"),
)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip."""
    root = require_folder(corpus.root)
    sources = read_named(root, "caer", videos_below(root), _told)
    tell_nameless("CAER", sources)
    return sources


def _told(relative: PurePath) -> Named | Untold:
    folders = [part.lower() for part in relative.parts[:-1]]
    if len(folders) < 2 or folders[-2] not in PARTS or folders[-1] not in EMOTIONS:
        return Untold("it lies in no folder of a part and an emotion (expected train/Anger/...)")
    part, emotion = folders[-2:]
    return Named(f"{part}/{_common(emotion)}/{relative.stem}", None, emotion, part)


def _common(emotion: str) -> str:
    return "anger" if emotion == "angry" else emotion
