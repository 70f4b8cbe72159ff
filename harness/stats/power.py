"""What a sample could have shown: the smallest true difference that it would have found.

"No difference shown" says little without it. Power is that of the test used here at the given level, before
Holm's correction: with many comparisons somewhat more is needed.
"""

from math import ceil, comb, floor, log2, sqrt
from statistics import NormalDist

from harness.stats.clusters import Clusters, as_flips, few_differ
from harness.stats.intervals import HALVINGS, normal_quantile

POWER = 0.8


def detectable_difference(
    differences: Clusters, range_width: float, *, binary: bool, level: float
) -> float | None:
    """The smallest true mean difference shown with 80 % power by as many clusters that vary like these.

    For numbers (z(level) + z(power)) × clustered standard error (Miller 2024, section 5); for single binary
    scores, and where too few clusters changed for their spread to be believed, by flips. None: not even
    a difference as large as the scores' range would have been shown.
    """
    if (binary and differences.singles) or few_differ(differences, range_width):
        flips = as_flips(differences, range_width)
        by_flips = detectable_flip_difference(flips.n, (flips.won + flips.lost) / flips.n, level=level)
        return None if by_flips is None else by_flips * range_width
    return (normal_quantile(level) + NormalDist().inv_cdf(POWER)) * differences.standard_error


def detectable_flip_difference(n: float, discordance: float, *, level: float) -> float | None:
    """For `n` pairs of which the share `discordance` flips, the smallest difference shown with 80 % power.

    Solves √n δ = z(level) √ψ + z(power) √(ψ - δ²) for δ, ψ being the discordance (Miettinen 1968; Card et
    al. 2020, "With Little Power Comes Great Responsibility", use the same model). It is never below what the
    exact test needs if every flip went the same way, so that seeing no flip at all gives about 7.9 / n at
    level 0.95. None for fewer pairs than an exact test can ever reject with (6 at level 0.95).
    """
    needed = _fewest_flips(level)
    pairs = floor(n)
    if pairs < needed:
        return None
    test, power = normal_quantile(level), NormalDist().inv_cdf(POWER)
    root = sqrt(discordance * max(n + power**2 - test**2, 0.0))
    by_variance = (test * sqrt(n * discordance) + power * root) / (n + power**2)
    return min(max(by_variance, _one_way(pairs, needed)), 1.0)


def sample_size_for_margin(differences: Clusters, range_width: float, margin: float, *, level: float) -> int:
    """How many clusters that vary like these show, with 80 % power, that less than `margin` is lost.

    That is, that an interval of this level ends above -margin, if in truth nothing changed:
    ((z(level) + z(power)) × spread / margin)² (Julious 2004, "Sample sizes for clinical trials with Normal
    data"). Never fewer than it takes where no score changes at all, by Tango's interval.
    """
    test, power = normal_quantile(level), NormalDist().inv_cdf(POWER)
    if few_differ(differences, range_width):
        flips = as_flips(differences, range_width)
        variance = (flips.won + flips.lost) / flips.n * range_width**2
    else:
        variance = differences.standard_error**2 * differences.count
    unchanged = test**2 * max(range_width - margin, 0.0) / margin
    return max(ceil((test + power) ** 2 * variance / margin**2), floor(unchanged) + 1)


def _fewest_flips(level: float) -> int:
    """How many flips, all one way, an exact two-sided test needs: 2 / 2**k must be below 1 - level."""
    return floor(1 - log2(1 - level)) + 1


def _one_way(pairs: int, needed: int) -> float:
    """The share of flips with which at least `needed` of `pairs` happen with 80 % chance."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        fewer = sum(comb(pairs, k) * share**k * (1 - share) ** (pairs - k) for k in range(needed))
        low, high = (share, high) if 1 - fewer < POWER else (low, share)
    return high
