"""A line of lighteval's details: a document, what was answered, and its scores; and the row made of it.

Read against 0.13 (`lighteval/logging/info_loggers.py`, `models/model_output.py`). Its number of truncated
tokens is not taken, since it is not 0 where nothing was cut, nor are tokens of generated texts, which are
counted with padding. Why an answer ended is not in the details.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.engine.given_answers import GivenAnswer
from harness.errors import DataError
from harness.files import first_problem
from harness.imported.metric_values import as_parts
from harness.imported.pairing import sample_id
from harness.records.answers import LogLikelihood, Response, Row, Sample, Score
from harness.thoughts import separate_thought

PADDING = -1
"""Stands in the tokens of choices that are shorter than the longest."""
COLUMNS = (
    *(
        f"doc.{name}"
        for name in ("id", "query", "choices", "gold_index", "instruction", "specific", "task_name")
    ),
    "metric",
    *(f"model_response.{name}" for name in ("text", "reasonings", "output_tokens")),
    *(f"model_response.{name}" for name in ("logprobs", "argmax_logits_eq_gold")),
)
"""What is read of a line; images, tokens of the prompt and logits are not."""


class _Written(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class LightevalDoc(_Written):
    """A document of a task."""

    id: str
    query: str
    choices: list[str | list[str]] | None = None
    """What is scored; where texts are written, reference answers."""
    gold_index: int | list[int] | None = None
    instruction: str | None = None
    specific: dict[str, Any] | None = None
    task_name: str = ""

    @property
    def texts(self) -> list[str]:
        """The choices, each as one text."""
        return [each if isinstance(each, str) else " | ".join(each) for each in self.choices or ()]

    @property
    def golds(self) -> list[int]:
        """The places of what is right among the choices."""
        given = [self.gold_index] if isinstance(self.gold_index, int) else self.gold_index or []
        return [place for place in given if 0 <= place < len(self.texts)]


class LightevalAnswer(_Written):
    """What a model answered: texts, or log-likelihoods of the choices."""

    text: list[str | None] | None = None
    reasonings: list[str | None] | None = None
    output_tokens: list[list[int] | None] | None = None
    logprobs: list[float | None] | None = None
    argmax_logits_eq_gold: list[bool | None] | None = None


class LightevalDetail(_Written):
    """A line of the details."""

    doc: LightevalDoc
    metric: dict[str, Any]
    model_response: LightevalAnswer

    @property
    def id(self) -> str:
        """What the document is paired by."""
        return sample_id(self.doc.id, self.doc.query, *self.doc.texts)

    @property
    def responses(self) -> list[Response]:
        """The texts, of which there may be several draws, with the thoughts apart."""
        texts, thoughts = self.model_response.text or [], self.model_response.reasonings or []
        aside = [*thoughts, *[None] * len(texts)]
        return [
            separate_thought(Response(text=text or "", stop_reason="end", thought=thought))
            for text, thought in zip(texts, aside, strict=False)
        ]

    @property
    def likelihoods(self) -> list[LogLikelihood]:
        """Those of the choices, in their order; none where there is not one for each."""
        answer = self.model_response
        logprobs, greedy = answer.logprobs or [], answer.argmax_logits_eq_gold or []
        tokens = answer.output_tokens or []
        whole = len(logprobs) == len(self.doc.texts) == len(greedy)
        if not whole or not all(each is not None and math.isfinite(each) for each in logprobs):
            return []
        counted = [sum(token != PADDING for token in each or ()) for each in tokens] + [0] * len(logprobs)
        return [
            LogLikelihood(logprob=logprob, greedy=bool(best), tokens=number)
            for logprob, best, number in zip(logprobs, greedy, counted, strict=False)
            if logprob is not None
        ]


def read_detail(file: str, number: int, given: Mapping[str, Any]) -> LightevalDetail:
    """A line. Raises DataError for one that is not as lighteval 0.13 writes it."""
    missing = [name for name in LightevalDetail.model_fields if name not in given]
    if missing:
        raise DataError(
            file,
            0,
            f"has no column {', '.join(missing)}: it is no file of details as lighteval 0.13 writes them",
        )
    try:
        return LightevalDetail.model_validate(given)
    except ValidationError as error:
        raise DataError(
            file, number, f"is not what lighteval writes: {': '.join(first_problem(error))}"
        ) from error


def row_of(position: int, sample: str, details: Sequence[LightevalDetail], metrics: Sequence[str]) -> Row:
    """A document's row; it has a line for each way in which it was asked."""
    doc = details[0].doc
    scored = [answer for each in details for answer in each.likelihoods]
    written = [answer for each in details for answer in each.responses]
    question = "\n\n".join(filter(None, [doc.instruction, doc.query]))
    return Row(
        sample=Sample(
            id=sample,
            prompt=question,
            choices=tuple(doc.texts) if scored else (),
            target="; ".join(doc.texts[place].strip() for place in doc.golds) or None,
        ),
        responses=(*scored, *written),
        scores=tuple(score for metric in metrics for score in _scores(metric, details)),
        position=position,
    )


def _scores(metric: str, details: Sequence[LightevalDetail]) -> Iterator[Score]:
    value = next((each.metric[metric] for each in details if each.metric.get(metric) is not None), None)
    values = as_parts(value)
    if values is None:
        yield Score(metric=metric, value=None, reason="lighteval gave none")
        return
    for each in values:
        number = each if math.isfinite(each) else None
        yield Score(
            metric=metric, value=number, reason=None if number is not None else f"lighteval gave {each}"
        )


# ---------------------------------------------------------------- documents that suites of ours score


def instructions_of(detail: LightevalDetail) -> Mapping[str, Any]:
    """A document of `ifeval` as a row of the official data; its number stands for the key, which is lost."""
    specific = detail.doc.specific or {}
    return {
        "key": int(detail.doc.id) if detail.doc.id.isdecimal() else detail.doc.id,
        "prompt": detail.doc.query,
        "instruction_id_list": specific.get("instructions_id_list"),
        "kwargs": specific.get("kwargs"),
    }


def choices_of(detail: LightevalDetail) -> Mapping[str, Any]:
    """A document of `truthfulqa:mc` as a row of the official data: mc1's choices, and mc2's after them."""
    texts, golds = [each.removeprefix(" ") for each in detail.doc.texts], set(detail.doc.golds)
    first = (detail.doc.specific or {}).get("len_mc1")
    if not isinstance(first, int):
        raise DataError(detail.id, 0, "lacks specific.len_mc1")
    labels = [int(place in golds) for place in range(len(texts))]
    return {
        "question": _question(detail),
        "mc1_targets": {"choices": texts[:first], "labels": labels[:first]},
        "mc2_targets": {"choices": texts[first:], "labels": labels[first:]},
    }


def _question(detail: LightevalDetail) -> str:
    """What stands after the preamble's six questions and answers."""
    return detail.doc.query.rpartition("\n\nQ: ")[2].removesuffix("\nA:")


def answer_of(detail: LightevalDetail, source: str) -> GivenAnswer:
    """What was answered to a document."""
    scored = detail.likelihoods
    return GivenAnswer(
        where=f"{source}, document {detail.doc.id}",
        id=None if scored else detail.doc.id,
        prompt=_question(detail) if scored else detail.doc.query,
        responses=dict(enumerate(detail.responses)),
        likelihoods={
            choice.strip(): each for choice, each in zip(detail.doc.texts, scored, strict=bool(scored))
        },
    )
