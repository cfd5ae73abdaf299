"""SMIC (Li et al. 2013): `HS/s1/micro/negative/s1_ne_01/`, folders of images; three classes, no onset, no apex."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import clip_of_images, find_folder, folders_in, must_find
from tasks.corpus.adapters.named import Named, source_of
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.outcomes import Outcome

EMOTIONS = ("negative", "positive", "surprise")
ABOUT = About(
    title="SMIC",
    classes=EMOTIONS,
    num_people=16,
    num_clips=164,
    size="164 clips of 16 people at 100 images a second (HS)",
    licence="research, on request",
    ask="sign the agreement of the Center for Machine Vision and Signal Analysis, University of Oulu",
    citation="Li et al. 2013, IEEE FG",
    layout=("HS/s1/micro/negative/s1_ne_01/image001.bmp, with negative, positive and surprise",),
    folds="leave one subject out: split.protocol loso",
    verified=STAND_INS,
    unconfirmed="licence, address",
    signs=Signs(rf"s\d+/micro/({'|'.join(EMOTIONS)})/[^/]+", kind="images"),
)
_SUBJECT = re.compile(r"s0*(\d+)", re.IGNORECASE)


class Options(CorpusSettings):
    """What SMIC has to be told."""

    camera: Literal["HS", "VIS", "NIR"] = Field("HS", description="`HS` (fast), `VIS` (usual) or `NIR` (infrared)")


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip of the camera."""
    root = require_folder(corpus.root)
    folder = must_find(find_folder(root, corpus.camera), root, f"folder {corpus.camera}")
    return [
        _source(match[1], emotion.name, clip)
        for person in folders_in(folder)
        if (match := _SUBJECT.fullmatch(person.name))
        for micro in folders_in(person)
        if micro.name.lower() == "micro"
        for emotion in folders_in(micro)
        for clip in folders_in(emotion)
    ]


def _source(person: str, emotion: str, clip: Path) -> SourceVideo:
    path, fault, why = clip_of_images(clip), Outcome.OK, ""
    if emotion.lower() not in EMOTIONS:
        fault, why = Outcome.LABEL_CONFLICT, f"its folder {emotion!r} is none of {', '.join(EMOTIONS)}"
    elif path is None:
        fault, why = Outcome.FILE_MISSING, "its folder holds no images"
    named = Named(f"s{person}/{emotion.lower()}/{clip.name}", f"smic/s{person}", emotion, fault=fault, why=why)
    return source_of("smic", path or clip, named)
