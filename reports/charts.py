"""Differences to the baseline as error bars: inline SVG, one panel per headline metric, on one scale.

Shapes say what colours say. Each panel has a title and a description in words, for readers who cannot
see it. Colours are classes that the page's style sheet fills in, so the same drawing serves light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.escape_controls import shortened
from harness.records.comparisons import Comparison, Decision
from reports.board import Column, Leaderboard
from reports.svg import described, multiples, round_step, svg_text
from reports.wording import signed

WIDTH = 360
"""In the drawing's own unit, which is a CSS pixel at the panel's natural size."""
LEFT, RIGHT, TOP, BOTTOM, LINE = 2, 2, 10, 26, 40
LONGEST_NAME = 34

CLASSES = {
    Decision.BETTER: "better",
    Decision.WORSE: "worse",
    Decision.MIXED: "mixed",
    Decision.NO_DIFFERENCE: "unsure",
    Decision.NOT_COMPARABLE: "refused",
    Decision.NOT_WORSE: "unsure",
    Decision.UNDECIDED: "unsure",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a difference lies on the horizontal axis, and where its ticks are."""

    low: float
    high: float
    step: float

    def x(self, value: float) -> float:
        """A value's position, in the drawing's unit."""
        return LEFT + (value - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        """Multiples of the step within the axis."""
        return multiples(self.low, self.high, self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing and the words above it."""

    suite: str
    metric: str
    svg: str


def panels(board: Leaderboard) -> list[Panel]:
    """One panel per column that has a difference to show; the models in their ranked order."""
    shown = [(column, _comparisons(board, i)) for i, column in enumerate(board.columns)]
    drawn = [(column, found) for column, found in shown if found]
    scale = scale_of([c for _, found in drawn for c in found])
    return [
        Panel(suite=column.suite, metric=column.metric.name, svg=_drawing(i, column, found, scale))
        for i, (column, found) in enumerate(drawn)
    ]


def scale_of(comparisons: Sequence[Comparison]) -> Scale:
    """One axis that holds zero and every interval, with about five round ticks."""
    ends = [0.0, *(end for c in comparisons if c.interval for end in (c.interval.low, c.interval.high))]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    return Scale(low - 0.04 * span, high + 0.04 * span, round_step(span, 5))


def _comparisons(board: Leaderboard, column: int) -> list[Comparison]:
    cells = [standing.cells[column] for standing in board.standings]
    return [
        cell.comparison
        for cell in cells
        if cell and cell.comparison and cell.comparison.difference is not None and cell.comparison.interval
    ]


def _drawing(panel: int, column: Column, comparisons: Sequence[Comparison], scale: Scale) -> str:
    height = TOP + LINE * len(comparisons) + BOTTOM
    title = f"{column.suite} {column.metric.name}: difference to the baseline"
    words = "; ".join(_in_words(comparison) for comparison in comparisons)
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="chart{panel}t chart{panel}d">',
            described(f"chart{panel}", title, words),
            *_axis(scale, height),
            *(_bar(comparison, TOP + LINE * i, scale) for i, comparison in enumerate(comparisons)),
            "</svg>",
        ]
    )


def _in_words(comparison: Comparison) -> str:
    assert comparison.difference is not None
    assert comparison.interval is not None
    interval = signed(comparison.interval)
    return f"{comparison.candidate} {signed(comparison.difference)} {interval}, {comparison.decision}"


def _axis(scale: Scale, height: int) -> list[str]:
    foot = height - BOTTOM
    places = max(0, -math.floor(math.log10(scale.step)))
    drawn = []
    for tick in scale.ticks():
        zero = abs(tick) < scale.step / 2
        x = f"{scale.x(tick):.1f}"
        drawn.append(
            f'<line class="{"zero" if zero else "grid"}" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{foot}"/>'
        )
        label = "0" if zero else signed(tick, places)
        drawn.append(f'<text class="tick" x="{x}" y="{foot + 16}" text-anchor="middle">{label}</text>')
    return drawn


def _bar(comparison: Comparison, top: int, scale: Scale) -> str:
    assert comparison.difference is not None
    assert comparison.interval is not None
    low, middle, high = (
        scale.x(v) for v in (comparison.interval.low, comparison.difference, comparison.interval.high)
    )
    y = top + 25
    shown = shortened(comparison.candidate, LONGEST_NAME)
    kind = CLASSES[comparison.decision]
    return "".join(
        [
            f'<g class="{kind}"><title>{svg_text(comparison.sentence())}</title>',
            f'<text class="name" x="{LEFT}" y="{top + 11}">{svg_text(shown)}</text>',
            f'<text class="value" x="{WIDTH - RIGHT}" y="{top + 11}" text-anchor="end">'
            f"{signed(comparison.difference)}</text>",
            f'<path class="whisker" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"/>',
            _point(comparison.decision, middle, y),
            "</g>",
        ]
    )


def _point(decision: Decision, x: float, y: float) -> str:
    if decision is Decision.BETTER:
        return f'<path class="point" d="M{x:.1f} {y - 6}l6 11h-12z"/>'
    if decision is Decision.WORSE:
        return f'<path class="point" d="M{x:.1f} {y + 6}l6 -11h-12z"/>'
    return f'<circle class="point" cx="{x:.1f}" cy="{y}" r="4.5"/>'
