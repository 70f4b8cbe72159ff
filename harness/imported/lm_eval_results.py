"""Reads what lm-eval writes with `--log_samples`: `results_TIME.json`, with `samples_TASK_TIME.jsonl`.

Read against 0.4.13 (`lm_eval/loggers/evaluation_tracker.py`). A sample line is one document under one filter.
Its `doc_hash` is the same with every template and limit, so documents are paired by it; `prompt_hash` changes
with the template, `doc_id` with the selection, and `task_hashes` are equal for tasks that differ in their
choices. Log-likelihoods are texts. Metrics whose aggregation is no mean over documents are left out by name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.given_answers import GivenAnswer
from harness.errors import DataError
from harness.files import json_object, log_lines
from harness.imported.fields import as_number, as_object, beginning, digest_of_all
from harness.imported.lm_eval_conditions import asked_otherwise, conditions, described
from harness.imported.metric_values import MEANS, as_parts
from harness.imported.score_tally import ScoreTally, other_means
from harness.imported.tasks import ImportedTask
from harness.records.answers import LogLikelihood, Metric, Response, Row, Sample, Score

TOOL = "lm-eval"
RESULTS = re.compile(r"results_(?P<time>.+)\.json")
SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT.+?)\.jsonl(\.gz)?")
LIGHTEVALS = '"config_general"'
"""The key that lighteval's results begin with."""
NEEDED = ("doc", "doc_hash", "arguments", "resps", "filter", "metrics")
QUESTIONS = ("question", "prompt", "query", "input", "problem", "goal", "text", "ctx", "sentence")
"""Where tasks' documents say what is asked."""
DRAWN = ("realtoxicityprompts",)
"""Tasks of which suites of ours score several answers to one prompt."""
ZERO_IF_FAILED = frozenset({"perspective_api_toxicity_score"})
"""Metrics that lm-eval sets to 0 where a service gave none (`tasks/realtoxicityprompts/metric.py`)."""


def is_lm_eval(file: Path) -> bool:
    """Whether a file is named as lm-eval names its own, and is not lighteval's, which has the same names."""
    if RESULTS.fullmatch(file.name):
        return LIGHTEVALS not in beginning(file)
    return SAMPLES.fullmatch(file.name) is not None


def samples_of(file: Path) -> list[Path]:
    """The files of samples that a file of results is of."""
    named = re.fullmatch(r".+_(\d{4}-\d\d-\d\dT.+)\.json", file.name)
    return sorted(file.parent.glob(f"samples_*_{named[1]}.jsonl*")) if named else []


def read_lm_eval(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The tasks in these files that are wanted by their names; of each model's the latest.

    Raises DataError for samples without results, for a samples file that was not written to its end, and for
    lines that are not lm-eval's.
    """
    latest: dict[tuple[str, str], tuple[str, Path, Path]] = {}
    times: dict[tuple[str, str], set[Path]] = defaultdict(set)
    found = [(file, named) for file in sorted(files) if (named := SAMPLES.fullmatch(file.name))]
    if not found:
        raise DataError(
            str(files[0]),
            0,
            "lm-eval's results without samples: run it with --log_samples, so that there is "
            "something to pair",
        )
    model_of: dict[Path, str] = {}
    for file, named in found:
        if wanted(named["task"]):
            results = _results(file, named["time"])
            if results not in model_of:
                model_of[results] = _model_of(json_object(results))
            key = model_of[results], named["task"]
            latest[key] = max(latest.get(key, ("", file, results)), (named["time"], file, results))
            times[key].add(file)
    for (model, task), (_, file, results) in latest.items():
        earlier = sorted(str(each) for each in times[model, task] - {file})
        taken = _task(task, file, results)
        yield replace(taken, notes=(*taken.notes, *([_earlier(task, earlier)] if earlier else [])))


def _earlier(task: str, files: Sequence[str]) -> str:
    return (
        f"{task}: of several files of one model the latest is taken, and left out are {', '.join(files)}: "
        "import those of other conditions by themselves, with --as"
    )


def _results(samples: Path, time: str) -> Path:
    """The file of results that belongs to a file of samples."""
    usual = samples.with_name(f"results_{time}.json")
    named = sorted(samples.parent.glob(f"*_{time}.json"))  # as --output_path names it
    if not usual.is_file() and not named:
        raise DataError(
            str(samples),
            0,
            f"{usual.name} is not beside it, which says how the model was asked; lm-eval "
            "writes both, and a run that was killed may lack it",
        )
    return usual if usual.is_file() else named[0]


def _model_of(said: Mapping[str, Any]) -> str:
    return str(said.get("model_name") or as_object(said.get("config")).get("model") or "model")


@dataclass(slots=True)
class _Seen:
    """What a first reading of the samples finds."""

    filters: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    """Of the documents, in their order."""
    metrics: dict[str, set[str]] = field(default_factory=dict)
    """By filter, the metrics that some document has."""
    refused: set[str] = field(default_factory=set)
    """Metrics whose values are no numbers."""
    others: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)
    """The values under all filters but the first, by document, filter, and which of equal documents it is."""
    times: Counter[tuple[str, str]] = field(default_factory=Counter)
    tallies: dict[tuple[str, str], ScoreTally] = field(default_factory=lambda: defaultdict(ScoreTally))
    """By metric and filter."""


def _task(task: str, samples: Path, results: Path) -> ImportedTask:
    said = json_object(results)
    config = as_object(as_object(said.get("configs")).get(task))
    seen = _first_reading(samples, config)
    expected = as_object(as_object(said.get("n-samples")).get(task)).get("effective")
    if isinstance(expected, int) and expected != len(seen.hashes):
        raise DataError(
            str(samples),
            0,
            f"holds {len(seen.hashes)} of the {expected} documents that {results.name} speaks of: "
            "it was not written to its end",
        )
    names = [(name, each) for each in seen.filters for name in sorted(seen.metrics[each])]
    higher = _directions(config, as_object(as_object(said.get("higher_is_better")).get(task)))
    kept = [(name, each) for name, each in names if name not in seen.refused]
    listed = [*_of_metrics(config, "aggregation")]  # the first is the one that the task's authors put first
    first = min(kept, key=lambda of: listed.index(of[0]) if of[0] in listed else len(listed), default=None)
    seed = as_object(said.get("config")).get("random_seed")
    name = _model_of(said)
    return ImportedTask(
        tool=f"{TOOL} {said.get('lm_eval_version', 'of unknown version')}",
        family="lm_eval",
        path=name,
        model=Path(name).name or name,
        task=task,
        definition="" if config.get("repeats", 1) == 1 or task in DRAWN else None,
        version=str(as_object(said.get("versions")).get(task, "unknown")),
        files=(results, samples),
        data_hash=digest_of_all(seen.hashes),
        size=len(seen.hashes),
        metrics=tuple(
            Metric(
                name=_named(name, each, seen),
                kind="number" if seen.tallies[name, each].shares else "binary",
                higher_is_better=higher.get(name, True),
                headline=(name, each) == first,
            )
            for name, each in kept
        ),
        settings=conditions(said, task, config),
        asked_otherwise=asked_otherwise(said, task, config),
        seed=seed if isinstance(seed, int) else 0,
        described=described(said),
        chat_template=said.get("chat_template") or None,
        notes=tuple(_notes(task, seen, kept, as_object(as_object(said.get("results")).get(task)), higher)),
        rows=partial(_rows, samples, seen, kept),
        documents=partial(_documents, samples, seen),
        answers=partial(_answers, samples, seen),
    )


def _directions(config: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, bool]:
    """Of the metrics of which it is said, whether more is better."""
    return {
        name: better
        for found in (_of_metrics(config, "higher_is_better"), said)
        for name, better in found.items()
        if isinstance(better, bool)
    }


def _of_metrics(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What a task's configuration says of its metrics."""
    listed = config.get("metric_list") or ()
    return {str(each.get("metric")): each.get(key) for each in listed if isinstance(each, Mapping)}


def _first_reading(samples: Path, config: Mapping[str, Any]) -> _Seen:
    """Check every line, and note what rows need of the whole."""
    seen = _Seen()
    aggregations = _of_metrics(config, "aggregation")
    for number, line in log_lines(samples):
        missing = [key for key in NEEDED if key not in line]
        if missing:
            raise DataError(str(samples), number, f"lacks {', '.join(missing)}, which lm-eval writes")
        _check(str(samples), number, line)
        name, document = str(line["filter"]), str(line["doc_hash"])
        if name not in seen.filters:
            seen.filters.append(name)
            seen.metrics[name] = set()
        if name == seen.filters[0]:
            seen.hashes.append(document)
        else:
            which = seen.times[document, name]
            seen.others[document, name, which] = {each: line.get(each) for each in line["metrics"]}
            seen.times[document, name] += 1
        for metric in line["metrics"]:
            if line.get(metric) is None:  # NaN, which is no score
                seen.metrics[name].add(metric)
                continue
            values = as_parts(line[metric])
            is_mean = (aggregations.get(metric) or "mean") in MEANS or isinstance(line[metric], list)
            if values is None or not is_mean:
                seen.refused.add(metric)
                continue
            seen.metrics[name].add(metric)
            for each in values:
                seen.tallies[metric, name].add(each)
    if not seen.hashes:
        raise DataError(str(samples), 0, "holds no samples")
    return seen


def _check(file: str, number: int, line: Mapping[str, Any]) -> None:
    """Raise DataError for a line from which no row can be made."""
    try:
        if _continuations(line):
            for (logprob, _), *_ in line["resps"]:
                float(logprob)
        else:
            _drawn(line)
        is_whole = isinstance(line["doc"], Mapping) and all(isinstance(each, str) for each in line["metrics"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise DataError(file, number, "is not what lm-eval writes: doc, arguments, resps or metrics differ")


def _notes(
    task: str,
    seen: _Seen,
    kept: Sequence[tuple[str, str]],
    results: Mapping[str, Any],
    higher: Mapping[str, bool],
) -> Iterator[str]:
    if seen.refused:
        yield f"{task}: {', '.join(sorted(seen.refused))} left out: no mean over documents"
    unknown = sorted({metric for metric, _ in kept} - higher.keys())
    if unknown:
        yield f"{task}: of {', '.join(unknown)} the files do not say whether more is better: taken to be"
    for metric, name in kept:
        if metric in ZERO_IF_FAILED:
            yield (
                f"{task}: {seen.tallies[metric, name].zeros:,} of {len(seen.hashes):,} {metric} are exactly "
                "0, which lm-eval also writes where nothing could be scored"
            )
    tallies = {_named(*of, seen): seen.tallies[of] for of in kept}
    theirs = {_named(*of, seen): as_number(results.get(",".join(of))) for of in kept}
    written = {name: value for name, value in theirs.items() if value is not None}
    yield from other_means(task, tallies, written, "the results")


def _named(metric: str, of: str, seen: _Seen) -> str:
    return metric if len(seen.filters) == 1 else f"{metric} ({of})"


# ---------------------------------------------------------------- documents


def _rows(samples: Path, seen: _Seen, kept: Sequence[tuple[str, str]]) -> Iterator[Row]:
    ids, times = _ids(seen.hashes), Counter[str]()
    for position, line in enumerate(_of_first_filter(samples, seen)):
        values = {(name, seen.filters[0]): line.get(name) for name in line["metrics"]}
        for other in seen.filters[1:]:
            document = str(line["doc_hash"])
            found = seen.others.get((document, other, times[document]), {})
            values |= {(name, other): value for name, value in found.items()}
        times[str(line["doc_hash"])] += 1
        choices = tuple(_continuations(line))
        yield Row(
            sample=Sample(
                id=ids[position],
                prompt=_question(line["doc"]),
                choices=choices,
                target=None if line.get("target") is None else str(line["target"]),
            ),
            responses=_responses(line, scored=bool(choices)),
            scores=tuple(
                score
                for metric, name in kept
                for score in _scores(_named(metric, name, seen), values.get((metric, name)))
            ),
            position=position,
        )


def _scores(name: str, value: object) -> list[Score]:
    values = as_parts(value)
    if values is None:
        return [Score(metric=name, value=None, reason="lm-eval gave none")]
    return [Score(metric=name, value=each) for each in values]


def _documents(samples: Path, seen: _Seen) -> list[Mapping[str, Any]]:
    return [line["doc"] for line in _of_first_filter(samples, seen)]


def _answers(samples: Path, seen: _Seen) -> list[GivenAnswer]:
    """By the document's question, and by its key where it has one."""
    found = []
    for line in _of_first_filter(samples, seen):
        choices = _continuations(line)
        responses = _responses(line, scored=bool(choices))
        texts = [each for each in responses if isinstance(each, Response)]
        scored = [each for each in responses if isinstance(each, LogLikelihood)]
        found.append(
            GivenAnswer(
                where=f"{samples.name}, document {line['doc_hash'][:12]}",
                id=_id(line["doc"]),
                prompt=_question(line["doc"]),
                responses=dict(enumerate(texts)),
                likelihoods={choice.strip(): each for choice, each in zip(choices, scored, strict=False)},
            )
        )
    return found


def _id(document: Mapping[str, Any]) -> str | None:
    """IFEval's key, or an excerpt's place in RealToxicityPrompts' corpus: what our suites call it."""
    if "key" in document:
        return str(document["key"])
    place = [document.get(name) for name in ("filename", "begin", "end")]
    return None if None in place else "{}:{}-{}".format(*place)


def _of_first_filter(samples: Path, seen: _Seen) -> Iterator[Mapping[str, Any]]:
    return (line for _, line in log_lines(samples) if str(line["filter"]) == seen.filters[0])


def _ids(hashes: Sequence[str]) -> list[str]:
    """A short hash of each document; documents with the same are distinguished by their order."""
    counted: Counter[str] = Counter()
    ids = []
    for each in hashes:
        short = each[:16]
        counted[short] += 1
        ids.append(short if counted[short] == 1 else f"{short}-{counted[short]}")
    return ids


def _question(document: Mapping[str, Any]) -> str:
    """What a document asks, as far as its fields say it."""
    texts = (_text(document.get(name)) for name in QUESTIONS)
    found = next((text for text in texts if text is not None), None)
    return found if found is not None else str(dict(document))


def _text(value: object) -> str | None:
    """A text, or one within an object, as RealToxicityPrompts has it."""
    found = value.get("text") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else None


def _continuations(line: Mapping[str, Any]) -> list[str]:
    """What was scored, in the order of the answers; nothing where texts were written."""
    return [each["arg_1"] for each in line["arguments"].values() if isinstance(each.get("arg_1"), str)]


def _responses(line: Mapping[str, Any], *, scored: bool) -> tuple[Response | LogLikelihood, ...]:
    """Log-likelihoods, which lm-eval writes as texts, or texts, of which there may be several draws."""
    if scored:
        return tuple(
            LogLikelihood(logprob=float(logprob), greedy=greedy in (True, "True"), tokens=0)
            for (logprob, greedy), *_ in line["resps"]
        )
    return tuple(Response(text=str(text), stop_reason="end") for text in _drawn(line))


def _drawn(line: Mapping[str, Any]) -> list[Any]:
    return [text for each in line["resps"] for text in each]
