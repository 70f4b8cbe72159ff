"""Every number of a report is what it was: golden values of made-up runs that have all that scores can be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.store import Store
from harness.verbs.comparing import report
from harness.verbs.project import open_project
from reports.board import Cell, Leaderboard
from tests.made_runs import fill

GOLDEN = Path(__file__).parents[1] / "golden" / "report_numbers.json"
"""Computed score by score, in lists and dictionaries, before there were arrays."""


def numbers(board: Leaderboard) -> dict[str, Any]:
    """Each cell's and each comparison's, by suite, metric, group and model; and what is noted in words."""
    found = dict(_cells(board))
    found["notes"] = list(board.notes)
    found["reasons"] = [f"{each.candidate}: {each.decision}: {each.reason}" for each in board.verdicts]
    return found


def _cells(board: Leaderboard) -> Iterator[tuple[str, Any]]:
    for section in board.sections:
        for line in section.lines:
            yield from _named(board, f"{section.suite} {line.metric.name}", line.cells)
        for table in section.groups:
            yield f"{section.suite} {table.metric.name} {table.split}", table.ungrouped
            for group in table.lines:
                name = f"{section.suite} {table.metric.name} {group.group} {group.scores} {group.samples}"
                yield from _named(board, name, group.cells)


def _named(board: Leaderboard, name: str, cells: tuple[Cell | None, ...]) -> Iterator[tuple[str, Any]]:
    for model, cell in zip(board.models, cells, strict=True):
        yield f"{name} {model}", cell and _numbers(cell)


def _numbers(cell: Cell) -> list[Any]:
    score, interval = cell.score, cell.score and cell.score.interval
    seen: list[Any] = [score and score.value, interval and interval.low, interval and interval.high, cell.n]
    seen += [dict(cell.unscored), list(cell.bounds or ()), cell.cut and cell.cut.cut]
    made = cell.comparison
    if made is None:
        return seen
    flips, interval, price = made.flips, made.interval, made.non_inferiority
    return [
        *seen,
        *(made.decision, made.n, made.scores, made.clusters, made.unscored, made.unpaired),
        *(made.baseline_mean, made.candidate_mean, made.difference),
        *(interval and interval.low, interval and interval.high, made.p, made.adjusted_p),
        flips and [flips.won, flips.lost, flips.both_right, flips.both_wrong],
        *(made.detectable_difference, made.method, list(made.difference_bounds or ())),
        price and [price.decision, price.p, price.adjusted_p, price.needed],
    ]


def test_every_number_is_what_it_was(tmp_path: Path) -> None:
    """Means, intervals, tests, bounds, groups and counts, of runs that lack samples, parts and scores."""
    url = f"sqlite:///{tmp_path}/made.db"
    with Store.open(url) as store:
        fill(store, 3, 2, 60, ragged=True)
    settings = tmp_path / "harness.toml"
    settings.write_text(f'[project]\nstore = "{url}"\nreports = "{tmp_path}"\n', encoding="utf-8")

    found = json.loads(json.dumps(numbers(report(open_project(settings)).board)))

    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert flat(values) == pytest.approx(flat(found[name]), rel=1e-9), name


def flat(value: Any) -> list[Any]:
    """All that stands in lists within lists, None as a word."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return [each for member in value for each in flat(member)]
    return ["None" if value is None else value]
