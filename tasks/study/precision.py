"""What this machine is good at."""

import functools
from pathlib import Path

import keras

from fer_models.models.float32 import computes_bfloat16

_CPU_FACTS = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


@functools.cache
def gains_from_bfloat16() -> bool:
    """Whether training in `mixed_bfloat16` is faster here: on accelerators, and on CPUs with instructions for it.

    Other CPUs emulate bfloat16 and lose by it; `make bench-train` measures both.
    """
    if any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices()):
        return True
    if not computes_bfloat16():
        return False
    return _CPU_FACTS.is_file() and bool(_CPU_FLAGS & set(_CPU_FACTS.read_text(encoding="utf-8").split()))
