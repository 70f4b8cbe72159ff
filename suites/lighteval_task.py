"""Any task of lighteval as a suite, `lighteval:NAME`, such as `lighteval:truthfulqa:mc`.

lighteval writes the prompts and scores the documents; engine, store and statistics are ours. Only metrics
that are means over documents are reported, since only those can be paired by document. Documents come from
the hub, or from a JSONL file in the task's schema.

lighteval determines the version and metrics of such a suite, so they are not cheap to read: importing
lighteval takes seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.protocols import Engine
from harness.records.answers import Row
from harness.records.models import Json
from suites.framework_task import DocumentSuite, uniform_rows
from suites.settings import LightevalSettings, SuiteContext, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lighteval.tasks import LightevalTask


@dataclass(frozen=True)
class LightevalSuite(DocumentSuite):
    """The suite `lighteval:NAME`."""

    task_name: str
    given: LightevalSettings
    context: SuiteContext

    @property
    def name(self) -> str:
        return f"lighteval:{self.task_name}"

    @property
    def version(self) -> str:
        return f"2 (lighteval {self.task_name} {self.task.version})"

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Few-shot examples become turns where a chat template is applied."""
        applied = template_applied(self.given.chat_template, chat_template)
        sampling = self.task.sampling(chat_template=applied, max_tokens=self.given.max_tokens)
        return {
            "chat_template": applied,
            "num_fewshot": self.task.num_fewshot,
            "sampling": None if sampling is None else asdict(sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        for answered in self.task.ask(engine, chat_template=applied, max_tokens=self.given.max_tokens):
            yield self.row(answered)

    @cached_property
    def task(self) -> "LightevalTask":
        from harness.adaptors.lighteval.tasks import load_task  # noqa: PLC0415 - an extra

        file = self.given.data
        if file is not None and self.given.num_fewshot:
            raise UsageError(
                f"{self.name}: `data` holds no examples apart from the rows asked; set num_fewshot = 0"
            )
        return load_task(
            self.task_name,
            None if file is None else uniform_rows(file),
            limit=self.given.limit,
            num_fewshot=self.given.num_fewshot,
        )
