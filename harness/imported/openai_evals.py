"""Reads OpenAI evals' log: a line of specification, events of samples, and a final report.

Read against evals 3.0.1 (`evals/record.py`, `evals/cli/oaieval.py`). The report may stand before the last
events, which are written when the process ends. Events of several samples stand among each other, for threads
ask them; a sample's id is its place in the data that the specification names. `match` events and the numbers
of `metrics` events are scores, and a sample with an `error` event is unscored. The version of evals, the
samples themselves, and how completion functions sample are not in the log.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.files import log_lines
from harness.imported.fields import (
    as_number,
    as_object,
    as_prompt,
    beginning,
    digest,
    digest_of_all,
    in_one_line,
    last_part,
    together,
)
from harness.imported.score_tally import ScoreTally, metrics_of, not_scored, other_means, scored, tallied
from harness.imported.tasks import ImportedTask
from harness.records.answers import Response, Row, Sample, Score

TOOL = "OpenAI evals"
BEGINS = re.compile(r'\s*\{\s*"spec"\s*:\s*\{')
NEEDED = ("run_id", "event_id", "sample_id", "type", "data")
MATCH = "match"
"""The type of events that say whether an answer is right, and what their metric is called here."""
ITS_REPORT = {MATCH: "accuracy"}
"""What the final report calls the mean of a metric where it has another name."""

Event = Mapping[str, Any]


def is_openai_evals(file: Path) -> bool:
    """Whether a file begins with the specification of a run."""
    return file.suffix == ".jsonl" and BEGINS.match(beginning(file)) is not None


def read_openai_evals(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The evaluations in these files that are wanted by their names; of each model's the latest.

    Raises DataError for logs without a final report, of two runs, and for lines that are no events.
    """
    latest: dict[tuple[str, str], tuple[str, Path, Mapping[str, Any]]] = {}
    for file in files:
        spec = _spec(file)
        if wanted(spec["eval_name"]):
            key = _model_of(spec), spec["eval_name"]
            found = str(spec.get("created_at", "")), file, spec
            latest[key] = max(latest.get(key, found), found, key=lambda each: each[0])
    yield from (_task(file, spec) for _, file, spec in latest.values())


def _spec(file: Path) -> dict[str, Any]:
    """The specification of a log's run."""
    _, first = next(log_lines(file))
    spec, needed = as_object(first.get("spec")), ("run_id", "eval_name", "completion_fns")
    missing = [key for key in needed if not spec.get(key)]
    if missing or not isinstance(spec["completion_fns"], list):
        raise DataError(str(file), 1, f"spec: {', '.join(missing) or 'a list of completion_fns'} is missing")
    return {**spec, "eval_name": in_one_line(spec["eval_name"])}


def _model_of(spec: Mapping[str, Any]) -> str:
    """What was asked; the last of several completion functions grades."""
    functions = list(map(str, spec["completion_fns"]))
    return "+".join(functions[:-1] or functions)


@dataclass(slots=True)
class _Seen:
    """What a first reading finds."""

    last: dict[str, int] = field(default_factory=dict)
    """Each sample's last line, in the order in which the samples begin."""
    event: int = -1
    """The latest event's number."""
    scored: dict[str, None] = field(default_factory=dict)
    """What events hold, in the order in which it comes."""
    refused: set[str] = field(default_factory=set)
    """What `metrics` events hold beside numbers."""
    sampled: set[str] = field(default_factory=set)
    several: set[str] = field(default_factory=set)
    """Samples with more than one `sampling`."""
    asked: list[bytes] = field(default_factory=list)
    """Digests of the first prompt of each sample."""
    expected: list[bytes] = field(default_factory=list)
    """Digests of what would be right."""
    report: Mapping[str, Any] | None = None


def _task(file: Path, spec: Mapping[str, Any]) -> ImportedTask:
    seen = _first_reading(file, spec["run_id"])
    config = as_object(spec.get("run_config"))
    how = as_object(config.get("eval_spec"))
    functions, seed = spec["completion_fns"], config.get("seed")
    path, task = _model_of(spec), spec["eval_name"]
    names = [name for name in seen.scored if name not in seen.refused]
    tallies = tallied(_rows(file, seen, names), names)
    return ImportedTask(
        tool=TOOL,
        family="openai_evals",
        path=path,
        model=last_part(path),
        task=task,
        version=task.rpartition(".")[2] if task.count(".") > 1 else "unknown",
        files=(file,),
        data_hash=digest_of_all([*seen.last, *seen.expected]),
        size=len(seen.last),
        metrics=metrics_of(tallies),
        settings={
            "class": how.get("cls"),
            "arguments": {str(key): value for key, value in as_object(how.get("args")).items()},
            "grader": str(functions[-1]) if len(functions) > 1 else None,
        },
        seed=seed if isinstance(seed, int) else 0,
        described={"prompts": digest_of_all(seen.asked)} if seen.asked else {},
        chat_template=None,
        notes=(*not_scored(task, _rows(file, seen, names), tallies), *_notes(task, seen, tallies)),
        rows=partial(_rows, file, seen, scored(tallies)),
    )


def _first_reading(file: Path, run_id: str) -> _Seen:
    """Check every line, and note what rows need of the whole."""
    seen = _Seen()
    for number, line in _after_the_first(file):
        if "spec" in line:
            raise DataError(str(file), number, "begins a second run: take the two apart")
        if "final_report" in line or line.get("type") == "final_report":
            if seen.report is not None:
                raise DataError(str(file), number, "is a second final report: the file holds two runs")
            seen.report = as_object(line.get("final_report", line.get("data")))
        else:
            _check(file, number, line, run_id, seen.event)
            _note(seen, number, line)
    if seen.report is None:
        raise DataError(
            str(file), 0, "has no final report: the run did not end, or is not written to its end"
        )
    if not seen.last:
        raise DataError(str(file), 0, "holds no events of samples")
    return seen


def _after_the_first(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return islice(log_lines(file), 1, None)


def _check(file: Path, number: int, line: Event, run_id: str, before: int) -> None:
    """Raise DataError for a line that is no event of this run."""
    missing = [key for key in NEEDED if key not in line]
    if missing:
        raise DataError(str(file), number, f"lacks {', '.join(missing)}, which evals writes")
    if line["run_id"] != run_id:
        raise DataError(str(file), number, f"is of the run {line['run_id']!r}, and the file's is {run_id!r}")
    if line["event_id"] != before + 1:
        message = (
            f"event_id {line['event_id']!r} was to be {before + 1}: events are missing, or stand there twice"
        )
        raise DataError(str(file), number, message)
    shape = isinstance(line["data"], dict) or line["type"] not in (MATCH, "metrics", "sampling", "error")
    if not shape or (line["type"] == MATCH and not isinstance(line["data"].get("correct"), bool)):
        raise DataError(str(file), number, f"is no `{line['type']}` event as evals writes it")


def _note(seen: _Seen, number: int, line: Event) -> None:
    sample, data = str(line["sample_id"]), line["data"]
    seen.event, seen.last[sample] = line["event_id"], number
    for name, value in _values(line):
        seen.scored.setdefault(name)
        if value is not None and as_number(value) is None:
            seen.refused.add(name)
    match line["type"]:
        case "sampling" if sample in seen.sampled:
            seen.several.add(sample)
        case "sampling":
            seen.sampled.add(sample)
            seen.asked.append(bytes.fromhex(digest([sample, data.get("prompt")])))
        case "match":
            seen.expected.append(bytes.fromhex(digest([sample, data.get("expected")])))


def _values(line: Event) -> Iterator[tuple[str, object]]:
    """The scores that an event holds, by metric."""
    if line["type"] == MATCH:
        yield MATCH, line["data"]["correct"]
    elif line["type"] == "metrics":
        yield from line["data"].items()


def _notes(task: str, seen: _Seen, tallies: Mapping[str, ScoreTally]) -> Iterator[str]:
    if seen.refused:
        yield f"{task}: {', '.join(sorted(seen.refused))} left out: no numbers"
    report = as_object(seen.report)
    of_means = {
        ITS_REPORT.get(name, name) if ITS_REPORT.get(name) not in tallies else name for name in tallies
    }
    rest = sorted(key for key in report.keys() - of_means if not key.startswith("usage_"))
    if rest:
        yield f"{task}: of the final report {', '.join(rest)} left out: no mean over samples"
    theirs = {name: as_number(report.get(ITS_REPORT.get(name, name))) for name in tallies}
    yield from other_means(
        task, tallies, {k: v for k, v in theirs.items() if v is not None}, "the final report"
    )
    if seen.several:
        yield (
            f"{task}: {len(seen.several):,} samples were sampled several times; the first is taken as the "
            "answer, and others are a grader's or later turns"
        )
    yield f"{task}: how {TOOL} sampled, and its version, are not in its files"


# ---------------------------------------------------------------- samples


def _rows(file: Path, seen: _Seen, metrics: Sequence[str]) -> Iterator[Row]:
    for position, sample, numbered in together(_after_the_first(file), _sample_of, seen.last):
        lines = [line for _, line in numbered]
        first: Mapping[str, Any] = next((line["data"] for line in lines if line["type"] == "sampling"), {})
        expected = next((line["data"].get("expected") for line in lines if line["type"] == MATCH), None)
        yield Row(
            sample=Sample(
                id=sample,
                prompt=as_prompt(first.get("prompt", "")),
                target=expected if expected is None or isinstance(expected, str) else str(expected),
            ),
            responses=tuple(_responses(first)),
            scores=tuple(score for name in metrics for score in _scores(name, lines)),
            position=position,
        )


def _sample_of(line: Event) -> str | None:
    """Whose event a line is; None for the final report."""
    return None if line.get("sample_id") is None else str(line["sample_id"])


def _scores(metric: str, lines: Sequence[Event]) -> Iterator[Score]:
    """A sample's scores of a metric, in the order of its events."""
    failed = next((line["data"] for line in lines if line["type"] == "error"), None)
    values = [value for line in lines for name, value in _values(line) if name == metric]
    if failed is not None:
        reason = f"{failed.get('type', 'error')}: {failed.get('message', 'no message')}"
        yield Score(metric=metric, value=None, reason=in_one_line(reason))
    elif not values:
        yield Score(metric=metric, value=None, reason="no event of it in the log")
    else:
        for value in values:
            number = as_number(value)
            yield Score(metric=metric, value=number, reason="evals gave none" if number is None else None)


def _responses(sampling: Mapping[str, Any]) -> Iterator[Response]:
    given, usage = sampling.get("sampled", []), as_object(sampling.get("usage"))
    for text in given if isinstance(given, list) else [given]:
        if isinstance(text, str):
            yield Response(
                text=text,
                stop_reason="end",
                prompt_tokens=int(as_number(usage.get("prompt_tokens")) or 0),
                completion_tokens=int(as_number(usage.get("completion_tokens")) or 0),
            )
