"""Any task of lm-eval as a suite, `lm_eval:NAME`, and what the official suites share with it.

Only metrics that are means over documents are reported, since only those can be paired by document: a
corpus's BLEU or F1 is left out. Documents come from the hub, or from a JSONL file in the task's schema.

Name, version and metrics of such a suite are lm-eval's to say, so unlike the others it is not cheap to open:
lm-eval is imported, which takes seconds. It does not know what a task measures.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, UsageError
from harness.protocols import Engine
from harness.records import Json, Metric, Row, Sample, Score
from suites.official import hash_rows, read_jsonl
from suites.settings import LmEvalSettings, Surroundings, template_applied

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.tasks import Answered, LmEvalTask


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


def scores_of(metric: str, answered: "Answered", task_metric: str, parts: int = 1) -> tuple[Score, ...]:
    """A metric's scores from what lm-eval made of a document; `parts` without a value where it failed."""
    if answered.failure is not None:
        return (Score(metric=metric, value=None, reason=answered.failure),) * parts
    values = answered.values.get(task_metric, ())
    if not values:
        return (Score(metric=metric, value=None, reason="lm-eval gave no value"),) * parts
    return tuple(
        Score(metric=metric, value=value)
        if math.isfinite(value)
        else Score(metric=metric, value=None, reason=f"lm-eval gave {value}")
        for value in values
    )


@dataclass(frozen=True)
class LmEvalSuite:
    """The suite `lm_eval:NAME`."""

    task_name: str
    given: LmEvalSettings
    surroundings: Surroundings

    @property
    def name(self) -> str:
        """With the prefix."""
        return f"lm_eval:{self.task_name}"

    @property
    def version(self) -> str:
        """The task definition's."""
        return f"1 (lm-eval {self.task_name} {self._task.version})"

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's metrics that are means over documents; the first of them is the headline.

        Raises UsageError for a task that has none.
        """
        found = self._task.metrics
        if not found:
            raise UsageError(f"{self.name}: none of the task's metrics is a mean over its documents")
        return tuple(
            Metric(
                name=metric.name,
                kind="binary" if metric.binary else "number",
                higher_is_better=metric.higher_is_better,
                headline=place == 0,
            )
            for place, metric in enumerate(found)
        )

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
        if shots and self.given.data is not None and not self._task.brings_examples:
            raise UsageError(
                f"{self.name}: `data` holds no examples apart from the rows asked; set num_fewshot = 0"
            )
        return shots

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Worked examples become turns where a chat template is applied."""
        sampling = self._task.sampling(self.given.seed)
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
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
            chat_template=template_applied(self.given.chat_template, engine.chat_template),
            num_fewshot=self.num_fewshot,
            seed=self.given.seed,
        )
        for (answered,) in asked:
            yield self._row(answered)

    def _row(self, answered: "Answered") -> Row:
        index = answered.index
        scores = [scores_of(metric.name, answered, metric.name) for metric in self.metrics]
        return Row(
            sample=Sample(
                id=self._ids[index], prompt=self._task.question(index), target=self._task.target(index)
            ),
            responses=answered.responses,
            scores=tuple(score for several in scores for score in several),
            position=index,
        )

    @cached_property
    def _ids(self) -> Sequence[str]:
        """A hash of each document; equal documents are told apart by their order."""
        seen: Counter[str] = Counter()
        ids = []
        for doc in self._task.docs:
            digest = sha256(json.dumps(doc, sort_keys=True, default=str).encode()).hexdigest()[:16]
            seen[digest] += 1
            ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
        return ids

    @cached_property
    def _task(self) -> "LmEvalTask":
        from harness.adaptors.lm_eval.tasks import load_task  # noqa: PLC0415  # see official_task

        file, limit = self.given.data, self.given.limit
        rows = None if file is None else _uniform_rows(file)
        return load_task(self.task_name, rows, source=str(file), limit=limit)


def _uniform_rows(file: Path) -> Sequence[Mapping[str, Any]]:
    """A file's rows, which must all have the fields of the first: which ones a task needs only it knows."""
    rows = list(read_jsonl(file))
    if not rows:
        raise DataError(str(file), 0, "holds no rows")
    for number, row in enumerate(rows, start=1):
        missing = rows[0].keys() - row.keys()
        if missing:
            raise DataError(str(file), number, f"lacks {', '.join(sorted(missing))}, which row 1 has")
    return rows
