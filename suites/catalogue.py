"""The table of suites: every name that can be asked for, on one screen.

Two sources add to the table: packages that declare an entry point of the group `harness.suites`, whose
value is an `Entry` and whose name is the suite's, and foreign frameworks, whose tasks can be asked for as
`lm_eval:NAME` and `lighteval:NAME`, and whose judging as `deepeval:NAME`.

Opening a suite loads no model library. It does not know who will be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.errors import UnknownName
from harness.protocols import Engine, Suite
from harness.records import Json
from suites.deepeval_criterion import DeepEvalSuite
from suites.ifeval import IFEval
from suites.lighteval_task import LightevalSuite
from suites.lm_eval_task import LmEvalSuite
from suites.realtoxicityprompts import RealToxicityPrompts
from suites.settings import (
    DeepEvalSettings,
    IFEvalSettings,
    LetteredSettings,
    LightevalSettings,
    LmEvalSettings,
    RealToxicityPromptsSettings,
    SuiteSettings,
    Surroundings,
    TruthfulQAGenSettings,
    no_judge,
)
from suites.toy import (
    ToyIFEval,
    ToyIFEvalSettings,
    ToyToxicity,
    ToyToxicitySettings,
    ToyTruthfulQA,
    ToyTruthfulQASettings,
)
from suites.truthfulqa import TruthfulQA
from suites.truthfulqa_gen import TruthfulQAGen
from suites.truthfulqa_lettered import TruthfulQALettered


@dataclass(frozen=True, slots=True)
class Entry:
    """A suite that can be opened."""

    settings: type[BaseModel]
    """The schema of its settings."""
    open: Callable[[Any, Surroundings], Suite]
    """Makes the suite from an instance of `settings`."""


@dataclass(frozen=True, slots=True)
class Family:
    """A foreign framework, each of whose tasks is a suite."""

    settings: type[BaseModel]
    """The schema of its suites' settings."""
    open: Callable[[str, Any, Surroundings], Suite]
    """Makes the suite from a task's name and an instance of `settings`."""


SUITES: Mapping[str, Entry] = {
    "truthfulqa": Entry(SuiteSettings, TruthfulQA),
    "truthfulqa-gen": Entry(TruthfulQAGenSettings, TruthfulQAGen),
    "truthfulqa-lettered": Entry(LetteredSettings, TruthfulQALettered),
    "ifeval": Entry(IFEvalSettings, IFEval),
    "realtoxicityprompts": Entry(RealToxicityPromptsSettings, RealToxicityPrompts),
    "toy-truthfulqa": Entry(ToyTruthfulQASettings, ToyTruthfulQA),
    "toy-ifeval": Entry(ToyIFEvalSettings, ToyIFEval),
    "toy-toxicity": Entry(ToyToxicitySettings, ToyToxicity),
}

FAMILIES: Mapping[str, Family] = {
    "lm_eval": Family(LmEvalSettings, LmEvalSuite),
    "lighteval": Family(LightevalSettings, LightevalSuite),
    "deepeval": Family(DeepEvalSettings, DeepEvalSuite),
}
"""By the prefix, before a colon, of the framework's tasks; deepeval's are the user's own criteria."""


@cache
def known_suites() -> Mapping[str, Entry]:
    """The table and what installed packages add to it; a package cannot replace one of ours."""
    added = {point.name: point.load() for point in entry_points(group="harness.suites")}
    return {**added, **SUITES}


def suite_settings() -> Mapping[str, type[BaseModel]]:
    """The schema of `[suites.NAME]` by name; `lm_eval:NAME` stands for every task of lm-eval, and so on."""
    families = {f"{prefix}:NAME": family.settings for prefix, family in FAMILIES.items()}
    return {name: entry.settings for name, entry in known_suites().items()} | families


def open_suite(
    name: str,
    settings: Mapping[str, Json],
    *,
    data_root: Path | None,
    resolve: Callable[[str], Path | None],
    judge: Callable[[str], Engine] = no_judge,
) -> Suite:
    """The suite of this name with these settings, which its schema has accepted before.

    `data_root` is the folder of official data, None for the hub; `resolve` gives the folder of a model or
    finished pipeline by its name, `judge` an engine to judge with by its model's. Raises UnknownName. Data
    are read when they are first needed, not here.
    """
    surroundings = Surroundings(data_root=data_root, resolve=resolve, judge=judge)
    prefix, _, task = name.partition(":")
    family = FAMILIES.get(prefix) if task else None
    if family is not None:
        return family.open(task, family.settings.model_validate(settings), surroundings)
    entry = known_suites().get(name)
    if entry is None:
        raise UnknownName("suite", name, suite_settings())
    return entry.open(entry.settings.model_validate(settings), surroundings)
