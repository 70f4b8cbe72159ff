"""Any task of lighteval as a suite, `lighteval:NAME`, such as `lighteval:truthfulqa:mc`.

lighteval writes the prompts and scores the documents; engine, store and statistics are ours. Only metrics
that are means over documents are reported, since only those can be paired by document. Documents come from
the hub, or from a JSONL file in the task's schema.

Name, version and metrics of such a suite are lighteval's to say, so unlike the others it is not cheap to
open: lighteval is imported, which takes seconds. It does not know what a task measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.adaptors.asking import Answered
from harness.errors import UsageError
from harness.protocols import Engine
from harness.records import Json, Metric, Row
from suites.foreign import document_ids, document_row, suite_metrics, uniform_rows
from suites.official import hash_rows
from suites.settings import LightevalSettings, Surroundings, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lighteval.tasks import LightevalTask


@dataclass(frozen=True)
class LightevalSuite:
    """The suite `lighteval:NAME`."""

    task_name: str
    given: LightevalSettings
    surroundings: Surroundings

    @property
    def name(self) -> str:
        """With the prefix."""
        return f"lighteval:{self.task_name}"

    @property
    def version(self) -> str:
        """The task definition's."""
        return f"2 (lighteval {self.task_name} {self._task.version})"

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's metrics that are means over documents; the first of them is the headline."""
        return suite_metrics(self.name, self._task.metrics)

    @cached_property
    def data_hash(self) -> str:
        """Over what is asked and what scoring needs, whatever else the rows hold."""
        return hash_rows(self._contents)

    @property
    def size(self) -> int:
        """Documents."""
        return self._task.size

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Worked examples become turns where a chat template is applied."""
        applied = template_applied(self.given.chat_template, chat_template)
        sampling = self._task.sampling(chat_template=applied, max_tokens=self.given.max_tokens)
        return {
            "chat_template": applied,
            "num_fewshot": self._task.num_fewshot,
            "sampling": None if sampling is None else asdict(sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per document."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        for answered in self._task.ask(engine, chat_template=applied, max_tokens=self.given.max_tokens):
            yield self._row(answered)

    def _row(self, answered: Answered) -> Row:
        return document_row(self._task, self._ids[answered.index], answered, self.metrics)

    @cached_property
    def _ids(self) -> Sequence[str]:
        return document_ids(self._contents)

    @cached_property
    def _contents(self) -> Sequence[Mapping[str, Any]]:
        return [self._task.content(index) for index in range(self.size)]

    @cached_property
    def _task(self) -> "LightevalTask":
        # imported here because lighteval takes seconds to import, and is an extra
        from harness.adaptors.lighteval.tasks import load_task  # noqa: PLC0415

        file = self.given.data
        if file is not None and self.given.num_fewshot:
            raise UsageError(
                f"{self.name}: `data` holds no examples apart from the rows asked; set num_fewshot = 0"
            )
        return load_task(
            self.task_name,
            None if file is None else uniform_rows(file),
            source=str(file),
            limit=self.given.limit,
            num_fewshot=self.given.num_fewshot,
        )
