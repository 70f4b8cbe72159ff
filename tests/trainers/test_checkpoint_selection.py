"""The choice of a checkpoint: every one is measured, the best becomes the candidate, its curve is kept."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from harness.errors import ConfigError, TrainingError, UsageError
from harness.records.models import Local, Model, Stage
from harness.registry import load
from suites.catalogue import suite_settings
from tests.tiny_models import tiny_llama
from tests.trainers.test_adapters import ADAPTER
from tests.trainers.test_pipeline import Interrupted
from tests.trainers.test_stages import CASE, DPO, GRPO
from tests.trainers.world import World, pipeline, stage, weights, write_rows
from trainers import checkpoint_metrics
from trainers.checkpoint_metrics import CheckpointMetrics, best_of
from trainers.checkpoint_selection import selection_prompts
from trainers.doctor.examination import examine
from trainers.holdout import prompt_key
from trainers.job import SuiteScore
from trainers.overoptimisation import over_optimised
from trainers.planning import plan
from trainers.reading import read
from trainers.settings import CheckpointSelection
from trainers.stage_settings import STAGE_SETTINGS

BY_LOSS = {"by": "loss", "holdout": 0.25}
BY_REWARD = {"by": "reward", "reward": CASE, "prompts": "prompts.jsonl", "count": 8, "max_new_tokens": 8}
CHOSEN: dict[str, tuple[str, Stage]] = {
    "sft": ("base", stage("sft", "sft.jsonl", epochs=4, learning_rate=2e-2, select={**BY_LOSS, **BY_REWARD})),
    "dpo": ("sft", stage("dpo", "pairs.jsonl", epochs=3, select=BY_LOSS, **DPO)),
    "reward": ("base", stage("reward", "pairs.jsonl", epochs=4, learning_rate=5e-2, select=BY_LOSS)),
    "grpo": (
        "sft",
        stage("grpo", "prompts.jsonl", CASE, select=BY_REWARD, **{**GRPO, "steps": 5, "checkpoint_steps": 2}),
    ),
    "adapter": (
        "sft",
        stage("sft", "sft.jsonl", epochs=3, learning_rate=5e-2, adapter=ADAPTER, select=BY_LOSS),
    ),
}


def chosen(world: World, kind: str) -> Path:
    """The candidate of a stage that chooses."""
    base, asked = CHOSEN[kind]
    return world.produce(f"chosen_{kind}", pipeline(f"chosen_{kind}", base, asked))


def metrics_of(folder: Path) -> dict[str, Any]:
    """What the manifest says of the choice."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["metrics"]["selected"]
    return found


@pytest.mark.parametrize("kind", list(CHOSEN))
def test_the_best_checkpoint_is_the_candidate(world: World, kind: str) -> None:
    """By the measure that was named, over every checkpoint that was kept; nothing else is left behind."""
    folder = chosen(world, kind)
    reported, curve = metrics_of(folder), checkpoint_metrics.curve(folder)
    by = reported["by"]
    kept = sorted(int(path.name.split("-")[1]) for path in (folder / "checkpoints").glob("checkpoint-*"))

    assert kept == [each["step"] for each in curve]
    best = (min if by == "loss" else max)(each[by] for each in curve)  # type: ignore[type-var]
    assert reported["step"] == next(each["step"] for each in curve if each[by] == best)
    assert not (folder / "scored").exists()


@pytest.mark.parametrize("kind", ["sft", "dpo", "reward", "grpo"])
def test_its_weights_are_the_candidates(world: World, kind: str) -> None:
    """To the bit."""
    folder = chosen(world, kind)
    then = load_file(folder / f"checkpoints/checkpoint-{metrics_of(folder)['step']}/model.safetensors")
    now = weights(folder)
    assert all(torch.equal(then[name], weight) for name, weight in now.items())


def test_an_adapter_is_the_chosen_checkpoints(world: World) -> None:
    """Checkpoints of adapters hold the adapter alone, and the candidate is the base with it."""
    folder = chosen(world, "adapter")
    then = load_file(
        folder / f"checkpoints/checkpoint-{metrics_of(folder)['step']}/adapter_model.safetensors"
    )
    now = load_file(folder / "adapter/adapter_model.safetensors")
    assert then.keys() == now.keys()
    assert all(torch.equal(then[name], weight) for name, weight in now.items())


def test_every_measure_that_is_named_is_kept(world: World) -> None:
    """Also the ones that do not decide, and the loss is that of rows that were not learned."""
    folder = chosen(world, "sft")
    metrics = json.loads((folder / "manifest.json").read_text())["metrics"]
    assert all({"step", "loss", "reward"} == each.keys() for each in checkpoint_metrics.curve(folder))
    assert 48 == metrics["rows"] + metrics["rows_held_out"]
    assert "reward" == metrics["selected"]["by"]


def test_a_worse_last_checkpoint_is_not_taken(world: World) -> None:
    """A rate at which the held-out loss rises again: an earlier checkpoint is the candidate."""
    asked = stage("sft", "sft.jsonl", epochs=8, learning_rate=6e-2, schedule="constant", select=BY_LOSS)
    reported = metrics_of(world.produce("overfitted", pipeline("overfitted", "base", asked)))
    assert reported["step"] < reported["last"]


def test_prompts_are_the_same_for_every_caller(world: World) -> None:
    """Each text once, as many as are wanted, by the seed and not by their order."""
    rows = list(read("prompts.jsonl", world.root).rows)
    select = CheckpointSelection(by="reward", reward=CASE, prompts="prompts.jsonl", count=8)
    asked = selection_prompts(select, [*rows, *rows])
    assert 8 == len({prompt_key(each.prompt) for each in asked.values()})
    again = selection_prompts(select, rows[::-1])
    assert {key: each.prompt for key, each in asked.items()} == {
        key: each.prompt for key, each in again.items()
    }
    assert asked.keys() != selection_prompts(select.model_copy(update={"seed": 1}), rows).keys()


def test_an_interrupted_choice_goes_on(world: World) -> None:
    """What was measured before is not measured again, and the outcome is the same."""
    asked = stage("sft", "sft.jsonl", epochs=4, learning_rate=1.9e-2, select=BY_REWARD)

    def stop(progress: Any) -> None:
        if progress.total == 4 and progress.step == 2:
            raise Interrupted

    added = pipeline("cut", "base", asked)
    with pytest.raises(Interrupted):
        world.produce("cut", added, on_progress=stop)
    partial = world.plan("cut", added)[-1].partial
    before = (partial / checkpoint_metrics.FILE).read_text().splitlines()
    assert 2 == len(before)
    marked = [json.loads(line) | {"reward": 9.0 - place} for place, line in enumerate(before)]
    (partial / checkpoint_metrics.FILE).write_text("".join(f"{json.dumps(line)}\n" for line in marked))
    reported = metrics_of(world.produce("cut", added))
    assert (json.loads(before[0])["step"], 4) == (reported["step"], reported["checkpoints"])


# ---------------------------------------------------------------- suites


def test_a_suite_is_asked_through_what_is_handed_down(world: World) -> None:
    """Each checkpoint as a whole candidate; where less is better the lowest score is best."""
    asked: list[Path] = []

    def score(candidate: Model, select: CheckpointSelection) -> SuiteScore:
        assert isinstance(candidate.source, Local)
        folder = Path(candidate.source.path)
        assert {"config.json", "tokenizer.json", "generation_config.json"} <= {
            p.name for p in folder.iterdir()
        }
        asked.append(folder)
        values = {"a": abs(len(asked) - 2.0), "b": 0.0}
        return SuiteScore(
            metric="rude", higher_is_better=False, values=values, conditions={"place": len(asked)}
        )

    chooses = stage(
        "sft", "sft.jsonl", epochs=3, learning_rate=1.8e-2, select={"by": "suite", "suite": "manners"}
    )
    folder = world.produce("asked", pipeline("asked", "base", chooses), score=score)

    assert 3 == len(asked)
    assert [0.5, 0.0, 0.5] == [each["suite"] for each in checkpoint_metrics.curve(folder)]
    steps = [each["step"] for each in checkpoint_metrics.curve(folder)]
    reported = metrics_of(folder)
    assert (steps[1], "manners rude", {"place": 2}) == (
        reported["step"],
        reported["by"],
        reported["conditions"],
    )


def test_training_alone_asks_no_suite(world: World) -> None:
    """Said before anything is trained."""
    chooses = stage("sft", "sft.jsonl", learning_rate=1.7e-2, select={"by": "suite", "suite": "manners"})
    with pytest.raises(UsageError, match=r"stages\[0\].select.suite: training alone runs no suites"):
        world.produce("alone", pipeline("alone", "base", chooses))


def test_a_suite_without_scores_is_reported(world: World) -> None:
    """A choice among nothing is none."""
    chooses = stage("sft", "sft.jsonl", epochs=1, learning_rate=1.6e-2, select={"by": "suite", "suite": "m"})
    none = SuiteScore(metric="rude", higher_is_better=True, values={})
    with pytest.raises(TrainingError, match="no score on any of the samples that select"):
        world.produce("none", pipeline("none", "base", chooses), score=lambda candidate, select: none)


# ---------------------------------------------------------------- settings and identity


@pytest.mark.parametrize(
    ("kind", "select", "message"),
    [
        ("sft", {"by": "loss"}, "needs `holdout`"),
        ("sft", {"by": "reward", "reward": "r"}, "needs `prompts`"),
        ("sft", {"by": "suite"}, "needs `suite`"),
        ("sft", {"by": "loss", "holdout": 0.1, "prompts": "p"}, "need each other"),
        ("sft", {"by": "loss", "holdout": 0.1, "metric": "m"}, "needs the `suite`"),
        ("sft", {"by": "los"}, "Input should be 'loss', 'reward' or 'suite'"),
        ("reward", {"by": "suite", "suite": "s"}, "a reward model writes no answers"),
        ("grpo", {"by": "loss", "holdout": 0.1}, "a loss on fresh answers"),
    ],
)
def test_what_cannot_select_is_refused(kind: str, select: Mapping[str, Any], message: str) -> None:
    """At load, not after the training."""
    with pytest.raises(ValidationError, match=message):
        STAGE_SETTINGS[kind].model_validate({"select": select})


def test_what_selects_is_part_of_what_a_stage_is(world: World) -> None:
    """Another seed, other prompts or another reward choose anew."""
    write_rows(world.root / "other_prompts.jsonl", [{"prompt": "Name a cat in upper case.", "upper": True}])
    asked = [
        BY_REWARD,
        {**BY_REWARD, "seed": 1},
        {**BY_REWARD, "prompts": "other_prompts.jsonl"},
        {**BY_REWARD, "reward": "reward"},
        None,
    ]
    settings = [{} if each is None else {"select": each} for each in asked]
    plans = [
        world.plan("p", pipeline("p", "base", stage("sft", "sft.jsonl", epochs=1, **each)))
        for each in settings
    ]
    assert 5 == len({stages[-1].folder for stages in plans})
    assert "reward" in [each.kind for each in plans[3]]
    assert "selecting" not in plans[4][-1].inputs


def test_how_candidates_are_asked_is_part_of_what_selects(world: World) -> None:
    """A suite asks them like the model that the chain begins with; a reward does not ask them so."""
    by_suite = {"by": "suite", "suite": "m"}
    pipelines = (
        pipeline("first", "one", stage("sft", "sft.jsonl", select=by_suite)),
        pipeline("second", "first", stage("dpo", "pairs.jsonl", select=by_suite)),
        pipeline("third", "first", stage("dpo", "pairs.jsonl", select=BY_REWARD)),
    )
    tiny_llama(world.root / "one")
    plain = Model(name="one", source=Local(path=str(world.root / "one")))
    folders = []
    for model, manner in ((plain, None), (replace(plain, system="Be brief."), {"system": "Be brief."})):
        for name in ("first", "second", "third"):
            [*_, last] = plan(world.context(*pipelines, models={"one": model}), name)
            folders.append(last.folder)
            assert (None if name == "third" else manner) == last.inputs["selecting"].get("manner")
    assert 6 == len(set(folders))


# ---------------------------------------------------------------- over-optimisation


def curve(
    rewards: list[float], losses: list[float | None], scores: list[float] | None = None
) -> list[CheckpointMetrics]:
    """Checkpoints of 40 prompts that all have the checkpoint's reward, and 40 samples its score."""
    return [
        CheckpointMetrics(
            step=place + 1,
            reward=reward,
            loss=loss,
            suite=None if scores is None else scores[place],
            suite_metric="s m",
            rewards={str(n): reward for n in range(40)},
            scores={} if scores is None else {str(n): float(n < 40 * scores[place]) for n in range(40)},
        )
        for place, (reward, loss) in enumerate(zip(rewards, losses, strict=True))
    ]


NONE: list[float | None] = [None, None, None]


@pytest.mark.parametrize(
    ("found", "warnings"),
    [
        (curve([0.1, 0.5, 0.9], [1.0, 1.0, 1.5]), 1),
        (curve([0.1, 0.5, 0.9], [1.5, 1.2, 1.0]), 0),
        (curve([0.1, 0.5, 0.9], [1.0, 1.0, 1.01]), 0),
        (curve([0.9, 0.5, 0.1], [1.0, 1.2, 1.5]), 0),
        (curve([0.1, 0.5, 0.9], NONE, [0.5, 0.8, 0.2]), 1),
        (curve([0.1, 0.5, 0.9], NONE, [0.5, 0.55, 0.5]), 0),
        (curve([0.1, 0.5, 0.9], [1.0, 1.0, 1.5], [0.5, 0.8, 0.2]), 2),
        (curve([0.1, 0.5, 0.9], NONE), 0),
    ],
)
def test_a_reward_that_rises_while_something_else_falls(
    found: list[CheckpointMetrics], warnings: int
) -> None:
    """Reported for each held-out measure, and not where a difference may be chance, or nothing rises."""
    assert warnings == len(list(over_optimised(found)))


def test_the_earliest_of_equals_is_best() -> None:
    """More training that gains nothing is not taken; and nothing can be chosen from nothing."""
    assert 1 == best_of(curve([0.5, 0.5, 0.4], NONE), "reward").step
    with pytest.raises(TrainingError, match="none of the 3 checkpoints has a loss"):
        best_of(curve([0.5, 0.5, 0.4], NONE), "loss")


def test_the_doctor_tells_it(world: World) -> None:
    """Of a finished stage, from what it kept."""
    base, asked = "base", stage("sft", "sft.jsonl", epochs=2, learning_rate=1.5e-2, select=BY_LOSS)
    added = pipeline("risen", base, asked)
    file = world.produce("risen", added) / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["metrics"]["selected"]["over_optimised"] = ["from step 3 to 6 the reward rises"]
    file.write_text(json.dumps(manifest))
    findings = {each.check: each for each in examine(world.plan("risen", added)[-1]).findings}

    assert "warning" == findings["reward over-optimised"].severity
    assert "from step 3 to 6" in findings["reward over-optimised"].evidence


def test_every_mistake_is_named_with_its_key(tmp_path: Path) -> None:
    """When the file is read: names that nothing defines, files that are not there, keys that are none."""
    select = 'by = "suite", reward = "rewart", prompts = "none.jsonl", suite = "toy-ifevil"'
    text = (
        '[models.m]\npath = "m"\n[pipelines.reward]\nbase = "m"\n'
        '[[pipelines.reward.stages]]\nkind = "reward"\n'
        'data = "hub/rows"\n[pipelines.p]\nbase = "m"\n[[pipelines.p.stages]]\nkind = "sft"\n'
        f'data = "hub/rows"\nselect = {{ {select} }}\n'
    )
    (tmp_path / "harness.toml").write_text(text)
    with pytest.raises(ConfigError) as reported:
        load(tmp_path / "harness.toml", STAGE_SETTINGS, suite_settings())
    for mistake in (
        "stages[0].select.reward: there is no model or pipeline named 'rewart'; did you mean 'reward'?",
        f"stages[0].select.prompts: there is no file {tmp_path}/none.jsonl",
        "stages[0].select.suite: there is no suite named 'toy-ifevil'; did you mean 'toy-ifeval'?",
    ):
        assert mistake in str(reported.value)
    (tmp_path / "harness.toml").write_text(text.replace(select, 'by = "loss", holdot = 0.1'))
    with pytest.raises(ConfigError, match=r"select.holdot: unknown key; did you mean 'holdout'"):
        load(tmp_path / "harness.toml", STAGE_SETTINGS, suite_settings())


def test_no_pipeline_waits_for_its_own_judgement(tmp_path: Path) -> None:
    """A stage that selects by a suite whose judge starts from it could never be trained."""
    text = (
        '[models.m]\npath = "m"\n[suites.truthfulqa-gen]\njudge = "q"\n'
        '[pipelines.p]\nbase = "m"\n[[pipelines.p.stages]]\nkind = "sft"\ndata = "hub/rows"\n'
        'select = { by = "suite", suite = "truthfulqa-gen" }\n'
        '[pipelines.q]\nbase = "p"\n[[pipelines.q.stages]]\nkind = "sft"\ndata = "hub/rows"\n'
    )
    (tmp_path / "harness.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"pipelines form a cycle: (p → q → p|q → p → q)"):
        load(tmp_path / "harness.toml", STAGE_SETTINGS, suite_settings())
