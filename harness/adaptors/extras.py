"""Frameworks that come as extras: a missing one is told with the command that installs it.

It does not know what they are for.
"""

from importlib.util import find_spec

from harness.errors import UsageError


def need(framework: str) -> None:
    """Raise UsageError where the package of this name, which is also the extra's, is not installed."""
    if find_spec(framework) is None:
        raise UsageError(
            f"{framework} is not installed, and this needs it: pip install 'harness[{framework}]'"
        )
