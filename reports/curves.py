"""Training curves as inline SVG, each with a description in words.

Colours are classes that the page's style sheet fills in.
"""

from reports.svg import described, multiples, round_step
from reports.training import Curve

WIDTH, HEIGHT, LEFT, FOOT, TOP = 300, 130, 46, 22, 8


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
        for value in multiples(low, high, round_step(high - low, 3))
    ]
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{key}t {key}d">',
            described(key, drawn.meaning, words),
            *ticks,
            f'<polyline class="curve" points="{line}"/>',
            f'<text class="tick" x="{LEFT}" y="{HEIGHT - 5}">step {first}</text>',
            f'<text class="tick" x="{WIDTH - 6}" y="{HEIGHT - 5}" text-anchor="end">{last}</text>',
            "</svg>",
        ]
    )
