"""Log-likelihoods of tokenised requests in batches of padded rows, which any causal model can compute.

`tree_scoring` does it with far fewer tokens, for models whose attention takes its masks. Rows are padded on
the right, where padding cannot reach a causal model's earlier positions. The vocabulary
projection is taken from the first scored position on, and log-probabilities in float32 whatever the model's
own format.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from harness.engine.local.network import Network, is_out_of_memory
from harness.engine.local.tokens import ScoringRequest
from harness.records.answers import LogLikelihood


@dataclass(slots=True)
class PaddedBudget:
    """The most positions in one batch: rows times the length of the longest."""

    positions: int

    def take(self, waiting: deque[ScoringRequest], uniform_length: float) -> list[ScoringRequest]:
        """Take the next batch off a queue that is sorted longest first; at least one request.

        Requests longer than `uniform_length` are not mixed with others.
        """
        rows = max(1, min(self.positions // waiting[0].cost, len(waiting)))
        longer = sum(request.cost > uniform_length for request in islice(waiting, rows))
        return [waiting.popleft() for _ in range(longer or rows)]


def score_padded(
    network: Network, requests: Sequence[ScoringRequest], budget: PaddedBudget
) -> Iterator[tuple[int, LogLikelihood]]:
    """The log-likelihood of every request's continuation, longest first, batch by batch.

    Out of memory halves `budget`, and the work continues. Raises EngineError for NaN or infinite logits, and
    for a single request that does not fit.
    """
    waiting = deque(sorted(requests, key=lambda request: -request.cost))
    while waiting:
        batch = budget.take(waiting, network.uniform_length)
        try:
            found = _score(network, batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise network.out_of_memory() from error
            found = None
        if found is None:  # the error is gone from here on, and with it the tensors it held
            budget.positions = len(batch) * batch[0].cost // 2
            network.release()
            waiting.extendleft(reversed(batch))
            continue
        yield from found


def _score(network: Network, batch: Sequence[ScoringRequest]) -> list[tuple[int, LogLikelihood]]:
    with network.computing():
        length = max(len(request.tokens) for request in batch)
        first = min(len(request.tokens) - len(request.continuation) for request in batch)
        tokens = torch.zeros(len(batch), length, dtype=torch.long)
        mask = torch.zeros(len(batch), length, dtype=torch.long)
        for row, request in enumerate(batch):
            tokens[row, : len(request.tokens)] = torch.tensor(request.tokens)
            mask[row, : len(request.tokens)] = 1
        kept = torch.arange(first, length, device=network.device)
        logits, _ = network.forward(tokens.to(network.device), mask.to(network.device), keep=kept)
        scored = torch.cat(
            [
                logits[
                    row, len(request.tokens) - len(request.continuation) - first : len(request.tokens) - first
                ]
                for row, request in enumerate(batch)
            ]
        )
        wanted = [token for request in batch for token in request.continuation]
        targets = torch.tensor(wanted, device=network.device)
        logprobs = torch.log_softmax(scored.float(), dim=-1)
        chosen = logprobs.gather(1, targets[:, None])[:, 0]
        if not bool(chosen.isfinite().all()):
            raise network.not_finite()
        return _log_likelihoods(batch, chosen.tolist(), (logprobs.argmax(dim=-1) == targets).tolist())


def _log_likelihoods(
    batch: Sequence[ScoringRequest], logprobs: Sequence[float], hits: Sequence[bool]
) -> list[tuple[int, LogLikelihood]]:
    """One log-likelihood per request, from values per token of the whole batch, request after request."""
    found, start = [], 0
    for request in batch:
        end = start + len(request.continuation)
        found.append((request.index, request.log_likelihood(logprobs[start:end], hits[start:end])))
        start = end
    return found
