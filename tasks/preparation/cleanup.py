"""Shards that nothing refers to any more: of other preparation settings, and of videos that left the corpus.

What a running study uses stays (`tasks.preparation.in_use`).
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.config.layout import Layout
from tasks.corpus.manifest import read_manifest
from tasks.preparation.in_use import find_users, kept_from_use
from tasks.storage.files import list_files, list_sizes, remove_files
from tasks.storage.stored_names import path_below


@dataclass(frozen=True)
class Unused:
    """Something that can be removed: one folder, or some files; `prepared` is the folder that they are or lie in."""

    prepared: Path
    description: str
    paths: tuple[Path, ...]
    num_shards: int
    size_bytes: int


def find_unused(layout: Layout) -> list[Unused]:
    """What can be removed without the present settings and corpus losing anything.

    A study that was made with other preparation settings keeps its models and report, but would prepare its videos
    anew when it is run again.
    """
    folder = layout.prepared.parent
    sizes = list_sizes(folder, "*/shards/*/*.parquet")
    others = {path.parents[2] for path in sizes} | {path.parent for path in list_files(folder, "*/ledger.parquet")}
    unused = []
    for other in sorted(others - {layout.prepared}):
        of_other = [size for path, size in sizes.items() if path.parents[2] == other]
        unused.append(Unused(other, f"{other}: made with other settings", (other,), len(of_other), sum(of_other)))
    known = set(read_manifest(layout.manifest)["sha256"])
    orphans = [path for path in sizes if path.parents[2] == layout.prepared and path.stem not in known]
    for path in orphans:
        path_below(layout.shards, f"{path.parent.name}/{path.name}", layout.shards, "remove that link yourself")
    if orphans:
        size_bytes = sum(sizes[path] for path in orphans)
        unused.append(
            Unused(layout.prepared, "videos that are no longer in the corpus", tuple(orphans), len(orphans), size_bytes)
        )
    return unused


def users_of(item: Unused, layout: Layout) -> list[str]:
    """Who uses the shards beside it or in it at this moment, as sentences."""
    return [str(user) for user in find_users(layout.root) if user.prepared == item.prepared.name]


def remove(unused: list[Unused], layout: Layout) -> list[Unused]:
    """Delete what nobody uses; whoever would begin to use it meanwhile waits. Returns what was deleted."""
    with kept_from_use(layout.root):
        free = [item for item in unused if not users_of(item, layout)]
        remove_files([path for item in free for path in item.paths])
    return free
