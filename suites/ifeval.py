"""IFEval: does a model follow instructions that a program can verify?

Paper: Zhou et al., "Instruction-Following Evaluation for Large Language Models" (2023),
https://arxiv.org/abs/2311.07911. Data: `google/IFEval`, split `train`, 541 prompts with 834 instructions; the
same rows are in https://github.com/google-research/google-research/tree/master/instruction_following_eval at
26d8ccd. Prompts and scoring: lm-eval's task `ifeval`, whose checkers are the official ones.

The paper's four numbers: a prompt counts where all its instructions are followed, or each instruction counts
by itself; strictly, or loosely, where the answer without its first line, its last line or its asterisks may
pass instead. Prompt-level strict is the headline. A prompt's instructions share its answer, so they are not
independent: they are parts of one row, and its prompt is their cluster.

Two scorings of one answer agree: language detection is seeded, and where the official checker would count a
letter that it draws at random (keys 1122 and 1129, which ask for `#` and `!`), the character asked for is
counted: see `suites.ifeval_instructions`. By as much as those verdicts can move a number, ours can differ
from the official code's, and the official code's from itself; the metrics' notes say by how much.
"""

import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from harness.adaptors.engine_requests import AnsweredDocument, TaskRows
from harness.errors import DownloadNeeded
from harness.protocols import Engine
from harness.records.answers import Metric, Response, Row, SamplingParameters, Score
from harness.records.models import Json
from suites.ifeval_instructions import Instructions, InstructionVerdicts, verdicts
from suites.lm_eval_task import official_task
from suites.official import OfficialDataset, official_rows
from suites.row_suite import SampleSuite
from suites.settings import IFEvalSettings, SuiteContext, template_applied

ORIGIN = OfficialDataset(file="ifeval/input_data.jsonl", hub="google/IFEval", config=None, split="train")
TASK, TASK_VERSION = "ifeval", "4.0"
DRAWN = (
    "2 of the official data's 834 instruction verdicts (keys 1122 and 1129) are random in the official code, "
    "which counts a letter that it draws; here the character that is asked for is counted. They can move "
    "this number by at most"
)
OF_PROMPTS = f"{DRAWN} 2 prompts, {2 / 541:.4f} of all 541"
OF_INSTRUCTIONS = f"{DRAWN} 2 instructions, {2 / 834:.4f} of all 834"


@dataclass(frozen=True)
class IFEval(SampleSuite[Instructions]):
    """The suite `ifeval`."""

    given: IFEvalSettings
    context: SuiteContext

    name: ClassVar[str] = "ifeval"
    version: ClassVar[str] = f"3 (lm-eval {TASK} {TASK_VERSION})"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="prompt_strict", kind="binary", headline=True, note=OF_PROMPTS),
        Metric(name="prompt_loose", kind="binary", note=OF_PROMPTS),
        Metric(
            name="instruction_strict",
            kind="binary",
            splits=("instruction family", "instruction"),
            note=OF_INSTRUCTIONS,
        ),
        Metric(name="instruction_loose", kind="binary", note=OF_INSTRUCTIONS),
    )

    @cached_property
    def items(self) -> tuple[Instructions, ...]:
        return official_rows(ORIGIN, Instructions, self.given, self.context)

    @property
    def sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.given.max_tokens)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """A prompt is one user turn where a chat template is applied."""
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "num_fewshot": 0,
            "sampling": asdict(self.sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        from harness.adaptors.lm_eval.tasks import ask  # noqa: PLC0415 - lm-eval takes seconds to import

        source = ORIGIN.source(self.given, self.context)
        checkers = Checkers(self.items, source, self.context.data_root, max_tokens=self.given.max_tokens)
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        for (answered,) in ask([checkers.task], engine, chat_template=applied, seed=self.sampling.seed):
            yield self._row(answered)

    def _row(self, answered: AnsweredDocument) -> Row:
        prompt = self.items[answered.index]
        return Row(
            sample=prompt.sample,
            responses=answered.responses,
            scores=_scores(prompt, answered),
            position=answered.index,
        )


class Checkers:
    """The official checkers over prompts, made to give one verdict on one answer."""

    def __init__(
        self, prompts: Sequence[Instructions], source: str, data_root: Path | None, *, max_tokens: int
    ) -> None:
        """`source` is what errors call the prompts. Raises DownloadNeeded where nltk's data are missing."""
        _make_scoring_repeatable()
        _need_sentence_data(data_root)
        self._prompts = prompts
        self.task = official_task(
            TASK,
            TASK_VERSION,
            TaskRows([prompt.model_dump() for prompt in prompts], source),
            generation_kwargs={"until": [], "do_sample": False, "max_gen_toks": max_tokens},
        )

    def verdicts(self, index: int, answer: str) -> InstructionVerdicts:
        """What the suite says of this answer to the prompt at this place."""
        return verdicts(self._prompts[index], answer, self.task.score_text(index, answer))


def _scores(prompt: Instructions, answered: AnsweredDocument) -> tuple[Score, ...]:
    """All metrics of one prompt; the instructions' are parts, in the order of the instructions."""
    parts = len(prompt.pairs)
    if answered.failure is not None:
        names = ["prompt_strict", "prompt_loose"]
        names += [name for name in ("instruction_strict", "instruction_loose") for _ in range(parts)]
        return tuple(Score(metric=name, value=None, reason=answered.failure) for name in names)
    (answer,) = (response.text for response in answered.responses if isinstance(response, Response))
    followed = verdicts(prompt, answer, answered.values)
    return (
        Score(metric="prompt_strict", value=float(all(followed.strict))),
        Score(metric="prompt_loose", value=float(all(followed.loose))),
        *(Score(metric="instruction_strict", value=float(each)) for each in followed.strict),
        *(Score(metric="instruction_loose", value=float(each)) for each in followed.loose),
    )


def _make_scoring_repeatable() -> None:
    """Seed language detection, which otherwise judges one text in two ways on two days.

    The checker also logs every text that has no language to detect, and counts it as following; the log is
    silenced, since answers are shown as they come.
    """
    from langdetect import DetectorFactory  # noqa: PLC0415 - only scoring needs it

    DetectorFactory.seed = 0
    logging.getLogger("lm_eval.tasks.ifeval.instructions").setLevel(logging.CRITICAL)


def _need_sentence_data(data_root: Path | None) -> None:
    """Make nltk find `punkt_tab`, which cuts answers into sentences.

    Raises DownloadNeeded where it is nowhere on this machine and cannot be downloaded.
    """
    import nltk  # noqa: PLC0415 - only scoring needs it, and it takes a second to import

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
