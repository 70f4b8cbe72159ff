"""Adapters: only they are trained, and the candidate is the base with the adapter merged into it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from harness.engine.opening import open_engine
from harness.errors import UsageError
from harness.records.models import Local, Model, Stage
from tests.trainers.test_stages import CASE, DPO, GRPO
from tests.trainers.world import World, pipeline, stage

ADAPTER: dict[str, Any] = {"rank": 4, "alpha": 8}
STAGES: dict[str, Stage] = {
    "sft": stage("sft", "sft.jsonl", epochs=1, learning_rate=1e-2, adapter=ADAPTER),
    "dpo": stage("dpo", "pairs.jsonl", **{**DPO, "learning_rate": 1e-2, "adapter": ADAPTER}),
    "grpo": stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "learning_rate": 1e-2, "adapter": ADAPTER}),
    "rloo": stage("rloo", "prompts.jsonl", CASE, **{**GRPO, "learning_rate": 1e-2, "adapter": ADAPTER}),
}
PAIRS = [("Name a cat and a dog in upper case.", " CAT"), ("Name a cow in lower case.", " cow and dog")]


def adapted(world: World, kind: str) -> Path:
    """The candidate of a stage that trains an adapter on `sft`."""
    return world.produce(f"{kind}_adapter", pipeline(f"{kind}_adapter", "sft", STAGES[kind]))


@pytest.mark.parametrize("kind", list(STAGES))
def test_a_candidate_is_its_base_with_the_adapter(world: World, kind: str) -> None:
    """The adapter on top of the base gives the merged candidate's logits; and it has learned."""
    folder, base = adapted(world, kind), world.produce("sft")
    tokens = torch.arange(3, 40)[None]
    with torch.inference_mode():
        alone = AutoModelForCausalLM.from_pretrained(base).eval()
        before = alone(tokens).logits
        applied = PeftModel.from_pretrained(alone, folder / "adapter").eval()(tokens).logits
        merged = AutoModelForCausalLM.from_pretrained(folder).eval()(tokens).logits
    torch.testing.assert_close(applied, merged, atol=1e-4, rtol=1e-4)
    assert (merged - before).abs().max() > 1e-3


def test_only_what_has_an_adapter_changes(world: World) -> None:
    """Embeddings and norms stay the base's to the bit, and every linear layer but the output is changed."""
    before = load_file(world.produce("sft") / "model.safetensors")
    after = load_file(adapted(world, "sft") / "model.safetensors")
    changed = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    linear = {name for name in before if "_proj" in name}
    assert linear == changed


def test_the_engine_scores_both_forms_alike(world: World) -> None:
    """A model with `adapter` and the merged candidate give the same log-likelihoods."""
    folder, base = adapted(world, "sft"), world.produce("sft")
    forms = {
        "merged": Local(path=str(folder)),
        "applied": Local(path=str(base), adapter=str(folder / "adapter")),
    }
    found = {}
    for name, source in forms.items():
        engine = open_engine(Model(name=name, source=source), device="cpu")
        found[name] = [dict(engine.loglikelihood(PAIRS))[place].logprob for place in range(len(PAIRS))]
        engine.close()
    assert found["merged"] == pytest.approx(found["applied"], abs=1e-4)


def test_a_reward_model_keeps_its_trained_head(world: World) -> None:
    """The head begins at random, so it is trained whole and belongs to the adapter."""
    learning = stage("reward", "pairs.jsonl", epochs=8, learning_rate=2e-2, adapter=ADAPTER)
    folder = world.produce("reward_adapter", pipeline("reward_adapter", "base", learning))
    tokens = torch.arange(3, 20)[None]
    fresh = AutoModelForSequenceClassification.from_pretrained(world.produce("base"), num_labels=1)
    with torch.inference_mode():
        applied = PeftModel.from_pretrained(fresh, folder / "adapter").eval()
        applied.config.pad_token_id = 0
        expected = applied(tokens).logits
        merged = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        assert 1 == merged.config.num_labels
        torch.testing.assert_close(expected, merged(tokens).logits, atol=1e-4, rtol=1e-4)


def test_a_stage_trained_before_there_were_adapters_stays_what_it_is(world: World) -> None:
    """An option that is not asked for is no part of a stage's identity."""
    [*_, without] = world.plan("sft")
    assert "adapter" not in without.settings.identifying()
    [*_, with_one] = world.plan("a", pipeline("a", "base", STAGES["sft"]))
    assert 4 == with_one.settings.identifying()["adapter"]["rank"]  # type: ignore[index,call-overload]


@pytest.mark.skipif(torch.cuda.is_available(), reason="here there is a GPU")
def test_quantising_without_a_gpu_is_refused(world: World) -> None:
    """With what to leave out."""
    asked = stage("sft", "sft.jsonl", adapter={**ADAPTER, "quantize": "4bit"})
    with pytest.raises(UsageError, match="leave `quantize` out"):
        world.produce("quantised", pipeline("quantised", "sft", asked))
