"""Resampling weights: what a seed draws is kept, and is what a generator of that seed draws."""

import numpy as np
import pytest

from harness.stats import resampling
from harness.stats.clusters import Floats
from harness.stats.resampling import Random, resamplings, resamplings_of_kinds


def drawn(repeats: list[int], resamples: int, random: Random) -> Floats:
    """All resamples in one."""
    return np.concatenate(list(resamplings_of_kinds(np.array(repeats), resamples, random)))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> resampling._Kept:
    """Nothing is kept yet, and there is room for 5,000 weights."""
    monkeypatch.setattr(resampling, "KEPT", 5_000)
    monkeypatch.setattr(resampling, "_kept", empty := resampling._Kept())
    return empty


@pytest.mark.parametrize("repeats", [[1] * 40, [30, 8, 2]])
def test_a_seed_draws_what_its_generator_draws(repeats: list[int], kept: resampling._Kept) -> None:
    """Also the second time; every resample has as many clusters as there are."""
    first = drawn(repeats, 99, 7)
    assert {40.0} == set(first.sum(axis=1))
    assert (first == drawn(repeats, 99, np.random.default_rng(7))).all()
    assert (first == drawn(repeats, 99, 7)).all()
    assert (first != drawn(repeats, 99, 8)).any()


def test_no_more_is_kept_than_there_is_room_for(kept: resampling._Kept) -> None:
    """What was used last stays; what has no room by itself is drawn each time."""
    for count in (20, 21, 20, 22):
        drawn([1] * count, 100, 0)
    assert ([(20, 100, 0), (22, 100, 0)], 4_200) == (list(kept.found), kept.size)
    assert (drawn([1] * 51, 100, 0) == drawn([1] * 51, 100, 0)).all()
    assert 2 == len(kept.found)


def test_chunks_are_one_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    """However wide a row is, there are as many rows as resamples."""
    monkeypatch.setattr(resampling, "CHUNK", 100)
    chunks = list(resamplings(30, 11, 30, np.random.default_rng(0)))
    assert [4, 4, 3] == [len(each) for each in chunks]
