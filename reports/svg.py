"""What all drawings share: safe text in SVG, and round numbers along an axis."""

import math
from html import escape

from harness.escape_controls import escape_controls


def svg_text(text: str) -> str:
    """Other people's text, escaped, with its unseen characters written out."""
    return escape(escape_controls(text))


def described(key: str, title: str, words: str) -> str:
    """A drawing's title and description, under ids that begin with `key`."""
    return f'<title id="{key}t">{svg_text(title)}</title><desc id="{key}d">{svg_text(words)}</desc>'


def round_step(span: float, steps: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that divides a span into about so many."""
    rough = span / steps
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)


def multiples(low: float, high: float, step: float) -> list[float]:
    """The multiples of the step from `low` to `high`."""
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
