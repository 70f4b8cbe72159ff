"""How far a store has moved into its present form.

A caller watches by a context variable (`watch_moves`): a store is opened in many places, and moves once.
"""

from collections.abc import Callable
from contextvars import ContextVar

OnMoved = Callable[[str, int, int], None]
"""Called with the kind of what moves, how much of it has moved, and how much there was to move."""

_on_moved: ContextVar[OnMoved | None] = ContextVar("on_moved", default=None)


def watch_moves(on_moved: OnMoved) -> None:
    """From here on, `on_moved` is called after every part that has moved."""
    _on_moved.set(on_moved)


def report_move(kind: str, done: int, total: int) -> None:
    """Tell whoever watches."""
    on_moved = _on_moved.get()
    if on_moved is not None:
        on_moved(kind, done, total)
