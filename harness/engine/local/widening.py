"""Computing in float32 for a while, on weights in 16 bits.

Every 16-bit number is exact in float32, so no weight changes. A layer's weights are widened when it begins
and dropped when it ends: beside the model there is one layer in float32, not a second model.
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
    """Within it, a model computes in float32. Afterwards, and on errors, it has its own tensors again."""
    with ExitStack() as undone:
        for unit in _units(model, whole=False):
            undone.callback(unit.narrow)
            undone.callback(unit.module.register_forward_pre_hook(unit.widen).remove)
            undone.callback(unit.module.register_forward_hook(unit.narrow, always_call=True).remove)
        yield


class _Unit:
    """The parts widened while `module` runs: all of a layer, as its parts may read each other's weights."""

    def __init__(self, module: nn.Module, parts: list[nn.Module]) -> None:
        self.module = module
        self._parts = parts
        self._narrow: list[tuple[Tensors, str, torch.Tensor]] = []

    def widen(self, *_: object) -> None:
        """Replace narrower tensors by float32 ones."""
        for part in self._parts:
            for tensors in (cast(Tensors, part._parameters), part._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None and tensor.dtype in NARROW:
                        self._narrow.append((tensors, name, tensor))
                        tensors[name] = _widened(tensor)

    def narrow(self, *_: object) -> None:
        """Restore them."""
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
