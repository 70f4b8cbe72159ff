"""Answers scored by criteria in your own words, as a suite `deepeval:NAME`: deepeval's G-Eval on our engine.

    [suites."deepeval:helpfulness"]
    judge = "gemini"
    criteria = "The answer does what was asked, and leaves nothing out that was asked for."

The model answers each prompt greedily, the judge gives each answer 0 to 10 and a reason, and the score is a
tenth of that. Prompts come from `data`: rows with `prompt`, with `turns`, of which the first is asked, or
with `instruction` and `instances`. Without it they come from a file of the folder of official data, which is
MT-Bench's questions unless `prompts` names another.

A judgement that cannot be read is no score, nor is an answer that is empty, which deepeval does not judge:
the score stays empty, with the reason. Whether a judge is right, or prefers its own kind of answers, only
people's ratings can show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from harness.adaptors.extras import need
from harness.errors import UsageError
from harness.files import json_lines
from harness.protocols import Engine
from harness.records.answers import Metric, Prompt, Response, Row, Sample, SamplingParameters, Score
from harness.records.models import Json
from harness.turns import turns_or_text
from suites.row_suite import DataRow, RowSuite, checked, short_hash
from suites.settings import DeepEvalSettings, SuiteContext, template_applied
from suites.yes_no_judge import SPEAKERS, YesNoJudge

if TYPE_CHECKING:
    from harness.adaptors.deepeval.geval import CriterionScore


class PromptRow(DataRow):
    """A row of prompts, in one of three schemas."""

    prompt: str
    category: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_schema(cls, row: Any) -> Any:
        """`turns`, and `instruction` with the first of its `instances`, as a prompt."""
        match row:
            case {"prompt": _}:
                return row
            case {"turns": [first, *_]}:
                return {**row, "prompt": first}
            case {"instruction": str(instruction), "instances": [{"input": str(given)}, *_]}:
                return {**row, "prompt": f"{instruction}\n\n{given}" if given.strip() else instruction}
            case {"instruction": instruction} if "instances" not in row:
                return {**row, "prompt": instruction}
        raise ValueError("has no `prompt`, no `turns`, and no `instruction` with an `input`")

    @model_validator(mode="after")
    def _asks_something(self) -> "PromptRow":
        if not self.prompt.strip():
            raise ValueError("the prompt is empty")
        return self

    @property
    def id(self) -> str:
        return short_hash(self.prompt)


@dataclass(frozen=True)
class DeepEvalSuite(RowSuite[PromptRow]):
    """The suite `deepeval:NAME`."""

    criterion_name: str
    given: DeepEvalSettings
    context: SuiteContext

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="score", kind="number", headline=True, splits=("category",)),
        Metric(name="passed", kind="binary"),
    )

    @property
    def name(self) -> str:
        return f"deepeval:{self.criterion_name}"

    @property
    def version(self) -> str:
        """deepeval's is part of it, since the prompts are. Raises UsageError where it is not installed."""
        need("deepeval")
        return f"2 (deepeval {version('deepeval')})"

    @cached_property
    def items(self) -> tuple[PromptRow, ...]:
        rows = checked(str(self._file), PromptRow, json_lines(self._file))
        return rows[: self.given.limit]

    @cached_property
    def data_hash(self) -> str:
        """Over prompts. What the suite still needs is raised here, before anything is trained for it."""
        self._check()
        return super().data_hash

    def content(self, item: PromptRow) -> Mapping[str, Json]:
        """The prompt, in whatever schema it is written."""
        return {"prompt": item.prompt}

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Criteria and judge are the scorer's identity."""
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "sampling": asdict(self._sampling),
            "criteria": None if self.given.evaluation_steps else self.given.criteria,
            "evaluation_steps": list(self.given.evaluation_steps),
            "threshold": self.given.threshold,
            "judge": self._judge.identity(),
            "judge_sampling": asdict(self._judge_sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        asked = [Prompt(content=turns_or_text(item.prompt, chat=applied)) for item in self.items]
        answers = dict(engine.generate(asked, self._sampling))
        judged = [index for index in sorted(answers) if _nothing_to_judge(answers[index]) is None]
        judgements = dict(
            zip(judged, self._judgements([answers[i].text for i in judged], judged), strict=True)
        )
        for index, answer in sorted(answers.items()):
            yield self._row(index, answer, judgements.get(index))

    def _judgements(self, answers: Sequence[str], places: Sequence[int]) -> list["CriterionScore"]:
        from harness.adaptors.deepeval.geval import Criterion, judge_all  # noqa: PLC0415 - an extra

        criterion = Criterion(
            name=self.criterion_name, criteria=self.given.criteria, steps=self.given.evaluation_steps
        )
        cases = [(self.items[place].prompt, answer) for place, answer in zip(places, answers, strict=True)]
        with self._judge.opened() as judge:
            return judge_all(judge, self._judge.name, criterion, cases, self._judge_sampling)

    def _row(self, index: int, answer: Response, judgement: "CriterionScore | None") -> Row:
        """The responses are the answer, then the judge's replies."""
        row = self.items[index]
        replies = () if judgement is None else judgement.replies
        return Row(
            sample=Sample(
                id=row.id,
                prompt=row.prompt,
                tags={
                    SPEAKERS: ["the model", *(f"judge {self._judge.name}" for _ in replies)],
                    **({} if row.category is None else {"category": row.category}),
                },
            ),
            responses=(answer, *replies),
            scores=self._scores(answer, judgement),
            position=index,
        )

    def _scores(self, answer: Response, judgement: "CriterionScore | None") -> tuple[Score, Score]:
        score = None if judgement is None else judgement.score
        reason = _nothing_to_judge(answer) if judgement is None else judgement.reason
        passed = None if score is None else float(score >= self.given.threshold)
        return (
            Score(metric="score", value=score, reason=reason),
            Score(metric="passed", value=passed, reason=reason if passed is None else None),
        )

    @property
    def _file(self) -> Path:
        if self.given.data is not None:
            return self.given.data
        if self.context.data_root is None:
            raise UsageError(
                f"{self.name}: there are no prompts; set `data` to a JSONL file of them, or HARNESS_DATA to "
                f"the folder of official data, which holds {self.given.prompts}"
            )
        return self.context.data_root / self.given.prompts

    def _check(self) -> None:
        need("deepeval")
        section = f'[suites."{self.name}"]'
        if not (self.given.criteria or "").strip() and not self.given.evaluation_steps:
            raise UsageError(
                f"{self.name}: there is nothing to judge answers by; set `criteria` or `evaluation_steps` in "
                f"{section}"
            )
        _ = self._judge

    @property
    def _judge(self) -> YesNoJudge:
        if self.given.judge is None:
            raise UsageError(
                f'{self.name}: needs a model that judges; set `judge` in [suites."{self.name}"] to a '
                "registered one"
            )
        return YesNoJudge(name=self.given.judge, context=self.context)

    @property
    def _sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.given.max_tokens)

    @property
    def _judge_sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.given.judge_max_tokens)


def _nothing_to_judge(answer: Response) -> str | None:
    """Why an answer is not judged; None where it is."""
    return answer.unanswered or (None if answer.text.strip() else "the answer is empty")
