"""RML (Wang and Guan 2008): `rml-1/s1/an1.avi`, eight people, some with a folder for each language they speak."""

import re
from pathlib import PurePath

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.named import Named, Untold, read_named
from tasks.corpus.adapters.source import SourceVideo, require_folder
from tasks.corpus.adapters.walking import videos_below

CODES: dict[str, str] = {
    "an": "anger",
    "di": "disgust",
    "fe": "fear",
    "ha": "happiness",
    "sa": "sadness",
    "su": "surprise",
}
ABOUT = About(
    title="RML",
    classes=tuple(CODES.values()),
    num_people=8,
    num_clips=720,
    size="720 clips of 8 people, six languages",
    licence="research use",
    ask="https://www.torontomu.ca/multimedia-research-laboratory (RML emotion database)",
    citation="Wang and Guan 2008, IEEE Transactions on Multimedia 10(5), 936-946",
    layout=("rml-1/s1/an1.avi, s1 to s5", "rml-2/s6/an1.avi, s6 to s8; some with a folder a language in between"),
    folds="none official; loso is the custom",
    verified=STAND_INS,
    unconfirmed="licence, address, citation",
    signs=Signs(r"s[1-8](/[^/]+)?", r"(an|di|fe|ha|sa|su)\d{1,3}\.\w+"),
)
_SUBJECT = re.compile(r"s([1-8])", re.IGNORECASE)
_NAME = re.compile(r"(an|di|fe|ha|sa|su)(\d{1,3})", re.IGNORECASE)


def read(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per clip."""
    root = require_folder(corpus.root)
    own = root.absolute().name
    return read_named(root, "rml", videos_below(root), lambda relative: _told(relative, own))


def _told(relative: PurePath, own: str) -> Named | Untold:
    name = _NAME.fullmatch(relative.stem)
    if not name:
        return Untold(f"{relative.name!r} is no name of RML (expected an1.avi)")
    folders = [own, *relative.parts[:-1]]
    places = [at for at, part in enumerate(folders) if _SUBJECT.fullmatch(part)]
    if not places:
        return Untold("nothing says who is seen: it lies in no folder s1 to s8")
    subject = folders[places[-1]].lower()
    languages = [part.lower() for part in folders[places[-1] + 1 :]]
    key = "/".join([subject, *languages, f"{name[1].lower()}{int(name[2])}"])
    return Named(key, f"rml/{subject}", CODES[name[1].lower()])
