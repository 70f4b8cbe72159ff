"""A model that computes in float32 for a while, on the weights that it has in 16 bits.

Every number of 16 bits is one of 32 bits too, so nothing is changed. A layer's weights are widened when it
begins and dropped when it ends: beside the model there is one layer in float32, not a second model.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import torch
from torch import nn

NARROW = (torch.bfloat16, torch.float16)

Tensors = dict[str, torch.Tensor | None]
"""A module's own parameters, or its own buffers."""


@contextmanager
def computing_in_float32(model: nn.Module) -> Iterator[None]:
    """Let a model compute in float32. Afterwards, or where it raises, it has the tensors that it had."""
    with ExitStack() as undone:
        for unit in _units(model, whole=False):
            undone.callback(unit.narrow)
            undone.callback(unit.module.register_forward_pre_hook(unit.widen).remove)
            undone.callback(unit.module.register_forward_hook(unit.narrow, always_call=True).remove)
        yield


class _Unit:
    """What is widened while `module` runs: of a layer all, as its parts may read each other's weights."""

    def __init__(self, module: nn.Module, parts: list[nn.Module]) -> None:
        self.module = module
        self._parts = parts
        self._narrow: list[tuple[Tensors, str, torch.Tensor]] = []

    def widen(self, *_: object) -> None:
        """Put float32 in the place of narrower tensors."""
        for part in self._parts:
            for tensors in (cast(Tensors, part._parameters), part._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None and tensor.dtype in NARROW:
                        self._narrow.append((tensors, name, tensor))
                        tensors[name] = _widened(tensor)

    def narrow(self, *_: object) -> None:
        """Put them back."""
        while self._narrow:
            tensors, name, tensor = self._narrow.pop()
            tensors[name] = tensor


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    wide = tensor.detach().float()
    return nn.Parameter(wide, requires_grad=False) if isinstance(tensor, nn.Parameter) else wide


def _units(module: nn.Module, *, whole: bool) -> Iterator[_Unit]:
    """A module with all that is in it, or its own tensors and then those of its parts; layers are `whole`."""
    is_list = isinstance(module, nn.ModuleList)
    if whole and not is_list:
        yield _Unit(module, list(module.modules()))
        return
    yield _Unit(module, [module])
    for child in module.children():
        yield from _units(child, whole=is_list)
