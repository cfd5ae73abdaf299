"""The graphics processors of this machine, found without loading a framework, which would take their memory."""

import shutil
import subprocess


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
