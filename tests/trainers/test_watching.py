"""What is kept of a training: its numbers step by step, some of its answers, and what services receive."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from tests.trainers.test_stages import CASE, GRPO
from tests.trainers.world import World, pipeline, stage
from trainers import completions, history

LOGGED = {
    "sft": ("loss", "learning_rate"),
    "reward": ("loss", "accuracy"),
    "grpo": ("reward", "kl", "completions/mean_length", "rewards/case/mean"),
    "rloo": ("reward", "kl", "completions/mean_length", "rewards/case/mean"),
    "dpo": ("loss", "rewards/margins"),
}
STAGES: dict[str, tuple[str, Any]] = {
    "sft": ("base", stage("sft", "sft.jsonl", epochs=4)),
    "reward": ("base", stage("reward", "pairs.jsonl", epochs=4)),
    "grpo": ("sft", stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "steps": 11, "completions_every": 5})),
    "rloo": ("sft", stage("rloo", "prompts.jsonl", CASE, **{**GRPO, "steps": 11, "completions_every": 5})),
    "dpo": ("sft", stage("dpo", "pairs.jsonl", epochs=4)),
}


def watched(world: World, kind: str) -> Path:
    """A candidate of a stage of this kind."""
    base, asked = STAGES[kind]
    return world.produce(f"watched_{kind}", pipeline(f"watched_{kind}", base, asked))


@pytest.mark.parametrize("kind", list(STAGES))
def test_every_kind_keeps_its_numbers(world: World, kind: str) -> None:
    """Each as often as it is logged, every tenth step and the last, and all of them numbers."""
    kept = history.read(watched(world, kind))

    steps = [point["step"] for point in kept]
    assert sorted(set(steps)) == steps
    assert {10, max(steps)} <= set(steps)
    assert set(LOGGED[kind]) <= kept[-1].keys()
    json.dumps(kept, allow_nan=False)


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_answers_are_kept_every_so_many_steps(world: World, kind: str) -> None:
    """One for each prompt of the step, with what it was rewarded; keeping them is no reward."""
    folder = watched(world, kind)
    kept = completions.read(folder)

    assert [0] * 4 + [5] * 4 + [10] * 4 == [line["step"] for line in kept]
    for line in kept:
        assert isinstance(line["completion"], str)
        assert 0 <= line["rewards"]["case"] <= 1
    for point in history.read(folder):
        assert not [name for name in point if "keep_completions" in name]


def test_a_step_that_is_done_again_keeps_its_first_answers(tmp_path: Path) -> None:
    """A training that goes on from a checkpoint repeats the steps after it."""
    keeper = completions.CompletionLog(tmp_path, 1)
    for answer in ("first", "again"):
        keeper.keep(0, prompts=["a"], completions=[answer], rewards={})

    assert ["first"] == [line["completion"] for line in completions.read(tmp_path)]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    """What was written before it is there."""
    (tmp_path / completions.FILE).write_text('{"step": 0, "completion": "a"}\n{"step": 0, "compl')

    assert [{"step": 0, "completion": "a"}] == completions.read(tmp_path)


def test_long_trainings_are_thinned(tmp_path: Path) -> None:
    """At most so many points, evenly, and always the last."""
    history.write(tmp_path, [{"step": step, "loss": 1.0} for step in range(1, 1235)])
    steps = [point["step"] for point in history.read(tmp_path)]

    assert history.AT_MOST >= len(steps) > history.AT_MOST / 2
    assert 1234 == steps[-1]
    assert 1 == len({later - earlier for earlier, later in pairwise(steps)})


def test_tensorboard_is_reported(world: World) -> None:
    """Its event files lie beside the checkpoints; who receives it is no part of what the candidate is."""
    asked = stage("sft", "sft.jsonl", epochs=1, learning_rate=7e-4, report_to=["tensorboard"])
    silent = stage("sft", "sft.jsonl", epochs=1, learning_rate=7e-4)
    folder = world.produce("reported", pipeline("reported", "base", asked))

    assert list(folder.glob("checkpoints/runs/**/events.out.tfevents.*"))
    [*_, planned] = world.plan("untold", pipeline("untold", "base", silent))
    assert planned.folder == folder


def test_a_service_without_its_library_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded, with what to install."""
    monkeypatch.setattr("trainers.training.find_spec", lambda name: None)
    asked = stage("sft", "sft.jsonl", epochs=1, learning_rate=8e-4, report_to=["wandb"])
    with pytest.raises(UsageError, match="pip install wandb"):
        world.produce("refused", pipeline("refused", "base", asked))
