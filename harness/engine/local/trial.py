"""A trial of whether a model gives requests with shared prefixes the same numbers as requests alone.

Not every model does: one that carries a state from token to token, or that counts distances by place instead
of by position, sees its neighbours in the pass. So a tree of made-up requests, as deep as the real ones, is
compared with one of them alone.

In 16 bits that comparison alone would prove little: rounding moves a log-probability as far as many faults
do. What matters is the structure of the computation, which the number format does not change. So the trial
computes in float32, on the model's own weights, where rounding is thousands of times smaller than such a
fault. Whether the masks are respected in the model's own format shows in a second, shallow tree, whose
log-probabilities must be as close to those in float32 as those of a request alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, pstdev

import torch

from harness.engine.hub import first_line
from harness.engine.local.network import Network, is_device_failure, is_out_of_memory
from harness.engine.local.tokens import ScoringRequest
from harness.engine.local.tree_scoring import PassBudget, score_tree
from harness.errors import EngineError

BRANCH = 8
"""Tokens of a made-up tree's branches."""

ROUNDING = 2e-4
"""How far apart log-probabilities of the two computations may be in float32, relative to their spread."""

LEAST = 1e-5
"""How far apart they may be in any case, in nats: float32 resolves little more."""

SHALLOW = 32
"""Tokens of the tree in the model's own format, and of its passes."""

NOISIER = 4.0
"""How many times as far from float32 a tree may be in the model's own format as a request alone."""

FOREIGN = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What models' code raises for masks, caches or formats it was not written for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """The result of a trial."""

    fault: str | None
    """Why prefixes cannot be shared; None where they can."""
    lasting: bool = True
    """Whether another trial would give the same: not where memory was short."""


def try_tree(network: Network, depth: int, budget: PassBudget) -> TrialResult:
    """Whether requests of `depth` tokens get the same numbers from passes of this size as alone.

    Raises EngineError where memory does not suffice for one request alone, or its logits are not finite.
    """
    obvious = _obvious_fault(network, depth)
    if obvious is not None:
        return TrialResult(fault=obvious)
    try:
        if network.dtype == torch.float32:
            return _structure(network, _made_up(network, depth), budget)
        return _in_narrow_format(network, depth, budget)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise network.out_of_memory() from error
        raise


def _obvious_fault(network: Network, depth: int) -> str | None:
    """A fault that needs no trial."""
    if not network.takes_cache:
        return "its layers keep a state of their own, which requests cannot share"
    if depth < 2 * BRANCH:
        return f"requests of at most {depth} tokens are too short to try it out"
    if depth > network.uniform_length:
        return f"passes of more than {network.uniform_length:.0f} tokens turn all their positions otherwise"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeUp:
    """A stem and a branch of tokens drawn from the whole vocabulary; the branch stands last in the tree."""

    stem: list[int]
    branch: list[int]
    """One token more than are scored."""


def _made_up(network: Network, depth: int) -> _MadeUp:
    drawn = Random(depth)
    vocabulary = network.config.get_text_config().vocab_size
    stem, branch = (
        [drawn.randrange(vocabulary) for _ in range(size)] for size in (depth - BRANCH, BRANCH + 1)
    )
    return _MadeUp(stem=stem, branch=[vocabulary - 1, *branch[1:]])


def _in_narrow_format(network: Network, depth: int, budget: PassBudget) -> TrialResult:
    """The structure in float32, and whether the masks are respected in 16 bits too."""
    shallow = _made_up(network, min(depth, SHALLOW))
    alone = _alone(network, shallow)  # first: numbers that exceed the format are its fault
    try:
        with network.in_float32() as wide:
            structure = _structure(wide, _made_up(network, depth), budget)
            expected = _alone(wide, shallow)
    except (*FOREIGN, MemoryError) as error:
        if is_device_failure(error):
            raise
        lasting = not is_out_of_memory(error)
        return TrialResult(fault=f"it could not be tried out in float32 ({_said(error)})", lasting=lasting)
    if structure.fault is not None:
        return structure
    allowed = NOISIER * max(_apart(alone, expected), LEAST)
    return _compared(network, shallow, PassBudget(tokens=SHALLOW, scored=SHALLOW), expected, allowed)


def _structure(network: Network, made_up: _MadeUp, budget: PassBudget) -> TrialResult:
    """The result in float32."""
    expected = _alone(network, made_up)
    return _compared(network, made_up, budget, expected, max(ROUNDING * pstdev(expected), LEAST))


def _compared(
    network: Network, made_up: _MadeUp, budget: PassBudget, expected: Sequence[float], allowed: float
) -> TrialResult:
    """The result of comparing the branch's log-probabilities in a tree with the expected ones.

    Other branches fill a whole pass before it. So a model that counts by place in the pass, or that sees the
    others or less than all of the stem, gives it other numbers.
    """
    requests = _requests(made_up) + _others(network, made_up.stem, budget.tokens)
    try:
        found = dict(score_tree(network, requests, replace(budget)))
    except EngineError as error:  # out of memory, or numbers that are none
        return TrialResult(fault=f"a made-up tree could not be computed ({error})", lasting=False)
    except FOREIGN as error:
        if is_device_failure(error):
            raise
        return TrialResult(fault=f"its code refuses a tree's masks, positions or cache ({_said(error)})")
    apart = _apart([found[at].logprob for at in range(BRANCH)], expected)
    if apart <= allowed:
        return TrialResult(fault=None)
    depth = len(made_up.stem) + BRANCH
    dtype = str(network.dtype).removeprefix("torch.")
    return TrialResult(
        fault=f"in a made-up tree of {depth} tokens in {dtype}, its log-probabilities are {apart:.2g} from "
        f"those of a request alone, where rounding explains {allowed:.2g}"
    )


def _apart(found: Sequence[float], expected: Sequence[float]) -> float:
    return math.sqrt(fmean((one - other) ** 2 for one, other in zip(found, expected, strict=True)))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _alone(network: Network, made_up: _MadeUp) -> list[float]:
    """The log-probability of every token of the branch but its first, without a tree."""
    wanted = made_up.branch[1:]
    with network.computing():
        tokens = torch.tensor([made_up.stem + made_up.branch[:-1]], device=network.device)
        logits, _ = network.forward(tokens, torch.ones_like(tokens), keep=BRANCH)
        logprobs = logits[0].float().log_softmax(dim=-1)
        found = [float(row[token]) for row, token in zip(logprobs, wanted, strict=True)]
    if not all(map(math.isfinite, found)):
        raise network.not_finite()
    return found


def _requests(made_up: _MadeUp) -> list[ScoringRequest]:
    """The same as requests, one for every such token."""
    stem, branch = made_up.stem, made_up.branch
    return [
        ScoringRequest(index=at, tokens=stem + branch[: at + 1], continuation=[branch[at + 1]], truncated=0)
        for at in range(BRANCH)
    ]


def _others(network: Network, stem: list[int], tokens: int) -> list[ScoringRequest]:
    """Branches before it, as many as fill a last pass of `tokens` tokens that lies behind the stem.

    There are no more than the vocabulary has first tokens for.
    """
    drawn = Random(len(stem))
    vocabulary = network.config.get_text_config().vocab_size
    wanted = -(-(len(stem) + tokens) // tokens) * tokens - len(stem) - BRANCH
    lengths = [BRANCH] * (wanted // BRANCH) + ([wanted % BRANCH] if wanted % BRANCH else [])
    return [
        ScoringRequest(
            index=BRANCH + first,
            tokens=[*stem, first, *(drawn.randrange(vocabulary) for _ in range(length - 1))],
            continuation=[first],
            truncated=0,
        )
        for first, length in enumerate(lengths[: vocabulary - 1])
    ]
