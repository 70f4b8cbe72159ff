"""Reads what `promptfoo eval -o FILE.json` writes: every provider in it is a model.

Read against 0.123.1 (`src/types/index.ts`), whose results are version 3. Tests are paired by template and
variables; what they assert is a condition of their scores. The file is read whole.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.imported.fields import (
    as_number,
    as_object,
    as_objects,
    beginning,
    canonical,
    digest_of_all,
    last_part,
)
from harness.imported.promptfoo_evaluation import VERSION, PromptfooEvaluation, numbered, read_evaluation
from harness.imported.promptfoo_rows import metric_names, rows_of
from harness.imported.score_tally import SAME, ScoreTally, metrics_of, not_scored, scored, tallied
from harness.imported.tasks import ImportedTask
from harness.records.answers import Row
from harness.records.models import Json

SAMPLING = frozenset(
    (
        *("temperature", "top_p", "top_k", "topP", "topK", "seed", "stop", "max_tokens", "maxTokens"),
        *("max_completion_tokens", "max_output_tokens", "maxOutputTokens", "max_new_tokens", "num_predict"),
        *("frequency_penalty", "presence_penalty", "reasoning_effort", "reasoning", "thinking"),
    )
)
"""What of a provider's configuration says how it samples. Other keys may hold secrets, and are not taken."""
ITS_SUMS = {"success": "testPassCount", "score": "score"}
"""Metrics of which the file has sums, by prompt and provider."""


def is_promptfoo(file: Path) -> bool:
    """Whether a file begins as promptfoo's results do."""
    begins = beginning(file) if file.suffix == ".json" else ""
    return '"evalId"' in begins and '"results"' in begins


def read_promptfoo(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The evaluations in these files that are wanted by their names; of each model's the latest.

    Raises DataError for what `read_evaluation` does.
    """
    latest: dict[tuple[str, str], tuple[str, ImportedTask]] = {}
    for file in files:
        evaluation = read_evaluation(file)
        if not wanted(evaluation.name):
            continue
        for task in _tasks(evaluation):
            found = evaluation.time, task
            key = task.path, task.task
            latest[key] = max(latest.get(key, found), found, key=lambda each: each[0])
    yield from (task for _, task in latest.values())


def _tasks(evaluation: PromptfooEvaluation) -> Iterator[ImportedTask]:
    """What the file says of each provider, by its short name where that is no other's."""
    short = {provider: _short(evaluation, provider) for provider in evaluation.results}
    counted = Counter(short.values())
    for provider, name in short.items():
        yield _task(evaluation, provider, name if counted[name] == 1 else provider)


def _short(evaluation: PromptfooEvaluation, provider: str) -> str:
    """A label as people wrote it; of an id what is behind the folders and the service."""
    results = (result for draws in evaluation.results[provider].values() for result in draws)
    is_label = bool(as_object(next(results).get("provider")).get("label"))
    return provider if is_label and provider.isprintable() else last_part(provider)


def _task(evaluation: PromptfooEvaluation, provider: str, name: str) -> ImportedTask:
    by_test = evaluation.results[provider]
    names = metric_names([evaluation.tests[key] for key in by_test])
    rows = list(rows_of(evaluation, provider, names))
    tallies = tallied(rows, names)
    version = as_object(evaluation.said.get("metadata")).get("promptfooVersion", "of unknown version")
    return ImportedTask(
        tool=f"promptfoo {version}",
        family="promptfoo",
        path=provider,
        model=name,
        task=evaluation.name,
        version=f"results {VERSION}",
        files=(evaluation.file,),
        data_hash=digest_of_all(row.sample.id for row in rows),
        size=len(rows),
        metrics=metrics_of(tallies, splits=_splits([row.sample.tags for row in rows])),
        settings={
            "assertions": digest_of_all(f"{evaluation.tests[key].id} {key}" for key in by_test),
            "repeat": max(map(len, by_test.values())),
        },
        seed=0,
        described=_described(evaluation, provider),
        chat_template=None,
        notes=tuple(_notes(evaluation, provider, rows, tallies)),
        rows=partial(_read_again, evaluation.file, provider, scored(tallies)),
        shared=len(evaluation.results) > 1,
    )


def _read_again(file: Path, provider: str, names: Sequence[str]) -> Iterator[Row]:
    return rows_of(read_evaluation(file), provider, names)


def _splits(tags: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """The tags that every test has, with several values, though not one for each test."""
    shared = set.intersection(*(set(each) for each in tags))
    return tuple(sorted(name for name in shared if 1 < len({str(each[name]) for each in tags}) < len(tags)))


def _described(evaluation: PromptfooEvaluation, provider: str) -> dict[str, Json]:
    """How the provider samples, as far as its configuration says it."""
    configured = dict(_configured(evaluation.config.get("providers")))
    if provider not in configured:
        return {}
    config = as_object(configured[provider].get("config"))
    sampling = {key: config[key] for key in sorted(SAMPLING & config.keys())}
    return {
        "provider": str(configured[provider].get("id")),
        "sampling": canonical(sampling) if sampling else "the provider's",
    }


def _configured(providers: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each provider under its name, of `ID`, `{id: ID, ...}` or `{ID: {...}}`."""
    seen: Counter[str] = Counter()
    for each in providers if isinstance(providers, list) else ():
        options = {"id": each} if isinstance(each, str) else as_object(each)
        if "id" not in options and len(options) == 1:
            [(key, inner)] = options.items()
            options = {"id": key, **as_object(inner)}
        name = str(options.get("label") or options.get("id"))
        seen[name] += 1
        yield numbered(name, seen[name]), options


def _notes(
    evaluation: PromptfooEvaluation, provider: str, rows: Sequence[Row], tallies: Mapping[str, ScoreTally]
) -> Iterator[str]:
    task = evaluation.name
    yield from not_scored(task, rows, tallies)
    bare = sum(not evaluation.tests[key].asserts for key in evaluation.results[provider])
    if bare:
        yield f"{task}: {bare:,} of {len(rows):,} tests assert nothing, and pass whatever is answered"
    derived = as_objects(evaluation.config.get("derivedMetrics")) or []
    if derived:
        names = ", ".join(str(each.get("name")) for each in derived)
        yield f"{task}: {names} left out: derived from the whole, and no mean over tests"
    for metric in scored(tallies):
        of = sum(any(score.metric == metric for score in row.scores) for row in rows)
        if of < len(rows):
            yield f"{task}: {metric} is of {of:,} of the {len(rows):,} tests"
    yield from _other_sums(evaluation, provider, tallies)


def _other_sums(
    evaluation: PromptfooEvaluation, provider: str, tallies: Mapping[str, ScoreTally]
) -> Iterator[str]:
    """Where the sums of a provider's scores are not those that the file has."""
    task = evaluation.name
    own = zip(evaluation.prompts, evaluation.providers, strict=True)
    figures = [as_object(prompt.get("metrics")) for prompt, whose in own if whose == provider]
    for metric, key in ITS_SUMS.items():
        theirs, ours = [as_number(each.get(key)) for each in figures], tallies[metric].total
        if None not in theirs and abs((written := sum(filter(None, theirs))) - ours) > SAME * max(1.0, ours):
            yield (
                f"{task}: {metric} sums to {written:.6g} for {provider} in the file's own figures, and to "
                f"{ours:.6g} over its results"
            )
