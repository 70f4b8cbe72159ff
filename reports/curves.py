"""Training curves and the graph of stages, as inline SVG.

Colours are classes that the page's style sheet fills in. Every drawing is also told in words.

It knows no HTML but the SVG it returns.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

from harness.visible import visible
from reports.training import Curve, TrainedStage

WIDTH, HEIGHT, LEFT, FOOT, TOP = 300, 130, 46, 22, 8
BOX_WIDTH, BOX_HEIGHT, ACROSS, DOWN = 168, 44, 44, 16
LONGEST = 24
"""Characters of a name in a box."""


def curve(drawn: Curve, key: str) -> str:
    """One curve. `key` makes the ids of its title and description unique in the page."""
    steps, values = [step for step, _ in drawn.points], [value for _, value in drawn.points]
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    low, high = low - margin, high + margin
    first, last = steps[0], steps[-1]

    def x(step: float) -> float:
        return LEFT + (step - first) / (last - first or 1) * (WIDTH - LEFT - 6)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - FOOT)

    line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in drawn.points)
    words = f"from {values[0]:.4g} at step {first} to {values[-1]:.4g} at step {last}"
    ticks = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 6}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="tick" x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in _ticks(low, high)
    ]
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{key}t {key}d">',
            f'<title id="{key}t">{_text(drawn.meaning)}</title><desc id="{key}d">{_text(words)}</desc>',
            *ticks,
            f'<polyline class="curve" points="{line}"/>',
            f'<text class="tick" x="{LEFT}" y="{HEIGHT - 5}">step {first}</text>',
            f'<text class="tick" x="{WIDTH - 6}" y="{HEIGHT - 5}" text-anchor="end">{last}</text>',
            "</svg>",
        ]
    )


def _ticks(low: float, high: float) -> list[float]:
    """Two to four round values within the axis."""
    rough = (high - low) / 3
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def graph(stages: Sequence[TrainedStage]) -> str:
    """Which stage starts from which (solid), and which rewards which (dashed), from left to right."""
    depths = _depths(stages)
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for stage in stages:
        depth = depths[stage.identity]
        row = rows.get(depth, 0)
        rows[depth] = row + 1
        places[stage.identity] = (depth * (BOX_WIDTH + ACROSS), row * (BOX_HEIGHT + DOWN))
    width = (max(depths.values()) + 1) * (BOX_WIDTH + ACROSS) - ACROSS + 2
    height = max(rows.values()) * (BOX_HEIGHT + DOWN) - DOWN + 2
    return "".join(
        [
            f'<svg viewBox="-1 -1 {width} {height}" width="{width}" role="img"',
            ' aria-labelledby="lineaget lineaged">',
            '<title id="lineaget">Lineage</title>',
            f'<desc id="lineaged">{_text("; ".join(sentences(stages)))}</desc>',
            *(_edges(stage, places) for stage in stages),
            *(_box(stage, *places[stage.identity]) for stage in stages),
            "</svg>",
        ]
    )


def sentences(stages: Sequence[TrainedStage]) -> list[str]:
    """The same graph in words, a sentence for each stage."""
    names = {stage.identity: stage.name for stage in stages}
    found = []
    for stage in stages:
        start = f" starts from {names[stage.parent]}" if stage.parent else " starts from outside"
        rewarded = (
            f", rewarded by {', '.join(names[each] for each in stage.rewards)}" if stage.rewards else ""
        )
        candidate = f", and is {', '.join(stage.candidates)}" if stage.candidates else ""
        found.append(f"{stage.name}{start}{rewarded}{candidate}")
    return found


def _depths(stages: Sequence[TrainedStage]) -> Mapping[str, int]:
    """One more than the deepest stage it needs. Stages come after those they need."""
    depths: dict[str, int] = {}
    for stage in stages:
        needed = [depths[each] for each in (stage.parent, *stage.rewards) if each in depths]
        depths[stage.identity] = max(needed, default=-1) + 1
    return depths


def _edges(stage: TrainedStage, places: Mapping[str, tuple[int, int]]) -> str:
    target = places[stage.identity]
    start = "" if stage.parent is None else _edge(places[stage.parent], target, "edge")
    return start + "".join(_edge(places[each], target, "edge reward") for each in stage.rewards)


def _edge(origin: tuple[int, int], target: tuple[int, int], kind: str) -> str:
    x, y = origin[0] + BOX_WIDTH, origin[1] + BOX_HEIGHT // 2
    to_x, to_y = target[0], target[1] + BOX_HEIGHT // 2
    bend = ACROSS // 2
    return f'<path class="{kind}" d="M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"/>'


def _box(stage: TrainedStage, x: int, y: int) -> str:
    pipeline, _, kind = stage.name.rpartition(" · ")
    shown = pipeline if len(pipeline) <= LONGEST else f"{pipeline[: LONGEST - 1]}…"
    candidate = " candidate" if stage.candidates else ""
    return (
        f'<g class="box{candidate}"><title>{_text(stage.name)}</title>'
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + 10}" y="{y + 19}">{_text(shown)}</text>'
        f'<text class="tick" x="{x + 10}" y="{y + 35}">{_text(kind)}</text></g>'
    )


def _text(text: str) -> str:
    return escape(visible(text))
