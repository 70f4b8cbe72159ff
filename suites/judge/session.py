"""Asks one judge about the pairs of two models: in rounds, within a budget, until it is decided.

Replies that the store holds are never asked for again, and every reply is stored before it counts: a session
that is killed resumes where it stopped. A round holds as many pairs as certainly fit into the rest of the
budget, each at the most it can cost; once their real cost is known, the next round is planned. So the budget
is never exceeded, and the session stops at the first pair that might exceed it. Pairs then come in random
order, since those asked by then stand for all.

Until a reply of the judge could be read, a round holds no more replies than may be unreadable in a row. A
judge may also become unreadable within a round: requests in flight are then abandoned.

Whether there are enough preferences is what a `StoppingRule` says.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, Protocol

from harness.errors import SchemaRefused
from harness.protocols import Engine
from harness.recorded import known_answers
from harness.records.answers import Prompt, Response
from harness.records.preferences import Pair, Preference
from harness.registry import TokenPrice
from harness.store import Store
from suites.judge.costs import Budget, cost_of, most_cost
from suites.judge.forms import IN_A_ROW, ParseRecord, as_asked_last, has_replied
from suites.judge.judges import Judge, replies_about, requests_about, to_ask, without_asking
from suites.judge.pairwise import PairwiseJudge

Ended = Literal["all", "budget", "decided", "undecidable", "unreadable"]
"""Why a session asked no further: it had asked everything; the budget; the question was decided, or could not
be any more; the judge could not be read."""


class StoppingRule(Protocol):
    """Says when enough is known."""

    def forget(self) -> None:
        """Start over."""
        ...

    def learn(self, preferences: Sequence[Preference]) -> None:
        """Take in the preferences about one pair."""
        ...

    def verdict(self, left: int) -> Literal["decided", "undecidable"] | None:
        """Whether to stop with so many pairs left to ask; None: go on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The outcome of a session."""

    preferences: tuple[Preference, ...]
    """The preferences in the order of the pairs. A pair that was not asked about has none."""
    ended: Ended
    calls: int
    """Requests that were sent."""
    recalled: int
    """Requests whose replies were there already."""
    spared: int
    """Requests that were not sent because the session ended before them."""
    prompt_tokens: int
    completion_tokens: int
    """Tokens of the replies to what was sent."""
    cost: float | None
    """The cost of what was sent; None if nothing was to be paid."""


class _Unreadable(Exception):
    """A judge that is to be asked in its other form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedJudge:
    """A judge that is known, and loaded when it is first asked."""

    judge: Judge
    engine: Callable[[], Engine]
    at_once: int
    """Requests in flight."""
    price: TokenPrice | None


class JudgeRunner:
    """Asks a judge. `judge` is another one once it is asked in its other form."""

    def __init__(
        self,
        opened: OpenedJudge,
        engine: Engine,
        store: Store,
        *,
        budget: Budget,
        seed: int,
        ask_refused: bool = False,
    ) -> None:
        """`engine` is the judge's, recorded in the store."""
        self.judge, self._first_form = opened.judge, opened.judge
        self.notes: list[str] = []
        self.given_up: str | None = None
        """Why the judge is asked nothing more; None: it is."""
        self._parsed, self._is_last_form = ParseRecord(), False
        self._engine, self._store = engine, store
        self._price, self._budget = opened.price, budget
        self._at_once, self._seed, self._ask_refused = opened.at_once, seed, ask_refused

    def judge_pairs(self, pairs: Sequence[Pair], stopping: StoppingRule | None = None) -> Session:
        """Ask about pairs of the same two models, and keep every preference. Raises as the engine does.

        A judge that cannot be read is asked in another form, from the first pair on, and then no further.
        """
        as_asked, gave_one_up = as_asked_last(self._first_form, self._store, pairs)
        if as_asked.rater.id != self.judge.rater.id and has_replied(
            as_asked, self._store, to_ask(as_asked, pairs)
        ):  # what was read about these pairs counts, in whatever form others were read since
            self.judge, self._parsed = as_asked, ParseRecord()
        self._is_last_form = self._is_last_form or gave_one_up
        usage = _Usage()
        while True:
            try:
                session = self._session(pairs, stopping, usage)
                if self.given_up is None and session.ended in ("all", "decided"):
                    self._take_back(pairs)
                return session
            except SchemaRefused as refused:
                if not isinstance(self.judge, PairwiseJudge) or has_replied(
                    self.judge, self._store, to_ask(self.judge, pairs)
                ):
                    raise
                self._ask_otherwise(f"its service takes no JSON schema ({refused})")
            except _Unreadable:
                self._is_last_form = True
                usage.begin_anew()
                self._ask_otherwise(
                    f"{self._parsed.in_a_row} replies in a row could not be read, the last one "
                    f"{self._parsed.reason}"
                )
                if stopping is not None:
                    stopping.forget()

    def _take_back(self, pairs: Sequence[Pair]) -> None:
        """Forget what was read in forms that were given up, once another one is read about the same pairs."""
        form: Judge | None = self._first_form
        while form is not None and form.rater.id != self.judge.rater.id:
            for left_run, right_run in {(pair.left_run, pair.right_run) for pair in pairs}:
                self._store.preferences.forget(form.rater.id, left_run, right_run)
            form = form.other_form()

    def _ask_otherwise(self, why: str) -> None:
        """Switch to the judge's other form, of which nothing is read yet."""
        other = self.judge.other_form()
        assert isinstance(other, PairwiseJudge)
        self.judge, self._parsed = other, ParseRecord()
        instead = f"the verdict was asked for {'on the last line' if other.form == 'line' else 'in JSON'}"
        self.notes.append(f"judge {other.name!r}: {why}; {instead}")

    def _session(self, pairs: Sequence[Pair], stopping: StoppingRule | None, usage: "_Usage") -> Session:
        settled = {pair.sample.id: (done,) for pair in pairs if (done := without_asking(self.judge, pair))}
        found: dict[str, tuple[Preference, ...]] = dict(settled)
        waiting = self._in_order(to_ask(self.judge, pairs), stopping)
        usage.known |= self._known_keys(waiting)
        self._check_readable(len(waiting))
        ended: Ended = "all"
        while waiting and not self.given_up:
            verdict = stopping and stopping.verdict(self._still_possible(len(waiting), usage))
            batch = [] if verdict else self._round(waiting, usage.known, limited=stopping is not None)
            if not batch:
                ended = verdict or "budget"
                break
            asked = self._asked(batch, usage, len(waiting))
            waiting.extendleft(reversed([pair for pair in batch if pair.sample.id not in asked]))
            self._check_readable(len(waiting))
            self._keep([each for preferences in asked.values() for each in preferences])
            found |= asked
            if stopping is not None:
                for preferences in asked.values():
                    stopping.learn(preferences)
        self._keep([each for one in settled.values() for each in one])
        return Session(
            preferences=tuple(each for pair in pairs for each in found.get(pair.sample.id, ())),
            ended="unreadable" if self.given_up else ended,
            calls=usage.calls,
            recalled=usage.recalled,
            spared=sum(len(self._unknown(pair, usage.known)) for pair in waiting),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost=None if self._price is None else usage.cost,
        )

    def _check_readable(self, left: int) -> None:
        """Give the judge up where no reply can be read. Raises _Unreadable where there is another form."""
        if not self._parsed.should_stop(left):
            return
        if not self._is_last_form and self.judge.other_form() is not None:
            raise _Unreadable
        self.given_up = f"{self._parsed.in_a_row} replies in a row, the last one {self._parsed.reason}"

    def _keep(self, preferences: Sequence[Preference]) -> None:
        """Who prefers is kept with the first preference: a form that was given up at once leaves no trace."""
        if preferences:
            self._store.preferences.keep_rater(self.judge.rater)
            self._store.preferences.keep(preferences)

    def _in_order(self, pairs: list[Pair], stopping: StoppingRule | None) -> deque[Pair]:
        if pairs and (stopping is not None or self._budget.limit is not None):
            Random(f"{self._seed}:{pairs[0].left_run}:{pairs[0].right_run}").shuffle(pairs)
        return deque(pairs)

    def _still_possible(self, waiting: int, usage: "_Usage") -> int:
        """Pairs that can still be asked, if they cost what pairs have cost on average."""
        if self._budget.limit is None or not usage.cost_of_form:
            return waiting
        each = usage.cost_of_form / usage.pairs_of_form
        return min(waiting, int((self._budget.limit - self._budget.spent) / each))

    def _round(self, waiting: deque[Pair], known: set[str], *, limited: bool) -> list[Pair]:
        """The next pairs that can be paid for whatever they cost; `limited`: only as many as fit at once."""
        batch: list[Pair] = []
        most, calls, at_most = 0.0, 0, self._at_most(limited)
        while waiting and (at_most is None or calls < at_most):
            asked = self._unknown(waiting[0], known)
            most += sum(most_cost(prompt, self.judge.sampling.max_tokens, self._price) for prompt in asked)
            if not self._budget.allows(most):
                break
            if limited and asked and batch and not calls:
                break  # what is known may decide it before another request is sent
            calls += len(asked)
            batch.append(waiting.popleft())
        return batch

    def _at_most(self, limited: bool) -> int | None:
        """How many requests a round may send; None: any number."""
        limits = [self._at_once] if limited else []
        if not self._parsed.was_read:
            limits.append(IN_A_ROW - self._parsed.in_a_row)
        return min(limits, default=None)

    def _asked(
        self, batch: Sequence[Pair], usage: "_Usage", waiting: int
    ) -> dict[str, tuple[Preference, ...]]:
        """The preferences about every pair, paid; `waiting`: pairs that come after these.

        Of a judge that turns out to be unreadable they are about the pairs up to then.
        """
        asked: dict[str, tuple[Preference, ...]] = {}
        sent = False
        with closing(replies_about(self.judge, self._engine, batch)) as answered:
            for pair, replies in answered:
                new = [usage.is_new(reply) for reply in replies]
                for prompt, reply, is_new in zip(self.judge.prompts(pair), replies, new, strict=True):
                    if is_new:
                        self._pay(prompt, reply, usage)
                sent = sent or any(new)
                usage.pairs_of_form += 1
                asked[pair.sample.id] = self._priced(self.judge.preferences(pair, replies), replies)
                self._parsed.add(asked[pair.sample.id], sent=any(new))
                if self._parsed.should_stop(len(batch) - len(asked) + waiting):
                    break
        if sent:  # what is known comes first, and nothing is in flight yet
            self._pay_for_the_rest([pair for pair in batch if pair.sample.id not in asked], usage)
        return asked

    def _pay_for_the_rest(self, pairs: Sequence[Pair], usage: "_Usage") -> None:
        """Pay replies that came and were not looked at, and at most for those in flight."""
        requests = requests_about(self.judge, pairs)
        prompts = {key: prompt for key, prompt in requests.items() if key not in usage.known}
        for key, reply in self._store.answers.known(list(prompts)).items():
            if isinstance(reply, Response) and usage.is_new(reply):
                self._pay(prompts.pop(key), reply, usage)
        for prompt in list(prompts.values())[: 2 * self._at_once]:
            self._charge(most_cost(prompt, self.judge.sampling.max_tokens, self._price), usage)

    def _pay(self, prompt: Prompt, reply: Response, usage: "_Usage") -> None:
        """Where a service does not say what a reply took, the budget is charged with the most it can be.

        What was refused without a word of tokens was not paid.
        """
        cost = cost_of(reply, self._price)
        if cost is None and reply.stop_reason not in ("failed", "refused"):
            cost = most_cost(prompt, self.judge.sampling.max_tokens, self._price)
        self._charge(cost or 0.0, usage)

    def _charge(self, cost: float, usage: "_Usage") -> None:
        self._budget.spent += cost
        usage.cost += cost
        usage.cost_of_form += cost

    def _priced(
        self, preferences: Sequence[Preference], replies: Sequence[Response]
    ) -> tuple[Preference, ...]:
        """Preferences with what their replies cost, now or earlier."""
        costs = [cost_of(reply, self._price) for reply in replies]
        if len(preferences) < len(replies):  # one preference, from the scores of both answers
            costs = [None if None in costs else sum(cost or 0.0 for cost in costs)]
        return tuple(replace(each, cost=cost) for each, cost in zip(preferences, costs, strict=True))

    def _unknown(self, pair: Pair, known: set[str]) -> list[Prompt]:
        """What would be sent about a pair."""
        requests = requests_about(self.judge, [pair])
        return [prompt for key, prompt in requests.items() if key not in known]

    def _known_keys(self, pairs: Iterable[Pair]) -> set[str]:
        keys = list(requests_about(self.judge, pairs))
        return set(known_answers(self._store, keys, ask_refused=self._ask_refused))


@dataclass(slots=True, kw_only=True)
class _Usage:
    """What a session has sent and received."""

    known: set[str] = field(default_factory=set)
    """The keys of replies that need not be paid."""
    pairs_of_form: int = 0
    """Pairs that were asked about in the form that is asked in now."""
    cost_of_form: float = 0.0
    calls: int = 0
    recalled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def begin_anew(self) -> None:
        """What pairs cost in a form that was given up says nothing about the other one."""
        self.pairs_of_form, self.cost_of_form = 0, 0.0

    def is_new(self, reply: Response) -> bool:
        """Count a reply, and say whether it was sent for: the same request a second time is not."""
        if reply.key in self.known:
            self.recalled += 1
            return False
        self.calls += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        if reply.key:
            self.known.add(reply.key)
        return True
