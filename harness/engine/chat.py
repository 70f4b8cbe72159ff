"""Turns as the text a model reads, by the chat template of a tokenizer.

It does not know where the template comes from, nor who reads the text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from harness.engine.hub import first_line
from harness.errors import ModelError
from harness.records import Json, Message, Prompt

NOTHING: Mapping[str, Json] = {}


def render(
    tokenizer: PreTrainedTokenizerBase,
    template: str | None,
    messages: Sequence[Message],
    *,
    name: str,
    open_turn: bool = True,
    arguments: Mapping[str, Json] = NOTHING,
) -> str:
    """See `Engine.render`. `arguments` are the template's, besides the turns.

    Raises ModelError where there is no template, or it refuses these turns.
    """
    return _rendered(
        tokenizer,
        template,
        messages,
        name=name,
        opens=open_turn,
        goes_on=not open_turn,
        arguments=arguments,
    )


def closed_turns(
    tokenizer: PreTrainedTokenizerBase, template: str | None, messages: Sequence[Message], *, name: str
) -> str:
    """A whole conversation, its last turn ended as the template ends one. Raises as `render` does."""
    return _rendered(tokenizer, template, messages, name=name, opens=False, goes_on=False)


def prompt_text(
    tokenizer: PreTrainedTokenizerBase,
    template: str | None,
    prompt: Prompt,
    *,
    name: str,
    arguments: Mapping[str, Json] = NOTHING,
) -> str:
    """What the model is to continue: a text as it is, or turns rendered. Raises as `render` does."""
    if isinstance(prompt.content, str):
        return prompt.content
    open_turn = prompt.content[-1].role != "assistant"
    return render(tokenizer, template, prompt.content, name=name, open_turn=open_turn, arguments=arguments)


def _rendered(
    tokenizer: PreTrainedTokenizerBase,
    template: str | None,
    messages: Sequence[Message],
    *,
    name: str,
    opens: bool,
    goes_on: bool,
    arguments: Mapping[str, Json] = NOTHING,
) -> str:
    """`opens`: with the header of the assistant's next turn; `goes_on`: without the last turn's end."""
    if template is None:
        raise ModelError(f"{name}: the model has no chat template, so it cannot be asked in turns")
    try:
        rendered = tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in messages],
            chat_template=template,
            tokenize=False,
            add_generation_prompt=opens,
            continue_final_message=goes_on,
            **cast("dict[str, Any]", arguments),
        )
    except (TemplateError, ValueError) as error:
        raise ModelError(
            f"{name}: its chat template cannot render these turns: {first_line(error)}; mend it, "
            "give the model another (`chat_template` in harness.toml), or ask without one (the suite's "
            "`chat_template = false`)"
        ) from error
    return cast(str, rendered)
