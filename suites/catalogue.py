"""The table of suites: every name that can be asked for, in one place.

Three sources add to the table: packages that declare an entry point of the group `harness.suites`, whose
value is an `Entry` and whose name is the suite's; other evaluation frameworks, whose tasks go by
`lm_eval:NAME` and `lighteval:NAME`, and whose judged criteria by `deepeval:NAME`; and a user's own suites,
each a section with `prompts` in harness.toml.

Opening a suite loads no model library.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.errors import UnknownName, UsageError
from harness.protocols import Engine, Suite
from harness.records.models import Json
from harness.registry import labelled
from suites.custom import open_custom
from suites.custom_rows import CustomSettings
from suites.deepeval_criterion import DeepEvalSuite
from suites.general import General
from suites.ifeval import IFEval
from suites.labelled import Labelled
from suites.lighteval_task import LightevalSuite
from suites.lm_eval_group import TaskOrGroup
from suites.realtoxicityprompts import RealToxicityPrompts
from suites.settings import (
    DeepEvalSettings,
    GeneralSettings,
    IFEvalSettings,
    LetteredSettings,
    LightevalSettings,
    LmEvalSettings,
    RealToxicityPromptsSettings,
    SuiteContext,
    SuiteSettings,
    TruthfulQAGenSettings,
    no_judge,
)
from suites.toy.ifeval import ToyIFEval, ToyIFEvalSettings
from suites.toy.toxicity import ToyToxicity, ToyToxicitySettings
from suites.toy.truthfulqa import ToyTruthfulQA
from suites.truthfulqa import TruthfulQA
from suites.truthfulqa_gen import TruthfulQAGen
from suites.truthfulqa_lettered import TruthfulQALettered


@dataclass(frozen=True, slots=True)
class Entry:
    """A suite that can be opened."""

    settings: type[BaseModel]
    open: Callable[[Any, SuiteContext], Suite]
    """Makes the suite from an instance of `settings`."""


@dataclass(frozen=True, slots=True)
class Family:
    """An evaluation framework, each of whose tasks is a suite."""

    settings: type[BaseModel]
    open: Callable[[str, Any, SuiteContext], Suite]
    """Makes the suite from a task's name and an instance of `settings`."""


SUITES: Mapping[str, Entry] = {
    "truthfulqa": Entry(SuiteSettings, TruthfulQA),
    "truthfulqa-gen": Entry(TruthfulQAGenSettings, TruthfulQAGen),
    "truthfulqa-lettered": Entry(LetteredSettings, TruthfulQALettered),
    "ifeval": Entry(IFEvalSettings, IFEval),
    "realtoxicityprompts": Entry(RealToxicityPromptsSettings, RealToxicityPrompts),
    "general": Entry(GeneralSettings, General),
    "toy-truthfulqa": Entry(SuiteSettings, ToyTruthfulQA),
    "toy-ifeval": Entry(ToyIFEvalSettings, ToyIFEval),
    "toy-toxicity": Entry(ToyToxicitySettings, ToyToxicity),
}

FAMILIES: Mapping[str, Family] = {
    "lm_eval": Family(LmEvalSettings, TaskOrGroup),
    "lighteval": Family(LightevalSettings, LightevalSuite),
    "deepeval": Family(DeepEvalSettings, DeepEvalSuite),
}
"""The frameworks by the prefix, before a colon, of their tasks; deepeval's are the user's own criteria."""


GROUP = "harness.suites"
"""The entry points by which packages add suites."""

OWN = CustomSettings
"""The schema of a section under a name that is not in the table: a user's own suite."""


@cache
def known_suites() -> Mapping[str, Entry]:
    """The table and what installed packages add to it; a package cannot replace one of ours.

    Raises UsageError for a package whose suite cannot be loaded.
    """
    added = {point.name: _added(point) for point in entry_points(group=GROUP)}
    return {**added, **SUITES}


def _added(point: EntryPoint) -> Entry:
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{_package(point)} cannot be loaded: {error}") from error
    if not isinstance(entry, Entry):
        raise UsageError(
            f"{_package(point)} is {type(entry).__name__}, where a suites.catalogue.Entry was expected"
        )
    return entry


def _package(point: EntryPoint) -> str:
    package = "" if point.dist is None else f" of the installed package {point.dist.name}"
    return f"suite {point.name!r}{package} ({point.value})"


def suite_settings() -> Mapping[str, type[BaseModel]]:
    """The schema of `[suites.NAME]` by name; `lm_eval:NAME` stands for every task of lm-eval, and so on."""
    families = {f"{prefix}:NAME": family.settings for prefix, family in FAMILIES.items()}
    return {name: entry.settings for name, entry in known_suites().items()} | families


def settings_of(name: str) -> type[BaseModel]:
    """The schema of this suite's settings; where the table lacks the name, that of a user's own suite."""
    entry = known_suites().get(labelled(name, known_suites()) or name)
    family = FAMILIES.get(name.partition(":")[0])
    return entry.settings if entry else family.settings if family else OWN


def whole_settings(name: str, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """A suite's settings as JSON, defaults included, without those that change no run."""
    return settings_of(name).model_validate(settings).model_dump(mode="json", exclude={"margin"})


def open_suite(
    name: str,
    settings: Mapping[str, Json],
    *,
    data_root: Path | None,
    resolve: Callable[[str], Path | None],
    judge: Callable[[str], Engine] = no_judge,
    root: Path | None = None,
    own: Collection[str] = (),
) -> Suite:
    """The suite of this name with these settings, which its schema has accepted before.

    `data_root` is the folder of official data, None for the hub; `resolve` gives the folder of a model or
    finished pipeline by its name, `judge` an engine to judge with by its model's; `root` is the project's
    folder, and `own` are the names of its own suites. A `SUITE:LABEL` is the suite under that name. Raises
    UnknownName. Data are read when they are first needed, not here.
    """
    context = SuiteContext(data_root=data_root, resolve=resolve, judge=judge, root=root)
    prefix, _, task = name.partition(":")
    family = FAMILIES.get(prefix) if task else None
    if family is not None:
        return family.open(task, family.settings.model_validate(settings), context)
    of = labelled(name, known_suites())
    if name in own and of is None and name not in known_suites():
        return open_custom(name, OWN.model_validate(settings), context)
    entry = known_suites().get(of or name)
    if entry is None:
        raise UnknownName("suite", name, [*suite_settings(), *own])
    suite = entry.open(entry.settings.model_validate(settings), context)
    return Labelled(suite, name) if of else suite
