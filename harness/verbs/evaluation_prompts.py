"""Collects the prompts of suites, so that training data can be kept free of them.

`trainers` does not import `suites`: it is passed the prompts' texts from here. Suites are opened without a
judge or classifier, so that nothing is trained, downloaded or judged for it. A suite's `limit` is ignored,
since a later evaluation may ask more of its prompts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from harness.engine.hashing import file_hash
from harness.engine.null_engine import NullEngine
from harness.errors import UsageError
from harness.protocols import Suite
from harness.records.models import Json
from harness.registry import Registry
from suites.catalogue import known_suites, open_suite
from suites.prompt_texts import is_quick, prompt_texts
from trainers.contamination import PromptTexts

UNREAD = "could not be read"
"""What is known of the prompts of a suite whose data are not there."""


@dataclass(frozen=True)
class EvaluationPrompts:
    """The prompts of the suites that a mix is kept apart from, read when they are needed."""

    registry: Registry
    data_root: Path | None
    named: tuple[str, ...] | None
    """As the mix has them: None stands for every suite of the table and of the file, as far as it can be
    read; what a mix names itself must be readable."""

    @property
    def names(self) -> Sequence[str]:
        """The suites."""
        return (
            self.named
            if self.named is not None
            else [*dict.fromkeys([*known_suites(), *self.registry.suites])]
        )

    @cached_property
    def known(self) -> Mapping[str, str]:
        """What stands for each suite's prompts without reading them where that is slow.

        That is their hash; for a foreign framework's task or a package's suite, its settings and the files
        they name, so that a mix is made anew when these change. Raises as `asked` does.
        """
        return {name: self._quick.get(name) or self._described(name) for name in self.names}

    @cached_property
    def asked(self) -> PromptTexts:
        """All prompts. Raises UsageError where a suite that the mix names cannot be read."""
        found: dict[str, Sequence[str]] = {}
        unread: dict[str, str] = {}
        for name in self.names:
            try:
                found[name] = prompt_texts(self._open(name))
            except UsageError as error:
                if self.named is not None:
                    raise
                unread[name] = str(error)
        return PromptTexts(by_suite=found, unread=unread)

    @cached_property
    def _quick(self) -> Mapping[str, str]:
        """The hash of each suite's prompts that can be read at once."""
        hashes = {}
        for name in self.names:
            try:
                suite = self._open(name)
                if is_quick(suite):
                    hashes[name] = sha256("\0".join(prompt_texts(suite)).encode()).hexdigest()
            except UsageError:
                if self.named is not None:
                    raise
                hashes[name] = UNREAD
        return hashes

    def _described(self, name: str) -> str:
        settings = self._settings(name)
        data = settings.get("data")
        files = data.values() if isinstance(data, Mapping) else [data]
        contents = [file_hash(Path(str(file))) for file in files if file and Path(str(file)).is_file()]
        return json.dumps([settings, contents], sort_keys=True)

    def _settings(self, name: str) -> dict[str, Json]:
        settings = dict(self.registry.suites.get(name, {}))
        settings.pop("limit", None)
        return settings

    def _open(self, name: str) -> Suite:
        return open_suite(
            name,
            self._settings(name),
            data_root=self.data_root,
            resolve=lambda of: None,
            judge=lambda of: NullEngine(),
            root=self.registry.project.root,
            own=self.registry.suites.keys() - known_suites().keys(),
        )
