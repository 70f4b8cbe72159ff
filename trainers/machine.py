"""What of a machine decides how long a training takes: its processor, threads and GPUs."""

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")


@cache
def machine() -> str:
    """This machine, in words; two that are described alike are taken to be equally fast.

    It names no host: manifests are published.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return ", ".join([_processor(), f"{threads} threads", *_gpus()])


def _processor() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """The GPUs that the driver lists and this process may use."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    stated = [line for file in GPUS.glob("*/information") for line in file.read_text().splitlines()]
    return sorted(line.partition(":")[2].strip() for line in stated if line.startswith("Model:"))
