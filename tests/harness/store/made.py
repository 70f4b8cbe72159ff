"""Small records to keep: every field has a value, and an argument changes what a test is about."""

from dataclasses import replace
from typing import Protocol

from harness.records.answers import Message, Metric, Response, Row, Run, Sample, Score
from harness.store import KeptAnswer, answer_key
from harness.store.models import Models
from harness.store.runs import Runs

FINGERPRINT = "sha256:model"

A_RUN = Run(
    id="run",
    model="sft",
    fingerprint=FINGERPRINT,
    suite="truthfulqa",
    suite_version="1",
    metrics=(Metric(name="mc1", kind="binary", headline=True),),
    data_hash="sha256:data",
    settings={"chat_template": True, "num_fewshot": 0},
    seed=2**40,
    environment={"torch": "2.13.0"},
    size=3,
    started="2026-11-22T10:00:00+00:00",
)


def kept(text: str, *, asked: str = "question", fingerprint: str = FINGERPRINT) -> KeptAnswer:
    """An answer of this text to this question."""
    request = {"kind": "generate", "prompt": asked}
    answer = Response(text=text, stop_reason="end", prompt_tokens=3, completion_tokens=1, seconds=0.25)
    return KeptAnswer(
        key=answer_key(fingerprint, request), fingerprint=fingerprint, request=request, answer=answer
    )


def row(position: int, *responses: Response, scores: tuple[Score, ...] = ()) -> Row:
    """A row with a sample of its own."""
    sample = Sample(
        id=f"sample-{position}",
        prompt=(Message(role="system", content="Be brief."), Message(role="user", content=f"{position}?")),
        choices=("yes", "no"),
        target="yes",
        cluster="few" if position < 2 else None,
        tags={"category": "numbers", "levels": [1, 2]},
    )
    return Row(sample=sample, responses=responses, scores=scores, position=position)


class HasRuns(Protocol):
    """A store, of today or before."""

    models: Models
    runs: Runs


def begun(store: HasRuns, run_id: str = "run", **changes: str) -> Run:
    """A run in the store, with its model."""
    run = replace(A_RUN, id=run_id, **changes)  # type: ignore[arg-type]  # a test changes text fields only
    store.models.keep(run.model, run.fingerprint, {"path": "folder"}, {"device": "cpu"}, "{{ messages }}")
    store.runs.begin(run)
    return run
