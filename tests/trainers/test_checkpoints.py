"""What a kill can cost: when checkpoints are written, which stay, and that training resumes exactly there."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from harness.records.models import Pipeline, Stage
from tests.processes import Started
from tests.trainers.test_pipeline import CASE, GRPO, Interrupted, at_step
from tests.trainers.world import World, pipeline, run_alone, same, stage
from trainers import checkpoint_metrics, history
from trainers.checkpointing import Checkpointing
from trainers.checkpoints import (
    COMPLETE,
    RESUMING,
    complete_checkpoints,
    delete_incomplete,
    delete_what_resuming_needs,
    kept_checkpoints,
    mark_complete,
    record_step,
    stopped,
)
from trainers.job import Job, StageProgress
from trainers.stage_settings import STAGE_SETTINGS

AT_EVERY_STEP = "0.001 s"
"""A time that has passed after every step."""


# ---------------------------------------------------------------- kills


KILLED: dict[str, tuple[str, Stage, int]] = {
    "sft": (
        "base",
        stage("sft", "sft.jsonl", epochs=1, batch_size=4, learning_rate=3e-3, save_every=AT_EVERY_STEP),
        1,
    ),
    "dpo": (
        "sft",
        stage("dpo", "pairs.jsonl", batch_size=4, micro_batch=2, learning_rate=4e-4, save_every=5),
        5,
    ),
}
"""What is killed within its only epoch, and the steps between two of its checkpoints."""


@pytest.mark.parametrize("kind", list(KILLED))
def test_a_kill_within_an_epoch_costs_the_steps_since_the_last_checkpoint(world: World, kind: str) -> None:
    """`kill -9` at step 8 of 12: it is known what is repeated, that is at most the interval between two
    checkpoints, and the weights are those of an uninterrupted training, to the bit."""
    base, asked, interval = KILLED[kind]
    added = pipeline(f"killed_{kind}", base, asked)
    world.produce(base)
    assert -9 == Started(_killed_at_8, world.root, added, folder=Path.cwd()).wait()
    lost = stopped(world.plan(added.name, added)[-1].partial)
    seen: list[int] = []
    resumed = world.produce(added.name, added, on_progress=lambda done: seen.append(done.step))
    whole = run_alone(world, asked, str(world.produce(base)), world.root / f"uninterrupted_{kind}")

    assert (8, 12) == (lost.step, lost.steps)
    assert 0 < lost.repeated <= interval
    assert list(range(lost.saved + 1, 13)) == seen
    assert same(whole, resumed)


def _killed_at_8(root: Path, added: Pipeline) -> None:
    def die(progress: StageProgress) -> None:
        if progress.step == 8:
            os.kill(os.getpid(), signal.SIGKILL)

    World(root).produce(added.name, added, on_progress=die)


LATER: dict[str, tuple[str, Stage]] = {
    "sft": ("base", stage("sft", "sft.jsonl", epochs=3, learning_rate=3e-3, save_every=AT_EVERY_STEP)),
    "grpo": (
        "sft",
        stage(
            "grpo",
            "prompts.jsonl",
            CASE,
            **{**GRPO, "steps": 7, "prompts_per_step": 16, "generations": 2},
            learning_rate=1e-3,
            save_every=AT_EVERY_STEP,
        ),
    ),
}


@pytest.mark.parametrize("kind", list(LATER))
def test_a_later_epoch_goes_on_with_its_own_rows(world: World, tmp_path: Path, kind: str) -> None:
    """An epoch has 3 steps; stopped in the second one, training does not read the first one's rows again."""
    base, asked = LATER[kind]
    origin, parts = str(world.produce(base)), tmp_path / "parts"
    whole = run_alone(world, asked, origin, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_alone(world, asked, origin, parts, on_progress=at_step(6))
    assert 5 == stopped(parts).saved
    half = _written(parts, 99)
    run_alone(world, asked, origin, parts)

    assert same(whole, parts)
    assert not half.exists()


def test_sampling_goes_on_with_the_answers_that_are_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after 32 of 48 prompts, a stage that learns from its base's own answers samples the rest, and
    its pairs are those of an uninterrupted one."""
    monkeypatch.setattr("trainers.sample_answers.ANSWERS_PER_BATCH", 32)
    asked = stage("dpo", "prompts.jsonl", CASE, on_policy=2, max_new_tokens=8, steps=1)
    origin, parts, seen = str(world.produce("sft")), tmp_path / "parts", []

    def stop(step: int, total: int, *others: object) -> None:
        if (step, total) == (32, 48):
            raise Interrupted

    whole = run_alone(world, asked, origin, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_alone(world, asked, origin, parts, on_progress=stop)
    run_alone(world, asked, origin, parts, on_progress=lambda step, *_: seen.append(step))
    pairs, counted = (
        [(folder / name).read_text() for folder in (whole, parts)]
        for name in ("pairs.jsonl", "sampled.jsonl")
    )

    assert [48, 1] == seen
    assert pairs[0] == pairs[1]
    assert {**json.loads(counted[0]), "seconds": None} == {**json.loads(counted[1]), "seconds": None}
    assert not list(parts.glob("sampling.*"))


@pytest.mark.parametrize(
    ("step", "saved", "words"),
    [
        (37, 30, "after step 37 of 1,200; the last checkpoint is at step 30: 7 steps are repeated"),
        (31, 30, "after step 31 of 1,200; the last checkpoint is at step 30: 1 step is repeated"),
        (30, 30, "after step 30 of 1,200; the last checkpoint is at step 30: 0 steps are repeated"),
        (7, 0, "after step 7 of 1,200; there is no checkpoint yet: 7 steps are repeated"),
        (0, 0, "before its first step"),
    ],
)
def test_what_is_lost_is_said_exactly(tmp_path: Path, step: int, saved: int, words: str) -> None:
    """By the steps that were done and the last checkpoint that is complete."""
    for number in (10, saved) if saved else ():
        mark_complete(_written(tmp_path, number), sharded_by="", for_resuming=False)
    _written(tmp_path, 36)
    if step:
        record_step(tmp_path, step, 1200)

    assert words == str(stopped(tmp_path))


# ---------------------------------------------------------------- which checkpoints there are


def _written(stage: Path, step: int) -> Path:
    """A checkpoint as the trainer leaves it."""
    checkpoint = stage / "checkpoints" / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "optimizer.pt"):
        (checkpoint / name).write_text(name)
    return checkpoint


def test_a_checkpoint_for_resuming_goes_with_the_next(tmp_path: Path) -> None:
    """So that time-based ones never need more of the disk than one; of kept ones the models stay."""
    for step, for_resuming in ((2, True), (3, False), (5, True), (6, True)):
        mark_complete(_written(tmp_path, step), sharded_by="", for_resuming=for_resuming)
    files = {path.name for path in (tmp_path / "checkpoints" / "checkpoint-3").iterdir()}

    assert [3, 6] == list(complete_checkpoints(tmp_path))
    assert [3] == list(kept_checkpoints(tmp_path))
    assert {"model.safetensors", COMPLETE} == files


def test_a_finished_training_leaves_the_kept_models(tmp_path: Path) -> None:
    """Also where a kill came between the last checkpoint and the deletion of the one before."""
    mark_complete(_written(tmp_path, 3), sharded_by="", for_resuming=False)
    for name in (COMPLETE, RESUMING):
        (_written(tmp_path, 5) / name).touch()
    delete_what_resuming_needs(tmp_path)

    assert ["checkpoint-3"] == [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert not list(tmp_path.rglob("optimizer.pt"))


def test_half_a_checkpoint_is_deleted(tmp_path: Path) -> None:
    """A step at which time was up need not come again, and nothing else would remove what was written."""
    mark_complete(_written(tmp_path, 3), sharded_by="", for_resuming=False)
    _written(tmp_path, 4)
    delete_incomplete(tmp_path)

    assert ["checkpoint-3"] == [path.name for path in (tmp_path / "checkpoints").iterdir()]


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _saved(folder: Path, seconds: float, **settings: Any) -> list[int]:
    """The steps whose checkpoints are for resuming, of 20 that take so long each, and 8 to an epoch."""
    clock = Clock()
    job = Job(
        kind="sft",
        folder=folder,
        base="base",
        chat_template=None,
        data="rows.jsonl",
        rows=[],
        rewards=(),
        settings=STAGE_SETTINGS["sft"].model_validate(settings),
        seed=0,
    )
    writes = Checkpointing(job, "", clock)
    arguments = TrainingArguments(str(folder / "checkpoints"), save_strategy="epoch", use_cpu=True)
    saved = []
    for step in range(1, 21):
        clock.now += seconds
        state, control = TrainerState(global_step=step, max_steps=20, epoch=step / 8), TrainerControl()
        writes.on_step_end(arguments, state, control)
        saved += [step] if control.should_save else []
        if control.should_save or step in (8, 16, 20):  # at which the trainer itself writes one
            _written(folder, step)
            writes.on_save(arguments, state, control)
    assert [8, 16, 20] == list(kept_checkpoints(folder))
    return saved


def test_a_checkpoint_is_written_when_time_has_passed(tmp_path: Path) -> None:
    """Ten minutes after the last one, whatever that was written for, or as long as it is asked for."""
    assert [3, 6, 11, 14, 19] == _saved(tmp_path / "usual", 240.0)
    assert [5, 13] == _saved(tmp_path / "longer", 240.0, save_every="20 min")


def test_no_checkpoint_is_written_twice(tmp_path: Path) -> None:
    """Where time is up at the end of an epoch or at the last step, the trainer writes one."""
    assert [*range(1, 8), *range(9, 16), *range(17, 20)] == _saved(tmp_path, 1000.0)


def test_steps_between_checkpoints_keep_them(world: World) -> None:
    """Those of epochs are there besides, each held-out loss is computed once, and any can be selected."""
    asked = stage(
        "sft",
        "sft.jsonl",
        epochs=2,
        learning_rate=3e-3,
        batch_size=8,
        save_every=2,
        select={"by": "loss", "holdout": 0.25},
    )
    folder = world.produce("every_two", pipeline("every_two", "base", asked))
    curve = checkpoint_metrics.curve(folder)

    assert [2, 4, 5, 6, 8, 10] == list(kept_checkpoints(folder))
    assert [2, 4, 5, 6, 8, 10] == [each["step"] for each in curve]
    assert all("loss" in each for each in curve)


def test_what_time_alone_has_written_is_never_selected(world: World) -> None:
    """Or the candidate would depend on how fast the machine is."""
    settings: dict[str, Any] = {"epochs": 2, "learning_rate": 3e-3, "select": {"by": "loss", "holdout": 0.25}}
    often = stage("sft", "sft.jsonl", **settings, save_every=AT_EVERY_STEP)
    folder = world.produce("often", pipeline("often", "base", often))

    assert 2 == len(checkpoint_metrics.curve(folder))
    assert list(kept_checkpoints(folder)) == list(complete_checkpoints(folder))
    seldom = pipeline("seldom", "base", stage("sft", "sft.jsonl", **settings))
    assert folder == world.plan("seldom", seldom)[-1].folder


# ---------------------------------------------------------------- how long, and how often it is logged


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({"epochs": 0.5}, 2), ({"epochs": 1.5}, 5), ({"steps": 2}, 2), ({"steps": 4}, 4)],
)
def test_a_training_ends_within_an_epoch(world: World, tmp_path: Path, settings: Any, steps: int) -> None:
    """An epoch has 3 steps; a part of one is rounded up to whole steps. The last step has a checkpoint."""
    asked = stage("sft", "sft.jsonl", learning_rate=3e-3, **settings)
    folder = run_alone(world, asked, str(world.produce("base")), tmp_path / "part")

    assert steps == max(kept_checkpoints(folder))
    assert steps == STAGE_SETTINGS["sft"].model_validate(settings).steps_over(48)  # type: ignore[attr-defined]


STEPS: dict[str, tuple[str | None, Stage]] = {
    "pretrain": (None, stage("pretrain", "text.jsonl", layers=1, width=16, heads=2, max_length=32)),
    "toxicity": (None, stage("toxicity", "toxic.jsonl", vocabulary=300, batch_size=4, learning_rate=1e-2)),
    "reward": ("base", stage("reward", "pairs.jsonl")),
    "dpo": ("base", stage("dpo", "pairs.jsonl")),
}


@pytest.mark.parametrize("kind", list(STEPS))
def test_steps_train_as_the_epochs_of_so_many_do(world: World, tmp_path: Path, kind: str) -> None:
    """Whatever has epochs can be given steps instead, and the outcome is the same."""
    base, plain = STEPS[kind]
    origin = None if base is None else str(world.produce(base))
    whole = run_alone(world, stage(kind, *plain.data, **plain.settings, epochs=1), origin, tmp_path / "epoch")
    steps = max(kept_checkpoints(whole))
    again = run_alone(
        world, stage(kind, *plain.data, **plain.settings, steps=steps), origin, tmp_path / "steps"
    )

    assert same(whole, again)


@pytest.mark.parametrize(
    ("settings", "logged"),
    [({}, list(range(1, 13))), ({"logging_steps": 5}, [5, 10, 12])],
)
def test_a_short_training_has_a_curve(world: World, tmp_path: Path, settings: Any, logged: list[int]) -> None:
    """Of 12 steps every one is logged, unless it is said otherwise; the last one always is."""
    asked = stage("sft", "sft.jsonl", epochs=1, batch_size=4, **settings)
    folder = run_alone(world, asked, str(world.produce("base")), tmp_path / "curve")

    assert logged == [point["step"] for point in history.read(folder)]
