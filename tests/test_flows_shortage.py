"""A full disk and too little memory are one sentence each, whatever library tells of them."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fer_models.errors import UserError
from flows.shortage import shortages_named

FER = [sys.executable, "-c", "from flows.cli import main; main()"]


def chained(error: Exception) -> Exception:
    """As a library raises it, over its own reason."""
    outer = RuntimeError("(Background on this error at: https://sqlalche.me/e/20/e3q8)")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/model.keras"), "disk of /data/model.keras is full"),
        (OSError("Unable to create file (errno = 28, error message = 'No space left on device')"), "is full; make"),
        (RuntimeError("database or disk is full"), "is full; make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "is full; make room"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("can't start new thread"), "not enough memory"),
        (SystemError("error return without exception set"), "not enough memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
    ],
)
def test_shortages_are_sentences(error: Exception, words: str, tmp_path: Path) -> None:
    for raised in (error, chained(error)):
        with pytest.raises(UserError, match=words) as told, shortages_named(tmp_path):
            raise raised
        assert str(told.value).count("\n") == 0


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.EACCES, "Permission denied"), KeyError("x")])
def test_other_errors_stay_what_they_are(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as told, shortages_named(tmp_path):
        raise error
    assert told.value is error


def test_the_users_own_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^mine$"), shortages_named(tmp_path):
        raise UserError("mine") from MemoryError()


@pytest.mark.parametrize("words", [["models"], ["predict", "m.keras", "v.mp4"], ["prepare", "--preset", "sample"]])
def test_too_few_addresses_are_told_before_anything_dies_of_them(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*FER, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "ulimit -v allows this process 2.0 GB" in done.stderr
