"""From the file to the Registry: sections are read one by one, then the names between them are checked.

It does not know how a mistake is worded (`mistakes`), nor what a section may hold (`sections`).
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from harness.errors import ConfigError, UnknownName, nearest
from harness.records import Json
from harness.registry.mistakes import Mistakes, Table, expected, under
from harness.registry.models import read_model
from harness.registry.names import Names
from harness.registry.paths import Ground
from harness.registry.pipelines import read_pipeline
from harness.registry.records import Compare, Project, Registry
from harness.registry.sections import CompareSection, ProjectSection

_SECTIONS = ("project", "models", "pipelines", "suites", "compare")
JUDGES = ("judge", "info_judge")
"""The settings of suites that name a model or pipeline which judges answers."""
_FAMILY = ":NAME"
"""Ends the key of a model of settings that is that of every suite with the same beginning."""


def load(
    file: Path,
    stages: Mapping[str, type[BaseModel]],
    suites: Mapping[str, type[BaseModel]],
    *,
    root: Path | None = None,
) -> Registry:
    """Read a harness.toml.

    `stages` gives the model of each kind of stage's settings, `suites` that of each suite's (`lm_eval:NAME`:
    of all that begin with `lm_eval:`). Relative paths start from `root`, or else from the file's folder.
    Raises ConfigError with every mistake of the file, one line each.
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
    settings = {
        name: _suite(name, table, suites, ground)
        for name, table in _named(tables, "suites", mistakes).items()
    }
    names = Names(models, {name: pipeline for name, (pipeline, _) in read.items()}, mistakes)
    names.check_definitions()
    names.check_references([reference for _, references in read.values() for reference in references])
    _check_judges(settings, names)
    compare = _compare(_table(tables, "compare", mistakes), suites, names, mistakes)
    mistakes.tell()
    return Registry(
        project=project,
        models={name: model for name, model in models.items() if model},
        pipelines={name: pipeline for name, (pipeline, _) in read.items() if pipeline},
        suites=settings,
        compare=compare,
    )


def _parse(file: Path) -> Table:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "", f"is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rstrip(")").rpartition(" (at ")
        if where == "end of document":
            where = f"line {len(text.splitlines())}, the end"
        raise ConfigError(str(file), where, f"is not TOML: {what[0].lower()}{what[1:]}") from error


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


def _project(file: Path, table: Table, ground: Ground) -> Project:
    section = ground.mistakes.read(ProjectSection, table, "project") or ProjectSection()
    return Project(
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
    data = values.get("data")
    if isinstance(data, str):
        ground.check_file(data, under(key, "data"))
        values["data"] = str(ground.root / data)
    return {
        field: ground.absolute(value) if isinstance(value, str) else value for field, value in values.items()
    }


def _check_judges(settings: Mapping[str, Mapping[str, Json]], names: Names) -> None:
    for suite, values in settings.items():
        for key in JUDGES:
            if isinstance(judge := values.get(key), str):
                names.check_candidate(under("suites", suite, key), judge)


def _suite_schema(
    name: str, key: str, suites: Mapping[str, type[BaseModel]], mistakes: Mistakes
) -> type[BaseModel] | None:
    """The model of a suite's settings, or None and the mistake noted."""
    prefix, colon, _ = name.partition(":")
    schema = suites.get(name) or (suites.get(f"{prefix}{_FAMILY}") if colon else None)
    if schema is None:
        mistakes.add(key, str(UnknownName("suite", name, suites)))
    return schema


def _compare(
    table: Table, suites: Mapping[str, type[BaseModel]], names: Names, mistakes: Mistakes
) -> Compare:
    section = mistakes.read(CompareSection, table, "compare") or CompareSection()
    for position, suite in enumerate(section.suites):
        _suite_schema(suite, under("compare", "suites", position), suites, mistakes)
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
