"""How often each cluster comes in each resample: drawn once for all that has as many clusters and a seed."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.stats.clusters import Floats

Random = int | np.random.Generator
"""What resamples are drawn with: a seed, or a generator, which is used on from the state that it is in."""

CHUNK = 2**18
"""Resampling weights held at once: 2 MiB, which stay in a processor's cache."""
KEPT = 2**27
"""Bytes of weights that are kept to be used again: 10,000 resamples of 5,000 clusters take 50 MB."""


def resamplings(count: int, resamples: int, width: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each of `count` clusters is drawn, a row for each resample, in chunks of rows.

    `width` is how many numbers the caller will hold for each row; a chunk has room for about `CHUNK`.
    """
    for rows in _chunks(resamples, width):
        yield _weights(count, rows, rng)


def resamplings_of_kinds(repeats: NDArray[np.intp], resamples: int, random: Random) -> Iterator[Floats]:
    """The same where there are `repeats` of each kind of cluster, and it is kinds that are counted.

    Where each is alone of its kind, what a seed draws is kept: it is the same for every metric of a suite.
    """
    count, kinds = int(repeats.sum()), len(repeats)
    if kinds < count:
        rng = np.random.default_rng(random)
        for rows in _chunks(resamples, kinds):
            yield rng.multinomial(count, repeats / count, rows).astype(np.float64)
    elif isinstance(random, np.random.Generator) or count * resamples > KEPT:
        yield from resamplings(count, resamples, count, np.random.default_rng(random))
    else:
        for weights in _kept.drawn(count, resamples, random):
            yield weights.astype(np.float64)


def _chunks(resamples: int, width: int) -> Iterator[int]:
    """How many rows are made at once."""
    rows = CHUNK // width + 1
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _weights(count: int, rows: int, rng: np.random.Generator) -> Floats:
    """How often each cluster is drawn in each of `rows` resamples."""
    drawn = rng.integers(0, count, (rows, count))
    drawn += np.arange(rows)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


@dataclass(slots=True)
class _Kept:
    """What seeds drew, in bytes, up to `KEPT` of them; what was not used for longest makes room."""

    found: OrderedDict[tuple[int, int, int], list[NDArray[np.uint8]]] = field(default_factory=OrderedDict)
    size: int = 0

    def drawn(self, count: int, resamples: int, seed: int) -> list[NDArray[np.uint8]]:
        """The chunks of these resamples."""
        key = count, resamples, seed
        if key not in self.found:
            rng = np.random.default_rng(seed)
            self._make_room(count * resamples)
            self.found[key] = [
                weights.astype(np.uint8) for weights in resamplings(count, resamples, count, rng)
            ]
        self.found.move_to_end(key)
        return self.found[key]

    def _make_room(self, size: int) -> None:
        self.size += size
        while self.size > KEPT:
            (count, resamples, _), _ = self.found.popitem(last=False)
            self.size -= count * resamples


_kept = _Kept()
