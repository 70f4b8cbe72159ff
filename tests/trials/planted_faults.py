"""Faults such as an architecture may have where prefixes are shared, planted into the engine's own way.

Each is a context in which every tree is computed wrongly, and requests alone are computed as ever. Those of
masks can be had in one number format only.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch

from harness.engine.local import tree_scoring
from harness.engine.local.attention import Windows, tree_mask
from harness.engine.local.network import Network
from tests.benchmarks.clock import replaced

Visible = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Given what a tree lets its tokens see (new × all) and how far back each lies: what they see by mistake."""


def _everything(visible: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """The mask is ignored, and with it order."""
    return torch.ones_like(visible)


def _all_before(visible: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Neighbours are seen, as by a model that is causal by place."""
    return visible | (back >= 0)


def _one_neighbour(visible: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """What stands one place before is seen, whoever's it is."""
    return visible | (back == 1)


def _window(size: int, visible: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """A window that counts by place in the pass."""
    return visible & (back < size)


def _without_first(tokens: int, visible: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """The first tokens are forgotten, as by a window that is not the model's."""
    kept = torch.ones_like(visible)
    kept[:, :tokens] = False
    return visible & kept


@contextmanager
def _seeing(change: Visible, only: torch.dtype | None = None) -> Iterator[None]:
    def changed(
        windows: Windows,
        depth: torch.Tensor,
        end: torch.Tensor,
        *,
        first: int,
        nodes: torch.Tensor,
        **given: Any,
    ) -> torch.Tensor:
        mask = tree_mask(windows, depth, end, first=first, nodes=nodes, **given)
        assert isinstance(mask, torch.Tensor)
        if only not in (None, mask.dtype):
            return mask
        places = torch.arange(len(nodes))
        back = places[nodes >= first][:, None] - places
        seen = change(mask[0, 0] == 0, back)
        return torch.zeros_like(mask).masked_fill_(~seen, torch.finfo(mask.dtype).min)

    with replaced([(tree_scoring, "tree_mask", changed)]):
        yield


@contextmanager
def _positions(change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    forward: Callable[..., Any] = Network.forward

    def changed(self: Network, *given: Any, positions: torch.Tensor | None = None, **others: Any) -> Any:
        moved = None if positions is None else change(positions)
        return forward(self, *given, positions=moved, **others)

    with replaced([(Network, "forward", changed)]):
        yield


def _off_by_one(positions: torch.Tensor) -> torch.Tensor:
    """Every pass but the first counts from one too many, as where a cache's length is taken for it."""
    return positions + (positions[:, :1] > 0)


def _by_place(positions: torch.Tensor) -> torch.Tensor:
    """Within a pass, positions are counted by place."""
    return positions[:, :1] + torch.arange(positions.shape[1])


FAULTS: Mapping[str, Callable[..., AbstractContextManager[None]]] = {
    "mask ignored": partial(_seeing, _everything),
    "neighbours seen": partial(_seeing, _all_before),
    "one neighbour seen": partial(_seeing, _one_neighbour),
    "a window by place": partial(_seeing, partial(_window, 16)),
    "the first token forgotten": partial(_seeing, partial(_without_first, 1)),
    "positions by place": partial(_positions, _by_place),
    "positions off by one": partial(_positions, _off_by_one),
}
