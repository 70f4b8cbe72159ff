"""Answers and what was said of them, in a store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.records.answers import Response, Row, Run, Sample
from harness.records.preferences import Preference, Rater
from harness.store import Store
from tests.reports.boards import run_of


def keep_answers(
    store: Store,
    model: str,
    answers: Sequence[str],
    *,
    suite: str = "prompts:tried",
    run_id: str = "",
    finished: str | None = "2026-11-22T16:03:12+00:00",
    clusters: Sequence[str | None] = (),
) -> Run:
    """A run without metrics of one answer to each prompt."""
    run = run_of(model, suite, run_id=run_id)
    store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
    store.runs.begin(replace(run, finished=None))
    rows = [
        Row(
            sample=Sample(id=f"q{i}", prompt=f"prompt {i}", cluster=clusters[i] if clusters else None),
            responses=(Response(text=text, stop_reason="end"),),
            scores=(),
            position=i,
        )
        for i, text in enumerate(answers)
    ]
    store.runs.keep_rows(run.id, list(enumerate(rows)))
    if finished is not None:
        store.runs.finish(run.id, finished)
    return run


def judged(
    store: Store,
    left: Run,
    right: Run,
    winners: Sequence[Any],
    *,
    rater: str = "judge:gpt",
    shown_first: Any = "left",
    reasons: Sequence[str | None] = (),
    seconds: float | None = None,
) -> None:
    """One rater's choices about the first samples of two runs, in turn."""
    kind: Any = "human" if rater.startswith("human:") else "judge"
    store.preferences.keep_rater(Rater(id=rater, kind=kind, name=rater.split(":")[-1]))
    store.preferences.keep(
        [
            Preference(
                sample=f"q{i}",
                left_run=left.id,
                right_run=right.id,
                shown_first=shown_first,
                winner=winner,
                rater=rater,
                reason=reasons[i] if reasons else None,
                seconds=seconds,
            )
            for i, winner in enumerate(winners)
        ]
    )
