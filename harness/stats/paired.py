"""Whether a paired difference could be chance: exact where it can be, seeded simulation where not.

Both tests ask one question: if the two names had been exchanged at random within each independent unit, how
often would the difference be at least as large as it was? For single binary scores that is McNemar's exact
test, a two-sided binomial test of 1/2 on the pairs that changed. A normal approximation is never used.

p is never 0.
"""

import sys
from dataclasses import dataclass
from math import fsum

import numpy as np

from harness.stats.clusters import Floats

ENUMERABLE = 20
"""Up to this many changed clusters, all 2**20 exchanges are counted."""
LATTICE = 50_000_000
"""Up to this many additions (0.1 s), the exact distribution of whole-numbered sums is built up."""
CHUNK = 2**18
"""Numbers held at once while simulating."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A two-sided p, and in words what it came from."""

    p: float
    method: str


def mcnemar(won: int, lost: int) -> float:
    """McNemar's exact two-sided p: 5-1 gives .21875, 1-0 and 0-0 give 1."""
    changed = won + lost
    tail, term = 0, 1
    for k in range(min(won, lost) + 1):
        tail += term
        term = term * (changed - k) // (k + 1)
    return _within(2 * tail / 2**changed)


def sign_flip(sums: Floats, *, resamples: int, rng: np.random.Generator) -> PairedTest:
    """Paired permutation test on the clusters' summed differences.

    Exact where the distribution of all exchanges can be counted: whole-numbered sums (binary scores in
    clusters) by convolution, others up to 20 changed clusters by enumeration. Beyond that (b + 1) / (m + 1)
    with b of m random exchanges at least as extreme (Phipson and Smyth 2010).
    """
    sizes = np.sort(np.abs(sums[sums != 0]))
    seen = abs(fsum(sums))
    if not len(sizes):
        return PairedTest(1.0, "sign-flip permutation test, exact")
    if (sizes == np.rint(sizes)).all() and len(sizes) * sizes.sum() <= LATTICE:
        return PairedTest(_within(_convolved(sizes, seen)), "sign-flip permutation test, exact")
    if len(sizes) <= ENUMERABLE:
        return PairedTest(_within(_enumerated(sizes, seen)), "sign-flip permutation test, exact")
    return PairedTest(
        _simulated(sizes, seen, resamples, rng), f"sign-flip permutation test, {resamples} random exchanges"
    )


def _convolved(sizes: Floats, seen: float) -> float:
    """P(|sum of ±sizes| >= seen) for whole numbers: the chance of each subset's sum, one size at a time."""
    total = int(sizes.sum())
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    reach = 0
    for size in sizes.astype(np.intp):
        chance[size : reach + size + 1] += chance[: reach + 1].copy()
        reach += int(size)
        chance[: reach + 1] /= 2
    return float(chance[np.abs(2 * np.arange(total + 1) - total) >= round(seen)].sum())


def _enumerated(sizes: Floats, seen: float) -> float:
    """P(|sum of ±sizes| >= seen) over all signs; the last one's is fixed, for the other half mirrors it."""
    sums = sizes[-1:]
    for size in sizes[:-1]:
        sums = np.concatenate([sums + size, sums - size])
    return float((np.abs(sums) >= seen - _rounding(sizes)).mean())


def _simulated(sizes: Floats, seen: float, resamples: int, rng: np.random.Generator) -> float:
    total, width = sizes.sum(), (len(sizes) + 7) // 8
    extreme, chunk = 0, CHUNK // len(sizes) + 1
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        random = np.frombuffer(rng.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        positive = np.unpackbits(random, axis=1, count=len(sizes)).astype(np.float64)
        extreme += int((np.abs(2 * (positive @ sizes) - total) >= seen - _rounding(sizes)).sum())
    return (extreme + 1) / (resamples + 1)


def _rounding(sizes: Floats) -> float:
    """How much equal sums may differ because they were added in another order."""
    return 1e-12 * float(sizes.sum())


def _within(p: float) -> float:
    """At most 1, and never 0: an exact p too small for a float is the smallest float."""
    return min(max(p, sys.float_info.min), 1.0)
