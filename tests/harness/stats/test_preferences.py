"""Win rates and biases: cases worked by hand, what must always hold, and judges with known biases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats.intervals import mean_interval, wilson
from harness.stats.paired import sign_flip
from harness.stats.plan import Resampling
from harness.stats.preferences import (
    length_bias,
    position_bias,
    position_consistency,
    share,
    sign_test,
    win_rate,
)

shares = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=40)


def test_a_tie_is_half_a_win() -> None:
    """3 wins, 2 ties and a loss are 4 of 6."""
    found = win_rate([1, 1, 1, 0.5, 0.5, 0], range(6))

    assert (3, 2, 1, 6) == (found.won, found.tied, found.lost, found.prompts)
    assert pytest.approx(4 / 6) == found.value


def test_winning_everything_is_no_certainty() -> None:
    """20 of 20 is Wilson's interval: from 83.9 %."""
    found = win_rate([1.0] * 20, range(20))

    assert (pytest.approx(0.8389, abs=1e-4), 1.0) == (found.interval.low, found.interval.high)


def test_judgements_of_one_prompt_belong_together() -> None:
    """The same 40 verdicts say less when they are four of each of ten prompts than when they stand alone."""
    verdicts = [1.0] * 24 + [0.0] * 16
    alone = win_rate(verdicts, range(40)).interval
    grouped = win_rate(verdicts, [number // 4 for number in range(40)]).interval

    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


@given(shares)
@settings(max_examples=50)
def test_the_other_candidates_win_rate_is_the_rest(values: list[float]) -> None:
    """Win rates of both are mirrored, intervals too."""
    one = win_rate(values, range(len(values)), Resampling(resamples=199))
    other = win_rate([1 - value for value in values], range(len(values)), Resampling(resamples=199))

    assert pytest.approx(1 - one.value) == other.value
    assert pytest.approx(1 - one.interval.low) == other.interval.high


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_judgement_is_a_share(value: float) -> None:
    """What is none is refused, and not counted as anything."""
    with pytest.raises(ValueError, match="a share of the win"):
        win_rate([0.5, value], [0, 1])


@pytest.mark.parametrize(("won", "lost", "p"), [(5, 1, 0.21875), (1, 0, 1.0), (0, 0, 1.0), (8, 0, 0.0078125)])
def test_the_sign_test_is_exact(won: int, lost: int, p: float) -> None:
    """A normal approximation gives p = 0 for 1 to 0, and .0455 for 5 to 1. Ties are dropped, and counted."""
    found = sign_test([1.0] * won + [0.0] * lost + [0.5] * 3, range(won + lost + 3))

    assert (won, lost, 3, pytest.approx(p)) == (found.won, found.lost, found.tied, found.p)


def test_a_prompt_counts_once() -> None:
    """Three judgements of one prompt are one sign; balanced ones are a tie."""
    found = sign_test([1, 1, 0, 1, 0], ["a", "a", "a", "b", "b"])

    assert (1, 0, 1) == (found.won, found.lost, found.tied)


@pytest.mark.parametrize(("first", "second"), [(70, 30), (50, 50), (3, 0)])
def test_position_bias_is_an_exact_binomial_test(first: int, second: int) -> None:
    """Against scipy's."""
    found = position_bias(first, second)

    assert found is not None
    assert pytest.approx(binomtest(first, first + second).pvalue) == found.p
    assert pytest.approx(first / (first + second)) == found.share.value


def test_nothing_decided_is_no_bias_and_no_share() -> None:
    """None, and not zero."""
    assert position_bias(0, 0) is None
    assert share(0, 0) is None
    assert position_consistency([], [], []) is None
    assert length_bias([0.5, 1.0], [3, 0], [0, 1]) is None


def test_consistency_tells_where_the_others_went() -> None:
    """Of four pairs two have one verdict; one goes to whichever is first, one to whichever is second."""
    found = position_consistency([1, 0.5, 1, 0], [1, 0.5, 0, 0.5], range(4))

    assert found is not None
    assert (2, 4, 1, 1) == (found.share.count, found.share.of, found.to_first, found.to_second)


def test_length_bias_counts_decided_judgements_of_unequal_answers() -> None:
    """Of six, four are decided and of unequal length; the longer answer won three of them."""
    found = length_bias([1, 1, 0, 0, 0.5, 1], [10, 5, -3, 4, 9, 0], range(6))

    assert found is not None
    assert (3, 4) == (found.share.count, found.share.of)
    assert pytest.approx(2 * (4 + 1) / 16) == found.p


def test_a_judge_with_known_biases_is_found() -> None:
    """One that takes the first answer in a quarter of the cases, and the longer one in another quarter."""
    draw = np.random.default_rng(0)
    n = 600
    longer, quality, bias = draw.random(n) < 0.5, draw.random(n) < 0.5, draw.random((2, n))

    def judged(first: bool) -> np.ndarray:
        kind = bias[0 if first else 1]
        return np.where(kind < 0.25, first, np.where(kind < 0.5, longer, quality)).astype(float)

    first, second = judged(True), judged(False)
    position = position_bias(int(first.sum() + (1 - second).sum()), int((1 - first).sum() + second.sum()))
    length = length_bias(first, np.where(longer, 1, -1), range(n))
    assert position is not None
    assert length is not None

    assert position.p < 1e-6
    assert position.share.value == pytest.approx(0.625, abs=0.05)
    assert length.p < 1e-6
    assert length.share.value == pytest.approx(0.625, abs=0.06)


def test_shares_of_clustered_verdicts_have_a_means_interval() -> None:
    """Of the level, resamples and seed asked for."""
    first, second = [1.0, 1.0, 0.0, 0.5] * 6, [1.0, 0.0, 0.0, 1.0] * 6
    clusters = [number // 3 for number in range(24)]
    how = Resampling(level=0.8, resamples=99, seed=3)
    found = position_consistency(first, second, clusters, how)
    assert found is not None
    same = [1.0, 0.0, 1.0, 0.0] * 6

    assert mean_interval(same, clusters, "binary", how) == found.share.interval
    assert (12, 24, 0.5) == (found.share.count, found.share.of, found.share.value)
    singly = position_consistency(first, second, range(24), how)
    assert singly is not None
    assert wilson(12, 24, 0.8) == singly.share.interval


def test_shares_are_of_the_level_asked_for() -> None:
    """95 % unless said."""
    bias, usual = position_bias(7, 3, level=0.8), share(1, 2)
    assert bias is not None
    assert usual is not None
    assert (0.8, 0.95) == (bias.share.interval.level, usual.interval.level)


def test_a_win_rates_interval_is_a_means() -> None:
    """Of wins and losses alone Wilson's; with ties, or several judgements of a prompt, a seeded bootstrap."""
    how = Resampling(level=0.9, resamples=299, seed=4)
    whole = [1.0] * 40 + [0.0] * 20
    assert wilson(40, 60, 0.9) == win_rate(whole, range(60), how).interval
    tied = [*whole, 0.5, 0.25]
    assert mean_interval(tied, range(62), "number", how) == win_rate(tied, range(62), how).interval
    assert wilson(40.75, 62, 0.9) != win_rate(tied, range(62), how).interval
    pairs = [number // 2 for number in range(60)]
    assert mean_interval(whole, pairs, "binary", how) == win_rate(whole, pairs, how).interval


def test_orders_disagree_for_the_first_by_any_amount() -> None:
    """From a loss to a tie and from a tie to a win count like from a loss to a win."""
    found = position_consistency([1.0, 0.5, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0, 0.5], range(5))
    assert found is not None
    assert (3, 2, 0) == (found.to_first, found.to_second, found.share.count)


def test_length_bias_is_drawn_by_its_plan() -> None:
    """The test first, and the interval with the generator as the test leaves it."""
    rng = np.random.default_rng(6)
    clusters = [number // 3 for number in range(120)]
    values, longer_by = (rng.random(120) < 0.6).astype(float), rng.normal(0.3, 1.0, 120)
    how = Resampling(level=0.9, resamples=199, seed=12)
    found = length_bias(values, longer_by, clusters, how)
    won = ((values == 1) == (longer_by > 0)).astype(float)
    used = how.generator()
    sums = [sum(2 * won[place] - 1 for place in range(120) if clusters[place] == name) for name in range(40)]
    assert found is not None
    assert sign_flip(np.array(sums), resamples=199, rng=used).p == found.p
    rest = Resampling(level=0.9, resamples=199, seed=used)
    assert mean_interval(won, clusters, "binary", rest) == found.share.interval
