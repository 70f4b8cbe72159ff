"""The progress of a generation between two answers.

Rows of a batch are continued together, so that no answer may come for minutes although all are being
written. A caller watches by a context variable (`watching_steps`): as an argument, every engine and every
wrapper around one would have to pass it on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

OnStep = Callable[[int, int], None]
"""Called with the number of tokens written so far, and the most that may still follow."""

_on_step: ContextVar[OnStep | None] = ContextVar("on_step", default=None)


@contextmanager
def watching_steps(on_step: OnStep) -> Iterator[None]:
    """Within it, `on_step` is called after every step of a generation."""
    token = _on_step.set(on_step)
    try:
        yield
    finally:
        _on_step.reset(token)


def tell_step(written: int, left: int) -> None:
    """Tell whoever watches of tokens that were counted elsewhere."""
    on_step = _on_step.get()
    if on_step is not None:
        on_step(written, left)


class Steps:
    """The tokens of one call: those written, and those that may still follow."""

    def __init__(self, most: int) -> None:
        self._written, self._left = 0, most
        self._on_step = _on_step.get()

    def taken(self, rows: int, unused: int) -> None:
        """Count one token for each of `rows`, and `unused` tokens that finished rows will not need."""
        self._written += rows
        self._left -= rows + unused
        if self._on_step is not None:
            self._on_step(self._written, self._left)
