"""The console and text classes of the command line, which make untrusted text harmless.

Text from models, judges, raters and files may hold control characters, bidirectional overrides and invisible
characters. They are escaped (`harness.escape_controls`) wherever text is made or rendered, so that no caller
has to think of it. By test, modules of this package use these two classes instead of Rich's own.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import rich.console
import rich.text
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.escape_controls import escape_controls


class Text(rich.text.Text):
    """Rich's text, with invisible characters escaped. Rich itself drops some of them and passes others on."""

    def __init__(self, text: str = "", *given: Any, **named: Any) -> None:
        super().__init__(escape_controls(text), *given, **named)

    def append(self, text: rich.text.Text | str, style: Any = None) -> "Text":
        super().append(escape_controls(text) if isinstance(text, str) else text, style)
        return self

    @classmethod
    def assemble(cls, *parts: Any, **named: Any) -> "Text":
        return cast("Text", super().assemble(*parts, **named))

    def join(self, lines: Iterable[rich.text.Text]) -> "Text":
        return Text().append(super().join(lines))


class Console(rich.console.Console):
    """Rich's console, which escapes all control characters but its own colours and cursor movements."""

    def render_str(self, text: str, **named: Any) -> rich.text.Text:
        """A string as text, before it is measured: tables stay straight."""
        return super().render_str(escape_controls(text), **named)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Whatever else is rendered, such as a panel's title."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_controls(segment.text), segment.style)


def say(line: str) -> None:
    """Print a line at once and uncut, for links that are copied and pipes that are read while it waits."""
    print(escape_controls(line), flush=True)
