"""Log-likelihoods of a batch of tokenised requests, one padded row each: what any causal model can do.

`harness.engine.scoring` does it with far fewer tokens, for models whose attention takes its masks. Rows are
padded on the right, where padding cannot reach a causal model's earlier positions. The vocabulary
projection is taken from the first scored position on, and log-probabilities in float32 whatever the model's
own format.

It does not know texts, nor how requests are put into batches.
"""

import math
from collections.abc import Sequence

import torch

from harness.engine.network import Network
from harness.engine.tokens import ScoringRequest
from harness.records import Likelihood


def score_batch(network: Network, batch: Sequence[ScoringRequest]) -> list[tuple[int, Likelihood]]:
    """The likelihood of every request's continuation. Raises EngineError for NaN or infinite logits."""
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
        return _likelihoods(batch, chosen.tolist(), (logprobs.argmax(dim=-1) == targets).tolist())


def _likelihoods(
    batch: Sequence[ScoringRequest], logprobs: Sequence[float], hits: Sequence[bool]
) -> list[tuple[int, Likelihood]]:
    """Token by token values of the whole batch, one request after the other, as one likelihood each."""
    found, start = [], 0
    for request in batch:
        end = start + len(request.continuation)
        likelihood = Likelihood(
            logprob=math.fsum(logprobs[start:end]),
            greedy=all(hits[start:end]),
            tokens=end - start,
            truncated=request.truncated,
        )
        found.append((request.index, likelihood))
        start = end
    return found
