"""What settings can name, each in a module of its own: adapters of corpora and face detectors.

A new one is a new file and one line here. Modules are imported when one is chosen. That of an adapter is imported when
settings are resolved, so it imports heavy packages (OpenCV, pyarrow, openpyxl) inside the functions that need them.
"""

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType

from fer_models.suggest import nearest
from tasks.escaping import shortened

#: Layouts of corpora on disk. A module has `read(corpus) -> list[SourceVideo]`, and `Options(CorpusSettings)` where its
#: corpus has settings of its own; the first line of its docstring tells users the layout.
ADAPTERS: dict[str, str] = {
    "afew": "tasks.corpus.adapters.wild.afew",
    "baum1": "tasks.corpus.adapters.baum1",
    "caer": "tasks.corpus.adapters.wild.caer",
    "casme2": "tasks.corpus.adapters.micro.casme2",
    "ckplus": "tasks.corpus.adapters.ckplus",
    "ckplus48": "tasks.corpus.adapters.ckplus48",
    "cremad": "tasks.corpus.adapters.acted.cremad",
    "dfew": "tasks.corpus.adapters.wild.dfew",
    "enterface": "tasks.corpus.adapters.acted.enterface",
    "ferv39k": "tasks.corpus.adapters.wild.ferv39k",
    "folder": "tasks.corpus.adapters.folder",
    "images": "tasks.corpus.adapters.images",
    "mafw": "tasks.corpus.adapters.wild.mafw",
    "mead": "tasks.corpus.adapters.acted.mead",
    "mmi": "tasks.corpus.adapters.acted.mmi",
    "oulucasia": "tasks.corpus.adapters.acted.oulucasia",
    "ravdess": "tasks.corpus.adapters.acted.ravdess",
    "rml": "tasks.corpus.adapters.acted.rml",
    "samm": "tasks.corpus.adapters.micro.samm",
    "savee": "tasks.corpus.adapters.acted.savee",
    "several": "tasks.corpus.adapters.several",
    "smic": "tasks.corpus.adapters.micro.smic",
    "table": "tasks.corpus.adapters.table",
    "videos": "tasks.corpus.adapters.videos",
}
#: What finds faces. A module has `load(*files: Path) -> Detector`, which is given the files that it needs.
DETECTORS: dict[str, str] = {
    "haar": "tasks.video.detectors.haar",
    "yunet": "tasks.video.detectors.yunet",
    "blazeface": "tasks.video.detectors.blazeface",
}
#: The detectors that need a model file of the user's.
WITH_MODEL_FILE = frozenset({"yunet"})
#: The detectors that need published weights (`fer weights list`), and the names of these in the order of `load`.
WITH_WEIGHTS: dict[str, tuple[str, ...]] = {"blazeface": ("blazeface-full-range", "blazeface-short-range")}
#: The detectors that say where the eyes are.
WITH_EYES = ("blazeface", "yunet")


def load_module(registry: Mapping[str, str], name: str) -> ModuleType:
    """The module of a registered name."""
    return importlib.import_module(registry[name])


def one_of(registry: Mapping[str, str], what: str) -> Callable[[str], str]:
    """A validator of a name, for pydantic."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(
                f"there is no {what} {shortened(name)}{nearest(name, registry)}; there are {', '.join(registry)}"
            )
        return name

    return check
