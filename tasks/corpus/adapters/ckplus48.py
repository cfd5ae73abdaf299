"""CK+48, cropped faces of CK+: `<class>/S010_004_00000017.png`, three 48x48 images a clip; needs `prepare.precropped`.

A class's folder holds the images of all its clips, so that a clip is a pattern of numbered images. People share their
names with CK+. A clip that lies in two folders is reported, never guessed.
"""

import os
import re
from collections import defaultdict
from pathlib import Path

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.source import SourceVideo, label_status, require_folder
from tasks.corpus.adapters.walking import is_of_system
from tasks.outcomes import Outcome
from tasks.video.image_sequences import is_image, split_name

ABOUT = About(
    title="CK+48",
    classes=("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    num_people=118,
    num_clips=327,
    size="981 cropped faces of 48x48 px, three of each of 327 clips of 118 people",
    licence="research, as CK+",
    ask="cut from CK+ by others and passed on with published code; ask for CK+",
    citation="Lucey et al. 2010, CVPR Workshops",
    layout=("anger/S010_004_00000017.png, a folder a class",),
    folds="none official; kfold by person is the custom",
    verified="half of the real files: 177 clips of 60 people",
    unconfirmed="who cut it, and under which terms it may be passed on",
    signs=Signs(
        None,
        kind="images",
        also=r"(anger|angry|contempt|disgust|fear|happy|happiness|sad|sadness|surprise)/s\d{3}_\d{3}_\d+\.png",
    ),
)
_PREFIX = re.compile(r"(S\d{3})_(\d{3})_", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip, and one for each image that belongs to none."""
    root = require_folder(corpus.root)
    clips: dict[str, set[Path]] = defaultdict(set)
    strays: list[Path] = []
    for name, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if not is_of_system(folder)]
        for path in (Path(name, file) for file in files if is_image(file)):
            parts = split_name(path.name)
            if parts and _PREFIX.fullmatch(parts[0]):
                clips[parts[0].removesuffix("_").upper()].add(path.with_name(f"{parts[0]}*{path.suffix}"))
            else:
                strays.append(path)
    return [_source(name, sorted(clips[name])) for name in sorted(clips)] + [
        _stray(root, path) for path in sorted(strays)
    ]


def _source(name: str, patterns: list[Path]) -> SourceVideo:
    label_raw = patterns[0].parent.name
    emotion, status, reason = label_status(label_raw)
    if len(patterns) > 1:
        places = ", ".join(f"{path.parent.name}/{path.name}" for path in patterns)
        status, reason = Outcome.LABEL_CONFLICT, f"its images are in {len(patterns)} places: {places}"
    subject = f"ckplus/{name.partition('_')[0]}"
    return SourceVideo(f"ckplus48/{name}", "ckplus48", patterns[0], subject, emotion, label_raw, status, reason)


def _stray(root: Path, path: Path) -> SourceVideo:
    label_raw = path.parent.name
    emotion, _, _ = label_status(label_raw)
    reason = f"{path.name!r} names no subject and clip (expected S010_004_00000017.png)"
    video_id = f"ckplus48/{path.relative_to(root).as_posix()}"
    return SourceVideo(video_id, "ckplus48", path, "", emotion, label_raw, Outcome.LABEL_MISSING, reason)
