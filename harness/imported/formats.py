"""The formats that are read, and which files are of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.imported.inspect_logs import is_inspect, read_inspect
from harness.imported.lighteval_details import read_lighteval
from harness.imported.lighteval_files import details_of, is_lighteval
from harness.imported.lm_eval_results import is_lm_eval, read_lm_eval, samples_of
from harness.imported.tasks import ImportedTask

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one tool writes its results."""

    name: str
    """The tool's."""
    files: str
    """What its files are called, for people."""
    has: Callable[[Path], bool]
    """Whether a file is one of them, by its name or by how it begins."""
    read: Callable[[Sequence[Path], Wanted], Iterator[ImportedTask]]
    """The tasks in such files that are wanted by their names. Raises DataError for files that are damaged."""
    beside: Callable[[Path], list[Path]] = lambda file: []
    """The files that belong to one that was named."""


FORMATS = (
    Format(
        name="lm-eval",
        files="results_TIME.json with samples_TASK_TIME.jsonl beside it, which --log_samples writes",
        has=is_lm_eval,
        read=read_lm_eval,
        beside=samples_of,
    ),
    Format(
        name="inspect_ai",
        files="TIME_TASK_ID.eval, or .json",
        has=is_inspect,
        read=read_inspect,
    ),
    Format(
        name="lighteval",
        files="results_TIME.json and details_TASK_TIME.parquet, which --save-details writes",
        has=is_lighteval,
        read=read_lighteval,
        beside=details_of,
    ),
)
