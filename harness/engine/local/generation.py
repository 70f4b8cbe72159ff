"""Continuing prompts, token by token, until each answer is over; with less at once where memory runs out.

Greedy decoding equals transformers' `generate`, with the end tokens and repetition penalties of the
checkpoint's generation_config.json. The same request gets the same sample in any batch.
"""

import time
from collections.abc import Iterator, Sequence

from harness.engine.local.decoding import Decoding, GenerationBudget, GenerationRequest, GenerationRow
from harness.engine.local.network import Network, is_out_of_memory
from harness.engine.local.stopping import Stopping, StoppingAfterThought
from harness.engine.local.tokens import Tokens
from harness.engine.local.uncached_generation import UncachedGeneration
from harness.engine.steps import Steps
from harness.records.answers import Response, SamplingParameters
from harness.thoughts import Tags


def continue_prompts(
    network: Network,
    tokens: Tokens,
    requests: Sequence[GenerationRequest],
    sampling: SamplingParameters,
    budget: GenerationBudget,
    *,
    tags: Sequence[Tags] = (),
) -> Iterator[tuple[int, Response]]:
    """Answers as they are finished, each with its request's index.

    `tags` are those of a model that may think first. `sampling.max_tokens` and stop strings then count from
    where the answer begins, and its text includes its thought.

    Where memory runs out, `budget` is halved for good and what is unanswered starts again. Raises EngineError
    for NaN logits, and for a single request that does not fit.
    """
    left = {request.index: request for request in requests}
    stopping = _stopping(network, tokens, sampling, tags)
    while left:
        asked = len(left)
        try:
            for index, response in _continued(network, stopping, list(left.values()), sampling, budget):
                del left[index]
                yield index, response
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if min(budget.rows, asked) == 1:
                raise network.out_of_memory() from error
        if left:  # out of memory: the error is gone from here on, and with it the tensors it held
            budget.halve(asked)
            network.release()


def _stopping(
    network: Network, tokens: Tokens, sampling: SamplingParameters, tags: Sequence[Tags]
) -> Stopping:
    stated = network.generation_config.eos_token_id
    if not tags:
        return Stopping(tokens, sampling.stop, stated)
    return StoppingAfterThought(tokens, sampling.stop, stated, tags=tags, limit=sampling.max_tokens)


def _continued(
    network: Network,
    stopping: Stopping,
    requests: Sequence[GenerationRequest],
    sampling: SamplingParameters,
    budget: GenerationBudget,
) -> Iterator[tuple[int, Response]]:
    steps = Steps(sum(request.limit for request in requests))
    for alike in _apart(network, requests):
        yield from _decoded(_decoding(network, alike, sampling, budget), network, stopping, steps)


def _apart(network: Network, requests: Sequence[GenerationRequest]) -> list[list[GenerationRequest]]:
    """Requests in groups that may share a batch: one, unless some are too long to be mixed with others."""
    limit = network.uniform_length
    parts: dict[tuple[bool, bool], list[GenerationRequest]] = {}
    for request in requests:
        parts.setdefault((len(request.tokens) > limit, request.cost > limit), []).append(request)
    return list(parts.values())


def _decoding(
    network: Network,
    requests: Sequence[GenerationRequest],
    sampling: SamplingParameters,
    budget: GenerationBudget,
) -> Decoding | UncachedGeneration:
    """Decoding with a key-value cache, unless the model has none, or these requests would cross its limit."""
    first, limit = requests[0], network.uniform_length
    if not network.takes_cache or len(first.tokens) <= limit < first.cost:
        return UncachedGeneration(network, requests, sampling, budget)
    return Decoding(network, requests, sampling, budget)


def _decoded(
    decoding: Decoding | UncachedGeneration, network: Network, stopping: Stopping, steps: Steps
) -> Iterator[tuple[int, Response]]:
    while decoding.busy:
        with network.computing():
            decoding.step()
        gone = [
            at for at, row in enumerate(decoding.rows) if row.full or stopping.over(row.new, row.progress)
        ]
        steps.taken(len(decoding.rows), sum(decoding.rows[at].unused for at in gone))
        for at in gone:
            yield decoding.rows[at].request.index, _response(decoding.rows[at], stopping)
        with network.computing():
            decoding.leave(gone)


def _response(row: GenerationRow, stopping: Stopping) -> Response:
    text, ended = stopping.text(row.new, row.progress)
    return Response(
        text=text,
        stop_reason="end" if ended else "length",
        prompt_tokens=len(row.request.tokens),
        completion_tokens=len(row.new),
        seconds=time.perf_counter() - row.started,
        truncated=row.request.truncated,
    )
