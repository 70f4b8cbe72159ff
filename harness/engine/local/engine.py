"""The engine that runs a transformers model on this machine.

Texts become tokens here, and go to the `scorer` or to `generation`. Answers are yielded as they come, each
with the index of its request.
"""

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from harness.engine.identity import LocalIdentity, identify
from harness.engine.local.chat import ChatRenderer
from harness.engine.local.decoding import GenerationBudget, GenerationRequest
from harness.engine.local.generation import continue_prompts
from harness.engine.local.loading import load
from harness.engine.local.network import Network, window_of
from harness.engine.local.scorer import LogLikelihoodScorer
from harness.engine.local.tokens import Tokens
from harness.engine.local.widening import NARROW
from harness.engine.rules import request_seed
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Json, Local, Model
from harness.thoughts import left_open, marks, tags_of, template_arguments

CPU_ROWS = 64
NARROW_CPU_ROWS = 128
MANY_ROWS = 256
"""Prompts continued at once, at most: on a CPU, which fewer keep busy in float32, and elsewhere."""

CPU_PROMPTS = 1_024
CUDA_PROMPTS = 16_384
"""Positions in one pass over prompts, at most."""

MEMORY_SHARE = 0.4
"""The share of the free memory, for logits or for the key-value cache."""


class LocalEngine:
    """A local model that answers. Matches `harness.protocols.Engine`."""

    can_score = True

    def __init__(
        self, network: Network, tokenizer: PreTrainedTokenizerBase, identity: LocalIdentity, model: Model
    ) -> None:
        self.name = network.name
        self._network = network
        self._identity = identity
        self._chat = ChatRenderer(tokenizer, identity.chat_template, self.name, template_arguments(model))
        self._tags = tags_of(model) if identity.thinks else ()
        self._thinking_tokens = model.thinking_tokens or 0
        self._tokens = Tokens(tokenizer, window_of(network.config, tokenizer), visible=marks(self._tags))
        memory = int(network.free_bytes() * MEMORY_SHARE)
        cpu = network.device.type == "cpu"
        self._scorer = LogLikelihoodScorer(network, memory)
        self._generating = GenerationBudget(
            rows=_rows(network),
            positions=memory // network.cache_bytes(),
            prompts=CPU_PROMPTS if cpu else CUDA_PROMPTS,
        )
        self._description: dict[str, Json] = {
            "engine": "local",
            **network.describe(),
            "adapter": identity.adapter is not None,
            **identity.described,
            "max_length": self._tokens.max_length,
            "batch_rows": self._generating.rows,
        }

    @property
    def info(self) -> EngineInfo:
        return self._identity.info({**self._description, **self._scorer.description})

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._chat.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, longest first. The text of a model that thinks includes its thought.

        A prompt is cut from the left to leave room for `max_tokens`, as lm-eval does. Where the window has
        no such room at all, prompt and answer get half of it each.
        """
        texts = [self._chat.text(prompt) for prompt in prompts]
        window = self._tokens.max_length
        limit = self._tokens.answer_limit(sampling.max_tokens + self._thinking_tokens)
        requests = [
            GenerationRequest(
                index=index,
                tokens=tokens,
                truncated=truncated,
                limit=limit,
                seed=request_seed(sampling, text, prompt.draw),
                opened=left_open(text, self._tags),
            )
            for index, (prompt, text, (tokens, truncated)) in enumerate(
                zip(prompts, texts, self._tokens.prompts(texts, window - limit), strict=True)
            )
        ]
        yield from continue_prompts(
            self._network, self._tokens, requests, sampling, self._generating, tags=self._tags
        )

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """Score every (context, continuation) pair; what the contexts share is computed once."""
        yield from self._scorer.log_likelihoods(self._tokens.scoring_requests(pairs), self._tokens.max_length)

    def close(self) -> None:
        self._network.close()


def _rows(network: Network) -> int:
    if network.device.type != "cpu" or network.small:
        return MANY_ROWS
    return NARROW_CPU_ROWS if network.dtype in NARROW else CPU_ROWS


def open_local(model: Model, source: Local, *, device: str | None) -> LocalEngine:
    """Identify and load a local model. Raises what `identify` and `load` raise."""
    identity = identify(model)
    network, tokenizer = load(source, identity, name=model.name, device=device)
    return LocalEngine(network, tokenizer, identity, model)
