"""The rows that are being continued, from one token to the next.

Prompts are computed once each, longest first, several in one pass. A computed prompt waits until a row is
free, and each of its samples starts from a copy of it. Sampling draws from the request's own generator, so
that the same request gets the same answer in any batch. When an answer is over, `stopping` decides.
"""

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import torch

from harness.engine.local.kv_cache import SPARE, Batch, batch_for, closed_up
from harness.engine.local.network import Network
from harness.engine.local.penalties import Penalties
from harness.engine.local.sampling import draw
from harness.engine.local.stopping import AnswerProgress
from harness.records.answers import SamplingParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A prompt as tokens."""

    index: int
    tokens: list[int]
    truncated: int
    limit: int
    """Tokens that may be generated."""
    seed: int
    """Seed of its samples; unused by greedy decoding."""
    opened: str = ""
    """The opening of a thought that the prompt ends within (`harness.thoughts.left_open`); empty: none."""

    @property
    def cost(self) -> int:
        """The most positions it takes in a batch."""
        return len(self.tokens) + self.limit


@dataclass(slots=True)
class GenerationBudget:
    """What may be under way at once, at most."""

    rows: int
    """Answers."""
    positions: int
    """Tokens in the key-value cache."""
    prompts: int
    """Positions in one pass over prompts."""

    def rows_of(self, cost: int) -> int:
        """The number of rows where each needs `cost` positions at most; at least one."""
        return max(1, min(self.rows, self.positions // (cost + SPARE)))

    def halve(self, asked: int) -> None:
        """Halve it, after `asked` requests were too many."""
        self.rows = min(self.rows, asked) // 2
        self.prompts = max(1, self.prompts // 2)


@dataclass(slots=True)
class GenerationRow:
    """A request under way. A retry makes it anew, so that its sample stays the same."""

    request: GenerationRequest
    started: float
    new: list[int] = field(default_factory=list)
    draws: random.Random = field(init=False)
    progress: AnswerProgress = field(init=False)

    def __post_init__(self) -> None:
        self.draws = random.Random(self.request.seed)
        self.progress = AnswerProgress(opened=self.request.opened)

    @property
    def full(self) -> bool:
        return len(self.new) >= self.request.limit

    @property
    def unused(self) -> int:
        """Tokens that it may still get."""
        return max(0, self.request.limit - len(self.new))


@dataclass(slots=True)
class _Computed:
    """Computed prompts, with the requests that still wait for a copy."""

    cache: Any
    scores: torch.Tensor
    waiting: deque[tuple[int, GenerationRequest]]
    """`(row of cache and scores, request)`"""
    started: float


class TokenChooser:
    """Rows whose next tokens are chosen from a model's logits."""

    def __init__(
        self,
        network: Network,
        requests: Sequence[GenerationRequest],
        sampling: SamplingParameters,
        budget: GenerationBudget,
    ) -> None:
        self.rows: list[GenerationRow] = []
        self._network = network
        self._requests = sorted(requests, key=lambda request: (-request.cost, request.tokens))
        """Longest first, and equal prompts side by side."""
        self._sampling = sampling
        self._budget = budget
        self._penalties = Penalties(network)

    def _choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Give every row its next token, from logits `(rows, vocabulary)`; return all of them."""
        if not bool(scores.amax(dim=-1).isfinite().all()):
            raise self._network.not_finite()
        if not self._penalties.none:
            scores = self._penalties.applied(scores, [row.request.tokens + row.new for row in self.rows])
        if self._sampling.temperature == 0:
            chosen = scores.argmax(dim=-1)
        else:
            chosen = draw(scores, self._sampling, [row.draws.random() for row in self.rows])
        for row, token in zip(self.rows, chosen.tolist(), strict=True):
            row.new.append(token)
        return chosen


class Decoding(TokenChooser):
    """The state between two tokens."""

    _computed: _Computed | None = None
    _tokens: torch.Tensor
    """Each row's last one, `(rows, 1)`."""

    @cached_property
    def _prompts(self) -> deque[list[GenerationRequest]]:
        """The requests that are left, those of equal prompts together."""
        return deque(list(same) for _, same in groupby(self._requests, key=lambda request: request.tokens))

    @cached_property
    def _batch(self) -> Batch:
        return batch_for(self._network.config, self._network.device)

    @property
    def busy(self) -> bool:
        return bool(self.rows or self._computed or self._prompts)

    def step(self) -> None:
        """One more token for every row, and the first for those that may start now."""
        scores = [self._continued()] if self.rows else []
        while (places := self._places()) > 0:
            scores.append(self._admitted(places))
        self._tokens = self._choose(torch.cat(scores))[:, None]

    def leave(self, gone: Sequence[int]) -> None:
        """Remove rows; the order of the others may change."""
        if not gone:
            return
        order = closed_up(len(self.rows), gone)
        self.rows = [self.rows[row] for row in order]
        self._batch.leave(order)
        self._tokens = self._tokens[order]

    def _continued(self) -> torch.Tensor:
        """Logits after the last tokens, `(rows, vocabulary)`."""
        mask, positions = self._batch.open()
        scores, _ = self._network.forward(
            self._tokens, mask, keep=1, positions=positions, cache=self._batch.cache, use_cache=True
        )
        self._batch.close()
        return scores[:, -1].float()

    def _places(self) -> int:
        """How many of the next requests may start now."""
        if self._computed is None and not self._prompts:
            return 0
        coming = self._computed.waiting[0][1] if self._computed else self._prompts[0][0]
        return self._batch.takes(self._allowed(coming))

    def _allowed(self, coming: GenerationRequest) -> int:
        return self._budget.rows_of(max([coming.cost, *(row.request.cost for row in self.rows)]))

    def _admitted(self, places: int) -> torch.Tensor:
        """Logits for the first tokens of the rows that join, `(rows, vocabulary)`."""
        computed = self._computed or self._read()
        allowed = self._allowed(computed.waiting[0][1])
        coming = [computed.waiting.popleft() for _ in range(min(places, len(computed.waiting)))]
        chosen = [row for row, _ in coming]
        lengths = [len(request.tokens) for _, request in coming]
        self._batch.join(computed.cache, chosen, lengths, allowed)
        self.rows += [GenerationRow(request, computed.started) for _, request in coming]
        self._computed = computed if computed.waiting else None
        return computed.scores[chosen]

    def _read(self) -> _Computed:
        """Compute the next prompts."""
        started = time.perf_counter()
        first = self._prompts[0][0]
        longest = len(first.tokens)
        within = max(1, self._budget.prompts // longest) if self._batch.joins else len(self._prompts)
        count = min(within, len(self._prompts), self._allowed(first))
        same = [self._prompts.popleft() for _ in range(count)]
        tokens = torch.zeros(count, longest, dtype=torch.long)
        mask = torch.zeros(count, longest, dtype=torch.long)
        for row, requests in enumerate(same):
            tokens[row, longest - len(requests[0].tokens) :] = torch.tensor(requests[0].tokens)
            mask[row, longest - len(requests[0].tokens) :] = 1
        scores, cache = self._network.forward(
            tokens.to(self._network.device),
            mask.to(self._network.device),
            keep=1,
            positions=(mask.cumsum(dim=-1) - 1).clamp(min=0).to(self._network.device),
            use_cache=True,
        )
        waiting = deque((row, request) for row, requests in enumerate(same) for request in requests)
        return _Computed(cache, scores[:, -1].float(), waiting, started)
