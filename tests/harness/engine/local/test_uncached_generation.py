"""Models whose cache cannot be shared: right numbers and transformers' own texts, in any company."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    FalconMambaConfig,
    FalconMambaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from harness.engine.local.engine import LocalEngine, open_local
from harness.protocols import Engine
from harness.records.answers import Prompt, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import SENTENCES, tiny_longrope, tiny_tokenizer

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2}
TEXTS = [*SENTENCES, "No", "a", "The quick brown fox"]

STATES: dict[str, Callable[[dict[str, Any]], PreTrainedModel]] = {
    "mamba": lambda ids: MambaForCausalLM(MambaConfig(**SHAPE, state_size=8, initializer_range=0.2, **ids)),
    "mamba2": lambda ids: Mamba2ForCausalLM(
        Mamba2Config(
            **SHAPE,
            state_size=8,
            num_heads=8,
            head_dim=8,
            n_groups=1,
            chunk_size=16,
            initializer_range=0.2,
            **ids,
        )
    ),
    "falcon mamba": lambda ids: FalconMambaForCausalLM(
        FalconMambaConfig(**SHAPE, state_size=8, initializer_range=0.2, **ids)
    ),
    "rwkv": lambda ids: RwkvForCausalLM(RwkvConfig(**SHAPE, **ids)),
    "recurrent gemma": lambda ids: RecurrentGemmaForCausalLM(
        RecurrentGemmaConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            attention_window_size=64,
            **ids,
        )
    ),
}


@pytest.fixture(scope="module", params=STATES)
def stateful(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each kind of model that carries a state of its own."""
    folder = tmp_path_factory.mktemp("stateful") / "checkpoint"
    tokenizer = tiny_tokenizer(bos=False)
    torch.manual_seed(0)
    ids = {
        "vocab_size": len(tokenizer) + 1,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    STATES[request.param](ids).float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_state_is_scored_as_alone(stateful: Path) -> None:
    """Padded batches give every request the numbers of the model on that request alone."""
    model = AutoModelForCausalLM.from_pretrained(stateful)
    pairs = [(text, end) for text in TEXTS for end in (" yes it is", " no")]
    with closing(_open(stateful)) as engine:
        found = dict(engine.loglikelihood(pairs))
        requests = engine._tokens.scoring_requests(pairs)

    for request in requests:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([request.tokens])).logits[0]
        scored = logits.log_softmax(dim=-1)[-len(request.continuation) :]
        alone = sum(float(scored[at, token]) for at, token in enumerate(request.continuation))
        assert pytest.approx(alone, abs=1e-4) == found[request.index].logprob


def test_a_state_is_continued_as_by_transformers(stateful: Path) -> None:
    """Greedy texts of a whole batch are `generate`'s for each prompt alone.

    RecurrentGemma's are those without its cache: with one, transformers 5 wrote others after a short prompt.
    """
    cached = AutoConfig.from_pretrained(stateful).model_type != "recurrent_gemma"
    expected = _written_by_transformers(stateful, TEXTS, 12, use_cache=cached)
    with closing(_open(stateful)) as engine:
        assert expected == _written(engine, TEXTS, SamplingParameters(max_tokens=12))


def test_samples_of_a_state_do_not_change_by_company(stateful: Path) -> None:
    """A draw has its own generator, and what the model says is the same in any batch."""
    sampling = SamplingParameters(max_tokens=8, temperature=1.0)
    with closing(_open(stateful)) as engine:
        alone = [_written(engine, [text], sampling)[0] for text in TEXTS]
        assert alone == _written(engine, TEXTS, sampling)


def test_longrope_answers_do_not_change_by_company(tmp_path: Path) -> None:
    """Rows below, beyond and on their way across its limit: each as transformers without a cache writes it.

    With one, transformers 5 goes on from the last token alone where a row crosses the limit.
    """
    folder = tiny_longrope(tmp_path / "longrope")
    texts = ["a " * number for number in (3, 10, 40, 50, 60, 63, 64, 65, 90)]
    expected = _written_by_transformers(folder, texts, 24, use_cache=False)
    with closing(_open(folder)) as engine:
        assert expected == _written(engine, texts, SamplingParameters(max_tokens=24))


def _open(folder: Path) -> LocalEngine:
    source = Local(path=str(folder))
    return open_local(Model(name="tiny", source=source), source, device="cpu")


def _written(engine: Engine, texts: list[str], sampling: SamplingParameters) -> list[str]:
    answers = dict(engine.generate([Prompt(content=text) for text in texts], sampling))
    return [answers[index].text for index in range(len(texts))]


def _written_by_transformers(folder: Path, texts: list[str], tokens: int, **how: Any) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    written = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, **how
        )
        written.append(tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True))
    return written
