"""Frameworks that come as extras: the error for a missing one gives the command that installs it."""

from importlib.util import find_spec

from harness.errors import UsageError


def need(framework: str) -> None:
    """Raise UsageError where the package of this name, which is also the extra's, is not installed."""
    if find_spec(framework) is None:
        raise UsageError(
            f"{framework} is not installed, and this needs it: pip install 'harness[{framework}]'"
        )
