"""Devices that this machine does not have, as torch would tell of them: chosen, named and measured."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from harness.engine.local.devices import KINDS, free_bytes, give_back, name_of, place_of, widest
from harness.errors import UsageError

FREE = 3 << 30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many devices of each kind there are, which a test changes; and which caches were emptied."""
    counts: dict[str, int] = {}

    def fake(kind: str) -> SimpleNamespace:
        return SimpleNamespace(
            is_available=lambda: counts.get(kind, 0) > 0,
            device_count=lambda: counts.get(kind, 0),
            get_device_name=lambda place: f"{kind} of {place}",
            mem_get_info=lambda place: (FREE, 2 * FREE),
            recommended_max_memory=lambda: 2 * FREE,
            driver_allocated_memory=lambda: FREE,
            empty_cache=lambda: counts.update({f"{kind} emptied": 1}),
        )

    for kind in KINDS:
        monkeypatch.setattr(torch, kind, fake(kind))
    monkeypatch.setattr(torch.backends, "mps", fake("mps"))
    return counts


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({}, "cpu"),
        ({"mps": 1}, "mps"),
        ({"xpu": 2}, "xpu"),
        ({"xpu": 1, "mps": 1}, "xpu"),
        ({"cuda": 1, "xpu": 1, "mps": 1}, "cuda"),
    ],
)
def test_an_accelerator_is_chosen_where_there_is_one(
    machine: dict[str, int], there: dict[str, int], chosen: str
) -> None:
    """NVIDIA's before the others, the processor where there is none."""
    machine.update(there)
    assert torch.device(chosen) == place_of(None)


def test_a_device_is_taken_by_its_name(machine: dict[str, int]) -> None:
    """One that is not there is named with those that are."""
    machine.update({"xpu": 2})
    assert torch.device("xpu:1") == place_of("xpu:1")
    with pytest.raises(UsageError, match=r"device 'xpu:2': torch .* finds xpu:0, xpu:1 on this machine"):
        place_of("xpu:2")
    with pytest.raises(UsageError, match=r"device 'mps': torch .* finds xpu:0, xpu:1 on this machine"):
        place_of("mps")


@pytest.mark.parametrize("kind", KINDS)
def test_memory_and_names_are_those_of_torch(
    machine: dict[str, int], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Apple's is a part of the machine's, and never more than is free of that."""
    place = torch.device(kind)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE + 1))
    assert free_bytes(place) == FREE
    assert name_of(place) == ("mps" if kind == "mps" else f"{kind} of {kind}")
    give_back(place)
    assert machine[f"{kind} emptied"]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE // 2))
    assert (FREE // 2 if kind == "mps" else FREE) == free_bytes(place)


def test_the_widest_numbers(machine: dict[str, int]) -> None:
    """torch refuses float64 on Apple's devices, and some of Intel's have none."""
    assert {torch.float64} == {widest(torch.device(kind)) for kind in ("cpu", "cuda")}
    assert {torch.float32} == {widest(torch.device(kind)) for kind in ("xpu", "mps")}
