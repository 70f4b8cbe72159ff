"""The penalties of a checkpoint's generation_config.json, applied to logits before a token is chosen."""

from collections.abc import Sequence
from typing import cast

import torch
from transformers import (
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from harness.engine.local.network import Network


class Penalties:
    """transformers' own logits processors, in its order."""

    def __init__(self, network: Network) -> None:
        config = network.generation_config
        self._repetition: LogitsProcessor | None = None
        self._ngrams: LogitsProcessor | None = None
        self._suppressed: LogitsProcessor | None = None
        if config.repetition_penalty not in (None, 1.0):
            self._repetition = RepetitionPenaltyLogitsProcessor(penalty=config.repetition_penalty)
        if config.no_repeat_ngram_size:
            self._ngrams = NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size)
        if config.suppress_tokens:
            self._suppressed = SuppressTokensLogitsProcessor(
                config.suppress_tokens, device=str(network.device)
            )

    @property
    def none(self) -> bool:
        return self._repetition is None and self._ngrams is None and self._suppressed is None

    def applied(self, scores: torch.Tensor, pasts: Sequence[list[int]]) -> torch.Tensor:
        """Logits `(rows, vocabulary)`, penalised by each row's tokens so far, which have no padding."""
        if self._repetition is not None:
            longest = max(len(past) for past in pasts)
            # A penalty asks which tokens are there, not how often: a row is filled up with one of its own.
            filled = [past[:1] * (longest - len(past)) + past for past in pasts]
            scores = _processed(self._repetition, filled, scores)
        if self._ngrams is not None:
            rows = [_processed(self._ngrams, [past], scores[[row]]) for row, past in enumerate(pasts)]
            scores = torch.cat(rows)
        return scores if self._suppressed is None else _processed(self._suppressed, pasts[:1], scores)


def _processed(processor: LogitsProcessor, pasts: Sequence[list[int]], scores: torch.Tensor) -> torch.Tensor:
    seen = torch.tensor(pasts, device=scores.device)
    return cast(torch.Tensor, processor(seen, scores))
