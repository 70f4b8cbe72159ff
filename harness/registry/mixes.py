"""Reads `[data.NAME]`: a mix of training rows."""

from collections.abc import Collection, Iterable, Sequence

from harness.errors import UnknownName
from harness.records.models import Mix, MixSource
from harness.registry.mistakes import Mistakes, Table, under
from harness.registry.paths import PathResolver
from harness.registry.sections import MixSection, MixSourceSection

MIX = "mix:"
"""How a stage's data name a mix."""


def read_mix(name: str, table: Table, paths: PathResolver) -> Mix | None:
    """The mix, or None and its mistakes noted. Whether its suites are known is checked apart from it."""
    key = under("data", name)
    section = paths.mistakes.read(MixSection, table, key)
    if section is None:
        return None
    if not section.sources:
        paths.mistakes.add(under(key, "sources"), f"a mix needs a source: [[{key}.sources]]")
        return None
    sources = [
        _source(source, under(key, "sources", position), paths)
        for position, source in enumerate(section.sources)
    ]
    return Mix(
        name=name,
        rows=section.rows,
        sources=tuple(sources),
        deduplicate=section.deduplicate,
        similarity=section.similarity,
        min_characters=section.min_characters,
        max_characters=section.max_characters,
        decontaminate=_suites(section.decontaminate),
        seed=section.seed,
    )


def check_mixes(named: Iterable[tuple[str, str]], known: Collection[str], mistakes: Mistakes) -> None:
    """Note every (key, stage's data) that names a mix which nothing defines."""
    for key, source in named:
        name = source.removeprefix(MIX)
        if source.startswith(MIX) and name not in known:
            mistakes.add(key, str(UnknownName("mix", name, known)))


def _source(section: MixSourceSection, key: str, paths: PathResolver) -> MixSource:
    paths.check_rows(section.data, under(key, "data"))
    if section.data.startswith(MIX):
        message = "a mix is made of files, hub ids and toy sets, not of other mixes; name their sources here"
        paths.mistakes.add(under(key, "data"), message)
    return MixSource(
        data=section.data,
        columns={str(ours): theirs for ours, theirs in section.columns.items()},
        count=section.count,
        weight=section.weight,
        licence=section.licence,
    )


def _suites(given: bool | Sequence[str]) -> tuple[str, ...] | None:
    if isinstance(given, bool):
        return None if given else ()
    return tuple(given)
