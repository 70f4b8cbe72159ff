"""`kill -9` at random moments of a whole pipeline's training: it resumes, and every stage ends the same."""

import json
import os
import random
import time
from contextlib import chdir
from pathlib import Path

import pytest

from harness.cli import main
from tests.processes import command
from tests.trainers.world import World, same

KILLS = int(os.environ.get("HARNESS_TEST_KILLS", "1"))
"""The README's figure was made with 10."""

PROJECT = """
[pipelines.base]
[[pipelines.base.stages]]
kind = "pretrain"
data = ["text.jsonl"]
epochs = 4
layers = 1
width = 16
heads = 2
intermediate = 32
vocabulary = 400
max_length = 32
batch_size = 8

[pipelines.sft]
base = "base"
[[pipelines.sft.stages]]
kind = "sft"
data = ["sft.jsonl"]
epochs = 4
learning_rate = 5e-3

[pipelines.reward]
base = "sft"
[[pipelines.reward.stages]]
kind = "reward"
data = ["pairs.jsonl"]
epochs = 2

[pipelines.grpo_dpo]
base = "sft"
[[pipelines.grpo_dpo.stages]]
kind = "grpo"
data = ["prompts.jsonl"]
reward = "reward"
steps = 8
prompts_per_step = 2
generations = 4
max_new_tokens = 8
checkpoint_steps = 3
[[pipelines.grpo_dpo.stages]]
kind = "dpo"
data = ["pairs.jsonl"]
epochs = 4
save_every = "0.1 s"
[[pipelines.grpo_dpo.stages]]
kind = "sft"
data = ["sft.jsonl"]
epochs = 2
adapter = { rank = 4 }
[[pipelines.grpo_dpo.stages]]
kind = "rloo"
data = ["prompts.jsonl"]
reward = "reward"
steps = 8
prompts_per_step = 2
generations = 4
max_new_tokens = 8
checkpoint_steps = 3
"""

COMMAND = ["train", "grpo_dpo"]


def test_a_killed_training_ends_with_the_same_candidates(tmp_path: Path) -> None:
    """Killed at random moments and started again, every stage has the uninterrupted one's weights to the bit.

    A stage that was finished before a kill is not trained again: its manifest is the one it had.
    """
    whole, killed = _project(tmp_path / "whole"), _project(tmp_path / "killed")
    began = time.monotonic()
    with chdir(whole), pytest.raises(SystemExit, match="0"):
        main(COMMAND)
    duration = time.monotonic() - began

    finished: dict[str, str] = {}
    for moment in range(KILLS):
        training = command(COMMAND, killed)
        training.wait(duration * random.Random(moment).uniform(0.2, 1.0))
        training.kill()
        assert finished.items() <= _finished(killed).items()
        finished = _finished(killed)
    assert 0 == command(COMMAND, killed).wait()

    assert finished.items() <= _finished(killed).items()
    assert _finished(whole).keys() == _finished(killed).keys()
    assert 7 == len(_finished(killed))
    for stage in _finished(whole):
        assert same(whole / "candidates/stages" / stage, killed / "candidates/stages" / stage), stage


def _project(folder: Path) -> Path:
    folder.mkdir()
    World(folder)  # writes the data
    (folder / "harness.toml").write_text(PROJECT)
    return folder


def _finished(project: Path) -> dict[str, str]:
    """When each stage that is whole was finished, by its folder's name."""
    manifests = (project / "candidates/stages").glob("*/manifest.json")
    return {
        file.parent.name: json.loads(file.read_text("utf-8"))["finished"]
        for file in manifests
        if not file.parent.name.endswith(".partial")
    }
