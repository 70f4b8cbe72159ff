"""Headline numbers as the hub shows them on a model's page: `MODEL/.eval_results/SUITE.yaml`.

The format is `huggingface_hub`'s `EvalResultEntry` (https://huggingface.co/docs/hub/eval-results): one value
of one task of one data set on the hub. It has no field for how sure a value is, so the number of samples and
the interval stand in `notes`, with what else must be known. A task is taken to be a configuration of its data
set, or `default`.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from harness.comparison.comparability import from_files
from harness.errors import UsageError
from harness.records.answers import Run
from reports.board import Cell, Leaderboard, MetricLine, Section
from reports.conditions import samples
from reports.exported import Exported, HubDataset, file_name
from reports.whole_files import WholeFiles
from reports.wording import could_be, count, cut_short, number

CHECK = (
    "check the data set and task of each file: the hub shows them where the data set is registered as a "
    "benchmark, and a task of lm-eval can ask a part of its data set, which is no result on all of it"
)


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """A file for each model and suite, in a folder that is copied into the model's repository.

    Raises UsageError where no suite is of a known data set on the hub.
    """
    board = exported.board()
    sections = {section.suite: section for section in board.sections}
    left_out: dict[str, None] = {}
    for run in (run for run in board.runs if run.suite in sections):
        dataset = exported.dataset(run)
        line, cell = _value(board, sections[run.suite], run.model)
        if dataset is None:
            left_out[f"{run.suite}: left out, its samples are of no known data set on the hub"] = None
        elif cell.score is None:
            left_out[f"{run.suite}: left out for {run.model}, of which nothing is scored"] = None
        else:
            entry = _entry(board, run, dataset, line, cell)
            text = yaml.safe_dump(
                eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=100
            )
            files.write(f"{file_name(run.model)}/.eval_results/{file_name(run.suite)}.yaml", text)
    if not files.paths:
        raise UsageError(f"eval-results: there is nothing to write ({'; '.join(left_out)})")
    return *left_out, CHECK


def _value(board: Leaderboard, section: Section, model: str) -> tuple[MetricLine, Cell]:
    """The first headline metric, or else the first of all."""
    line = next((line for line in section.lines if line.metric.headline), section.lines[0])
    cell = line.cells[board.models.index(model)]
    assert cell is not None  # the model has a run of the suite
    return line, cell


def _entry(
    board: Leaderboard, run: Run, dataset: HubDataset, line: MetricLine, cell: Cell
) -> EvalResultEntry:
    assert cell.score is not None
    return EvalResultEntry(
        dataset_id=dataset.repository,
        task_id=dataset.config or "default",
        value=cell.score.value,
        date=run.finished,
        notes="; ".join(_notes(board, run, line, cell)),
    )


def _notes(board: Leaderboard, run: Run, line: MetricLine, cell: Cell) -> Iterator[str]:
    """What a reader of the value must know, the most important first."""
    interval = cell.score and cell.score.interval
    if board.label:
        yield board.label
    yield f"{line.metric.name} of {run.suite}{'' if line.metric.higher_is_better else ', lower is better'}"
    yield f"n = {count(cell.n)}"
    if interval:
        yield f"{100 * interval.level:g} % interval {number(interval)}"
    if cell.unscored:
        yield f"{count(sum(cell.unscored.values()))} unscored and left out"
    if cell.bounds:
        yield could_be(cell.bounds)
    if cell.cut:
        yield cut_short(cell.cut)
    if samples(run) != count(run.size):
        yield f"asked {samples(run)} samples"
    if files := from_files(run):
        yield files
    else:
        yield "with its chat template" if run.settings.get("chat_template") else "without a chat template"
        yield f"{run.settings.get('num_fewshot') or 0} shots"
    yield f"harness {version('harness')}, suite version {run.suite_version}"
