"""CK+ (Lucey et al. 2010): `cohn-kanade-images/S005/001/S005_001_00000001.png`, labels in `Emotion/S005/001`.

A clip is a folder of numbered images that go from neutral to the expression's peak. Its label, where it has one, is
`S005_001_00000011_emotion.txt`, named after the last image, and holds one number such as `3.0000000e+00`. What the
files contradict is reported, never guessed.
"""

import re
from pathlib import Path

from fer_models.errors import UserError, VideoFault
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.source import SourceVideo, label_status, require_folder
from tasks.corpus.adapters.walking import is_of_system
from tasks.outcomes import Outcome
from tasks.video.image_sequences import NumberedImage, sequence_images

CODES: tuple[str, ...] = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

ABOUT = About(
    title="CK+",
    classes=("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    num_people=123,
    num_clips=593,
    size="593 clips of 123 people, 327 of them labelled; images, neutral to peak",
    licence="research, on request",
    ask="sign the agreement: http://www.jeffcohn.net/Resources",
    citation="Lucey et al. 2010, CVPR Workshops",
    layout=(
        "cohn-kanade-images/S005/001/S005_001_00000001.png",
        "Emotion/S005/001/S005_001_00000011_emotion.txt",
    ),
    folds="none official; loso or kfold by person is the custom",
    verified=STAND_INS,
    unconfirmed="licence, address",
    signs=Signs(
        r"s\d{3}/\d{3}",
        r"s\d{3}_\d{3}_\d+\.(png|jpe?g)",
        "images",
        labels={r"s\d{3}_\d{3}_\d+_emotion\.txt": "Emotion/.../S005_001_00000011_emotion.txt"},
    ),
)
_CLIP = re.compile(r"(S\d{3})_(\d{3})", re.IGNORECASE)
_LABEL = re.compile(r"(.*)_(\d+)_emotion\.txt", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip that is filmed, or labelled, or both."""
    root = require_folder(corpus.root)
    films, labels = _find(root, "cohn-kanade-images"), _find(root, "Emotion")
    paths = (path for folder in (films, labels) for path in folder.glob("*/*/"))
    clips = {
        f"{path.parent.name}_{path.name}"
        for path in paths
        if not (is_of_system(path.name) or is_of_system(path.parent.name))
    }
    return [_source(name, films, labels) for name in sorted(clips)]


def _find(root: Path, name: str) -> Path:
    """A folder of the corpus: the root itself, up to two levels below, or beside the root."""
    for path in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/")), *sorted(root.parent.glob("*/"))):
        if path.name.lower() == name.lower():
            return path
    raise UserError(f"{root} holds no folder {name!r}; set corpus.root to the folder that holds it.")


def _source(name: str, films: Path, labels: Path) -> SourceVideo:
    match = _CLIP.fullmatch(name)
    folder, _, clip = name.partition("_")
    film = films / folder / clip
    files = sorted((labels / folder / clip).glob("[!.]*_emotion.txt"))
    text = files[0].read_text(encoding="utf-8", errors="replace").strip() if files else ""
    label_raw = _word(text)
    emotion, status, reason = label_status(label_raw)
    images = _images(film)
    conflicts = _contradictions(name, files, text, images)
    if not match:
        status, reason = Outcome.LABEL_MISSING, f"{name!r} names no subject (expected S005/001)"
    elif conflicts:
        status, reason = Outcome.LABEL_CONFLICT, "; ".join(conflicts)
    elif files and not text:
        reason = f"its label {files[0].name} is empty"
    elif status is Outcome.OK and not film.is_dir():
        status, reason = Outcome.FILE_MISSING, f"{files[0].name} labels it, but there is no folder of its images"
    elif status is Outcome.OK:
        reason = _remark(files[0], images)
    subject = f"ckplus/{match[1].upper()}" if match else ""
    return SourceVideo(f"ckplus/{name}", "ckplus", film, subject, emotion, label_raw, status, reason)


def _word(text: str) -> str:
    """The class that a label file's number means; the text itself when it means none."""
    try:
        return dict(enumerate(CODES))[float(text)]  # type: ignore[index]  # 3.0 finds 3
    except (ValueError, KeyError):
        return text


def _images(film: Path) -> list[NumberedImage]:
    try:
        return sequence_images(film) if film.is_dir() else []
    except (VideoFault, OSError):
        return []  # the manifest says why


def _contradictions(name: str, files: list[Path], text: str, images: list[NumberedImage]) -> list[str]:
    problems = []
    if len(files) > 1:
        problems.append(f"it has {len(files)} labels: {', '.join(file.name for file in files)}")
    for file in files:
        match = _LABEL.fullmatch(file.name)
        if not match or match[1].lower() != name.lower():
            problems.append(f"its label {file.name} is named after another clip")
    if text and _word(text) not in CODES:
        problems.append(f"its label {files[0].name} says {text[:40]!r}, not a number from 0 to {len(CODES) - 1}")
    if images and not images[0].path.name.lower().startswith(f"{name.lower()}_"):
        problems.append(f"its images are named after another clip ({images[0].path.name})")
    return problems


def _remark(file: Path, images: list[NumberedImage]) -> str:
    match = _LABEL.fullmatch(file.name)
    if match and images and int(match[2]) != images[-1].number:
        return f"its label is named after image {int(match[2])}, but its last image is {images[-1].path.name}"
    return ""
