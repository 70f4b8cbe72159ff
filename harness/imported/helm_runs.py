"""Reads a run of HELM: the folder of `run_spec.json`, `scenario_state.json` and `per_instance_stats.json`.

Read against crfm-helm 0.5.16 (`helm/benchmark/runner.py`). A request that failed has an empty answer, which
HELM scores like any other; here it is unscored. `multiple_choice_separate` asks once for each reference:
those are log-likelihoods of choices, and the requests by which they are calibrated are left out. The version
of HELM, and whether a chat template was applied, are not in its files, which are read whole.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.given_answers import GivenAnswer
from harness.errors import DataError
from harness.files import log_value
from harness.imported.fields import (
    as_list,
    as_object,
    as_objects,
    digest,
    digest_of_all,
    in_one_line,
    last_part,
)
from harness.imported.helm_files import (
    BOOKKEEPING,
    ITS_OWN,
    MEANS,
    STATE,
    HelmRun,
    State,
    mean_of,
    metric_of,
    read_run,
    read_spec,
)
from harness.imported.helm_rows import failure, responses_of, rows_of
from harness.imported.score_tally import ScoreTally, metrics_of, not_scored, other_means, scored, tallied
from harness.imported.tasks import ImportedTask
from harness.records.answers import Response, Row
from harness.records.models import Json

LESS_IS_BETTER = re.compile(
    r"(expected_max_toxicity|max_toxicity_probability|toxic_frac|absolute_value_difference|(chinese_)?[wmc]er_score)"
    r"( \(.*)?"
)
"""`lower_is_better` of its metrics' own descriptions, which are not in the files."""
GENERATION = ("max_tokens", "temperature", "stop_sequences", "num_outputs")


def is_helm(file: Path) -> bool:
    """Whether a file is named as HELM names its own."""
    return file.name in ITS_OWN


def beside_helm(file: Path) -> list[Path]:
    """The other files of the run."""
    return [file.with_name(name) for name in ITS_OWN] if is_helm(file) else []


def read_helm(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The runs in these files that are wanted by their names.

    Raises DataError for what `read_run` does, and for two runs of one scenario by one model.
    """
    of: dict[tuple[str, str], Path] = {}
    for folder in dict.fromkeys(file.parent for file in files):
        spec = read_spec(folder)
        model, task = str(spec["adapter_spec"]["model"]), _task_of(in_one_line(spec["name"]))
        if not wanted(task):
            continue
        other = of.setdefault((model, task), folder)
        if other != folder:
            raise DataError(
                str(folder), 0, f"is a run of {task} by {model}, as {other} is: import one of them"
            )
        yield _task(read_run(folder), spec, model, task)


def _task_of(name: str) -> str:
    """A run's name without the model: `mmlu:subject=anatomy,model=openai_gpt2` is `mmlu:subject=anatomy`."""
    scenario, _, arguments = name.partition(":")
    kept = [each for each in arguments.split(",") if not re.match("model(_deployment)?=|$", each)]
    return f"{scenario}:{','.join(kept)}" if kept else scenario


def _task(run: HelmRun, spec: Mapping[str, Any], model: str, task: str) -> ImportedTask:
    adapter, names = spec["adapter_spec"], _metric_names(run, spec)
    rows = list(rows_of(run, names))
    tallies = tallied(rows, names)
    samples = [row.sample for row in rows]
    requests = [as_object(state.get("request")) for states in run.states.values() for state in states]
    return ImportedTask(
        tool="HELM",
        family="helm",
        path=model,
        model=last_part(model),
        task=task,
        definition="" if all(len(row.responses) == 1 for row in rows) else None,
        version="unknown",
        files=tuple(run.folder / name for name in ITS_OWN),
        data_hash=digest_of_all(
            digest([each.id, str(each.prompt), each.choices, each.target]) for each in samples
        ),
        size=len(rows),
        metrics=metrics_of(tallies, lower=list(filter(LESS_IS_BETTER.fullmatch, names))),
        settings=_settings(spec, adapter),
        asked_otherwise=_asked_otherwise(adapter),
        seed=0,
        described={
            "deployment": str(adapter.get("model_deployment", "unknown")),
            "prompts": digest_of_all(digest([each.get("prompt"), each.get("messages")]) for each in requests),
        },
        chat_template=None,
        notes=tuple(_notes(run, task, rows, tallies)),
        rows=partial(_read_again, run.folder, scored(tallies)),
        documents=partial(_documents, run.folder),
        answers=partial(_answers, run.folder),
    )


def _read_again(folder: Path, metrics: Sequence[str]) -> Iterator[Row]:
    return rows_of(read_run(folder), metrics)


def _metric_names(run: HelmRun, spec: Mapping[str, Any]) -> list[str]:
    """The metrics that are scores: those of the main split first, as the run's specification orders them."""
    metrics = as_objects(spec.get("metric_specs")) or []
    named = [name for each in metrics for name in as_list(as_object(each.get("args")).get("names"))]
    order = {str(name): place for place, name in reversed(list(enumerate(named)))}
    found = {name: None for trials in run.stats.values() for _, means in trials for name in means}
    return sorted(found, key=lambda name: (" (" in name, order.get(name, len(order))))


def _settings(spec: Mapping[str, Any], adapter: Mapping[str, Any]) -> dict[str, Json]:
    """How HELM asked and scored; the number of instances shows in the data."""
    apart = {"model", "model_deployment", "max_eval_instances", *GENERATION}
    return {
        "adapter": {key: value for key, value in adapter.items() if key not in apart},
        "generation": {key: adapter[key] for key in GENERATION if key in adapter},
        "metrics": digest(spec.get("metric_specs")),
        "annotators": digest(spec.get("annotators")),
    }


def _asked_otherwise(adapter: Mapping[str, Any]) -> dict[str, Json]:
    """Examples before the question, and answers that were drawn and not the likeliest."""
    shots, temperature = adapter.get("max_train_instances"), adapter.get("temperature")
    drawn = {"sampling": {"temperature": temperature}} if temperature else {}
    return {**({"num_fewshot": shots} if shots else {}), **drawn}


def _notes(run: HelmRun, task: str, rows: Sequence[Row], tallies: Mapping[str, ScoreTally]) -> Iterator[str]:
    yield from not_scored(task, rows, tallies)
    yield f"{task}: HELM's version, and whether a chat template was applied, are not in its files"
    states = [state for of in run.states.values() for state in of]
    cut = sum(state.get("prompt_truncated") is True for state in states)
    if cut:
        yield f"{task}: {cut:,} of {len(states):,} prompts were cut to fit"
    failed = sum(failure(state) is not None for state in states)
    if failed:
        yield f"{task}: {failed:,} of {len(states):,} requests failed: scored by HELM, unscored here"
    if not (run.folder / MEANS).is_file():
        return
    theirs: dict[str, list[float]] = defaultdict(list)
    for stat in as_objects(log_value(run.folder / MEANS)) or ():
        name, mean = as_object(stat.get("name")), mean_of(stat)
        if mean is not None and as_object(name.get("perturbation")).get("computed_on") in (None, "perturbed"):
            theirs[metric_of(name)].append(mean)
    whole = [name for name in theirs if name not in tallies and not BOOKKEEPING.fullmatch(name)]
    if whole:
        yield f"{task}: {', '.join(sorted(whole))} left out: no mean over instances"
    means = {name: values[0] for name, values in theirs.items() if len(values) == 1}
    yield from other_means(task, tallies, means, MEANS)


# ---------------------------------------------------------------- for a suite of ours


def _documents(folder: Path) -> list[Mapping[str, Any]]:
    """IFEval's rows, of a run of that scenario: HELM keeps what its checkers need."""
    return [
        {
            "key": _number(instance["id"]),
            "prompt": as_object(instance.get("input")).get("text"),
            "instruction_id_list": as_object(instance.get("extra_data")).get("instruction_ids"),
            "kwargs": as_object(instance.get("extra_data")).get("instruction_kwargs"),
        }
        for instance, _ in _instances(folder)
    ]


def _answers(folder: Path) -> list[GivenAnswer]:
    return [
        GivenAnswer(
            where=f"{STATE}, instance {instance['id']}",
            id=str(_number(instance["id"])),
            prompt=str(as_object(instance.get("input")).get("text")),
            responses={
                draw: None if each.stop_reason == "failed" else each
                for draw, each in enumerate(responses_of(states))
                if isinstance(each, Response)
            },
        )
        for instance, states in _instances(folder)
    ]


def _instances(folder: Path) -> Iterator[tuple[Mapping[str, Any], Sequence[State]]]:
    return ((as_object(states[0]["instance"]), states) for states in read_run(folder).states.values())


def _number(instance: str) -> int | str:
    """The key of IFEval's row, from which HELM makes an instance's id."""
    key = instance.removeprefix("id")
    return int(key) if key.isdecimal() else key
