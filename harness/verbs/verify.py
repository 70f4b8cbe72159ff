"""The verb `store verify`: whether everything in the results store matches its hash."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.verbs.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    name: str
    """The store's."""
    checked: Mapping[str, int]
    """How many of what there are, by table."""
    complaints: tuple[str, ...]
    """A line for each fault."""


def verify_store(project: Project) -> Verified:
    """Check everything that has a hash. Raises UsageError where there is no store yet."""
    with project.existing_store(reading=True) as store:
        checked, complaints = store.integrity.counts(), store.integrity.complaints()
        return Verified(name=store.name, checked=checked, complaints=tuple(complaints))
