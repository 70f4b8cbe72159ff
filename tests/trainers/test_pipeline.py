"""What a plan says, what is trained again and what is not, and that nothing is half there."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trainers.pipeline
from harness.errors import ConfigError, DataError, DiskFull, ModelError, UnknownName, UsageError
from harness.records.models import Json, Local, Model, Pipeline, Stage
from tests.processes import Started
from tests.trainers.world import CLASSIFIER, World, pipeline, run_alone, same, stage, write_rows
from trainers.checkpoints import COMPLETE, last_checkpoint
from trainers.job import Job, OnProgress, StageProgress
from trainers.planning import PlannedStage

CASE = "tests.trainers.rewarding:case"
GRPO: dict[str, Any] = {"steps": 4, "prompts_per_step": 4, "generations": 4, "max_new_tokens": 8}
SFT = stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3)


def folders(stages: list[PlannedStage]) -> list[Path]:
    """Where the stages are."""
    return [planned.folder for planned in stages]


# ---------------------------------------------------------------- planning


def test_a_plan_has_every_stage_once_in_order_of_training(world: World) -> None:
    """Base first, then rewards, then what needs them."""
    added = pipeline(
        "two",
        "sft",
        stage("grpo", "prompts.jsonl", "reward", **GRPO),
        stage("dpo", "prompts.jsonl", "reward", on_policy=2),
    )
    planned = world.plan("two", added)
    assert ["pretrain", "sft", "reward", "grpo", "dpo"] == [entry.kind for entry in planned]
    assert [True, True, True, False, False] == [entry.done for entry in planned]


def test_pipelines_that_begin_alike_share_what_they_share(world: World) -> None:
    """The stage of a shared prefix is one folder, however many pipelines begin with it."""
    whole = pipeline("whole", None, *world.pipelines["base"].stages, SFT)
    assert folders(world.plan("sft")) == folders(world.plan("whole", whole))


def changed_data(world: World) -> Mapping[str, Any]:
    """The same project with one row more for `sft`."""
    root = world.root.with_name("changed")
    shutil.copytree(world.root, root, ignore=shutil.ignore_patterns("candidates"), dirs_exist_ok=True)
    rows = [json.loads(line) for line in (root / "sft.jsonl").read_text().splitlines()]
    write_rows(root / "sft.jsonl", [*rows, {"prompt": "Hi", "completion": "Hello"}])
    return {"root": root}


def test_a_change_trains_anew_just_what_depends_on_it(world: World) -> None:
    """Settings, data and seed count; the base stays where only a later stage changed."""
    before = folders(world.plan("sft"))
    setting = pipeline("sft", "base", stage("sft", "sft.jsonl", epochs=3, learning_rate=5e-3))
    after_setting = folders(world.plan("sft", setting))
    after_data = folders(world.plan("sft", **changed_data(world)))
    after_seed = folders(world.plan("sft", seed=1))
    assert [True, False] == [old == new for old, new in zip(before, after_setting, strict=True)]
    assert [True, False] == [old == new for old, new in zip(before, after_data, strict=True)]
    assert [False, False] == [old == new for old, new in zip(before, after_seed, strict=True)]


def test_a_pipelines_seed_is_that_of_its_own_stages(world: World) -> None:
    """What it starts from is shared; the seed of the project written out is no other stage."""
    [base, first] = world.plan("sft")
    again = replace(world.pipelines["sft"], name="again", seed=1)
    same = replace(world.pipelines["sft"], name="same", seed=0)
    [shared, second] = world.plan("again", again)

    assert (base.folder, 0, 1) == (shared.folder, shared.seed, second.seed)
    assert first.folder != second.folder
    assert first.folder == world.plan("same", same)[-1].folder


def test_the_project_may_move(world: World, tmp_path: Path) -> None:
    """Where files lie is no part of a stage's identity."""
    shutil.copytree(world.root, tmp_path / "moved", ignore=shutil.ignore_patterns("candidates"))
    moved = world.plan("sft", root=tmp_path / "moved", output=tmp_path / "elsewhere")
    assert [path.name for path in folders(world.plan("sft"))] == [path.name for path in folders(moved)]


def test_a_changed_reward_function_trains_anew(world: World, tmp_path: Path) -> None:
    """The function's module counts by its text."""
    module = world.root / "own_reward.py"
    module.write_text("def worth(completions, **others):\n    return [1.0] * len(completions)\n")
    added = pipeline("own", "sft", stage("grpo", "prompts.jsonl", "own_reward:worth", **GRPO))
    before = world.plan("own", added)[-1].folder
    module.write_text("def worth(completions, **others):\n    return [2.0] * len(completions)\n")
    assert before != world.plan("own", added)[-1].folder


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (pipeline("p", "bass", SFT), UnknownName, "did you mean 'base'"),
        (pipeline("p", "p", SFT), ConfigError, "depends on itself: p → p"),
        (pipeline("p", "reward", SFT), ConfigError, "ends in a reward stage, which no stage can start from"),
        (pipeline("p", None, SFT), ConfigError, "needs a base"),
        (pipeline("p", "base", stage("pretrain", "text.jsonl")), ConfigError, "starts from nothing"),
        (pipeline("p", "base"), ConfigError, "at least one stage"),
        (pipeline("p", "base", Stage(kind="sft")), ConfigError, "needs data"),
        (pipeline("p", "base", stage("sft", "sft.jsonl", "reward")), ConfigError, "no use for a reward"),
        (pipeline("p", "base", stage("dpo", "pairs.jsonl", "reward")), ConfigError, "no use for a reward"),
        (pipeline("p", "base", stage("grpo", "prompts.jsonl")), ConfigError, "needs a reward"),
        (
            pipeline("p", "base", stage("grpo", "prompts.jsonl", "rewart")),
            UnknownName,
            "did you mean 'reward'",
        ),
        (pipeline("p", "base", stage("grpo", "prompts.jsonl", "sft")), ConfigError, "not in a reward stage"),
        (pipeline("p", "base", stage("grpo", "prompts.jsonl", "no:way")), UsageError, "no module 'no'"),
        (pipeline("p", "base", stage("sft", "none.jsonl")), DataError, "no such file"),
        (pipeline("p", "base", stage("stf", "sft.jsonl")), UnknownName, "did you mean 'sft'"),
        (
            pipeline("p", "base", stage("grpo", "prompts.jsonl", CASE, rewards=[{"name": CASE}])),
            ConfigError,
            "use one of the two",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_the_plan(
    world: World, wrong: Pipeline, error: type[Exception], message: str
) -> None:
    """Before anything is trained, with what is wrong and where."""
    with pytest.raises(error, match=message):
        world.plan("p", wrong)


def test_a_model_can_be_the_base(world: World, tmp_path: Path) -> None:
    """A folder counts by its content, its template can be replaced; an adapter that is none is refused."""
    source = str(world.produce("base"))
    shutil.copytree(source, tmp_path / "copy")
    added = pipeline("p", "model", SFT)

    def planned(model: Model) -> str:
        return world.plan("p", added, models={"model": model})[-1].identity

    model = Model(name="model", source=Local(path=source))
    copied = Model(name="model", source=Local(path=str(tmp_path / "copy")))
    other = Model(name="model", source=Local(path=source), chat_template="{{ messages }}")
    adapted = Model(name="model", source=Local(path=source, adapter=source))
    assert planned(model) == planned(copied)
    assert planned(model) != planned(other)
    with pytest.raises(ModelError, match="so it is not a PEFT adapter"):
        planned(adapted)
    with pytest.raises(ModelError):
        planned(Model(name="model", source=Local(path=str(tmp_path / "missing"))))


# ---------------------------------------------------------------- producing


def test_a_name_leads_to_its_candidate(world: World) -> None:
    """By a relative link, for every pipeline that was needed on the way."""
    folder = world.produce("sft")
    link = world.output / "sft"
    assert Path("stages") / folder.name == link.readlink()
    assert (world.output / "base" / "config.json").is_file()


def test_a_finished_stage_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained when all is there."""
    monkeypatch.setattr(trainers.pipeline, "run", fails(AssertionError("trained again")))
    assert world.plan("sft")[-1].folder == world.produce("sft")


def fails(error: Exception) -> Callable[[Job], Mapping[str, Json]]:
    """A training that ends with an error after writing something."""

    def run(job: Job) -> Mapping[str, Json]:
        (job.folder / "half.txt").write_text("half")
        raise error

    return run


def test_the_manifest_says_what_a_candidate_was_made_from(world: World) -> None:
    """Settings, data, parent, packages, seed, times and numbers; no path of this machine."""
    folder = world.produce("sft")
    content = json.loads((folder / "manifest.json").read_text())
    base, sft = world.plan("sft")
    assert sft.identity == content["identity"]
    assert base.identity == content["inputs"]["parent"]
    assert base.folder.name == content["parent"]
    assert [("sft.jsonl", 48)] == [(source["source"], source["rows"]) for source in content["data"]]
    assert (2, 0) == (content["inputs"]["settings"]["epochs"], content["inputs"]["seed"])
    assert {"torch", "transformers", "trl"} <= content["packages"].keys()
    assert content["started"] <= content["finished"]
    assert 6 == content["metrics"]["steps"]
    assert str(world.root) not in json.dumps(content)
    assert content == sft.manifest


def test_there_is_a_checkpoint_for_every_epoch(world: World) -> None:
    """Each a loadable model; what is only for going on with the training is gone at the end."""
    checkpoints = world.produce("sft") / "checkpoints"
    assert {"checkpoint-3", "checkpoint-6"} == {path.name for path in checkpoints.glob("checkpoint-*")}
    assert (checkpoints / "checkpoint-3" / "model.safetensors").is_file()
    assert not list(checkpoints.rglob("optimizer.pt"))


@pytest.mark.parametrize("adapter", [None, {"rank": 4}])
def test_the_last_checkpoint_is_the_candidate_on_the_disk_too(world: World, adapter: Json) -> None:
    """A full stage's weights are one file under two names; an adapter's checkpoint holds other weights."""
    asked = stage("sft", "sft.jsonl", epochs=2, learning_rate=6e-3, adapter=adapter)
    folder = world.produce("linked", pipeline("linked", "base", asked))
    files = [folder, *(folder / "checkpoints").glob("checkpoint-*")]
    nodes = [file.stat().st_ino for each in files for file in each.glob("*.safetensors")]

    assert len(nodes) - len(set(nodes)) == (1 if adapter is None else 0)
    assert not list(folder.rglob("*.link"))


def test_a_file_system_without_links_keeps_both_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage is finished all the same."""

    def no_links(*given: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("trainers.checkpoints.os.link", no_links)
    added = pipeline("unlinked", "base", stage("sft", "sft.jsonl", epochs=1, learning_rate=6e-3))
    folder = world.produce("unlinked", added)
    weights = [folder / "model.safetensors", *(folder / "checkpoints").rglob("model.safetensors")]

    assert 2 == len({file.stat().st_ino for file in weights})
    assert 1 == len({file.read_bytes() for file in weights})


def test_progress_is_reported_by_stage(world: World) -> None:
    """Step by step, with the pipeline that is being made, the total and the last loss."""
    seen: list[StageProgress] = []
    added = pipeline("seen", "base", stage("sft", "sft.jsonl", epochs=4, learning_rate=1e-3))
    world.produce("seen", added, on_progress=seen.append)
    assert [(step, 12) for step in range(1, 13)] == [(entry.step, entry.total) for entry in seen]
    assert {("seen", "sft")} == {(entry.pipeline, entry.stage) for entry in seen}
    assert seen[-1].loss is not None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_is_named(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """However a library says it; and there is no candidate."""
    monkeypatch.setattr(trainers.pipeline, "run", fails(error))
    added = pipeline("full", "base", stage("sft", "sft.jsonl", epochs=5))
    with pytest.raises(DiskFull, match="the disk is full"):
        world.produce("full", added)
    planned = world.plan("full", added)[-1]
    assert (False, True) == (planned.folder.exists(), planned.partial.exists())


def test_other_failures_keep_their_traceback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no full disk is not called one."""
    monkeypatch.setattr(trainers.pipeline, "run", fails(PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(PermissionError):
        world.produce("denied", pipeline("denied", "base", stage("sft", "sft.jsonl", epochs=6)))


def test_a_second_process_waits_and_uses_what_the_first_made(world: World, tmp_path: Path) -> None:
    """One stage is trained once, also when two processes want it at the same time."""
    context = multiprocessing.get_context("fork")
    entered = context.Value("i", 0)
    plain = pipeline("plain", None, stage("pretrain", "text.jsonl"))

    def train(job: Job) -> Mapping[str, Json]:
        with entered.get_lock():
            entered.value += 1
        time.sleep(0.3)
        return {}

    def work() -> None:
        trainers.pipeline.run = train  # type: ignore[attr-defined]  # patched here
        world.produce("plain", plain, output=tmp_path)

    processes = [context.Process(target=work) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [0, 0, 0] == [process.exitcode for process in processes]
    assert 1 == entered.value


# ---------------------------------------------------------------- resuming


class Interrupted(BaseException):
    """Like Ctrl-C, at a chosen step."""


def at_step(stop: int) -> OnProgress:
    """A progress report that interrupts."""

    def report(
        step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
    ) -> None:
        if step == stop and total != 48:  # 48 prompts are drawn for, before there are steps
            raise Interrupted

    return report


RESUMED: dict[str, tuple[str | None, Stage, int]] = {
    "pretrain": (
        None,
        stage("pretrain", "text.jsonl", epochs=3, layers=1, width=16, heads=2, max_length=32),
        5,
    ),
    "reward": ("base", stage("reward", "pairs.jsonl", epochs=3), 5),
    "grpo": ("sft", stage("grpo", "prompts.jsonl", CASE, checkpoint_steps=2, learning_rate=1e-3, **GRPO), 3),
    "dpo": (
        "sft",
        stage("dpo", "prompts.jsonl", CASE, on_policy=2, epochs=3, max_new_tokens=8, batch_size=8),
        8,
    ),
    "toxicity": (None, CLASSIFIER, 14),
}


@pytest.mark.parametrize("kind", list(RESUMED))
def test_an_interrupted_training_ends_with_the_same_weights(world: World, tmp_path: Path, kind: str) -> None:
    """Every kind goes on from its last whole checkpoint as if nothing had been."""
    base, interrupted, stop = RESUMED[kind]
    origin = None if base is None else str(world.produce(base))
    whole = run_alone(world, interrupted, origin, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_alone(world, interrupted, origin, tmp_path / "parts", on_progress=at_step(stop))
    assert last_checkpoint(tmp_path / "parts") is not None
    steps: list[int] = []
    run_alone(world, interrupted, origin, tmp_path / "parts", on_progress=lambda step, *_: steps.append(step))
    assert 1 < steps[0] <= stop
    assert same(whole, tmp_path / "parts")


def test_a_killed_process_ends_with_the_same_weights(world: World) -> None:
    """`kill -9` within an epoch: the same command goes on, and the outcome is the uninterrupted one."""
    added = pipeline("killed", "base", stage("sft", "sft.jsonl", epochs=4, learning_rate=4e-3))
    assert -9 == Started(_killed_within_an_epoch, world.root, added, folder=Path.cwd()).wait()
    planned = world.plan("killed", added)[-1]
    assert (False, True) == (planned.done, planned.partial.is_dir())
    seen: list[StageProgress] = []
    resumed = world.produce("killed", added, on_progress=seen.append)
    assert [7, 8, 9, 10, 11, 12] == [entry.step for entry in seen]
    alone = run_alone(world, added.stages[0], str(world.produce("base")), world.root / "alone")
    assert same(alone, resumed)


def _killed_within_an_epoch(root: Path, added: Pipeline) -> None:
    def die(progress: StageProgress) -> None:
        if progress.step == 8:
            os.kill(os.getpid(), signal.SIGKILL)

    World(root).produce("killed", added, on_progress=die)


def test_a_checkpoint_cut_off_while_written_is_passed_over(tmp_path: Path) -> None:
    """Only one that was marked when all of it was there is gone on from, and the latest by number."""
    for name, whole in (("checkpoint-9", True), ("checkpoint-10", True), ("checkpoint-11", False)):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        if whole:
            (tmp_path / "checkpoints" / name / COMPLETE).touch()
    assert tmp_path / "checkpoints" / "checkpoint-10" == last_checkpoint(tmp_path)


ENDED: dict[str, tuple[str, Stage]] = {
    "whole epochs": ("base", SFT),
    "half an epoch": ("base", stage("sft", "sft.jsonl", epochs=0.5, batch_size=4, learning_rate=5e-3)),
    "steps": ("sft", stage("grpo", "prompts.jsonl", CASE, checkpoint_steps=2, learning_rate=1e-3, **GRPO)),
}


@pytest.mark.parametrize("length", list(ENDED))
def test_a_training_killed_after_its_last_step_only_writes_the_candidate(
    world: World, tmp_path: Path, length: str
) -> None:
    """A checkpoint of the last step is the outcome; no step is made twice, and none is added."""
    base, ended = ENDED[length]
    origin = str(world.produce(base))
    whole = run_alone(world, ended, origin, tmp_path / "whole")
    shutil.copytree(whole / "checkpoints", tmp_path / "late" / "checkpoints")
    steps: list[int] = []
    run_alone(world, ended, origin, tmp_path / "late", on_progress=lambda step, *_: steps.append(step))
    assert [] == steps
    assert same(whole, tmp_path / "late")
