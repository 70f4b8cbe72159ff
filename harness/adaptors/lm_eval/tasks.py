"""lm-eval's task definitions, driven by our engine.

A task brings its prompts, its requests and its scoring; the documents can be ours, so that they are read,
checked and hashed by us. lm-eval's model classes, request cache, evaluator and statistics are not used.
https://github.com/EleutherAI/lm-evaluation-harness

Two things are made repeatable that lm-eval leaves to the state of the process: tasks that shuffle documents
as they load, and scoring that draws at random. Both see `random` seeded, and its state is restored
afterwards.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from datasets import Dataset
from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask
from pyarrow import ArrowInvalid, ArrowTypeError

from harness.adaptors.engine_requests import (
    Answer,
    AnsweredDocument,
    DocumentT,
    Request,
    TaskMetric,
    TaskRows,
    Turns,
    check_can_answer,
    documents_as_answered,
    failure_of,
    quiet,
    renderer,
    seeded,
)
from harness.adaptors.lm_eval.definitions import manager_that_knows
from harness.adaptors.lm_eval.sampling import sampling_of
from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded, UsageError
from harness.protocols import Engine
from harness.records.answers import Prompt, Response, SamplingParameters
from harness.time_limit import TookTooLong, time_limit

UNCONVERTIBLE = (ArrowInvalid, ArrowTypeError, OverflowError)
"""What pyarrow raises for rows that make no table."""
ZERO_OR_ONE = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"})
"""Metrics that are 0 or 1 for a document, in tasks that keep lm-eval's own scoring."""
PATIENCE = 10.0
"""Seconds of the processor that scoring may take on one document: rows can bring patterns of their own."""


class LmEvalTask:
    """A task of lm-eval with its documents."""

    def __init__(
        self, name: str, task: ConfigurableTask, limit: int | None, max_tokens: int | None = None
    ) -> None:
        """`limit` documents, or all; `max_tokens` replaces the length of a generated answer."""
        self.name = name
        self._max_tokens = max_tokens
        self._task = task
        self._filters = [ensemble.name for ensemble in task._filters]
        with seeded(name), quiet("lm_eval"):  # documents may be prepared only now, with a progress bar
            self.docs: Sequence[Mapping[str, Any]] = [doc for _, doc in task.doc_iterator(limit=limit)]

    @property
    def version(self) -> str:
        return str(self._task.VERSION)

    @property
    def num_fewshot(self) -> int:
        """How many few-shot examples the task's definition puts before a question."""
        return self._task.config.num_fewshot or 0

    @property
    def brings_examples(self) -> bool:
        """Whether the definition itself holds the few-shot examples, and no split of the data is needed."""
        examples = self._task.fewshot_cfg
        return examples.split is None and examples.samples is not None

    @property
    def metrics(self) -> tuple[TaskMetric, ...]:
        """The metrics that are means over documents. A task can have others, such as a corpus's BLEU."""
        lm_evals_scoring = self._task.config.process_results is None
        higher_is_better = self._task.higher_is_better()
        return tuple(
            TaskMetric(
                name=self._label(metric, filtered),
                higher_is_better=bool(higher_is_better[metric]),
                binary=lm_evals_scoring and metric in ZERO_OR_ONE,
            )
            for metric, aggregation in self._task.aggregation().items()
            for filtered in self._filters
            if aggregation is mean
        )

    def sampling(self, seed: int = 0) -> SamplingParameters | None:
        """How answers are drawn; None for a task that is scored by log-likelihood."""
        if self._task.OUTPUT_TYPE != "generate_until":
            return None
        return self._sampling(self._task.config.generation_kwargs, seed)

    def question(self, index: int) -> str:
        """What a document asks, before few-shot text or a chat template is put around it."""
        doc = self.docs[index]
        if self._task.multiple_input:
            return f"{' | '.join(self.choices(index))} … {self._task.doc_to_target(doc)}"
        text = self._task.doc_to_text(doc)
        return text if isinstance(text, str) else str(self._task.doc_to_target(doc))

    def choices(self, index: int) -> tuple[str, ...]:
        """What is scored, one by one; empty where nothing is to be chosen.

        Where a task asks which beginning fits one ending, as WinoGrande does, these are the beginnings.
        """
        if self._task.OUTPUT_TYPE != "multiple_choice":
            return ()
        return tuple(map(str, self._task.doc_to_choice(self.docs[index])))

    def target(self, index: int) -> str:
        doc = self.docs[index]
        target = self._task.doc_to_target(doc)
        if self._task.multiple_input:
            return self.choices(index)[int(self._task.doc_to_text(doc))]
        if isinstance(target, int) and self._task.config.doc_to_choice is not None:
            return str(self._task.doc_to_choice(doc)[target])
        return str(target)

    def score_text(self, index: int, text: str) -> Mapping[str, tuple[float, ...]]:
        """What a generated text would be worth as the answer to a document, by metric."""
        instance = self._task.construct_requests(doc=self.docs[index], ctx="")
        return self._score(index, [instance], [[text]])

    def _score(
        self, index: int, instances: list[Instance], given: Sequence[list[Any]]
    ) -> Mapping[str, tuple[float, ...]]:
        doc = self.docs[index]
        for instance, answers in zip(instances, given, strict=True):
            instance.resps = answers
        values: dict[str, tuple[float, ...]] = {}
        # a value that overflows comes out as NaN or infinite, and says so itself
        with seeded(json.dumps(doc, sort_keys=True, default=str)), np.errstate(all="ignore"):
            for ensemble in self._task._filters:  # read by lm-eval's evaluator too; it has no public name
                ensemble.apply(instances)
                filtered = [instance.filtered_resps[ensemble.name] for instance in instances]
                for metric, value in self._task.process_results(doc, filtered).items():
                    values[self._label(metric, ensemble.name)] = _numbers(value)
        return values

    def _label(self, metric: str, filtered: str) -> str:
        return metric if len(self._filters) == 1 else f"{metric},{filtered}"

    def _questions(self, engine: Engine, how: "ConfiguredTask") -> Mapping[int, "_Question"]:
        """Every document as it is asked, with few-shot examples drawn anew from the seed."""
        if how.num_fewshot and self._task.config.num_fewshot == 0:
            raise UsageError(
                f"lm-eval's task {self.name!r} takes no few-shot examples; leave num_fewshot out"
            )
        self._task.set_config("num_fewshot", self.num_fewshot if how.num_fewshot is None else how.num_fewshot)
        self._task.set_fewshot_seed(how.seed)
        with seeded(self.name), quiet("lm_eval"):
            self._task.build_all_requests(
                limit=len(self.docs),
                apply_chat_template=how.chat_template,
                fewshot_as_multiturn=how.chat_template,
                chat_template=renderer(engine) if how.chat_template else None,
            )
        questions: dict[int, _Question] = {}
        for instance in self._task.instances:
            question = questions.setdefault(instance.doc_id, _Question(self, instance.doc_id))
            question.instances.append(instance)
            question.requests.append(self._requests(instance, how.seed))
        return questions

    def _requests(self, instance: Instance, seed: int) -> tuple[Request, ...]:
        """What one instance asks: one request, or as many draws as the task repeats."""
        if instance.request_type == "loglikelihood":
            context, continuation = instance.args
            return ((context, continuation),)
        context, kwargs = instance.args
        content = context.messages if isinstance(context, Turns) else context
        sampling = self._sampling(kwargs, seed)
        return tuple((Prompt(content=content, draw=draw), sampling) for draw in range(instance.repeats))

    def _sampling(self, kwargs: Mapping[str, Any], seed: int) -> SamplingParameters:
        sampling = sampling_of(self.name, kwargs, seed)
        return sampling if self._max_tokens is None else replace(sampling, max_tokens=self._max_tokens)


@dataclass(frozen=True, slots=True)
class _Question:
    """A document as a task asks it."""

    task: LmEvalTask
    index: int
    instances: list[Instance] = field(default_factory=list)
    requests: list[tuple[Request, ...]] = field(default_factory=list)
    """What each instance asks."""

    def answered(self, answers: Mapping[Request, Answer]) -> AnsweredDocument:
        requests = tuple(chain.from_iterable(self.requests))
        responses = tuple(answers[request] for request in requests)
        failure = failure_of(responses)
        values: Mapping[str, tuple[float, ...]] = {}
        given = [[_as_lm_eval(answers[request]) for request in several] for several in self.requests]
        if failure is None:
            try:
                with time_limit(PATIENCE):
                    values = self.task._score(self.index, self.instances, given)
            except TookTooLong:
                failure = (
                    f"scoring took longer than {PATIENCE:g} s, as a regular expression can, and was ended"
                )
        return AnsweredDocument(
            index=self.index, requests=requests, responses=responses, values=values, failure=failure
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredTask:
    """A task and how it is asked."""

    task: LmEvalTask
    chat_template: bool
    num_fewshot: int | None = None
    seed: int = 1234


def ask_tasks(tasks: Sequence[ConfiguredTask], engine: Engine) -> Iterator[tuple[int, AnsweredDocument]]:
    """Ask tasks that have documents of their own, all in one call of the engine.

    Yields each document as soon as all its answers are there, with its task's place in `tasks`.
    """
    questions = {
        (place, index): [question]
        for place, each in enumerate(tasks)
        for index, question in each.task._questions(engine, each).items()
    }
    for (place, _), [answered] in _asked(engine, questions):
        yield place, answered


def ask(
    tasks: Sequence[LmEvalTask], engine: Engine, *, chat_template: bool, seed: int = 1234
) -> Iterator[tuple[AnsweredDocument, ...]]:
    """Ask tasks that have the same documents, and yield each document as soon as all its answers are there.

    A request that several tasks or choices make is asked once. With `chat_template` the context is rendered
    by the engine, few-shot examples as turns; an engine whose service applies the template gets the turns.
    Yields, for each document, what came of it in each task, in the order of `tasks`.
    """
    by_task = [
        task._questions(engine, ConfiguredTask(task=task, chat_template=chat_template, seed=seed))
        for task in tasks
    ]
    questions = {index: [of_task[index] for of_task in by_task] for index in by_task[0]}
    for _, answered in _asked(engine, questions):
        yield answered


def _asked(
    engine: Engine, questions: Mapping[DocumentT, Sequence[_Question]]
) -> Iterator[tuple[DocumentT, tuple[AnsweredDocument, ...]]]:
    """What came of the questions about each document, as soon as all of them are answered."""
    wanted = {
        name: [request for each in some for several in each.requests for request in several]
        for name, some in questions.items()
    }
    check_can_answer(engine, wanted)
    for name, answers in documents_as_answered(engine, wanted):
        yield name, tuple(each.answered(answers) for each in questions[name])


def load_task(
    name: str,
    given: TaskRows | None = None,
    *,
    limit: int | None = None,
    max_tokens: int | None = None,
    **overrides: Any,
) -> LmEvalTask:
    """A task by lm-eval's name, over the given documents, or over its own from the hub where there are none.

    `max_tokens` replaces the length of a generated answer, and `overrides` replace keys of the task's
    definition. Raises UnknownName; UsageError for a group, or a task that needs pictures, sound, running
    generated code, rolling log-likelihoods or a package that is missing; DataError for rows that the task
    cannot use; DownloadNeeded.
    """
    manager = manager_that_knows(name)
    if given is not None:
        dataset = _dataset(given)
        overrides["custom_dataset"] = lambda **_: defaultdict(lambda: dataset)
    definition = {"group": "harness", "task": [{"task": name, **overrides}]}
    try:
        with seeded(name), quiet("lm_eval"):
            task = manager.load(definition)["tasks"][name]
    except (OSError, RuntimeError) as error:
        if given is not None:
            raise
        raise DownloadNeeded(
            f"lm-eval's task {name!r} reads its documents from the hub, and neither a network nor a cache "
            f"gives them ({why_nothing_came(error)}); set `data` to a JSONL file that holds them"
        ) from error
    except ImportError as error:
        raise UsageError(f"lm-eval's task {name!r} needs a package that is not installed: {error}") from error
    except (KeyError, TypeError, ValueError, TemplateError) as error:
        if given is None:
            raise
        raise DataError(
            given.source, 0, f"lm-eval's task {name!r} cannot use these rows: {error!r}"
        ) from error
    _check_supported(name, task)
    return LmEvalTask(name, task, limit, max_tokens)


def _dataset(given: TaskRows) -> Dataset:
    """Rows as lm-eval wants them: a field has one type in all of them, and is None where a row lacks it."""
    rows = given.rows
    try:
        return _converted(rows)
    except UNCONVERTIBLE as error:
        first = bisect_left(range(len(rows)), True, key=lambda last: not _converts(rows[: last + 1]))
        raise DataError(
            given.source,
            first + 1,
            f"has a field of another type than the rows before it, or out of range: {error}",
        ) from error


def _converted(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    return Dataset.from_list([dict(row) for row in rows])


def _converts(rows: Sequence[Mapping[str, Any]]) -> bool:
    try:
        _converted(rows)
    except UNCONVERTIBLE:
        return False
    return True


def _as_lm_eval(answer: Answer) -> tuple[float, bool] | str:
    return answer.text if isinstance(answer, Response) else (answer.logprob, answer.greedy)


def _numbers(value: Any) -> tuple[float, ...]:
    """A document's value as numbers; none for what only a whole corpus turns into a number."""
    if isinstance(value, (list, tuple)):
        return tuple(number for part in value for number in _numbers(part))
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return ()
    return (float(value),)


def _check_supported(name: str, task: Any) -> None:
    if not isinstance(task, ConfigurableTask):
        raise UsageError(f"lm-eval's task {name!r} is a Python class of its own, which is not supported")
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        raise UsageError(f"lm-eval's task {name!r} needs rolling log-likelihoods, which are not supported")
    if getattr(task, "MULTIMODAL", False):
        raise UsageError(f"lm-eval's task {name!r} needs pictures or sound, which are not supported")
    if getattr(task, "UNSAFE_CODE", False):
        raise UsageError(f"lm-eval's task {name!r} runs code that the model wrote, which is not supported")
