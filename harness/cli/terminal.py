"""Prints results in a terminal: tables, verdicts, and the note that this is the toy world.

Everything that comes from a model or a file is printed as text, never read as markup, and made visible by the
console.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from harness.cli.console import Console, Text
from harness.cli.preference_tables import beside_verdicts
from harness.errors import AnswersFailed
from harness.records.answers import Run
from harness.records.comparisons import Decision, Interval, Verdict
from harness.records.models import Json
from harness.verbs.comparing import Outcome
from reports.board import Cell, GroupTable, Leaderboard, ShownEstimate, Standing
from reports.wording import cut_short, heading, number, percent, price, signed
from trainers.doctor.findings import DoctorFinding

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

COLOURS = {
    Decision.BETTER: "green",
    Decision.WORSE: "red",
    Decision.MIXED: "yellow",
    Decision.NO_DIFFERENCE: "default",
    Decision.NOT_COMPARABLE: "magenta",
    Decision.NOT_WORSE: "green",
    Decision.UNDECIDED: "default",
}

SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_findings(where: Console, findings: Sequence[DoctorFinding]) -> None:
    """What the doctor found, each with its evidence, its place, and how to fix it."""
    for finding in findings:
        where.print(
            Text.assemble(
                (f"  {finding.severity}: ", SEVERITIES[finding.severity]),
                (f"{finding.check}. ", "bold"),
                f"{finding.evidence}.\n    {finding.where}\n    → {finding.fix}",
            )
        )


def print_json(value: Mapping[str, Any] | Iterable[Any]) -> None:
    """One JSON document on standard output, before what standard error says next."""
    print(json.dumps(value, indent=2, allow_nan=False), flush=True)


def print_outcome(outcome: Outcome) -> None:
    """The leaderboard, the verdicts in words, and where the files are."""
    console.print(_leaderboard(outcome.board))
    for verdict in outcome.verdicts:
        console.print(_verdict(verdict))
    if outcome.board.prices:
        console.print(_prices(outcome.board))
    for said in beside_verdicts(outcome.board):
        console.print(said)
    print_notes([*outcome.board.notes, *outcome.refused])
    for file in outcome.files:
        console.print(f"written: {escape(str(file))}")


def print_notes(notes: Iterable[object], *, where: Console = console) -> None:
    """What a reader must know of the results."""
    for note in notes:
        where.print(Text(f"note: {note}", style="yellow"))


def complain_of_failures(failed: Iterable[object]) -> None:
    """End the command where answers failed. Raises AnswersFailed."""
    lines = [f"answers failed: {each}" for each in failed]
    if lines:
        raise AnswersFailed("\n".join([*lines, "the same command asks just those again"]))


JSON_KEYS = {
    "detectable_difference": "detectable",
    "difference_bounds": "could_be",
    "non_inferiority": "loss",
    "equal_answers": "alike",
    "stop_reason": "stopped",
}
"""The keys of fields that were renamed: scripts read the old names."""


def record_as_json(record: Any) -> dict[str, Json]:
    """A record, and those within it, for machines."""

    def renamed(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        return {JSON_KEYS.get(name, name): value for name, value in fields}

    return asdict(record, dict_factory=renamed)


def outcome_as_json(outcome: Outcome) -> dict[str, Json]:
    """The leaderboard's tables, as JSON values."""
    board = outcome.board
    return {
        "baseline": board.baseline,
        "label": board.label,
        "columns": [
            {"suite": column.suite, "metric": column.metric.name, "scorer": column.scorer}
            for column in board.columns
        ],
        "standings": [_standing_as_json(standing) for standing in board.standings],
        "groups": [_groups_as_json(table, board.models) for table in board.groups],
        "verdicts": [record_as_json(verdict) for verdict in board.verdicts],
        "preferences": None if board.preferences is None else asdict(board.preferences),
        "notes": list(board.notes),
        "runs": [_run_as_json(run) for run in board.runs],
        "files": [str(file) for file in outcome.files],
    }


def _run_as_json(run: Run) -> dict[str, Json]:
    """The conditions of a run, hashes whole."""
    whole = asdict(run)
    del whole["metrics"]
    return whole


def _groups_as_json(table: GroupTable, models: Sequence[str]) -> dict[str, Json]:
    return {
        "suite": table.suite,
        "metric": table.metric.name,
        "split": table.split,
        "exploratory": True,
        "ungrouped": table.ungrouped,
        "groups": [
            {
                "group": line.group,
                "scores": line.scores,
                "samples": line.samples,
                "models": {
                    model: _group_cell_as_json(cell)
                    for model, cell in zip(models, line.cells, strict=True)
                    if cell
                },
            }
            for line in table.lines
        ],
    }


def _group_cell_as_json(cell: Cell) -> dict[str, Json]:
    """A model's mean in a group, and its comparison: what is the same for every group is left out."""
    whole = asdict(cell)
    compared = whole.pop("comparison")
    kept = ("n", "scores", "clusters", "difference", "interval", "p", "adjusted_p", "decision", "family")
    return {**whole, "comparison": compared and {name: compared[name] for name in kept}}


def _standing_as_json(standing: Standing) -> dict[str, Json]:
    whole = asdict(standing)
    del whole["verdict"], whole["preferred"]
    for cell in whole["cells"]:
        if cell is not None:
            del cell["comparison"]
    return whole


def _leaderboard(board: Leaderboard) -> Table:
    """One line per model; the verdicts in words stand below the table, so that it fits a narrow window."""
    table = Table(title=board.label, title_style="yellow")
    table.add_column("#", justify="right")
    table.add_column("model")
    for column in board.columns:
        table.add_column(escape("\n".join(heading(column))), justify="right")
    table.add_column(f"mean\nvs {escape(board.baseline)}", justify="right")
    for standing in board.standings:
        table.add_row(
            "" if standing.rank is None else str(standing.rank),
            escape(standing.model),
            *(_cell(cell) for cell in standing.cells),
            _mean(standing),
        )
    return table


def _prices(board: Leaderboard) -> Table:
    """What was lost, one line per metric with a margin."""
    table = Table(title="the price of alignment", title_style="default")
    for title in ("model", "metric"):
        table.add_column(title, no_wrap=True)
    for title in ("difference", "margin"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("")
    for each in board.prices:
        estimate = Text("–")
        if each.difference is not None and each.interval is not None:
            around = f"\n{signed(each.interval)}"
            estimate = Text.assemble(signed(each.difference), (around, "dim"))
        table.add_row(
            escape(each.candidate),
            escape(f"{each.suite} {each.metric.name}"),
            estimate,
            f"{each.metric.margin:g}",
            escape(price(each)),
        )
    return table


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("not run", style="dim")
    missing = sum(cell.unscored.values())
    return Text.assemble(
        _estimate(cell.score),
        (f"\n{missing} unscored" if missing else "", "yellow"),
        (f"\n{cut_short(cell.cut)}" if cell.cut else "", "yellow"),
    )


def _estimate(estimate: ShownEstimate | None) -> Text:
    if estimate is None:
        return Text("–")
    return Text.assemble(number(estimate.value), (_around(estimate, number), "dim"))


def _mean(standing: Standing) -> Text:
    if standing.mean is None:
        return Text("–")
    mean = number(standing.mean.value)
    if standing.difference is None:
        return Text.assemble(mean, ("\nbaseline" if standing.verdict is None else "", "dim"))
    relative = "" if standing.relative is None else f" ({percent(standing.relative, 0)})"
    difference = f"\n{signed(standing.difference.value)}{relative}"
    return Text.assemble(mean, difference, (_around(standing.difference, signed), "dim"))


def _around(estimate: ShownEstimate, words: Callable[[Interval], str]) -> str:
    return f"\n{words(estimate.interval)}" if estimate.interval else ""


def _verdict(verdict: Verdict) -> Text:
    text = Text(f"{verdict.candidate} against {verdict.baseline}: ")
    text.append(verdict.decision, style=COLOURS[verdict.decision])
    text.append(f" – {verdict.reason}")
    return text
