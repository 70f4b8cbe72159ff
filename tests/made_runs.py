"""Made-up runs of any number and size, of all that scores can be: for benchmarks, and for golden numbers.

Each suite has a yes-or-no headline, a number that may rest on some of a sample's parts, a number of no known
range, and as many yes-or-no parts as a sample has. Some scores are missing, some samples share a cluster, and
tags part them into groups. The same arguments give the same runs.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from harness.bounds import bounded
from harness.recorded import generation
from harness.records.answers import Metric, Prompt, Response, Row, Run, Sample, SamplingParameters, Score
from harness.store import KeptAnswer, Store, answer_key

WORDS = ("the", "of", "and", "a", "to", "in", "is", "was", "it", "for", "on", "hammer", "nail", "saw", "wood")
WORDS_OF_AN_ANSWER, WORDS_OF_A_PROMPT = 40, 30
GROUPS, MOST_PARTS, OF_A_CLUSTER = 10, 3, 3
METRICS = (
    Metric(name="right", kind="binary", headline=True, splits=("kind",)),
    Metric(name="share", kind="number", headline=True, splits=("kind",)),
    Metric(name="length", kind="number", higher_is_better=False),
    Metric(name="part", kind="binary", splits=("types",), margin=0.05),
)
AT_ONCE = 200
"""Rows that are written together."""


def fill(store: Store, models: int, suites: int, samples: int, *, ragged: bool = False) -> None:
    """Finished runs of `model-0`, `model-1`, … on `suite-0`, ….

    `ragged`: runs lack a few of the samples, and samples a few of the parts, that others have.
    """
    for suite in range(suites):
        asked = list(_samples(suite, samples))
        for model in range(models):
            _keep(store, f"model-{model}", f"suite-{suite}", asked, model / 50, ragged=ragged)


def _samples(suite: int, samples: int) -> Iterator[Sample]:
    draw = Random(suite)
    for number in range(samples):
        yield Sample(
            id=f"{suite}-{number}",
            prompt=" ".join(draw.choices(WORDS, k=WORDS_OF_A_PROMPT)) + f" {number}",
            target="yes",
            cluster=f"text {number // OF_A_CLUSTER}" if suite % 2 else None,
            tags={
                "kind": f"kind {draw.randrange(GROUPS)}" if draw.random() > 0.02 else None,
                "types": [f"type {draw.randrange(4)}" for _ in range(draw.randrange(MOST_PARTS) + 1)],
            },
        )


def _keep(
    store: Store, model: str, suite: str, samples: list[Sample], better: float, *, ragged: bool
) -> None:
    fingerprint = f"sha256:{model}"
    store.models.keep(model, fingerprint, {"path": model}, {"device": "cpu"}, None)
    draw = Random(f"{model} {suite}")
    rows = [
        row
        for place, sample in enumerate(samples)
        if not ragged or draw.random() > 0.03
        for row in [_row(sample, place, draw, better, ragged=ragged)]
    ]
    run = Run(
        id=f"{model}-{suite}",
        model=model,
        fingerprint=fingerprint,
        suite=suite,
        suite_version="1",
        metrics=METRICS,
        data_hash=f"sha256:{suite}",
        settings={},
        seed=0,
        environment={},
        size=len(samples),
        started="2026-11-30T10:00:00+00:00",
    )
    store.runs.begin(run)
    for start in range(0, len(rows), AT_ONCE):
        _write(store, run, rows[start : start + AT_ONCE])
    store.runs.finish(run.id, "2026-11-30T11:00:00+00:00")


def _row(sample: Sample, place: int, draw: Random, better: float, *, ragged: bool) -> Row:
    text = " ".join(draw.choices(WORDS, k=WORDS_OF_AN_ANSWER))
    return Row(
        sample=sample,
        responses=(Response(text=text, stop_reason="length" if draw.random() < 0.01 else "end"),),
        scores=tuple(_scores(sample, draw, better, ragged=ragged)),
        position=place,
    )


def _scores(sample: Sample, draw: Random, better: float, *, ragged: bool) -> Iterator[Score]:
    share = round(min(draw.random() * (1 + better), 1.0), 4)
    types = sample.tags["types"]
    assert isinstance(types, list)
    parts = len(types) - (ragged and draw.random() < 0.05)
    if draw.random() < 0.02:
        yield Score(metric="right", value=None, reason=draw.choice(("no answer", "unreadable reply")))
    else:
        yield Score(metric="right", value=float(draw.random() < 0.5 + better))
    known = Score(metric="share", value=share)
    is_partial = draw.random() < 0.03
    yield from bounded(known, least=share / 2 if is_partial else share, most=share)
    yield Score(metric="length", value=float(draw.randrange(20, 300)))
    yield from (Score(metric="part", value=float(draw.random() < 0.6 + better)) for _ in range(parts))


def _write(store: Store, run: Run, rows: list[Row]) -> None:
    kept = []
    for row in rows:
        request = generation(Prompt(content=str(row.sample.prompt)), SamplingParameters(max_tokens=100))
        key = answer_key(run.fingerprint, request)
        (answer,) = row.responses
        kept.append(KeptAnswer(key=key, fingerprint=run.fingerprint, request=request, answer=answer))
    store.answers.keep(kept)
    whole = [
        replace(row, responses=(replace(each.answer, key=each.key),))
        for row, each in zip(rows, kept, strict=True)
    ]
    store.runs.keep_rows(run.id, [(row.position, row) for row in whole])
