"""The formats that are read, and which files are of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.imported.every_eval_ever import beside_every_eval_ever, is_every_eval_ever, read_every_eval_ever
from harness.imported.helm_runs import beside_helm, is_helm, read_helm
from harness.imported.inspect_logs import is_inspect, read_inspect
from harness.imported.lighteval_details import read_lighteval
from harness.imported.lighteval_files import details_of, is_lighteval
from harness.imported.lm_eval_results import is_lm_eval, read_lm_eval, samples_of
from harness.imported.openai_evals import is_openai_evals, read_openai_evals
from harness.imported.promptfoo_results import is_promptfoo, read_promptfoo
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
    Format(
        name="promptfoo",
        files="the JSON of `promptfoo eval -o FILE.json`",
        has=is_promptfoo,
        read=read_promptfoo,
    ),
    Format(
        name="every-eval-ever",
        files="an aggregate with UUID_samples.jsonl beside it",
        has=is_every_eval_ever,
        read=read_every_eval_ever,
        beside=beside_every_eval_ever,
    ),
    Format(
        name="helm",
        files="the folder of a run, with run_spec.json, scenario_state.json and per_instance_stats.json",
        has=is_helm,
        read=read_helm,
        beside=beside_helm,
    ),
    Format(
        name="openai-evals",
        files="the JSONL of `oaieval`, which --record_path names",
        has=is_openai_evals,
        read=read_openai_evals,
    ),
)
