"""Drawing one token per row from logits, by temperature, top-k and top-p.

Each row's token is where its uniform number falls in the cumulated probabilities, in vocabulary order, so
that noise in the last digit moves a boundary and not the order. Of tokens that are equally probable at the
edge of the nucleus, the first of the vocabulary are in it.

On the CPU, numpy sorts: without indices and with vector instructions, many times faster than torch.
"""

from collections.abc import Sequence

import numpy as np
import torch

from harness.engine.local.devices import widest
from harness.records.answers import SamplingParameters

WIDTH, SHARE = 1_024, 8
"""The nucleus is searched among this many most probable tokens, at most an eighth of the vocabulary."""


def draw(scores: torch.Tensor, sampling: SamplingParameters, uniforms: Sequence[float]) -> torch.Tensor:
    """Tokens `(rows,)`, from logits `(rows, vocabulary)` and one uniform number in [0, 1) per row."""
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(dim=-1)
    numbers = torch.tensor(uniforms, dtype=widest(scores.device), device=scores.device)[:, None]
    if sampling.top_p >= 1:
        return _where(probabilities, numbers)[:, 0]
    return _drawn_from_nucleus(probabilities, sampling.top_p, numbers)[:, 0]


def _drawn_from_nucleus(probabilities: torch.Tensor, top_p: float, numbers: torch.Tensor) -> torch.Tensor:
    """Tokens `(rows, 1)`. Few rows have a nucleus that reaches beyond the most probable tokens."""
    width = max(1, min(WIDTH, probabilities.shape[-1] // SHARE))
    tokens = _ascending(_most_probable(probabilities, width))
    values = probabilities.gather(1, tokens)
    ascending = _ascending(values)
    size, least = _edge(ascending, top_p)
    drawn = tokens.gather(1, _where(_nucleus(values, size, least), numbers))
    beyond = ((size == width) | (least == ascending[:, :1]))[:, 0]
    if bool(beyond.any()):
        drawn[beyond] = _drawn_from_all(probabilities[beyond], top_p, numbers[beyond])
    return drawn


def _drawn_from_all(probabilities: torch.Tensor, top_p: float, numbers: torch.Tensor) -> torch.Tensor:
    size, least = _edge(_ascending(probabilities), top_p)
    return _where(_nucleus(probabilities, size, least), numbers)


def _edge(ascending: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The size of each row's nucleus, and the least probability in it, `(rows, 1)` both."""
    descending = ascending.flip(-1)
    before = descending.cumsum(dim=-1) - descending
    size = (before < top_p).sum(dim=-1, keepdim=True)
    return size, descending.gather(1, size - 1)


def _nucleus(probabilities: torch.Tensor, size: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Probabilities in vocabulary order, 0 outside of the nucleus."""
    above, tied = probabilities > least, probabilities == least
    wanted = size - above.sum(dim=-1, keepdim=True)
    return probabilities.masked_fill(~(above | (tied & (tied.cumsum(dim=-1) <= wanted))), 0.0)


def _where(probabilities: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The token `(rows, 1)` whose interval each row's number falls into."""
    cumulated = probabilities.cumsum(dim=-1, dtype=widest(probabilities.device))
    return torch.searchsorted(cumulated, numbers * cumulated[:, -1:], right=True)


def _most_probable(probabilities: torch.Tensor, width: int) -> torch.Tensor:
    """The most probable tokens of each row, `(rows, width)`, in any order."""
    if probabilities.device.type != "cpu":
        return probabilities.topk(width, dim=-1, sorted=False).indices
    edge = probabilities.shape[-1] - width
    return torch.from_numpy(np.argpartition(probabilities.numpy(), edge, axis=-1)[:, edge:])


def _ascending(rows: torch.Tensor) -> torch.Tensor:
    if rows.device.type != "cpu":
        return rows.sort(dim=-1).values
    return torch.from_numpy(np.sort(rows.numpy(), axis=-1))
