"""Continuing prompts by reading each row again for every token: for models whose cache cannot be shared.

State-space and recurrent models keep a state of their own kind, which padding on the left may reach, or which
cannot be copied. "longrope" computes all of a row anew once it is longer than a limit. The logits after the
last token of a whole row, padded on the right, need no cache and are the same in any batch. The time grows
with the square of a row's length.
"""

import time
from collections import deque
from collections.abc import Sequence
from functools import cached_property

import torch

from harness.engine.local.decoding import GenerationRequest, GenerationRow, TokenChooser


class UncachedGeneration(TokenChooser):
    """The state between two tokens: only the rows."""

    @cached_property
    def _waiting(self) -> deque[GenerationRequest]:
        return deque(self._requests)

    @property
    def busy(self) -> bool:
        return bool(self.rows or self._waiting)

    def step(self) -> None:
        while self._waiting and len(self.rows) < self._allowed(self._waiting[0]):
            self.rows.append(GenerationRow(self._waiting.popleft(), time.perf_counter()))
        texts = [row.request.tokens + row.new for row in self.rows]
        longer = [len(text) > self._network.uniform_length for text in texts]
        scores: list[torch.Tensor] = [torch.empty(0)] * len(texts)
        for side in set(longer):
            some = [at for at, own in enumerate(longer) if own == side]
            for at, found in zip(some, self._read([texts[at] for at in some]), strict=True):
                scores[at] = found
        self._choose(torch.stack(scores))

    def leave(self, gone: Sequence[int]) -> None:
        leaving = set(gone)
        self.rows = [row for at, row in enumerate(self.rows) if at not in leaving]

    def _allowed(self, coming: GenerationRequest) -> int:
        longest = max([coming.cost, *(row.request.cost for row in self.rows)])
        return max(1, min(self._budget.rows, self._budget.prompts // longest))

    def _read(self, texts: Sequence[list[int]]) -> torch.Tensor:
        """Logits after the last token of each, `(rows, vocabulary)`."""
        lengths = torch.tensor([len(text) for text in texts])
        tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.tensor(text)
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
        kept, places = torch.unique(lengths - 1, return_inverse=True)
        device = self._network.device
        logits, _ = self._network.forward(tokens.to(device), mask.to(device), keep=kept.to(device))
        return logits[torch.arange(len(texts), device=device), places.to(device)].float()
