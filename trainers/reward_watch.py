"""Watches what answers are rewarded while a policy is trained: checks it, keeps some, and counts its signal.

TRL calls every reward function with the prompts and answers of a step, and runs reward models itself. Ours
are wrapped, models are listened to, and a last function, which rewards nothing, sees what all have given.
"""

from collections.abc import Sequence
from functools import partial, wraps
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from transformers import TrainerState

from harness.errors import TrainingError
from harness.pluralize import pluralize
from trainers.completions import CompletionLog
from trainers.data import TrainingPrompt
from trainers.job import Job, OnProgress
from trainers.reward_signal import RewardedAnswer, SignalLog
from trainers.rewards import RewardFunction, check_finite, reward_functions
from trainers.stage_settings import Online


class RewardWatch:
    """Sees the rewards of every step of a job on these prompts."""

    def __init__(self, job: Job, prompts: Sequence[TrainingPrompt]) -> None:
        self._job = job
        self._settings = cast(Online, job.settings)
        self._prompts = prompts
        self._answers = CompletionLog(
            job.folder, self._settings.completions_every, gathered=gather_object, writes=job.is_main
        )
        self._signal = SignalLog(job.folder, job.rewards, writes=job.is_main)
        self._given: dict[int, list[float | None]] = {}
        """What each reward gave in this step, by its place."""
        self._made = reward_functions(job.rewards, prompts)

    @property
    def steps_without_signal(self) -> int:
        """How many there were so far."""
        return self._signal.without_signal

    @property
    def functions(self) -> list[Any]:
        """The rewards as TRL takes them, and the last function."""
        watched = [
            self._watched(place, each) if callable(each) else each for place, each in enumerate(self._made)
        ]
        return [*watched, self.keep_completions]

    def listen(self, trainer: Any) -> None:
        """Hear what the reward models of one of TRL's trainers give."""
        for place, each in enumerate(trainer.reward_funcs):
            if isinstance(each, torch.nn.Module):
                each.register_forward_hook(partial(self._hear, place))

    def reporting(self, on_progress: OnProgress) -> OnProgress:
        """Progress that also says how many steps had no signal."""

        def report(
            step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
        ) -> None:
            on_progress(step, total, loss, tokens, self.steps_without_signal)

        return report

    def keep_completions(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        row: Sequence[int],
        trainer_state: TrainerState,
        **others: Any,
    ) -> list[float | None]:
        """The last function. Raises TrainingError for a reward model's reward that is not finite."""
        given = [self._given[place] for place in range(len(self._made))]
        for reward, values in zip(self._job.rewards, given, strict=True):
            check_finite(repr(reward.name), values, [self._prompts[number] for number in row], completions)
        step = trainer_state.global_step
        answers = [
            RewardedAnswer(number, values)
            for number, values in zip(row, zip(*given, strict=True), strict=True)
        ]
        self._signal.note(step, gather_object(answers))
        self._answers.keep(step, prompts, completions, dict(zip(self._names, given, strict=True)))
        return [None] * len(completions)

    def check_signal(self) -> None:
        """Raise TrainingError where no step had signal: the candidate would be its base."""
        if self.steps_without_signal < self._settings.steps:
            return
        given = "; ".join(self._signal.in_words())
        raise TrainingError(
            f"{self._job.kind}: no answer was better than another to its prompt in any of "
            f"{pluralize(self._settings.steps, 'step')}, so there was nothing to learn: {given}. Take "
            "rewards that tell answers apart, or raise `temperature` or `generations` where the answers "
            "themselves are alike"
        )

    @property
    def _names(self) -> list[str]:
        """The names that TRL's log has, too."""
        return [
            each.__name__ if callable(each) else reward.name
            for each, reward in zip(self._made, self._job.rewards, strict=True)
        ]

    def _watched(self, place: int, function: RewardFunction) -> RewardFunction:
        @wraps(function)
        def called(**arguments: Any) -> list[float | None]:
            self._given[place] = function(**arguments)
            return self._given[place]

        return called

    def _hear(self, place: int, model: torch.nn.Module, read: Any, output: Any) -> None:
        self._given[place] = output.logits[:, 0].tolist()
