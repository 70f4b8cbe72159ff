"""IFEval: does a model follow instructions that a program can verify?

Paper: Zhou et al., "Instruction-Following Evaluation for Large Language Models" (2023),
https://arxiv.org/abs/2311.07911. Data: `google/IFEval`, split `train`, 541 prompts with 834 instructions; the
same rows are in https://github.com/google-research/google-research/tree/master/instruction_following_eval at
26d8ccd. Prompts and scoring: lm-eval's task `ifeval`, whose checkers are the official ones.

The paper's four numbers: a prompt counts where all its instructions are followed, or each instruction counts
by itself; strictly, or loosely, where the answer without its first line, its last line or its asterisks may
pass instead. Prompt-level strict is the headline. A prompt's instructions share its answer, so they are not
independent: they are parts of one row, and its prompt is their cluster.

Two scorings of one answer agree: language detection is seeded, and so is the letter that the official checker
draws at random where it cannot use the given one (keys 1122 and 1129 ask for `#` and `!`). Those two verdicts
follow the official code and still mean nothing.
"""

import io
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator, model_validator

from harness.adaptors.asking import Answered
from harness.errors import DataError, DownloadNeeded
from harness.protocols import Engine
from harness.records import Json, Metric, Row, Sample, Sampling
from suites.foreign import scores_of
from suites.lm_eval_task import official_task
from suites.official import OfficialRow, Origin, hash_rows, official_rows
from suites.settings import IFEvalSettings, Surroundings, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.tasks import LmEvalTask

ORIGIN = Origin(file="ifeval/input_data.jsonl", hub="google/IFEval", config=None, split="train")
TASK, TASK_VERSION = "ifeval", "4.0"
PROMPT_METRICS = {"prompt_strict": "prompt_level_strict_acc", "prompt_loose": "prompt_level_loose_acc"}
INSTRUCTION_METRICS = {
    "instruction_strict": "inst_level_strict_acc",
    "instruction_loose": "inst_level_loose_acc",
}
TRIAL_ANSWER = "One word."
"""An answer that every checker can judge, to find arguments that no answer could be judged by."""


class Instructions(OfficialRow):
    """A row of the official data."""

    key: int
    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any]]

    @field_validator("kwargs")
    @classmethod
    def _given(cls, kwargs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The hub lists every argument of every instruction, most of them null; the file only those given."""
        return [{name: value for name, value in each.items() if value is not None} for each in kwargs]

    @model_validator(mode="after")
    def _paired(self) -> "Instructions":
        if not self.instruction_id_list:
            raise ValueError("instruction_id_list is empty")
        if len(self.instruction_id_list) != len(self.kwargs):
            raise ValueError(f"{len(self.instruction_id_list)} instructions have {len(self.kwargs)} kwargs")
        return self

    @property
    def id(self) -> str:
        """The official key."""
        return str(self.key)


@dataclass(frozen=True)
class IFEval:
    """The suite `ifeval`."""

    given: IFEvalSettings
    surroundings: Surroundings

    name: ClassVar[str] = "ifeval"
    version: ClassVar[str] = f"1 (lm-eval {TASK} {TASK_VERSION})"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="prompt_strict", kind="binary", headline=True),
        Metric(name="prompt_loose", kind="binary"),
        Metric(name="instruction_strict", kind="binary"),
        Metric(name="instruction_loose", kind="binary"),
    )

    @cached_property
    def prompts(self) -> tuple[Instructions, ...]:
        """The rows to ask. Raises DataError or DownloadNeeded."""
        return official_rows(ORIGIN, Instructions, self.given, self.surroundings)

    @property
    def data_hash(self) -> str:
        """Over keys, prompts, instructions and their arguments."""
        return hash_rows(prompt.model_dump() for prompt in self.prompts)

    @property
    def size(self) -> int:
        """541 in the official data."""
        return len(self.prompts)

    @property
    def sampling(self) -> Sampling:
        """Greedy, up to lm-eval's 1,280 tokens unless set otherwise, with no stop string."""
        return Sampling(max_tokens=self.given.max_tokens)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """A prompt is one user turn where a chat template is applied."""
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "num_fewshot": 0,
            "sampling": asdict(self.sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per prompt. Raises DataError for arguments that an instruction does not take."""
        # imported here because lm-eval takes seconds to import, and a stored evaluation needs none of it
        from harness.adaptors.lm_eval.tasks import ask  # noqa: PLC0415

        task = self._task()
        applied = template_applied(self.given.chat_template, engine.chat_template)
        for (answered,) in ask([task], engine, chat_template=applied, seed=self.sampling.seed):
            yield self._row(answered)

    def _task(self) -> "LmEvalTask":
        _make_scoring_repeatable()
        _need_sentence_data(self.surroundings.data_root)
        documents = [prompt.model_dump() for prompt in self.prompts]
        generation = {"until": [], "do_sample": False, "max_gen_toks": self.given.max_tokens}
        source = ORIGIN.source(self.given, self.surroundings)
        task = official_task(TASK, TASK_VERSION, documents, source, generation_kwargs=generation)
        self._check_arguments(task, source)
        return task

    def _check_arguments(self, task: "LmEvalTask", source: str) -> None:
        for index, prompt in enumerate(self.prompts):
            try:
                task.score_text(index, TRIAL_ANSWER)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                asked = ", ".join(prompt.instruction_id_list)
                raise DataError(source, index + 1, f"cannot be checked ({asked}): {error!r}") from error

    def _row(self, answered: Answered) -> Row:
        prompt = self.prompts[answered.index]
        parts = len(prompt.instruction_id_list)
        by_prompt = [scores_of(ours, answered, theirs) for ours, theirs in PROMPT_METRICS.items()]
        by_part = [scores_of(ours, answered, theirs, parts) for ours, theirs in INSTRUCTION_METRICS.items()]
        return Row(
            sample=Sample(
                id=prompt.id, prompt=prompt.prompt, tags={"instructions": prompt.instruction_id_list}
            ),
            responses=answered.responses,
            scores=tuple(score for scores in by_prompt + by_part for score in scores),
            position=answered.index,
        )


def _make_scoring_repeatable() -> None:
    """Seed language detection, which otherwise judges one text in two ways on two days.

    The checker also logs every text that has no language to detect; it counts it as following, and we say
    nothing of it while answers are shown as they come.
    """
    from langdetect import DetectorFactory  # noqa: PLC0415  # only scoring needs it

    DetectorFactory.seed = 0
    logging.getLogger("lm_eval.tasks.ifeval.instructions").setLevel(logging.CRITICAL)


def _need_sentence_data(data_root: Path | None) -> None:
    """See to it that nltk finds `punkt_tab`, with which answers are cut into sentences.

    Raises DownloadNeeded where it is nowhere on this machine and cannot be downloaded.
    """
    import nltk  # noqa: PLC0415  # only scoring needs it, and it takes a second to import

    ours = None if data_root is None else data_root / "nltk_data"
    if (
        ours is not None
        and ours.is_dir()
        and "NLTK_DATA" not in os.environ
        and str(ours) not in nltk.data.path
    ):
        nltk.data.path.append(str(ours))
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError as error:
        complaint = io.StringIO()
        if not nltk.download("punkt_tab", quiet=True, prefix="", print_error_to=complaint):
            raise DownloadNeeded(
                "ifeval cuts answers into sentences with nltk's punkt_tab, which is not on this machine and "
                f"cannot be downloaded ({' '.join(complaint.getvalue().split())}); set NLTK_DATA to a folder "
                "that holds tokenizers/punkt_tab"
            ) from error
