"""The design: how many ballots, who gets which, in which order and on which sides."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import UsageError
from suites.blind.checks import CHECKS, Check
from suites.blind.design import APART, Design, Item, Plan, SealedBallot
from tests.suites.blind.made import PLAN, altered, design, pairs


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Designs of two or three models with every number small."""
    prompts, models = draw(st.integers(6, 20)), draw(st.sampled_from(["AB", "ABC"]))
    available = prompts * (1 if models == "AB" else 3)
    overlap, own = draw(st.integers(0, 10)), draw(st.integers(0, 15))
    assume(6 <= overlap + own <= available)
    repeats, checks = draw(st.integers(0, overlap + own - APART)), draw(st.integers(0, 4))
    plan = Plan(
        raters=tuple(f"rater{number}" for number in range(draw(st.integers(1, 4)))),
        per_rater=overlap + own + repeats + checks,
        overlap=overlap,
        repeats=repeats,
        checks=checks,
    )
    return design(plan, of=pairs(prompts, models), seed=str(draw(st.integers(0, 2**32))))


def firsts(ballots: tuple[SealedBallot, ...]) -> list[Item]:
    """The items of a rater, each once."""
    return [each.shown for each in ballots if isinstance(each.shown, Item) and each.repeats is None]


@given(designs())
def test_every_rater_gets_what_was_asked_for(made: Design) -> None:
    """Each has `per_rater` ballots: so many repeats, so many checks, and the rest different items."""
    for assignment in made.assignments.values():
        kinds = Counter(
            "check" if isinstance(each.shown, Check) else "repeat" if each.repeats else "item"
            for each in assignment.ballots
        )
        plan = made.plan
        assert plan.per_rater == len(assignment.ballots)
        assert (plan.checks, plan.repeats, plan.items) == (kinds["check"], kinds["repeat"], kinds["item"])
        assert plan.items == len(set(firsts(assignment.ballots)))


@given(designs())
def test_the_overlap_is_seen_by_all(made: Design) -> None:
    """At least `overlap` items are every rater's."""
    common = set.intersection(*(set(firsts(assignment.ballots)) for assignment in made.assignments.values()))
    assert len(common) >= made.plan.overlap


@given(designs())
def test_what_is_dealt_out_gets_equally_many_votes(made: Design) -> None:
    """Items that are not in the overlap have the same number of votes, or one more."""
    votes = Counter(item for assignment in made.assignments.values() for item in firsts(assignment.ballots))
    raters = len(made.assignments)
    dealt = sorted(votes.values())[: len(votes) - made.plan.overlap]
    if raters > 1 and dealt and made.plan.own:
        assert max(dealt) - min(dealt) <= 1


@given(designs())
def test_every_model_is_on_the_left_half_of_the_time(made: Design) -> None:
    """For each rater and each two models, one is on the left as often as the other, or once more."""
    for assignment in made.assignments.values():
        left: Counter[tuple[str, str]] = Counter()
        for each in assignment.ballots:
            if isinstance(each.shown, Item) and each.repeats is None:
                left[each.shown.left, each.shown.right] += -1 if each.mirrored else 1
        assert all(abs(more) <= 1 for more in left.values())


@given(designs())
def test_repeats_are_mirrored_and_far_behind(made: Design) -> None:
    """A repeat shows the same item with sides exchanged, with at least `APART` ballots between."""
    for assignment in made.assignments.values():
        places = {each.id: place for place, each in enumerate(assignment.ballots)}
        for each in assignment.ballots:
            if each.repeats is not None:
                first = assignment.ballots[places[each.repeats]]
                assert (each.shown, each.mirrored) == (first.shown, not first.mirrored)
                assert places[each.id] - places[first.id] > APART


@given(designs())
def test_ids_are_all_different_and_of_one_length(made: Design) -> None:
    """An id tells nothing by its length, and no two ballots of the study share one; nor do keys."""
    ids = [each.id for assignment in made.assignments.values() for each in assignment.ballots]
    keys = [assignment.key for assignment in made.assignments.values()]
    assert len(ids) == len(set(ids))
    assert len(keys) == len(set(keys))
    assert 1 == len({len(each) for each in ids}) == len({len(each) for each in keys})


def test_prompts_come_evenly_and_so_do_every_two_models() -> None:
    """With three models, 30 of 90 items are 30 prompts, ten for each two models."""
    plan = Plan(raters=("ana",), per_rater=30, overlap=0, repeats=0, checks=0)
    items = firsts(design(plan, of=pairs(30, "ABC")).assignments["ana"].ballots)
    assert 30 == len({item.sample for item in items})
    assert {("A", "B"): 10, ("A", "C"): 10, ("B", "C"): 10} == Counter(
        (each.left, each.right) for each in items
    )


def test_the_seed_draws_order_and_sides_but_no_id() -> None:
    """The same seed gives the same order and sides; ids, keys and the nonce are new each time."""
    one, other = design(seed="7"), design(seed="7")
    shown = [
        [(each.shown, each.mirrored) for each in assignment.ballots]
        for assignment in one.assignments.values()
    ]
    assert shown == [
        [(each.shown, each.mirrored) for each in assignment.ballots]
        for assignment in other.assignments.values()
    ]
    assert one.nonce != other.nonce
    for rater in one.assignments:
        ids = {each.id for each in one.assignments[rater].ballots}
        assert not ids & {each.id for each in other.assignments[rater].ballots}
        assert one.assignments[rater].key != other.assignments[rater].key


def test_without_a_seed_every_design_is_another() -> None:
    """Nobody who knows the program can draw the sides again."""
    assert design(seed=None).seed != design(seed=None).seed


def test_raters_have_an_order_of_their_own() -> None:
    """Two raters with the same items get them in different orders and on different sides."""
    plan = replace(PLAN, per_rater=30, overlap=30, repeats=0, checks=0)
    ana, bia = (assignment.ballots for assignment in design(plan).assignments.values())
    assert {each.shown for each in ana} == {each.shown for each in bia}
    assert [each.shown for each in ana] != [each.shown for each in bia]
    assert {each.shown: each.mirrored for each in ana} != {each.shown: each.mirrored for each in bia}


def test_equal_and_missing_answers_are_left_out_and_counted() -> None:
    """White space makes no difference to prefer; a failed answer is no answer."""
    given_ = list(pairs(30)["A", "B"])
    given_[0] = altered(given_[0], left=f"\n{given_[0].right.text} ")
    given_[1] = altered(given_[1], stopped="failed")
    made = design(replace(PLAN, per_rater=28, overlap=28, repeats=0, checks=0), of={("A", "B"): given_})
    assert (Item(sample="s0", left="A", right="B"),) == made.left_out.identical
    assert {"failed: no reason given": 1} == made.left_out.missing
    assert not {"s0", "s1"} & set(made.questions)


def test_space_around_an_answer_is_not_shown() -> None:
    """A model that begins every answer with a line break is not recognised by it."""
    given_ = [altered(each, left=f"\n {each.left.text}\n") for each in pairs(30)["A", "B"]]
    made = design(of={("A", "B"): given_})
    assert all(question.answers["A"] == f"A of {sample}" for sample, question in made.questions.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raters": ()}, "needs raters"),
        ({"raters": ("ana", "bia", "ana")}, "'ana' is named 2 times"),
        ({"raters": ("ana:", "bia")}, "'ana:' cannot be the name of a rater"),
        ({"checks": 99}, f"there are {len(CHECKS)} check items"),
        ({"per_rater": 10}, "are 11 already; raise it to at least 13"),
        ({"per_rater": 5, "overlap": 0}, "raise it to at least 13"),
        ({"per_rater": 40}, "there are 30 that differ and are whole; at most --per-rater 35 is possible"),
        ({"repeats": 9}, "9 items allow at most 4"),
    ],
)
def test_numbers_that_do_not_fit_say_what_is_possible(changes: dict[str, object], message: str) -> None:
    """The option that is wrong, and what it could be."""
    with pytest.raises(UsageError, match=message):
        design(replace(PLAN, **changes))  # type: ignore[arg-type]  # a case changes fields of different types


def test_what_is_said_to_be_possible_is() -> None:
    """The largest and the smallest number that messages name make a design."""
    for per_rater in (13, 35):
        assert per_rater == len(design(replace(PLAN, per_rater=per_rater)).assignments["ana"].ballots)


def test_checks_are_of_one_kind() -> None:
    """Both answers of a check are about as long: length tells nobody which one is good."""
    assert len({check.prompt for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        shorter, longer = sorted((len(check.good), len(check.bad)))
        assert longer <= 1.35 * shorter, check.prompt


def test_repeats_are_spread() -> None:
    """Repeats do not all stand together at the end."""
    plan = Plan(raters=("ana",), per_rater=60, overlap=0, repeats=10, checks=0)
    made = design(plan, of=pairs(60))
    places = [place for place, each in enumerate(made.assignments["ana"].ballots) if each.repeats]
    assert places[0] < 45
    assert any(later - before > 1 for before, later in pairwise(places))
