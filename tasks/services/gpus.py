"""The graphics processors of this machine, found without loading a framework, which would take their memory."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tasks.storage.caches import user_cache

#: What compiled programs may take on the disk.
_MOST_KEPT_BYTES = 2 * 2**30
#: Of a GPU's memory, what the programs that share it may take in all.
_SHARED = 0.9
#: There where NVIDIA's driver is.
_DRIVER = Path("/dev/nvidiactl")
#: What JAX computes with on NVIDIA's GPUs; the extra `gpu` brings one.
_CUDA_FOR_JAX = ("jax_cuda12_plugin", "jax_cuda13_plugin")


def list_gpus() -> list[str]:
    """Numbers of the NVIDIA GPUs as `CUDA_VISIBLE_DEVICES` takes them; none without their driver."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.split()


def gpu_shares(gpus: Sequence[str], num_workers: int) -> list[dict[str, str]]:
    """Environment variables of each of so many workers, with which they share the GPUs of those numbers; maybe none.

    JAX takes three quarters of a GPU's memory as it starts: what several workers share of it is said to each.
    """
    if not gpus:
        return [{}] * num_workers
    of_gpu = -(-num_workers // len(gpus))
    share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_SHARED / of_gpu:.2f}"} if of_gpu > 1 else {}
    return [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)], **share} for number in range(num_workers)]


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU that programs may use."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and (_DRIVER.exists() or bool(list_gpus()))


def jax_has_cuda() -> bool:
    """Whether JAX has its CUDA libraries here; the TensorFlow that this project needs has none."""
    return any(map(find_spec, _CUDA_FOR_JAX))


def gpu_environment() -> dict[str, str]:
    """Environment variables with which Keras uses a GPU that is there, where the extra `gpu` is installed.

    JAX keeps compiled programs for later trainings of the same arm; a package of the extra removes those that were not
    used for the longest time. Those for CPUs are not kept: they may not run on another one with the same home folder.
    """
    if not (jax_has_cuda() and has_gpu()):
        return {}
    found = {"KERAS_BACKEND": "jax"}
    if find_spec("filelock"):
        folder = user_cache("name a folder for compiled programs in XDG_CACHE_HOME") / "jax"
        found |= {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_COMPILATION_CACHE_MAX_SIZE": str(_MOST_KEPT_BYTES)}
    return found
