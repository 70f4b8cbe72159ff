"""The design of a blind test: who rates what, in which order and on which sides, fixed before any vote.

- **Items** are a prompt with two models' answers. With more than two models every prompt has several; they
  are dealt so that prompts come equally often first, and every two models meet equally often.
- **Each rater** gets the overlap, which all raters get, then items of their own, dealt in turn so that all
  items have the same number of votes or one more; some items again with the sides exchanged; and checks.
- **Sides** are drawn for each rater alone: for every two models each is on the left in half of the items.
- **Order** is drawn for each rater alone. A repeat comes at least `APART` ballots after its first showing.

What is drawn by the seed is order and sides. Ballots' ids, the raters' keys and the nonce of the seal are
from the operating system's secrets, so that nothing which leaves this machine gives anything away; the
same seed gives the same design but for them. Answers are stripped of the white space around them, which could
distinguish one model from another.
"""

import random
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.records.answers import Message
from harness.records.preferences import Pair
from suites.blind.checks import CHECKS, Check

APART = 5
"""Ballots at least between an item and its repeat."""
ID_BYTES, KEY_BYTES = 12, 24
"""Bytes of randomness in a ballot's id, and in the key of a rater's private link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is asked of whom."""

    raters: tuple[str, ...]
    per_rater: int
    """All ballots of a rater: overlap, own items, repeats and checks."""
    overlap: int
    """Items that all raters get."""
    repeats: int
    """Ballots that show an item of the same rater again."""
    checks: int
    """Ballots with an obvious answer."""

    @property
    def own(self) -> int:
        """Items of a rater that are not overlap."""
        return self.per_rater - self.overlap - self.repeats - self.checks

    @property
    def items(self) -> int:
        """Different items of a rater."""
        return self.overlap + self.own


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt and the answers to it that are shown."""

    sample: str
    prompt: str | tuple[Message, ...]
    answers: Mapping[str, str]
    """The answers, by model."""
    cut: frozenset[str] = frozenset()
    """The models whose answer reached its longest length, which raters are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Two models' answers to a prompt."""

    sample: str
    left: str
    right: str
    """The models; the left one stands earlier in the design's `models`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBallot:
    """A ballot with what no rater sees: the item or check it shows, and which side of the screen is whose."""

    id: str
    shown: Item | Check
    mirrored: bool
    """The right model's answer, or a check's bad one, is on the left of the screen."""
    repeats: str | None = None
    """The ballot that showed the same item before, mirrored the other way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One rater's ballots in their order, and the key of the private link to them."""

    key: str
    ballots: tuple[SealedBallot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedPairs:
    """Pairs of answers that no rater is shown."""

    identical: tuple[Item, ...]
    """Equal but for the white space around them: ties, counted apart."""
    missing: Mapping[str, int]
    """How many lack an answer, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Everything that is sealed."""

    name: str
    created: str
    """ISO 8601, UTC."""
    nonce: str
    """Random, so that nobody finds the sides by trying designs until one has the commitment."""
    seed: str
    language: str
    """The language of the rating page: `en` or `pt`."""
    prompts: str
    """Where the prompts are from."""
    models: tuple[str, ...]
    runs: Mapping[str, str]
    """The run of each model's answers."""
    plan: Plan
    left_out: ExcludedPairs
    questions: Mapping[str, Question]
    """The questions, by sample; only those that are shown."""
    assignments: Mapping[str, Assignment]
    """The assignments, by rater."""


def make_design(
    pairs: Mapping[tuple[str, str], Sequence[Pair]],
    plan: Plan,
    *,
    name: str,
    created: str,
    prompts: str,
    language: str = "en",
    seed: str | None = None,
) -> Design:
    """Draw a design for these models' pairs of answers. A seed of None is drawn as well.

    Raises UsageError where the numbers of the plan do not fit the pairs that can be shown, or each other.
    """
    check_plan(plan)
    seed = secrets.token_hex(16) if seed is None else seed
    rng = random.Random(seed)
    models = tuple(dict.fromkeys(model for two in pairs for model in two))
    shown = {two: [pair for pair in each if _is_shown(pair)] for two, each in pairs.items()}
    items = _dealing_order(shown, rng)
    _check_fits(plan, len(items))
    assignments = _assignments(items, plan, rng)
    questions = _questions(shown, {ballot.shown for each in assignments.values() for ballot in each.ballots})
    return Design(
        name=name,
        created=created,
        nonce=secrets.token_hex(32),
        seed=seed,
        language=language,
        prompts=prompts,
        models=models,
        runs=_runs(pairs),
        plan=plan,
        left_out=_left_out(pairs),
        questions=questions,
        assignments=assignments,
    )


def check_plan(plan: Plan) -> None:
    """Raise UsageError for raters or numbers that can fit no prompts; say what is possible."""
    if not plan.raters:
        raise UsageError("a blind test needs raters: --raters ana,bia")
    for rater, times in Counter(plan.raters).items():
        check_name("rater", rater)
        if times > 1:
            raise UsageError(f"rater {rater!r} is named {times} times; give every rater a name of their own")
    if plan.checks > len(CHECKS):
        raise UsageError(
            f"--checks {plan.checks}: there are {len(CHECKS)} check items; ask for at most those"
        )
    if plan.own < 0 or not plan.items:
        others = plan.per_rater - plan.own
        raise UsageError(
            f"--per-rater {plan.per_rater} counts every ballot of a rater, and --overlap {plan.overlap}, "
            f"--repeats {plan.repeats} and --checks {plan.checks} are {others} already; "
            f"raise it to at least {_least(plan)}, or lower one of them"
        )
    if plan.repeats > max(plan.items - APART, 0):
        raise UsageError(
            f"--repeats {plan.repeats}: a repeat comes at least {APART} ballots after its first showing, so "
            f"{plan.items} items allow at most {max(plan.items - APART, 0)}; lower it, or raise --per-rater"
        )


def _least(plan: Plan) -> int:
    """The smallest `per_rater` that fits the other numbers."""
    return plan.repeats + plan.checks + max(plan.overlap, plan.repeats + APART if plan.repeats else 1)


def check_name(kind: str, name: str) -> None:
    """Raise UsageError for a name that would be misread in a link, a table or a list of names."""
    if not re.fullmatch(r"\w[\w .@-]{0,59}", name):
        raise UsageError(
            f"{name!r} cannot be the name of a {kind}: letters, digits, spaces and . _ @ - are possible, at "
            "most 60, with a letter or digit first"
        )


def _check_fits(plan: Plan, available: int) -> None:
    """Raise UsageError where a rater would need more items than there are."""
    if plan.items > available:
        most = available + plan.repeats + plan.checks
        raise UsageError(
            f"--per-rater {plan.per_rater} asks each rater for {plan.items} different pairs of answers (the "
            f"rest are repeats and checks), and there are {available} that differ and are whole; "
            + (f"at most --per-rater {most} is possible" if available else "no blind test is possible")
            + ", or name more prompts"
        )


def _is_shown(pair: Pair) -> bool:
    return not pair.identical and pair.missing is None


def _dealing_order(shown: Mapping[tuple[str, str], Sequence[Pair]], rng: random.Random) -> list[Item]:
    """All items, so that any beginning has each prompt equally often and each two models, where it can be."""
    left = {two: {pair.sample.id for pair in each} for two, each in shown.items()}
    samples = list(dict.fromkeys(pair.sample.id for each in shown.values() for pair in each))
    rng.shuffle(samples)
    used: Counter[tuple[str, str]] = Counter()
    order = []
    for _ in left:
        for sample in samples:
            choices = [two for two in left if sample in left[two]]
            if choices:
                two = min(choices, key=lambda each: (used[each], rng.random()))
                left[two].remove(sample)
                used[two] += 1
                order.append(Item(sample=sample, left=two[0], right=two[1]))
    return order


def _assignments(items: Sequence[Item], plan: Plan, rng: random.Random) -> dict[str, Assignment]:
    """Every rater's ballots. Own items are dealt round and round, so that nobody gets one twice."""
    overlap, rest = items[: plan.overlap], items[plan.overlap :]
    assignments = {}
    for place, rater in enumerate(plan.raters):
        own = [rest[number % len(rest)] for number in range(place * plan.own, (place + 1) * plan.own)]
        ballots = _ballots([*overlap, *own], plan, rng)
        assignments[rater] = Assignment(key=secrets.token_urlsafe(KEY_BYTES), ballots=tuple(ballots))
    return assignments


def _ballots(items: Sequence[Item], plan: Plan, rng: random.Random) -> list[SealedBallot]:
    """Items and checks in random order, then some items again, each far enough behind its first showing."""
    firsts = [_ballot(item, mirrored) for item, mirrored in _with_sides(items, rng)]
    checks = [_ballot(check, rng.random() < 0.5) for check in rng.sample(CHECKS, plan.checks)]
    order = [*firsts, *checks]
    rng.shuffle(order)
    early = [place for place, ballot in enumerate(order[:-APART]) if isinstance(ballot.shown, Item)]
    again = {place: rng.randint(place + APART + 1, len(order)) for place in rng.sample(early, plan.repeats)}
    behind: dict[int, list[SealedBallot]] = {}
    for place, gap in again.items():
        first = order[place]
        behind.setdefault(gap, []).append(_ballot(first.shown, not first.mirrored, repeats=first.id))
    return [
        ballot
        for place in range(len(order) + 1)
        for ballot in (*behind.get(place, ()), *order[place : place + 1])
    ]


def _with_sides(items: Sequence[Item], rng: random.Random) -> list[tuple[Item, bool]]:
    """Each item with whether it is mirrored: a random half of every two models' items is."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.left, item.right), []).append(item)
    drawn = []
    for group in groups.values():
        odd = rng.random() < 0.5
        sides = [(place + odd) % 2 == 0 for place in range(len(group))]
        rng.shuffle(sides)
        drawn += list(zip(group, sides, strict=True))
    return drawn


def _ballot(shown: Item | Check, mirrored: bool, repeats: str | None = None) -> SealedBallot:
    return SealedBallot(id=secrets.token_hex(ID_BYTES), shown=shown, mirrored=mirrored, repeats=repeats)


def _questions(
    shown: Mapping[tuple[str, str], Sequence[Pair]], items: set[Item | Check]
) -> dict[str, Question]:
    """The prompts and answers of the items that somebody rates."""
    answers: dict[str, dict[str, str]] = {}
    cut: dict[str, set[str]] = {}
    prompts = {}
    for (left, right), each in shown.items():
        for pair in each:
            if Item(sample=pair.sample.id, left=left, right=right) in items:
                prompts[pair.sample.id] = pair.sample.prompt
                texts = answers.setdefault(pair.sample.id, {})
                texts |= {left: pair.left.text.strip(), right: pair.right.text.strip()}
                both = {left: pair.left, right: pair.right}
                reached = (model for model, answer in both.items() if answer.stop_reason == "length")
                cut.setdefault(pair.sample.id, set()).update(reached)
    return {
        sample: Question(sample=sample, prompt=prompts[sample], answers=texts, cut=frozenset(cut[sample]))
        for sample, texts in answers.items()
    }


def _runs(pairs: Mapping[tuple[str, str], Sequence[Pair]]) -> dict[str, str]:
    runs: dict[str, str] = {}
    for (left, right), each in pairs.items():
        for pair in each[:1]:
            runs |= {left: pair.left_run, right: pair.right_run}
    return runs


def _left_out(pairs: Mapping[tuple[str, str], Sequence[Pair]]) -> ExcludedPairs:
    missing = Counter(pair.missing for each in pairs.values() for pair in each if pair.missing is not None)
    identical = [
        Item(sample=pair.sample.id, left=left, right=right)
        for (left, right), each in pairs.items()
        for pair in each
        if pair.identical
    ]
    return ExcludedPairs(identical=tuple(identical), missing=dict(missing))
