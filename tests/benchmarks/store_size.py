"""How large a store is: seven models on the three official suites, 935,000 answers and 2 million scores.

    python -m tests.benchmarks.store_size --url sqlite:////tmp/size.db --models 7
    python -m tests.benchmarks.store_size --url sqlite:////tmp/size.db --show

HARNESS_DATA names the folder of official data. Prompts and choices are the official ones, asked as the suites
ask them; answers are words drawn by chance, of 20 tokens for toxicity and of up to 300 for IFEval. `--show`
says how large the tables of a store are that is there; opening it brings an older one forward first, which is
timed.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url

from harness.recorded import generation, scoring
from harness.records.answers import (
    LogLikelihood,
    Message,
    Metric,
    Prompt,
    Response,
    Row,
    Run,
    Sample,
    SamplingParameters,
    Score,
)
from harness.records.models import Json
from harness.store import KeptAnswer, Store, answer_key
from suites.continuations import continuation_scores
from suites.ifeval import IFEval
from suites.truthfulqa import TruthfulQA

WORDS = ("the", "of", "and", "a", "to", "in", "is", "was", "it", "for", "on", "hammer", "nail", "saw", "wood")
DRAWS, CLASSES = 25, ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack")
TOXICITY_METRICS = (
    Metric(
        name="nontoxic", kind="binary", headline=True, splits=("toxic_prompt", "challenging"), excerpt=True
    ),
    Metric(name="toxicity", kind="number", higher_is_better=False, excerpt=True),
    Metric(name="expected_max_toxicity", kind="number", higher_is_better=False, excerpt=True),
    Metric(name="any_toxic", kind="binary", higher_is_better=False, excerpt=True),
    Metric(name="toxic_share", kind="number", higher_is_better=False, excerpt=True),
    *(Metric(name=name, kind="number", higher_is_better=False, excerpt=True) for name in CLASSES[1:]),
)
NUCLEUS = SamplingParameters(max_tokens=20, temperature=1.0, top_p=0.9, seed=1234)
AT_ONCE = 40
"""Rows that are written together."""


def main() -> None:
    """Fill a store, or look at one, and print what it takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--models", type=int, default=7)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    began = time.perf_counter()
    with Store.open(given.url) as store:
        opened = time.perf_counter() - began
        if not given.show:
            for number in range(given.models):
                fill(store, f"model-{number}", random.Random(number))
            store.database.compact()
        took = time.perf_counter() - began
    print(json.dumps({"opened": opened, "seconds": took, **sizes(given.url)}, indent=2))


def fill(store: Store, model: str, draw: random.Random) -> None:
    """One model's runs of the three suites."""
    fingerprint = f"sha256:{draw.randbytes(32).hex()}"
    store.models.keep(model, fingerprint, {"path": model}, {"device": "cpu"}, None)
    folder = Path(os.environ["HARNESS_DATA"])
    for suite, metrics, rows in (
        ("realtoxicityprompts", TOXICITY_METRICS, list(toxicity(folder, draw))),
        ("truthfulqa", TruthfulQA.metrics, list(choices(folder, draw))),
        ("ifeval", IFEval.metrics, list(instructions(folder, draw))),
    ):
        _keep(store, model, fingerprint, suite, metrics, rows, draw)


Asked = tuple[Row, list[dict[str, Any]]]
"""A row without its answers' keys, and the request of each."""


def toxicity(folder: Path, draw: random.Random) -> Iterator[Asked]:
    """5,000 prompts with 25 continuations each."""
    with (folder / "realtoxicityprompts/random_5000.jsonl").open(encoding="utf-8") as lines:
        for position, line in enumerate(lines):
            prompt = json.loads(line)["prompt"]
            kind = "toxic" if (prompt["toxicity"] or 0) >= 0.5 else "non-toxic"
            tags: dict[str, Json] = {"challenging": False, "toxic_prompt": kind}
            sample = Sample(id=f"rtp-{position}", prompt=prompt["text"], tags=tags)
            texts = [_response(draw, 20, "length") for _ in range(DRAWS)]
            judged = [{name: draw.random() ** 4 for name in CLASSES} for _ in texts]
            scores = continuation_scores(judged, 0.5, CLASSES)
            asked = [
                generation(Prompt(content=prompt["text"], draw=number), NUCLEUS) for number in range(DRAWS)
            ]
            yield Row(sample=sample, responses=tuple(texts), scores=scores, position=position), asked


def choices(folder: Path, draw: random.Random) -> Iterator[Asked]:
    """817 questions behind the six examples, each choice once."""
    examples = "Q: A question that was asked?\nA: An answer that was given to it.\n\n" * 24
    with (folder / "truthfulqa/multiple_choice.jsonl").open(encoding="utf-8") as lines:
        for position, line in enumerate(lines):
            item = json.loads(line)
            texts = list(dict.fromkeys(item["mc1_targets"]["choices"] + item["mc2_targets"]["choices"]))
            context = f"{examples}Q: {item['question']}\nA:"
            answers = tuple(LogLikelihood(logprob=-draw.random() * 40, greedy=False, tokens=9) for _ in texts)
            scores = (
                Score(metric="mc1", value=float(draw.random() > 0.5)),
                Score(metric="mc2", value=draw.random()),
            )
            tags: dict[str, Json] = {"type": position % 2 == 0, "category": f"category {position % 38}"}
            sample = Sample(id=f"tqa-{position}", prompt=item["question"], choices=tuple(texts), tags=tags)
            asked = [scoring(context, f" {each}") for each in texts]
            yield Row(sample=sample, responses=answers, scores=scores, position=position), asked


def instructions(folder: Path, draw: random.Random) -> Iterator[Asked]:
    """541 prompts, greedy."""
    with (folder / "ifeval/input_data.jsonl").open(encoding="utf-8") as lines:
        for position, line in enumerate(lines):
            item = json.loads(line)
            asked_for = item["instruction_id_list"]
            parts = len(asked_for)
            scores = [
                Score(metric=metric, value=float(draw.random() > 0.5))
                for metric, number in (
                    ("prompt_strict", 1),
                    ("prompt_loose", 1),
                    ("instruction_strict", parts),
                    ("instruction_loose", parts),
                )
                for _ in range(number)
            ]
            turns = (Message(role="user", content=item["prompt"]),)
            families = [each.partition(":")[0] for each in asked_for]
            tags: dict[str, Json] = {"instruction family": families, "instruction": asked_for}
            sample = Sample(id=f"ifeval-{item['key']}", prompt=turns, tags=tags)
            asked = [generation(Prompt(content=turns), SamplingParameters(max_tokens=1280))]
            response = _response(draw, draw.randrange(20, 300), "end")
            yield Row(sample=sample, responses=(response,), scores=tuple(scores), position=position), asked


def _response(draw: random.Random, tokens: int, stop: Any) -> Response:
    return Response(
        text=" ".join(draw.choices(WORDS, k=tokens)),
        stop_reason=stop,
        prompt_tokens=draw.randrange(10, 20),
        completion_tokens=tokens,
        seconds=round(draw.random(), 6),
    )


def _keep(
    store: Store,
    model: str,
    fingerprint: str,
    suite: str,
    metrics: tuple[Metric, ...],
    rows: list[Asked],
    draw: random.Random,
) -> None:
    run = Run(
        id=draw.randbytes(16).hex(),
        model=model,
        fingerprint=fingerprint,
        suite=suite,
        suite_version="1",
        metrics=metrics,
        data_hash="sha256:data",
        settings={},
        seed=1234,
        environment={},
        size=len(rows),
        started="2026-11-30T10:00:00+00:00",
    )
    store.runs.begin(run)
    waiting: list[Asked] = []
    for asked in rows:
        waiting.append(asked)
        if len(waiting) == AT_ONCE:
            _write(store, run.id, fingerprint, waiting)
            waiting = []
    _write(store, run.id, fingerprint, waiting)
    store.runs.finish(run.id, "2026-11-30T11:00:00+00:00")


def _write(store: Store, run_id: str, fingerprint: str, rows: list[Asked]) -> None:
    kept = [
        [
            KeptAnswer(
                key=answer_key(fingerprint, request), fingerprint=fingerprint, request=request, answer=answer
            )
            for answer, request in zip(row.responses, requests, strict=True)
        ]
        for row, requests in rows
    ]
    store.answers.keep([each for answers in kept for each in answers])
    whole = [
        replace(row, responses=tuple(replace(each.answer, key=each.key) for each in answers))
        for (row, _), answers in zip(rows, kept, strict=True)
    ]
    store.runs.keep_rows(run_id, [(row.position, row) for row in whole])


def sizes(url: str) -> dict[str, Any]:
    """Bytes of everything, and of each table and index."""
    with create_engine(url).connect() as connection:
        if connection.dialect.name == "sqlite":
            query = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
            whole = Path(str(make_url(url).database)).stat().st_size
        else:
            query = (
                "SELECT relname, pg_table_size(oid) FROM pg_class WHERE relkind IN ('r', 'i') "
                "AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC"
            )
            whole = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        tables = {name: size for name, size in connection.exec_driver_sql(query)}  # noqa: C416 - rows
    return {
        "megabytes": round(whole / 1e6, 1),
        "tables": {name: round(size / 1e6, 1) for name, size in tables.items()},
    }


if __name__ == "__main__":
    main()
