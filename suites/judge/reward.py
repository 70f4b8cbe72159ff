"""A reward model as a judge: it rates each answer by itself, and the higher score wins.

Scores are the model's own numbers, compared as they are: equal ones are a tie, and the difference is kept.
Each answer is rated once, so there is no order in which a pair could be shown.

The scores come from `harness.engine.local.reward_model`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.records.models import Json
from harness.records.preferences import NO_ORDER, Pair, Preference, Rater, Side, Winner
from harness.turns import turns_or_text
from suites.judge.judges import preference, rater_of


@dataclass(frozen=True, kw_only=True)
class RewardJudge:
    """Matches `suites.judge.judges.Judge`."""

    name: str
    fingerprint: str
    """The engine's."""
    has_turns: bool
    """Whether conversations are rendered with the model's chat template, as in its training."""

    usual_tokens = 0
    """It writes nothing."""

    @cached_property
    def rater(self) -> Rater:
        """Nothing but the model and how it is shown answers."""
        details: dict[str, Json] = {
            "fingerprint": self.fingerprint,
            "turns": self.has_turns,
            "order": NO_ORDER,
        }
        return rater_of(f"judge:{self.name}", self.name, details)

    @property
    def sampling(self) -> SamplingParameters:
        """A score is not drawn: this only names the one reply there is."""
        return SamplingParameters(max_tokens=1)

    def other_form(self) -> None:
        """There is one way to ask for a score."""

    def first_side(self, pair: Pair) -> Side:
        """Always left, which says nothing."""
        return "left"

    def prompts(self, pair: Pair) -> tuple[Prompt, ...]:
        """The conversation with the left answer, and with the right one."""
        return self._conversation(pair, pair.left), self._conversation(pair, pair.right)

    def preferences(self, pair: Pair, replies: Sequence[Response]) -> tuple[Preference, ...]:
        """One, of the higher score; none, with the reason, where an answer could not be rated."""
        left, right = replies
        missing = next((reason for reason in (reply.unanswered for reply in replies) if reason), None)
        if missing is not None:
            return (preference(pair, self.rater, "left", None, missing),)
        difference = float(right.text) - float(left.text)
        assert math.isfinite(difference), "the engine gives finite scores"
        winner: Winner = "tie" if difference == 0 else "right" if difference > 0 else "left"
        chosen = preference(pair, self.rater, "left", winner)
        return (replace(chosen, difference=difference, seconds=left.seconds + right.seconds),)

    def _conversation(self, pair: Pair, answer: Response) -> Prompt:
        request = turns_or_text(pair.sample.prompt, chat=self.has_turns)
        if isinstance(request, str):
            return Prompt(content=request + answer.text)
        return Prompt(content=(*request, Message(role="assistant", content=answer.text)))
