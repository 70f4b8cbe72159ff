"""Drawing one token per row from logits, by temperature, top-k and top-p.

Each row's token is where its uniform number falls in the cumulated probabilities, in vocabulary order, so that
noise in the last digit moves a boundary and not the order. Of tokens that are equally probable at the edge of
the nucleus, the first of the vocabulary are in it.

It does not know where the uniform numbers come from.
"""

from collections.abc import Sequence

import torch

from harness.records import Sampling

WIDTHS = (64, 1_024)
"""So many of the most probable tokens are looked at for the nucleus, before all of them are sorted."""


def draw(scores: torch.Tensor, sampling: Sampling, uniforms: Sequence[float]) -> torch.Tensor:
    """One token per row, from rows × vocabulary logits and one number of [0, 1) per row."""
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(dim=-1)
    numbers = torch.tensor(uniforms, dtype=torch.double, device=scores.device)
    if sampling.top_p >= 1:
        return _fall(probabilities, numbers)
    return _drawn_from_nucleus(probabilities, sampling.top_p, numbers)


def _drawn_from_nucleus(probabilities: torch.Tensor, top_p: float, numbers: torch.Tensor) -> torch.Tensor:
    """Most nuclei are small: rows whose nucleus is not within the first few tokens are tried with more."""
    drawn = torch.empty(len(probabilities), dtype=torch.long, device=probabilities.device)
    left = torch.arange(len(probabilities), device=probabilities.device)
    for width in WIDTHS:
        if width >= probabilities.shape[-1] or not len(left):
            break
        rows = probabilities if len(left) == len(probabilities) else probabilities[left]
        descending, tokens = rows.topk(width, dim=-1)
        count, least = _edge(descending, top_p)
        within = ((count < width) & (least > descending[:, -1:]))[:, 0]
        tokens = tokens.sort(dim=-1).values
        places = _fall(_kept(rows.gather(1, tokens), count, least), numbers[left])
        found = tokens.gather(1, places[:, None])[:, 0]
        drawn[left[within]] = found[within]
        left = left[~within]
    if len(left):
        rows = probabilities[left]
        count, least = _edge(rows.sort(dim=-1, descending=True).values, top_p)
        drawn[left] = _fall(_kept(rows, count, least), numbers[left])
    return drawn


def _edge(descending: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each row, how many tokens its nucleus has, and the least of their probabilities (rows × 1 both)."""
    before = descending.cumsum(dim=-1) - descending
    count = (before < top_p).sum(dim=-1, keepdim=True)
    return count, descending.gather(1, count - 1)


def _kept(candidates: torch.Tensor, count: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Probabilities in vocabulary order, with 0 for those outside of the nucleus."""
    above, tied = candidates > least, candidates == least
    wanted = count - above.sum(dim=-1, keepdim=True)
    return candidates.masked_fill(~(above | (tied & (tied.cumsum(dim=-1) <= wanted))), 0.0)


def _fall(probabilities: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    cumulated = probabilities.double().cumsum(dim=-1)
    return torch.searchsorted(cumulated, numbers[:, None] * cumulated[:, -1:], right=True)[:, 0]
