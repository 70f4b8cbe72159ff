"""From the file to the Registry: sections are read one by one, then the names between them are checked.

It does not know how a mistake is worded (`mistakes`), nor what a section may hold (`sections`).
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from harness.errors import ConfigError, DataError, UnknownName, nearest
from harness.files import MOST_NESTED, TOO_DEEP, nested_deeper, read_text
from harness.records.models import Json, Mix
from harness.registry.mistakes import Mistakes, Table, expected, under
from harness.registry.mixes import check_mixes, read_mix
from harness.registry.models import read_model
from harness.registry.names import Names, Reference
from harness.registry.paths import Ground
from harness.registry.pipelines import read_pipeline, selecting_suites
from harness.registry.records import Compare, Prices, ProjectSettings, Registry, TokenPrice
from harness.registry.sections import CompareSection, CurrencySection, PriceSection, ProjectSection

_SECTIONS = ("project", "models", "pipelines", "data", "suites", "compare", "judge", "prices")
DEFINING = "prompts"
"""The key that makes a section `[suites.NAME]` define a suite and not only set one up."""
JUDGES = ("judge", "info_judge")
"""The settings of suites that name a model or pipeline which judges answers."""
LARGEST_WHOLE = 2**63 - 1
_DIGITS = re.compile(r"[0-9_]{4300}")
_FAMILY = ":NAME"
"""Ends the key of a model of settings that is that of every suite with the same beginning."""


def load(
    file: Path,
    stages: Mapping[str, type[BaseModel]],
    suites: Mapping[str, type[BaseModel]],
    *,
    own_suite: type[BaseModel] | None = None,
    judge: type[BaseModel] | None = None,
    root: Path | None = None,
) -> Registry:
    """Read a harness.toml.

    `stages` gives the model of each kind of stage's settings, `suites` that of each suite's (`lm_eval:NAME`:
    of all that begin with `lm_eval:`), which is also that of `SUITE:LABEL`, the suite with other settings.
    `own_suite` is that of a suite that the file itself defines: a section under another name that holds
    `prompts`. `judge` is that of `[judge]`; without it, the section is not read. Relative paths start from
    `root`, or else from the file's folder. Raises ConfigError with every mistake of the file, one line each.
    """
    tables = _parse(file)
    mistakes = Mistakes(file)
    ground = Ground((root or file.parent).resolve(), mistakes)
    for section in tables:
        if section not in _SECTIONS:
            mistakes.add(section, f"unknown section{nearest(section, _SECTIONS)}")
    project = _project(file, _table(tables, "project", mistakes), ground)
    models = {
        name: read_model(name, table, ground) for name, table in _named(tables, "models", mistakes).items()
    }
    read = {
        name: read_pipeline(name, table, stages, ground)
        for name, table in _named(tables, "pipelines", mistakes).items()
    }
    sections = _named(tables, "suites", mistakes)
    if own_suite is not None:
        own = {name for name, table in sections.items() if DEFINING in table and ":" not in name}
        suites = {**dict.fromkeys(sorted(own), own_suite), **suites}
    settings = {name: _suite(name, table, suites, ground) for name, table in sections.items()}
    mixes = {name: read_mix(name, table, ground) for name, table in _named(tables, "data", mistakes).items()}
    names = Names(models, {name: each.pipeline for name, each in read.items()}, mistakes, mixes)
    names.check_definitions()
    references = [reference for each in read.values() for reference in each.references]
    pipelines = [each.pipeline for each in read.values() if each.pipeline]
    selecting = [found for pipeline in pipelines for found in selecting_suites(pipeline)]
    for key, _, suite in selecting:
        _check_suite(suite, key, suites, settings, mistakes)
    names.check_references([*references, *_judging(selecting, settings)])
    check_mixes([named for each in read.values() for named in each.data], mixes, mistakes)
    _check_decontaminated(mixes, suites, settings, mistakes)
    _check_judges(settings, names)
    compare = _compare(_table(tables, "compare", mistakes), suites, settings, names, mistakes)
    judging = {} if judge is None else _judge(_table(tables, "judge", mistakes), judge, mistakes)
    prices = _prices(_table(tables, "prices", mistakes), names, mistakes)
    mistakes.tell()
    return Registry(
        project=project,
        models={name: model for name, model in models.items() if model},
        pipelines={name: each.pipeline for name, each in read.items() if each.pipeline},
        suites=settings,
        compare=compare,
        judge=judging,
        prices=prices,
        mixes={name: mix for name, mix in mixes.items() if mix},
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
    mistakes.tell()
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


# ---------------------------------------------------------------- sections


def _project(file: Path, table: Table, ground: Ground) -> ProjectSettings:
    section = ground.mistakes.read(ProjectSection, table, "project") or ProjectSection()
    return ProjectSettings(
        file=file,
        root=ground.root,
        store=ground.database(section.store),
        output=ground.root / section.output,
        reports=ground.root / section.reports,
        seed=section.seed,
        label=section.label,
    )


def _suite(
    name: str, table: Table, suites: Mapping[str, type[BaseModel]], ground: Ground
) -> Mapping[str, Json]:
    """A suite's settings with its paths absolute, since a suite does not know the file's folder."""
    key = under("suites", name)
    schema = _suite_schema(name, key, suites, ground.mistakes)
    settings = schema and ground.mistakes.read(schema, table, key)
    if not isinstance(settings, BaseModel):
        return {}
    values: dict[str, Json] = settings.model_dump(mode="json")
    for field in _files(type(settings)):
        values[field] = _absolute_files(values[field], under(key, field), ground)
    patterns = {field for field, value in settings if isinstance(value, re.Pattern)}  # never paths
    return {
        field: ground.absolute(value) if isinstance(value, str) and field not in patterns else value
        for field, value in values.items()
    }


def _check_judges(settings: Mapping[str, Mapping[str, Json]], names: Names) -> None:
    for suite, values in settings.items():
        for key in JUDGES:
            if isinstance(judge := values.get(key), str):
                names.check_candidate(under("suites", suite, key), judge)


def _check_decontaminated(
    mixes: Mapping[str, Mix | None],
    suites: Mapping[str, type[BaseModel]],
    set_up: Collection[str],
    mistakes: Mistakes,
) -> None:
    """Note suites that a mix is to be kept apart from, and that are not known."""
    for name, mix in mixes.items():
        for position, suite in enumerate((mix and mix.decontaminate) or ()):
            _check_suite(suite, under("data", name, "decontaminate", position), suites, set_up, mistakes)


def _check_suite(
    suite: str,
    key: str,
    suites: Mapping[str, type[BaseModel]],
    set_up: Collection[str],
    mistakes: Mistakes,
) -> None:
    """`set_up` are the suites with a section, which a label cannot be without."""
    schema = _suite_schema(suite, key, suites, mistakes)
    if schema and labelled(suite, suites) and suite not in set_up:
        mistakes.add(key, f"a label needs a section with its settings, [{under('suites', suite)}]")


def _judging(
    selecting: Sequence[tuple[str, str, str]], settings: Mapping[str, Mapping[str, Json]]
) -> Iterator[Reference]:
    """The judges of suites by which pipelines select: no pipeline can wait for its own judgement."""
    for key, pipeline, suite in selecting:
        for role in JUDGES:
            if isinstance(judge := settings.get(suite, {}).get(role), str):
                yield Reference(key, pipeline, "judge", judge)


def _files(schema: type[BaseModel]) -> list[str]:
    """The settings that name files: one, or one for each of several names."""
    found = {name: field.annotation for name, field in schema.model_fields.items()}
    return [
        name
        for name, kind in found.items()
        if Path in (kind, *get_args(kind)) or any(Path in get_args(each) for each in get_args(kind))
    ]


def _absolute_files(given: Json, key: str, ground: Ground) -> Json:
    if isinstance(given, str):
        ground.check_file(given, key)
        return str(ground.root / given)
    if isinstance(given, Mapping):
        return {name: _absolute_files(file, under(key, name), ground) for name, file in given.items()}
    return given


def labelled(name: str, suites: Collection[str]) -> str | None:
    """The suite that `SUITE:LABEL` is, under another name and with other settings; None for other names."""
    suite, _, label = name.partition(":")
    return suite if label and suite in suites and name not in suites else None


def _suite_schema(
    name: str, key: str, suites: Mapping[str, type[BaseModel]], mistakes: Mistakes
) -> type[BaseModel] | None:
    """The model of a suite's settings, or None and the mistake noted."""
    prefix, colon, _ = name.partition(":")
    family = suites.get(f"{prefix}{_FAMILY}") if colon else None
    schema = suites.get(name) or family or suites.get(labelled(name, suites) or "")
    if schema is None:
        mistakes.add(key, str(UnknownName("suite", name, suites)))
    return schema


def _compare(
    table: Table,
    suites: Mapping[str, type[BaseModel]],
    set_up: Collection[str],
    names: Names,
    mistakes: Mistakes,
) -> Compare:
    """The section `[compare]`. `set_up` are the suites with a section."""
    section = mistakes.read(CompareSection, table, "compare") or CompareSection()
    for position, suite in enumerate(section.suites):
        _check_suite(suite, under("compare", "suites", position), suites, set_up, mistakes)
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
