"""RAVDESS (Livingstone and Russo 2018): `Actor_01/01-01-05-02-01-02-01.mp4`, speech and song, seven numbers a name.

The numbers: with sound, picture only or sound only; speech or song; emotion; strength; statement; repetition; actor.
With sound and picture only are one performance, of which one file is used.
"""

import re
from pathlib import PurePath
from typing import Literal

from pydantic import Field

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, parts_of, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below
from tasks.outcomes import Outcome

CODES: dict[str, str] = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
        strict=True,
    )
)
ABOUT = About(
    title="RAVDESS",
    classes=("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
    num_people=24,
    num_clips=1440,
    size="1,440 spoken and 1,012 sung clips of 24 actors, 1280x720",
    licence="CC BY-NC-SA 4.0",
    ask="free download: https://zenodo.org/records/1188976",
    citation="Livingstone and Russo 2018, PLoS ONE 13(5), e0196391",
    layout=("Actor_01/01-01-05-02-01-02-01.mp4 (unpack Video_Speech_Actor_01.zip, ...)",),
    folds="none official; kfold by person is the custom",
    verified=STAND_INS,
    signs=Signs(r"actor_\d\d", r"\d\d(-\d\d){6}\.\w+"),
)
_NAME = re.compile(r"(0[123])-(0[12])-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_ACTOR = re.compile(r"actor[ _-]?(\d\d)", re.IGNORECASE)
_CHANNELS = {"01": "speech", "02": "song"}


class Options(CorpusSettings):
    """What RAVDESS has to be told."""

    channels: tuple[Literal["speech", "song"], ...] = Field(
        ("speech",), min_length=1, description="`speech`, `song` or both"
    )


def read(corpus: Options) -> list[SourceVideo]:
    """One record per performance of the chosen channels."""
    root = require_folder(corpus.root)
    clips = sorted(videos_below(root), key=lambda path: path.name)  # those with sound first
    told: dict[PurePath, Named | Untold | None] = {
        relative: _told(relative, corpus) for relative in (path.relative_to(root) for path in clips)
    }
    with_sound = {named.key for path, named in told.items() if isinstance(named, Named) and path.name[:2] == "01"}
    chosen = [
        root / path
        for path, named in told.items()
        if not (isinstance(named, Named) and named.key in with_sound and path.name[:2] != "01")
    ]
    return read_named(root, "ravdess", chosen, told.__getitem__)


def _told(relative: PurePath, corpus: Options) -> Named | Untold | None:
    match = _NAME.fullmatch(relative.stem)
    if not match:
        return Untold(f"{relative.name!r} is no name of RAVDESS (expected 01-01-05-02-01-02-01.mp4)")
    modality, channel, code, *_, actor = match.groups()
    if _CHANNELS[channel] not in corpus.channels:
        return None
    fault, why = Outcome.OK, ""
    folders = [folder[1] for part in parts_of(relative) if (folder := _ACTOR.search(part))]
    if modality == "03":
        fault, why = Outcome.UNDECODABLE, "it holds sound only, as its name says"
    elif code not in CODES:
        fault, why = Outcome.LABEL_CONFLICT, f"its name gives the emotion {code}, not 01 to 08"
    elif folders and folders[0] != actor:
        fault, why = Outcome.LABEL_CONFLICT, f"it is named after actor {actor}, and lies in the folder of {folders[0]}"
    return Named(relative.stem[3:], f"ravdess/{actor}", CODES.get(code, ""), fault=fault, why=why)
