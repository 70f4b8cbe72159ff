"""Any task of lm-eval as a suite, `lm_eval:NAME`, and how the official suites open theirs.

Only metrics that are means over documents are reported, since only those can be paired by document: a
corpus's BLEU or F1 is left out. Documents come from the hub, or from a JSONL file in the task's schema.

Name, version and metrics of such a suite are lm-eval's to say, so unlike the others it is not cheap to open:
lm-eval is imported, which takes seconds. It does not know what a task measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.adaptors.asking import Answered
from harness.errors import UsageError
from harness.protocols import Engine
from harness.records import Json, Metric, Row
from suites.foreign import document_ids, document_row, suite_metrics, uniform_rows
from suites.official import hash_rows
from suites.settings import LmEvalSettings, Surroundings, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.tasks import LmEvalTask, Posed


def official_task(
    name: str, version: str, documents: Sequence[Mapping[str, Any]], source: str, **overrides: Any
) -> "LmEvalTask":
    """lm-eval's task over these documents. Raises UsageError where lm-eval has another version of it."""
    # imported here because lm-eval takes seconds to import, and a stored evaluation needs none of it
    from harness.adaptors.lm_eval.tasks import load_task  # noqa: PLC0415

    task = load_task(name, documents, source=source, **overrides)
    if task.version != version:
        raise UsageError(
            f"the installed lm-eval has version {task.version} of {name!r}, and this suite follows "
            f"{version}: install the lm-eval of constraints.txt"
        )
    return task


@dataclass(frozen=True)
class LmEvalSuite:
    """The suite `lm_eval:NAME` of one task."""

    task_name: str
    given: LmEvalSettings
    surroundings: Surroundings

    @property
    def name(self) -> str:
        """With the prefix."""
        return f"lm_eval:{self.task_name}"

    @property
    def version(self) -> str:
        """Ours and the task definition's."""
        return f"2 (lm-eval {self.task_name} {self.task_version})"

    @property
    def task_version(self) -> str:
        """The task definition's."""
        return self._task.version

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's metrics that are means over documents; the first of them is the headline.

        Raises UsageError for a task that has none.
        """
        return suite_metrics(self.name, self._task.metrics)

    @cached_property
    def data_hash(self) -> str:
        """Over whole documents, as the task prepares them."""
        return hash_rows(self._task.docs)

    @property
    def size(self) -> int:
        """Documents."""
        return len(self._task.docs)

    @property
    def num_fewshot(self) -> int:
        """Worked examples before each question.

        Raises UsageError where they would have to come from the very rows that are asked.
        """
        shots = self._task.num_fewshot if self.given.num_fewshot is None else self.given.num_fewshot
        if shots and self._file is not None and not self._task.brings_examples:
            raise UsageError(
                f"{self.name}: `data` holds no examples apart from the rows asked; set num_fewshot = 0"
            )
        return shots

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Worked examples become turns where a chat template is applied."""
        sampling = self._task.sampling(self.given.seed)
        return {
            "chat_template": self._template_applied(chat_template),
            "num_fewshot": self.num_fewshot,
            "seed": self.given.seed,
            "sampling": None if sampling is None else asdict(sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per document."""
        from harness.adaptors.lm_eval.tasks import ask  # noqa: PLC0415  # see official_task

        asked = ask(
            [self._task],
            engine,
            chat_template=self._template_applied(engine.info.chat_template),
            num_fewshot=self.num_fewshot,
            seed=self.given.seed,
        )
        for (answered,) in asked:
            yield self.row(answered)

    def posed(self, chat_template: str | None) -> "Posed":
        """The task as it is asked of a model with this template."""
        from harness.adaptors.lm_eval.tasks import Posed  # noqa: PLC0415  # see official_task

        return Posed(
            task=self._task,
            chat_template=self._template_applied(chat_template),
            num_fewshot=self.num_fewshot,
            seed=self.given.seed,
        )

    def _template_applied(self, chat_template: str | None) -> bool:
        scored = self._task.sampling() is None
        return template_applied(self.given.chat_template, chat_template, scored=scored)

    def row(self, answered: Answered) -> Row:
        """A document and what it is worth in each metric."""
        return document_row(self._task, self._ids[answered.index], answered, self.metrics)

    @property
    def _file(self) -> Path | None:
        data = self.given.data
        return data.get(self.task_name) if isinstance(data, Mapping) else data

    @cached_property
    def _ids(self) -> Sequence[str]:
        return document_ids(self._task.docs)

    @cached_property
    def _task(self) -> "LmEvalTask":
        from harness.adaptors.lm_eval.tasks import load_task  # noqa: PLC0415  # see official_task

        file, limit = self._file, self.given.limit
        rows = None if file is None else uniform_rows(file)
        return load_task(
            self.task_name, rows, source=str(file), limit=limit, max_tokens=self.given.max_tokens
        )
