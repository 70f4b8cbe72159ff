"""The answer in an OpenAI-compatible server's JSON: a text, why it ended, and what it cost.

A reply that does not have the interface's form is Retryable, as one that broke off is: overloaded servers
send both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.engine.services.retrying import Retryable
from harness.records.answers import Response, SamplingParameters
from harness.thoughts import ENDED_WITHIN, OUT_OF_TOKENS, cut_at_stops, joined

Body = Mapping[str, Any]
REASONING = ("reasoning_content", "reasoning")
"""Fields of a separated thought: SGLang, DeepSeek and older vLLM; vLLM and OpenRouter."""
TEXTS = ("text", "output_text")
"""Kinds of parts whose text is the answer's."""
THINKING = "thinking"
"""A kind of part, and the key of the thought in it: Mistral's `ThinkChunk` has a list of parts there."""


def response_of(body: Body, sampling: SamplingParameters) -> Response:
    """The answer in the body of either interface, cut before the first stop string.

    A text that still holds a thought, since the server did not separate it, is not cut.
    """
    choice = _choice(body)
    message = choice.get("message", choice)  # plain completions have the text in the choice itself
    if not isinstance(message, dict):
        raise Retryable("an answer without a message")
    content = message.get("content" if message is not choice else "text")
    whole = _text(content)
    reason, refusal = choice.get("finish_reason"), message.get("refusal")
    if reason == "content_filter" or refusal:
        return _counted(body, "", "refused", str(refusal or "the server's content filter"))
    if reason in ("error", "abort"):
        raise Retryable(f"the server broke the answer off ({reason})")
    said = [*(message.get(name) for name in REASONING), _thought(content)]
    thought = next((each for each in said if isinstance(each, str) and each), None)
    if not (whole or "").strip() and _calls_tools(message):
        return replace(_counted(body, "", "refused", _why_no_text(message, reason)), thought=thought)
    if whole is None and thought:
        within = OUT_OF_TOKENS if reason == "length" else ENDED_WITHIN
        return replace(_counted(body, "", "thinking", within), thought=thought)
    if whole is None and reason == "length":  # all tokens went into thinking
        whole = ""
    if whole is None and not reason:
        raise Retryable("an answer without a text")
    if whole is None:
        return _counted(body, "", "refused", _why_no_text(message, reason))
    if whole == "" and reason == "length" and not thought:
        return _counted(body, "", "thinking", OUT_OF_TOKENS)
    text = cut_at_stops(whole, sampling.stop)
    ended = "end" if reason != "length" or text != whole else "length"
    return replace(_counted(body, text, ended), thought=thought)


def _text(content: object) -> str | None:
    """The text of a content, which may be a list of parts; None where there is none.

    Raises Retryable for what is neither.
    """
    if isinstance(content, list):
        said = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") in TEXTS]
        texts = [text for text in said if isinstance(text, str)]
        content = "".join(texts) if texts else None
    if content is not None and not isinstance(content, str):
        raise Retryable("an answer without a text")
    return content


def _thought(content: object) -> str | None:
    """What the parts of a content hold that are thoughts."""
    if not isinstance(content, list):
        return None
    parts = [
        part.get(THINKING) for part in content if isinstance(part, dict) and part.get("type") == THINKING
    ]
    return joined(_text(part) or "" for part in parts)


def _why_no_text(message: Mapping[str, Any], finish_reason: object) -> str:
    """Why there is no text. A retry would give the same, and be paid again."""
    if _calls_tools(message):
        return "the model called tools and wrote no text"
    return f"the server gave no text (finish_reason {finish_reason!r})"


def _calls_tools(message: Mapping[str, Any]) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call"))


def tokens_used(body: Body) -> int:
    """Tokens that the request cost, prompt and answer; 0 where the server does not say."""
    return _count(body, "prompt_tokens") + _count(body, "completion_tokens")


def _counted(body: Body, text: str, stop_reason: Any, reason: str | None = None) -> Response:
    return Response(
        text=text,
        stop_reason=stop_reason,
        reason=reason,
        prompt_tokens=_count(body, "prompt_tokens"),
        completion_tokens=_count(body, "completion_tokens"),
    )


def _choice(body: Body) -> Mapping[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        error = body.get("error")
        raise Retryable(f"an answer without choices{f': {error}' if error else ''}"[:300])
    return choices[0]


def _count(body: Body, name: str) -> int:
    usage = body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return max(0, count) if isinstance(count, int) else 0
