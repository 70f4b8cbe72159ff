"""Rewards that teach nothing are counted and reported, and those that are no numbers end the training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import TrainingError
from harness.records.models import Local, Model
from tests.trainers.test_stages import CASE, DPO, GRPO, ONLINE, metrics
from tests.trainers.world import World, pipeline, run_alone, stage
from trainers import completions, history
from trainers.job import RewardSource, StageProgress
from trainers.reward_signal import FILE, RewardedAnswer, SignalLog

LATE = "tests.trainers.rewarding:late"
INDIFFERENT = "tests.trainers.rewarding:indifferent"
SILENT = "tests.trainers.rewarding:silent"
NO_NUMBER = "tests.trainers.rewarding:no_number"
ONE = (RewardSource(source="own:one", is_function=True),)


def answers(*groups: list[float | None]) -> list[RewardedAnswer]:
    """A step: the rewards of the answers to each prompt."""
    return [RewardedAnswer(row, (value,)) for row, group in enumerate(groups) for value in group]


# ---------------------------------------------------------------- what counts


@pytest.mark.parametrize(
    ("step", "has_signal"),
    [
        (answers([1.0, 1.0], [2.0, 2.0]), False),
        (answers([1.0, 1.0], [2.0, 2.5]), True),
        (answers([0.0, 1.0], [0.0, 0.0]), True),
        (answers([None, None], [None, None]), False),
        (answers([None, 1.0], [1.0, None]), False),
        (answers([None, 1.0, 2.0], [1.0, None, None]), True),
    ],
)
def test_a_step_has_signal_where_answers_to_one_prompt_differ(
    tmp_path: Path, step: list[RewardedAnswer], has_signal: bool
) -> None:
    """Answers without a reward are compared with none, and prompts not with one another."""
    log = SignalLog(tmp_path, ONE)
    log.note(0, step)

    assert (not has_signal) == bool(log.without_signal)


def test_rewards_count_together(tmp_path: Path) -> None:
    """What their weighted sum does not tell apart teaches nothing, even if each of them does."""
    opposed = (RewardSource(source="a:b", is_function=True), RewardSource(source="/x/y", weight=-0.5))
    log = SignalLog(tmp_path, opposed)
    log.note(0, [RewardedAnswer(0, (1.0, 2.0)), RewardedAnswer(0, (2.0, 4.0))])
    assert 1 == log.without_signal
    assert ["a:b gave 1 to 2 over all prompts", "y gave 2 to 4 over all prompts"] == list(log.in_words())

    log.note(0, [RewardedAnswer(0, (1.0, None)), RewardedAnswer(0, (1.0, 4.0))])
    assert 0 == log.without_signal


def test_a_step_that_is_done_again_counts_once(tmp_path: Path) -> None:
    """As it was done last; a line that a kill cut off, and what other processes see, is not in the file."""
    log = SignalLog(tmp_path, ONE)
    for step in range(3):
        log.note(step, answers([1.0, 1.0]))
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 3, "sig')
    again = SignalLog(tmp_path, ONE)
    again.note(2, answers([1.0, 2.0]))
    SignalLog(tmp_path, ONE, writes=False).note(1, answers([1.0, 2.0]))

    assert 2 == again.without_signal == SignalLog(tmp_path, ONE).without_signal
    assert 3 == len((tmp_path / FILE).read_text().splitlines())


# ---------------------------------------------------------------- trainings


@ONLINE
@pytest.mark.parametrize(
    ("reward", "given"),
    [(INDIFFERENT, "gave every answer 1"), (SILENT, "gave no answer a number")],
)
def test_a_training_without_any_signal_is_an_error(world: World, kind: str, reward: str, given: str) -> None:
    """With what each reward gave; no candidate is written, and asking again says so at once."""
    name = f"idle_{kind}_{given[5]}{reward[-3:]}"
    added = pipeline(name, "sft", stage(kind, "prompts.jsonl", reward, **GRPO))
    for _ in range(2):
        with pytest.raises(TrainingError, match=f"in any of 2 steps, .*: {reward} {given}"):
            world.produce(name, added)
    planned = world.plan(name, added)[-1]

    assert not planned.done
    assert not (planned.partial / "model.safetensors").exists()


@ONLINE
def test_some_steps_without_signal_are_counted_and_shown(world: World, kind: str) -> None:
    """In the manifest, and in the progress from the step on in which it happens."""
    seen: list[StageProgress] = []
    added = pipeline(f"late_{kind}", "sft", stage(kind, "prompts.jsonl", LATE, **{**GRPO, "steps": 4}))
    folder = world.produce(f"late_{kind}", added, on_progress=seen.append)

    assert [1, 2, 2, 2] == [each.without_signal for each in seen]
    assert (2, 4) == (metrics(folder)["steps_without_signal"], metrics(folder)["steps"])
    assert 0 == metrics(world.produce("counted", signalled(kind)))["steps_without_signal"]


def signalled(kind: str) -> Any:
    """A pipeline whose rewards tell answers apart."""
    return pipeline("counted", "sft", stage(kind, "prompts.jsonl", CASE, **GRPO))


class Interrupted(Exception):
    """Like Ctrl-C, at a chosen step."""


def test_an_interrupted_training_counts_right(world: World, tmp_path: Path) -> None:
    """Killed after the third step, it repeats one from its checkpoint: 2 of 4 had none, as without a kill."""
    asked = stage("grpo", "prompts.jsonl", LATE, **{**GRPO, "steps": 4, "checkpoint_steps": 1})
    last: list[int] = []

    def stopping(at: int) -> Callable[..., None]:
        def report(
            step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
        ) -> None:
            last.append(without_signal)
            if step == at:
                raise Interrupted

        return report

    origin = str(world.produce("sft"))
    with pytest.raises(Interrupted):
        run_alone(world, asked, origin, tmp_path, on_progress=stopping(2))
    shutil.rmtree(tmp_path / "checkpoints/checkpoint-2", ignore_errors=True)
    run_alone(world, asked, origin, tmp_path, on_progress=stopping(5))

    assert [1, 2, 2, 2, 2] == last
    assert [False, False, True, True] == [
        line["signal"] for line in sorted(signal_lines(tmp_path), key=lambda line: int(line["step"]))
    ]


def signal_lines(folder: Path) -> list[dict[str, Any]]:
    """The steps as they are kept, of repeated ones the last."""
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    return list({line["step"]: line for line in lines}.values())


# ---------------------------------------------------------------- reward models


@ONLINE
def test_a_reward_models_rewards_are_heard(world: World, kind: str) -> None:
    """TRL runs it; the kept answers have its rewards, and their mean is the one in TRL's log."""
    asked = {**GRPO, "steps": 1, "completions_every": 1, "prompts_per_step": 4, "generations": 2}
    name = f"heard_{kind}"
    folder = world.produce(name, pipeline(name, "sft", stage(kind, "prompts.jsonl", "reward", **asked)))
    [step] = signal_lines(folder)
    [(reward, (low, high))] = step["rewards"].items()
    [logged] = [each[f"rewards/{reward}/mean"] for each in history.read(folder)]

    assert low < float(str(logged)) < high
    assert all(low <= line["rewards"][reward] <= high for line in completions.read(folder))  # type: ignore[index,call-overload,operator]


# ---------------------------------------------------------------- no numbers


def broken_model(world: World, folder: Path) -> dict[str, Model]:
    """A reward model whose head gives infinity or NaN."""
    shutil.copytree(world.produce("reward"), folder, ignore=shutil.ignore_patterns("checkpoints"))
    tensors = load_file(folder / "model.safetensors")
    tensors["score.weight"] = torch.full_like(tensors["score.weight"], float("inf"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return {"broken": Model(name="broken", source=Local(path=str(folder)))}


@ONLINE
@pytest.mark.parametrize("reward", [NO_NUMBER, "broken"])
def test_a_reward_that_is_no_number_ends_the_training(
    world: World, tmp_path: Path, kind: str, reward: str
) -> None:
    """With whose it is, the row and the answer: TRL would take NaN for None, and learn from infinity."""
    name = f"broken_{kind}_{reward[-5:]}"
    added = pipeline(name, "sft", stage(kind, "prompts.jsonl", reward, **GRPO))
    whose = "function 'no_number'" if reward == NO_NUMBER else "'broken'"
    with pytest.raises(TrainingError, match=rf"reward {whose} gave (nan|-?inf) for an answer to row \d+: '"):
        world.produce(name, added, models=broken_model(world, tmp_path / "broken"))


@pytest.mark.parametrize("reward", [NO_NUMBER, "broken"])
def test_own_answers_are_not_ranked_by_what_is_no_number(world: World, tmp_path: Path, reward: str) -> None:
    """NaN is neither more nor less than anything: any pair could come of it."""
    name = f"ranked_{reward[-5:]}"
    added = pipeline(name, "sft", stage("dpo", "prompts.jsonl", reward, on_policy=2, **DPO))
    with pytest.raises(TrainingError, match=r"gave (nan|-?inf) for an answer to row \d+: '"):
        world.produce(name, added, models=broken_model(world, tmp_path / "broken"))


def test_checkpoints_are_not_chosen_by_what_is_no_number(world: World) -> None:
    """A checkpoint with NaN would be the best, or never."""
    select = {"by": "reward", "reward": NO_NUMBER, "prompts": "prompts.jsonl", "max_new_tokens": 4}
    added = pipeline("choosing", "base", stage("sft", "sft.jsonl", epochs=2, select=select))
    with pytest.raises(TrainingError, match=r"reward function 'no_number' gave nan for an answer to row \d+"):
        world.produce("choosing", added)


def test_what_is_logged_without_a_number_is_not_kept(tmp_path: Path) -> None:
    """A file of ours is JSON for every reader, and NaN is none."""
    history.write(tmp_path, [{"step": 1, "loss": 1.0, "grad_norm": float("nan"), "kl": float("inf")}])

    assert [{"step": 1, "loss": 1.0}] == history.read(tmp_path)
