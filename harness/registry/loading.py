"""Reads the file into a Registry: section by section, then the names that sections use of one another."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from harness.errors import ConfigError, DataError, nearest
from harness.files import MOST_NESTED, TOO_DEEP, nested_deeper, read_text
from harness.records.models import Json, Mix
from harness.registry.gate import read_gate
from harness.registry.mistakes import Mistakes, Table, expected, under
from harness.registry.mixes import check_mixes, read_mix
from harness.registry.models import read_model
from harness.registry.names import Names
from harness.registry.paths import PathResolver
from harness.registry.pipelines import ReadPipeline, Rename, as_written, read_pipeline, selecting_suites
from harness.registry.records import Compare, Placement, Prices, ProjectSettings, Registry, TokenPrice
from harness.registry.sections import (
    CompareSection,
    CurrencySection,
    PriceSection,
    ProjectSection,
    RunSection,
)
from harness.registry.suites import Settings, Suites, check_judges, judging, with_own

_SECTIONS = ("project", "models", "pipelines", "data", "suites", "compare", "gate", "judge", "run", "prices")
LARGEST_WHOLE = 2**63 - 1
T = TypeVar("T")
_DIGITS = re.compile(r"[0-9_]{4300}")


def load(
    file: Path,
    stages: Mapping[str, type[BaseModel]],
    suites: Mapping[str, type[BaseModel]],
    *,
    own_suite: type[BaseModel] | None = None,
    judge: type[BaseModel] | None = None,
    rename: Rename = as_written,
    root: Path | None = None,
    data_root: Path | None = None,
) -> Registry:
    """Read a harness.toml.

    `stages` gives the model of each kind of stage's settings, `suites` that of each suite's (`lm_eval:NAME`:
    of all that begin with `lm_eval:`), which is also that of `SUITE:LABEL`, the suite with other settings.
    `own_suite` is that of a suite that the file itself defines: a section under another name that holds
    `prompts`. `judge` is that of `[judge]`; without it, the section is not read. `rename` gives a stage's
    settings under our names where the file has another library's. Relative paths start from
    `root`, or else from the file's folder; files of training rows are looked for in `data_root` too. Raises
    ConfigError with every mistake of the file, one line each.
    """
    tables = _parse(file)
    mistakes = Mistakes(file)
    paths = PathResolver((root or file.parent).resolve(), mistakes, data_root)
    for section in tables:
        if section not in _SECTIONS:
            mistakes.add(section, f"unknown section{nearest(section, _SECTIONS)}")
    project = _project(file, _table(tables, "project", mistakes), paths)
    models = _read(tables, "models", paths, read_model)
    read = _read(tables, "pipelines", paths, partial(read_pipeline, stages=stages, rename=rename))
    sections = _named(tables, "suites", mistakes)
    named = Suites(with_own(suites, sections, own_suite), sections, paths)
    settings = named.read()
    mixes = _read(tables, "data", paths, read_mix)
    names = Names(models, {name: each.pipeline for name, each in read.items()}, mistakes, mixes)
    names.check_definitions()
    _check_pipelines(list(read.values()), named, settings, names)
    check_mixes([source for each in read.values() for source in each.data], mixes, mistakes)
    _check_decontaminated(mixes, named)
    check_judges(settings, names)
    compare = _compare(_table(tables, "compare", mistakes), named, names, mistakes)
    gate = read_gate(_table(tables, "gate", mistakes), named, mistakes)
    asking = {} if judge is None else _judge(_table(tables, "judge", mistakes), judge, mistakes)
    run = mistakes.read(RunSection, _table(tables, "run", mistakes), "run") or RunSection()
    prices = _prices(_table(tables, "prices", mistakes), names, mistakes)
    mistakes.raise_any()
    return Registry(
        project=project,
        models={name: model for name, model in models.items() if model},
        pipelines={name: each.pipeline for name, each in read.items() if each.pipeline},
        suites=settings,
        compare=compare,
        judge=asking,
        prices=prices,
        mixes={name: mix for name, mix in mixes.items() if mix},
        run=Placement(on=run.on, replicas=run.replicas, gpus_per_replica=run.gpus_per_replica),
        gate=gate,
    )


def _parse(file: Path) -> Table:
    """The file as TOML has it, without any value that nothing could use. Raises ConfigError."""
    try:
        text = read_text(file)
    except DataError as error:
        raise ConfigError(str(file), f"line {error.row}" if error.row else "", error.message) from error
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(str(file), "", TOO_DEEP) from error
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rstrip(")").rpartition(" (at ")
        if where == "end of document":
            where = f"line {len(text.splitlines())}, the end"
        raise ConfigError(str(file), where, f"is not TOML: {what[0].lower()}{what[1:]}") from error
    except ValueError as error:  # Python's own limit on the digits of a whole number
        place = _DIGITS.search(text)
        where = f"line {text.count(chr(10), 0, place.start()) + 1}" if place else ""
        raise ConfigError(str(file), where, "holds a whole number of thousands of digits") from error
    if nested_deeper(tables, MOST_NESTED):
        raise ConfigError(str(file), "", TOO_DEEP)
    mistakes = Mistakes(file)
    for key, value in _values("", tables):
        if (problem := _unusable(value)) is not None:
            mistakes.add(key, problem)
    mistakes.raise_any()
    return tables


def _values(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Every value that is no table and no list, with its key."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _values(under(key, name).removeprefix("."), member)
    elif isinstance(value, list):
        for place, member in enumerate(value):
            yield from _values(under(key, place), member)
    else:
        yield key, value


def _unusable(value: object) -> str | None:
    """What is wrong with a value wherever it stands; None where nothing is."""
    if isinstance(value, int) and not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
        return f"a whole number within ±{LARGEST_WHOLE} (64 bits, as TOML has it) was expected"
    if isinstance(value, float) and not isfinite(value):
        return f"a number was expected, and not {value}"
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL character"
    return None


def _table(tables: Table, name: str, mistakes: Mistakes) -> Table:
    table = tables.get(name, {})
    if isinstance(table, Mapping):
        return table
    mistakes.add(name, expected(f"a table [{name}]", table))
    return {}


def _named(tables: Table, section: str, mistakes: Mistakes) -> dict[str, Table]:
    """The tables `[SECTION.NAME]` by name."""
    found: dict[str, Table] = {}
    for name, table in _table(tables, section, mistakes).items():
        if isinstance(table, Mapping):
            found[name] = table
        else:
            mistakes.add(under(section, name), expected(f"a table [{section}.NAME]", table))
    return found


def _read(
    tables: Table, section: str, paths: PathResolver, read: Callable[[str, Table, PathResolver], T]
) -> dict[str, T]:
    """What `read` makes of every table `[SECTION.NAME]`, by name."""
    named = _named(tables, section, paths.mistakes)
    return {name: read(name, table, paths) for name, table in named.items()}


# ---------------------------------------------------------------- sections


def _project(file: Path, table: Table, paths: PathResolver) -> ProjectSettings:
    section = paths.mistakes.read(ProjectSection, table, "project") or ProjectSection()
    return ProjectSettings(
        file=file,
        root=paths.root,
        store=paths.database(section.store),
        output=paths.root / section.output,
        reports=paths.root / section.reports,
        seed=section.seed,
        label=section.label,
    )


def _check_pipelines(read: Sequence[ReadPipeline], suites: Suites, settings: Settings, names: Names) -> None:
    """Note what pipelines name and nothing defines: models, rewards, and suites that select checkpoints."""
    references = [reference for each in read for reference in each.references]
    selecting = [found for each in read if each.pipeline for found in selecting_suites(each.pipeline)]
    for key, _, suite in selecting:
        suites.check(suite, key)
    names.check_references([*references, *judging(selecting, settings)])


def _check_decontaminated(mixes: Mapping[str, Mix | None], suites: Suites) -> None:
    """Note suites that a mix is to be kept apart from, and that are not known."""
    for name, mix in mixes.items():
        for position, suite in enumerate((mix and mix.decontaminate) or ()):
            suites.check(suite, under("data", name, "decontaminate", position))


def _compare(table: Table, suites: Suites, names: Names, mistakes: Mistakes) -> Compare:
    section = mistakes.read(CompareSection, table, "compare") or CompareSection()
    for position, suite in enumerate(section.suites):
        suites.check(suite, under("compare", "suites", position))
    for position, judge in enumerate(section.judges):
        names.check_candidate(under("compare", "judges", position), judge)
    if section.baseline is not None:
        names.check_candidate("compare.baseline", section.baseline)
    return Compare(
        suites=section.suites,
        judges=section.judges,
        baseline=section.baseline,
        level=section.level,
        resamples=section.resamples,
    )


def _judge(table: Table, schema: type[BaseModel], mistakes: Mistakes) -> Mapping[str, Json]:
    settings: BaseModel = mistakes.read(schema, table, "judge") or schema()
    values: dict[str, Json] = settings.model_dump(mode="json")
    return values


def _prices(table: Table, names: Names, mistakes: Mistakes) -> Prices:
    """The section `[prices]`: the currency, and a table for each model that has a price."""
    tables = {name: price for name, price in table.items() if isinstance(price, Mapping)}
    plain = {name: value for name, value in table.items() if name not in tables}
    section = mistakes.read(CurrencySection, plain, "prices") or CurrencySection()
    found = {}
    for name, price in tables.items():
        key = under("prices", name)
        names.check_candidate(key, name)
        read = mistakes.read(PriceSection, price, key)
        if read is not None:
            found[name] = TokenPrice(input=read.input, output=read.output)
    return Prices(currency=section.currency, of=found)
