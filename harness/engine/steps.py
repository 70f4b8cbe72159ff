"""How far a generation is between two answers, for those who wait.

Rows of a batch are continued together, so that for minutes no answer may come although all are being
written. Who wants to know says so around the work (`watching_steps`): an engine has no place for it, and
every wrapper around one would have to hand it on. It does not know who watches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

OnStep = Callable[[int, int], None]
"""Called with the tokens that a call has written, and how many more it may write at most."""

_on_step: ContextVar[OnStep | None] = ContextVar("on_step", default=None)


@contextmanager
def watching_steps(on_step: OnStep) -> Iterator[None]:
    """Have it called after every step of a generation within."""
    token = _on_step.set(on_step)
    try:
        yield
    finally:
        _on_step.reset(token)


class Steps:
    """The tokens of a call: those written, and those that may still be."""

    def __init__(self, most: int) -> None:
        self._written, self._left = 0, most
        self._on_step = _on_step.get()

    def taken(self, rows: int, unused: int) -> None:
        """So many rows got a token, and those that are over leave so many unused."""
        self._written += rows
        self._left -= rows + unused
        if self._on_step is not None:
            self._on_step(self._written, self._left)
