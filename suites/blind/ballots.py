"""The ballot box: gives raters their ballots and stores their votes, for the rating page and the terminal.

A ballot has an id, the prompt and two texts; which models they are from, which ballot is a repeat and which a
check stays in the store. Nothing but the design is held between calls: a vote is stored before `vote`
returns, and where a rater is follows from the votes in the store, so that a server may die at any moment, and
a page and a terminal may be used at once.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from math import isfinite
from threading import Lock
from typing import Literal, cast, get_args

from harness.errors import UnknownName, UsageError
from harness.records.answers import Message
from harness.records.preferences import Study, Vote
from harness.store import Store
from suites.blind.design import Design, Item, SealedBallot
from suites.blind.replay import RaterState, replay
from suites.blind.sealing import open_design

Choice = Literal["left", "right", "tie", "bad", "skip"]
"""The side of the screen; `bad`: both are."""
CHOICES: tuple[str, ...] = get_args(Choice)
MAX_COMMENT = 2_000
"""Characters of a comment."""
MAX_TOKEN = 100
"""Characters of a token."""
MAX_SECONDS = 7 * 24 * 3600.0
"""Longer than anybody looks at a ballot."""

DECIDED = "this ballot is decided already, perhaps in another tab; what was chosen there stands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What a rater sees."""

    id: str
    prompt: str | tuple[Message, ...]
    left: str
    right: str
    """The texts by the side of the screen they are on."""
    left_cut: bool = False
    right_cut: bool = False
    """Whether a text ends because it reached its longest length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CastVote:
    """What a rater sends, from a page, a terminal or a file."""

    ballot: str
    choice: str
    token: str
    """A new one for each act."""
    seconds: float | None = None
    """How long the ballot was looked at."""
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterProgress:
    """How far a rater is."""

    done: int
    """Ballots with a choice, or skipped for good."""
    total: int


class BallotBox:
    """The ballots of one blind test. May be used by several threads, and beside other processes."""

    def __init__(self, store: Store, study: str | None = None) -> None:
        """Open a blind test; None: the only one. Raises what `find_study` and `open_design` raise."""
        self._store = store
        self._design = open_design(find_study(store, study))
        self._voting = Lock()

    @property
    def study(self) -> str:
        return self._design.name

    @property
    def language(self) -> str:
        """The language of the page: `en` or `pt`."""
        return self._design.language

    @property
    def is_sealed(self) -> bool:
        """Whether votes are taken."""
        return self._store.studies.when_unsealed(self.study) is None

    def links(self) -> Mapping[str, str]:
        """Each rater's key: its holder votes in the rater's name."""
        return {rater: assignment.key for rater, assignment in self._design.assignments.items()}

    def rater_of(self, key: str) -> str | None:
        """Whose key this is; None: nobody's. Takes as long for every key of one length."""
        given = key.encode("utf-8", "replace")
        same = [rater for rater, own in self.links().items() if compare_digest(own.encode(), given)]
        return same[0] if same else None

    def progress(self, rater: str) -> RaterProgress:
        """How far a rater is. Raises UnknownName."""
        total = len(self._order(rater))
        return RaterProgress(done=total - len(self._state(rater).open), total=total)

    def current(self, rater: str) -> Ballot | None:
        """The ballot to show: the next one that was never touched, then skipped ones; None: all is done.

        A ballot that was just taken back comes before all others. Raises UnknownName.
        """
        waiting = self._state(rater).open
        return as_seen(self._design, self._sealed(rater, waiting[0])) if waiting else None

    def open_ballots(self, rater: str) -> list[Ballot]:
        """Every ballot that is to be decided, in the order `current` gives them. Raises UnknownName."""
        waiting = self._state(rater).open
        return [as_seen(self._design, self._sealed(rater, ballot)) for ballot in waiting]

    def vote(self, rater: str, sent: CastVote, *, source: str = "web", dry_run: bool = False) -> bool:
        """Keep a choice; False: this very vote was kept before, and nothing is changed.

        A `skip` puts the ballot at the end, and one at the end away for good. Control characters in a comment
        are dropped. With `dry_run` nothing is kept. Raises UnknownName for a rater that is not of the study,
        and UsageError for a ballot that is not this rater's or is decided, for an invalid choice, comment,
        time or token, and after unsealing.
        """
        vote = self._checked(rater, sent, source)
        with self._voting:
            if self._is_known(vote):
                return False
            self._check_open(vote)
            if not dry_run:
                self._keep(vote)
        return True

    def undo(self, rater: str, *, token: str, source: str = "web") -> bool:
        """Take back the last choice or skip, which makes its ballot current; False: this was done before.

        Raises UnknownName, and UsageError where there is nothing to take back, and after unsealing.
        """
        with self._voting:
            acts = self._state(rater).acts
            last = acts[-1].ballot if acts else ""
            vote = Vote(
                study=self.study,
                rater=rater,
                ballot=last,
                choice="undo",
                token=_checked_token(token),
                at=_now(),
                source=source,
            )
            if self._is_known(vote):
                return False
            self._check_sealed()
            if not acts:
                raise UsageError("there is nothing to take back")
            self._keep(vote)
        return True

    def _checked(self, rater: str, sent: CastVote, source: str) -> Vote:
        """A vote in which everything is what it may be."""
        if sent.choice not in CHOICES:
            raise UsageError(f"{sent.choice!r} is not a choice; choose one of {', '.join(CHOICES)}")
        self._sealed(rater, sent.ballot)
        return Vote(
            study=self.study,
            rater=rater,
            ballot=sent.ballot,
            choice=cast(Choice, sent.choice),
            token=_checked_token(sent.token),
            at=_now(),
            seconds=_checked_seconds(sent.seconds),
            comment=_checked_comment(sent.comment),
            source=source,
        )

    def _is_known(self, vote: Vote) -> bool:
        """Whether this act was kept before. Raises UsageError where its token was another one's."""
        votes = self._store.studies.votes(self.study, rater=vote.rater)
        known = next((each for each in votes if each.token == vote.token), None)
        if known is None:
            return False
        undone = known.choice == vote.choice == "undo"
        if not undone and (known.ballot, known.choice) != (vote.ballot, vote.choice):
            raise UsageError("this token was used for another vote; make a new one for each act")
        return True

    def _check_sealed(self) -> None:
        if not self.is_sealed:
            raise UsageError(f"the blind test {self.study!r} is unsealed: votes are closed")

    def _check_open(self, vote: Vote) -> None:
        """Raise UsageError for a ballot that is decided, or skipped again while others still wait."""
        self._check_sealed()
        state = self._state(vote.rater)
        if vote.ballot in state.standing:
            raise UsageError(DECIDED)
        skipped = any(act.ballot == vote.ballot for act in state.acts)
        if vote.choice == "skip" and skipped and state.open[0] != vote.ballot:
            raise UsageError(
                "this ballot was skipped already, perhaps in another tab; it comes again at the end"
            )

    def _keep(self, vote: Vote) -> None:
        """Keep a vote, and make sure that no other process came between. Raises UsageError."""
        self._store.studies.keep_votes([vote])
        if any(each.token == vote.token for each in self._state(vote.rater).ignored):
            raise UsageError(DECIDED)

    def _order(self, rater: str) -> list[str]:
        if rater not in self._design.assignments:
            raise UnknownName(f"rater of the blind test {self.study!r}", rater, self._design.assignments)
        return [sealed.id for sealed in self._design.assignments[rater].ballots]

    def _state(self, rater: str) -> RaterState:
        return replay(self._order(rater), self._store.studies.votes(self.study, rater=rater))

    def _sealed(self, rater: str, ballot_id: str) -> SealedBallot:
        self._order(rater)
        for sealed in self._design.assignments[rater].ballots:
            if sealed.id == ballot_id:
                return sealed
        raise UsageError(f"this is not one of {rater}'s ballots in the blind test {self.study!r}")


def find_study(store: Store, name: str | None) -> Study:
    """The study of this name, or the only one. Raises UnknownName, and UsageError where there is none."""
    studies = {study.name: study for study in store.studies.find()}
    if not studies:
        raise UsageError(f"{store.name} holds no blind test yet; `harness blind new A B` makes one")
    if name is not None and name not in studies:
        raise UnknownName("blind test", name, studies)
    if name is None and len(studies) > 1:
        raise UsageError(f"there are several blind tests; choose with --study: {', '.join(studies)}")
    return studies[name] if name is not None else next(iter(studies.values()))


def as_seen(design: Design, sealed: SealedBallot) -> Ballot:
    """A ballot as the rater sees it."""
    shown = sealed.shown
    if isinstance(shown, Item):
        question = design.questions[shown.sample]
        prompt = question.prompt
        sides = [(question.answers[model], model in question.cut) for model in (shown.left, shown.right)]
    else:
        prompt, sides = shown.prompt, [(shown.good, False), (shown.bad, False)]
    (left, left_cut), (right, right_cut) = reversed(sides) if sealed.mirrored else sides
    return Ballot(id=sealed.id, prompt=prompt, left=left, right=right, left_cut=left_cut, right_cut=right_cut)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _checked_token(token: str) -> str:
    if not (0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable()):
        raise UsageError(f"a token is 1 to {MAX_TOKEN} printable ASCII characters")
    return token


def _checked_seconds(seconds: float | None) -> float | None:
    if seconds is not None and not (isfinite(seconds) and 0 <= seconds <= MAX_SECONDS):
        raise UsageError(f"{seconds} cannot be the seconds that a ballot was looked at")
    return seconds


def _checked_comment(comment: str | None) -> str | None:
    """What was written, without control characters and halves of characters, which databases refuse."""
    if comment is None:
        return None
    if len(comment) > MAX_COMMENT:
        raise UsageError(f"a comment has at most {MAX_COMMENT:,} characters, and this one {len(comment):,}")
    kept = (each for each in comment if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cs"))
    return "".join(kept).strip() or None
