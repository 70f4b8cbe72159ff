"""Continuing prompts by reading each row again for every token: for models whose cache cannot be shared.

State-space and recurrent models keep a state of their own kind, which padding on the left may reach, or keep
it where no copy can be had. "longrope" computes all of a row anew once it is longer than a limit. What a
model says after the last token of a whole row, padded on the right, needs no cache and is the same in any
company. It takes time that grows with the square of a row's length.

It does not know texts, nor when an answer is over.
"""

import time
from collections import deque
from collections.abc import Sequence

import torch

from harness.engine.local.decoding import GenerationBudget, GenerationRequest, GenerationRow, TokenChooser
from harness.engine.local.network import Network
from harness.records import Sampling


class UncachedGeneration(TokenChooser):
    """The state between two tokens: nothing but the rows."""

    def __init__(
        self,
        network: Network,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        budget: GenerationBudget,
    ) -> None:
        super().__init__(network, sampling)
        self._budget = budget
        self._waiting = deque(sorted(requests, key=lambda request: (-request.cost, request.tokens)))

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.rows or self._waiting)

    def step(self) -> None:
        """One more token for every row, and the first one for those that now find room."""
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
        """Let rows go."""
        leaving = set(gone)
        self.rows = [row for at, row in enumerate(self.rows) if at not in leaving]

    def _allowed(self, coming: GenerationRequest) -> int:
        longest = max([coming.cost, *(row.request.cost for row in self.rows)])
        return max(1, min(self._budget.rows, self._budget.prompts // longest))

    def _read(self, texts: Sequence[list[int]]) -> torch.Tensor:
        """Rows × vocabulary logits after the last token of each."""
        lengths = torch.tensor([len(text) for text in texts])
        tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.tensor(text)
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
        kept, places = torch.unique(lengths - 1, return_inverse=True)
        device = self._network.device
        logits, _ = self._network.forward(tokens.to(device), mask.to(device), keep=kept.to(device))
        return logits[torch.arange(len(texts), device=device), places.to(device)].float()
