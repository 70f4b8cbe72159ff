"""The leaderboard as GitHub-flavoured Markdown.

Every piece of other people's text goes through `escaped` on its way in: no model name, note or reason can
end a table cell, start a tag, or become a link.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape

from harness.escape_controls import escape_controls
from harness.records.answers import Metric
from harness.records.comparisons import Comparison, Verdict
from reports.board import Cell, Leaderboard, ShownEstimate, Standing
from reports.conditions import Group, duration, environments, moment, samples, settings, short
from reports.preference_tables import COLUMNS, cells, tables
from reports.wording import (
    ABOUT_GROUPS,
    ABOUT_PRICE,
    HOW_TO_READ,
    MARKS,
    could_be,
    count,
    cut_short,
    evidence,
    heading,
    marked,
    members,
    number,
    outside,
    percent,
    price,
    signed,
)

_ACTIVE = re.compile(r"[\\`*|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=\])\(")
"""What Markdown would act on within a line. An underscore inside a word does nothing on GitHub."""
_LINKED = re.compile(r"\b(?:(?:https?|ftp):(?=//)|www\.)", re.IGNORECASE)
"""What GitHub would make a link of, up to the character that must not stand as itself."""


def escaped(text: str) -> str:
    """`text` as one line of Markdown that shows exactly these characters."""
    line = escape_controls(text).replace("\n", " ").replace("\t", " ")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _ACTIVE.sub(r"\\\g<0>", line)
    return _LINKED.sub(lambda match: f"{match[0][:-1]}&#{ord(match[0][-1])};", line)


def render(board: Leaderboard) -> str:
    """The whole report."""
    results = [
        _ranked(board),
        *_verdicts(board),
        *_prices(board),
        *_preferences(board),
        *_exploratory(board),
        *_groups(board),
        *_uncertain(board),
        *_about_metrics(board),
    ]
    return "\n\n".join([*_head(board), *results, *_reading(), *_conditions(board)]) + "\n"


def _head(board: Leaderboard) -> Iterable[str]:
    yield f"# {escaped(board.title)}"
    if board.label:
        yield f"> **{escaped(board.label)}**"
    yield f"Baseline: **{escaped(board.baseline)}**. Made {moment(board.created)}."
    if board.notes:
        yield "\n".join(["**Warnings**\n", *(f"- {escaped(note)}" for note in board.notes)])


def _ranked(board: Leaderboard) -> str:
    columns = ["<br>".join(map(escaped, heading(column))) for column in board.columns]
    preferred = COLUMNS if board.preferences else ()
    head = ["#", "model", *columns, "mean", *preferred]
    return as_table(head, [_standing(board, standing) for standing in board.standings], numbers_from=2)


def _standing(board: Leaderboard, standing: Standing) -> list[str]:
    place = "–" if standing.rank is None else str(standing.rank)
    verdict = marked(standing.verdict.decision) if standing.verdict else ""
    model = f"**{escaped(standing.model)}**<br>{'baseline' if standing.model == board.baseline else verdict}"
    mean = _lines(standing.mean, standing.difference, standing.relative, "")
    preferred = _preferred(standing) if board.preferences else []
    return [place, model, *(_cell(cell) for cell in standing.cells), mean, *preferred]


def _preferred(standing: Standing) -> list[str]:
    """The judges' cell, the humans', and how far they agree."""
    return ["<br>".join(map(escaped, lines)) for lines in cells(standing.preferred)]


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    missing = sum(cell.unscored.values())
    left_out = f", {count(missing)} unscored" if missing else ""
    left_out += f"<br>{could_be(cell.bounds)}" if cell.bounds else ""
    left_out += f"<br>{cut_short(cell.cut)}" if cell.cut else ""
    return f"{_figures(cell)}<br>n = {count(cell.n)}{left_out}"


def _figures(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    mark = f"{MARKS[cell.comparison.decision]} " if cell.comparison else ""
    return _lines(cell.score, cell.difference, cell.relative, mark)


def _lines(
    score: ShownEstimate | None, difference: ShownEstimate | None, relative: float | None, mark: str
) -> str:
    lines = [f"**{number(score.value)}**" if score else "–"]
    if score and score.interval:
        lines.append(number(score.interval))
    if difference and difference.interval:
        share = f" ({percent(relative)})" if relative is not None else ""
        lines += [f"{mark}{signed(difference.value)}{share}", signed(difference.interval)]
    elif mark:
        lines.append(mark.strip())
    return "<br>".join(lines)


def _verdicts(board: Leaderboard) -> Iterable[str]:
    if board.verdicts:
        yield "## Verdicts"
    for standing in board.standings:
        if standing.verdict:
            yield _verdict(standing.verdict)


def _verdict(verdict: Verdict) -> str:
    title = f"**{escaped(verdict.candidate)}**: {MARKS[verdict.decision]} **{verdict.decision}**"
    headlines = [c for c in verdict.comparisons if c.metric.headline]
    return "\n".join(
        [
            f"{title}. {escaped(verdict.reason)}\n",
            *(f"- {escaped(evidence(comparison))}" for comparison in headlines),
        ]
    )


def _prices(board: Leaderboard) -> Iterable[str]:
    if board.prices:
        yield "## The price of alignment"
        yield ABOUT_PRICE
        head = ["model", "suite", "metric", "baseline", "difference", "interval", "margin", "adjusted p", ""]
        yield as_table(head, [_price(comparison) for comparison in board.prices], numbers_from=3)


def _price(comparison: Comparison) -> list[str]:
    margin = comparison.metric.margin
    return [
        *_names(comparison.candidate, comparison.suite, comparison.metric),
        "–" if comparison.baseline_mean is None else number(comparison.baseline_mean),
        "–" if comparison.difference is None else signed(comparison.difference),
        signed(comparison.interval) if comparison.interval else "–",
        f"{margin:g}",
        "–" if comparison.non_inferiority is None else f"{comparison.non_inferiority.adjusted_p:.2g}",
        price(comparison),
    ]


def _preferences(board: Leaderboard) -> Iterable[str]:
    if board.preferences is None:
        return
    yield "## Preferences"
    for table in tables(board.preferences):
        rows = [[escaped(cell) for cell in row] for row in table.rows]
        yield f"**{table.title}.** {table.about}"
        yield as_table(table.head, rows, numbers_from=table.numbers_from)


def _exploratory(board: Leaderboard) -> Iterable[str]:
    if board.exploratory:
        yield "## Other metrics"
        yield "Exploratory: no verdict rests on these, and they are adjusted among themselves."
        head = ["model", "suite", "metric", "difference", "interval", "adjusted p", "n", ""]
        yield as_table(head, [_other(comparison) for comparison in board.exploratory], numbers_from=3)


def _other(comparison: Comparison) -> list[str]:
    return [
        *_names(comparison.candidate, comparison.suite, comparison.metric),
        "–" if comparison.difference is None else signed(comparison.difference),
        signed(comparison.interval) if comparison.interval else "–",
        "–" if comparison.adjusted_p is None else f"{comparison.adjusted_p:.2g}",
        count(comparison.n),
        marked(comparison.decision),
    ]


def _groups(board: Leaderboard) -> Iterable[str]:
    if board.groups:
        yield "## By group"
        yield ABOUT_GROUPS
    for table in board.groups:
        title = f"{table.suite}: {table.metric.name} by {table.split}, {len(table.lines)} groups"
        head = [table.split, "n", *board.models]
        rows = [
            [escaped(line.group), members(line.scores, line.samples), *map(_figures, line.cells)]
            for line in table.lines
        ]
        content = [outside(table), as_table([escaped(name) for name in head], rows, numbers_from=1)]
        yield folded(title, "\n\n".join(filter(None, content)))


def _about_metrics(board: Leaderboard) -> Iterable[str]:
    notes = [
        f"- {escaped(f'{section.suite}: {note}')}" for section in board.sections for note in section.notes
    ]
    if notes:
        yield "## About the metrics"
        yield "\n".join(notes)


def _uncertain(board: Leaderboard) -> Iterable[str]:
    if board.uncertain:
        yield "## What is unscored"
        yield "Left out of the means, and bounded: no score is taken to be good or bad because it is missing."
        head = ["model", "suite", "metric", "why", "mean of the scored", "at least", "at most"]
        yield as_table(head, [_bounded(*found) for found in board.uncertain], numbers_from=4)


def _bounded(model: str, suite: str, metric: Metric, cell: Cell) -> list[str]:
    reasons = [f"{count(times)} × {escaped(reason)}" for reason, times in cell.unscored.items()]
    low, high = cell.bounds or (0.0, 1.0)
    return [
        *_names(model, suite, metric),
        "; ".join(reasons) or "some parts of some samples",
        number(cell.score.value) if cell.score else "–",
        number(low),
        number(high),
    ]


def _names(model: str, suite: str, metric: Metric) -> Iterable[str]:
    return map(escaped, (model, suite, metric.name))


def _reading() -> Iterable[str]:
    yield "## How to read this"
    yield "\n".join(f"- {line}" for line in HOW_TO_READ)


def _conditions(board: Leaderboard) -> Iterable[str]:
    yield "## Conditions"
    head = ["model", "suite", "version", "data", "fingerprint", "seed", "samples", "started", "took"]
    rows = [
        [
            *map(escaped, (run.model, run.suite, run.suite_version)),
            *map(escaped, (short(run.data_hash), short(run.fingerprint))),
            str(run.seed),
            samples(run),
            moment(run.started),
            duration(run),
        ]
        for run in board.runs
    ]
    yield as_table(head, rows, numbers_from=9)
    yield details("Settings", settings(board.runs))
    yield details("Packages and hardware", environments(board.runs))


def details(title: str, groups: Sequence[Group]) -> str:
    """Conditions, folded."""
    rows = [
        [escaped(group.runs) if first else "", escaped(name), escaped(value)]
        for group in groups
        for first, (name, value) in zip([True] + [False] * len(group.values), group.values, strict=False)
    ]
    return folded(title, as_table(["", "name", "value"], rows, numbers_from=3))


def folded(title: str, content: str) -> str:
    """Content that is opened by its title, which stands within HTML and is escaped as such."""
    shown = escape(escape_controls(title).replace("\n", " "))
    return f"<details><summary>{shown}</summary>\n\n{content}\n\n</details>"


def as_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> str:
    """A table of cells that are Markdown; columns from `numbers_from` on stand to the right."""
    rule = [":--" if i < numbers_from else "--:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])
