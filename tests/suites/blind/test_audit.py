"""The audit: each kind of bad rater is found, a good one is not, and nothing is revealed while sealed."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

from harness.preferences.results import HUMANS, GroupAgreement, RaterAgreement
from harness.records.preferences import Study, Vote
from harness.stats.plan import AnalysisPlan
from suites.blind.audit import READING, Audit, audit, verdict
from suites.blind.ballots import Ballot, BallotBox, CastVote
from suites.blind.checks import CHECKS
from suites.blind.design import Design, Item, Plan, SealedBallot
from suites.blind.preferences import as_rater, preferences, rater_states
from suites.blind.sealing import seal
from tests.suites.blind.made import design, kept, pairs, reads, resolve, vote_all

PLAN = Plan(raters=("ana", "bia"), per_rater=60, overlap=40, repeats=6, checks=4)
FEW = AnalysisPlan(resamples=500)
Rule = Callable[[Ballot], str]


def voted(
    folder: Path, ana: Rule, bia: Rule, *, seconds: float = 60.0, of: str = "AB"
) -> tuple[Study, Design, list[Vote]]:
    """A study in which both raters have voted by their rules."""
    store, study, made = kept(folder, design(PLAN, of=pairs(60, of)))
    with store:
        box = BallotBox(store, "test")
        vote_all(box, "ana", ana)
        vote_all(box, "bia", bia, seconds=seconds)
        return study, made, store.studies.votes("test")


def audited(folder: Path, ana: Rule, bia: Rule, *, seconds: float = 60.0, unsealed: bool = False) -> Audit:
    """The audit of such a study."""
    study, made, votes = voted(folder, ana, bia, seconds=seconds)
    if unsealed:
        study = replace(study, unsealed="2026-11-24T12:00:00+00:00")
    return audit(study, made, votes, resolve, FEW)


def agreement(found: Audit) -> tuple[GroupAgreement, RaterAgreement]:
    """Of all raters, and of the first two."""
    assert found.preferences is not None
    return found.preferences.groups[0], found.preferences.agreements[0]


def read_from_the_start(ballot: Ballot) -> str:
    """A reader with a taste: model A in most cases, by the prompt."""
    number = sum(map(ord, str(ballot.prompt)))
    return reads(ballot, "A" if number % 3 else "B")


def test_readers_are_trusted_and_agree(tmp_path: Path) -> None:
    """Two who read and have one taste: nobody is flagged, all checks pass, agreement is whole."""
    found = audited(tmp_path, read_from_the_start, read_from_the_start)
    assert () == found.flagged
    for rater in found.raters:
        assert rater.checks is not None
        assert rater.repeats is not None
        assert (4, 6, 60) == (rater.checks.count, rater.repeats.count, rater.choices)
        assert "can be relied on" in verdict(rater)
    group, between = agreement(found)
    assert 1.0 == group.raw.value == group.alpha.value == group.fleiss.value == between.kappa.value
    assert 40 == group.raw.items


def test_a_strong_preference_for_a_model_is_none_for_a_side(tmp_path: Path) -> None:
    """Who always prefers one model chooses either side equally often, and is not flagged."""
    found = audited(tmp_path, reads, reads)
    assert () == found.flagged
    left = found.raters[0].left
    assert left is not None
    assert 25 == left.share.count
    assert 50 == left.share.of


def test_a_side_is_found(tmp_path: Path) -> None:
    """Always the left: a side preferred, and no repeat with the same choice."""
    found = audited(tmp_path, reads, lambda _: "left")
    assert ("bia",) == found.flagged
    flags = " ".join(found.raters[1].flags)
    assert "the left side of the screen chosen in 100% of 50" in flags
    assert "only 0 of 6 repeats" in flags
    assert "do not rely on these votes" in verdict(found.raters[1])


def test_missed_checks_are_found(tmp_path: Path) -> None:
    """Who prefers the wrong answers of checks and reads otherwise is flagged for just that."""
    good = {check.good for check in CHECKS}

    def wrong(ballot: Ballot) -> str:
        if {ballot.left, ballot.right} & good:
            return "right" if ballot.left in good else "left"
        return reads(ballot)

    found = audited(tmp_path, reads, wrong)
    assert ("4 of 4 checks missed, whose answer is plain",) == found.raters[1].flags


def test_haste_is_found(tmp_path: Path) -> None:
    """Votes in a tenth of a second, on ballots of some 30 characters and more, are too fast."""
    found = audited(tmp_path, reads, reads, seconds=0.1)
    assert ("100% of 60 votes came faster than anybody reads",) == found.raters[1].flags
    assert 0.1 == found.raters[1].median_seconds


def test_the_limit_of_haste_is_its_rule(tmp_path: Path) -> None:
    """Exactly as long as the characters take is not too fast."""
    store, study, made = kept(tmp_path, design(PLAN, of=pairs(60)))
    box = BallotBox(store, "test")
    for number in range(2):
        ballot = box.current("ana")
        assert ballot is not None
        needed = (len(str(ballot.prompt)) + len(ballot.left) + len(ballot.right)) / READING
        box.vote(
            "ana",
            CastVote(ballot=ballot.id, choice="tie", token=str(number), seconds=needed - 0.001 * number),
        )
    hasty = audit(study, made, store.studies.votes("test"), resolve).raters[0].hasty
    assert hasty is not None
    assert (1, 2) == (hasty.count, hasty.of)


def test_chance_is_not_agreement(tmp_path: Path) -> None:
    """Two who toss coins agree no more than chance: the intervals of kappa and alpha hold 0."""
    rng = random.Random(5)
    found = audited(
        tmp_path, lambda _: rng.choice(["left", "right"]), lambda _: rng.choice(["left", "right"])
    )
    group, between = agreement(found)
    for coefficient in (between.kappa, group.fleiss, group.alpha):
        assert coefficient.interval is not None
        assert coefficient.interval.low < 0 < coefficient.interval.high


@pytest.mark.parametrize(("repeats", "checks", "found"), [(5, 3, 0.594), (10, 6, 0.931)])
def test_who_tosses_coins_is_found_as_often_as_the_rules_say(repeats: int, checks: int, found: float) -> None:
    """1 - P(few repeats are missed) P(at most one check is): the shares are worked out by hand.

    5 repeats flag up to 1 the same (6/32), 3 checks 2 missed (4/8); 10 flag up to 4 (386/1024), 6 checks 2
    missed (57/64). A preferred side, at 2.5 % for each of two raters, flags up to 1 % more.
    """
    plan = Plan(
        raters=("ana", "bia"), per_rater=40 + repeats + checks, overlap=0, repeats=repeats, checks=checks
    )
    rng = random.Random(repeats)
    flagged = 0
    for number in range(300):
        made = design(plan, of=pairs(80), seed=f"{repeats} {number}")
        votes = [
            Vote(
                study="test",
                rater="ana",
                ballot=ballot.id,
                choice=rng.choice(["left", "right"]),  # type: ignore[arg-type]  # two of the choices
                token=ballot.id,
                at="2026-11-24T10:00:00+00:00",
            )
            for ballot in made.assignments["ana"].ballots
        ]
        flagged += bool(audit(seal(made), made, votes, resolve, AnalysisPlan(resamples=10)).raters[0].flags)
    assert binomtest(flagged, 300, found + 0.01).pvalue > 1e-3


def test_both_bad_is_a_tie(tmp_path: Path) -> None:
    """It is counted as one, agrees with one, and is an equal choice on a repeat."""
    found = audited(tmp_path, lambda _: "tie", lambda _: "bad")
    assert (60, 60) == (found.raters[0].ties, found.raters[1].ties)
    assert 1.0 == agreement(found)[0].raw.value
    assert found.raters[1].left is None


def test_nothing_is_known_before_a_vote(tmp_path: Path) -> None:
    """An audit of no votes has no figure, and says so; nobody is flagged."""
    _, study, made = kept(tmp_path)
    found = audit(study, made, [], resolve)
    assert () == found.flagged
    assert (None, None, None) == (
        found.raters[0].left,
        found.raters[0].checks,
        found.raters[0].median_seconds,
    )
    assert found.preferences is None
    assert "nothing is known for or against" in verdict(found.raters[0])


def test_skips_and_undone_votes_are_counted(tmp_path: Path) -> None:
    """Once skipped and twice skipped are skipped; an undone vote is no choice."""
    store, study, made = kept(tmp_path)
    box = BallotBox(store, "test")
    for number, choice in enumerate(["skip", "left", "tie"]):
        ballot = box.current("ana")
        assert ballot is not None
        box.vote("ana", CastVote(ballot=ballot.id, choice=choice, token=str(number)))
    box.undo("ana", token="undo")
    ana = audit(study, made, store.studies.votes("test"), resolve).raters[0]
    assert (1, 1, 1, 1) == (ana.skipped, ana.undone, ana.choices, ana.done)


def exchanged(choice: str) -> str:
    """The other side."""
    return {"left": "right", "right": "left"}.get(choice, choice)


def test_sealed_the_audit_does_not_tell_which_model_is_ahead(tmp_path: Path) -> None:
    """Two studies in which A and B have changed places have the same audit, to the last figure.

    Raters of one prefer A and tie on some; raters of the other see the very same screens, of which the
    design says the opposite.
    """
    study, made, votes = voted(tmp_path, reads, read_from_the_start)

    def turned(ballot: SealedBallot) -> SealedBallot:
        is_item = isinstance(ballot.shown, Item)
        return replace(ballot, mirrored=ballot.mirrored != is_item)

    assignments = {
        rater: replace(assignment, ballots=tuple(map(turned, assignment.ballots)))
        for rater, assignment in made.assignments.items()
    }
    opposite = replace(made, assignments=assignments)
    found, other = (audit(study, each, votes, resolve, FEW) for each in (made, opposite))
    assert found.raters == other.raters
    assert found.preferences is not None
    assert other.preferences is not None
    assert found.preferences.agreements
    for of in (lambda one: [each.kappa for each in one.agreements], lambda one: [one.groups[0].alpha]):
        assert [pytest.approx(each.value) for each in of(found.preferences)] == [
            each.value for each in of(other.preferences)
        ]
    assert ((), (), None) == (found.preferences.win_rates, found.preferences.ratings, found.without_flagged)


def test_unsealed_it_tells_with_and_without_the_flagged(tmp_path: Path) -> None:
    """ana prefers A in all 50 items, bia always the left: without bia, B wins nothing."""
    found = audited(tmp_path, reads, lambda _: "left", unsealed=True)
    assert found.preferences is not None
    assert found.without_flagged is not None
    everybody, without = (each.humans("B") for each in (found.preferences, found.without_flagged))
    assert everybody is not None
    assert without is not None
    assert (HUMANS, "human:test:ana") == (everybody.rater, without.rater)
    assert ("A", "B") == (everybody.baseline, everybody.candidate)
    assert everybody.win_rate is not None
    assert without.win_rate is not None
    assert (25, 75) == (everybody.win_rate.won, everybody.win_rate.lost)
    assert (0, 50) == (without.win_rate.won, without.win_rate.lost)


def test_an_audit_is_json(tmp_path: Path) -> None:
    """Every figure can be given to a machine; none is NaN."""
    json.dumps(asdict(audited(tmp_path, reads, lambda _: "tie", unsealed=True)), allow_nan=False)


def test_choices_become_preferences(tmp_path: Path) -> None:
    """One for each item; winners by model, whatever side; checks and repeats are none."""
    study, made, votes = voted(tmp_path, reads, lambda _: "bad", of="ABC")
    found = rater_states(made, votes)
    ana, bia = (preferences(made, rater, found[rater]) for rater in ("ana", "bia"))
    assert (50, 50) == (len(ana), len(bia))
    assert 50 == len({(each.sample, each.left_run, each.right_run) for each in ana})
    assert {"left"} == {each.winner for each in ana if each.left_run == "run-A"}
    assert {("tie", "both bad")} == {(each.winner, each.reason) for each in bia}
    assert {"human:test:ana"} == {each.rater for each in ana}
    shown_left = sum(each.shown_first == "left" for each in ana)
    assert 23 <= shown_left <= 27
    rater = as_rater(study, "ana", ["a reason"])
    assert ("human:test:ana", "human", ["a reason"]) == (rater.id, rater.kind, rater.details["flags"])


def test_a_skipped_item_is_no_preference_but_is_kept(tmp_path: Path) -> None:
    """It has no winner, and the reason says why; a comment stays with its choice."""
    store, _, made = kept(tmp_path, design(replace(PLAN, checks=0), of=pairs(60)))
    box = BallotBox(store, "test")
    for number, choice in enumerate(["skip", "left"]):
        ballot = box.current("ana")
        assert ballot is not None
        box.vote(
            "ana", CastVote(ballot=ballot.id, choice=choice, token=str(number), comment=choice, seconds=2.5)
        )
    found = preferences(made, "ana", rater_states(made, store.studies.votes("test"))["ana"])
    assert [(None, "skipped", "skip"), (found[1].winner, None, "left")] == [
        (each.winner, each.reason, each.comment) for each in found
    ]
    assert 2.5 == found[1].seconds
