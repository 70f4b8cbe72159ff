"""Many tests at once: how small a p must be when it is one of a family (which `harness.comparison` makes)."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p, in the order given (Holm 1979).

    All that is below alpha after adjusting may be believed together: the chance that anything in the family
    is falsely shown is at most alpha, however the tests depend on each other.
    """
    if not p:
        return []
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]
