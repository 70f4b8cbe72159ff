"""What the store holds as pandas frames, for notebooks and export: runs, scores, answers and preferences.

`names` are models, all where none is named. Scores and answers are of the runs that a report shows now
(`harness.verbs.report_runs`). An empty frame has its columns.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd

from harness.named_preferences import named_preferences
from harness.preferences.named import NamedPreference
from harness.records.answers import Response, Run
from harness.store import Store
from harness.store.frames import frame
from harness.turns import as_text
from harness.verbs.project import Project
from harness.verbs.report_runs import report_runs

RUN_COLUMNS = (
    *("run", "model", "suite", "suite_version", "size", "seed", "settings", "fingerprint", "data_hash"),
    *("started", "finished"),
)
ANSWER_COLUMNS = (
    *("run", "model", "suite", "position", "sample", "cluster", "prompt", "place", "text", "stopped"),
    *("reason", "prompt_tokens", "completion_tokens"),
)
PREFERENCE_COLUMNS = tuple(each.name for each in fields(NamedPreference))


def runs_frame(project: Project, names: Sequence[str] = ()) -> pd.DataFrame:
    """One line per run, finished or not, the oldest first.

    Columns: run (its id), model, suite, suite_version, size (samples when whole), seed, settings (JSON),
    fingerprint, data_hash, started, finished (UTC; None: not whole yet).
    """
    with project.existing_store(reading=True) as store:
        found = [run for run in store.runs.find() if not names or run.model in names]
    lines = [
        {
            **{column: getattr(run, column) for column in RUN_COLUMNS if column not in ("run", "settings")},
            "run": run.id,
            "settings": json.dumps(dict(run.settings), sort_keys=True),
        }
        for run in found
    ]
    return pd.DataFrame(lines, columns=list(RUN_COLUMNS))


def scores_frame(project: Project, names: Sequence[str] = (), suites: Sequence[str] = ()) -> pd.DataFrame:
    """One line per score, by model, suite and sample.

    Columns: run, model, suite, suite_version, position, sample, cluster, metric, part, value, reason. `value`
    is NaN where the sample is unscored, and `reason` then says why.
    """
    with project.existing_store(reading=True) as store:
        return frame(store.database, [run.id for run in _shown(project, store, names, suites)])


def answers_frame(project: Project, names: Sequence[str] = (), suites: Sequence[str] = ()) -> pd.DataFrame:
    """One line per generated answer, by model, suite and sample; log-likelihoods are none.

    Columns: run, model, suite, position, sample, cluster, prompt (as text), place (among the answers to the
    sample), text (without thoughts), stopped, reason, prompt_tokens, completion_tokens.
    """
    with project.existing_store(reading=True) as store:
        lines = [line for run in _shown(project, store, names, suites) for line in _answers(store, run)]
    return pd.DataFrame(lines, columns=list(ANSWER_COLUMNS))


def preferences_frame(project: Project, names: Sequence[str] = ()) -> pd.DataFrame:
    """One line per preference between two of the models, of judges and of unsealed blind tests.

    Those about the newest answers, as `preferences` counts them. Columns: item, left and right (models),
    rater, winner (left, right, tie; missing: no usable answer), kind (judge or human), cluster, shown_first,
    share, reason, left_length, right_length (characters), seconds.
    """
    with project.existing_store(reading=True) as store:
        found = named_preferences(store, names)
    lines = [{column: getattr(each, column) for column in PREFERENCE_COLUMNS} for each in found]
    return pd.DataFrame(lines, columns=list(PREFERENCE_COLUMNS))


def _shown(project: Project, store: Store, names: Sequence[str], suites: Sequence[str]) -> list[Run]:
    """The runs that a report would show."""
    kept = store.runs.find()
    models = names or list(dict.fromkeys(run.model for run in kept))
    asked = suites or list(dict.fromkeys(run.suite for run in kept))
    return [run for theirs in report_runs(project, store, models, asked).runs.values() for run in theirs]


def _answers(store: Store, run: Run) -> Iterator[dict[str, Any]]:
    for position, row in enumerate(store.runs.rows(run.id)):
        answers = [answer for answer in row.responses if isinstance(answer, Response)]
        for place, answer in enumerate(answers):
            yield {
                "run": run.id,
                "model": run.model,
                "suite": run.suite,
                "position": position,
                "sample": row.sample.id,
                "cluster": row.sample.cluster or row.sample.id,
                "prompt": as_text(row.sample.prompt),
                "place": place,
                "text": answer.text,
                "stopped": answer.stop_reason,
                "reason": answer.reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            }
