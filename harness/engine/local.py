"""The engine that runs a transformers model on this machine.

Requests are sorted by length, longest first, so that running out of memory shows at once; then the batch is
halved and the work goes on. Answers are handed out batch by batch, each with the index of its request.

It does not know suites, nor where answers are kept.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from harness.engine.decoding import GenerationRequest, Room
from harness.engine.generation import continue_prompts, request_seed
from harness.engine.hub import first_line
from harness.engine.identity import LocalIdentity, identify
from harness.engine.network import Network, is_out_of_memory, load, max_length
from harness.engine.scoring import score
from harness.engine.tokens import Tokens
from harness.errors import ModelError
from harness.records import Json, Likelihood, Local, Message, Model, Prompt, Response, Sampling

CPU_SCORED = 4_096
CUDA_SCORED = 65_536
"""Positions in one scoring pass, at most: enough to keep the device busy."""

CPU_ROWS = 64
MANY_ROWS = 256
"""Prompts continued at once, at most: on a CPU that is busy with fewer, and elsewhere."""

CPU_PROMPTS = 1_024
CUDA_PROMPTS = 16_384
"""Positions in one pass over prompts, at most."""

MEMORY_SHARE = 0.4
"""Of the free memory, for logits or for the key-value cache."""


class Request(Protocol):
    """What the batches are made of."""

    @property
    def index(self) -> int: ...

    @property
    def cost(self) -> int:
        """Positions it takes in a batch."""
        ...


R = TypeVar("R", bound=Request)
A = TypeVar("A")


@dataclass(slots=True)
class Budget:
    """How much goes into one batch: so many rows, and rows × the longest row's cost within `positions`."""

    positions: int
    rows: int

    def take(self, waiting: deque[R]) -> list[R]:
        """The next batch off a queue that is sorted longest first; at least one request."""
        rows = max(1, min(self.rows, self.positions // waiting[0].cost, len(waiting)))
        return [waiting.popleft() for _ in range(rows)]


class LocalEngine:
    """A local model that answers. Matches `harness.protocols.Engine`."""

    def __init__(self, network: Network, tokenizer: PreTrainedTokenizerBase, identity: LocalIdentity) -> None:
        self.name = network.name
        self._network = network
        self._identity = identity
        self._tokens = Tokens(tokenizer, max_length(network, tokenizer))
        memory = int(network.free_bytes() * MEMORY_SHARE)
        cpu = network.device.type == "cpu"
        logits = network.config.get_text_config().vocab_size * (4 + network.dtype.itemsize)
        scored = max(1, min(CPU_SCORED if cpu else CUDA_SCORED, memory // logits))
        self._scoring = Budget(positions=scored, rows=scored)
        self._generating = Room(
            rows=CPU_ROWS if cpu and not network.small else MANY_ROWS,
            positions=memory // network.cache_bytes(),
            prompts=CPU_PROMPTS if cpu else CUDA_PROMPTS,
        )
        self._description: dict[str, Json] = {
            "engine": "local",
            **network.describe(),
            "adapter": identity.adapter is not None,
            "max_length": self._tokens.max_length,
            "batch_positions": scored,
            "batch_rows": self._generating.rows,
        }

    @property
    def fingerprint(self) -> str:
        """The identity's: weights, tokenizer, chat template, adapter, dtype."""
        return self._identity.fingerprint

    @property
    def description(self) -> Mapping[str, Json]:
        """Device, dtype, parameters, window, attention, threads and batch sizes."""
        return self._description

    @property
    def can_score(self) -> bool:
        """Always."""
        return True

    @property
    def chat_template(self) -> str | None:
        """The template in effect."""
        return self._identity.chat_template

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as text. Raises ModelError where there is no template, or it refuses these turns."""
        if self.chat_template is None:
            raise ModelError(f"{self.name}: the model has no chat template, so it cannot be asked in turns")
        try:
            rendered = self._tokens.tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                chat_template=self.chat_template,
                tokenize=False,
                add_generation_prompt=open_turn,
                continue_final_message=not open_turn,
            )
        except (TemplateError, ValueError) as error:
            raise ModelError(
                f"{self.name}: its chat template cannot render these turns: {first_line(error)}; mend it, "
                "give the model another (`chat_template` in harness.toml), or ask without one (the suite's "
                "`chat_template = false`)"
            ) from error
        return cast(str, rendered)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, longest first.

        A prompt is cut from the left to leave room for `max_tokens`, as lm-eval does. Where the window has
        no such room at all, prompt and answer get half of it each.
        """
        texts = [self._text(prompt) for prompt in prompts]
        window = self._tokens.max_length
        limit = sampling.max_tokens if sampling.max_tokens < window else window // 2
        requests = [
            GenerationRequest(
                index=index,
                tokens=tokens,
                truncated=truncated,
                limit=limit,
                seed=request_seed(sampling, text, prompt.draw),
            )
            for index, (prompt, text, (tokens, truncated)) in enumerate(
                zip(prompts, texts, self._tokens.prompts(texts, window - limit), strict=True)
            )
        ]
        yield from continue_prompts(self._network, self._tokens, requests, sampling, self._generating)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Likelihood]]:
        """Score every (context, continuation) pair, longest first."""
        yield from self._in_batches(
            self._tokens.scoring_requests(pairs), self._scoring, lambda batch: score(self._network, batch)
        )

    def close(self) -> None:
        """Give the weights' memory back."""
        self._network.close()

    def _text(self, prompt: Prompt) -> str:
        if isinstance(prompt.content, str):
            return prompt.content
        return self.render(prompt.content, open_turn=prompt.content[-1].role != "assistant")

    def _in_batches(
        self, requests: Iterable[R], budget: Budget, answer: Callable[[Sequence[R]], Iterable[tuple[int, A]]]
    ) -> Iterator[tuple[int, A]]:
        waiting = deque(sorted(requests, key=lambda request: -request.cost))
        while waiting:
            batch = budget.take(waiting)
            left = {request.index: request for request in batch}
            try:
                for index, result in answer(batch):
                    del left[index]
                    yield index, result
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise self._network.out_of_memory() from error
            if left:  # out of memory: the error is gone from here on, and with it the tensors it held
                budget.rows = len(batch) // 2
                self._network.release()
                waiting.extendleft(reversed(left.values()))


def open_local(model: Model, source: Local, *, device: str | None) -> LocalEngine:
    """Identify and load a local model. Raises what `identify` and `load` raise."""
    identity = identify(model)
    network, tokenizer = load(source, identity, name=model.name, device=device)
    return LocalEngine(network, tokenizer, identity)
