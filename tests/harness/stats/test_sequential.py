"""The confidence sequence: it holds under peeking, decides what is clear early, and knows when to give up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.sequential import STAKE, ConfidenceSequence


def watched(rate: float, most: int, draw: np.random.Generator) -> tuple[int, bool]:
    """How many were seen until it was decided, looking after every ten, and whether it was."""
    sequence = ConfidenceSequence()
    for start in range(0, most, 10):
        sequence.update((draw.random(10) < rate).astype(float))
        if sequence.decided():
            return start + 10, True
    return most, False


def test_peeking_does_not_raise_the_error() -> None:
    """Of 150 fair contests looked at 40 times each, at most 15 are decided; 7.5 are allowed on average."""
    draw = np.random.default_rng(0)

    assert sum(watched(0.5, 400, draw)[1] for _ in range(150)) <= 15


def test_what_is_clear_is_decided_early() -> None:
    """At a win rate of 0.7, all of 40 contests end, after a tenth of 1,000 judgements on average."""
    draw = np.random.default_rng(1)
    ends = [watched(0.7, 1000, draw) for _ in range(40)]

    assert all(decided for _, decided in ends)
    assert np.mean([count for count, _ in ends]) < 120


def test_the_interval_holds_the_mean_at_every_look() -> None:
    """Also for fractions and ties: in at least 54 of 60 sequences it holds at all looks at once."""
    draw = np.random.default_rng(2)
    held = 0
    for _ in range(60):
        sequence = ConfidenceSequence()
        looks = [sequence.update(draw.choice([0.0, 0.5, 0.75, 1.0], 20)) for _ in range(15)]
        held += all(look.low <= 0.5625 <= look.high for look in looks)
    assert held >= 54


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 59))
@settings(max_examples=50)
def test_batches_do_not_matter(values: list[float], cut: int) -> None:
    """Only the order of the values does; and the interval only shrinks."""
    whole, parts = ConfidenceSequence(), ConfidenceSequence()
    at_once = whole.update(values)
    first = parts.update(values[:cut])
    second = parts.update(values[cut:])

    assert (pytest.approx(at_once.low), pytest.approx(at_once.high)) == (second.low, second.high)
    assert first.low <= second.low <= second.high <= first.high


@given(st.integers(0, 200), st.integers(0, 300), st.floats(0.3, 0.7))
@settings(max_examples=60)
def test_giving_up_is_never_a_mistake(seen: int, remaining: int, rate: float) -> None:
    """Where it says that nothing can decide, neither all wins nor all losses do."""
    values = (np.random.default_rng(seen).random(seen) < rate).astype(float)
    for end in (0.0, 1.0):
        sequence = ConfidenceSequence()
        sequence.update(values)
        hopeless = sequence.cannot_be_decided(remaining)
        sequence.update([end] * remaining)
        assert not (hopeless and sequence.decided())


def test_it_gives_up_when_too_few_remain() -> None:
    """After 100 balanced judgements, 3 more can decide nothing and 300 more can."""
    sequence = ConfidenceSequence()
    sequence.update([0.0, 1.0] * 50)

    assert sequence.cannot_be_decided(3)
    assert not sequence.cannot_be_decided(300)


def test_a_stricter_level_decides_later() -> None:
    """90 % is sure sooner than 99 %."""
    wins = [1.0] * 200
    counts = []
    for level in (0.90, 0.99):
        sequence = ConfidenceSequence(level=level)
        counts.append(
            next(n for n, value in enumerate(wins) if sequence.update([value]) and sequence.decided())
        )

    assert counts[0] < counts[1] < 30


def test_a_value_outside_is_refused() -> None:
    """The guarantee is for shares."""
    with pytest.raises(ValueError, match="a share of the win"):
        ConfidenceSequence().update([1.5])


def test_it_gives_up_exactly_where_the_largest_stakes_do_not_suffice() -> None:
    """By hand: as many as the sum of log(1 + stake / 2) needs, and not one fewer."""
    sequence = ConfidenceSequence(level=0.9)
    values = [0.0, 1.0] * 50
    sequence.update(values)
    running = (0.5 + np.cumsum(values)) / np.arange(2, 102)
    spread = 0.25 + ((np.array(values) - running) ** 2).sum()
    threshold = np.log(2 / 0.1)
    wealth = {1: 0.0, -1: 0.0}
    spreads = np.concatenate([[0.25], 0.25 + np.cumsum((np.array(values) - running) ** 2)[:-1]])
    for t, (value, before) in enumerate(zip(values, spreads, strict=True), start=1):
        stake = min(np.sqrt(2 * threshold / (before * np.log1p(t))), STAKE / 0.5)
        for side in wealth:
            wealth[side] += np.log1p(side * stake * (value - 0.5))
    enough = 0
    gained = 0.0
    while gained < threshold - max(wealth.values()):
        enough += 1
        stake = min(np.sqrt(2 * threshold / (spread * np.log1p(100 + enough))), STAKE / 0.5)
        gained += np.log1p(stake / 2)

    assert sequence.cannot_be_decided(enough - 1)
    assert not sequence.cannot_be_decided(enough)
