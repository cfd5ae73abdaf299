"""Oulu-CASIA (Zhao et al. 2011): `OriginalImg/VL/Strong/P001/Anger/000.jpeg`; two cameras, three lights.

A clip is a folder of images that go from neutral to the expression's peak.
"""

import re
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Literal

from pydantic import Field

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import clip_of_images, folders_below
from tasks.corpus.adapters.named import Named, Untold, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
ABOUT = About(
    title="Oulu-CASIA",
    classes=EMOTIONS,
    num_people=80,
    num_clips=480,
    size="480 clips of 80 people for each of two cameras and three lights, 320x240",
    licence="research, on request",
    ask="sign the agreement of the Center for Machine Vision and Signal Analysis, University of Oulu",
    citation="Zhao et al. 2011, Image and Vision Computing 29(9), 607-619",
    layout=("OriginalImg/VL/Strong/P001/Anger/000.jpeg",),
    folds="ten by person are the custom: split.protocol kfold, split.folds 10",
    verified=STAND_INS,
    unconfirmed="licence, address",
    signs=Signs(rf"(NI|VL)/(Dark|Strong|Weak)/P\d{{3}}/({'|'.join(EMOTIONS)})", kind="images"),
)
_CLIP = re.compile(rf"(?:^|.*/)(NI|VL)/(Dark|Strong|Weak)/P(\d{{3}})/({'|'.join(EMOTIONS)})", re.IGNORECASE)


class Options(CorpusSettings):
    """What Oulu-CASIA has to be told."""

    cameras: tuple[Literal["VL", "NI"], ...] = Field(
        ("VL",), min_length=1, description="`VL` (visible light), `NI` (near infrared) or both"
    )
    lights: tuple[Literal["Strong", "Weak", "Dark"], ...] = Field(
        ("Strong",), min_length=1, description="`Strong`, `Weak`, `Dark` or several"
    )


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip of the chosen cameras and lights."""
    root = require_folder(corpus.root)
    folders = [path for path in folders_below(root, 7) if path != root and clip_of_images(path)]
    cameras, lights = set(corpus.cameras), {light.lower() for light in corpus.lights}

    def told(relative: PurePath) -> Named | Untold | None:
        match = _CLIP.fullmatch(relative.as_posix())
        if not match:
            return Untold("its folders tell no camera, light, person and emotion (expected VL/Strong/P001/Anger)")
        camera, light, person, emotion = match.groups()
        if camera.upper() not in cameras or light.lower() not in lights:
            return None
        key = f"{camera.upper()}/{light.title()}/P{person}/{emotion.lower()}"
        return Named(key, f"oulucasia/P{person}", emotion)

    sources = read_named(root, "oulucasia", folders, told)
    return [_with_images(source) for source in sources]


def _with_images(source: SourceVideo) -> SourceVideo:
    clip: Path | None = clip_of_images(source.path)
    return replace(source, path=clip) if clip else source
