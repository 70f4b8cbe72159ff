"""Scoring over a tree of tokens: the numbers of one request at a time, and no token computed twice."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from harness.engine.identity import identify
from harness.engine.local.attention import windows
from harness.engine.local.engine import LocalEngine, open_local
from harness.engine.local.loading import load
from harness.engine.local.network import Network
from harness.engine.local.scorer import LogLikelihoodScorer
from harness.engine.local.token_tree import grow
from harness.engine.local.tokens import ScoringRequest
from harness.engine.local.tree_scoring import PassBudget, score_tree
from harness.engine.local.trial import TrialResult, try_tree
from harness.errors import EngineError
from harness.records.answers import LogLikelihood
from harness.records.models import Local, Model
from tests.real_models import smollm2_folder
from tests.tiny_models import (
    SENTENCES,
    tiny_adapter,
    tiny_bloom,
    tiny_gemma2,
    tiny_gemma3,
    tiny_gpt2,
    tiny_gpt_neo,
    tiny_llama,
    tiny_longrope,
    tiny_mistral,
    tiny_mpt,
    tiny_opt,
    tiny_qwen2,
)
from tests.trials.planted_faults import FAULTS

FAMILIES = [tiny_llama, tiny_qwen2, tiny_gemma2, tiny_gemma3, tiny_mistral, tiny_gpt2, tiny_opt]
"""Rotary and learned positions, grouped heads, tied embeddings, soft caps, windows in some layers or all."""
PASS = PassBudget(tokens=256, scored=256)
SMALL_PASS = PassBudget(tokens=16, scored=16)
DTYPES = ["float32", "bfloat16", "float16"]
WINDOW = 16
"""Of those that have one: shorter than the requests."""


def _network(folder: Path, **source: str) -> Network:
    model = Model(name="tiny", source=Local(path=str(folder), **source))
    assert isinstance(model.source, Local)
    return load(model.source, identify(model), name="tiny", device="cpu")[0]


def _takes_trees(network: Network, depth: int) -> bool:
    return try_tree(network, depth, PASS).fault is None


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.__name__)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each model family."""
    return request.param(tmp_path_factory.mktemp("family") / "checkpoint")


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    """One network of each model family."""
    return _network(folder)


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("llama") / "checkpoint")


def _requests(random: Random, count: int = 24, longest: int = 60) -> list[ScoringRequest]:
    """Requests that begin like earlier ones at every level, in no order, some of them equal."""
    sequences = [[random.randrange(400) for _ in range(longest)]]
    while len(sequences) < count:
        stem = random.choice(sequences)
        length = random.randint(1, longest - 1)
        stem = stem[: random.randint(0, length)]
        sequences.append(stem + [random.randrange(400) for _ in range(length - len(stem))])
    sequences.append(sequences[-1])
    random.shuffle(sequences)
    return [_request(random, index, tokens) for index, tokens in enumerate(sequences)]


def _request(random: Random, index: int, tokens: list[int]) -> ScoringRequest:
    scored = random.randint(1, min(5, len(tokens)))
    continuation = [*tokens[len(tokens) - scored + 1 :], random.randrange(400)]
    return ScoringRequest(index=index, tokens=tokens, continuation=continuation, truncated=0)


def _alone(
    folder: Path, requests: Sequence[ScoringRequest], attention: str | None = None
) -> dict[int, tuple[float, bool]]:
    """What transformers itself says of each request, alone and without a cache."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    ).eval()
    found = {}
    for request in requests:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([request.tokens])).logits[0].float()
        scored = logits[-len(request.continuation) :].log_softmax(dim=-1)
        wanted = torch.tensor(request.continuation)
        total = float(scored.gather(1, wanted[:, None]).sum())
        found[request.index] = total, bool((scored.argmax(dim=-1) == wanted).all())
    return found


def _tree(network: Network, requests: Sequence[ScoringRequest], **budget: int) -> dict[int, LogLikelihood]:
    answers = list(score_tree(network, requests, PassBudget(**{"tokens": 512, "scored": 512, **budget})))
    assert sorted(request.index for request in requests) == sorted(index for index, _ in answers)
    return dict(answers)


@pytest.mark.parametrize("budget", [{}, {"tokens": 7}, {"tokens": 40, "scored": 3}, {"tokens": 1}])
def test_a_tree_gives_the_numbers_of_one_request_at_a_time(
    network: Network, folder: Path, budget: dict[str, int]
) -> None:
    """For every family, windows shorter than the requests included, whatever the passes."""
    requests = _requests(Random(sum(budget.values())))

    found = _tree(network, requests, **budget)

    for index, (logprob, greedy) in _alone(folder, requests).items():
        assert pytest.approx(logprob, abs=1e-4) == found[index].logprob
        assert (greedy, len(requests[index].continuation)) == (found[index].greedy, found[index].tokens)


def test_eager_attention_gives_the_same(folder: Path) -> None:
    """The attention without compiled parts, which alone caps its scores softly, takes the same masks."""
    network = _network(folder)
    assert network._model is not None
    network._model.set_attn_implementation("eager")
    requests = _requests(Random(1))

    found = _tree(network, requests, tokens=30)

    assert _takes_trees(network, 60)
    for index, (logprob, _) in _alone(folder, requests, "eager").items():
        assert pytest.approx(logprob, abs=1e-4) == found[index].logprob


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_as_near_as_its_own_noise(folder: Path, dtype: str) -> None:
    """In 16 bits a tree is as far from full precision as ordinary batches may be, and is used."""
    network = _network(folder, dtype=dtype)
    requests = _requests(Random(2))

    found = _tree(network, requests, tokens=30)

    assert _takes_trees(network, 60)
    apart = [found[index].logprob - logprob for index, (logprob, _) in _alone(folder, requests).items()]
    assert math.sqrt(sum(error**2 for error in apart) / len(apart)) < 0.3


def test_an_adapter_is_part_of_the_model(llama_folder: Path, tmp_path: Path) -> None:
    """A LoRA adapter is applied in the tree as in one request at a time."""
    adapter = tiny_adapter(tmp_path / "adapter", llama_folder)
    network = _network(llama_folder, adapter=str(adapter))
    requests = _requests(Random(3))

    together = _tree(network, requests)
    alone = {request.index: _tree(network, [request])[request.index] for request in requests}
    plain = _alone(llama_folder, requests)

    assert _takes_trees(network, 60)
    for index, log_likelihood in alone.items():
        assert pytest.approx(log_likelihood.logprob, abs=1e-4) == together[index].logprob
        assert plain[index][0] != pytest.approx(log_likelihood.logprob, abs=1e-4)


def test_every_shared_token_is_computed_once(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens that pass through the model are the distinct prefixes; projected are scored ones alone."""
    requests = _requests(Random(4))
    passes = _watched(monkeypatch)

    _tree(network, requests, tokens=9)

    tree = grow(requests)
    assert tree.size == sum(tokens for tokens, _ in passes)
    assert len(tree.scored) == sum(kept for _, kept in passes)
    assert -(-tree.size // 9) == len(passes)


def test_the_order_of_requests_changes_nothing(network: Network) -> None:
    """In another order, the same numbers to the last bit: the tree is the same."""
    requests = _requests(Random(5))
    shuffled = Random(6).sample(requests, len(requests))

    assert _tree(network, requests) == _tree(network, shuffled)


# ---------------------------------------------------------------- models that take no trees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", [tiny_bloom, tiny_mpt], ids=lambda each: each.__name__)
def test_a_model_that_takes_no_tree_is_found_out(
    family: Callable[[Path], Path], dtype: str, tmp_path: Path
) -> None:
    """Distances counted by place would give other numbers, however short requests are, in every format."""
    network = _network(family(tmp_path / "checkpoint"), dtype=dtype)
    assert not any(_takes_trees(network, depth) for depth in (16, 20, 24, 40))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_that_counts_by_place_is_found_out(dtype: str, tmp_path: Path) -> None:
    """GPT-Neo's local layers look back by place: behind others in a pass, a stem is out of their sight."""
    network = _network(tiny_gpt_neo(tmp_path / "checkpoint"), dtype=dtype)
    assert not any(_takes_trees(network, depth) for depth in (32, 120, 200))


@pytest.mark.parametrize("dtype", DTYPES)
def test_turns_that_depend_on_the_pass_are_found_out(dtype: str, tmp_path: Path) -> None:
    """ "longrope" turns all positions otherwise in passes that reach beyond 64 tokens."""
    network = _network(tiny_longrope(tmp_path / "checkpoint"), dtype=dtype)
    assert [True, False] == [_takes_trees(network, depth) for depth in (60, 65)]


@pytest.mark.parametrize("family", [tiny_mpt, tiny_gpt_neo, tiny_longrope], ids=lambda each: each.__name__)
@pytest.mark.parametrize("longest", [6, 13, 30, 120])
def test_whatever_the_architecture_the_numbers_are_right(
    family: Callable[[Path], Path], longest: int, tmp_path: Path
) -> None:
    """Places, windows and rotations that depend on the pass give nobody else's numbers."""
    folder = family(tmp_path / "checkpoint")
    requests = _requests(Random(longest), longest=longest)

    found = dict(LogLikelihoodScorer(_network(folder), 1 << 30).log_likelihoods(requests, 256))

    for index, (logprob, _) in _alone(folder, requests).items():
        assert pytest.approx(logprob, abs=1e-4) == found[index].logprob


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
    ids=str,
)
def test_a_failed_device_is_not_taken_for_a_model_without_trees(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, dtype: str
) -> None:
    """What fails while trees are tried out shows, where it says nothing about the model's attention."""
    network = _network(llama_folder, dtype=dtype)

    def failing(*asked: object) -> Iterator[tuple[int, LogLikelihood]]:
        raise error

    monkeypatch.setattr("harness.engine.local.trial.score_tree", failing)

    with pytest.raises(type(error), match=str(error)):
        try_tree(network, 40, PASS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_that_is_not_heeded_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """What matters only deeper than a window is tried out as deep as the requests are."""
    network = _network(tiny_gemma3(tmp_path / "gemma", window=WINDOW), dtype=dtype)
    monkeypatch.setattr(
        "harness.engine.local.tree_scoring.windows", lambda network: windows(_unwindowed(network))
    )

    assert _takes_trees(network, WINDOW)
    assert not _takes_trees(network, 4 * WINDOW)


def _unwindowed(network: Network) -> Any:
    class Other:
        config = network.config.__class__(**{**network.config.to_dict(), "sliding_window": 4096})

    return Other


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found_in_every_format(llama_folder: Path, dtype: str, fault: str) -> None:
    """Neighbours seen, masks ignored, windows by place and miscounted positions, however rough the format."""
    network = _network(llama_folder, dtype=dtype)

    with FAULTS[fault]():
        outcome = try_tree(network, 40, PASS)

    assert outcome.fault is not None
    assert outcome.fault.startswith("in a made-up tree of 40 tokens in float32, its log-probabilities are")


@pytest.mark.parametrize("fault", ["mask ignored", "neighbours seen"])
def test_a_mask_that_only_the_narrow_format_ignores_is_found(llama_folder: Path, fault: str) -> None:
    """Kernels differ by format: the model's own is looked at too, and the message says which it is."""
    network = _network(llama_folder, dtype="bfloat16")

    with FAULTS[fault](torch.bfloat16):
        outcome = try_tree(network, 40, PASS)

    assert outcome.fault is not None
    assert outcome.fault.startswith("in a made-up tree of 32 tokens in bfloat16, its log-probabilities are")


def test_the_weights_are_untouched_by_the_trial(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is widened for the trial is as before, in place and to the bit, also where it breaks off."""
    network = _network(llama_folder, dtype="bfloat16")
    assert network._model is not None
    tensors = [*network._model.parameters(), *network._model.buffers()]
    before = [(tensor, tensor.dtype, tensor.clone()) for tensor in tensors]
    seen = []

    def interrupted(module: torch.nn.Module, *_: Any) -> None:
        seen.append(next(module.parameters()).dtype)
        if seen[-1] == torch.float32:
            raise KeyboardInterrupt

    hook = network._model.model.layers[1].mlp.register_forward_pre_hook(interrupted)
    with pytest.raises(KeyboardInterrupt):
        try_tree(network, 40, PASS)
    hook.remove()
    assert _takes_trees(network, 40)

    assert [torch.bfloat16, torch.float32] == seen
    after = [*network._model.parameters(), *network._model.buffers()]
    for (tensor, dtype, content), now in zip(before, after, strict=True):
        assert tensor is now
        assert dtype == now.dtype
        assert torch.equal(content, now)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_that_says_nothing_is_no_fault(dtype: str, tmp_path: Path) -> None:
    """Where all tokens are about as likely, the last digits of a log-probability are all that differs."""
    network = _network(tiny_llama(tmp_path / "checkpoint"), dtype=dtype)
    assert network._model is not None
    with torch.no_grad():
        network._model.model.norm.weight *= 1e-4

    assert _takes_trees(network, 60)


def test_a_trial_without_memory_is_no_verdict(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a layer in float32 does not fit, prefixes are not shared, and another process tries again."""
    network = _network(llama_folder, dtype="bfloat16")

    def failing(tensor: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("harness.engine.local.widening._widened", failing)

    expected = "it could not be tried out in float32 (OutOfMemoryError: CUDA out of memory)"
    assert TrialResult(fault=expected, lasting=False) == try_tree(network, 40, PASS)


def test_without_trees_the_numbers_are_the_same_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A model whose attention takes no tree is scored in padded batches, after one warning that says why."""
    folder = tiny_bloom(tmp_path / "bloom")
    engine = _engine(folder)
    pairs = [(text[:cut], text[cut:]) for text in SENTENCES for cut in (9, 20, 31)]

    with caplog.at_level(logging.WARNING):
        found = dict(engine.loglikelihood(pairs))
        list(engine.loglikelihood(pairs[:2]))

    requests = engine._tokens.scoring_requests(pairs)
    for index, (logprob, greedy) in _alone(folder, requests).items():
        assert pytest.approx(logprob, abs=1e-4) == found[index].logprob
        assert greedy == found[index].greedy
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(
        "tiny: requests share no prefixes, and are scored in padded batches: its code refuses"
    )
    assert "padded batches" == engine.info.description["scoring"]


# ---------------------------------------------------------------- what is remembered


def _noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The depths that are tried from now on."""
    tried: list[int] = []

    def noted(network: Network, depth: int, budget: PassBudget) -> TrialResult:
        tried.append(depth)
        return try_tree(network, depth, budget)

    monkeypatch.setattr("harness.engine.local.trial_results.try_tree", noted)
    return tried


def test_a_deeper_request_is_tried_out_again(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was shown for short requests is not believed of longer ones, and is tried once per depth."""
    engine = _engine(llama_folder)
    tried = _noted(monkeypatch)

    for length in (4, 4, 40, 39):
        list(engine.loglikelihood([("a", " dog" * length)]))

    assert 2 == len(tried)
    assert tried[0] < 40 <= tried[1]


def test_another_process_does_not_try_again(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is remembered for the architecture: other weights of it are scored in the same way."""
    list(_engine(llama_folder).loglikelihood([("a", " dog")]))
    tried = _noted(monkeypatch)

    other = _engine(tiny_llama(tmp_path / "other", seed=1))
    list(other.loglikelihood([("a", " dog")]))

    assert [] == tried
    assert "shared prefixes" == other.info.description["scoring"]


@pytest.mark.parametrize("source", [{"dtype": "bfloat16"}, {"max_length": 128}], ids=str)
def test_another_format_or_configuration_is_tried_for_itself(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]
) -> None:
    """What was shown for one says nothing about another."""
    list(_engine(llama_folder).loglikelihood([("a", " dog")]))
    tried = _noted(monkeypatch)
    shape = {key: value for key, value in source.items() if key == "max_length"}
    folder = tiny_llama(tmp_path / "other", **shape)

    other = Local(path=str(folder), dtype=source.get("dtype", "auto"))
    list(open_local(Model(name="tiny", source=other), other, device="cpu").loglikelihood([("a", " dog")]))

    assert 1 == len(tried)


def test_a_remembered_fault_is_said_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A later process does not try, and says the same; shallower requests are tried for themselves."""
    folder = tiny_gemma3(tmp_path / "gemma", window=40)
    monkeypatch.setattr(
        "harness.engine.local.tree_scoring.windows", lambda network: windows(_unwindowed(network))
    )
    list(_engine(folder).loglikelihood([("a", " dog" * 80)]))
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    tried = _noted(monkeypatch)

    engine = _engine(folder)
    list(engine.loglikelihood([("a", " dog" * 90)]))
    list(engine.loglikelihood([("a", " dog" * 20)]))

    assert [32] == tried
    assert [said[0]] == [record.getMessage() for record in caplog.records]
    assert "shared prefixes and padded batches" == engine.info.description["scoring"]


# ---------------------------------------------------------------- memory


def _engine(folder: Path) -> LocalEngine:
    source = Local(path=str(folder))
    return open_local(Model(name="tiny", source=source), source, device="cpu")


def _watched(
    monkeypatch: pytest.MonkeyPatch, most: int | None = None, error: Callable[[], BaseException] | None = None
) -> list[tuple[int, int]]:
    """New tokens and kept logits of every pass; one of more than `most` tokens fails with `error`."""
    forward, seen = Network.forward, []

    def watched(self: Network, tokens: torch.Tensor, *args: Any, keep: Any, **others: Any) -> Any:
        seen.append((tokens.numel(), keep if isinstance(keep, int) else len(keep)))
        if most is not None and error is not None and tokens.numel() > most:
            raise error()
        return forward(self, tokens, *args, keep=keep, **others)

    monkeypatch.setattr(Network, "forward", watched)
    return seen


ERRORS: list[Callable[[], BaseException]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory"),
    lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
    lambda: MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
def test_out_of_memory_halves_the_passes(
    network: Network, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException]
) -> None:
    """A pass is halved until it fits, that is remembered, and every answer comes once, as it would have."""
    requests = _requests(Random(7))
    expected = _tree(network, requests)
    seen = _watched(monkeypatch, 20, error)
    budget = PassBudget(tokens=64, scored=64)

    found = dict(score_tree(network, requests, budget))

    assert (16, 16) == (budget.tokens, budget.scored)
    assert [64, 32, 16, 16] == [tokens for tokens, _ in seen[:4]]
    for index, log_likelihood in expected.items():
        assert pytest.approx(log_likelihood.logprob, abs=1e-4) == found[index].logprob


def test_a_pass_that_fails_half_way_leaves_the_cache_as_it_was(llama_folder: Path) -> None:
    """Memory can run out in any layer; layers before it have grown by then, and are set back."""
    network = _network(llama_folder)
    requests = _requests(Random(8))
    expected = _tree(network, requests)
    calls = iter(range(10_000))

    def fail(*_: Any) -> None:
        if next(calls) in (0, 3, 4, 9):
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert network._model is not None
    network._model.model.layers[1].register_forward_pre_hook(fail)
    found = _tree(network, requests, tokens=200)

    for index, log_likelihood in expected.items():
        assert pytest.approx(log_likelihood.logprob, abs=1e-4) == found[index].logprob


def test_a_single_token_that_does_not_fit_is_an_error(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be made smaller cannot be answered, and the message says what to change."""
    network = _network(llama_folder)
    _watched(monkeypatch, 0, ERRORS[0])

    with pytest.raises(EngineError, match="out of memory on cpu with a single request"):
        _tree(network, _requests(Random(9)), tokens=4)


def test_answers_come_pass_by_pass(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answers are there before the last pass is run: a killed run keeps them."""
    engine = _engine(llama_folder)
    many = [(f"{number} dogs " * 20, "sleep") for number in range(200)]
    list(engine.loglikelihood(many[-1:]))  # tries the model out
    seen = _watched(monkeypatch)

    answers: Iterator[tuple[int, LogLikelihood]] = engine.loglikelihood(many)
    next(answers)

    assert 1 == len(seen)
    assert 199 == len(list(answers))
    assert len(seen) > 1


# ---------------------------------------------------------------- a real model


@pytest.fixture(scope="module")
def smollm2_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first layers of SmolLM2; tests/trials/trees.py takes all of them."""
    return smollm2_folder(tmp_path_factory.mktemp("smollm2"), layers=8)


@pytest.fixture(scope="module", params=DTYPES)
def smollm2(request: pytest.FixtureRequest, smollm2_checkpoint: Path) -> Network:
    """SmolLM2 in each number format."""
    return _network(smollm2_checkpoint, dtype=request.param)


@pytest.mark.real
@pytest.mark.xdist_group("smollm2")  # one worker makes the checkpoint
def test_rounding_on_real_weights_is_no_fault(smollm2: Network) -> None:
    """Trained weights round far more than random ones; tests/trials/trees.py does this a thousand times."""
    assert [TrialResult(fault=None)] * 2 == [try_tree(smollm2, depth, SMALL_PASS) for depth in (16, 48)]


@pytest.mark.real
@pytest.mark.xdist_group("smollm2")
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found_on_real_weights(smollm2: Network, fault: str) -> None:
    """In every number format, also where they are smaller than its rounding."""
    with FAULTS[fault]():
        assert try_tree(smollm2, 24, SMALL_PASS).fault is not None
