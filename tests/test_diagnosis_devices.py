"""What `fer doctor` says of GPUs, on machines that are made up: a driver, a program `nvidia-smi`, CUDA for JAX."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.environment import prepare_environment
from tasks.config.presets import PRESETS
from tasks.config.settings import StudySettings
from tasks.diagnosis import hardware, software
from tasks.diagnosis.check_result import CheckResult, State
from tasks.services import gpus

CPU, CUDA = ["cpu:0"], ["cuda:0", "cuda:1"]


class Machine:
    """A machine of so many GPUs; what each backend sees, as a child says it in Keras's place."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, num_gpus: int = 2) -> None:
        self.folder, self._patch = folder, monkeypatch
        for name in ("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("KERAS_HOME", str(folder / "keras"))
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(gpus, "_DRIVER", folder / "nvidiactl")
        monkeypatch.syspath_prepend(str(folder))
        if num_gpus:
            self.write("nvidia-smi", f"#!/bin/sh\nprintf '%s\\n' {' '.join(map(str, range(num_gpus)))}\n")

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def install_cuda(self) -> None:
        self.write("jax_cuda12_plugin.py")

    def sees(self, **devices: list[str]) -> None:
        answers = {name: [name, found, found != CPU] for name, found in devices.items()}
        question = f"import json, os; print(json.dumps({answers!r}[os.environ.get('KERAS_BACKEND', 'tensorflow')]))"
        self._patch.setattr(hardware, "_QUESTION", question)
        self._patch.setattr(hardware, "_BACKENDS", tuple(devices))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def look(**training: object) -> CheckResult:
    settings = PRESETS["sample"]()
    (found,) = hardware.check_backend(
        settings.model_copy(update={"training": settings.training.model_copy(update=training)})
    )
    return found


def test_a_gpu_without_the_extra(machine: Machine) -> None:
    assert (gpus.has_gpu(), gpus.jax_has_cuda(), gpus.gpu_environment()) == (True, False, {})
    machine.sees(tensorflow=CPU)
    found = look()
    assert found.state is State.WARNING
    assert found.found == "tensorflow on cpu:0; mixed_bfloat16 is slower here; there is a GPU that is not used"
    assert found.fix.startswith("pip install 'fer-pipeline[gpu]'")


def test_the_extra_is_enough_where_there_is_a_gpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install_cuda()
    machine.sees(tensorflow=CPU, jax=CUDA)
    found = look()
    assert (found.state, found.fix) == (State.WARNING, "KERAS_BACKEND=jax")
    for name in gpus.gpu_environment():
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    prepare_environment()
    assert os.environ["KERAS_BACKEND"] == "jax"
    assert look() == CheckResult(
        "Keras", State.OK, "jax on cuda:0, cuda:1; mixed_bfloat16 is faster here; tensorflow sees cpu:0"
    )
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    prepare_environment()
    assert os.environ["KERAS_BACKEND"] == "tensorflow", "what the user says counts"


def test_a_driver_that_jax_cannot_work_with(machine: Machine) -> None:
    machine.install_cuda()
    machine.sees(tensorflow=CPU, jax=CPU)
    assert "driver if it is older than 525" in look().fix


def test_compiled_programs_are_kept_and_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install_cuda()
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.folder / "cache"))
    found = gpus.gpu_environment()
    assert found["JAX_COMPILATION_CACHE_DIR"] == str(machine.folder / "cache" / "fer" / "jax")
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    question = "import jax; print(jax.config.jax_compilation_cache_dir, jax.config.jax_compilation_cache_max_size)"
    told = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True).stdout
    assert told.split() == [found["JAX_COMPILATION_CACHE_DIR"], str(2 * 2**30)], "as JAX reads it"


def test_workers_share_gpus_and_their_memory(machine: Machine) -> None:
    seen = gpus.list_gpus()
    assert gpus.gpu_shares(seen, 2) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    three = gpus.gpu_shares(seen, 3)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in three] == ["0", "1", "0"]
    assert {one["XLA_PYTHON_CLIENT_MEM_FRACTION"] for one in three} == {"0.45"}
    assert gpus.gpu_shares([], 2) == [{}, {}]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_gpus_that_are_hidden_are_not_missed(machine: Machine, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    machine.install_cuda()
    machine.sees(tensorflow=CPU)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert gpus.gpu_environment() == {}
    assert look().state is State.OK


def test_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Machine(tmp_path, monkeypatch, num_gpus=0)
    bare.install_cuda()
    assert gpus.gpu_environment() == {}
    bare.write("nvidiactl")
    assert gpus.gpu_environment()["KERAS_BACKEND"] == "jax", "the driver alone, as in some containers"


def test_data_parallel_needs_jax_and_more_than_one_device(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.sees(tensorflow=CUDA)
    found = look(data_parallel=True)
    assert (found.state, found.fix) == (State.ERROR, "KERAS_BACKEND=jax, or --set training.data_parallel=false")
    machine.sees(jax=CUDA)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert look(data_parallel=True).state is State.OK
    machine.sees(jax=["cuda:0"])
    assert "one device, and changes nothing" in look(data_parallel=True).found


def test_tensorflow_with_cuda_may_stand_in_for_the_other_but_not_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: StudySettings = PRESETS["sample"]()

    def install(name: str, *lines: str) -> None:
        home = tmp_path / f"{name.replace('-', '_')}-2.21.0.dist-info"
        home.mkdir()
        (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.21.0\n" + "\n".join(lines))
        (home / "top_level.txt").write_text("tensorflow\n" if name.startswith("tensorflow") else "flows\n")

    install("fer-pipeline", "Requires-Dist: tensorflow-cpu>=2.20,<3")
    install("tensorflow")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [found.state for found in software.check_packages(settings)] == [State.OK]
    assert software.check_doubles(settings) == []
    install("tensorflow-cpu")
    (found,) = software.check_doubles(settings)
    assert found.found == "tensorflow and tensorflow-cpu share one folder"
