"""Preferences to analyse: small ones by hand, and raters with a known leaning."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.preferences.analysis import analyse
from harness.preferences.named import NamedPreference
from harness.preferences.results import RaterWinRate
from harness.stats.plan import AnalysisPlan

Winner = Any


def said(winners: Sequence[Winner], rater: str = "ana", **changes: Any) -> list[NamedPreference]:
    """One preference of each item in turn, `sft` on the left and `dpo` on the right."""
    return [
        NamedPreference(
            rater=rater, **{"item": f"q{i}", "left": "sft", "right": "dpo", "winner": winner} | changes
        )
        for i, winner in enumerate(winners)
    ]


def finding_of(
    preferences: Sequence[NamedPreference],
    rater: str | None = None,
    plan: AnalysisPlan = AnalysisPlan(resamples=500),  # noqa: B008 - frozen
    baseline: str | None = None,
) -> RaterWinRate:
    """The result of one rater, with few resamples."""
    return only_of(analyse(preferences, plan, baseline=baseline).win_rates, rater)


def only_of(results: Sequence[RaterWinRate], rater: str | None) -> RaterWinRate:
    """The result of this rater, or the only one."""
    (result,) = [each for each in results if rater in (None, each.rater)]
    return result


def asked_in_both_orders(
    rater: str, prefer: Callable[[bool, bool], bool], truths: Sequence[bool], lengths: Sequence[bool]
) -> list[NamedPreference]:
    """Each pair twice: `prefer(truth, first)` says whether the right one wins."""
    return [
        NamedPreference(
            item=f"q{i}",
            left="sft",
            right="dpo",
            rater=rater,
            kind="judge",
            winner="right" if prefer(truth, first == "right") else "left",
            shown_first=first,
            left_length=100,
            right_length=150 if longer else 60,
        )
        for i, (truth, longer) in enumerate(zip(truths, lengths, strict=True))
        for first in ("left", "right")
    ]


def coins(n: int, chance: float, seed: int) -> list[bool]:
    """Independent draws."""
    return [bool(each) for each in np.random.default_rng(seed).random(n) < chance]
