"""Every command that cannot do its work ends in one sentence."""

import errno
import os
import sys
import tempfile
from pathlib import Path

import pytest

import flows.cli
from fer_models.errors import BrokenFile, FerError, UserError
from flows.cli import main


def ending(error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """What `fer` says when a command raises an error."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(flows.cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["fer"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (line,) = capfd.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "Permission denied; let this user read and write there"),
        (errno.EROFS, "Read-only file system; let this user read and write there"),
        (errno.EIO, "Input/output error; check the disk or the share"),
        (errno.EISDIR, "Is a directory; move away what stands in its place"),
        (errno.ELOOP, "Too many levels of symbolic links; move away what stands in its place"),
        (errno.ENAMETOOLONG, "File name too long; choose a shorter name"),
        (errno.EMFILE, "Too many open files; allow more open files"),
        (errno.EPIPE, "Broken pipe."),
    ],
)
def test_a_fault_of_the_system_names_the_file_and_the_remedy(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ending(OSError(number, os.strerror(number), "some/file"), monkeypatch, capfd)
    assert said.startswith(f"fer: some/file: {words}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("Do it otherwise."), "fer: Do it otherwise."),
        (FerError("It diverged."), "fer: It diverged."),
        (BrokenFile("a.parquet", "holds no row", "Run it again."), "fer: a.parquet holds no row. Run it again."),
        (MemoryError(), "fer: There is not enough memory"),
    ],
)
def test_what_was_foreseen_is_said_as_it_is(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ending(error, monkeypatch, capfd).startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("emotion"),
        ValueError("two\nlines"),
        RecursionError(),
        ExceptionGroup("several", [OSError(), KeyError()]),
    ],
)
def test_a_bug_is_one_sentence_with_its_log(
    error: Exception, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        said = ending(error, patch, capfd)
    (log,) = tmp_path.iterdir()
    assert said.startswith(f"fer: This is a bug ({type(error).__name__}")
    assert f"the stack trace is in {log}" in said
    assert "report it" in said
    assert "Traceback" in log.read_text()


def test_a_bug_where_no_log_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        assert "the stack trace comes with --debug" in ending(KeyError("x"), patch, capfd)


def test_an_error_of_a_file_comes_back_from_another_process() -> None:
    import pickle

    error = BrokenFile(Path("a.json"), "holds no row", "Run it again.", "of the library")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.fault) == ("a.json holds no row (of the library). Run it again.", "holds no row")
