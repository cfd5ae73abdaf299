"""Cores, memory, and what Keras computes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tasks.config.settings import StudySettings
from tasks.cores import bound_cores, quota_cores, thread_environment, usable_cores, whole_cores
from tasks.diagnosis.check_result import CheckResult, State
from tasks.memory import free_bytes
from tasks.services.foreign_settings import keras_fault
from tasks.services.gpus import has_gpu, jax_has_cuda

#: TensorFlow, the project and a batch of the widest model take about 2 GB (`make bench-train`).
_LEAST_MEMORY_GB = 2.0
#: That a study may be trained with.
_BACKENDS = ("tensorflow", "jax")
_KERAS_TIMEOUT_S = 120.0
_QUESTION = """
import json, keras
from tasks.study.precision import gains_from_bfloat16
devices = keras.distribution.list_devices()
print(json.dumps([keras.backend.backend(), devices, gains_from_bfloat16()]))
"""


def check_cores(settings: StudySettings) -> list[CheckResult]:
    """Cores that this process may use, against the workers that the settings ask for."""
    cores, quota, usable = bound_cores(), quota_cores(), usable_cores()
    found = f"{cores}" + (f", {quota:g} by the container's limit" if quota and quota < cores else "")
    threads = {name: os.environ.get(name, value) for name, value in thread_environment().items()}
    found += f"; threads of a model: {threads['TF_NUM_INTRAOP_THREADS']}"
    others = [f"{name}={value}" for name, value in threads.items() if value != thread_environment()[name]]
    found += f" (you set {', '.join(others)})" if others else ""
    workers = settings.execution.workers or whole_cores()
    if workers > usable + 0.5:
        fix = f"--set execution.workers={whole_cores()}"
        return [CheckResult("cores", State.WARNING, f"{found}, for {workers} workers", fix)]
    return [CheckResult("cores", State.OK, found)]


def check_memory(_: StudySettings) -> list[CheckResult]:
    """Memory that is free, or what a container leaves of it."""
    free = free_bytes()
    if free is None:
        return [CheckResult("memory", State.NOTE, "how much is free is not known on this system")]
    free_gb = free / 1e9
    found = f"{free_gb:.1f} GB free"
    if free_gb < _LEAST_MEMORY_GB:
        fix = "end other programs, or use a smaller training.batch_size"
        return [CheckResult("memory", State.WARNING, f"{found}; training takes about {_LEAST_MEMORY_GB:g} GB", fix)]
    return [CheckResult("memory", State.OK, found)]


def check_backend(settings: StudySettings) -> list[CheckResult]:
    """Keras's backend, the devices that it and other backends see, and the precision that pays here.

    Children look, because a CPU or driver that does not fit kills the process.
    """
    if fault := keras_fault():
        return [CheckResult("Keras", State.ERROR, *fault.removesuffix(".").split("; ", 1))]
    try:
        backend, devices, faster = _ask_keras()
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        fix = "unset KERAS_BACKEND, or install what it names"
        return [CheckResult("Keras", State.ERROR, str(error), fix)]
    others = {name: _devices_of(name) for name in _BACKENDS if name != backend and find_spec(name)}
    found = f"{backend} on {', '.join(devices)}; mixed_bfloat16 is {'faster' if faster else 'slower'} here"
    found += "".join(f"; {name} sees {', '.join(seen) or 'nothing'}" for name, seen in others.items())
    if not _has_accelerator(devices) and has_gpu():
        name = next((name for name, seen in others.items() if _has_accelerator(seen)), None)
        return [CheckResult("Keras", State.WARNING, f"{found}; there is a GPU that is not used", _use_of_gpu(name))]
    if _is_spread(settings) and backend != "jax":
        fix = "KERAS_BACKEND=jax, or --set training.data_parallel=false"
        return [CheckResult("Keras", State.ERROR, f"{found}; training.data_parallel is for JAX", fix)]
    if _is_spread(settings) and len(devices) < 2:
        found += "; training.data_parallel has one device, and changes nothing"
        return [CheckResult("Keras", State.WARNING, found, "--set training.data_parallel=false")]
    if settings.training.precision == "mixed_bfloat16" and not faster:
        return [CheckResult("Keras", State.WARNING, found, "--set training.precision=auto")]
    return [CheckResult("Keras", State.OK, found)]


def _has_accelerator(devices: Sequence[str]) -> bool:
    return any(not device.lower().startswith("cpu") for device in devices)


def _use_of_gpu(seen_by: str | None) -> str:
    """What to do about a GPU that Keras does not see, and another backend or none does."""
    if seen_by:
        return f"KERAS_BACKEND={seen_by}"
    if jax_has_cuda():
        return "look at `nvidia-smi`, and update NVIDIA's driver if it is older than 525, which CUDA 12 needs"
    return "pip install 'fer-pipeline[gpu]'; commands of fer then use the GPU by themselves"


def _is_spread(settings: StudySettings) -> bool:
    """Whether some training is to be spread over several devices."""
    of_families = (own.get("data_parallel") for own in settings.training_of_family.values())
    return settings.training.data_parallel or any(of_families)


def _devices_of(backend: str) -> list[str]:
    """The devices that another backend sees; none where it does not start."""
    try:
        return _ask_keras(KERAS_BACKEND=backend)[1]
    except (RuntimeError, subprocess.TimeoutExpired):
        return []


def _ask_keras(**environment: str) -> tuple[str, list[str], bool]:
    """Backend, devices and whether bfloat16 pays; raises `RuntimeError` with Python's last words, or how it died."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.run(
        [sys.executable, "-P", "-c", _QUESTION],
        env=os.environ | {"PYTHONPATH": path, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | environment,
        capture_output=True,
        text=True,
        timeout=_KERAS_TIMEOUT_S,
        check=False,
    )
    if child.returncode:
        words = child.stderr.strip().splitlines()
        died = signal.Signals(-child.returncode).name if child.returncode < 0 else ""
        raise RuntimeError(f"Python died of {died}" if died else words[-1] if words else "Python ended without a word")
    backend, devices, faster = json.loads(child.stdout.splitlines()[-1])
    return backend, devices, faster
