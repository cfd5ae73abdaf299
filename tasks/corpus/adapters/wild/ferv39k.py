"""FERV39k (Wang et al. 2022): faces in `2_ClipsforFaceCrop/Action/Happy/0015/`, one official split into train and test.

The folder of a clip says its class; numbers in lists differ from copy to copy and are not read.
"""

import re
from pathlib import Path

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import About, Signs
from tasks.corpus.adapters.finding import clip_of_images, find_files, find_folder, folders_in, must_find
from tasks.corpus.adapters.named import tell_nameless
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.wild.lists import ListFile, read_lists, sources_of
from tasks.progress import echo

EMOTIONS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_EMOTION = "|".join(EMOTIONS)
ABOUT = About(
    title="FERV39k",
    classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    num_clips=38935,
    size="38,935 clips from films in 22 scenes; nobody is named",
    licence="research, on request",
    ask="sign the agreement: https://wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html",
    citation="Wang et al. 2022, CVPR",
    layout=(
        "2_ClipsforFaceCrop/Action/Happy/0015/, folders of cropped faces",
        "4_setups/All_scenes/train_All.csv, test_All.csv",
    ),
    folds="one split by clip into train and test: split.protocol official",
    verified="the first 60 lines of two real lists; else stand-ins",
    unconfirmed="licence",
    signs=Signs(
        rf"[^/]+/({_EMOTION})/\d{{4}}",
        kind="images",
        labels={r"(all_scenes|annotation)/(train|test)(_all)?\.csv": "4_setups/All_scenes/train_All.csv, test_All.csv"},
    ),
)
_LIST = r"(all_scenes|annotation)/(train|test)(_all)?\.csv"
_LINE = re.compile(rf"([^/,;\s]+)/({_EMOTION})/0*(\d{{1,4}})\s*[,; \t]\s*(\w+)", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip that lies there or is listed."""
    root = require_folder(corpus.root)
    folder = find_folder(root, r"\d_ClipsforFaceCrop") or _above_scenes(root)
    folder = must_find(folder, root, "folder 2_ClipsforFaceCrop")
    echo(f"{folder.name} holds cropped faces: they need prepare.precropped=true.")
    clips = _clips(folder)
    files = find_files(root, _LIST)
    lists = read_lists(
        (ListFile(path, "all", path.name.lower().startswith("test")) for path in files),
        _told,
    )
    for name in list(lists.labels) if files else clips:
        lists.labels[name].add(name.split("/")[1])  # a list that says otherwise is in conflict
    sources = sources_of("ferv39k", clips, lists, folder.joinpath, "no official list names it")
    tell_nameless("FERV39k", sources)
    return sources


def _above_scenes(root: Path) -> Path | None:
    """The root itself, when its folders are scenes."""
    known = {word.lower() for word in EMOTIONS}
    is_it = any(inner.name.lower() in known for scene in folders_in(root) for inner in folders_in(scene))
    return root if is_it else None


def _clips(folder: Path) -> dict[str, Path]:
    known = {word.lower(): word for word in EMOTIONS}
    found = {}
    for scene in folders_in(folder):
        for emotion in (child for child in folders_in(scene) if child.name.lower() in known):
            for child in folders_in(emotion):
                if child.name.isdecimal() and (clip := clip_of_images(child)):
                    found[f"{scene.name}/{known[emotion.name.lower()]}/{child.name.zfill(4)}"] = clip
    return found


def _told(line: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(line)
    if not match:
        return None
    scene, emotion, number, label = match.groups()
    word = emotion.title()
    return f"{scene}/{word}/{number.zfill(4)}", word if label.isdecimal() else label.title()
