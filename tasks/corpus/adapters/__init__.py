"""Adapters: one corpus layout each, turned into the same records.

An adapter is a function `read(corpus: CorpusSettings) -> list[SourceVideo]`. A new one is a new file and one line here.
"""

from collections.abc import Callable

from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters import baum1, ckplus, ckplus48, folder, table, videos
from tasks.corpus.adapters.source import SourceVideo

ADAPTERS: dict[str, Callable[[CorpusSettings], list[SourceVideo]]] = {
    "baum1": baum1.read,
    "ckplus": ckplus.read,
    "ckplus48": ckplus48.read,
    "folder": folder.read,
    "table": table.read,
    "videos": videos.read,
}
