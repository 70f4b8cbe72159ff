"""Where the time of a benchmark goes: functions that count the seconds they take, put in and taken out again.

It does not know what is measured.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Replacement = tuple[Any, str, Callable[..., Any]]
"""An owner, the name of one of its functions, and what stands there meanwhile."""


@contextmanager
def replaced(replacements: Sequence[Replacement]) -> Iterator[None]:
    """Let others do the work of these functions, and put them back."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements]
    for owner, name, other in replacements:
        setattr(owner, name, other)
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)


def clocked(part: str, seconds: dict[str, float], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which adds the seconds it takes to those of its part."""

    def timed(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began

    return timed
