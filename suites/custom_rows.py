"""A user's own suite as it is written down: its section in harness.toml, and the rows of its file.

A row is a JSON object with `prompt` (text, or turns), `target` (what would be right: a text, a number, or a
list of them), for the rule `choice` also `choices`, perhaps `id`, and any other fields: tags, by which
results can be split, and which a user's function sees.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from harness.errors import DataError, nearest
from harness.files import json_lines
from harness.records.answers import Message, Sample
from harness.records.models import Json
from harness.turns import TURN, read_turn
from suites.row_suite import DataRow, checked, short_hash
from suites.rules import CHOICE, TEXTUAL, known_rules

Role = Literal["system", "user", "assistant"]
FIELDS = ("id", "prompt", "target", "choices")
"""The fields of a row; all others are tags."""


class CustomSettings(BaseModel):
    """The settings of `[suites.NAME]` with `prompts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: Path
    """The JSONL file of rows."""
    rule: str
    """`exact`, `contains`, `regex`, `choice`, an installed package's rule, or `module:function`."""
    limit: PositiveInt | None = None
    """Ask only the first rows. Runs over different rows are not comparable."""
    chat_template: bool | None = None
    """Whether the model's chat template is applied; None: where the model has one that can be applied."""
    splits: tuple[str, ...] = ()
    """Fields of the rows by which results are shown group by group."""
    max_tokens: PositiveInt = 256
    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    samples: PositiveInt = 1
    """Answers per prompt; each is scored."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these strings."""
    seed: NonNegativeInt = 0
    extract: re.Pattern[str] | None = None
    """What of an answer counts: the first group of this regular expression, or all that it matches."""
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_whitespace: bool = False

    @field_validator("rule")
    @classmethod
    def _known_rule(cls, rule: str) -> str:
        if ":" not in rule and rule not in (known := known_rules()):
            raise ValueError(f"there is no rule named {rule!r}{nearest(rule, [*known, 'module:function'])}")
        return rule

    @model_validator(mode="after")
    def _sensible(self) -> "CustomSettings":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples need a temperature above 0; at 0 they are one and the same")
        if self.rule not in TEXTUAL and (self.extract or self.ignore_case):
            raise ValueError(f"extract and ignore_case are for the rules {', '.join(TEXTUAL)}")
        if self.rule not in TEXTUAL[:2] and (self.ignore_punctuation or self.ignore_whitespace):
            raise ValueError("ignore_punctuation and ignore_whitespace are for the rules exact and contains")
        return self


def asked_turn(turn: object) -> Message:
    """A turn of a prompt. Raises ValueError for what is none, and for a tool's."""
    role, content = read_turn(turn)
    if role == "tool":
        raise ValueError("a tool's turn cannot be asked: it answers a call, and a prompt holds no calls")
    return Message(role=cast(Role, role), content=content)


class WrittenRow(DataRow):
    """The fields of a row that are not tags."""

    given_id: str | int | None = Field(default=None, alias="id")
    prompt: str | tuple[Message, ...]
    target: list[str] = Field(default_factory=list)
    choices: list[str] = Field(default_factory=list)

    @property
    def id(self) -> str:
        """The id as given, or a hash of the prompt and the target."""
        if self.given_id is not None:
            return str(self.given_id)
        prompt = self.prompt if isinstance(self.prompt, str) else [asdict(turn) for turn in self.prompt]
        content = json.dumps([prompt, self.target, self.choices], sort_keys=True)
        return short_hash(content)

    @field_validator("given_id", mode="before")
    @classmethod
    def _text_or_number(cls, given: object) -> object:
        if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
            raise ValueError("expected a text or a whole number")
        return given

    @field_validator("prompt", mode="before")
    @classmethod
    def _text_or_turns(cls, prompt: object) -> object:
        if isinstance(prompt, str) and prompt.strip():
            return prompt
        if not isinstance(prompt, list) or not prompt:
            raise ValueError(f"expected a text, or a list of turns such as {TURN}")
        return tuple(asked_turn(turn) for turn in prompt)

    @field_validator("target", mode="before")
    @classmethod
    def _texts(cls, target: object) -> list[str]:
        given = target if isinstance(target, list) else [] if target is None else [target]
        if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in given):
            raise ValueError("expected a text, a number, or a list of them")
        targets = [str(each) for each in given]
        if not all(each.strip() for each in targets):
            raise ValueError("a target must not be empty")
        return targets


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRow:
    """A row, checked for its suite's rule."""

    id: str
    where: str
    """Names it in messages: the file and the row's number."""
    prompt: str | tuple[Message, ...]
    targets: tuple[str, ...]
    choices: tuple[str, ...]
    tags: Mapping[str, Json]
    written: Mapping[str, Any]
    """The row as the file has it."""

    @property
    def content(self) -> Mapping[str, Any]:
        return self.written

    @property
    def sample(self) -> Sample:
        target = " | ".join(self.targets) or None
        return Sample(id=self.id, prompt=self.prompt, choices=self.choices, target=target, tags=self.tags)


def read_rows(given: CustomSettings) -> tuple[CustomRow, ...]:
    """The rows to ask, after `limit`.

    Raises DataError for a file that is missing or empty, for a row that is malformed, repeats another's id or
    lacks what the rule needs, and for a split by what no row has.
    """
    file = str(given.prompts)
    written = list(json_lines(given.prompts))
    found = checked(file, WrittenRow, written)
    rows = []
    for row, (number, raw) in zip(found, written, strict=True):
        problem = next(_problems(row, raw, given), None)
        if problem is not None:
            raise DataError(file, number, problem)
        rows.append(
            CustomRow(
                id=row.id,
                where=f"{file}, row {number}",
                prompt=row.prompt,
                targets=tuple(row.target),
                choices=tuple(row.choices),
                tags={name: value for name, value in raw.items() if name not in FIELDS},
                written=raw,
            )
        )
    _check_splits(given, rows)
    return tuple(rows[: given.limit])


def _problems(row: WrittenRow, raw: Mapping[str, Any], given: CustomSettings) -> Iterator[str]:
    """What is wrong with a row for its suite's rule and splits."""
    if given.rule in (*TEXTUAL, CHOICE) and not row.target:
        yield f"target: field required: the rule {given.rule!r} compares answers with it"
    if given.rule == "regex":
        yield from _broken_patterns(row.target)
    if given.rule == CHOICE:
        yield from _broken_choices(row)
    for split in given.splits:
        if isinstance(raw.get(split), list | dict):
            yield f"{split}: results are split by it, which needs one value and no list or object"


def _broken_patterns(targets: Sequence[str]) -> Iterator[str]:
    for target in targets:
        try:
            re.compile(target)
        except re.error as error:
            yield f"target: {target!r} is not a regular expression: {error}"


def _broken_choices(row: WrittenRow) -> Iterator[str]:
    if len(set(row.choices)) < max(2, len(row.choices)) or not all(row.choices):
        yield "choices: expected a list of two or more different texts"
    for target in row.target:
        if target not in row.choices:
            yield f"target: {target!r} is none of the choices"


def _check_splits(given: CustomSettings, rows: Sequence[CustomRow]) -> None:
    tags = {tag for row in rows for tag in row.tags}
    for split in given.splits:
        if split not in tags:
            raise DataError(
                str(given.prompts), 0, f"no row has a field {split!r} to split by{nearest(split, tags)}"
            )
