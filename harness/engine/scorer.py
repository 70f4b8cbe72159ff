"""Log-likelihoods by the way that a model allows: over a tree of shared tokens, or in padded batches.

It does not know how either is done, nor texts.
"""

import logging
from collections.abc import Iterator, Sequence

from harness.engine.network import Network
from harness.engine.padded import PaddedBudget, score_padded
from harness.engine.scoring import PassBudget, score_tree, takes_trees
from harness.engine.tokens import ScoringRequest
from harness.records import Json, Likelihood

CPU_PASS = 256
CUDA_PASS = 4_096
"""Tokens in one pass over a tree, at most: enough for the device. More would mostly mask each other."""

CPU_PADDED = 4_096
CUDA_PADDED = 65_536
"""Positions in one padded batch, at most."""

SHALLOWEST = 32
"""Tokens that trees are tried out with at least."""

logger = logging.getLogger(__name__)


class Scorer:
    """Scores requests of one model, within so many bytes of memory. What ran out of it once is remembered."""

    def __init__(self, network: Network, memory: int) -> None:
        cpu = network.device.type == "cpu"
        positions = memory // network.logits_bytes()
        tokens = max(1, min(CPU_PASS if cpu else CUDA_PASS, memory // network.pass_bytes()))
        self._network = network
        self._passes = PassBudget(tokens=tokens, scored=max(1, min(tokens, positions)))
        self._padded = PaddedBudget(positions=max(1, min(CPU_PADDED if cpu else CUDA_PADDED, positions)))
        self._deepest = 0
        """Up to how many tokens deep a tree is known to give right numbers."""
        self._takes_none = False

    @property
    def description(self) -> dict[str, Json]:
        """The sizes of a pass."""
        return {"pass_tokens": self._passes.tokens, "pass_scored": self._passes.scored}

    def likelihoods(
        self, requests: Sequence[ScoringRequest], window: int
    ) -> Iterator[tuple[int, Likelihood]]:
        """Every request's likelihood, by its index, for a model that reads `window` tokens at most."""
        if self._takes_trees(max((request.cost for request in requests), default=0), window):
            return score_tree(self._network, requests, self._passes)
        return score_padded(self._network, requests, self._padded)

    def _takes_trees(self, depth: int, window: int) -> bool:
        """Whether requests this deep can share prefixes. Says once why it takes longer where they cannot."""
        if self._takes_none or depth <= self._deepest:
            return not self._takes_none
        deeper = min(window, max(SHALLOWEST, depth + depth // 4))  # not again for every longer request
        if takes_trees(self._network, deeper, self._passes):
            self._deepest = deeper
            return True
        self._takes_none = True
        logger.warning(
            "%s: it takes no tree-shaped attention mask, so shared prefixes are computed again for every "
            "request; the numbers are the same, and come more slowly",
            self._network.name,
        )
        return False
