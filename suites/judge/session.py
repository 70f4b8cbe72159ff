"""One judge asked about the pairs of two models: in rounds, within a budget, until it is decided.

What is known is never asked, and what comes back is kept before it counts: a session that is killed goes on
where it was. A round holds as many pairs as are sure to fit into what is left of the budget, each reckoned at
the most it can cost; then what it really cost is known, and the next round is planned. So the budget is never
exceeded, and the session stops at the first pair that might. Pairs then come in random order, since those
that were asked by then stand for all.

It does not know what the preferences mean: a `Stopping` that was handed in says when there are enough.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, Protocol

from harness.errors import SchemaRefused
from harness.protocols import Engine
from harness.recorded import is_refused, known_answers
from harness.records import Pair, Preference, Prompt, Response
from harness.registry import TokenPrice
from harness.store import Store
from suites.judge.costs import Purse, cost_of, most_cost
from suites.judge.judges import Judge, keys_about, replies_about, without_asking
from suites.judge.pairwise import PairwiseJudge

Ended = Literal["all", "budget", "decided", "undecidable"]
"""Why a session asked no further: it had asked everything; the budget; the question was decided, or could not
be any more."""


class Stopping(Protocol):
    """Says when enough is known."""

    def learn(self, preferences: Sequence[Preference]) -> None:
        """What one pair's preferences say."""
        ...

    def verdict(self, left: int) -> Literal["decided", "undecidable"] | None:
        """Whether to stop with so many pairs left to ask; None: go on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What became of it."""

    preferences: tuple[Preference, ...]
    """In the order of the pairs. A pair that was not asked about has none."""
    ended: Ended
    calls: int
    """Requests that were sent."""
    recalled: int
    """Requests whose replies were there already."""
    spared: int
    """Requests that were not sent because the session ended before them."""
    prompt_tokens: int
    completion_tokens: int
    """Of what was sent."""
    cost: float | None
    """Of what was sent; None where nothing was to be paid."""


class Asking:
    """A judge with its engine. `judge` is another one once its service has refused a schema."""

    def __init__(
        self,
        judge: Judge,
        engine: Engine,
        store: Store,
        *,
        price: TokenPrice | None,
        purse: Purse,
        at_once: int,
        seed: int,
        ask_refused: bool = False,
    ) -> None:
        self.judge = judge
        self.notes: list[str] = []
        self._engine, self._store = engine, store
        self._price, self._purse = price, purse
        self._at_once, self._seed, self._ask_refused = at_once, seed, ask_refused

    def about(self, pairs: Sequence[Pair], stopping: Stopping | None = None) -> Session:
        """Ask about pairs of the same two models, and keep every preference. Raises as the engine does."""
        try:
            return self._session(pairs, stopping)
        except SchemaRefused as refused:
            if not isinstance(self.judge, PairwiseJudge) or self._has_replied(pairs):
                raise
            self.judge = replace(self.judge, form="line")
            self.notes.append(
                f"judge {self.judge.name!r}: its service takes no JSON schema, so the verdict was asked for "
                f"on the last line ({refused})"
            )
            return self._session(pairs, stopping)

    def _session(self, pairs: Sequence[Pair], stopping: Stopping | None) -> Session:
        self._store.keep_rater(self.judge.rater)
        found: dict[str, tuple[Preference, ...]] = {
            pair.sample.id: (done,) for pair in pairs if (done := without_asking(self.judge, pair))
        }
        self._store.keep_preferences([each for settled in found.values() for each in settled])
        waiting = self._in_order([pair for pair in pairs if pair.sample.id not in found], stopping)
        tally = _Tally(known=self._known_keys(waiting))
        ended: Ended = "all"
        while waiting:
            verdict = stopping and stopping.verdict(self._still_possible(len(waiting), tally))
            batch = [] if verdict else self._round(waiting, tally.known, limited=stopping is not None)
            if not batch:
                ended = verdict or "budget"
                break
            asked = self._asked(batch, tally)
            tally.pairs += len(batch)
            for pair in batch:
                found[pair.sample.id] = asked[pair.sample.id]
                if stopping is not None:
                    stopping.learn(asked[pair.sample.id])
        return Session(
            preferences=tuple(each for pair in pairs for each in found.get(pair.sample.id, ())),
            ended=ended,
            calls=tally.calls,
            recalled=tally.recalled,
            spared=sum(len(self._unknown(pair, tally.known)) for pair in waiting),
            prompt_tokens=tally.prompt_tokens,
            completion_tokens=tally.completion_tokens,
            cost=None if self._price is None else tally.cost,
        )

    def _in_order(self, pairs: list[Pair], stopping: Stopping | None) -> deque[Pair]:
        if pairs and (stopping is not None or self._purse.budget is not None):
            Random(f"{self._seed}:{pairs[0].left_run}:{pairs[0].right_run}").shuffle(pairs)
        return deque(pairs)

    def _still_possible(self, waiting: int, tally: "_Tally") -> int:
        """Pairs that can be asked yet, if they cost what pairs cost on average so far."""
        if self._purse.budget is None or not tally.cost:
            return waiting
        return min(waiting, int((self._purse.budget - self._purse.spent) / (tally.cost / tally.pairs)))

    def _round(self, waiting: deque[Pair], known: set[str], *, limited: bool) -> list[Pair]:
        """The next pairs that can be paid for whatever they cost; `limited`: only as many as fit at once."""
        batch: list[Pair] = []
        most, calls = 0.0, 0
        while waiting and (not limited or calls < self._at_once):
            asked = self._unknown(waiting[0], known)
            most += sum(most_cost(prompt, self.judge.sampling.max_tokens, self._price) for prompt in asked)
            if not self._purse.holds(most):
                break
            if limited and asked and batch and not calls:
                break  # what is known may decide it before another request is sent
            calls += len(asked)
            batch.append(waiting.popleft())
        return batch

    def _asked(self, batch: Sequence[Pair], tally: "_Tally") -> dict[str, tuple[Preference, ...]]:
        """The preferences about every pair, kept and paid."""
        asked = {}
        for pair, replies in replies_about(self.judge, self._engine, batch):
            for prompt, reply in zip(self.judge.prompts(pair), replies, strict=True):
                if tally.is_new(reply):
                    self._pay(prompt, reply, tally)
            asked[pair.sample.id] = self._priced(self.judge.preferences(pair, replies), replies)
        self._store.keep_preferences([each for preferences in asked.values() for each in preferences])
        return asked

    def _pay(self, prompt: Prompt, reply: Response, tally: "_Tally") -> None:
        """Where a service does not say what a reply took, the budget is charged with the most it can be.

        What was refused without a word of tokens was not paid.
        """
        cost = cost_of(reply, self._price)
        if cost is None and reply.stopped not in ("failed", "refused"):
            cost = most_cost(prompt, self.judge.sampling.max_tokens, self._price)
        self._purse.spent += cost or 0.0
        tally.cost += cost or 0.0

    def _priced(
        self, preferences: Sequence[Preference], replies: Sequence[Response]
    ) -> tuple[Preference, ...]:
        """Preferences with what their replies cost, whenever that was."""
        costs = [cost_of(reply, self._price) for reply in replies]
        if len(preferences) < len(replies):  # one preference, from the scores of both answers
            costs = [None if None in costs else sum(cost or 0.0 for cost in costs)]
        return tuple(replace(each, cost=cost) for each, cost in zip(preferences, costs, strict=True))

    def _unknown(self, pair: Pair, known: set[str]) -> list[Prompt]:
        """What would be sent about a pair."""
        keys = keys_about(self.judge, pair)
        return [
            prompt for prompt, key in zip(self.judge.prompts(pair), keys, strict=True) if key not in known
        ]

    def _known_keys(self, pairs: Iterable[Pair]) -> set[str]:
        keys = [key for pair in pairs for key in keys_about(self.judge, pair)]
        return set(known_answers(self._store, keys, ask_refused=self._ask_refused))

    def _has_replied(self, pairs: Sequence[Pair]) -> bool:
        """Whether anything about these pairs was answered in the form that is asked for now."""
        asked = [pair for pair in pairs if without_asking(self.judge, pair) is None]
        keys = [key for pair in asked for key in keys_about(self.judge, pair)]
        return not all(map(is_refused, self._store.known_answers(keys).values()))


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What a session has sent and got."""

    known: set[str]
    """The keys of replies that need not be paid."""
    pairs: int = 0
    calls: int = 0
    recalled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

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
