"""How deep token trees may be for a kind of model: results of trials, cached.

A result belongs to the configuration, number format, device and versions, and not to weights: two candidates
of one architecture are scored in the same way, in any process. Depths are tried in steps, and a depth's
result does not depend on which others were tried before it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import cast

import torch
import transformers

from harness.engine.cache_file import recall, remember
from harness.engine.identity import ENGINE_VERSION
from harness.engine.local.network import Network
from harness.engine.local.tree_scoring import PassBudget
from harness.engine.local.trial import try_tree

CACHE = "trees"

SHALLOWEST = 32
"""The least depth of a trial, in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The results so far for a kind of model."""

    deepest: int = 0
    """The depth in tokens up to which trees are known to give right numbers."""
    faulty: int | None = None
    """The depth from which on they are known not to."""
    fault: str | None = None


class PrefixSharingTrials:
    """Whether a network's requests may share prefixes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._known: dict[str | None, _Known] = {}

    def fault(self, depth: int, window: int, budget: PassBudget) -> str | None:
        """Why requests of `depth` tokens cannot share prefixes; None where they can."""
        key = self._key(budget)
        known = self._known.get(key) or _recalled(key)
        tried = _step(depth, self._ceiling(depth, window))
        if tried > known.deepest and (known.faulty is None or tried < known.faulty):
            known = self._tried(known, key, tried, budget)
        self._known[key] = known
        return None if tried <= known.deepest else known.fault

    def _ceiling(self, depth: int, window: int) -> float:
        return window if depth > self._network.uniform_length else min(window, self._network.uniform_length)

    def _tried(self, known: _Known, key: str | None, depth: int, budget: PassBudget) -> _Known:
        outcome = try_tree(self._network, depth, budget)
        if outcome.fault is None:
            found = _Known(deepest=depth, faulty=known.faulty, fault=known.fault)
        else:
            found = _Known(deepest=known.deepest, faulty=depth, fault=outcome.fault)
        if outcome.lasting and key is not None:
            remember(CACHE, key, [found.deepest, found.faulty, found.fault])
        return found

    def _key(self, budget: PassBudget) -> str | None:
        """A hash of what a result depends on; None for a model whose code may change."""
        if self._network.structure is None:
            return None
        parts = {
            "engine": ENGINE_VERSION,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "pass": budget.tokens,
            **self._network.structure,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _recalled(key: str | None) -> _Known:
    entry = None if key is None else recall(CACHE, key)
    if entry is None:
        return _Known()
    deepest, faulty, fault = entry
    return _Known(
        deepest=cast(int, deepest), faulty=cast("int | None", faulty), fault=cast("str | None", fault)
    )


def _step(depth: int, ceiling: float) -> int:
    """The depth of the trial for requests this deep, in steps, so that few need a trial of their own."""
    step = SHALLOWEST
    while step < depth:
        step += step // 2 if step & (step - 1) == 0 else step // 3  # 32, 48, 64, 96, 128, …
    return max(depth, int(min(step, ceiling)))
