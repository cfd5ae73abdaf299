"""What this machine is good at."""

import functools
import os
from pathlib import Path

import keras

_CPU_FACTS = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
#: Values of ONEDNN_MAX_CPU_ISA with which TensorFlow's convolutions know no bfloat16, and fail.
_WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI"}


@functools.cache
def gains_from_bfloat16() -> bool:
    """Whether training in `mixed_bfloat16` is faster here: on accelerators, and on CPUs with instructions for it.

    Other CPUs emulate bfloat16 and lose by it; `make bench-train` measures both.
    """
    if any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices()):
        return True
    if is_limited():
        return False
    return _CPU_FACTS.is_file() and bool(_CPU_FLAGS & set(_CPU_FACTS.read_text(encoding="utf-8").split()))


def is_limited() -> bool:
    """Whether oneDNN was told to use less of the CPU than bfloat16 needs."""
    return os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT_BFLOAT16
