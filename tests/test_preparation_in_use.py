"""Shards that a running study uses are not removed; those of a process that is gone are."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import write_shard
from typer.testing import CliRunner

from flows.cli import app
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import SCHEMA
from tasks.outcomes import Outcome
from tasks.preparation.cleanup import find_unused, remove
from tasks.preparation.in_use import find_users, kept_from_use, using_shards
from tasks.preparation.shards import shard_path
from tasks.storage.files import write_table
from tasks.storage.locations import read_location
from tasks.video.segments import VideoReport

HOLDER = """
import sys
from tasks.config.resolving import resolve_settings
from tasks.preparation.in_use import using_shards
settings = resolve_settings(None, None, {"data_root": sys.argv[1], "name": "theirs", "prepare.segment_stride": 4})
with using_shards(settings, "train"):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def settings_at(root: Path, stride: int = 16) -> StudySettings:
    return resolve_settings(None, None, {"data_root": root, "prepare.segment_stride": stride})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Shards of two settings; the corpus is empty by now."""
    for number, stride in enumerate((16, 4)):
        layout = Layout.of(settings_at(tmp_path, stride))
        write_shard(shard_path(layout.shards, f"{number}" * 64), [], VideoReport(outcome=Outcome.NO_FACE))
    write_table(layout.manifest, SCHEMA.empty_table())
    return tmp_path


def shards_of(root: Path, stride: int) -> int:
    return len(list(Layout.of(settings_at(root, stride)).shards.rglob("*.parquet")))


@contextmanager
def holder(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains on the shards of stride 4."""
    command = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def clean(root: Path) -> str:
    command = ["clean", "--yes", "--data-root", str(root), "--set", "prepare.segment_stride=16"]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_what_another_process_uses_stays_until_that_is_killed(root: Path) -> None:
    with holder(root) as process:
        output = clean(root)
        assert "kept, because train of 'theirs' uses it (process " in output
        assert str(process.pid) in output
        assert (shards_of(root, 16), shards_of(root, 4)) == (0, 1), "what nobody uses goes"
        process.kill()
        process.wait()
    assert "stays" not in clean(root)
    assert shards_of(root, 4) == 0
    assert not list((root / "in-use").glob("*.json"))


def test_videos_that_left_stay_while_a_study_of_these_settings_runs(root: Path) -> None:
    with using_shards(settings_at(root), "evaluate"), using_shards(settings_at(root), "study"):
        output = clean(root)
        assert "videos that are no longer in the corpus: kept, because evaluate of 'corrected' uses it" in output
        assert len(find_users(root)) == 2
    assert (shards_of(root, 16), shards_of(root, 4)) == (1, 0)
    assert find_users(root) == []


def test_who_begins_between_the_question_and_the_answer_keeps_his_shards(root: Path) -> None:
    layout = Layout.of(settings_at(root))
    unused = find_unused(layout)
    with using_shards(settings_at(root, 4), "prepare"):
        assert [item.prepared for item in remove(unused, layout)] == [layout.prepared]
    assert shards_of(root, 4) == 1


def test_who_begins_while_shards_are_removed_waits(root: Path) -> None:
    began = threading.Event()

    def begin() -> None:
        with using_shards(settings_at(root), "train"):
            began.set()

    with kept_from_use(root):
        thread = threading.Thread(target=begin)
        thread.start()
        assert not began.wait(0.3)
    assert began.wait(30)
    thread.join()


def test_an_error_ends_the_use_too(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), using_shards(settings_at(root), "train"):
        raise ZeroDivisionError
    assert [path.name for path in (root / "in-use").iterdir()] == ["gate.lock"]


def test_a_user_that_ends_while_the_notes_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def end(note: Path, encoding: str) -> str:
        note.unlink()
        return read(note, encoding=encoding)

    with using_shards(settings_at(root), "train"):
        monkeypatch.setattr(Path, "read_text", end)
        assert find_users(root) == []


def test_users_of_an_object_store_are_known_on_this_machine() -> None:
    settings = settings_at(read_location("memory://bucket/in-use-test"))
    with using_shards(settings, "train"):
        assert [user.step for user in find_users(settings.data_root)] == ["train"]
    assert find_users(settings.data_root) == []
