"""The instances of Every Eval Ever: rows of one sample and one result each, checked and put together.

A sample with several metrics has several rows; `evaluation_result_id` says of which result each is. There is
no place for a sample without a score: lm-eval's converter writes 0 there, in a row that names no result, and
such rows are unscored. Samples are paired by lm-eval's hash of the document where its converter kept it, and
by `sample_id` elsewhere; `sample_hash` changes with the template.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.engine.given_answers import STOP_REASONS
from harness.errors import DataError
from harness.files import log_lines
from harness.imported.fields import (
    as_list,
    as_number,
    as_object,
    as_objects,
    as_text,
    canonical,
    in_one_line,
    together,
)
from harness.records.answers import Response, Row, Sample, Score

SCHEMA = "0.3.0"
NEEDED = ("evaluation_id", "evaluation_name", "sample_id", "input", "evaluation")
UNKNOWN_LEVEL = -1
"""The score that stands for "unknown" where a metric has levels."""

Instance = Mapping[str, Any]
Key = tuple[str, str]
"""A sample: lm-eval's hash of its document, or nothing, and its id."""


@dataclass(frozen=True, slots=True)
class EvaluationResults:
    """What an aggregate says of one evaluation by name: its metrics."""

    name: str
    metrics: Mapping[str | None, str]
    """By the result's id, under which rows name it; None: rows need not name the only one."""
    lower: frozenset[str]
    """The metrics of which less is better."""
    with_unknown: frozenset[str]
    """The metrics that have levels, one of them for "unknown"."""
    means: Mapping[str, float]


def results_of(said: Mapping[str, Any]) -> dict[str, EvaluationResults]:
    """The evaluations of an aggregate."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for result in said["evaluation_results"]:
        by_name.setdefault(result["evaluation_name"], []).append(result)
    return {name: _results(name, results, str(said["evaluation_id"])) for name, results in by_name.items()}


def _results(name: str, results: Sequence[Mapping[str, Any]], evaluation: str) -> EvaluationResults:
    ids = [result.get("evaluation_result_id") for result in results]
    called = [_called(result) for result in results]
    names = [
        metric if called.count(metric) == 1 else str(given).removeprefix(f"{evaluation}#")
        for given, metric in zip(ids, called, strict=True)
    ]
    configs = {
        metric: as_object(each.get("metric_config")) for metric, each in zip(names, results, strict=True)
    }
    scores = [as_number(as_object(each.get("score_details")).get("score")) for each in results]
    return EvaluationResults(
        name=name,
        metrics=dict(zip(ids, names, strict=True)),
        lower=frozenset(each for each, config in configs.items() if config.get("lower_is_better") is True),
        with_unknown=frozenset(
            each for each, config in configs.items() if config.get("has_unknown_level") is True
        ),
        means={metric: score for metric, score in zip(names, scores, strict=True) if score is not None},
    )


def _called(result: Mapping[str, Any]) -> str:
    config = as_object(result.get("metric_config"))
    known = [config.get(key) for key in ("metric_name", "metric_id", "evaluation_description")]
    return str(next(filter(None, [*known, result.get("evaluation_result_id")]), "score"))


# ---------------------------------------------------------------- a first reading


@dataclass(slots=True)
class SeenInstances:
    """What a first reading of the rows finds of one evaluation."""

    last: dict[Key, int] = field(default_factory=dict)
    """Each sample's last row, in the order in which the samples begin."""
    documents: list[bytes] = field(default_factory=list)
    """Digests of what is asked, as far as it does not depend on how."""
    asked: list[bytes] = field(default_factory=list)
    """Digests of the prompts, as they were sent."""
    unnamed: int = 0
    """Rows that name no result, though the results have names."""


def first_reading(
    instances: Path, said: Mapping[str, Any], results: Mapping[str, EvaluationResults]
) -> dict[str, SeenInstances]:
    """Check every row by itself. Raises DataError for rows that are missing, or not of this aggregate."""
    found = {name: SeenInstances() for name in results}
    count = 0
    for number, row in log_lines(instances):
        count += 1
        problem = _problem(row, said, results)
        if problem is not None:
            raise DataError(str(instances), number, problem)
        _note(found[row["evaluation_name"]], number, row, results[row["evaluation_name"]])
    expected = as_object(said["detailed_evaluation_results"]).get("total_rows")
    if isinstance(expected, int) and expected != count:
        message = f"holds {count:,} of the {expected:,} rows that the aggregate speaks of"
        raise DataError(str(instances), 0, message)
    return found


def _problem(row: Instance, said: Mapping[str, Any], results: Mapping[str, EvaluationResults]) -> str | None:
    """Why a row is no instance of this aggregate; None where it is one."""
    missing = [key for key in NEEDED if key not in row]
    if missing:
        return f"lacks {', '.join(missing)}, which the schema requires"
    if row.get("schema_version", SCHEMA) != SCHEMA:
        return f"is version {row['schema_version']} of the schema, and {SCHEMA} is read"
    if row["evaluation_id"] != said["evaluation_id"]:
        return (
            f"is of the evaluation {row['evaluation_id']!r}, and the aggregate of {said['evaluation_id']!r}"
        )
    if as_text(row["evaluation_name"]) not in results:
        return f"is of {row['evaluation_name']!r}, of which the aggregate has no result"
    named = row.get("evaluation_result_id")
    if named is not None and as_text(named) not in results[row["evaluation_name"]].metrics:
        return f"is of the result {named!r}, which the aggregate lacks"
    if not isinstance(row["input"], dict) or not isinstance(row["evaluation"], dict):
        return "`input` and `evaluation`: objects were expected"
    given = (
        row["input"].get("reference"),
        row["input"].get("choices"),
        as_object(row.get("output")).get("raw"),
    )
    if not all(isinstance(each, list | None) for each in given):
        return "input.reference, input.choices and output.raw: lists were expected"
    score = row["evaluation"].get("score")
    return (
        None if score is None or as_number(score) is not None else f"evaluation.score: {score!r} is no number"
    )


def _note(seen: SeenInstances, number: int, row: Instance, results: EvaluationResults) -> None:
    key, asked = _key(row), row["input"]
    if key not in seen.last:
        document = key[0] or canonical([key[1], asked.get("reference"), asked.get("choices")])
        sent = asked.get("formatted") or asked.get("raw")
        seen.documents.append(sha256(document.encode()).digest())
        seen.asked.append(sha256(f"{document}\n{sent}".encode()).digest())
    seen.last[key] = number
    seen.unnamed += row.get("evaluation_result_id") is None and None not in results.metrics


def _key(row: Instance) -> Key:
    return str(as_object(row.get("metadata")).get("doc_hash") or ""), str(row["sample_id"])


# ---------------------------------------------------------------- samples


def rows_of(
    instances: Path, results: EvaluationResults, seen: SeenInstances, metrics: Sequence[str]
) -> Iterator[Row]:
    """A row of each sample with its scores of these metrics.

    Raises DataError for two scores of one sample and one metric that differ.
    """
    times = Counter(document for document, _ in seen.last)
    own = ((number, row) for number, row in log_lines(instances) if row["evaluation_name"] == results.name)
    for position, (document, sample), numbered in together(own, _key, seen.last):
        first = numbered[0][1]
        short = document[:16] if times[document] == 1 else f"{document[:16]}-{sample}"
        yield Row(
            sample=Sample(
                id=short if document else sample,
                prompt=str(first["input"].get("raw", "")),
                choices=tuple(map(str, first["input"].get("choices") or ())),
                target=" | ".join(map(str, first["input"].get("reference") or ())) or None,
                cluster=as_text(as_object(first.get("metadata")).get("cluster")),
            ),
            responses=tuple(_responses(first)),
            scores=tuple(_scores(instances, numbered, results, metrics)),
            position=position,
        )


def _scores(
    instances: Path,
    numbered: Sequence[tuple[int, Instance]],
    results: EvaluationResults,
    metrics: Sequence[str],
) -> Iterator[Score]:
    """A sample's scores; those of several epochs are its parts."""
    for named, metric in results.metrics.items():
        if metric not in metrics:
            continue
        found: dict[int, tuple[int, Score]] = {}
        for number, row in numbered:
            if row.get("evaluation_result_id") == named:
                score = _score(metric, row, has_unknown=metric in results.with_unknown)
                before, known = found.setdefault(_epoch(row), (number, score))
                if known != score:
                    raise DataError(
                        str(instances),
                        number,
                        f"is a score of {metric} for the sample {row['sample_id']!r}, as row {before} is, "
                        "and the two differ: nothing says which is right",
                    )
        yield from (found[epoch][1] for epoch in sorted(found))
        if not found:
            yield Score(metric=metric, value=None, reason="no row of the sample names this result")


def _epoch(row: Instance) -> int:
    """Which of several draws a row is of, as inspect's converter writes it."""
    written = as_object(row.get("metadata")).get("epoch")
    return int(written) if isinstance(written, str) and written.isdecimal() else 0


def _score(metric: str, row: Instance, *, has_unknown: bool) -> Score:
    value = as_number(row["evaluation"].get("score"))
    if row.get("error"):
        return Score(metric=metric, value=None, reason=in_one_line(row["error"]))
    if has_unknown and value == UNKNOWN_LEVEL:
        return Score(metric=metric, value=None, reason="the level is unknown")
    return Score(metric=metric, value=value, reason="the row has none" if value is None else None)


def _responses(row: Instance) -> Iterator[Response]:
    """The answers of one turn; of a conversation the last."""
    output, usage = as_object(row.get("output")), as_object(row.get("token_usage"))
    turns = [
        each.get("content")
        for each in as_objects(row.get("messages")) or ()
        if each.get("role") == "assistant"
    ]
    thoughts = as_list(output.get("reasoning_trace"))
    ended = STOP_REASONS.get(str(as_object(row.get("metadata")).get("stop_reason")), "end")
    for place, text in enumerate(output.get("raw") or turns[-1:]):
        if isinstance(text, str):
            yield Response(
                text=text,
                stop_reason="length" if ended == "length" else "end",
                prompt_tokens=int(as_number(usage.get("input_tokens")) or 0),
                completion_tokens=int(as_number(usage.get("output_tokens")) or 0),
                thought=as_text(thoughts[place]) if place < len(thoughts) else None,
            )
