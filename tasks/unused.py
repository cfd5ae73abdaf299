"""Shards that nothing refers to any more: of other preparation settings, and of videos that left the corpus."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tasks.layout import Layout
from tasks.manifest import read_manifest


@dataclass(frozen=True)
class Unused:
    """Something that can be removed: one folder, or some files."""

    description: str
    paths: tuple[Path, ...]
    num_shards: int
    size_bytes: int


def find_unused(layout: Layout) -> list[Unused]:
    """What can be removed without the present settings and corpus losing anything.

    A study that was made with other preparation settings keeps its models and report, but would prepare its videos
    anew when it is run again.
    """
    unused = []
    for folder in sorted(layout.prepared.parent.glob("*/")):
        if folder.name != layout.prepared.name:
            shards = sorted(folder.glob("shards/*/*.parquet"))
            unused.append(Unused(f"{folder}: made with other settings", (folder,), len(shards), _size(shards)))
    known = set(read_manifest(layout.manifest)["sha256"])
    orphans = sorted(path for path in layout.shards.glob("*/*.parquet") if path.stem not in known)
    if orphans:
        unused.append(Unused("videos that are no longer in the corpus", tuple(orphans), len(orphans), _size(orphans)))
    return unused


def remove(unused: list[Unused]) -> None:
    """Delete all of it."""
    for item in unused:
        for path in item.paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
