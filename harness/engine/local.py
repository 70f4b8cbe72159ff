"""The engine that runs a transformers model on this machine.

Requests are sorted by length, longest first, so that running out of memory shows at once; then the batch is
halved and the work goes on. Answers are handed out batch by batch, each with the index of its request.

It does not know suites, nor where answers are kept.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from transformers import PreTrainedTokenizerBase

from harness.engine.chat import prompt_text, render
from harness.engine.generation import GenerationRequest, continue_batch
from harness.engine.identity import LocalIdentity, identify
from harness.engine.network import Network, is_out_of_memory, load, max_length
from harness.engine.padded import score_batch
from harness.engine.rules import request_seed
from harness.engine.scoring import PassBudget, score_tree, takes_trees
from harness.engine.tokens import Tokens
from harness.records import Json, Likelihood, Local, Message, Model, Prompt, Response, Sampling

CPU_PASS = 256
CUDA_PASS = 4_096
"""Tokens in one scoring pass, at most: enough to keep the device busy. More would mostly mask each other."""

CPU_PADDED = 4_096
CUDA_PADDED = 65_536
"""Positions in one padded batch, at most, for models that take no trees."""

CPU_ROWS = 64
MANY_ROWS = 256
"""Prompts continued at once, at most: on a CPU that is busy with fewer, and elsewhere."""

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


logger = logging.getLogger(__name__)

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
        tokens = max(1, min(CPU_PASS if cpu else CUDA_PASS, memory // network.pass_bytes()))
        scored = max(1, min(tokens, memory // network.logits_bytes()))
        self._passes = PassBudget(tokens=tokens, scored=scored)
        padded = max(1, min(CPU_PADDED if cpu else CUDA_PADDED, memory // network.logits_bytes()))
        self._padded = Budget(positions=padded, rows=padded)
        self._deepest = 0
        """Up to how many tokens deep a tree is known to give right numbers."""
        self._told = False
        self._generating = Budget(
            positions=max(1, memory // network.cache_bytes()),
            rows=CPU_ROWS if cpu and not network.small else MANY_ROWS,
        )
        self._description: dict[str, Json] = {
            "engine": "local",
            **network.describe(),
            "adapter": identity.adapter is not None,
            "max_length": self._tokens.max_length,
            "pass_tokens": tokens,
            "pass_scored": scored,
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
        return render(
            self._tokens.tokenizer, self.chat_template, messages, name=self.name, open_turn=open_turn
        )

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, longest first.

        A prompt is cut from the left to leave room for `max_tokens`, as lm-eval does. Where the window has
        no such room at all, prompt and answer get half of it each.
        """
        tokenizer, template = self._tokens.tokenizer, self.chat_template
        texts = [prompt_text(tokenizer, template, prompt, name=self.name) for prompt in prompts]
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
        yield from self._in_batches(
            requests,
            self._generating,
            lambda batch: continue_batch(self._network, self._tokens, batch, sampling),
        )

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Likelihood]]:
        """Score every (context, continuation) pair; what the contexts share is computed once."""
        requests = self._tokens.scoring_requests(pairs)
        if self._takes_trees(max((request.cost for request in requests), default=0)):
            yield from score_tree(self._network, requests, self._passes)
        else:
            yield from self._in_batches(
                requests, self._padded, lambda batch: score_batch(self._network, batch)
            )

    def close(self) -> None:
        """Give the weights' memory back."""
        self._network.close()

    def _takes_trees(self, depth: int) -> bool:
        """Whether requests this deep can share prefixes. Says once why it takes longer where they cannot."""
        if self._told or depth <= self._deepest:
            return not self._told
        deeper = min(self._tokens.max_length, depth + depth // 4)  # not again for each longer request
        if takes_trees(self._network, deeper):
            self._deepest = deeper
            return True
        self._told = True
        logger.warning(
            "%s: its attention takes no tree-shaped mask, so shared prefixes are computed again for every "
            "request; the numbers are the same, and come more slowly",
            self.name,
        )
        return False

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
