"""Scores as a pandas frame, for notebooks and export. The only file of the store that loads pandas."""

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import select

from harness.store import schema
from harness.store.database import Database


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
            scores.c.metric,
            scores.c.part,
            scores.c.value,
            scores.c.reason,
        )
        .join(runs, runs.c.id == scores.c.run)
        .join(rows, (rows.c.run == scores.c.run) & (rows.c.sample == scores.c.sample))
        .join(samples, samples.c.hash == rows.c.sample_hash)
        .where(scores.c.run.in_(run_ids))
        .order_by(runs.c.model, runs.c.suite, scores.c.run, rows.c.position, scores.c.place)
    )
    names = [column.name for column in query.selected_columns]
    with database.reading() as connection:
        found = pd.DataFrame(connection.execute(query).all(), columns=names)
    return found.astype({"value": "float64"})
