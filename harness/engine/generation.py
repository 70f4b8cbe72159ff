"""Continuing a batch of prompts token by token.

Prompts are padded on the left, masked and given their own positions, so that a prompt's answer does not
depend on its neighbours beyond floating-point noise; finished rows leave the batch. Greedy decoding equals
transformers' `generate`, with what the checkpoint's generation_config.json says about end tokens and
repetition. Sampling draws from the request's own generator: the same request, the same answer, in any batch.

It does not know how prompts are put into batches, nor chat templates.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from harness.engine.network import Network
from harness.engine.tokens import Tokens
from harness.records import Response, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A prompt as tokens."""

    index: int
    tokens: list[int]
    truncated: int
    limit: int
    """How many tokens may be generated."""
    seed: int
    """Where its samples come from; unused by greedy decoding."""

    @property
    def cost(self) -> int:
        """Positions it takes in a batch, at most."""
        return len(self.tokens) + self.limit


@dataclass(slots=True)
class _Row:
    """A request under way. Made anew when a batch is tried again, so that a sample does not change by it."""

    request: GenerationRequest
    draws: random.Random
    new: list[int] = field(default_factory=list)


def continue_batch(
    network: Network, tokens: Tokens, batch: Sequence[GenerationRequest], sampling: Sampling
) -> Iterator[tuple[int, Response]]:
    """Answers as they are finished, each with its request's index. Raises EngineError for NaN logits."""
    started = time.perf_counter()
    ending = Ending(network, tokens, sampling)
    decoding = _Decoding(network, batch)
    while decoding.rows:
        with network.computing():
            decoding.step(sampling)
        finished = [ending.reached(row) for row in decoding.rows]
        for row, over in zip(decoding.rows, finished, strict=True):
            if over:
                yield row.request.index, ending.response(row, time.perf_counter() - started)
        with network.computing():
            decoding.keep([position for position, over in enumerate(finished) if not over])


class Ending:
    """When an answer is over, and what of it is its text: by lm-eval's rules for the same."""

    def __init__(self, network: Network, tokens: Tokens, sampling: Sampling) -> None:
        self._tokens = tokens
        stated = network.generation_config.eos_token_id
        eos = tokens.tokenizer.eos_token_id
        self._end_tokens = {eos, *(stated if isinstance(stated, list) else [stated])} - {None}
        self._stops = [stop for stop in sampling.stop if stop]
        eos_text = [] if eos is None else [tokens.decode([eos], special=True)]
        self._cuts = [*self._stops, *eos_text]
        # A stop string can be spelt in more tokens than its usual ones; lm-eval looks back two further.
        self._window = 2 + max((tokens.count(stop) for stop in self._stops), default=0)

    def reached(self, row: _Row) -> bool:
        """Whether the row's last token ended it."""
        return self._ended(row) or len(row.new) >= row.request.limit

    def response(self, row: _Row, seconds: float) -> Response:
        """The finished row as an answer, cut before the first stop string."""
        ended = self._ended(row)
        whole = self._tokens.decode(row.new[:-1] if row.new[-1] in self._end_tokens else row.new)
        text = whole
        for cut in self._cuts:
            text = text.split(cut, 1)[0]
        return Response(
            text=text,
            stopped="end" if ended or text != whole else "length",
            prompt_tokens=len(row.request.tokens),
            completion_tokens=len(row.new),
            seconds=seconds,
            truncated=row.request.truncated,
        )

    def _ended(self, row: _Row) -> bool:
        if row.new[-1] in self._end_tokens:
            return True
        if not self._stops:
            return False
        tail = self._tokens.decode(row.new[-self._window :], special=True)
        return any(stop in tail for stop in self._stops)


class _Decoding:
    """The state of a batch between two tokens."""

    def __init__(self, network: Network, batch: Sequence[GenerationRequest]) -> None:
        self.rows = [_Row(request, random.Random(request.seed)) for request in batch]
        self._network = network
        self._processors = _processors(network)
        self._cache: Any = None
        longest = max(len(request.tokens) for request in batch)
        tokens = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, request in enumerate(batch):
            tokens[row, longest - len(request.tokens) :] = torch.tensor(request.tokens)
            mask[row, longest - len(request.tokens) :] = 1
        self._tokens = tokens.to(network.device)
        self._mask = mask.to(network.device)
        self._positions = (self._mask.cumsum(dim=-1) - 1).clamp(min=0)

    def step(self, sampling: Sampling) -> None:
        """One more token for every row."""
        logits, self._cache = self._network.forward(
            self._tokens, self._mask, keep=1, positions=self._positions, cache=self._cache, use_cache=True
        )
        scores = logits[:, -1].float()
        if not bool(scores.amax(dim=-1).isfinite().all()):
            raise self._network.not_finite()
        if self._processors:
            scores = torch.cat([self._processed(row, scores[[at]]) for at, row in enumerate(self.rows)])
        chosen = (
            scores.argmax(dim=-1)
            if sampling.temperature == 0
            else draw(scores, sampling, [row.draws.random() for row in self.rows])
        )
        self._tokens = chosen[:, None]
        self._positions = self._positions[:, -1:] + 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self.rows), 1)], dim=-1)
        for row, token in zip(self.rows, chosen.tolist(), strict=True):
            row.new.append(token)

    def keep(self, positions: list[int]) -> None:
        """Go on with these rows only."""
        if len(positions) == len(self.rows):
            return
        self.rows = [self.rows[position] for position in positions]
        if not self.rows:
            self._cache = None
            return
        indices = torch.tensor(positions, device=self._network.device)
        self._tokens, self._mask = self._tokens[indices], self._mask[indices]
        self._positions = self._positions[indices]
        self._cache.batch_select_indices(indices)

    def _processed(self, row: _Row, scores: torch.Tensor) -> torch.Tensor:
        seen = torch.tensor([row.request.tokens + row.new], device=scores.device)
        return self._processors(seen, scores)  # type: ignore[arg-type]  # its tensor types are only names


def draw(scores: torch.Tensor, sampling: Sampling, uniforms: Sequence[float]) -> torch.Tensor:
    """One token per row (batch × vocabulary logits in), by temperature, then top-k, then top-p.

    Each row's token is where its uniform number falls in the cumulated probabilities, in vocabulary order,
    so that noise in the last digit moves a boundary and not the order.
    """
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(dim=-1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before >= sampling.top_p)
        probabilities = probabilities.masked_fill(dropped, 0.0)
    cumulated = probabilities.double().cumsum(dim=-1)
    targets = torch.tensor(uniforms, dtype=torch.double, device=scores.device)[:, None] * cumulated[:, -1:]
    return torch.searchsorted(cumulated, targets, right=True)[:, 0]


def _processors(network: Network) -> LogitsProcessorList:
    """What the checkpoint's generation_config.json changes in the logits before a token is chosen."""
    config = network.generation_config
    found: list[LogitsProcessor] = []
    if config.repetition_penalty not in (None, 1.0):
        found.append(RepetitionPenaltyLogitsProcessor(penalty=config.repetition_penalty))
    if config.no_repeat_ngram_size:
        found.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if config.suppress_tokens:
        found.append(SuppressTokensLogitsProcessor(config.suppress_tokens, device=str(network.device)))
    return LogitsProcessorList(found)
