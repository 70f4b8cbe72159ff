"""How far a stage moved: its weights by a known distance, its answers to the same prompts every time."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.movement import Movement, movement
from harness.records.models import Stage
from tests.trainers.test_adapters import ADAPTER
from tests.trainers.test_stages import CASE, DPO, GRPO, metrics
from tests.trainers.world import World, pipeline, stage, weights, write_rows
from trainers.measure_movement import OTHERS, PROMPTS, in_fixed_order, weight_change

STAGES: dict[str, Stage] = {
    "sft": stage("sft", "sft.jsonl", epochs=1, learning_rate=2e-2),
    "adapter": stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-2, adapter=ADAPTER),
    "dpo": stage("dpo", "pairs.jsonl", epochs=2, learning_rate=1e-2),
    "grpo": stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "learning_rate": 1e-2}),
    "own": stage("dpo", "prompts.jsonl", CASE, on_policy=2, **{**DPO, "learning_rate": 1e-2}),
}
WIDE: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2, "max_length": 160}
WIDE_SFT: dict[str, Any] = {"epochs": 1, "learning_rate": 2e-2, "max_length": 160}
"""A model that reads whole sentences, letter by letter."""
IDLE: dict[str, Stage] = {
    "sft": stage("sft", "sft.jsonl", epochs=1, learning_rate=1e-8),
    "adapter": stage("sft", "sft.jsonl", epochs=1, learning_rate=1e-7, adapter=ADAPTER),
    "dpo": stage("dpo", "pairs.jsonl", learning_rate=1e-8),
    "grpo": stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "learning_rate": 1e-8}),
}


def measured(world: World, name: str, asked: Stage, base: str = "sft") -> Movement:
    """What the manifest says of a stage that is trained."""
    found = movement(metrics(world.produce(name, pipeline(name, base, asked))))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", list(STAGES))
def test_a_stage_that_learns_moves(world: World, kind: str) -> None:
    """Its weights, and more than a few of its greedy answers."""
    found = measured(world, f"moves_{kind}", STAGES[kind])

    assert found.weights is not None
    assert found.weights > 1e-4
    assert PROMPTS == found.prompts
    assert not found.is_almost_nothing
    assert (kind == "grpo", kind in ("dpo", "own")) == (found.kl is not None, found.margin is not None)


@pytest.mark.parametrize("kind", list(IDLE))
def test_a_rate_that_is_far_too_low_moves_nothing(world: World, kind: str) -> None:
    """All answers are the base's, although every weight that is trained has changed."""
    found = measured(world, f"idle_{kind}", IDLE[kind])

    assert (PROMPTS, 0) == (found.prompts, found.answers_changed)
    assert found.is_almost_nothing
    assert found.weights is not None
    assert found.weights < 1e-6


def test_a_reward_model_moves_in_its_weights_only(world: World) -> None:
    """It writes no answers; its new head, and the layer it has in place of the base's, are left out."""
    found = movement(metrics(world.produce("reward")))

    assert found is not None
    assert found.weights is not None
    assert found.weights > 1e-3
    assert (0, False) == (found.prompts, found.is_almost_nothing)
    base, reward = (weights(world.produce(name)).keys() for name in ("base", "reward"))
    assert (len(base & reward), len(base ^ reward)) == (found.tensors, found.tensors_left_out)
    assert found.tensors_left_out > 0


# ---------------------------------------------------------------- weights


def model(folder: Path, tensors: dict[str, list[float]], file: str = "model.safetensors") -> Path:
    """A folder with these weights."""
    folder.mkdir(exist_ok=True)
    save_file({name: torch.tensor(values) for name, values in tensors.items()}, folder / file)
    return folder


def test_the_change_of_weights_is_relative_to_all_of_them(tmp_path: Path) -> None:
    """norm(new - old) / norm(old) over what both have in one shape, the rest counted."""
    old = model(tmp_path / "old", {"a": [3.0, 0.0], "b": [0.0, 4.0], "gone": [9.0], "wider": [1.0]})
    new = model(tmp_path / "new", {"a": [3.0, 1.0], "b": [0.0, 4.0], "head": [9.0], "wider": [1.0, 1.0]})

    assert (pytest.approx(1 / 5), 2, 4) == weight_change(old, new)
    assert (0.0, 4, 0) == weight_change(old, old)


def test_tensors_are_found_in_shards_and_without_their_prefix(tmp_path: Path) -> None:
    """A base of several files, saved as the part of the model without its output layer."""
    old = model(tmp_path / "old", {"h.0": [3.0]}, "model-1.safetensors")
    model(old, {"h.1": [4.0]}, "model-2.safetensors")
    index = '{"weight_map": {"h.0": "model-1.safetensors", "h.1": "model-2.safetensors"}}'
    (old / "model.safetensors.index.json").write_text(index)
    new = model(tmp_path / "new", {"transformer.h.0": [3.0], "transformer.h.1": [4.5]})

    assert (pytest.approx(0.1), 2, 0) == weight_change(old, new)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    """A base of before safetensors has no number for its weights."""
    old = tmp_path / "old"
    old.mkdir()
    (old / "pytorch_model.bin").write_bytes(b"never read")

    assert (None, 0, 1) == weight_change(old, model(tmp_path / "new", {"a": [1.0]}))


# ---------------------------------------------------------------- prompts


def test_prompts_are_the_same_ones_every_time() -> None:
    """Each once, whatever the order of the rows."""
    rows: list[list[dict[str, Any]]] = [[{"role": "user", "content": f"Name {n}"}] for n in range(50)]
    shuffled = Random(1).sample(rows, 50)

    found = list(in_fixed_order([*rows, *rows]))
    assert found == list(in_fixed_order(shuffled))
    assert len(found) == len(rows)
    assert found != rows


def test_prompts_of_others_are_answered_too(world: World) -> None:
    """By a model that reads enough for them, beside as many of the stage's own: either can stay as it is."""
    stages = stage("pretrain", "text.jsonl", epochs=1, **WIDE), stage("sft", "sft.jsonl", **WIDE_SFT)
    found = movement(metrics(world.produce("wide", pipeline("wide", None, *stages))))

    assert found is not None
    assert (PROMPTS, len(OTHERS)) == (found.prompts, found.others)
    assert 0 < found.others_changed < found.answers_changed


def test_where_no_prompt_is_short_enough_nothing_is_asked(world: World) -> None:
    """Prompt and answer together are to fit into `max_length`, as the model may read no more."""
    rows = [{"prompt": "Name a cat and a dog, please. " * 3, "completion": "cat"}] * 8
    write_rows(world.root / "crowded.jsonl", rows)
    found = measured(world, "crowded", stage("sft", "crowded.jsonl", epochs=1, max_length=60))

    assert (0, False) == (found.prompts, found.is_almost_nothing)
