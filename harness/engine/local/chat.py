"""Turns as the text a model reads, by the chat template of a tokenizer.

A template that reads the clock gets the same date on every day (`FIXED_DATE`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, cast

from jinja2 import TemplateError

from harness.engine.hub import first_line
from harness.engine.identity import FIXED_DATE
from harness.errors import ModelError
from harness.records.answers import Message, Prompt
from harness.records.models import Json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BY_TEMPLATES = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a template can raise: Jinja's own errors, and those of Python's operators, calls and compiler.

A template is compiled to Python, so that a division by zero, a list plus a string, endless recursion
(RecursionError is a RuntimeError) or a hundred nested loops raise Python's errors.
"""


@dataclass(frozen=True, slots=True)
class ChatRenderer:
    """A tokenizer with the chat template in effect.

    Its methods raise ModelError where there is no template, or where it refuses the turns.
    """

    tokenizer: "PreTrainedTokenizerBase"
    template: str | None
    name: str
    """The model's name, for messages."""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    """The template's arguments besides the turns."""

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """See `Engine.render`."""
        return self._rendered(messages, opens=open_turn, goes_on=not open_turn)

    def closed(self, messages: Sequence[Message]) -> str:
        """A whole conversation, whose last turn the template closes."""
        return self._rendered(messages, opens=False, goes_on=False)

    def text(self, prompt: Prompt) -> str:
        """The text to be continued: a text as it is, or turns rendered."""
        if isinstance(prompt.content, str):
            return prompt.content
        return self.render(prompt.content, open_turn=prompt.content[-1].role != "assistant")

    def _rendered(self, messages: Sequence[Message], *, opens: bool, goes_on: bool) -> str:
        """`opens`: with the header of the assistant's next turn; `goes_on`: without the last turn's end."""
        if self.template is None:
            raise ModelError(f"{self.name}: the model has no chat template, so it cannot be asked in turns")
        try:
            rendered = self.tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=opens,
                continue_final_message=goes_on,
                strftime_now=FIXED_DATE.strftime,
                **cast("dict[str, Any]", self.arguments),
            )
        except BY_TEMPLATES as error:
            raise ModelError(
                f"{self.name}: its chat template cannot render these turns: {template_error(error)}; correct "
                "it, give the model another (`chat_template` in harness.toml), or do without one "
                "(`chat_template = false` in the suite or the stage)"
            ) from error
        return cast(str, rendered)


def template_error(error: Exception) -> str:
    """A template's error: its own message where it raised one itself, else with the kind of error."""
    message = first_line(error)
    if isinstance(error, TemplateError | ValueError):
        return message
    return f"{type(error).__name__}: {message}"


class _FixedClock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_FixedClock":
        return cls(FIXED_DATE.year, FIXED_DATE.month, FIXED_DATE.day, tzinfo=tz)


@contextmanager
def fixed_clock() -> Iterator[None]:
    """Within it, every chat template that transformers renders reads `FIXED_DATE`.

    It is for TRL's trainers, which render turns themselves and take no function for it.
    """
    # imported here because a plan renders turns without it
    from transformers.utils import chat_template_utils  # noqa: PLC0415

    templates: Any = chat_template_utils
    before = templates.datetime
    templates.datetime = _FixedClock
    try:
        yield
    finally:
        templates.datetime = before
