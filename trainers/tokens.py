"""From turns to token ids: what a model reads, and which part of it is learned.

A prompt is rendered and tokenised alone, exactly as in an evaluation, and the answer is what the template
adds to it once the last turn is there. So only the final answer can be in the loss, whether or not the
template marks what the assistant says, and no token spans the border between prompt and answer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenizers.processors import TemplateProcessing

from harness.engine.local.chat import ChatRenderer
from harness.engine.local.tokens import appended
from harness.errors import ModelError
from harness.records.answers import Message
from trainers.data import Demonstration, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label that PyTorch's loss ignores."""


def load_tokenizer(
    folder: str, chat_template: str | None, *, needs_template: bool
) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model's folder, with padding. Raises ModelError."""
    # imported here because it brings torch, and a plan counts tokens without it (`trainers.plain_tokenizer`)
    from transformers import AutoTokenizer  # noqa: PLC0415

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} has no tokenizer that can be loaded: {error!r}") from error
    _leave_ends_off(tokenizer)
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    elif isinstance(tokenizer.chat_template, dict):  # several named ones, of which trainers take one
        tokenizer.chat_template = tokenizer.chat_template.get("default")
    if tokenizer.chat_template is not None:  # evaluation drops a byte-order mark, too
        tokenizer.chat_template = tokenizer.chat_template.removeprefix("\ufeff")
    if needs_template and tokenizer.chat_template is None:
        raise ModelError(
            f"{folder} has no chat template to render turns with: give the model one in harness.toml "
            "(`chat_template`), or set `chat_template = false` in the stage to train on raw text"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {folder} has no end-of-sequence token, so answers could not end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _leave_ends_off(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Keep a tokenizer from appending anything to a text: trainers encode prompts that will be continued."""
    added = appended(tokenizer)
    if not added or not tokenizer.is_fast:
        return
    whole: list[int] = tokenizer("")["input_ids"]
    front = [(str(tokenizer.convert_ids_to_tokens(number)), number) for number in whole[: -len(added)]]
    begin = [token for token, _ in front]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*begin, "$A"], pair=[*begin, "$A", "$B"], special_tokens=front
    )
    tokenizer.init_kwargs.pop("add_eos_token", None)


def raw_text(prompt: Sequence[Turn]) -> str:
    """Turns as plain text, for stages whose `chat_template` is off."""
    return "\n\n".join(turn["content"] for turn in prompt)


def rendered(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Turn], answer: str) -> tuple[str, str]:
    """The text that a model is given, and the text it should then write, end of turn included.

    Raises ModelError where the template renders a prompt differently once it is answered.
    """
    opened = _render(tokenizer, prompt, open_turn=True)
    whole = _render(tokenizer, [*prompt, {"role": "assistant", "content": answer}], open_turn=False)
    if not whole.startswith(opened):
        raise ModelError(
            "the chat template renders an answered prompt differently from an open one, so that what is "
            f"learned would not be what is evaluated: {opened[-80:]!r} is no beginning of {whole[-160:]!r}"
        )
    return opened, whole[len(opened) :]


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Turn], *, chat: bool) -> list[int]:
    """What the model reads before it answers."""
    if chat:
        return _ids(tokenizer, _render(tokenizer, prompt, open_turn=True), special=False)
    return _ids(tokenizer, raw_text(prompt), special=True)


def answer_ids(
    tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Turn], answer: str, *, chat: bool
) -> list[int]:
    """What the model should write: the answer and the token that ends it, and nothing else."""
    text = rendered(tokenizer, prompt, answer)[1] if chat else answer
    ids = _ids(tokenizer, text, special=False)
    end = last_special(tokenizer, ids)
    if end is None:
        return [*ids, int(tokenizer.eos_token_id)]
    return ids[: end + 1]


def labelled(
    tokenizer: "PreTrainedTokenizerBase", example: Demonstration, *, chat: bool
) -> dict[str, list[int]]:
    """`input_ids` of prompt and answer, and `labels` that ignore the prompt."""
    prompt = prompt_ids(tokenizer, example.prompt, chat=chat)
    answer = answer_ids(tokenizer, example.prompt, example.answer, chat=chat)
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def judged_ids(
    tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Turn], answer: str, *, chat: bool
) -> list[int]:
    """What a reward model reads: the whole conversation, without further tokens, as in TRL's GRPO."""
    text = "".join(rendered(tokenizer, prompt, answer)) if chat else raw_text(prompt) + answer
    return _ids(tokenizer, text, special=False)


def end_tokens(tokenizer: "PreTrainedTokenizerBase", *, chat: bool) -> list[int]:
    """The tokens that end an answer: the tokenizer's own, and the template's end of turn."""
    ends = [int(tokenizer.eos_token_id)]
    if chat:
        end_of_turn = answer_ids(tokenizer, [{"role": "user", "content": "a"}], "b", chat=True)[-1]
        ends = list(dict.fromkeys([*ends, end_of_turn]))
    return ends


def last_special(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> int | None:
    """The place of an answer's end token: the last special one, where only white space follows it."""
    special = set(tokenizer.all_special_ids) | {
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    found = [place for place, number in enumerate(ids) if number in special]
    if not found or str(tokenizer.decode(list(ids[found[-1] + 1 :]))).strip():
        return None
    return found[-1]


def _render(tokenizer: "PreTrainedTokenizerBase", turns: Sequence[Turn], *, open_turn: bool) -> str:
    """Turns rendered by the template. Raises ModelError where it is broken or rejects them."""
    chat = ChatRenderer(tokenizer, tokenizer.chat_template, tokenizer.name_or_path)
    messages = [Message(role=turn["role"], content=turn["content"]) for turn in turns]  # type: ignore[arg-type]  # a tool's, too
    text = chat.render(messages) if open_turn else chat.closed(messages)
    if any(turn["role"] == "tool" and turn["content"].strip() not in text for turn in turns):
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path} leaves out the turns of tools, which these rows "
            "have; give the model another in harness.toml (`chat_template`), or leave the rows out"
        )
    return text


def _ids(tokenizer: "PreTrainedTokenizerBase", text: str, *, special: bool) -> list[int]:
    """Token ids. `special`: with what the tokenizer puts in front, but nothing at the end of the text."""
    ids: list[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
    added = appended(tokenizer) if special else []
    return ids[: -len(added)] if added else ids
