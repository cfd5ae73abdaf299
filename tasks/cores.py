"""Cores that this process may use: those that it is bound to, or what the container that it is in leaves of them."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
#: What sets the threads of TensorFlow (in an operation, and operations at once), JAX, linear algebra and OpenCV.
_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "NPROC",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def bound_cores() -> int:
    """Cores that this process is bound to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota_cores() -> float | None:
    """Cores that the container is limited to; None without such a limit."""
    try:
        quota, period = _QUOTA.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        try:
            quota, period = (path.read_text(encoding="utf-8").strip() for path in _QUOTA_V1)
        except OSError:
            return None
    return int(quota) / int(period) if quota.isdigit() else None


def usable_cores() -> float:
    """Cores that this process may keep busy, a part of one included."""
    return min(bound_cores(), quota_cores() or bound_cores())


def whole_cores() -> int:
    """As many workers or threads as this process can keep busy at once, at least one."""
    return max(1, int(usable_cores()))


def thread_environment() -> dict[str, str]:
    """Environment variables with which libraries use as many threads as there are whole cores for this process.

    Left to themselves they see the machine, not the container's limit, and more threads than cores wait for each other.
    """
    return dict.fromkeys(_VARIABLES, str(whole_cores()))
