"""Every Eval Ever 0.3.0: a JSON file of aggregates and a JSONL file of instances for each run.

The format is https://github.com/evaleval/every_eval_ever at 9bce413 (`schemas/eval.schema.json`), in the
layout of its datastore: `data/COLLECTION/DEVELOPER/MODEL/UUID.json`, and `UUID_samples.jsonl` beside it. The
UUID is made of the run's id, so that the same run is the same file. What the format has no place for is said.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Any
from uuid import UUID

from harness.comparison.comparability import from_files
from harness.errors import UsageError
from harness.pluralize import pluralize
from harness.records.answers import Metric, Run
from harness.records.models import Json
from reports.board import MetricSummary
from reports.every_eval_ever_instances import SCHEMA_VERSION, InstanceCounts, instances
from reports.exported import Exported, file_name
from reports.whole_files import WholeFiles
from reports.wording import could_be, cut_short

LOCAL = "local"
"""The developer of models that are of no hub: the format wants one, and `unknown` is refused."""
UNKNOWN = "unknown"
DEPLOYED = {"local": "self_deployed", "vllm": "self_deployed", "gemini": "externally_managed"}
"""Who runs a model, by the name of its engine."""
SAMPLED = ("temperature", "top_p", "top_k", "max_tokens")
"""Sampling parameters that have a place of their own."""
PLACEHOLDERS = (
    f"models that are of no hub are called {LOCAL}/NAME, the organisation {UNKNOWN!r} and its relation to "
    "models' developers 'other': set them before you publish"
)


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """Two files for each run that has scores. Raises UsageError where none has."""
    seen = InstanceCounts()
    notes = []
    for run in exported.runs:
        measured = {
            metric.name: found for metric, found in zip(run.metrics, exported.measured(run), strict=True)
        }
        if any(found.value is not None for found in measured.values()):
            _write_run(exported, files, run, measured, seen)
        else:
            notes.append(f"{run.suite} of {run.model}: left out, it has no scores")
    if not files.paths:
        raise UsageError(f"every-eval-ever: there is nothing to write ({'; '.join(notes)})")
    return *notes, *_without_place(exported, seen), PLACEHOLDERS


def _write_run(
    exported: Exported,
    files: WholeFiles,
    run: Run,
    measured: Mapping[str, MetricSummary],
    seen: InstanceCounts,
) -> None:
    created = f"{datetime.fromisoformat(exported.created).timestamp():.0f}"
    model_id = exported.hub_model(run) or f"{LOCAL}/{file_name(run.model)}"
    collection, named = (_component(each) for each in (run.suite, model_id.partition("/")[2]))
    evaluation_id = f"{collection}/{model_id}/{created}"
    folder = f"data/{collection}/{_component(model_id.partition('/')[0])}/{named}"
    uuid = UUID(bytes=sha256(run.id.encode()).digest()[:16], version=4)
    samples = f"{folder}/{uuid}_samples.jsonl"
    checksum, before = sha256(), seen.lines
    with files.partial(samples).open("wb") as file:
        for line in instances(run, exported.rows(run), evaluation_id, model_id, seen):
            written = f"{line}\n".encode()
            checksum.update(written)
            file.write(written)
    aggregate = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        "evaluation_timestamp": _epoch(run.started),
        "retrieved_timestamp": created,
        "source_metadata": _source(exported, run),
        "eval_library": _library(run),
        "model_info": _model(exported, run, model_id),
        "evaluation_results": [
            _result(exported, run, metric, measured[metric.name])
            for metric in run.metrics
            if measured[metric.name].value is not None
        ],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": samples,
            "hash_algorithm": "sha256",
            "checksum": checksum.hexdigest(),
            "total_rows": seen.lines - before,
        },
    }
    files.write(f"{folder}/{uuid}.json", json.dumps(aggregate, indent=2, allow_nan=False) + "\n")


def _component(name: str) -> str:
    """A part of a path in the datastore, where `data` is reserved."""
    found = file_name(name)
    return f"{found}_" if found == "data" else found


def _epoch(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).timestamp():.0f}"


# ---------------------------------------------------------------- the parts of an aggregate


def _source(exported: Exported, run: Run) -> dict[str, Json]:
    details = {"label": exported.label, "answers": from_files(run)}
    return {
        "source_name": "harness",
        "source_type": "evaluation_run",
        "source_organization_name": UNKNOWN,
        "evaluator_relationship": "other",
        **_details(details),
    }


def _library(run: Run) -> dict[str, Json]:
    return {
        "name": "harness",
        "version": version("harness"),
        **_details({"suite_version": run.suite_version, "answers_by": _engine(run).get("tool")}),
    }


def _model(exported: Exported, run: Run, model_id: str) -> dict[str, Json]:
    engine = str(_engine(run).get("engine", UNKNOWN))
    return {
        "name": run.model,
        "id": model_id,
        "developer": model_id.partition("/")[0],
        "inference_engine": {"name": engine},
        "additional_details": {
            "deployment_type": DEPLOYED.get(engine, UNKNOWN),
            "model_availability": "open_weights" if exported.hub_model(run) else UNKNOWN,
            "fingerprint": run.fingerprint,
        },
    }


def _engine(run: Run) -> Mapping[str, Json]:
    engine = run.environment.get("engine")
    return engine if isinstance(engine, Mapping) else {}


def _result(exported: Exported, run: Run, metric: Metric, found: MetricSummary) -> dict[str, Json]:
    dataset = exported.dataset(run)
    source: dict[str, Json] = {"dataset_name": run.suite, "source_type": "other"}
    if dataset is not None:
        source |= {"source_type": "hf_dataset", "hf_repo": dataset.repository}
    config = dataset.config if dataset else None
    return {
        "evaluation_result_id": metric.name,
        "evaluation_name": run.suite,
        "evaluation_timestamp": _epoch(run.started),
        "source_data": {**source, **_details({"data_hash": run.data_hash, "config": config})},
        "metric_config": _metric(run, metric),
        "score_details": _score(found),
        "generation_config": _generation(run),
    }


def _metric(run: Run, metric: Metric) -> dict[str, Json]:
    """The metric; a range is given where it has one by its nature."""
    within_0_and_1 = metric.kind == "binary" or metric.headline
    return {
        **({"evaluation_description": metric.note} if metric.note else {}),
        "metric_id": f"{run.suite}.{metric.name}",
        "metric_name": metric.name,
        **({"metric_unit": "proportion"} if metric.kind == "binary" else {}),
        "lower_is_better": not metric.higher_is_better,
        **({"score_type": "continuous", "min_score": 0.0, "max_score": 1.0} if within_0_and_1 else {}),
        **_details({"kind": metric.kind, "headline": str(metric.headline).lower()}),
    }


def _score(found: MetricSummary) -> dict[str, Json]:
    uncertainty: dict[str, Json] = {"num_samples": found.n}
    if found.interval is not None:
        low, high, level = found.interval.low, found.interval.high, found.interval.level
        uncertainty["confidence_interval"] = {"lower": low, "upper": high, "confidence_level": level}
    details = {
        "scores": str(found.scores),
        "unscored": str(found.unscored),
        "bounds": could_be(found.bounds) if found.bounds else None,
        "cut_answers": cut_short(found.cut) if found.cut else None,
    }
    said = {name: value for name, value in details.items() if value is not None}
    return {"score": found.value, "uncertainty": uncertainty, "details": said}


def _generation(run: Run) -> dict[str, Any]:
    sampling = run.settings.get("sampling")
    sampled = sampling if isinstance(sampling, Mapping) else {}
    known = {name: sampled[name] for name in SAMPLED if isinstance(sampled.get(name), int | float)}
    rest: dict[str, Json] = {name: value for name, value in run.settings.items() if name != "sampling"}
    rest |= {f"sampling.{name}": value for name, value in sampled.items() if name not in known}
    details = {name: value if isinstance(value, str) else json.dumps(value) for name, value in rest.items()}
    return {"generation_args": known, **_details({**details, "seed": str(run.seed)})}


def _details(said: Mapping[str, str | Json]) -> dict[str, Json]:
    """What has no field of its own, all of it texts."""
    return {"additional_details": {name: str(value) for name, value in said.items() if value is not None}}


# ---------------------------------------------------------------- what it has no place for


def _without_place(exported: Exported, seen: InstanceCounts) -> Iterator[str]:
    if seen.unscored:
        yield (
            f"{pluralize(seen.unscored, 'score')} missing, without a line: the format wants a number, and "
            "none is written as 0; the aggregates count them"
        )
    if seen.likelihoods:
        yield "log-likelihoods have no place: the likeliest choice is the output"
    if seen.parts:
        yield "several draws or parts of a sample are lines of one sample_id, told apart by metadata.epoch"
    if seen.thoughts:
        yield "what models thought before their answers is not exported"
    if any(metric.kind == "number" for run in exported.runs for metric in run.metrics):
        yield "of metrics that are no yes or no, is_correct says only whether the score is the best there is"
    if exported.verdicts():
        yield "verdicts, paired differences and their tests have no place"
    if exported.preferences():
        yield "preferences of judges and people have no place"
