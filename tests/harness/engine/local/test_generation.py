"""Continuing prompts: read once, places taken again at once, and the same answers whatever the company."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
)

from harness.engine.local import engine as local_engine
from harness.engine.local.decoding import GenerationBudget
from harness.engine.local.grouped_query_attention import SHARED, share_keys
from harness.engine.local.kv_cache import SPARE
from harness.engine.local.network import Network
from harness.engine.opening import open_engine
from harness.protocols import Engine
from harness.records.answers import Prompt, Response, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import SENTENCES, tiny_gemma3, tiny_gpt2, tiny_llama, tiny_qwen2, tiny_tokenizer

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llama, grouped heads": tiny_llama,
    "qwen2, grouped heads": tiny_qwen2,
    "gpt2, learned positions": tiny_gpt2,
    "gemma3, window shorter than any prompt": lambda folder: tiny_gemma3(folder, window=4),
    "gemma3, window between prompt and answer": lambda folder: tiny_gemma3(folder, window=24),
}
TEXTS = [*SENTENCES, "No", "a b c", "The quick brown fox", "dog " * 12, "A hammer drives", "done", "Paris. "]


def _open(folder: Path, monkeypatch: pytest.MonkeyPatch, *, rows: int, prompts: int = 1_024) -> Engine:
    """An engine that continues so many rows at once."""
    monkeypatch.setattr(local_engine, "MANY_ROWS", rows)
    monkeypatch.setattr(local_engine, "CPU_PROMPTS", prompts)
    return open_engine(Model(name="tiny", source=Local(path=str(folder))), device="cpu")


def _answers(engine: Engine, prompts: list[Prompt], sampling: SamplingParameters) -> list[Response]:
    answers = list(engine.generate(prompts, sampling))
    assert list(range(len(prompts))) == sorted(index for index, _ in answers)
    return [answer for _, answer in sorted(answers, key=lambda answer: answer[0])]


def _written_by_transformers(folder: Path, texts: list[str], tokens: int) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    expected = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        new = model.generate(ids, max_new_tokens=tokens, do_sample=False)[0, ids.shape[1] :]
        expected.append(tokenizer.decode(new, skip_special_tokens=True))
    return expected


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, int, int]]:
    """The passes through the model, as they happen: whether it reads prompts, rows, positions."""
    forward, seen = Network.forward, list[tuple[bool, int, int]]()

    def recorded(self: Network, tokens: torch.Tensor, *rest: Any, **others: Any) -> Any:
        seen.append((others.get("cache") is None, len(tokens), tokens.numel()))
        return forward(self, tokens, *rest, **others)

    monkeypatch.setattr(Network, "forward", recorded)
    return seen


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each kind of model, with a penalty without which a random model repeats one token."""
    folder = FAMILIES[request.param](tmp_path_factory.mktemp("family") / "checkpoint")
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "repetition_penalty": 3.0}))
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("llama") / "checkpoint")


def test_places_are_taken_again_and_greedy_answers_are_transformers_own(
    family: Path, monkeypatch: pytest.MonkeyPatch, passes: list[tuple[bool, int, int]]
) -> None:
    """Three rows for fourteen prompts of many lengths and ends: every text is `generate`'s for it alone."""
    engine = _open(family, monkeypatch, rows=3, prompts=40)
    whole = _written_by_transformers(family, TEXTS, 40)
    cuts = [text[2 * at : 2 * at + 1] for at, text in enumerate(whole)]
    stop = tuple(cut for cut in cuts[::3] if cut != "\N{REPLACEMENT CHARACTER}")
    expected = [min((text.split(cut, 1)[0] for cut in stop), key=len) for text in whole]

    answers = _answers(
        engine, [Prompt(content=text) for text in TEXTS], SamplingParameters(max_tokens=40, stop=stop)
    )

    assert expected == [answer.text for answer in answers]
    steps = [rows for reads, rows, _ in passes if not reads]
    assert max(steps) == 3
    assert sum(steps) == sum(answer.completion_tokens - 1 for answer in answers)
    assert len({answer.completion_tokens for answer in answers}) > 3


def test_samples_of_a_prompt_share_its_reading(
    family: Path, monkeypatch: pytest.MonkeyPatch, passes: list[tuple[bool, int, int]]
) -> None:
    """Seven samples of each of four prompts, five rows at once: each is read once, and samples differ."""
    engine = _open(family, monkeypatch, rows=5)
    prompts = [Prompt(content=text, draw=draw) for draw in range(7) for text in TEXTS[:4]]
    sampling = SamplingParameters(max_tokens=9, temperature=1.0, top_p=0.9)

    answers = _answers(engine, prompts, sampling)

    assert 4 == sum(rows for reads, rows, _ in passes if reads)
    alone = [_answers(engine, [prompt], sampling)[0].text for prompt in prompts[::3]]
    assert alone == [answer.text for answer in answers[::3]]
    assert len({answer.text for answer in answers}) > 20


def test_a_resumed_run_draws_the_samples_of_an_uninterrupted_one(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With half of the samples of every prompt known, the other half comes out as it would have."""
    engine = _open(family, monkeypatch, rows=6)
    prompts = [Prompt(content=text, draw=draw) for text in TEXTS[:5] for draw in range(6)]
    known = set(random.Random(0).sample(range(len(prompts)), len(prompts) // 2))
    sampling = SamplingParameters(max_tokens=10, temperature=1.0, top_p=0.95, seed=3, stop=(" d",))
    whole = _answers(engine, prompts, sampling)

    rest = [at for at in range(len(prompts)) if at not in known]
    resumed = _answers(engine, [prompts[at] for at in rest], sampling)

    assert [whole[at].text for at in rest] == [answer.text for answer in resumed]


def test_out_of_memory_among_samples_halves_the_rows(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is unanswered begins anew, in half as many rows from then on, and every sample is the same."""
    prompts = [Prompt(content=text, draw=draw) for text in TEXTS[:4] for draw in range(5)]
    sampling = SamplingParameters(max_tokens=8, temperature=1.0, seed=1)
    expected = [answer.text for answer in _answers(_open(llama, monkeypatch, rows=64), prompts, sampling)]
    engine = _open(llama, monkeypatch, rows=64)
    forward, sizes = Network.forward, []

    def limited(self: Network, tokens: torch.Tensor, *rest: Any, **others: Any) -> Any:
        sizes.append(len(tokens))
        if len(tokens) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, tokens, *rest, **others)

    monkeypatch.setattr(Network, "forward", limited)

    assert expected == [answer.text for answer in _answers(engine, prompts, sampling)]
    assert [20, 10] == [size for size in sizes if size > 6]
    _answers(engine, prompts, sampling)
    assert 2 == sum(size > 6 for size in sizes)


def test_answers_come_as_they_are_finished(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run keeps what was finished: nothing waits for a longer neighbour."""
    engine = _open(llama, monkeypatch, rows=64)
    sampling = SamplingParameters(max_tokens=40, stop=("e",))

    lengths = [
        answer.completion_tokens
        for _, answer in engine.generate([Prompt(content=t) for t in TEXTS], sampling)
    ]

    assert sorted(lengths) == lengths
    assert len(set(lengths)) > 2


def test_rows_are_as_many_as_the_cache_has_room_for() -> None:
    """Every row may need a copy of its prompt, its whole answer and what is taken ahead; one always goes."""
    room = GenerationBudget(rows=64, positions=10 * (200 + SPARE), prompts=1_024)

    assert [10, 20, 25, 1] == [room.rows_of(cost) for cost in (200, 36, 0, 100_000)]
    assert 7 == GenerationBudget(rows=7, positions=10**9, prompts=1).rows_of(200)


def test_samples_of_a_prompt_are_counted_against_the_cache(
    llama: Path, monkeypatch: pytest.MonkeyPatch, passes: list[tuple[bool, int, int]]
) -> None:
    """Where memory is for two rows, twenty-five samples of one prompt are drawn two by two."""
    monkeypatch.setattr(
        Network, "free_bytes", lambda self: int(300 * self.cache_bytes() / local_engine.MEMORY_SHARE)
    )
    engine = _open(llama, monkeypatch, rows=64)

    _answers(
        engine,
        [Prompt(content="No", draw=draw) for draw in range(25)],
        SamplingParameters(max_tokens=9, temperature=1.0),
    )

    assert 2 == max(rows for reads, rows, _ in passes if not reads)
    assert 1 == sum(rows for reads, rows, _ in passes if reads)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model with a recurrent layer, whose state cannot be joined to another batch's."""
    folder = tmp_path_factory.mktemp("mixed")
    tokenizer = tiny_tokenizer(bos=False)
    torch.manual_seed(0)
    config = Qwen3NextConfig(
        vocab_size=len(tokenizer) + 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        layer_types=["linear_attention", "full_attention"],
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        num_experts=0,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3NextForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_with_recurrent_layers_answers_in_batches(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows begin together, finished ones leave, samples share their prompt: the same answers as alone."""
    engine = _open(mixed, monkeypatch, rows=5)
    prompts = [Prompt(content=text) for text in TEXTS]
    sampling = SamplingParameters(max_tokens=8, temperature=1.0)
    drawn = [Prompt(content=text, draw=draw) for text in TEXTS[:3] for draw in range(4)]

    answers = _answers(engine, prompts, SamplingParameters(max_tokens=20))
    samples = _answers(engine, drawn, sampling)

    assert _written_by_transformers(mixed, TEXTS, 20) == [answer.text for answer in answers]
    assert [_answers(engine, [prompt], sampling)[0].text for prompt in drawn] == [s.text for s in samples]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_query_heads_read_shared_keys_as_transformers_copies_of_them(heads: int) -> None:
    """The logits after a padded batch and another token are those of transformers' `sdpa`."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=heads, initializer_range=0.3,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    tokens, mask = torch.randint(0, 50, (3, 8)), torch.ones(3, 8, dtype=torch.long)
    mask[0, :3] = mask[1, :6] = 0

    def logits() -> torch.Tensor:
        with torch.no_grad():
            read = model(tokens[:, :7], attention_mask=mask[:, :7], use_cache=True)
            return model(tokens[:, 7:], attention_mask=mask, past_key_values=read.past_key_values).logits

    expected = logits()
    share_keys(model)

    assert (SHARED if heads < 4 else "sdpa") == model.config._attn_implementation
    assert torch.allclose(expected, logits(), atol=1e-5)
