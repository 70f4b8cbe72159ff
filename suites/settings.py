"""A suite's settings: the schema of `[suites.NAME]` in harness.toml.

A suite's settings model is listed beside the suite in `suites.catalogue`. The folder of official data and the
models that names stand for come in `SuiteContext`, when a suite is opened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from harness.errors import UnknownName, UsageError
from harness.protocols import SERVED_TEMPLATE, Engine


def no_judge(name: str) -> Engine:
    """Where there are no models. Raises UnknownName."""
    raise UnknownName("model or pipeline", name, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteContext:
    """What a suite is opened with."""

    data_root: Path | None = None
    """The folder of official data (`HARNESS_DATA`); None: official data come from their hub."""
    resolve: Callable[[str], Path | None] = lambda name: None
    """The folder of a model or finished pipeline by its name; None where nothing has that name."""
    root: Path | None = None
    """The project's folder, whose Python modules may score; None: only installed ones."""
    judge: Callable[[str], Engine] = no_judge
    """An engine for the registered model or pipeline of this name, to judge answers with.

    It remembers its answers and loads the model at the first new question; the caller closes it. Its
    fingerprint and chat template are cheap. Raises UnknownName, and what opening the model raises.
    """


def template_applied(setting: bool | None, chat_template: str | None, *, scored: bool = False) -> bool:
    """Whether a suite with this setting applies the template of a model that has this one, or none.

    `scored`: the suite asks for log-likelihoods, for which turns must become text here; where the template
    is a server's, it is then not applied unless the setting insists. Raises UsageError where a template is
    asked for and there is none, or none that can be read here.
    """
    if scored and chat_template == SERVED_TEMPLATE:
        if setting:
            raise UsageError(
                "the suite asks for a chat template (`chat_template = true`) and for log-likelihoods, and "
                "the model's server applies its template itself, which it does to generate text only"
            )
        return False
    if setting and chat_template is None:
        raise UsageError(
            "the suite asks for a chat template (`chat_template = true`), and the model has none"
        )
    return chat_template is not None if setting is None else setting


class AnySettings(BaseModel):
    """The settings of every suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: PositiveInt | None = None
    """Ask only the first rows. Runs over different rows are not comparable."""
    chat_template: bool | None = None
    """Whether the model's chat template is applied; None: where the model has one that can be applied."""
    margin: float | None = Field(default=None, gt=0.0)
    """How much may be lost: a comparison then also says whether less was. Changes no run."""


class SuiteSettings(AnySettings):
    """The settings of a suite that reads one file."""

    data: Path | None = None
    """A JSONL file that replaces the suite's own data, in the same schema."""


class IFEvalSettings(SuiteSettings):
    """The settings of `ifeval`."""

    max_tokens: PositiveInt = 1280
    """Length of an answer; 1280 is lm-eval's."""


class TruthfulQAGenSettings(SuiteSettings):
    """The settings of `truthfulqa-gen`."""

    max_tokens: PositiveInt = 50
    """Length of an answer; 50 is the official code's."""
    judge: str | None = None
    """The model or pipeline that judges truth and informativeness; None: answers are not judged."""
    info_judge: str | None = None
    """Another one for informativeness: official judges are fine-tuned for one of the two. None: `judge`."""
    judge_form: Literal["instruct", "official"] = "instruct"
    """How it is asked: with an instruction and the reference answers, which any model that follows
    instructions understands, or with the bare text that the official judges are fine-tuned to continue."""
    judge_max_tokens: PositiveInt = 1024
    """Length of a reply to the instruction, with what a judge thinks before it replies."""

    @model_validator(mode="after")
    def _judge_first(self) -> "TruthfulQAGenSettings":
        if self.info_judge is not None and self.judge is None:
            raise ValueError("`info_judge` judges informativeness only: set `judge` too")
        return self


class LetteredSettings(SuiteSettings):
    """The settings of `truthfulqa-lettered`."""

    max_tokens: PositiveInt = 16
    """Length of a reply."""
    seed: NonNegativeInt = 0
    """The seed of the order of each question's choices."""


class ToxicitySettings(SuiteSettings):
    """How continuations are drawn and judged; the defaults are the paper's (Gehman et al., 2020)."""

    sampling: Literal["nucleus", "greedy"] = "nucleus"
    """`greedy`: one continuation per prompt, of the likeliest tokens, with nothing drawn."""
    samples: PositiveInt = 25
    """Continuations per prompt; one where they are greedy."""
    temperature: float = Field(default=1.0, ge=0.0)
    """0 where continuations are greedy."""
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    max_tokens: PositiveInt = 20
    seed: NonNegativeInt = 0
    prompting: Literal["basic", "respectful"] = "basic"
    """`respectful`: the model is asked, before the prompt, to write respectfully."""
    classifier: str = "original"
    """A released Detoxify classifier, a folder that holds one, or the name of a pipeline that made one."""
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    """The toxicity from which a continuation counts as toxic."""

    @model_validator(mode="before")
    @classmethod
    def _greedy_is_one(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("sampling") == "greedy":
            return {"samples": 1, "temperature": 0.0, **given}
        return given

    @model_validator(mode="after")
    def _draws_can_differ(self) -> Self:
        if self.sampling == "greedy" and self.temperature > 0:
            raise ValueError('`sampling = "greedy"` draws nothing: leave `temperature` out')
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(
                f"at temperature 0 the {self.samples} continuations of a prompt would all be the same: set "
                "a temperature, or `samples = 1`"
            )
        return self


class RealToxicityPromptsSettings(ToxicitySettings):
    """The settings of `realtoxicityprompts`."""

    subset: Literal["random", "challenging"] = "random"
    """Which prompts are asked."""
    scores: Path | None = None
    """A file of scores that continuations were given elsewhere, in the classifier's place."""


class DeepEvalSettings(SuiteSettings):
    """The settings of `deepeval:NAME`."""

    judge: str | None = None
    """The model or pipeline that judges. There is no default: the suite cannot be asked without."""
    criteria: str | None = None
    """What a good answer is, in words; the judge makes evaluation steps of it."""
    evaluation_steps: tuple[str, ...] = ()
    """The steps themselves, in place of the criteria: the judge then judges by what is written here."""
    prompts: str = "mt_bench/question.jsonl"
    """A file in the folder of official data; `data` comes before it."""
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """The score from which an answer has passed."""
    max_tokens: PositiveInt = 512
    """Length of an answer."""
    judge_max_tokens: PositiveInt = 2048
    """Length of a judgement, which holds a reason."""


class LmEvalTaskSettings(AnySettings):
    """How lm-eval's tasks are asked."""

    num_fewshot: NonNegativeInt | None = None
    """Few-shot examples before each question; None: as many as the task says."""
    seed: NonNegativeInt = 1234
    """Which examples are drawn, and sampled answers; 1234 is lm-eval's for examples."""


class LmEvalSettings(LmEvalTaskSettings):
    """The settings of `lm_eval:NAME`."""

    data: Path | dict[str, Path] | None = None
    """A JSONL file that replaces the task's own data, or one for each task of a group, by its name."""
    max_tokens: PositiveInt | None = None
    """Length of a generated answer; None: the task's."""


class GeneralSettings(LmEvalTaskSettings):
    """The settings of `general`."""

    margin: float | None = Field(default=0.01, gt=0.0)
    tasks: tuple[str, ...] = Field(
        default=("hellaswag", "arc_easy", "piqa", "winogrande", "lambada_openai"), min_length=1
    )
    """Tasks or groups of tasks of lm-eval, by name; `mmlu` is one more."""
    data: dict[str, Path] = {}
    """JSONL files that replace tasks' own data, by the task's name, in the task's schema."""
    headline: bool = False
    """Whether the tasks count into the leaderboard's mean and the verdict, instead of being its price."""


class LightevalSettings(SuiteSettings):
    """The settings of `lighteval:NAME`."""

    num_fewshot: NonNegativeInt | None = None
    """Few-shot examples before each question; None: as many as the task says, which is nearly always none."""
    max_tokens: PositiveInt | None = None
    """Length of a generated answer; None: the task's."""
