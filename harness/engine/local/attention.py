"""Attention masks of a token tree, in the form that transformers' layers take.

A layer with full attention gets the tree's mask; one with a sliding window gets it cut to the window, whose
distances are those within a request and not those within the pass. Models that mix both take a mask for each
kind of layer, as transformers (5.17) prepares them itself. What a window hides is computed and masked: the
result is right, and not faster. Whether a model respects its masks, `trial` tests.
"""

from dataclasses import dataclass
from typing import cast

import torch

from harness.engine.local.network import Mask, Network

SLIDING = "sliding_attention"
"""transformers' name, in `layer_types`, of layers with a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Which layers of a model see how far back."""

    kinds: frozenset[str]
    """Kinds of layers, by transformers' names; empty where the configuration does not distinguish them."""
    size: int | None
    """Tokens that a layer with a window sees: a token itself and those before it."""

    @property
    def mixed(self) -> bool:
        return SLIDING in self.kinds and len(self.kinds) > 1


def windows(network: Network) -> Windows:
    """The windows of a model, by its configuration."""
    text = network.config.get_text_config()
    kinds = frozenset(getattr(text, "layer_types", None) or ())
    size = cast("int | None", getattr(text, "sliding_window", None))
    return Windows(kinds=kinds, size=size if not kinds or SLIDING in kinds else None)


def tree_mask(
    windows: Windows,
    depth: torch.Tensor,
    end: torch.Tensor,
    *,
    first: int,
    nodes: torch.Tensor,
    dtype: torch.dtype,
) -> Mask:
    """The mask of a pass over the last tokens of `nodes`, from node `first` on, all others being cached.

    `nodes` `(nodes,)` are ascending places in a tree's preorder, with their `depth` `(nodes,)` and the `end`
    `(nodes,)` of their subtrees. Returns an additive mask `(1, 1, new, nodes)` in `dtype`, or one for each
    kind of layer.
    """
    new = nodes >= first
    rows, at = nodes[new][:, None], depth[new][:, None]
    ancestors = (nodes <= rows) & (rows < end)
    if windows.size is None:
        return _additive(ancestors, dtype)
    near = ancestors & (at - depth < windows.size)
    if not windows.mixed:
        return _additive(near, dtype)
    return {kind: _additive(near if kind == SLIDING else ancestors, dtype) for kind in windows.kinds}


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]
