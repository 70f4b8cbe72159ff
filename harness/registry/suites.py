"""Reads `[suites.NAME]`: the settings of a suite, under a label or not, or of one that the file defines."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from harness.errors import UnknownName
from harness.records.models import Json
from harness.registry.mistakes import Table, under
from harness.registry.names import Names, Reference
from harness.registry.paths import PathResolver

_DEFINING = "prompts"
"""The key that makes a section `[suites.NAME]` define a suite and not only set one up."""
JUDGES = ("judge", "info_judge")
"""The settings of suites that name a model or pipeline which judges answers."""
_FAMILY = ":NAME"
"""Ends the key of a model of settings that is that of every suite with the same beginning."""
Schemas = Mapping[str, type[BaseModel]]
"""The model of each suite's settings, by its name."""
Settings = Mapping[str, Mapping[str, Json]]
"""The settings of every suite with a section."""


@dataclass(frozen=True, slots=True)
class Suites:
    """The suites that names may stand for, and the sections of the file that set some of them up."""

    schemas: Schemas
    sections: Mapping[str, Table]
    paths: PathResolver

    def read(self) -> dict[str, Mapping[str, Json]]:
        """The settings of each section, with paths made absolute: a suite does not know the file's folder."""
        return {name: self._settings(name, table) for name, table in self.sections.items()}

    def check(self, suite: str, key: str) -> None:
        """Note it if no suite has this name, or if it is a label without a section."""
        if self._schema(suite, key) and labelled(suite, self.schemas) and suite not in self.sections:
            section = under("suites", suite)
            self.paths.mistakes.add(key, f"a label needs a section with its settings, [{section}]")

    def _settings(self, name: str, table: Table) -> Mapping[str, Json]:
        key = under("suites", name)
        schema = self._schema(name, key)
        settings = schema and self.paths.mistakes.read(schema, table, key)
        if not isinstance(settings, BaseModel):
            return {}
        values: dict[str, Json] = settings.model_dump(mode="json")
        for field in _files(type(settings)):
            values[field] = _absolute_files(values[field], under(key, field), self.paths)
        patterns = {field for field, value in settings if isinstance(value, re.Pattern)}  # never paths
        return {
            field: self.paths.absolute(value) if isinstance(value, str) and field not in patterns else value
            for field, value in values.items()
        }

    def _schema(self, name: str, key: str) -> type[BaseModel] | None:
        """The model of a suite's settings, or None and the mistake noted."""
        prefix, colon, _ = name.partition(":")
        family = self.schemas.get(f"{prefix}{_FAMILY}") if colon else None
        schema = self.schemas.get(name) or family or self.schemas.get(labelled(name, self.schemas) or "")
        if schema is None:
            self.paths.mistakes.add(key, str(UnknownName("suite", name, self.schemas)))
        return schema


def with_own(schemas: Schemas, sections: Mapping[str, Table], own: type[BaseModel] | None) -> Schemas:
    """The known suites, and those that sections of the file define, whose settings are `own`."""
    if own is None:
        return schemas
    defined = {name for name, table in sections.items() if _DEFINING in table and ":" not in name}
    return {**dict.fromkeys(sorted(defined), own), **schemas}


def labelled(name: str, suites: Collection[str]) -> str | None:
    """The suite that `SUITE:LABEL` is, under another name and with other settings; None for other names."""
    suite, _, label = name.partition(":")
    return suite if label and suite in suites and name not in suites else None


def check_judges(settings: Settings, names: Names) -> None:
    """Note judges of suites that nothing defines."""
    for suite, values in settings.items():
        for key in JUDGES:
            if isinstance(judge := values.get(key), str):
                names.check_candidate(under("suites", suite, key), judge)


def judging(selecting: Sequence[tuple[str, str, str]], settings: Settings) -> Iterator[Reference]:
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


def _absolute_files(given: Json, key: str, paths: PathResolver) -> Json:
    if isinstance(given, str):
        paths.check_file(given, key)
        return str(paths.root / given)
    if isinstance(given, Mapping):
        return {name: _absolute_files(file, under(key, name), paths) for name, file in given.items()}
    return given
