"""Log-likelihoods in the way that a model allows: over a tree of shared tokens, or in padded batches."""

import logging
from collections.abc import Iterator, Sequence

from harness.engine.local.network import Network
from harness.engine.local.padded_scoring import PaddedBudget, score_padded
from harness.engine.local.tokens import ScoringRequest
from harness.engine.local.tree_scoring import PassBudget, score_tree
from harness.engine.local.trial_results import PrefixSharingTrials
from harness.records.answers import LogLikelihood
from harness.records.models import Json

CPU_PASS = 256
CUDA_PASS = 4_096
"""The most tokens in one pass over a tree: enough for the device. More would mostly mask each other."""

CPU_PADDED = 4_096
CUDA_PADDED = 65_536
"""The most positions in one padded batch."""

SHARED = "shared prefixes"
PADDED = "padded batches"

logger = logging.getLogger(__name__)


class LogLikelihoodScorer:
    """Scores requests of one model within `memory` bytes. Batches that ran out of it stay smaller."""

    def __init__(self, network: Network, memory: int) -> None:
        cpu = network.device.type == "cpu"
        positions = memory // network.logits_bytes()
        tokens = max(1, min(CPU_PASS if cpu else CUDA_PASS, memory // network.pass_bytes()))
        self._network = network
        self._passes = PassBudget(tokens=tokens, scored=max(1, min(tokens, positions)))
        self._padded = PaddedBudget(positions=max(1, min(CPU_PADDED if cpu else CUDA_PADDED, positions)))
        self._trials = PrefixSharingTrials(network)
        self._ways: set[str] = set()
        """The ways in which requests were scored so far."""

    @property
    def description(self) -> dict[str, Json]:
        """The sizes of a pass, and the way in which requests were scored, once some were."""
        sizes: dict[str, Json] = {"pass_tokens": self._passes.tokens, "pass_scored": self._passes.scored}
        return sizes | ({"scoring": " and ".join(sorted(self._ways, reverse=True))} if self._ways else {})

    def log_likelihoods(
        self, requests: Sequence[ScoringRequest], window: int
    ) -> Iterator[tuple[int, LogLikelihood]]:
        """Every request's log-likelihood, with its index, for a model with a window of `window` tokens."""
        if not requests:
            return iter(())
        depth = max(request.cost for request in requests)
        fault = self._trials.fault(depth, window, self._passes)
        if fault is None:
            self._ways.add(SHARED)
            return score_tree(self._network, requests, self._passes)
        self._say_once(fault)
        self._ways.add(PADDED)
        return score_padded(self._network, requests, self._padded)

    def _say_once(self, fault: str) -> None:
        """Warn why scoring takes longer."""
        if PADDED not in self._ways:
            logger.warning(
                "%s: requests share no prefixes, and are scored in padded batches: %s; the numbers are "
                "right, and come more slowly",
                self._network.name,
                fault,
            )
