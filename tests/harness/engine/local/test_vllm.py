"""The vLLM engine against a stand-in for the two classes of vLLM: what it is asked, what becomes of answers.

The stand-in runs a tiny model with transformers, so that log-likelihoods and greedy answers must agree with
the local engine's. Real vLLM is not run here.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.engine import opening
from harness.engine.identity import identify
from harness.engine.opening import check_model, open_engine
from harness.engine.rules import request_seed
from harness.errors import EngineError, ModelError, UsageError
from harness.protocols import Engine
from harness.records.answers import Message, Prompt, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import tiny_llama


@dataclass(kw_only=True)
class SamplingParams:
    """The parameters of vLLM's own that are used, with its defaults."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: Sequence[str] = ()
    max_tokens: int = 16
    repetition_penalty: float = 1.0
    prompt_logprobs: int | None = None
    detokenize: bool = True


@dataclass
class Logprob:
    logprob: float


@dataclass
class LLM:
    """vLLM's class as far as it is used."""

    model: str
    dtype: str
    trust_remote_code: bool
    seed: int
    window: int = 64
    calls: list[tuple[list[Mapping[str, list[int]]], list[SamplingParams]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made.append(self)
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=self.window))
        self._network = AutoModelForCausalLM.from_pretrained(self.model)
        self._tokenizer = AutoTokenizer.from_pretrained(self.model)

    def get_default_sampling_params(self) -> SamplingParams:
        """What generation_config.json says."""
        return SamplingParams(repetition_penalty=1.25)

    def generate(
        self, prompts: list[Mapping[str, list[int]]], sampling_params: list[SamplingParams], *, use_tqdm: bool
    ) -> list[Any]:
        """All outputs at the end, in the order of the prompts."""
        assert not use_tqdm
        assert len(prompts) == len(sampling_params)
        self.calls.append((prompts, sampling_params))
        return [
            self._output(prompt["prompt_token_ids"], params)
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    def _output(self, tokens: list[int], params: SamplingParams) -> Any:
        assert 0 < len(tokens) < self.window, "vLLM needs a place for the token it generates"
        logprobs = self._logprobs(tokens)
        new: list[int] = []
        reason = "length"
        while len(new) < params.max_tokens and reason == "length":
            new.append(int(self._logprobs(tokens + new)[-1].argmax()))
            reason = "stop" if new[-1] == self._tokenizer.eos_token_id else "length"
        answer = SimpleNamespace(
            text=self._tokenizer.decode(new, skip_special_tokens=True), token_ids=new, finish_reason=reason
        )
        places = [None, *(self._place(row, token) for row, token in zip(logprobs, tokens[1:], strict=False))]
        return SimpleNamespace(
            prompt_token_ids=tokens,
            outputs=[answer],
            prompt_logprobs=places if params.prompt_logprobs is not None else None,
        )

    def _logprobs(self, tokens: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return torch.log_softmax(self._network(torch.tensor([tokens])).logits[0].float(), dim=-1)

    def _place(self, row: torch.Tensor, token: int) -> dict[int, Logprob]:
        best = int(row.argmax())
        return {token: Logprob(float(row[token])), best: Logprob(float(row[best]))}


made: list[LLM] = []


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if vLLM were installed."""
    vllm = ModuleType("vllm")
    vllm.LLM, vllm.SamplingParams, vllm.__version__ = LLM, SamplingParams, "0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.delitem(sys.modules, "harness.engine.local.vllm", raising=False)
    monkeypatch.setattr(opening, "find_spec", lambda package: object())
    made.clear()
    yield
    sys.modules.pop("harness.engine.local.vllm", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template and a window of 62 tokens, as many as the stand-in leaves of its 64."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "tiny", max_length=62)


def engines(folder: Path) -> tuple[Engine, Engine]:
    """The model behind vLLM, and behind transformers."""
    local = Local(path=str(folder))
    by_vllm = Local(path=str(folder), backend="vllm")
    return open_engine(Model(name="m", source=by_vllm)), open_engine(
        Model(name="m", source=local), device="cpu"
    )


PAIRS = [
    ("Question: What is the capital of France? Answer:", " Paris"),
    ("Question: What is the capital of France? Answer: ", "The capital of France is Paris."),
    ("", "A hammer drives nails."),
    ("The quick brown fox jumps over the lazy dog, and the dog sleeps on: 0123456789. " * 4, " done"),
]


def test_log_likelihoods_are_those_of_the_local_engine(folder: Path) -> None:
    """The same tokens are scored, cut to the same window, with the same boundary."""
    ours, local = engines(folder)
    expected, found = dict(local.loglikelihood(PAIRS)), dict(ours.loglikelihood(PAIRS))
    assert expected.keys() == found.keys()
    for index, log_likelihood in expected.items():
        assert log_likelihood.logprob == pytest.approx(found[index].logprob, abs=1e-4)
        assert (log_likelihood.greedy, log_likelihood.tokens, log_likelihood.truncated) == (
            found[index].greedy,
            found[index].tokens,
            found[index].truncated,
        )
    assert found[3].truncated > 0


def test_greedy_answers_are_those_of_the_local_engine(folder: Path) -> None:
    """Texts and turns become the same tokens, cut to leave the same room."""
    ours, local = engines(folder)
    prompts = [
        Prompt(content="Question: What"),
        Prompt(content=(Message(role="user", content="Write two sentences about a tool."),)),
        Prompt(content="The quick brown fox jumps over the lazy dog " * 9),
    ]
    sampling = SamplingParameters(max_tokens=9)
    expected, found = dict(local.generate(prompts, sampling)), dict(ours.generate(prompts, sampling))
    for index, answer in expected.items():
        assert (answer.text, answer.stop_reason, answer.prompt_tokens, answer.truncated) == (
            found[index].text,
            found[index].stop_reason,
            found[index].prompt_tokens,
            found[index].truncated,
        )
    assert found[2].truncated > 0


def test_what_vllm_is_reported_of_sampling(folder: Path) -> None:
    """Each request has its own seed; greedy decoding has none; the checkpoint's repetition penalty counts."""
    ours, _ = engines(folder)
    prompts = [Prompt(content="a"), Prompt(content="a", draw=1)]
    drawn = SamplingParameters(max_tokens=3, temperature=0.7, top_p=0.9, top_k=5, stop=("\n", ""), seed=4)
    list(ours.generate(prompts, drawn))
    list(ours.generate(prompts[:1], SamplingParameters(max_tokens=3)))

    (_, sampled), (_, greedy) = made[0].calls
    common = {"max_tokens": 3, "repetition_penalty": 1.25}
    seeds = [request_seed(drawn, "a", draw) % 2**63 for draw in (0, 1)]
    assert [
        SamplingParams(temperature=0.7, top_p=0.9, top_k=5, stop=["\n"], seed=seed, **common)
        for seed in seeds
    ] == sampled
    assert [SamplingParams(temperature=0.0, stop=[], **common)] == greedy


def test_what_vllm_is_reported_to_load(folder: Path) -> None:
    """The folder that was identified, in the format that was identified."""
    ours, local = engines(folder)
    assert (str(folder), "float32", False) == (made[0].model, made[0].dtype, made[0].trust_remote_code)
    assert local.info.fingerprint != ours.info.fingerprint, "another backend gives other answers"
    assert local.info.chat_template == ours.info.chat_template
    assert ours.can_score
    assert "vllm" == ours.info.description["engine"]


def test_requests_go_some_hundreds_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that answers are kept before all are there."""
    ours, _ = engines(folder)
    monkeypatch.setattr("harness.engine.local.vllm.AT_ONCE", 2)
    found = ours.generate([Prompt(content=letter) for letter in "abcde"], SamplingParameters(max_tokens=1))
    assert 0 == next(found)[0]
    assert 1 == len(made[0].calls)
    assert [1, 2, 3, 4] == [index for index, _ in found]
    assert [2, 2, 1] == [len(prompts) for prompts, _ in made[0].calls]


def test_an_answer_that_vllm_breaks_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is no answer."""
    ours, _ = engines(folder)
    aborted = SimpleNamespace(text="", token_ids=[], finish_reason="abort")
    output = SimpleNamespace(prompt_token_ids=[1], outputs=[aborted])
    monkeypatch.setattr(LLM, "generate", lambda *asked, **how: [output])
    with pytest.raises(EngineError, match="vLLM broke an answer off"):
        list(ours.generate([Prompt(content="a")], SamplingParameters(max_tokens=1)))


def test_a_closed_engine(folder: Path) -> None:
    """Answers nothing more."""
    ours, _ = engines(folder)
    ours.close()
    with pytest.raises(EngineError, match="the engine is closed"):
        list(ours.generate([Prompt(content="a")], SamplingParameters(max_tokens=1)))


def test_what_vllm_cannot_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adapters, other devices and models it cannot load are reported plainly."""
    model = Model(name="m", source=Local(path=str(folder), backend="vllm"))
    with pytest.raises(UsageError, match="CUDA_VISIBLE_DEVICES"):
        open_engine(model, device="cuda:1")
    with pytest.raises(UsageError, match="must be merged into its base"):
        open_engine(Model(name="m", source=Local(path=str(folder), adapter="a", backend="vllm")))

    def refuse(self: LLM) -> None:
        raise ValueError("architectures ['X'] are not supported")

    monkeypatch.setattr(LLM, "__post_init__", refuse)
    with pytest.raises(ModelError, match="vLLM cannot load it: architectures"):
        open_engine(model)


def test_the_extra_is_named_where_it_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it, before anything is loaded."""
    monkeypatch.setattr(opening, "find_spec", lambda package: None)
    model = Model(name="m", source=Local(path=str(folder), backend="vllm"))
    for use in (check_model, open_engine):
        with pytest.raises(UsageError, match=r'pip install "harness\[vllm\]"'):
            use(model)
    assert (
        identify(model).fingerprint != identify(Model(name="m", source=Local(path=str(folder)))).fingerprint
    )
