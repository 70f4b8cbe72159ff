"""The engine that runs a local model with vLLM, which needs a GPU. The only file that imports vllm.

Written against the source of vllm 0.33.0 and tested against a stand-in for its two classes, `LLM` and
`SamplingParams`. **It has not been run on a GPU here**, so neither speed nor agreement is claimed.

Texts become tokens by the rules of `tokens`, as for the transformers backend, and vLLM is given tokens only,
so that a context ends where it ends there. Differences that remain: sampled answers are
drawn by vLLM's own generator, from the same seed per request; of generation_config.json, end tokens and the
repetition penalty count, and `no_repeat_ngram_size` and `suppress_tokens` do not; the window is two tokens
shorter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from transformers import AutoTokenizer
from vllm import LLM, SamplingParams, __version__

from harness.engine.hub import first_line
from harness.engine.identity import LocalIdentity, identify
from harness.engine.local.chat import ChatRenderer
from harness.engine.local.stopping import AnswerProgress, StoppingAfterThought
from harness.engine.local.tokens import ScoringRequest, Tokens
from harness.engine.rules import request_seed
from harness.errors import EngineError, ModelError, UsageError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Local, Model
from harness.thoughts import left_open, marks, tags_of, template_arguments

AT_ONCE = 512
"""Requests passed to vLLM together. It returns when all are done: more is faster, but answers come later."""
SEEDS = 2**63
"""vLLM takes seeds below this."""
ENDED = ("stop", "length")


class VllmEngine:
    """A local model run by vLLM. Matches `harness.protocols.Engine`."""

    can_score = True

    def __init__(self, name: str, llm: Any, tokens: Tokens, identity: LocalIdentity, model: Model) -> None:
        self.name = name
        self._chat = ChatRenderer(tokens.tokenizer, identity.chat_template, name, template_arguments(model))
        self._tags = tags_of(model) if identity.thinks else ()
        self._thinking_tokens = model.thinking_tokens or 0
        self._llm, self._tokens, self._identity = llm, tokens, identity
        self._penalty = llm.get_default_sampling_params().repetition_penalty

    @property
    def info(self) -> EngineInfo:
        """The engine's info, with vLLM's version, dtype and window. The fingerprint names the backend."""
        return self._identity.info(
            {
                "engine": "vllm",
                "version": str(__version__),
                "device": "cuda",
                "dtype": self._identity.dtype,
                "max_length": self._tokens.max_length,
                **self._identity.described,
            }
        )

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._chat.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, some hundreds at a time, in order. Prompts are cut as the local engine's.

        The text of a model that thinks includes its thought.
        """
        window = self._tokens.max_length
        limit = self._tokens.answer_limit(sampling.max_tokens + self._thinking_tokens)
        texts = [self._chat.text(prompt) for prompt in prompts]
        cut = self._tokens.prompts(texts, window - limit)
        asked = [
            self._decoding(sampling, limit, request_seed(sampling, text, prompt.draw) % SEEDS)
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        for index, output in self._outputs([tokens for tokens, _ in cut], asked):
            response = self._response(output, truncated=cut[index][1])
            yield index, self._whole(response, output, sampling, texts[index]) if self._tags else response

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """Score every (context, continuation) pair, some hundreds at a time, in order."""
        requests = self._tokens.scoring_requests(pairs)
        wholes = [[*request.tokens, request.continuation[-1]] for request in requests]
        # the one generated token is thrown away: vLLM generates at least one
        asked = [SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1, detokenize=False)]
        for index, output in self._outputs(wholes, asked * len(wholes)):
            yield index, self._log_likelihood(requests[index], output)

    def close(self) -> None:
        """Drop the model; vLLM frees the GPU when nothing refers to it any more."""
        self._llm = None

    def _outputs(self, prompts: Sequence[list[int]], asked: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """vLLM's output for each prompt of tokens, with its index."""
        if self._llm is None:
            raise EngineError(f"{self.name}: the engine is closed")
        for start in range(0, len(prompts), AT_ONCE):
            chunk = [{"prompt_token_ids": tokens} for tokens in prompts[start : start + AT_ONCE]]
            outputs = self._llm.generate(chunk, asked[start : start + AT_ONCE], use_tqdm=False)
            yield from enumerate(outputs, start)

    def _decoding(self, sampling: SamplingParameters, limit: int, seed: int) -> Any:
        how: dict[str, Any] = {"temperature": 0.0}
        if sampling.temperature > 0:
            how = {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "seed": seed,
            }
        stops = [] if self._tags else [stop for stop in sampling.stop if stop]  # they would end a thought
        return SamplingParams(max_tokens=limit, stop=stops, repetition_penalty=self._penalty, **how)

    def _response(self, output: Any, *, truncated: int) -> Response:
        answer = output.outputs[0]
        if answer.finish_reason not in ENDED:
            raise EngineError(f"{self.name}: vLLM broke an answer off ({answer.finish_reason})")
        return Response(
            text=answer.text,
            stop_reason="end" if answer.finish_reason == "stop" else "length",
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(answer.token_ids),
            truncated=truncated,
        )

    def _whole(self, response: Response, output: Any, sampling: SamplingParameters, prompt: str) -> Response:
        """The response with its thought, its special tags included, up to the end of its answer."""
        ids = list(output.outputs[0].token_ids)
        stopping = StoppingAfterThought(
            self._tokens, sampling.stop, None, tags=self._tags, limit=sampling.max_tokens
        )
        progress = AnswerProgress(opened=left_open(prompt, self._tags))
        over = next((at for at in range(1, len(ids)) if stopping.over(ids[:at], progress)), len(ids))
        text, stopped = stopping.text(ids[:over], progress)
        whole = replace(response, text=text, completion_tokens=len(ids))
        ended = stopped or (over == len(ids) and response.stop_reason == "end")
        return replace(whole, stop_reason="end" if ended else "length")

    def _log_likelihood(self, request: ScoringRequest, output: Any) -> LogLikelihood:
        """From vLLM's log-probabilities at each place of the prompt: of its token, and of the likeliest."""
        places = output.prompt_logprobs[-len(request.continuation) :]
        chosen = [place[token].logprob for token, place in zip(request.continuation, places, strict=True)]
        likeliest = [max(other.logprob for other in place.values()) for place in places]
        return request.log_likelihood(
            chosen, [own == best for own, best in zip(chosen, likeliest, strict=True)]
        )


def open_vllm(model: Model, source: Local, *, device: str | None) -> VllmEngine:
    """Identify and load a local model. Raises what `identify` raises, ModelError where vLLM cannot load it.

    Raises UsageError for an adapter, and for a device other than the GPU that vLLM takes by itself.
    """
    if source.adapter is not None:
        raise UsageError(
            f'model {model.name!r}: with `backend = "vllm"` an adapter must be merged into its base first'
        )
    if device not in (None, "cuda"):
        raise UsageError(
            f"model {model.name!r}: vLLM does not run on a chosen device ({device!r}); choose a GPU by "
            "CUDA_VISIBLE_DEVICES"
        )
    identity = identify(model)
    path, trusted = str(identity.path), source.trust_remote_code
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trusted)
        llm = LLM(model=path, dtype=identity.dtype, trust_remote_code=trusted, seed=0)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"{identity.path}: vLLM cannot load it: {first_line(error)}") from error
    # one place is for the token that must be generated, one because the last is scored and not only read
    window = int(llm.llm_engine.model_config.max_model_len) - 2
    visible = marks(tags_of(model)) if identity.thinks else ()
    return VllmEngine(model.name, llm, Tokens(tokenizer, window, visible=visible), identity, model)
