"""Reads Every Eval Ever 0.3.0: an aggregate, `UUID.json`, with its instances, `UUID_samples.jsonl`.

Schemas: `every_eval_ever/schemas` of its wheel, https://github.com/evaleval/every_eval_ever. Every evaluation
that an aggregate names is a task. What the format cannot say, a note says: whether a zero is a score or a
failure, and whether a chat template was applied.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.hashing import file_hash
from harness.errors import DataError
from harness.files import json_object
from harness.imported.every_eval_ever_rows import (
    SCHEMA,
    EvaluationResults,
    SeenInstances,
    first_reading,
    results_of,
    rows_of,
)
from harness.imported.fields import as_object, as_objects, beginning, digest_of_all, in_one_line, last_part
from harness.imported.score_tally import ScoreTally, metrics_of, not_scored, other_means, scored, tallied
from harness.imported.tasks import ImportedTask
from harness.records.models import Json

INSTANCES = "_samples.jsonl"
OWN = "harness"
"""The library of our own files, in which a sample without a score has no row, and a zero is a zero."""


def is_every_eval_ever(file: Path) -> bool:
    """Whether a file begins as an aggregate or as instances do."""
    begins = beginning(file) if file.suffix in (".json", ".jsonl") else ""
    return '"evaluation_id"' in begins and ('"schema_version"' in begins or '"eval_library"' in begins)


def beside_every_eval_ever(file: Path) -> list[Path]:
    """The aggregate of instances that were named."""
    return [_aggregate_of(file)] if file.name.endswith(INSTANCES) else []


def _aggregate_of(file: Path) -> Path:
    return (
        file.with_name(f"{file.name.removesuffix(INSTANCES)}.json") if file.name.endswith(INSTANCES) else file
    )


def read_every_eval_ever(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The evaluations in these files that are wanted by their names; of each model's the latest.

    Raises DataError for another version of the schema, for instances that are missing or are not those of
    their aggregate, and for rows that contradict each other.
    """
    latest: dict[tuple[str, str], tuple[str, ImportedTask]] = {}
    for file in dict.fromkeys(map(_aggregate_of, files)):
        said = _aggregate(file)
        time = str(said.get("evaluation_timestamp") or said.get("retrieved_timestamp"))
        for task in _tasks(file, said, wanted):
            key = task.path, task.task
            latest[key] = max(latest.get(key, (time, task)), (time, task), key=lambda each: each[0])
    yield from (task for _, task in latest.values())


def _aggregate(file: Path) -> dict[str, Any]:
    if not file.is_file() or file.suffix != ".json":
        raise DataError(str(file), 0, f"is no aggregate: instances, UUID{INSTANCES}, stand beside UUID.json")
    said = json_object(file)
    if said.get("schema_version") != SCHEMA:
        found = said.get("schema_version", "unknown")
        raise DataError(
            str(file), 0, f"is version {found} of the schema, and {SCHEMA} is read: convert it anew"
        )
    results = as_objects(said.get("evaluation_results"))
    if not results or not all(map(_is_named, results)):
        raise DataError(str(file), 0, "evaluation_results: a list of results with names was expected")
    keys = Counter((each["evaluation_name"], each.get("evaluation_result_id")) for each in results)
    for (name, given), times in keys.items():
        if times > 1:
            message = f"several of {name!r} have the id {given!r}, so that rows cannot say which they are of"
            raise DataError(str(file), 0, f"evaluation_results: {message}")
    if not isinstance(as_object(said.get("model_info")).get("id"), str):
        raise DataError(str(file), 0, "model_info.id: a text was expected")
    return said


def _is_named(result: Mapping[str, Any]) -> bool:
    given = result.get("evaluation_result_id")
    return isinstance(result.get("evaluation_name"), str) and isinstance(given, str | None)


def _tasks(file: Path, said: Mapping[str, Any], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    results = results_of(said)
    chosen = [each for name, each in results.items() if wanted(name)]
    if chosen and not said.get("detailed_evaluation_results"):
        yield from (_task(file, None, said, each, SeenInstances()) for each in chosen)
    elif chosen:
        instances = _instances(file, said)
        seen = first_reading(instances, said, results)
        yield from (_task(file, instances, said, each, seen[each.name]) for each in chosen)


def _instances(file: Path, said: Mapping[str, Any]) -> Path:
    """The file of instances, beside the aggregate or where that says, and as it was when that was written."""
    detailed = as_object(said["detailed_evaluation_results"])
    named = Path(str(detailed.get("file_path", "")))
    places = [file.with_name(named.name), *(folder / named for folder in file.parents)] if named.name else []
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DataError(str(file), 0, f"its instances, {named.name or 'a file'}, are not beside it")
    written, checked = detailed.get("checksum"), detailed.get("hash_algorithm", "sha256") == "sha256"
    if written and checked and written != file_hash(found):
        raise DataError(
            str(found),
            0,
            f"has another SHA-256 than {file.name} says: it was changed, or not written to its end",
        )
    return found


def _task(
    file: Path,
    instances: Path | None,
    said: Mapping[str, Any],
    results: EvaluationResults,
    seen: SeenInstances,
) -> ImportedTask:
    library, model = as_object(said.get("eval_library")), said["model_info"]
    first = next(each for each in said["evaluation_results"] if each["evaluation_name"] == results.name)
    alone = f"{results.name}: {file.name} is an aggregate without instances, so there is nothing to pair"
    names = [*results.metrics.values()] if instances else []
    tallies = tallied(rows_of(instances, results, seen, names), names) if instances else {}
    return ImportedTask(
        tool=in_one_line(" ".join(str(library.get(key, "unknown")) for key in ("name", "version"))),
        family="every_eval_ever",
        path=model["id"],
        model=last_part(model["id"]),
        task=in_one_line(results.name),
        version=f"Every Eval Ever {SCHEMA}",
        files=(file, instances) if instances else (file,),
        data_hash=digest_of_all(seen.documents),
        size=len(seen.last),
        metrics=metrics_of(tallies, lower=results.lower),
        settings=_settings(first),
        seed=0,
        described=_described(model, seen),
        chat_template=None,
        notes=tuple(_notes(instances, results, seen, tallies, library)) if instances else (alone,),
        rows=partial(rows_of, instances, results, seen, scored(tallies)) if instances else lambda: iter(()),
    )


def _settings(result: Mapping[str, Any]) -> dict[str, Json]:
    """Of all results of an evaluation the first one's: they are of the same answers."""
    source, config = as_object(result.get("source_data")), as_object(result.get("generation_config"))
    arguments = as_object(config.get("generation_args"))
    return {
        "dataset": {
            key: source[key] for key in ("dataset_name", "hf_repo", "hf_split", "url") if key in source
        },
        "generation": {
            key: value
            for key, value in arguments.items()
            if key != "execution_command" and value is not None  # which names the model
        },
        "more": dict(as_object(config.get("additional_details"))),
    }


def _described(model: Mapping[str, Any], seen: SeenInstances) -> dict[str, Json]:
    details = {key: str(value) for key, value in as_object(model.get("additional_details")).items()}
    return {
        "prompts": digest_of_all(seen.asked),
        "dtype": details.get("dtype", "unknown").removeprefix("torch."),
        "inference": dict(as_object(model.get("inference_engine"))),
        "details": details,
    }


def _notes(
    instances: Path,
    results: EvaluationResults,
    seen: SeenInstances,
    tallies: Mapping[str, ScoreTally],
    library: Mapping[str, Any],
) -> Iterator[str]:
    name = results.name
    yield from not_scored(name, rows_of(instances, results, seen, [*tallies]), tallies)
    if seen.unnamed:
        yield f"{name}: {seen.unnamed:,} rows name no result: unscored, whatever number is in them"
    for metric, tally in tallies.items():
        if tally.zeros and library.get("name") != OWN:
            yield (
                f"{name}: {tally.zeros:,} of {tally.count:,} {metric} are exactly 0, which is also written "
                "where nothing could be scored: the format has no place for that"
            )
    yield from other_means(name, tallies, results.means, "the aggregate")
    yield f"{name}: whether a chat template was applied is not in the files"
