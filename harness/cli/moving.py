"""Says how far a store is on its way into today's form, on standard error: that can take minutes, once."""

import time
from collections.abc import Callable

from harness.cli.pace import Pace, Piece
from harness.cli.terminal import errors
from harness.cli.timeline import LINE_EVERY

FIRST_AFTER = 2.0
"""Seconds after which the first line comes: most stores have moved by then."""
OF_WHAT = {"scores": "rows"}
"""What is counted of a kind, where that is not the kind itself."""


class MovingLines:
    """A line when it begins to take long, and one in LINE_EVERY seconds. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pieces: dict[str, Piece] = {}
        self._began: float | None = None
        self._last_line: float | None = None

    def __call__(self, kind: str, done: int, total: int) -> None:
        """Another part of this kind has moved."""
        now = self._clock()
        if self._began is None:
            self._began = now
        unit = OF_WHAT.get(kind, kind)
        piece = self._pieces.setdefault(kind, Piece(what=f"move {kind}", unit=unit, pace=Pace(now), last=now))
        piece.advance(now, done, total)
        if self._last_line is None and now - self._began >= FIRST_AFTER:
            errors.print(
                "the results store moves into a smaller form, once; a stop loses nothing, and the next "
                "command goes on",
                soft_wrap=True,
            )
            self._line(piece, now)
        elif self._last_line is not None and now - self._last_line >= LINE_EVERY:
            self._line(piece, now)

    def _line(self, piece: Piece, now: float) -> None:
        errors.print(piece.status(now), markup=False, soft_wrap=True)
        self._last_line = now
