"""Keeps the traceback of an unexpected exception in a file that can be attached to a bug report.

The file holds neither the values of variables nor the environment nor the command, any of which may contain a
key. Where the exception's message repeats the value of an environment variable whose name suggests a secret,
the name stands in its place.
"""

import os
import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir

from harness.escape_controls import shortened

PREFIX = "harness-traceback-"
PLACES: tuple[Callable[[], str], ...] = (os.getcwd, gettempdir)
"""The working folder, which outlives a batch job's machine; where it cannot be written, one that can."""
LONGEST = 300
"""Characters of an exception's words on the terminal."""
SHORTEST_SECRET = 8
"""Characters: shorter values also occur in ordinary text."""

_SECRETS = re.compile("KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def keep_traceback(error: Exception) -> Path | None:
    """The file in which it now is; None where none can be written."""
    text = without_secrets("".join(traceback.format_exception(error)))
    for place in PLACES:
        with (
            suppress(OSError),
            NamedTemporaryFile(
                "w",
                dir=place(),
                prefix=PREFIX,
                suffix=".txt",
                delete=False,
                encoding="utf-8",
                errors="backslashreplace",
            ) as file,
        ):
            file.write(text)
            return Path(file.name)
    return None


def in_a_line(error: Exception) -> str:
    """The kind of exception and what it says, on one line."""
    said = " ".join(without_secrets(str(error)).split())
    line = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return shortened(line, LONGEST)


def without_secrets(text: str) -> str:
    """The text, with names in the place of what secrets' variables hold."""
    for name, value in os.environ.items():
        if _SECRETS.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, f"${name}")
    return text
