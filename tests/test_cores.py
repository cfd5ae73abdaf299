"""Threads follow the cores that a process may use."""

import os
from pathlib import Path

import pytest

from flows.environment import prepare_environment
from tasks import cores
from tasks.config.resolving import resolve_settings
from tasks.config.settings import ExecutionSettings
from tasks.diagnosis import hardware
from tasks.inference.batch.whole import children_for
from tasks.steps.runners import open_runner


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says what a container is limited to, on a machine of eight cores."""
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "_QUOTA_V1", (tmp_path / "quota", tmp_path / "period"))
    monkeypatch.setattr(cores, "bound_cores", lambda: 8)
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("text", "usable", "threads"),
    [("max 100000", 8, "8"), ("250000 100000", 2.5, "2"), ("50000 100000", 0.5, "1"), ("", 8, "8")],
)
def test_a_container_has_as_many_threads_as_whole_cores(limit: Path, text: str, usable: float, threads: str) -> None:
    if text:
        limit.write_text(text)
    assert cores.usable_cores() == usable
    assert set(cores.thread_environment().values()) == {threads}
    assert children_for(9) == int(threads), "so many videos are asked about at once"
    with open_runner(ExecutionSettings()) as runner:
        assert runner.workers == int(threads), "and prepared"


def test_the_first_version_of_control_groups_is_understood(limit: Path) -> None:
    limit.with_name("quota").write_text("150000\n")
    limit.with_name("period").write_text("100000\n")
    assert cores.usable_cores() == 1.5
    limit.with_name("quota").write_text("-1\n")
    assert cores.quota_cores() is None


def test_what_the_user_set_stays_and_doctor_says_so(limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit.write_text("200000 100000")
    for name in cores.thread_environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    prepare_environment()
    assert (os.environ["OMP_NUM_THREADS"], os.environ["TF_NUM_INTRAOP_THREADS"]) == ("5", "2")
    (found,) = hardware.check_cores(resolve_settings("sample", overrides={"execution.workers": 1}))
    assert "; threads of a model: 2 (you set OMP_NUM_THREADS=5)" in found.found
