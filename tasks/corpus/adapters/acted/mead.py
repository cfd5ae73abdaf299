"""MEAD (Wang et al. 2020): `M030_front_angry_level3_001.mp4` or `W037/front/angry/level_3/...`; views and levels.

Person, view, emotion, level and number stand in the name, in the folders or in both; a name that leaves the view out
is of none in particular and is always used.
"""

import re
from pathlib import PurePath
from typing import Literal

from pydantic import Field

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.named import Named, Untold, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below
from tasks.outcomes import Outcome

View = Literal["front", "left_30", "left_60", "right_30", "right_60", "top", "down"]
EMOTIONS = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
_EMOTION = "|".join(EMOTIONS)
_VIEW = "front|left_30|left_60|right_30|right_60|top|down"
ABOUT = About(
    title="MEAD",
    classes=("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    size="48 people in the published part, eight emotions, three levels, seven views",
    licence="research, non-commercial",
    ask="https://wywu.github.io/projects/MEAD/MEAD.html",
    citation="Wang et al. 2020, ECCV",
    layout=(
        "W037/front/angry/level_3/W037_front_angry_level_3_034.mp4",
        "or M030_front_angry_level3_001.mp4, M003_level_1_disgusted_015.mp4, M003/video/front/angry/level_3/001.mp4",
    ),
    folds="none official",
    verified="24 real clips of three people (front, named M030_front_angry_level3_001.mp4); else stand-ins",
    unconfirmed="number of people, licence, address",
    signs=Signs(
        None,
        rf"[mw]\d{{3}}_(({_VIEW})_({_EMOTION})_level_?\d|level_\d_({_EMOTION}))_\d+\.\w+",
        also=rf"[mw]\d{{3}}/(video/)?({_VIEW})/({_EMOTION})/level_\d/\d+\.\w+",
    ),
)
_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<who>[MW]\d{{3}})_(?P<view>{_VIEW})_(?P<emotion>{_EMOTION})_level_?(?P<level>\d)_(?P<number>\d+)",
        rf"(?P<who>[MW]\d{{3}})_level_(?P<level>\d)_(?P<emotion>{_EMOTION})_(?P<number>\d+)",
    )
)
_FOLDERS = re.compile(
    rf"(?:^|.*/)(?P<who>[MW]\d{{3}})/(?:video/)?(?P<view>{_VIEW})/(?P<emotion>{_EMOTION})/level_?(?P<level>\d)"
    r"/(?:.*\D)?(?P<number>\d+)",
    re.IGNORECASE,
)


class Options(CorpusSettings):
    """What MEAD has to be told."""

    views: tuple[View, ...] = Field(("front",), min_length=1, description=f"{_VIEW.replace('|', ', ')}")
    levels: tuple[Literal[1, 2, 3], ...] = Field((1, 2, 3), min_length=1, description="how strong the expressions are")


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip of the chosen views and levels."""
    root = require_folder(corpus.root)
    return read_named(root, "mead", videos_below(root), lambda relative: _told(relative, corpus))


def _told(relative: PurePath, corpus: Options) -> Named | Untold | None:
    in_name = next((match for pattern in _NAMES if (match := pattern.fullmatch(relative.stem))), None)
    in_folders = _FOLDERS.fullmatch(relative.with_suffix("").as_posix())
    found = in_name or in_folders
    if not found:
        return Untold(f"{relative.name!r} is no name of MEAD (expected M030_front_angry_level3_001.mp4)")
    told = {name: value.lower() for name, value in found.groupdict().items()}
    view, level = told.get("view", ""), told["level"]
    if (view and view not in corpus.views) or int(level) not in corpus.levels:
        return None
    fault, why = Outcome.OK, ""
    if in_name and in_folders:
        folders = {name: value.lower() for name, value in in_folders.groupdict().items() if name in told}
        wrong = [
            name for name in ("who", "view", "emotion", "level") if folders.get(name, told.get(name)) != told.get(name)
        ]
        if wrong:
            fault = Outcome.LABEL_CONFLICT
            why = f"its name and its folders differ: {told[wrong[0]]} and {folders[wrong[0]]}"
    who = told["who"].upper()
    key = "_".join(filter(None, (who, view, told["emotion"], f"level{level}", f"{int(told['number']):03d}")))
    return Named(key, f"mead/{who}", told["emotion"], fault=fault, why=why)
