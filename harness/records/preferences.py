"""Preferences: who prefers, what they are shown, and what they say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.records.answers import Response, Sample
from harness.records.models import Json

Side = Literal["left", "right"]
Winner = Literal["left", "right", "tie"]
NO_ORDER = "none"
"""The `order` in the details of a rater that sees no pair in any: `shown_first` then says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """Somebody who prefers: a judge model asked in one way, or a person in one blind test."""

    id: str
    """What preferences name. Another judge, template or criteria is another rater."""
    kind: Literal["judge", "human"]
    name: str
    """The judge model's name, or the person's."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """A judge's fingerprint, template, version, criteria and order; a person's blind test."""

    @property
    def sees_an_order(self) -> bool:
        """Whether one answer is shown before the other. To a reward model, or a jury, none is."""
        return self.details.get("order") != NO_ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs' answers to one sample, one of which may be preferred."""

    sample: Sample
    left_run: str
    right_run: str
    left: Response
    right: Response

    @property
    def identical(self) -> bool:
        """Whether there is nothing to prefer: two answers, equal but for the white space around them."""
        return self.missing is None and self.left.text.strip() == self.right.text.strip()

    @property
    def missing(self) -> str | None:
        """Why there is no pair to show; None where both answers are there."""
        for answer in (self.left, self.right):
            if answer.unanswered is not None:
                return answer.unanswered
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One rater's choice between two answers to one sample; judges and humans alike."""

    sample: str
    left_run: str
    right_run: str
    shown_first: Side
    """Which of the two answers the rater read first, or saw on the left."""
    winner: Winner | None
    """None: no usable answer, and `reason` says why."""
    rater: str
    """A Rater's id."""
    seconds: float | None = None
    cost: float | None = None
    """The cost in the currency of the price table; None if nothing was to be paid."""
    reason: str | None = None
    difference: float | None = None
    """The right answer's reward minus the left one's, where the rater is a reward model."""
    reply: str | None = None
    """The key of the judge's reply in the store."""
    comment: str | None = None
    """What a person wrote beside the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A blind test: who rates what in which order and on which sides, fixed before the first vote."""

    name: str
    created: str
    """ISO 8601, UTC."""
    design: Mapping[str, Json]
    """Everything that is sealed, the side of each model among it."""
    commitment: str
    """`sha256:` of the canonical design, printed when it was made."""
    unsealed: str | None = None
    """When it was revealed which side was whose; None: it still is sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a person did with one ballot of a study. Votes are only ever added; an undone one stays."""

    study: str
    rater: str
    """The person's name within the study."""
    ballot: str
    choice: Literal["left", "right", "tie", "bad", "skip", "undo"]
    """The side of the screen, not of a pair. `bad`: both are; `undo` takes the ballot's last choice back."""
    token: str
    """Made by who sends it, once for each act: the same one sent twice is one vote."""
    at: str
    """ISO 8601, UTC."""
    seconds: float | None = None
    """How long the ballot was looked at."""
    comment: str | None = None
    source: str = "web"
    """Where it was cast: `web`, `terminal`, or the file it was read from."""
