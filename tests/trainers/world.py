"""A world small enough to train in within a second: names of things, in upper or lower case."""

import json
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file

from harness.records.models import Json, Pipeline, Stage
from trainers.job import Job, RewardSource
from trainers.pipeline import produce
from trainers.planning import PlanContext, PlannedStage, plan
from trainers.reading import read
from trainers.stage_settings import STAGE_SETTINGS, ToxicityTraining
from trainers.stages import run

THINGS = ("hammer", "saw", "drill", "apple", "pear", "plum", "red", "blue", "green", "cat", "dog", "cow")
CONTEXT = {"models", "output", "seed", "root", "mix"}
"""What of a world's project a test can change."""
TINY: dict[str, Json] = {
    "layers": 1,
    "width": 16,
    "heads": 2,
    "intermediate": 32,
    "vocabulary": 400,
    "max_length": 32,
    "batch_size": 8,
    "learning_rate": 1e-2,
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """A JSONL file."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def beastly(text: str) -> int:
    """Whether an animal is in a text."""
    return int(any(animal in text.lower() for animal in ("cat", "dog", "cow")))


def stage(kind: str, data: str, reward: str | None = None, **settings: Json) -> Stage:
    """A stage with one source."""
    return Stage(kind=kind, data=(data,), reward=reward, settings=settings)


def pipeline(name: str, base: str | None, *stages: Stage) -> Pipeline:
    """A pipeline, shortly."""
    return Pipeline(name=name, base=base, stages=stages)


CLASSIFIER = stage(
    "toxicity",
    "toxic.jsonl",
    layers=1,
    width=32,
    vocabulary=300,
    epochs=12,
    batch_size=8,
    learning_rate=5e-3,
)
"""From nothing, with enough steps to learn which texts have an animal in them."""


class World:
    """A project's folder with data, pipelines and what was trained from them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = root / "candidates"
        random = Random(0)
        tasks = []
        for _ in range(48):
            things, upper = random.sample(THINGS, 2), random.random() < 0.5
            answer = " and ".join(things)
            better, worse = (answer.upper(), answer) if upper else (answer, answer.upper())
            prompt = f"Name {things[0]} and {things[1]} in {'upper' if upper else 'lower'} case."
            tasks.append((prompt, better, worse, upper))
        write_rows(root / "text.jsonl", [{"text": f"{prompt} {better}."} for prompt, better, _, _ in tasks])
        write_rows(root / "sft.jsonl", [{"prompt": task[0], "completion": task[1]} for task in tasks])
        pairs = [{"prompt": task[0], "chosen": task[1], "rejected": task[2]} for task in tasks]
        write_rows(root / "pairs.jsonl", pairs)
        write_rows(root / "prompts.jsonl", [{"prompt": task[0], "upper": task[3]} for task in tasks])
        write_rows(root / "toxic.jsonl", [{"text": task[1], "toxicity": beastly(task[1])} for task in tasks])
        self.pipelines = {
            entry.name: entry
            for entry in (
                pipeline("base", None, stage("pretrain", "text.jsonl", epochs=12, **TINY)),
                pipeline("sft", "base", stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3)),
                pipeline("reward", "base", stage("reward", "pairs.jsonl", epochs=8, learning_rate=5e-3)),
            )
        }

    def produce(self, name: str, added: Pipeline | None = None, **others: Any) -> Path:
        """Train a pipeline of this world, or one more on top of them."""
        own = {name: others.pop(name) for name in CONTEXT & others.keys()}
        return produce(self.context(added, **own), name, **others)

    def plan(self, name: str, added: Pipeline | None = None, **others: Any) -> list[PlannedStage]:
        """What `produce` would do."""
        return plan(self.context(added, **others), name)

    def context(self, *added: Pipeline | None, **others: Any) -> PlanContext:
        """This world's pipelines and further ones, which may replace one; the rest is a test's to change."""
        pipelines = {**self.pipelines, **{each.name: each for each in added if each is not None}}
        here: dict[str, Any] = {"models": {}, "output": self.output, "seed": 0, "root": self.root}
        return PlanContext(pipelines=pipelines, **{**here, **others})


def run_alone(
    world: World, alone: Stage, origin: str | None, folder: Path, seed: int = 0, **job: Any
) -> Path:
    """Train a stage outside any pipeline, with its one source and a function as reward."""
    folder.mkdir(exist_ok=True)
    settings = STAGE_SETTINGS[alone.kind].model_validate(alone.settings)
    if isinstance(settings, ToxicityTraining):
        settings = settings.starting(from_base=origin is not None)
    reward = RewardSource(source=alone.reward, is_function=True) if alone.reward else None
    run(
        Job(
            kind=alone.kind,
            folder=folder,
            base=origin,
            chat_template=None,
            data=alone.data[0],
            rows=read(alone.data[0], world.root).rows,
            rewards=(reward,) if reward else (),
            settings=settings,
            seed=seed,
            **job,
        )
    )
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """A candidate's weights by name."""
    return load_file(folder / "model.safetensors")


def same(left: Path, right: Path) -> bool:
    """Whether two candidates have equal weights, bit by bit."""
    one, other = weights(left), weights(right)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
