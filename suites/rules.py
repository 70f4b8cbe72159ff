"""Scores answers of a user's own suite: the built-in rules, and a user's Python function.

A function is `module:function`, from a module that is installed or lies beside harness.toml, or the name
under which an installed package declares one in the entry point group `harness.rules`. It is called with the
answer's text and the row as the file has it, and returns a number from 0 to 1, True or False, or None for an
answer that cannot be scored.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal

from harness.errors import WorkFailed
from harness.records.answers import Score
from harness.records.models import Json
from harness.user_modules import RAISED, load_function, make_importable, module_file

GROUP = "harness.rules"
TEXTUAL = ("exact", "contains", "regex")
"""Rules that compare a generated answer with the row's target."""
CHOICE = "choice"
"""The rule that asks which of the row's choices is likeliest."""

Function = Callable[[str, Mapping[str, Any]], float | bool | None]


def known_rules() -> list[str]:
    """Every name that `rule` may have, besides a `module:function`."""
    return [*TEXTUAL, CHOICE, *(point.name for point in entry_points(group=GROUP))]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """Compares an answer with targets: one of them is enough. White space around an answer never counts."""

    name: str
    """One of `TEXTUAL`."""
    extract: re.Pattern[str] | None = None
    """Finds the part of the answer that counts: its first group, or all that it matches."""
    ignore_case: bool = False
    ignore_punctuation: bool = False
    """ASCII punctuation."""
    ignore_whitespace: bool = False
    """A run of white space is as good as one space."""

    kind: ClassVar[Literal["binary"]] = "binary"

    @property
    def metric(self) -> str:
        return self.name

    @property
    def identity(self) -> Mapping[str, Json]:
        """All that the verdict depends on besides answer and targets."""
        ignored = [what for what in ("case", "punctuation", "whitespace") if getattr(self, f"ignore_{what}")]
        return {
            "name": self.name,
            "extract": None if self.extract is None else self.extract.pattern,
            "ignored": ignored,
        }

    def holds(self, answer: str, targets: Sequence[str]) -> bool:
        """Whether the answer is right. One from which nothing can be extracted is wrong."""
        found = answer if self.extract is None else self._extracted(self.extract, answer)
        if found is None:
            return False
        if self.name == "regex":
            flags = re.IGNORECASE if self.ignore_case else 0
            return any(re.search(target, found, flags) for target in targets)
        plain, wanted = self._plain(found), [self._plain(target) for target in targets]
        if self.name == "exact":
            return plain in wanted
        return any(target and target in plain for target in wanted)

    @staticmethod
    def _extracted(pattern: re.Pattern[str], answer: str) -> str | None:
        match = pattern.search(answer)
        if match is None:
            return None
        return match[1] if pattern.groups else match[0]

    def _plain(self, text: str) -> str:
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(str.maketrans("", "", string.punctuation))
        if self.ignore_whitespace:
            text = " ".join(text.split())
        return text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRule:
    """A user's function, with the hash of the module it is written in."""

    name: str
    """The rule's name, as harness.toml has it."""
    metric: str
    """What its numbers are called."""
    function: Function
    module_hash: str

    kind: ClassVar[Literal["number"]] = "number"

    @property
    def identity(self) -> Mapping[str, Json]:
        """The name and the module's text; what the module imports is not looked into."""
        return {"name": self.name, "module": self.module_hash}

    def score(self, answer: str, row: Mapping[str, Any], where: str) -> Score:
        """The function's score. `where` names the row in messages.

        Raises WorkFailed for what the function raises, and for what is no number from 0 to 1.
        """
        try:
            value = self.function(answer, dict(row))
        except RAISED as error:
            raise WorkFailed(
                f"{where}: rule {self.name!r} raised {type(error).__name__}: {error}; the answers are kept: "
                "correct the rule and run the same command again"
            ) from error
        if value is None:
            return Score(metric=self.metric, value=None, reason="the rule gave no score")
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise WorkFailed(
                f"{where}: rule {self.name!r} gave {value!r}, where a number from 0 to 1, True, False or "
                "None was expected; the answers are kept: correct the rule and run the same command again"
            )
        return Score(metric=self.metric, value=float(value))


def function_rule(name: str, root: Path | None) -> FunctionRule:
    """The function of `module:function`, or of an installed package's rule of this name.

    `root` is the folder of the project, whose modules may be named. Raises UsageError where there is none.
    """
    declared = {point.name: point.value for point in entry_points(group=GROUP)}
    source = declared.get(name, name)
    module, _, attribute = source.partition(":")
    if root is not None:
        make_importable(root)
    file = module_file(module, root, f"rule {name!r}")
    own = root is not None and file.is_relative_to(root)  # a notebook's user may have changed it since
    return FunctionRule(
        name=name,
        metric=name if name in declared else attribute,
        function=load_function(source, f"rule {name!r}", anew=own),
        module_hash="sha256:" + sha256(file.read_bytes()).hexdigest(),
    )
