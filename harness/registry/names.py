"""Whether names can be used, and whether what refers to a name finds what it needs."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from harness.errors import UnknownName
from harness.records.models import Local, Mix, Model, Pipeline
from harness.registry.mistakes import Mistakes, under

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
STAGES_FOLDER = "stages"
FOLDERS = (STAGES_FOLDER, "bases", "mixes")
"""Beside the candidates, in the output folder: no pipeline may have one of these names."""


class Reference(NamedTuple):
    """A place in the file where a pipeline speaks of something else by its name."""

    key: str
    pipeline: str
    role: Literal["base", "reward", "judge"]
    """`judge`: of a suite by which a stage selects."""
    name: str


class Names:
    """The names a file defines: those of broken sections too, so that one mistake is not reported twice.

    `models`, `pipelines` and `mixes` hold None for a section that could not be read.
    """

    def __init__(
        self,
        models: Mapping[str, Model | None],
        pipelines: Mapping[str, Pipeline | None],
        mistakes: Mistakes,
        mixes: Mapping[str, Mix | None],
    ) -> None:
        self._models, self._pipelines, self._mistakes = models, pipelines, mistakes
        self._mixes = mixes
        self._known = [*models, *pipelines]

    def check_definitions(self) -> None:
        """Note names that cannot be used on a command line or as a folder, and names used twice."""
        defined = {"models": self._models, "pipelines": self._pipelines, "data": self._mixes}
        for section, names in defined.items():
            for name in names:
                if not _NAME.fullmatch(name):
                    self._mistakes.add(
                        under(section, name),
                        "a name is made of letters (a to z), digits, '-', '_' and '.', "
                        "and begins with a letter, a digit or '_'",
                    )
        for name in self._pipelines:
            if name in self._models:
                self._mistakes.add(under("pipelines", name), "a model has this name too; rename one of them")
            if name in FOLDERS:
                self._mistakes.add(
                    under("pipelines", name), f"the {name}' folder has this name; choose another"
                )

    def check_candidate(self, key: str, name: str) -> None:
        """Note it if nothing has this name."""
        if name not in self._known:
            self._mistakes.add(key, str(UnknownName("model or pipeline", name, self._known)))

    def check_references(self, references: Sequence[Reference]) -> None:
        """Note every reference that finds nothing, or not what it needs, and every cycle."""
        for reference in references:
            if reference.role == "judge":
                continue  # checked with its suite
            if reference.role == "base":
                self.check_candidate(reference.key, reference.name)
            else:
                self._check_reward(reference)
            self._check_trainable(reference)
        self._check_cycles(references)

    def _check_reward(self, reference: Reference) -> None:
        """A reward is a pipeline that ends in a reward stage, a model, or a function."""
        name = reference.name
        if not _FUNCTION.fullmatch(name):
            self.check_candidate(reference.key, name)
        pipeline = self._pipelines.get(name)
        if pipeline and pipeline.stages[-1].kind != "reward":
            self._mistakes.add(
                reference.key,
                f"pipeline {name!r} ends in the stage {pipeline.stages[-1].kind!r}, not in 'reward'",
            )

    def _check_trainable(self, reference: Reference) -> None:
        model = self._models.get(reference.name)
        if model and not isinstance(model.source, Local):
            self._mistakes.add(
                reference.key, f"model {model.name!r} has no 'path', and training needs a folder or hub id"
            )

    def _check_cycles(self, references: Sequence[Reference]) -> None:
        outgoing: dict[str, list[Reference]] = {name: [] for name in self._pipelines}
        for reference in references:
            if reference.name in outgoing:
                outgoing[reference.pipeline].append(reference)
        finished: set[str] = set()

        def follow(path: list[str]) -> None:
            for reference in outgoing[path[-1]]:
                if reference.name in path:
                    circle = [*path[path.index(reference.name) :], reference.name]
                    self._mistakes.add(reference.key, f"pipelines form a cycle: {' → '.join(circle)}")
                elif reference.name not in finished:
                    follow([*path, reference.name])
            finished.add(path[-1])

        for name in outgoing:
            if name not in finished:
                follow([name])
