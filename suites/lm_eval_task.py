"""Any task of lm-eval as a suite, `lm_eval:NAME`, and how the official suites open theirs.

Only metrics that are means over documents are reported, since only those can be paired by document: a
corpus's BLEU or F1 is left out. Documents come from the hub, or from a JSONL file in the task's schema.

lm-eval determines the version and metrics of such a suite, so they are not cheap to read: importing lm-eval
takes seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.adaptors.engine_requests import TaskRows
from harness.errors import UsageError
from harness.protocols import Engine
from harness.records.answers import Row
from harness.records.models import Json
from suites.framework_task import DocumentSuite, uniform_rows
from suites.settings import LmEvalSettings, SuiteContext, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.tasks import ConfiguredTask, LmEvalTask


def official_task(name: str, version: str, documents: TaskRows, **overrides: Any) -> "LmEvalTask":
    """lm-eval's task over these documents. Raises UsageError where lm-eval has another version of it."""
    from harness.adaptors.lm_eval.tasks import load_task  # noqa: PLC0415 - lm-eval takes seconds to import

    task = load_task(name, documents, **overrides)
    if task.version != version:
        raise UsageError(
            f"the installed lm-eval has version {task.version} of {name!r}, and this suite follows "
            f"{version}: install the lm-eval of constraints.txt"
        )
    return task


@dataclass(frozen=True)
class LmEvalNamed:
    """A suite `lm_eval:NAME`, by its name."""

    task_name: str
    given: LmEvalSettings
    context: SuiteContext

    @property
    def name(self) -> str:
        return f"lm_eval:{self.task_name}"


@dataclass(frozen=True)
class LmEvalSuite(LmEvalNamed, DocumentSuite):
    """The suite `lm_eval:NAME` of one task."""

    @property
    def version(self) -> str:
        return f"2 (lm-eval {self.task_name} {self.task_version})"

    @property
    def task_version(self) -> str:
        return self.task.version

    @property
    def num_fewshot(self) -> int:
        """Few-shot examples before each question.

        Raises UsageError where they would have to come from the very rows that are asked.
        """
        shots = self.task.num_fewshot if self.given.num_fewshot is None else self.given.num_fewshot
        if shots and self._file is not None and not self.task.brings_examples:
            raise UsageError(
                f"{self.name}: `data` holds no examples apart from the rows asked; set num_fewshot = 0"
            )
        return shots

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Few-shot examples become turns where a chat template is applied."""
        sampling = self.task.sampling(self.given.seed)
        return {
            "chat_template": self._template_applied(chat_template),
            "num_fewshot": self.num_fewshot,
            "seed": self.given.seed,
            "sampling": None if sampling is None else asdict(sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        from harness.adaptors.lm_eval.tasks import ask_tasks  # noqa: PLC0415 - lm-eval takes seconds to import

        for _, answered in ask_tasks([self.configured(engine.info.chat_template)], engine):
            yield self.row(answered)

    def configured(self, chat_template: str | None) -> "ConfiguredTask":
        from harness.adaptors.lm_eval.tasks import ConfiguredTask  # noqa: PLC0415 - lm-eval takes seconds to import

        return ConfiguredTask(
            task=self.task,
            chat_template=self._template_applied(chat_template),
            num_fewshot=self.num_fewshot,
            seed=self.given.seed,
        )

    def _template_applied(self, chat_template: str | None) -> bool:
        scored = self.task.sampling() is None
        return template_applied(self.given.chat_template, chat_template, scored=scored)

    @property
    def _file(self) -> Path | None:
        data = self.given.data
        return data.get(self.task_name) if isinstance(data, Mapping) else data

    @cached_property
    def task(self) -> "LmEvalTask":
        from harness.adaptors.lm_eval.tasks import load_task  # noqa: PLC0415 - lm-eval takes seconds to import

        file, limit = self._file, self.given.limit
        rows = None if file is None else uniform_rows(file)
        return load_task(self.task_name, rows, limit=limit, max_tokens=self.given.max_tokens)
