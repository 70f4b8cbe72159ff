"""TruthfulQA, generation: does a model tell the truth in its own words, and is it informative?

Paper: Lin, Hilton and Evans, "TruthfulQA: Measuring How Models Mimic Human Falsehoods" (ACL 2022),
https://arxiv.org/abs/2109.07958. Data: `truthfulqa/truthful_qa`, config `generation`, split `validation`, 817
questions; the same rows are in https://github.com/sylinrl/TruthfulQA at 013686a. Preamble: lm-eval's task
`truthfulqa_gen`, which has the official code's.

As in the official code an answer is greedy, up to 50 tokens, and ends before a blank line or the next
question; `A:` stands at the end of the prompt, where the official code lets the model write it and then takes
it away. (lm-eval leaves it in what it scores.)

**Overlap** (BLEU, ROUGE-1, -2, -L): `max` is the greatest overlap with a true reference answer, `diff` that
minus the greatest with a false one, `acc` whether it is greater. "I have no comment." is among the true ones.
An answer that is empty overlaps with nothing, and its `acc` is 0, as in the official code.

**Judged**, where `judge` names a model: `truth`, `info` (does it say anything that answers the question?) and
their product `truth_info`, the share of answers that are both, which is then the headline. The paper's judges
were fine-tuned for the one question or the other, and can no longer be asked; `judge_form = "official"` asks
models that were fine-tuned like them (`judge` and `info_judge`) with the official text, and takes the word
they write, where the official code asks whether yes has a probability of one half. By default a judge is
instructed, and shown the reference answers: a general model shares the misconceptions that are asked about.

Without a judge the headline is `rouge1_acc`. BLEU multiplies the shares of 1- to 4-grams, so an answer of two
words is worth 0 even where it is a true reference to the letter: 476 of the 5,600 reference answers that have
company are. Each of these held against the others, `rouge1_acc` tells true from false best: for 62 % on
balance (rougeL 61 %, bleu 54 %, rouge2 52 %). That is little: use a judge where you can.

Whether a judge is right, only people's ratings can show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from pydantic import field_validator

from harness.adaptors.engine_requests import TaskRows
from harness.protocols import Engine
from harness.records.answers import Metric, Prompt, Response, Row, Sample, SamplingParameters, Score
from harness.records.models import Json
from harness.turns import turns_or_text
from suites.lm_eval_task import official_task
from suites.official import official_rows
from suites.row_suite import DataRow, SampleSuite, short_hash
from suites.settings import SuiteContext, TruthfulQAGenSettings, template_applied
from suites.truthfulqa_categories import GENERATION
from suites.truthfulqa_gen_scores import JUDGED, judged_scores, overlap_metrics, overlap_scores
from suites.truthfulqa_judge_prompts import FORMS
from suites.yes_no_judge import SPEAKERS, YesNoJudge

TASK, TASK_VERSION = "truthfulqa_gen", "3.0"
NO_COMMENT = "I have no comment."
STOP = ("\n\n", "\nQ:")


class OpenQuestion(DataRow):
    """A row of the official data."""

    question: str
    best_answer: str
    correct_answers: list[str]
    incorrect_answers: list[str]
    type: str | None = None
    category: str | None = None

    @field_validator("question", "best_answer")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty")
        return text

    @field_validator("correct_answers", "incorrect_answers")
    @classmethod
    def _some(cls, answers: list[str]) -> list[str]:
        if not any(answer.strip() for answer in answers):
            raise ValueError("holds no answer")
        return answers

    @property
    def id(self) -> str:
        """The question's hash, as in `truthfulqa`."""
        return short_hash(self.question.strip())

    @property
    def true(self) -> list[str]:
        """The true reference answers, as the official code compares with them."""
        answers = with_full_stops(self.correct_answers)
        return answers if NO_COMMENT in answers else [*answers, NO_COMMENT]

    @property
    def false(self) -> list[str]:
        return with_full_stops(self.incorrect_answers)

    @property
    def content(self) -> Mapping[str, Any]:
        """Question and reference answers, and not what the question is about."""
        return self.model_dump(exclude={"type", "category"})

    @property
    def sample(self) -> Sample:
        kinds = {"type": self.type, "category": self.category}
        return Sample(
            id=self.id,
            prompt=self.question,
            target=self.best_answer,
            tags={name: value for name, value in kinds.items() if value is not None},
        )


@dataclass(frozen=True)
class TruthfulQAGen(SampleSuite[OpenQuestion]):
    """The suite `truthfulqa-gen`."""

    given: TruthfulQAGenSettings
    context: SuiteContext

    name: ClassVar[str] = "truthfulqa-gen"
    version: ClassVar[str] = f"2 (lm-eval {TASK} {TASK_VERSION})"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is judged comes first, where there is a judge."""
        return overlap_metrics(headline=True) if self.given.judge is None else JUDGED + overlap_metrics()

    @cached_property
    def items(self) -> tuple[OpenQuestion, ...]:
        return official_rows(GENERATION, OpenQuestion, self.given, self.context)

    @property
    def sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.given.max_tokens, stop=STOP)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Preamble and question are one user turn where a chat template is applied."""
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "num_fewshot": 0,
            "preamble": "the official six questions and answers, in the same turn as the question",
            "sampling": asdict(self.sampling),
            **self._scorer(),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask everything, then the judge about everything: a judge on this machine answers in batches."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        prompts = [Prompt(content=turns_or_text(text, chat=applied)) for text in self._prompts()]
        answers = engine.generate(prompts, self.sampling)
        if self._judges is None:
            for index, response in answers:
                yield self._row(index, response, ())
            return
        responses = dict(sorted(answers))
        asked = {index: one.text for index, one in responses.items() if one.unanswered is None}
        replies = self._replies(self._judges, asked)
        for index, response in responses.items():
            yield self._row(index, response, replies.get(index, ()))

    def _prompts(self) -> Sequence[str]:
        documents = [question.content for question in self.items]
        source = GENERATION.source(self.given, self.context)
        task = official_task(TASK, TASK_VERSION, TaskRows(documents, source))
        return [f"{task.question(index)}\nA:" for index in range(len(documents))]

    @property
    def _judges(self) -> tuple[YesNoJudge, YesNoJudge] | None:
        """The judges of truth and of informativeness."""
        if self.given.judge is None:
            return None
        names = (self.given.judge, self.given.info_judge or self.given.judge)
        truth, info = (YesNoJudge(name=name, context=self.context) for name in names)
        return truth, info

    def _scorer(self) -> Mapping[str, Json]:
        if self._judges is None:
            return {"judge": None}
        truth, info = self._judges
        form = FORMS[self.given.judge_form]
        if not form.as_turns:
            truth.check_continues_text()
            info.check_continues_text()
        return {
            "judge": truth.identity(),
            "info_judge": info.identity(),
            "judge_form": self.given.judge_form,
            "judge_sampling": asdict(form.sampling(self.given.judge_max_tokens)),
        }

    def _replies(
        self, judges: tuple[YesNoJudge, YesNoJudge], answers: Mapping[int, str]
    ) -> Mapping[int, tuple[Response, Response]]:
        """Replies on the truth and the informativeness of answers, by their questions' places.

        One judge is asked everything at once; of two, the first is let go of before the second is loaded.
        """
        form = FORMS[self.given.judge_form]
        sampling = form.sampling(self.given.judge_max_tokens)
        asked = [(self.items[index], cleaned(answer)) for index, answer in answers.items()]
        about = [(each.question.strip(), answer, each.true, each.false) for each, answer in asked]
        texts = [form.truth(*each) for each in about], [form.info(*each) for each in about]
        if judges[0] == judges[1]:
            both = judges[0].replies([*texts[0], *texts[1]], sampling, as_turns=form.as_turns)
            truth, info = both[: len(about)], both[len(about) :]
        else:
            truth, info = (
                judge.replies(wanted, sampling, as_turns=form.as_turns)
                for judge, wanted in zip(judges, texts, strict=True)
            )
        return dict(zip(answers, zip(truth, info, strict=True), strict=True))

    def _with_speakers(self, question: OpenQuestion) -> Sample:
        if self._judges is None:
            return question.sample
        truth, info = self._judges
        speakers = ["the model", f"judge {truth.name} on truth", f"judge {info.name} on informativeness"]
        return replace(question.sample, tags={**question.sample.tags, SPEAKERS: speakers})

    def _row(self, index: int, response: Response, replies: Sequence[Response]) -> Row:
        """The responses are the answer, then the judges' replies on truth and informativeness."""
        question = self.items[index]
        nothing = response.unanswered
        if nothing is not None:
            scores = [Score(metric=metric.name, value=None, reason=nothing) for metric in self.metrics]
        else:
            scores = [*judged_scores(*replies)] if replies else []
            scores += overlap_scores(cleaned(response.text), question.true, question.false)
        return Row(
            sample=self._with_speakers(question),
            responses=(response, *replies),
            scores=tuple(scores),
            position=index,
        )


def with_full_stops(answers: Sequence[str]) -> list[str]:
    """Reference answers without blanks around them, each ending in a full stop; empty ones are left out."""
    stripped = [answer.strip() for answer in answers if answer.strip()]
    return [answer if answer.endswith(".") else f"{answer}." for answer in stripped]


def cleaned(answer: str) -> str:
    """An answer without blanks around it, and without the `A:` with which it may begin a second time."""
    return answer.strip().removeprefix("A:").strip()
