"""Converts a lighteval document into requests to an engine, and the answers into lighteval's response.

Context and choice are put into tokens together, by the engine's rules, which are lm-eval's. lighteval's own
model class encodes them separately; the two differ where a tokenizer joins letters across that boundary.
"""

from collections.abc import Sequence
from typing import Any

from lighteval.models.model_output import ModelResponse
from lighteval.tasks.prompt_manager import PromptManager
from lighteval.tasks.requests import Doc, SamplingMethod

from harness.adaptors.engine_requests import Answer, Request, renderer
from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Prompt, Response, SamplingParameters


class EngineTemplate:
    """The engine's chat template where lighteval expects a tokenizer."""

    def __init__(self, engine: Engine) -> None:
        self._render = renderer(engine)

    def apply_chat_template(
        self, messages: list[dict[str, Any]], tokenize: bool = False, add_generation_prompt: bool = True
    ) -> str:
        return self._render(messages, add_generation_prompt)


def prompts(engine: Engine, *, chat_template: bool) -> PromptManager:
    """Puts few-shot examples, a question and perhaps a chat template together, as lighteval does."""
    return PromptManager(use_chat_template=chat_template, tokenizer=EngineTemplate(engine))


def requests_of(
    method: SamplingMethod, doc: Doc, context: str, sampling: SamplingParameters
) -> tuple[Request, ...]:
    """What is asked about a document: every choice, the whole text, or as many texts as it wants samples."""
    if method is SamplingMethod.LOGPROBS:
        return tuple((context, choice) for choice in doc.choices)
    if method is SamplingMethod.PERPLEXITY:
        return (("", context),)
    return tuple((Prompt(content=context, draw=draw), sampling) for draw in range(doc.num_samples))


def response_of(context: str, answers: Sequence[Answer]) -> ModelResponse:
    """The answers to the requests of one document and method. Of tokens, only their number is real."""
    log_likelihoods = [answer for answer in answers if isinstance(answer, LogLikelihood)]
    return ModelResponse(
        input=context,
        text=[answer.text for answer in answers if isinstance(answer, Response)],
        logprobs=[log_likelihood.logprob for log_likelihood in log_likelihoods],
        argmax_logits_eq_gold=[log_likelihood.greedy for log_likelihood in log_likelihoods],
        output_tokens=[[0] * log_likelihood.tokens for log_likelihood in log_likelihoods],
        truncated_tokens_count=sum(answer.truncated for answer in answers),
    )
