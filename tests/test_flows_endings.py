"""Every command that cannot do its work ends in one sentence."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import typer

import flows.cli
from fer_models.errors import BrokenFile, FerError, UserError
from flows.cli import main
from flows.environment import prepare_environment


def ending(error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """What `fer` says when a command raises an error."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(flows.cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["fer"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_who_leaves_at_a_question_is_no_bug(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert ending(typer.Abort(), monkeypatch, capfd) == "fer: Stopped; nothing was done."


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("predict --by fram", "--by takes video, segment or frame, not 'fram' (did you mean 'frame'?)."),
        ("predict --faces none", "--faces takes one or all, not 'none' (did you mean 'one'?)."),
        ("predict --format xlsx", "--format takes csv, parquet or jsonl, not 'xlsx'."),
        ("predict --stride 0", "--stride: "),
        ("train --seeds many", "--seeds: "),
        ("serve --port 99999", "--port: "),
        ("serve --minutes inf", "--minutes: "),
        ("serve --keep-minutes nan", "--keep-minutes: "),
        ("sample --seconds inf", "--seconds: "),
        ("predct", "There is no command 'predct' (did you mean 'predict'?); fer --help lists them."),
        ("weights gat", "There is no command 'gat' (did you mean 'get'?); fer weights --help lists them."),
        ("sample --no-fault", "fer sample has no option --no-fault (did you mean '--no-faults'?); fer sample --help"),
        ("study --preset", "--preset needs a value after it"),
        ("split more", "Got unexpected extra argument"),
        ("inspect", "Missing argument 'VIDEO_ID'; fer inspect --help"),
    ],
)
def test_words_that_make_no_command_are_one_sentence(
    command: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fer", *command.split()])
    with pytest.raises(SystemExit) as end:
        main()
    said = capfd.readouterr()
    assert (end.value.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert line.startswith(f"fer: {sentence}")
    assert "Value error" not in line
    assert "Input should" not in line


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
    assert said.endswith("Please report it to whom you got fer from, with the command that you ran.")
    assert "Traceback" in log.read_text()


def test_where_to_report_is_an_address_where_the_package_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a fork may, in its `pyproject.toml`."""
    installed = tmp_path / "fer_pipeline-9.dist-info"
    installed.mkdir()
    urls = "Project-URL: Homepage, https://lab.example\nProject-URL: Issues, https://lab.example/issues\n"
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fer-pipeline\nVersion: 9\n{urls}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert "Please report it at https://lab.example/issues, with" in ending(KeyError("x"), monkeypatch, capfd)


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


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ("mkdir gone && cd gone && rmdir ../gone && {}", 1, "fer: The folder that this command was started in is gone"),
        ("{} >&-", 0, ""),
        ("{} --set =3 2>&1", 1, "fer: --set takes a setting and its value such as training.epochs=20, not '=3'."),
    ],
)
def test_odd_places_to_start_in(shell: str, code: int, said: str, tmp_path: Path) -> None:
    fer = f"{sys.executable} -c 'from flows.cli import main; main()' config --preset sample"
    done = subprocess.run(
        ["bash", "-c", shell.format(fer)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("shell-init")]
    assert done.returncode == code
    assert [line.startswith(said) for line in lines] == ([True] if said else [])


def test_a_backend_of_matplotlib_that_is_none_is_not_minded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "foo")
    prepare_environment()
    assert os.environ["MPLBACKEND"] == "agg"
