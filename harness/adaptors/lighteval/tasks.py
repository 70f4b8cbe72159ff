"""lighteval's task definitions, driven by our engine.

A task brings its prompts and its per-document metrics; the documents can be ours. lighteval's models, cache,
pipeline and results folder are not used.
https://github.com/huggingface/lighteval

Left out are metrics that are no mean over documents, that need another model, or that run what the model
wrote: see METRICS_LEFT_OUT.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from lighteval.metrics.metrics_sample import ExactMatches, JudgeLLM, LoglikelihoodAcc, SampleLevelComputation
from lighteval.metrics.utils.metric_utils import Metric
from lighteval.tasks.lighteval_task import LightevalTask as TheirTask
from lighteval.tasks.requests import Doc, SamplingMethod
from lighteval.utils.utils import as_list

from harness.adaptors.engine_requests import (
    Answer,
    AnsweredDocument,
    Request,
    TaskMetric,
    TaskRows,
    check_can_answer,
    documents_as_answered,
    failure_of,
    quiet,
    seeded,
)
from harness.adaptors.lighteval.definitions import definition_of
from harness.adaptors.lighteval.exchange import prompts, requests_of, response_of
from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded, UsageError
from harness.protocols import Engine
from harness.records.answers import SamplingParameters

METRICS_LEFT_OUT = ("BLEURT", "BertScore", "Faithfulness", "CodegenMetric")
"""Classes of metrics that download another model, or run code that the model wrote."""
ZERO_OR_ONE = (LoglikelihoodAcc, ExactMatches)
"""Classes of metrics that are 0 or 1 for a document."""
ZERO_OR_ONE_NAMES = ("truthfulqa_mc1",)
CONTENT = ("query", "instruction", "choices", "gold_index", "specific")
"""Fields of a document that are its own; the others say how it is asked."""


class LightevalTask:
    """A task of lighteval with its documents."""

    def __init__(self, name: str, task: TheirTask, docs: Sequence[Doc]) -> None:
        self.name = name
        self._task = task
        self._docs = docs
        self._metrics = [metric for metric in task.metrics if _means(metric)]
        self._methods = tuple(dict.fromkeys(metric.category for metric in self._metrics))

    @property
    def version(self) -> str:
        return str(self._task.version)

    @property
    def num_fewshot(self) -> int:
        return int(self._task.config.num_fewshots)

    @property
    def metrics(self) -> tuple[TaskMetric, ...]:
        """The metrics that are means over documents and can be computed here."""
        return tuple(
            TaskMetric(
                name=name,
                higher_is_better=bool(_of(metric.higher_is_better, name)),
                binary=name in ZERO_OR_ONE_NAMES or isinstance(metric.sample_level_fn, ZERO_OR_ONE),
            )
            for metric in self._metrics
            for name in _means(metric)
        )

    def sampling(self, *, chat_template: bool, max_tokens: int | None) -> SamplingParameters | None:
        """How answers are drawn: greedily; None where nothing is generated.

        `max_tokens` replaces the task's length. As in lighteval, a chat answer ends where the model ends it,
        and the task's stop strings are for plain text. Raises UsageError where neither gives a length.
        """
        if SamplingMethod.GENERATIVE not in self._methods:
            return None
        length = max_tokens or self._task.generation_size or 0
        if length < 1:
            raise UsageError(
                f"lighteval's task {self.name!r} lets an answer grow to the model's window; set max_tokens"
            )
        return SamplingParameters(
            max_tokens=length, stop=() if chat_template else tuple(self._task.stop_sequence)
        )

    @cached_property
    def docs(self) -> Sequence[Mapping[str, Any]]:
        """What makes each document: what is asked and what scoring needs, without few-shot examples."""
        return [{field: getattr(doc, field) for field in CONTENT} for doc in self._docs]

    def question(self, index: int) -> str:
        return str(self._docs[index].query)

    def choices(self, index: int) -> tuple[str, ...]:
        """What can be chosen; empty where text is generated."""
        return tuple(self._docs[index].choices) if SamplingMethod.LOGPROBS in self._methods else ()

    def target(self, index: int) -> str | None:
        """What would be right, as text; None where the task does not say."""
        doc = self._docs[index]
        return " | ".join(map(str, doc.get_golds())) if doc.choices and as_list(doc.gold_index) else None

    def ask(
        self, engine: Engine, *, chat_template: bool, max_tokens: int | None = None
    ) -> Iterator[AnsweredDocument]:
        """Ask everything, and yield each document as soon as all its answers are there."""
        sampling = self.sampling(chat_template=chat_template, max_tokens=max_tokens) or SamplingParameters(
            max_tokens=1
        )
        prompt = prompts(engine, chat_template=chat_template)
        contexts = [prompt.prepare_prompt(doc) for doc in self._docs]
        asked = {
            index: {method: requests_of(method, doc, contexts[index], sampling) for method in self._methods}
            for index, doc in enumerate(self._docs)
        }
        wanted = {index: [r for several in of.values() for r in several] for index, of in asked.items()}
        check_can_answer(engine, wanted)
        for index, answers in documents_as_answered(engine, wanted):
            yield self._answered(index, contexts[index], asked[index], answers)

    def _answered(
        self,
        index: int,
        context: str,
        asked: Mapping[SamplingMethod, tuple[Request, ...]],
        answers: Mapping[Request, Answer],
    ) -> AnsweredDocument:
        given = {method: [answers[request] for request in requests] for method, requests in asked.items()}
        responses = tuple(answer for several in given.values() for answer in several)
        failure = failure_of(responses)
        values: Mapping[str, tuple[float, ...]] = {}
        if failure is None:
            values, failure = self._scored(index, context, given)
        return AnsweredDocument(
            index=index,
            requests=tuple(request for requests in asked.values() for request in requests),
            responses=responses,
            values=values,
            failure=failure,
        )

    def _scored(
        self, index: int, context: str, given: Mapping[SamplingMethod, Sequence[Answer]]
    ) -> tuple[Mapping[str, tuple[float, ...]], str | None]:
        """Every metric's value, or why there is none: some metrics cannot take every document."""
        doc, values = self._docs[index], dict[str, tuple[float, ...]]()
        for metric in self._metrics:
            response = response_of(context, given[metric.category])
            response.text_post_processed = response.text
            try:
                with np.errstate(all="ignore"), seeded(context):
                    found = metric.compute_sample(doc=doc, model_response=response)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                return {}, f"lighteval's {metric.metric_name} cannot score this document: {error!r}"
            values |= {name: (float(found[name]),) for name in _means(metric)}
        return values, None


def load_task(
    name: str, given: TaskRows | None = None, *, limit: int | None = None, num_fewshot: int | None = None
) -> LightevalTask:
    """A task by lighteval's name, over the given rows, or over its own from the hub where there are none.

    Raises UnknownName; UsageError for a family of tasks, and for a task that is refused, needs pictures,
    draws several samples, or has no metric that works here; DataError for rows that the task cannot use;
    DownloadNeeded.
    """
    config = definition_of(name)
    config.num_fewshots = config.num_fewshots if num_fewshot is None else num_fewshot
    with seeded(name), quiet("lighteval"):
        task = TheirTask(config)
        _check_metrics(name, task)
        task.dataset = _from_hub(name, task) if given is None else _local(task, given)
        order = {id(doc): place for place, doc in enumerate(task.eval_docs())}
        if not order:
            place = given.source if given else f"lighteval's task {name!r}"
            raise DataError(place, 0, "holds no rows that the task asks")
        docs = sorted(task.get_docs(), key=lambda doc: order[id(doc)])  # they come shuffled
    if any(doc.images for doc in docs):
        raise UsageError(f"lighteval's task {name!r} needs pictures, which are not supported")
    return LightevalTask(name, task, docs[:limit])


def _from_hub(name: str, task: TheirTask) -> Any:
    try:
        return TheirTask.download_dataset_worker(task)
    except (OSError, RuntimeError) as error:
        raise DownloadNeeded(
            f"lighteval's task {name!r} reads its documents from the hub, and neither a network nor a cache "
            f"gives them ({why_nothing_came(error)}); set `data` to a JSONL file that holds them"
        ) from error


def _local(task: TheirTask, given: TaskRows) -> Mapping[str, list[dict[str, Any]]]:
    """Rows as the task's first split, and its other splits empty. Raises DataError for one it cannot use."""
    accepted = []
    for number, row in enumerate(given.rows, start=1):
        try:
            if task.dataset_filter is None or task.dataset_filter(row):
                task.formatter(
                    {**copy.deepcopy(dict(row)), "__few_shots": False, "__index": number - 1}, task.name
                )
                accepted.append(copy.deepcopy(dict(row)))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                given.source, number, f"lighteval's task cannot use this row: {error!r}"
            ) from error
    return {split: [] for split in task.evaluation_split} | {task.evaluation_split[0]: accepted}


def _means(metric: Metric) -> list[str]:
    """The names under which a metric gives values whose mean is the result; none if it is left out."""
    if not _is_supported(metric):
        return []
    return [name for name in as_list(metric.metric_name) if _of(metric.corpus_level_fn, name) is np.mean]


def _of(given: Any, name: str) -> Any:
    """Groups of metrics say something for each name, single metrics say it once."""
    return given[name] if isinstance(given, dict) else given


def _is_supported(metric: Metric) -> bool:
    computation = metric.sample_level_fn
    return (
        isinstance(computation, SampleLevelComputation)
        and not isinstance(computation, JudgeLLM)
        and not metric.batched_compute
        and type(computation).__name__ not in METRICS_LEFT_OUT
    )


def _check_metrics(name: str, task: TheirTask) -> None:
    if not any(_means(metric) for metric in task.metrics):
        raise UsageError(
            f"lighteval's task {name!r} has no metric that is a mean over documents and needs no other model "
            "and no running code"
        )
    if max(task.num_samples) > 1:
        raise UsageError(f"lighteval's task {name!r} draws several samples, which is not supported")
