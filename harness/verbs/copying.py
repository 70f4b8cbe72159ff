"""The verb `store copy`: everything that one store holds, in another."""

from dataclasses import dataclass

from harness.errors import UsageError
from harness.store import Store
from harness.store.copying import Copied, OnCopied, copy_store, differences


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedStore:
    """What was copied, and what is not the same in both."""

    source: str
    target: str
    copied: Copied
    differences: tuple[str, ...]
    """A line for each answer and run of the source that the target does not hold as it is."""


def copy_stores(source: str, target: str, on_copied: OnCopied = lambda *_: None) -> CopiedStore:
    """Copy the store at one URL into that at another, and read both again to compare them.

    Raises UsageError where there is no store to copy, or both are the same; else as stores do.
    """
    if not Store.exists(source):
        raise UsageError(f"{source}: there is no results store here to copy")
    with Store.open(source, reading=True) as here, Store.open(target) as there:
        if here.is_same_as(there):
            raise UsageError(f"{here.name} is both what is copied and where to: name two stores")
        copied = copy_store(here, there, on_copied)
        return CopiedStore(
            source=here.name,
            target=there.name,
            copied=copied,
            differences=tuple(differences(here, there)),
        )
