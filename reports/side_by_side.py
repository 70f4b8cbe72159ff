"""Which samples a page shows side by side: those that changed first, and as many as fit.

What became of a sample is in its scores. Rows with their answers are read only of the samples that are shown.
Among those that changed, and among the others, chance decides, by the hashes of their ids, so that they are
always the same: what is shown has about the whole's shares of what each candidate won and lost.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from harness.comparison.paired import ScoredRun
from harness.observed import NOTHING_OBSERVED, Samples, paired
from harness.records.answers import Metric, Row
from harness.stats.clusters import Codes
from harness.store import Store
from reports.board import Flip, SideBySide, has_changed

ROWS_AT_ONCE = 25
"""Samples that are read together, of every model."""
SAME = 1e-12
"""Scores whose mean moved by no more are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of each sample of a suite, by the scores alone."""

    samples: tuple[str, ...]
    """Their ids, in the order of the first model that was asked them."""
    decided_by: tuple[Metric | None, ...]
    """The metric by which each was won or lost."""
    flips: tuple[tuple[Flip | None, ...], ...]
    """Of each sample, one per model."""

    def changed(self, place: int) -> bool:
        """Whether any candidate won or lost the sample at this place."""
        return has_changed(self.flips[place])

    @property
    def places(self) -> dict[str, int]:
        """Where each sample is among them."""
        return {sample: place for place, sample in enumerate(self.samples)}

    @property
    def order(self) -> list[int]:
        """Their places in the order in which they are shown as long as there is room."""
        hashes = [sha256(sample.encode("utf-8", "surrogatepass")).digest() for sample in self.samples]
        return sorted(range(len(hashes)), key=lambda place: (not self.changed(place), hashes[place]))


def changes(
    models: Sequence[str],
    asked: Mapping[str, Collection[str]],
    scored: Mapping[str, ScoredRun],
    baseline: str,
    compared: Mapping[Metric, Collection[str]],
) -> Changes:
    """What became of every sample that any model was asked.

    `asked` are the ids of each model's samples. `compared` names by metric the candidates that have a
    difference to the baseline. A sample is decided by one of the metrics that it was scored in: a suite of
    several tasks has one for each.
    """
    ids = tuple(dict.fromkeys(sample for theirs in asked.values() for sample in theirs))
    samples = Samples(ids, ids)
    metrics = sorted(compared, key=_by_preference)
    decided_by = _decided_by(metrics, samples, scored)
    flips = np.full((len(ids), len(models)), None, dtype=object)
    candidates = {model for theirs in compared.values() for model in theirs}
    for column, model in enumerate(models):
        if model in candidates:
            both = _are_in(ids, asked[baseline], asked[model])
            for place, metric in enumerate(metrics):
                if model in compared[metric]:
                    here = both & (decided_by == place)
                    flips[here, column] = _flips(metric, samples, scored[baseline], scored[model])[here]
    return Changes(
        samples=ids,
        decided_by=tuple(metrics[place] if place < len(metrics) else None for place in decided_by),
        flips=tuple(map(tuple, flips.tolist())),
    )


def deciding(metrics: Sequence[Metric]) -> Metric | None:
    """The metric by which a sample counts as won or lost: a binary one, the headline before others.

    A number differs a little on nearly every sample, so that it would call all of them flips; where a
    suite has no binary metric it decides all the same.
    """
    return min(metrics, key=_by_preference, default=None)


def cards(
    store: Store, models: Sequence[str], scored: Mapping[str, ScoredRun], found: Changes
) -> Iterator[SideBySide]:
    """The samples in their order, with every model's row, read as they are asked for."""
    order = found.order
    for start in range(0, len(order), ROWS_AT_ONCE):
        places = order[start : start + ROWS_AT_ONCE]
        ids = [found.samples[place] for place in places]
        rows = {model: store.runs.rows_of(each.run.id, ids) for model, each in scored.items()}
        for place, sample in zip(places, ids, strict=True):
            by_model = [rows[model].get(sample) if model in rows else None for model in models]
            yield _card(by_model, found.flips[place])


def _card(rows: Sequence[Row | None], flips: tuple[Flip | None, ...]) -> SideBySide:
    last = [row for row in rows if row is not None][-1]
    return SideBySide(sample=last.sample, rows=tuple(rows), flips=flips)


def _by_preference(metric: Metric) -> tuple[bool, bool]:
    return metric.kind != "binary", not metric.headline


def _decided_by(metrics: Sequence[Metric], samples: Samples, scored: Mapping[str, ScoredRun]) -> Codes:
    """The first metric that each sample has a score of, as its place; their number for none."""
    found = np.full(len(samples.ids), len(metrics))
    for place, metric in reversed(list(enumerate(metrics))):
        for each in scored.values():
            observed = each.observations.get(metric.name, NOTHING_OBSERVED)
            found[observed.samples.where(samples)[observed.rows]] = place
    return found


def _are_in(ids: Sequence[str], *asked: Collection[str]) -> NDArray[np.bool_]:
    return np.array([all(sample in theirs for theirs in asked) for sample in ids], dtype=np.bool_)


def _flips(
    metric: Metric, samples: Samples, baseline: ScoredRun, candidate: ScoredRun
) -> NDArray[np.object_]:
    """Whether each sample was won or lost. Several scores pair by their parts, and their mean decides."""
    before, after = (each.observations.get(metric.name, NOTHING_OBSERVED) for each in (baseline, candidate))
    pairs = paired(before, after)
    met = (pairs.left >= 0) & (pairs.right >= 0)
    gains = after.values[pairs.right[met]] - before.values[pairs.left[met]]
    places = before.samples.where(samples)[before.rows[pairs.left[met]]]
    known = ~np.isnan(gains)
    total = np.bincount(places[known], gains[known], len(samples.ids))
    better = total if metric.higher_is_better else -total
    kinds: list[tuple[NDArray[np.bool_], Flip]] = [
        (np.bincount(places[known], minlength=len(samples.ids)) == 0, "unscored"),
        (np.abs(total) <= SAME, "equal"),
        (better > 0, "won"),
    ]
    found = np.full(len(samples.ids), "lost", dtype=object)
    for where, kind in reversed(kinds):
        found[where] = kind
    return found
