"""What a command says of stages: before one is trained, and when the doctor is asked."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from harness.cli.doctor import show
from harness.cli.terminal import console
from harness.errors import UsageError
from harness.verbs.doctor import diagnose
from harness.verbs.progress import Progress
from harness.verbs.project import Project, open_project
from tests.trainers.world import THINGS, World, write_rows
from trainers.doctor.findings import Examination, RowPiece

PROJECT = """
[compare]
suites = ["toy-ifeval"]

[models.service]
endpoint = "http://localhost:1/v1"
model = "served"

[models.missing]
path = "nowhere"

[pipelines.base]
[[pipelines.base.stages]]
kind = "pretrain"
data = ["text.jsonl"]
epochs = 12
layers = 1
width = 16
heads = 2
intermediate = 32
vocabulary = 400
max_length = 32
batch_size = 8
learning_rate = 1e-2

[pipelines.judge]
base = "base"
[[pipelines.judge.stages]]
kind = "reward"
data = ["shouted.jsonl"]
epochs = 3
batch_size = 4
learning_rate = 5e-3

[pipelines.grpo]
base = "base"
[[pipelines.grpo.stages]]
kind = "grpo"
data = ["prompts.jsonl"]
reward = "judge"
steps = 2
prompts_per_step = 4
generations = 4
max_new_tokens = 8
learning_rate = 1e-3
checkpoint_steps = 1
"""


@pytest.fixture
def project(world: World, tmp_path: Path) -> Project:
    """The world as a user has it, with a pretrained base."""
    root = tmp_path / "project"
    shutil.copytree(world.root, root, ignore=shutil.ignore_patterns("candidates"))
    rows = [{"prompt": f"Name {one}", "chosen": one, "rejected": one.upper()} for one in THINGS * 4]
    write_rows(root / "shouted.jsonl", rows)
    (root / "harness.toml").write_text(PROJECT)
    opened = open_project(root / "harness.toml", strict=True)
    opened.train("base", Progress())
    return opened


def test_strict_stops_at_a_reward_model_no_better_than_chance(project: Project) -> None:
    """It is run on its pairs before the first stage that would learn from it."""
    folder = project.train("judge", Progress())
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.nn.init.zeros_(model.score.weight)
    model.save_pretrained(folder)

    with pytest.raises(UsageError, match=r"pipelines.grpo.stages\[0\] was not trained: .*better than chance"):
        project.train("grpo", Progress())
    assert not project.has_candidate("grpo")


def test_strict_trains_on_a_good_one(project: Project) -> None:
    """What it found is known for the next stage."""
    project.train("grpo", Progress())

    [found] = project.accuracies.values()
    assert found.interval.low > 0.5


def test_without_names_everything_is_looked_at(project: Project) -> None:
    """What cannot be is said; one that is asked for by its name is an error."""
    examined = {each.name: each for each in diagnose(project)}

    assert ["base · pretrain", "judge · reward", "grpo · grpo", "service", "missing"] == list(examined)
    assert "it has no files that could be looked at" in str(examined["service"].left_out)
    assert "nowhere" in str(examined["missing"].left_out)
    with pytest.raises(UsageError, match="nowhere"):
        diagnose(project, ["missing"])


def test_what_is_learned_shows_without_colour() -> None:
    """In a pipe, or with NO_COLOR: every part stands beside its name, and whether it is learned."""
    pieces = (
        RowPiece(text="<|user|>Name\na cat", learned=False, part="prompt"),
        RowPiece(text="cat<|end|>", learned=True, part="chosen"),
        RowPiece(text="dog<|end|>", learned=True, part="rejected"),
    )
    with console.capture() as captured:
        show(Examination(name="dpo · dpo", findings=(), shown=pieces))

    assert [
        "dpo · dpo",
        "  prompt:            <|user|>Name⏎",
        "                     a cat",
        "  chosen, learned:   cat<|end|>",
        "  rejected, learned: dog<|end|>",
        "  nothing found",
    ] == [line.rstrip() for line in captured.get().splitlines()]
