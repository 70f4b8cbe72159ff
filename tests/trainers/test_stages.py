"""Each kind of stage, trained for a moment: what it writes, what it is shown, and what it refuses."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.rloo_config import RLOOConfig

from harness.errors import DataError, ModelError, TrainingError, UsageError
from harness.records.models import Local, Model, Stage
from tests.trainers import rewarding
from tests.trainers.world import CLASSIFIER, World, pipeline, run_alone, same, stage, write_rows
from trainers import online, policy
from trainers.job import Job
from trainers.stage_settings import Grpo
from trainers.tokens import answer_ids, prompt_ids

GRPO: dict[str, Any] = {
    "steps": 2,
    "prompts_per_step": 4,
    "generations": 4,
    "max_new_tokens": 8,
    "learning_rate": 1e-3,
}
DPO: dict[str, Any] = {"learning_rate": 5e-4, "max_new_tokens": 8}
CASE = "tests.trainers.rewarding:case"


def metrics(folder: Path) -> dict[str, Any]:
    """What the manifest keeps of the training's numbers."""
    kept: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["metrics"]
    return kept


POLICIES = {
    "sft": stage("sft", "sft.jsonl", epochs=1),
    "grpo": stage("grpo", "prompts.jsonl", CASE, **GRPO),
    "rloo": stage("rloo", "prompts.jsonl", CASE, **GRPO),
    "dpo": stage("dpo", "pairs.jsonl", **DPO),
}


@pytest.mark.parametrize("kind", list(POLICIES))
def test_a_policy_is_a_candidate_in_hub_layout(world: World, kind: str) -> None:
    """Weights, tokenizer, template and a generation configuration that stops, readable by transformers."""
    folder = world.produce(f"{kind}_layout", pipeline(f"{kind}_layout", "sft", POLICIES[kind]))
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id
    assert model.config.use_cache


def test_pretraining_makes_a_whole_tokenizer(world: World) -> None:
    """Beginning, end and padding are three tokens, and a text is read with its beginning."""
    tokenizer = AutoTokenizer.from_pretrained(world.produce("base"))
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    assert 3 == len(special - {None})
    assert tokenizer.bos_token_id == tokenizer("Name a cat")["input_ids"][0]
    assert "Name a cät 猫" == tokenizer.decode(
        tokenizer("Name a cät 猫")["input_ids"], skip_special_tokens=True
    )
    assert "{% generation %}" in tokenizer.chat_template


def test_pretraining_learns(world: World) -> None:
    """The loss falls well below the uniform guess over the vocabulary."""
    kept = metrics(world.produce("base"))
    assert kept["loss"] < 5.0 < torch.log(torch.tensor(400.0)).item()


# ---------------------------------------------------------------- reward models


def test_a_reward_model_gives_one_number(world: World) -> None:
    """Its head has one label, and it has learned to tell the pairs apart."""
    folder = world.produce("reward")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert 1 == model.config.num_labels
    assert metrics(folder)["accuracy"] > 0.6


def test_a_policy_is_no_reward_model(world: World) -> None:
    """A causal model named as reward would get a random head; it is refused instead."""
    policy = Model(name="policy", source=Local(path=str(world.produce("sft"))))
    added = pipeline("wrong", "sft", stage("grpo", "prompts.jsonl", "policy", **GRPO))
    with pytest.raises(ModelError, match="is no reward model: it is a LlamaForCausalLM"):
        world.produce("wrong", added, models={"policy": policy})


# ---------------------------------------------------------------- GRPO and RLOO


def grpo(
    world: World,
    name: str,
    reward: str | None = CASE,
    data: str = "prompts.jsonl",
    kind: str = "grpo",
    **changed: Any,
) -> Path:
    """A candidate trained from `sft` against rewards."""
    name = f"{name}_{kind}"
    return world.produce(name, pipeline(name, "sft", stage(kind, data, reward, **{**GRPO, **changed})))


ONLINE = pytest.mark.parametrize("kind", ["grpo", "rloo"])


@ONLINE
def test_a_step_holds_several_prompts_and_groups_of_answers(world: World, kind: str) -> None:
    """`prompts_per_step` unique prompts, each with `generations` answers; one prompt alone would be noise."""
    rewarding.SHOWN.clear()
    grpo(world, "grpo_groups", steps=3, kind=kind)
    counts = [[row["prompts"].count(prompt) for prompt in row["prompts"]] for row in rewarding.SHOWN]
    assert [[4] * 16] * 3 == counts


@ONLINE
def test_prompts_are_rendered_unless_switched_off(world: World, kind: str) -> None:
    """With the template on, TRL gets messages; off, raw text."""
    rewarding.SHOWN.clear()
    grpo(world, "grpo_chat", steps=1, kind=kind)
    grpo(world, "grpo_raw", steps=1, chat_template=False, kind=kind)
    chat, raw = (row["prompts"][0] for row in rewarding.SHOWN)
    assert "user" == chat[0]["role"]
    assert isinstance(raw, str)


def test_columns_reach_the_reward_as_they_were_read(world: World) -> None:
    """Columns of any JSON type, also ones that differ from row to row, are not squeezed into a table."""
    rows = [
        {"prompt": f"Name {number}", "upper": True, "extra": {"n": number} if number % 2 else "none"}
        for number in range(8)
    ]
    write_rows(world.root / "mixed.jsonl", rows)
    rewarding.SHOWN.clear()
    grpo(world, "grpo_mixed", data="mixed.jsonl", steps=1)
    assert {True} == set(rewarding.SHOWN[0]["upper"])


@ONLINE
def test_the_kl_reference_is_the_base(world: World, kind: str) -> None:
    """Before the first update policy and reference are one: the KL is there, and zero."""
    assert 0.0 == pytest.approx(metrics(grpo(world, "grpo_kl", steps=1, kind=kind))["kl"], abs=1e-6)


@ONLINE
def test_several_rewards_are_weighted(world: World, kind: str) -> None:
    """A reward model and a function together, each with its weight."""
    rewards = [{"name": "reward", "weight": 0.5}, {"name": CASE, "weight": 2.0}]
    kept = metrics(grpo(world, "grpo_weighted", None, rewards=rewards, steps=1, kind=kind))
    (model,) = (
        value for name, value in kept.items() if name.startswith("rewards/reward-") and "mean" in name
    )
    assert kept["reward"] == pytest.approx(0.5 * model + 2.0 * kept["rewards/case/mean"], rel=1e-4)


def test_too_few_prompts_for_a_step_are_an_error(world: World) -> None:
    """TRL would train on nothing and say nothing."""
    write_rows(world.root / "few.jsonl", [{"prompt": "Name a cat", "upper": True}])
    with pytest.raises(DataError, match="1 prompts fit"):
        grpo(world, "grpo_few", data="few.jsonl")


def test_a_reward_function_that_is_not_there_is_an_error(world: World) -> None:
    """Both a missing module and a missing function are named."""
    with pytest.raises(UsageError, match="there is no module 'nowhere'"):
        grpo(world, "grpo_nowhere", "nowhere:reward")
    with pytest.raises(UsageError, match="nothing"):
        grpo(world, "grpo_nothing", "tests.trainers.rewarding:nothing")


# ---------------------------------------------------------------- DPO


def test_dpo_trains_on_the_tokens_that_are_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's own tokens equal ours: nothing doubled, nothing merged, the end included."""
    seen: list[dict[str, list[int]]] = []
    train = policy.train  # type: ignore[attr-defined]  # patched here

    def spy(job: Any, trainer: Any) -> Any:
        seen.append(trainer.train_dataset[0])
        return train(job, trainer)

    monkeypatch.setattr(policy, "train", spy)
    given = stage("dpo", "pairs.jsonl", beta=0.2, **DPO)
    folder = world.produce("dpo_tokens", pipeline("dpo_tokens", "sft", given))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    row = json.loads((world.root / "pairs.jsonl").read_text().splitlines()[0])
    prompt = [{"role": "user", "content": row["prompt"]}]
    expected = {
        "prompt_ids": prompt_ids(tokenizer, prompt, chat=True),
        "chosen_ids": answer_ids(tokenizer, prompt, row["chosen"], chat=True),
        "rejected_ids": answer_ids(tokenizer, prompt, row["rejected"], chat=True),
    }
    assert expected == {name: seen[0][name] for name in expected}


def test_own_answers_become_pairs_best_against_worst(world: World) -> None:
    """What the base itself answers is ranked; the chosen one is worth more in every pair."""
    on_policy = stage("dpo", "prompts.jsonl", CASE, on_policy=4, **DPO)
    folder = world.produce("dpo_own", pipeline("dpo_own", "sft", on_policy))
    lines = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    upper = {row["prompt"]: row["upper"] for row in map(json.loads, open_lines(world, "prompts.jsonl"))}
    assert lines
    for line in lines:
        big = upper[line["prompt"][0]["content"]]
        assert rewarding.share(line["chosen"], big) > rewarding.share(line["rejected"], big)


def open_lines(world: World, name: str) -> list[str]:
    """A source's lines."""
    return (world.root / name).read_text().splitlines()


def test_a_reward_model_ranks_too(world: World) -> None:
    """A pipeline that ends in a reward stage can rank the base's answers."""
    on_policy = stage("dpo", "prompts.jsonl", "reward", on_policy=4, loss=["sigmoid", "sft"], **DPO)
    kept = metrics(world.produce("dpo_ranked", pipeline("dpo_ranked", "sft", on_policy)))
    assert kept["rows"] > 0


def test_a_reward_that_tells_nothing_apart_is_an_error(world: World) -> None:
    """If all answers tie there is no pair; a missing number is no number."""
    for name, message in (("indifferent", "no pair can be learned"), ("silent", "gave no number")):
        reward = f"tests.trainers.rewarding:{name}"
        own = pipeline(name, "sft", stage("dpo", "prompts.jsonl", reward, on_policy=2, **DPO))
        with pytest.raises(TrainingError, match=message):
            world.produce(name, own)


# ---------------------------------------------------------------- all of them


SHORT: dict[str, tuple[str | None, Stage]] = {
    "pretrain": (None, stage("pretrain", "text.jsonl", epochs=1, layers=1, width=16, heads=2, max_length=32)),
    "sft": ("base", stage("sft", "sft.jsonl", epochs=1)),
    "reward": ("base", stage("reward", "pairs.jsonl", epochs=1)),
    "grpo": ("sft", stage("grpo", "prompts.jsonl", CASE, **GRPO)),
    "rloo": ("sft", stage("rloo", "prompts.jsonl", CASE, **GRPO)),
    "dpo": ("sft", stage("dpo", "prompts.jsonl", CASE, on_policy=2, **DPO)),
    "toxicity": (None, CLASSIFIER),
}


@pytest.mark.parametrize("kind", list(SHORT))
def test_the_same_seed_gives_the_same_weights(world: World, tmp_path: Path, kind: str) -> None:
    """A stage is a function of its inputs and the seed; another seed gives another candidate."""
    base, short = SHORT[kind]
    origin = None if base is None else str(world.produce(base))
    folders = [
        run_alone(world, short, origin, tmp_path / str(number), seed) for number, seed in enumerate((7, 7, 8))
    ]
    assert same(folders[0], folders[1])
    assert not same(folders[0], folders[2])


@pytest.mark.parametrize("data", ["sft.jsonl", "pairs.jsonl"])
def test_rows_that_do_not_fit_are_left_out_and_counted(world: World, data: str) -> None:
    """A cut answer would teach never to end; a stage of which no row fits says so."""
    kind = "sft" if data == "sft.jsonl" else "reward"
    with pytest.raises(DataError, match="no row fits into max_length = 2"):
        world.produce("short", pipeline("short", "base", stage(kind, data, max_length=2)))
    rows = [json.loads(line) for line in open_lines(world, "sft.jsonl")]
    write_rows(world.root / "long.jsonl", [*rows[:16], {"prompt": "a", "completion": "cat " * 300}])
    kept = metrics(
        world.produce("long", pipeline("long", "base", stage("sft", "long.jsonl", epochs=1, max_length=100)))
    )
    assert (16, 1) == (kept["rows"], kept["rows_too_long"])


def test_a_loss_that_is_no_number_ends_the_training(world: World) -> None:
    """A diverging training stops with what to change, and leaves no candidate."""
    wild = pipeline("wild", "base", stage("sft", "sft.jsonl", epochs=4, learning_rate=1e30, warmup=0))
    with pytest.raises(TrainingError, match="learning_rate"):
        world.produce("wild", wild)
    assert not (world.output / "wild").exists()


# ---------------------------------------------------------------- vLLM


def vllm_arguments(**asked: Any) -> dict[str, Any]:
    """What TRL's configuration is given for `vllm = { … }`, as far as it is about vLLM."""
    job = Job(
        kind="grpo",
        folder=Path("folder"),
        base="base",
        chat_template=None,
        data="prompts.jsonl",
        rows=[],
        rewards=(),
        settings=Grpo.model_validate({"vllm": asked}),
        seed=0,
    )
    return {name: value for name, value in online.arguments(job).items() if "vllm" in name}


def test_vllm_is_what_trl_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's own fields, with room for the longest prompt and answer; what is not asked for stays TRL's."""
    monkeypatch.setattr("trainers.online.find_spec", lambda name: name == "vllm")
    server = vllm_arguments(mode="server", url="http://localhost:8000")
    colocate = vllm_arguments(mode="colocate", memory=0.5, tensor_parallel=2)

    for reported in (server, colocate):
        assert reported.keys() <= {field.name for field in dataclasses.fields(GRPOConfig)}
        assert reported.keys() <= {field.name for field in dataclasses.fields(RLOOConfig)}
    assert {
        "use_vllm": True,
        "vllm_mode": "server",
        "vllm_server_base_url": "http://localhost:8000",
        "vllm_tensor_parallel_size": 1,
        "vllm_max_model_length": 1024 + 256,
    } == server
    assert ("colocate", 0.5, 2) == (
        colocate["vllm_mode"],
        colocate["vllm_gpu_memory_utilization"],
        colocate["vllm_tensor_parallel_size"],
    )


def test_vllm_that_is_not_installed_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr("trainers.online.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "harness\[vllm\]"'):
        grpo(world, "vllm", vllm={"mode": "colocate"})


def test_a_server_that_does_not_answer_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL waits for it, and then says so in its own way."""

    def unreachable(**reported: Any) -> None:
        raise requests.ConnectionError("The vLLM server can't be reached")

    monkeypatch.setattr("trainers.online.find_spec", lambda name: name == "vllm")
    monkeypatch.setitem(online.TRAINERS, "grpo", (unreachable, GRPOConfig))
    with pytest.raises(UsageError, match="http://localhost:1: no vLLM server answers"):
        grpo(world, "unreachable", vllm={"mode": "server", "url": "http://localhost:1"})
