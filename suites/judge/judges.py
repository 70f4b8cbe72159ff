"""The protocol of judges, which turns a pair of answers into prompts, and replies into preferences."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Protocol

from harness.preferences.named import IDENTICAL, NO_ANSWER
from harness.protocols import Engine
from harness.recorded import generation
from harness.records.answers import Prompt, Response, SamplingParameters
from harness.records.models import Json
from harness.records.preferences import Pair, Preference, Rater, Side, Winner
from harness.store import answer_key, digest

SHOWN_OF_A_HASH = 8


class Judge(Protocol):
    """A model that prefers, asked in one way."""

    @property
    def name(self) -> str:
        """The name of the model or pipeline."""
        ...

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its engine."""
        ...

    @property
    def rater(self) -> Rater:
        """What its preferences name, and everything that they depend on."""
        ...

    @property
    def sampling(self) -> SamplingParameters:
        """How its replies are drawn."""
        ...

    @property
    def usual_tokens(self) -> int:
        """How long a reply usually is: a guess, for estimates."""
        ...

    def other_form(self) -> "Judge | None":
        """The same judge, asked for its verdict in another form; None: none is left."""
        ...

    def first_side(self, pair: Pair) -> Side:
        """Whose answer is shown first in the first of its prompts."""
        ...

    def prompts(self, pair: Pair) -> tuple[Prompt, ...]:
        """What is asked about a pair that has something to prefer."""
        ...

    def preferences(self, pair: Pair, replies: Sequence[Response]) -> tuple[Preference, ...]:
        """What the replies to these prompts say, in their order. `cost` is left to who knows prices."""
        ...


def rater_of(called: str, name: str, details: Mapping[str, Json]) -> Rater:
    """The rater `CALLED:HASH`, whose hash covers all the details."""
    short = digest(details).removeprefix("sha256:")[:SHOWN_OF_A_HASH]
    return Rater(id=f"{called}:{short}", kind="judge", name=name, details=details)


def without_asking(judge: Judge, pair: Pair) -> Preference | None:
    """What is known of a pair before it is judged: a tie of identical answers, or that one is missing.

    None where there is something to prefer. A missing answer may come later: the preference stands where the
    judge's own will replace it.
    """
    first = judge.first_side(pair)
    if pair.missing is not None:
        return preference(pair, judge.rater, first, None, f"{NO_ANSWER} ({pair.missing})")
    if pair.identical:
        return preference(pair, judge.rater, first, "tie", IDENTICAL)
    return None


def preference(
    pair: Pair,
    rater: Rater,
    shown_first: Side,
    winner: Winner | None,
    reason: str | None = None,
    reply: Response | None = None,
) -> Preference:
    """A choice about a pair; `reply` is what it was read from."""
    return Preference(
        sample=pair.sample.id,
        left_run=pair.left_run,
        right_run=pair.right_run,
        shown_first=shown_first,
        winner=winner,
        rater=rater.id,
        reason=reason,
        seconds=None if reply is None else reply.seconds,
        reply=None if reply is None else reply.key or None,
    )


def to_ask(judge: Judge, pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs that a judge must be asked about."""
    return [pair for pair in pairs if without_asking(judge, pair) is None]


def requests_about(judge: Judge, pairs: Iterable[Pair]) -> dict[str, Prompt]:
    """What is asked about pairs, in order, by the key that the reply is kept under."""
    return {
        answer_key(judge.fingerprint, generation(prompt, judge.sampling)): prompt
        for pair in pairs
        for prompt in judge.prompts(pair)
    }


def replies_about(
    judge: Judge, engine: Engine, pairs: Sequence[Pair]
) -> Generator[tuple[Pair, tuple[Response, ...]]]:
    """Every pair with the judge's replies about it, as soon as all of them are there."""
    prompts = [(place, prompt) for place, pair in enumerate(pairs) for prompt in judge.prompts(pair)]
    indices: dict[int, list[int]] = {}
    for index, (place, _) in enumerate(prompts):
        indices.setdefault(place, []).append(index)
    replies: dict[int, Response] = {}
    for index, reply in engine.generate([prompt for _, prompt in prompts], judge.sampling):
        replies[index] = reply
        place = prompts[index][0]
        if all(other in replies for other in indices[place]):
            yield pairs[place], tuple(replies[other] for other in indices[place])
