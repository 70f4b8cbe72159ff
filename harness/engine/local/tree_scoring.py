"""Log-likelihoods over a tree of tokens: what requests share is computed once, for any suite.

The tree (`token_tree`) is walked in passes of a bounded number of new tokens. Between two passes the
key-value cache holds the path to the next token and nothing else. The vocabulary projection is taken at
scored positions only, since with a large vocabulary it is most of the memory.

Not every model can do this: `trial` tests it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from harness.engine.local.attention import tree_mask, windows
from harness.engine.local.network import Network, is_out_of_memory
from harness.engine.local.token_tree import Integers, TokenTree, grow
from harness.engine.local.tokens import ScoringRequest
from harness.records.answers import LogLikelihood

NORMALISED_BYTES = 1 << 22
"""Bytes of float32 logits that are normalised at once: what a CPU's cache holds."""


@dataclass(slots=True)
class PassBudget:
    """The most that goes into one pass."""

    tokens: int
    scored: int
    """Positions at which the vocabulary projection is taken."""

    def halve(self) -> bool:
        """Halve it; False where it is as small as it can be."""
        if self.tokens == 1:
            return False
        self.tokens, self.scored = self.tokens // 2, max(1, self.scored // 2)
        return True


def score_tree(
    network: Network, requests: Sequence[ScoringRequest], budget: PassBudget
) -> Iterator[tuple[int, LogLikelihood]]:
    """The log-likelihood of every request's continuation, each as soon as the walk has passed its last token.

    Out of memory halves `budget`, and the walk continues where it was. Raises EngineError for NaN or infinite
    logits, and where a single token does not fit.
    """
    tree = grow(requests)
    walk = _Walk(network, tree)
    logprobs, hits = np.empty(len(tree.targets)), np.empty(len(tree.targets), bool)
    done = 0
    while walk.place < tree.size:
        try:
            found = walk.step(budget)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            found = None
        if found is None:  # the error is gone from here on, and with it the tensors it held
            if not budget.halve():
                raise network.out_of_memory()
            network.release()
            continue
        logprobs[found.targets], hits[found.targets] = found.logprobs, found.hits
        whole = int(np.searchsorted(tree.last, walk.place))
        for at in range(done, whole):
            request, own = requests[tree.order[at]], slice(tree.offsets[at], tree.offsets[at + 1])
            yield request.index, request.log_likelihood(logprobs[own].tolist(), hits[own].tolist())
        done = whole


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The results of one pass for some targets."""

    targets: Integers
    logprobs: Sequence[float]
    hits: Sequence[bool]


class _Walk:
    """A walk of a tree through a model: the next node, and what is cached."""

    def __init__(self, network: Network, tree: TokenTree) -> None:
        self.place = 0
        """The node that comes next."""
        self._network = network
        self._tree = tree
        self._windows = windows(network)
        self._path: Integers = np.empty(0, np.int64)
        # Without the configuration, all layers keep everything: a window's layer would forget shared tokens.
        self._cache = DynamicCache()

    def step(self, budget: PassBudget) -> _Found:
        """One pass. Where it raises, nothing has changed."""
        stop = self._tree.cut(self.place, budget.tokens, budget.scored)
        nodes = np.concatenate([self._path, np.arange(self.place, stop)])
        kept = self._tree.open_at(nodes, stop)
        with self._network.computing():
            try:
                found = self._pass(nodes, stop)
                self._keep(kept)
            except BaseException:  # an interrupt too: the walk may be continued, and the cache must fit it
                self._forget_after(len(self._path))
                raise
        self._path, self.place = nodes[kept], stop
        return found

    def _pass(self, nodes: Integers, stop: int) -> _Found:
        tree, device = self._tree, self._network.device
        depth = torch.from_numpy(tree.depth[nodes]).to(device)
        scored = tree.scored_within(self.place, stop)
        mask = tree_mask(
            self._windows,
            depth,
            torch.from_numpy(tree.end[nodes]).to(device),
            first=self.place,
            nodes=torch.from_numpy(nodes).to(device),
            dtype=self._network.dtype,
        )
        logits, _ = self._network.forward(
            torch.from_numpy(tree.tokens[None, self.place : stop]).to(device),
            mask,
            keep=torch.from_numpy(scored - self.place).to(device),
            positions=depth[None, len(self._path) :],
            cache=self._cache,
            use_cache=True,
        )
        targets = tree.targets_within(self.place, stop)
        rows = torch.from_numpy(np.searchsorted(scored, tree.nodes[targets])).to(device)
        wanted = torch.from_numpy(tree.targets[targets]).to(device)
        logprobs, hits = _looked_up(logits[0], rows, wanted)
        if not bool(logprobs.isfinite().all()):
            raise self._network.not_finite()
        return _Found(targets=targets, logprobs=logprobs.tolist(), hits=hits.tolist())

    def _keep(self, places: Integers) -> None:
        """Keep only these places in the cache. Where memory runs out, it is unchanged."""
        chosen = torch.from_numpy(places).to(self._network.device)
        layers = self._layers()
        smaller = [(keys[..., chosen, :], values[..., chosen, :]) for _, keys, values in layers]
        for (layer, _, _), (keys, values) in zip(layers, smaller, strict=True):
            layer.keys, layer.values = keys, values

    def _forget_after(self, length: int) -> None:
        """Keep only the first `length` tokens in the cache; an interrupted pass leaves layers uneven."""
        if length == 0:  # a first pass may have left a layer without a shape
            self._cache = DynamicCache()
        for layer, keys, values in self._layers():
            layer.keys, layer.values = keys[..., :length, :], values[..., :length, :]

    def _layers(self) -> list[tuple[DynamicLayer, torch.Tensor, torch.Tensor]]:
        """Layers with their keys and values; a layer may have none, and use another one's."""
        layers = cast("list[DynamicLayer]", self._cache.layers)
        return [
            (layer, layer.keys, layer.values)
            for layer in layers
            if layer.keys is not None and layer.values is not None
        ]


def _looked_up(
    logits: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of `tokens` at rows of logits `(rows, vocabulary)`; whether each is the likeliest."""
    at_once = max(1, NORMALISED_BYTES // (4 * logits.shape[-1]))
    looked_at = [_normalised(part.float()) for part in torch.split(logits, at_once)]
    normalisers, likeliest = (torch.cat(parts) for parts in zip(*looked_at, strict=True))
    return logits[rows, tokens].float() - normalisers[rows], likeliest[rows] == tokens


def _normalised(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """By row: the log-sum-exp, and the likeliest token."""
    return logits.logsumexp(dim=-1), logits.argmax(dim=-1)
