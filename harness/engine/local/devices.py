"""What torch computes on: the devices of this machine, their names, their free memory and what they lack.

NVIDIA's and AMD's GPUs are `cuda` to torch, Intel's `xpu`, Apple's `mps`. The last two have not been tried by
us: what they need here is written from torch's documentation (2.13), and tested with fakes.
"""

import re

import psutil
import torch

from harness.errors import UsageError

KINDS = ("cuda", "xpu", "mps")
"""The kinds of accelerators, the one that is taken first at the front."""
WITHOUT_FLOAT64 = ("xpu", "mps")
"""Devices that have no float64, or only some of which have it."""


def place_of(device: str | None) -> torch.device:
    """The device of this name; None: an accelerator where there is one. Raises UsageError for none such."""
    counts = {kind: count for kind in KINDS if (count := _count(kind))}
    if device is None:
        return torch.device(next(iter(counts), "cpu"))
    if not re.fullmatch(rf"cpu|({'|'.join(KINDS)})(:\d+)?", device):
        raise UsageError(f"device {device!r} is not one of cpu, cuda, cuda:N, xpu, xpu:N, mps")
    place = torch.device(device)
    if place.type != "cpu" and (place.index or 0) >= counts.get(place.type, 0):
        found = [f"{kind}:{number}" for kind, count in counts.items() for number in range(count)]
        raise UsageError(
            f"device {device!r}: torch {torch.__version__} finds {', '.join(found) or 'no GPU'} on this "
            "machine; choose another device, or repair the driver or the installation of torch"
        )
    return place


def name_of(place: torch.device) -> str:
    """The name that a run records: a GPU's own where torch tells it."""
    if place.type in ("cuda", "xpu"):
        return str(getattr(torch, place.type).get_device_name(place))
    return place.type


def free_bytes(place: torch.device) -> int:
    """Free memory, in bytes."""
    if place.type in ("cuda", "xpu"):
        return int(getattr(torch, place.type).mem_get_info(place)[0])
    if place.type == "mps":  # which shares the machine's memory, and takes at most so much of it
        own = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return int(min(own, psutil.virtual_memory().available))
    return int(psutil.virtual_memory().available)


def give_back(place: torch.device) -> None:
    """Free memory that torch keeps for later."""
    if place.type in KINDS:
        getattr(torch, place.type).empty_cache()


def widest(place: torch.device) -> torch.dtype:
    """The number format of most digits."""
    return torch.float32 if place.type in WITHOUT_FLOAT64 else torch.float64


def _count(kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    backend = getattr(torch, kind)
    return int(backend.device_count()) if backend.is_available() else 0
