"""AFEW (Dhall et al. 2012): `Train_AFEW/Angry/000046280.avi` and `Val_AFEW/...`; faces lie apart, by id.

The labels of its test part are not given out, so that the official split tests on `Val_AFEW`. Ids repeat between the
parts. Faces lie in `Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/<id>/`; their class is that of the video of that id.
"""

from pathlib import Path

from fer_models.errors import UserError
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import clip_of_images, find_folder, folders_below, folders_in
from tasks.corpus.adapters.forms import FACES, Options
from tasks.corpus.adapters.named import Named, source_of, tell_nameless
from tasks.corpus.adapters.source import TEST, TRAIN, SourceVideo, require_folder
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.outcomes import Outcome
from tasks.progress import echo

__all__ = ["ABOUT", "Options", "read"]

EMOTIONS = ("anger", "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
ABOUT = About(
    title="AFEW",
    classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    num_clips=1156,
    size="773 clips to train and 383 to test, from films; nobody is named",
    licence="research, on request",
    ask="sign the agreement: https://cs.anu.edu.au/few",
    citation="Dhall et al. 2012, IEEE MultiMedia 19(3), 34-41",
    layout=(
        "Train_AFEW/Angry/000046280.avi and Val_AFEW/Angry/000149120.avi (or Train, Val)",
        "faces: Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/",
    ),
    folds="train and validation by clip, which tests: split.protocol official",
    verified=STAND_INS,
    unconfirmed="licence, address, citation",
    signs=Signs(
        rf"(train|val)(_afew)?/({'|'.join(EMOTIONS)})",
        also=r"alignedfaces_lbptop_points(_val)?/faces/\d+/[^/]+\.(jpe?g|png)",
    ),
)
_PARTS = {TRAIN: r"Train(_AFEW)?", TEST: r"Val(_AFEW)?"}


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip of both parts."""
    root = require_folder(corpus.root)
    parts = {official: find_folder(root, name, depth=2) for official, name in _PARTS.items()}
    if not any(parts.values()):
        raise UserError(f"{str(root)!r} holds neither Train_AFEW nor Val_AFEW; set corpus.root to the folder above.")
    if corpus.form == "frames":
        raise UserError("AFEW comes as videos and as faces; set corpus.form to one of these.")
    sources = [
        source for official, folder in parts.items() if folder for source in _read_part(corpus, official, folder)
    ]
    if any(source.path.suffix.lower() not in VIDEO_SUFFIXES for source in sources):
        echo("The clips are cropped faces: they need prepare.precropped=true.")
    tell_nameless("AFEW", sources)
    return sources


def _read_part(corpus: Options, official: str, folder: Path) -> list[SourceVideo]:
    videos: dict[str, list[tuple[str, Path]]] = {}
    for child in (child for child in folders_in(folder) if child.name.lower() in EMOTIONS):
        for path in sorted(child.iterdir()):
            if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith("."):
                videos.setdefault(path.stem, []).append((child.name, path))
    takes_faces = corpus.form == FACES or (corpus.form == "any" and not videos)
    faces = _faces(folder) if takes_faces else {}
    names = sorted(faces.keys() | videos.keys() if takes_faces else videos.keys())
    return [_source(name, official, videos.get(name, []), faces.get(name), takes_faces) for name in names]


def _faces(folder: Path) -> dict[str, Path]:
    above = [path for path in folders_below(folder, 2) if path.name.lower() == "faces"]
    found = {child.name: clip_of_images(child) for path in above for child in folders_in(path)}
    return {name: clip for name, clip in found.items() if clip}


def _source(
    name: str, official: str, videos: list[tuple[str, Path]], face: Path | None, takes_faces: bool
) -> SourceVideo:
    label = videos[0][0] if videos else ""
    path = face if takes_faces else videos[0][1]
    fault, why = Outcome.OK, ""
    if len(videos) > 1:
        fault, why = Outcome.LABEL_CONFLICT, f"it lies in the folders {', '.join(word for word, _ in videos)}"
    elif not videos:
        fault, why = Outcome.LABEL_MISSING, "no video of its id tells its class; faces alone do not"
    elif path is None:
        fault, why = Outcome.FILE_MISSING, "there is a video of it, but there are no faces"
    return source_of("afew", path or videos[0][1], Named(f"{official}/{name}", None, label, official, fault, why))
