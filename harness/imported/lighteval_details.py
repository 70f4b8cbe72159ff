"""Reads what lighteval writes with `--save-details`: its results, and each task's details as Parquet.

Read against 0.13 (`lighteval/logging/evaluation_tracker.py`). A task is named with its examples, `arc|5`, and
documents are paired by their number in the split and by what they ask (see `pairing`): `--max-samples` draws
them in another order, and the hashes of full prompts that lighteval writes are of nothing. Metrics of the
whole corpus are left out by name. Whether a chat template was applied, why answers ended and the version of
lighteval are not in its files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.given_answers import GivenAnswer
from harness.errors import DataError
from harness.files import json_object, parquet_rows
from harness.imported.fields import as_object, digest_of_all, last_part, together
from harness.imported.lighteval_conditions import LightevalConditions, definition_of
from harness.imported.lighteval_files import DETAILS, RESULTS, results_of
from harness.imported.lighteval_reading import LightevalReading, declared_metrics
from harness.imported.lighteval_rows import (
    COLUMNS,
    LightevalDetail,
    answer_of,
    choices_of,
    instructions_of,
    read_detail,
    row_of,
)
from harness.imported.score_tally import metrics_of
from harness.imported.tasks import ImportedTask
from harness.records.answers import Row

DOCUMENTS: Mapping[str, Callable[[LightevalDetail], Mapping[str, Any]]] = {
    "ifeval": instructions_of,
    "truthfulqa:mc": choices_of,
}
"""How documents become those of a suite of ours, by the task."""
UNSAID = (
    "lighteval's files do not say whether a chat template was applied: it applies one where the tokenizer "
    "has one"
)


def read_lighteval(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The tasks in these files that are wanted by their names; of each model's the latest.

    Raises DataError for results without details, details without results, and what lighteval 0.13 does not
    write so.
    """
    given = {named["time"]: file for file in files if (named := RESULTS.fullmatch(file.name))}
    found = [(file, named) for file in sorted(files) if (named := DETAILS.fullmatch(file.name))]
    if not found:
        raise DataError(
            str(files[0]),
            0,
            "lighteval's results without details: run it with --save-details, so that there is something "
            "to pair",
        )
    latest: dict[tuple[str, str], tuple[str, Path, Path]] = {}
    for file, named in found:
        task = named["task"]
        if wanted(task) or wanted(definition_of(task)):
            results = results_of(file, named["time"], given)
            key = _model_of(json_object(results)), task
            latest[key] = max(latest.get(key, ("", file, results)), (named["time"], file, results))
    models = set[str]()
    for (model, task), (_, file, results) in latest.items():
        yield _task(task, file, results, first=model not in models)
        models.add(model)


def _model_of(said: Mapping[str, Any]) -> str:
    general = as_object(said.get("config_general"))
    found = general.get("model_name") or as_object(general.get("model_config")).get("model_name")
    return str(found or "model")


def _task(task: str, details: Path, results: Path, *, first: bool) -> ImportedTask:
    """A task; with the `first` of its model that is said which holds for all of them."""
    said = json_object(results)
    general = as_object(said.get("config_general"))
    config = as_object(as_object(said.get("config_tasks")).get(task))
    asked = LightevalConditions(task, as_object(general.get("model_config")), config)
    reading = LightevalReading(declared_metrics(config.get("metrics")))
    for number, detail in _lines(details):
        reading.add(number, detail)
    if not reading.keys:
        raise DataError(str(details), 0, "holds no documents")
    means = as_object(as_object(said.get("results")).get(task))
    metrics = metrics_of(reading.kept, lower=reading.lower)
    as_ours = asked.definition in DOCUMENTS and asked.shots == 0 and reading.draws <= 1
    path, commit = _model_of(said), str(general.get("lighteval_sha") or "?")
    return ImportedTask(
        tool=f"lighteval {'of unknown version' if commit == '?' else f'at {commit[:12]}'}",
        family="lighteval",
        path=path,
        model=last_part(path),
        task=task,
        definition=asked.definition if as_ours else None,
        version=str(config.get("version", "unknown")),
        files=(results, details),
        data_hash=digest_of_all(reading.last),
        size=len(reading.last),
        metrics=metrics,
        settings=asked.settings(writes=reading.draws > 0),
        asked_otherwise=asked.asked_otherwise(writes=reading.draws > 0),
        seed=asked.seed,
        described=asked.described,
        chat_template=None if asked.template is False else "the tokenizer's, where it has one",
        notes=(*([UNSAID] if first and asked.template is None else []), *reading.notes(task, means)),
        rows=partial(_rows, details, reading, [metric.name for metric in metrics]),
        documents=partial(_documents, details, asked.definition),
        answers=partial(_answers, details),
    )


def _lines(details: Path) -> Iterator[tuple[int, LightevalDetail]]:
    first = None
    for number, given in parquet_rows(details, COLUMNS):
        detail = read_detail(str(details), number, given)
        first = first or detail.doc.task_name
        if detail.doc.task_name != first:
            raise DataError(
                str(details),
                number,
                f"is of the task {detail.doc.task_name!r}, and the rows before it of {first!r}: "
                "lighteval writes a file for each",
            )
        yield number, detail


def _rows(details: Path, reading: LightevalReading, metrics: Sequence[str]) -> Iterator[Row]:
    lines = ((number, (reading.keys[number - 1], detail)) for number, detail in _lines(details))
    for position, key, found in together(lines, lambda line: line[0], reading.last):
        yield row_of(position, key, [detail for _, (_, detail) in found], metrics)


def _documents(details: Path, definition: str) -> list[Mapping[str, Any]]:
    return [DOCUMENTS[definition](detail) for _, detail in _lines(details)]


def _answers(details: Path) -> list[GivenAnswer]:
    return [answer_of(detail, details.name) for _, detail in _lines(details)]
