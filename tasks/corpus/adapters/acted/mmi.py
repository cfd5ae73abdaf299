"""MMI (Pantic et al. 2005): `Sessions/<n>/` with a video, `session.xml` and `<sid>.xml`, which hold view and emotion.

Frontal sessions without `<sid>-oao_aucs.xml` were filmed lying on their side.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

from pydantic import Field

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.finding import files_in, find_folder, folders_in
from tasks.corpus.adapters.named import Named, source_of
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.outcomes import Outcome

CODES: dict[str, str] = dict(
    zip("123456", ("anger", "disgust", "fear", "happy", "sadness", "surprise"), strict=True),
)
FRONTAL = 0
ABOUT = About(
    title="MMI",
    classes=("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    size="about 2,900 sessions, some 200 of them with one of six emotions; copies differ",
    licence="research, on request",
    ask="sign the agreement: https://mmifacedb.eu",
    citation="Pantic et al. 2005, IEEE ICME; Valstar and Pantic 2010, LREC workshops",
    layout=("Sessions/<n>/<sid>.avi, session.xml, <sid>.xml, often <sid>-oao_aucs.xml",),
    folds="none official; kfold by person is the custom",
    verified=STAND_INS,
    unconfirmed="number of clips with an emotion, address",
    signs=Signs(r"sessions/\d+", labels={r"session\.xml": "Sessions/<n>/session.xml"}),
)
_UNSAFE = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


class Options(CorpusSettings):
    """What MMI has to be told."""

    views: tuple[int, ...] = Field(
        (FRONTAL,), min_length=1, description="0 frontal, 1 profile, 2 frontal and profile in one picture, or several"
    )


def read(corpus: Options) -> list[SourceVideo]:
    """One record per session of the chosen views, and per session whose view is not told."""
    root = require_folder(corpus.root)
    folder = find_folder(root, "Sessions") or root
    sources = (_source(corpus, session) for session in folders_in(folder) if session.name.isdecimal())
    return [source for source in sources if source]


def _source(corpus: Options, session: Path) -> SourceVideo | None:
    files = files_in(session)
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    notes = {path.name.lower(): path for path in files if path.suffix.lower() == ".xml"}
    trees = {name: tree for name, path in notes.items() if (tree := _tree(path)) is not None}
    views = {_whole(track.get("view")) for tree in trees.values() for track in tree.iter("track")} - {None}
    if views and not views & set(corpus.views):
        return None
    codes = {tag.get("Value", "") for tree in trees.values() for tag in tree.iter("Metatag") if _is_emotion(tag)}
    people = {tag.get("id", "") for tree in trees.values() for tag in tree.iter() if tag.tag.lower() == "subject"} - {
        ""
    }
    label = CODES.get(min(codes)) if len(codes) == 1 else None
    fault, why = _fault(videos, codes, people, set(notes) - set(trees))
    if not why and FRONTAL in views and not any(name.endswith("-oao_aucs.xml") for name in notes):
        why = "it was filmed lying on its side: turn it by 90 degrees clockwise, or no face is found"
    elif not why and not views:
        why = "session.xml does not tell its view"
    subject = f"mmi/{min(people)}" if len(people) == 1 else None if not people else ""
    path = videos[0] if videos else session / f"{session.name}.avi"
    return source_of("mmi", path, Named(session.name, subject, label or "", fault=fault, why=why))


def _fault(videos: list[Path], codes: set[str], people: set[str], broken: set[str]) -> tuple[Outcome, str]:
    if broken:
        return Outcome.LABEL_CONFLICT, f"{min(broken)} cannot be read as XML"
    if len(codes) > 1 or (codes and min(codes) not in CODES):
        return Outcome.LABEL_CONFLICT, f"its emotion is {' and '.join(sorted(codes))}, not one of 1 to 6"
    if len(people) > 1:
        return Outcome.LABEL_CONFLICT, f"it names several people: {', '.join(sorted(people))}"
    if not codes:
        return Outcome.LABEL_MISSING, "no Metatag tells its emotion"
    if not videos:
        return Outcome.FILE_MISSING, "the session holds no video"
    if len(videos) > 1:
        return Outcome.LABEL_CONFLICT, f"the session holds {len(videos)} videos"
    return Outcome.OK, ""


def _is_emotion(tag: ElementTree.Element) -> bool:
    return tag.get("Name", "").lower() == "emotion"


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _tree(path: Path) -> ElementTree.Element | None:
    """The content of an XML file; None when it is none, or defines entities, which could unfold without end."""
    try:
        content = path.read_bytes()
        return None if _UNSAFE.search(content) else ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError):
        return None
