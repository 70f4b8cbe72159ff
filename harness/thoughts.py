"""Decides which part of a model's text is its answer, and which part it thought before.

A thought stands between tags at the beginning of a text (several in a row count), or in gpt-oss' channels, of
which only `final` is the answer. A chat template can open the thought in the prompt; the text then holds the
closing tag alone. Tags anywhere else are part of the answer: a model may explain them.

The tags are those of chat templates and of the parsers of vLLM 0.23 and llama.cpp; a model's section can name
others (`thinking_tags`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.records.answers import Response
from harness.records.models import Json, Model


class Tags(NamedTuple):
    """What a thought stands between."""

    opening: str
    closing: str


KNOWN = (
    Tags("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, Phi-4-reasoning, SmolLM3, Nemotron, …
    Tags("[THINK]", "[/THINK]"),  # Magistral
    Tags("<seed:think>", "</seed:think>"),  # Seed-OSS
    Tags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    Tags("<|channel>thought", "<channel|>"),  # Gemma 4
    Tags("<thought>", "</thought>"),  # EXAONE Deep, and Gemini where it is asked to show its thoughts
    Tags("<mm:think>", "</mm:think>"),  # MiniMax M3
    Tags("◁think▷", "◁/think▷"),  # Kimi-VL
)

SWITCHES = ("enable_thinking", "thinking")
"""What chat templates call the argument that turns thinking on or off."""

CHANNEL, MESSAGE, START, END = "<|channel|>", "<|message|>", "<|start|>", "<|end|>"
"""gpt-oss' marks (https://github.com/openai/harmony)."""
ANSWERING = f"{START}assistant"
"""What gpt-oss' template ends with: a channel is to follow."""
FINAL = f"{CHANNEL}final{MESSAGE}"
_IN_CHANNELS = re.compile(r"\s*(?:<\|start\|>assistant[^<]*)?<\|channel\|>")
_OPEN_CHANNEL = re.compile(r"<\|channel\|>[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>\Z")
_MESSAGES = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)

_QUOTED = re.compile(r"(?:[`\"'(\[{“«„]|[^\s.!?…:;)\"]\s+)\Z")

OUT_OF_TOKENS = "its tokens ran out before its thought ended (`thinking_tokens` gives it more)"
ENDED_WITHIN = "it ended within its thought"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtAndAnswer:
    """A model's text, split in two."""

    answer: str
    thought: str | None
    """None: there is none, or an empty one."""
    ended: bool = True
    """Whether the thought is over; where it is not, there is no answer."""


def split_thought(
    text: str, *, opened: str | None = None, tags: Sequence[Tags] = KNOWN, thinks: bool = False
) -> ThoughtAndAnswer:
    """A text's thought and its answer, which without a thought is the text as it is.

    `opened` is what the prompt left open before it, as `left_open` says: empty where that is nothing. None:
    nobody here knows the prompt, as with a server's template. A closing tag that no opening one stands before
    is then taken to end a thought, but where a text only speaks of it; `thinks`: the model's texts do not.
    """
    whole = (opened or "") + text
    if _IN_CHANNELS.match(whole):
        return _by_channel(whole)
    rest = _with_opening(whole, tags, thinks=thinks) if opened is None else whole
    thoughts = []
    while (tag := _beginning(rest, tags)) is not None:
        thought, closing, rest = rest.lstrip()[len(tag.opening) :].partition(tag.closing)
        thoughts.append(thought)
        if not closing:
            return ThoughtAndAnswer(answer="", thought=joined(thoughts), ended=False)
    if not thoughts:
        return ThoughtAndAnswer(answer=text, thought=None)
    return ThoughtAndAnswer(answer=rest.lstrip(), thought=joined(thoughts))


def separate_thought(
    response: Response,
    *,
    opened: str | None = None,
    tags: Sequence[Tags] = KNOWN,
    stop: Sequence[str] = (),
    thinks: bool = False,
) -> Response:
    """The response with its thought beside its answer, which ends before the first stop string.

    A thought that a service set apart itself stays. `thinks`: the model is known to think; where nobody knows
    the prompt, a cut text without any tag is then a thought.
    """
    if response.unanswered is not None:
        return response
    opened_here = opened if response.thought is None else ""
    parted = split_thought(response.text, opened=opened_here, tags=tags, thinks=thinks)
    thought = joined([response.thought or "", parted.thought or ""])
    cut = response.stop_reason == "length"
    if cut and thinks and opened is None and thought is None:
        parted, thought = ThoughtAndAnswer(answer="", thought=None, ended=False), joined([parted.answer])
    if not parted.ended or (cut and thought is not None and not parted.answer.strip()):
        reason = OUT_OF_TOKENS if cut else ENDED_WITHIN
        return replace(response, text="", thought=thought, stop_reason="thinking", reason=reason)
    text = before_stops(parted.answer, stop)
    ended = "end" if text != parted.answer else response.stop_reason
    return replace(response, text=text, thought=thought, stop_reason=ended)


def cut_within(response: Response, *, opened: str | None = None, tags: Sequence[Tags] = KNOWN) -> bool:
    """Whether something other than the limit ended a response before it came to its answer."""
    if response.stop_reason != "end":
        return response.reason == ENDED_WITHIN
    parted = split_thought(response.text, opened=opened if response.thought is None else "", tags=tags)
    thought = response.thought or parted.thought
    return not parted.ended or (thought is not None and not parted.answer.strip())


def begins_within(text: str, tags: Sequence[Tags] = KNOWN) -> bool:
    """Whether a text begins within a thought that its prompt opened, as a closing tag alone shows."""
    return _with_opening(text, tags) != text


def before_stops(text: str, stop: Sequence[str]) -> str:
    """A text up to the first of the strings that end it."""
    for each in filter(None, stop):
        text = text.split(each, 1)[0]
    return text


def cut_at_stops(text: str, stop: Sequence[str]) -> str:
    """The same where the text is an answer alone; one that holds a thought stays whole, to be set apart."""
    return before_stops(text, stop) if split_thought(text).answer == text else text


def left_open(context: str, tags: Sequence[Tags] = KNOWN) -> str:
    """The opening of the thought, or the channel, that a prompt ends within; empty where there is none."""
    said = context.rstrip()
    for tag in tags:
        if said.endswith(tag.opening):
            return tag.opening
    channel = _OPEN_CHANNEL.search(said)
    return channel[0] if tags and channel else ""


def closed(context: str, tags: Sequence[Tags] = KNOWN) -> str:
    """A prompt after which an answer can stand: a thought that it opens is closed, empty."""
    said, opened = context.rstrip(), left_open(context, tags)
    if said.endswith(ANSWERING):
        return said + FINAL
    if opened.startswith(CHANNEL):
        return context if opened == FINAL else f"{said}{END}{ANSWERING}{FINAL}"
    closing = next((tag.closing for tag in tags if tag.opening == opened), None)
    return context if closing is None else f"{said}\n\n{closing}\n\n"


def may_become_thought(beginning: str, tags: Sequence[Tags] = KNOWN) -> bool:
    """Whether a text that begins so can still turn out to begin with a thought."""
    said = beginning.lstrip()
    return any(tag.opening.startswith(said) for tag in tags) or f"{ANSWERING}{CHANNEL}".startswith(said)


def marks(tags: Sequence[Tags] = KNOWN) -> frozenset[str]:
    """Everything that must stay visible in a text for its thoughts to be found."""
    return frozenset({each for tag in tags for each in tag} | {CHANNEL, MESSAGE, START, END} if tags else ())


def named_in(texts: Iterable[str], tags: Sequence[Tags] = KNOWN) -> bool:
    """Whether any of these texts (a chat template, a tokenizer's tokens) speaks of thoughts."""
    named = {each for tag in tags for each in tag} | {CHANNEL}
    return any(each in text for text in texts for each in named)


def tags_of(model: Model) -> tuple[Tags, ...]:
    """The tags of a model's thoughts: those that its section names, and the known ones."""
    return KNOWN if model.thinking_tags is None else (Tags(*model.thinking_tags), *KNOWN)


def template_arguments(model: Model) -> dict[str, Json]:
    """What a model's chat template is given besides turns: its section's arguments, and the switch."""
    switch = {} if model.thinking is None else dict.fromkeys(SWITCHES, model.thinking)
    return {**switch, **model.template_arguments}


def joined(thoughts: Iterable[str]) -> str | None:
    """Thoughts as one; None where there is nothing in them."""
    return "\n\n".join(filter(None, (thought.strip() for thought in thoughts))) or None


def _beginning(text: str, tags: Sequence[Tags]) -> Tags | None:
    begun = text.lstrip()
    return next((tag for tag in tags if begun.startswith(tag.opening)), None)


def _with_opening(text: str, tags: Sequence[Tags], *, thinks: bool = False) -> str:
    """The text, with the opening tag before it where it holds a closing one alone that ends a thought."""
    for tag in tags:
        before, closing, after = text.partition(tag.closing)
        if closing and tag.opening not in before and (thinks or not _speaks_of_it(before, after)):
            return tag.opening + text
    return text


def _speaks_of_it(before: str, after: str) -> bool:
    """Whether a tag stands within a line, in the middle of a sentence or behind a quotation mark."""
    begins_line = not before.rpartition("\n")[2].strip()
    ends_line = not after.partition("\n")[0].strip()
    return _QUOTED.search(before) is not None and not begins_line and not ends_line


def _by_channel(text: str) -> ThoughtAndAnswer:
    messages = [(found[1], found[2]) for found in _MESSAGES.finditer(text)]
    answers = [content for channel, content in messages if channel == "final"]
    thoughts = [content for channel, content in messages if channel != "final"]
    return ThoughtAndAnswer(answer="\n\n".join(answers), thought=joined(thoughts), ended=bool(answers))
