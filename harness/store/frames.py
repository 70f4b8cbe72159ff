"""Scores as a pandas frame, for notebooks and export. The only file of the store that loads pandas."""

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import select

from harness.store import schema
from harness.store.database import Database
from harness.store.runs import scores_of

ABOUT = ("run", "model", "suite", "suite_version", "position", "sample", "cluster")
"""What is said of each score besides its metric and itself."""


def frame(database: Database, run_ids: Sequence[str]) -> pd.DataFrame:
    """One line per score of these runs, in the order of rows.

    `value` is NaN where the sample is unscored, and `reason` then says why.
    Columns: run, model, suite, suite_version, position, sample, cluster, metric, part, value, reason.
    """
    runs, rows, samples, scores = schema.runs, schema.rows, schema.samples, schema.scores
    query = (
        select(
            scores.c.run,
            runs.c.model,
            runs.c.suite,
            runs.c.suite_version,
            rows.c.position,
            scores.c.sample,
            samples.c.cluster,
            scores.c.metrics,
            scores.c.numbers,
            scores.c.reasons,
        )
        .join(runs, runs.c.id == scores.c.run)
        .join(rows, (rows.c.run == scores.c.run) & (rows.c.sample == scores.c.sample))
        .join(samples, samples.c.hash == rows.c.sample_hash)
        .where(scores.c.run.in_(run_ids))
        .order_by(runs.c.model, runs.c.suite, scores.c.run, rows.c.position)
    )
    with database.reading() as connection:
        lines = [
            (*about, score.metric, score.value, score.reason)
            for *about, metrics, numbers, reasons in connection.execute(query)
            for score in scores_of(metrics, numbers, reasons)
        ]
    found = pd.DataFrame(lines, columns=[*ABOUT, "metric", "value", "reason"])
    part = found.groupby(["run", "sample", "metric"], sort=False).cumcount()
    found.insert(list(found.columns).index("value"), "part", part)
    return found.astype({"value": "float64"})
