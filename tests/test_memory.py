"""How much memory is free: as the machine says, and as containers are limited."""

from pathlib import Path

import pytest

from tasks import memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8,000 KiB available, whose control groups are folders here."""
    for name in ("_MEMORY", "_OWN_GROUPS", "_GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    (tmp_path / "_MEMORY").write_text("MemTotal:       16000 kB\nMemAvailable:    8000 kB\nHugePages_Total:       0\n")
    return tmp_path


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_limits_it_is_what_the_machine_has(system: Path) -> None:
    assert memory.free_bytes() == 8_192_000
    (system / "_OWN_GROUPS").write_text("4:memory:/a/b\n0::/\n")
    group(system / "_GROUPS", memory__max="max", memory__current=5)
    group(system / "_GROUPS/memory/a/b", memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=5)
    assert memory.free_bytes() == 8_192_000


def test_a_container_has_what_its_limit_leaves(system: Path) -> None:
    """Files that were read count as used, and can be read again."""
    (system / "_OWN_GROUPS").write_text("0::/\n")
    stat = "anon 600\ninactive_file 300"
    group(system / "_GROUPS", memory__max=5_000, memory__current=1_000, memory__stat=stat)
    assert memory.free_bytes() == 4_300
    group(system / "_GROUPS", memory__current=9_000)
    assert memory.free_bytes() == 0


def test_the_tightest_limit_counts_of_those_above(system: Path) -> None:
    (system / "_OWN_GROUPS").write_text("0::/user/shell\n")
    group(system / "_GROUPS/user", memory__max=7_000, memory__current=1_000, memory__stat="anon 1")
    group(system / "_GROUPS/user/shell", memory__max=9_000, memory__current=500, memory__stat="anon 1")
    assert memory.free_bytes() == 6_000


def test_limits_of_the_first_version_count_too(system: Path) -> None:
    """In a container its own path is that of the machine, and its files lie at the top."""
    (system / "_OWN_GROUPS").write_text("5:cpu:/x\n4:memory:/docker/1\n0::/\n")
    stat = "total_inactive_file 100"
    files = {"memory__limit_in_bytes": 4_000, "memory__usage_in_bytes": 1_100, "memory__stat": stat}
    group(system / "_GROUPS/memory", **files)
    assert memory.free_bytes() == 3_000


def test_a_system_that_does_not_tell(system: Path) -> None:
    (system / "_MEMORY").unlink()
    assert memory.free_bytes() is None
