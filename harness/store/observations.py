"""Reads a run's scores into arrays, a metric at a time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Text, select, type_coerce

from harness.observed import Observed, Samples
from harness.stats.clusters import Codes
from harness.store import schema


@dataclass(slots=True)
class _Collected:
    """The scores of one metric, as they come."""

    values: list[float | None] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """How many scores of each of these rows."""
    reasons: list[str] = field(default_factory=list)

    def observed(self, samples: Samples) -> Observed:
        """The same as arrays."""
        rows = np.repeat(np.array(self.rows, dtype=np.intp), self.counts)
        return Observed(
            samples=samples,
            rows=rows,
            parts=_parts(rows),
            values=np.array(self.values, dtype=np.float64),  # of None, NaN
            reasons=np.array(self.reasons, dtype=object),
        )


def observations_of(connection: Connection, run_id: str) -> dict[str, Observed]:
    """Every score of a run by metric, in the order of rows and parts."""
    scores, rows, samples = schema.scores, schema.rows, schema.samples
    query = (
        select(
            scores.c.sample,
            samples.c.cluster,
            *(type_coerce(column, Text) for column in (scores.c.metrics, scores.c.numbers, scores.c.reasons)),
        )
        .join(rows, (rows.c.run == scores.c.run) & (rows.c.sample == scores.c.sample))
        .join(samples, samples.c.hash == rows.c.sample_hash)
        .where(scores.c.run == run_id)
        .order_by(rows.c.position)
    )
    return _observed(connection.execute(query).all())


def _observed(records: Sequence[Any]) -> dict[str, Observed]:
    found: dict[str, _Collected] = {}
    for row, (_, _, metrics, numbers, reasons) in enumerate(records):
        why = iter(json.loads(reasons) if reasons else ())
        for metric, values in zip(_names(metrics), orjson.loads(numbers), strict=True):
            collected = found.setdefault(metric, _Collected())
            collected.values += values
            collected.rows.append(row)
            collected.counts.append(len(values))
            if reasons:
                collected.reasons += islice(why, values.count(None))
    samples = Samples(tuple(record[0] for record in records), tuple(record[1] for record in records))
    return {metric: collected.observed(samples) for metric, collected in found.items()}


@lru_cache(maxsize=64)
def _names(metrics: str) -> tuple[str, ...]:
    """The metrics of a row: most rows of a run have the same."""
    return tuple(json.loads(metrics))


def _parts(rows: Codes) -> Codes:
    """Which of its row's scores each one is; those of a row follow each other."""
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
