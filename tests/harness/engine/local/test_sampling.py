"""Drawing: temperature, top-k, top-p, and that no shortcut changes which tokens are in the nucleus."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engine.local import sampling as drawing
from harness.engine.local.sampling import draw
from harness.records.answers import SamplingParameters


def _reference(scores: torch.Tensor, sampling: SamplingParameters, uniforms: list[float]) -> list[int]:
    """Everything sorted, in one go; the first of the vocabulary first where probabilities are equal."""
    scores = scores / sampling.temperature
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(dim=-1)
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    dropped = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before >= sampling.top_p)
    cumulated = probabilities.masked_fill(dropped, 0.0).double().cumsum(dim=-1)
    targets = torch.tensor(uniforms, dtype=torch.double)[:, None] * cumulated[:, -1:]
    return [int(place) for place in torch.searchsorted(cumulated, targets, right=True)[:, 0]]


def _drawn(uniform: float, **given: float) -> int:
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    sampling = SamplingParameters(max_tokens=1, **{"temperature": 1.0, **given})  # type: ignore[arg-type]  # keywords of mixed types
    return int(draw(scores, sampling, [uniform])[0])


def test_draws_follow_the_probabilities() -> None:
    """Temperature, then top-k, then top-p; each uniform number falls where the cumulated probability says."""
    assert [0, 0, 1, 2, 3] == [_drawn(uniform) for uniform in (0.0, 0.49, 0.51, 0.81, 0.99)]
    assert [0, 1] == [_drawn(uniform, top_k=2) for uniform in (0.62, 0.63)]
    assert [1, 2] == [_drawn(uniform, top_p=0.85) for uniform in (0.83, 0.99)]
    assert 0 == _drawn(0.999, top_p=0.5)
    assert 0 == _drawn(0.999, temperature=0.01)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    vocabulary=st.integers(2, 120),
    spread=st.floats(0.01, 8.0),
    levels=st.sampled_from([0, 1, 2, 8]),
    top_p=st.floats(0.01, 0.999),
    top_k=st.sampled_from([0, 1, 5, 50]),
    width=st.sampled_from([1, 3, 16, 1_024]),
)
def test_the_nucleus_is_the_one_of_a_full_sort(
    seed: int, vocabulary: int, spread: float, levels: int, top_p: float, top_k: int, width: int
) -> None:
    """Wherever the search for it ends, with many equal probabilities or none: the same tokens are drawn."""
    source = np.random.default_rng(seed)
    scores = source.normal(0, spread, (6, vocabulary))
    if levels:
        scores = np.round(scores * levels / spread) * spread / levels  # few values, and so many ties
    uniforms = [float(uniform) for uniform in source.random(6)]
    sampling = SamplingParameters(max_tokens=1, temperature=0.8, top_p=top_p, top_k=top_k)
    logits = torch.tensor(scores, dtype=torch.float32)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "WIDTH", width)
        found = [int(token) for token in draw(logits, sampling, uniforms)]

    assert _reference(logits, sampling, uniforms) == found


def test_equal_probabilities_at_the_edge_are_taken_in_vocabulary_order() -> None:
    """Of 32 equally probable tokens, a nucleus of a half is the first 16, and no other is ever drawn."""
    sampling = SamplingParameters(max_tokens=1, temperature=1.0, top_p=0.5)
    uniforms = [(row + 0.5) / 64 for row in range(64)]

    drawn = draw(torch.zeros(64, 32), sampling, uniforms)

    assert [row // 4 for row in range(64)] == drawn.tolist()


def test_rows_with_large_and_small_nuclei_go_together() -> None:
    """A row whose nucleus is beyond the most probable tokens does not disturb one whose nucleus is within."""
    torch.manual_seed(0)
    scores = torch.randn(8, 4_000) * torch.tensor([0.1, 9.0] * 4)[:, None]
    sampling = SamplingParameters(max_tokens=1, temperature=1.0, top_p=0.9)
    uniforms = [0.05, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.999]

    assert _reference(scores, sampling, uniforms) == draw(scores, sampling, uniforms).tolist()
