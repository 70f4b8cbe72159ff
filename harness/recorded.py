"""Wraps an engine with the store: known answers are read from it, and new ones are kept as they arrive.

Every answer is kept under the hash of the engine's fingerprint and the request with its sampling. So a killed
run resumes where it stopped, a changed scorer re-scores without asking, and one model's answer can never be
served for another's. An answer is committed before it is returned: every row's answers are in the store.

An answer that a service refused is known too, and asked for again only on request.

Nothing is retried here: engines do that.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, cast

from harness.calls import AnswersTogether, Call, ScoringCall, WritingCall, answers_of, parts_of
from harness.errors import AnswersMissing
from harness.protocols import Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Json
from harness.store import Answer, KeptAnswer, Store, answer_key, canonical, is_refused, key_of
from harness.turns import prompt_as_json

AT_MOST = 4096
"""Answers that may wait for each other before they are written."""
AT_LONGEST = 0.25
"""Seconds that an answer may wait before it is written."""
LOOKING = 0.1
"""Seconds between two looks at whether a signal has come, which may not end a wait by itself."""
COMMIT_SHARE = 0.002
"""The part of the time that the engine may wait for commits before answers start to wait for each other."""

OnAnswer = Callable[[int, int], None]
"""Called with how many requests of the running call are answered, and how many it has."""


def recorded(
    engine: Engine, store: Store, *, on_answer: OnAnswer | None = None, ask_refused: bool = False
) -> "RecordedEngine":
    """The engine, with the store as its memory. `ask_refused`: what was refused is asked again."""
    return RecordedEngine(
        engine=engine,
        store=store,
        on_answer=on_answer or (lambda done, total: None),
        ask_refused=ask_refused,
    )


def recalled(engine: Engine, store: Store, *, on_answer: OnAnswer | None = None) -> Engine:
    """The store alone, answering for the engine, which is never asked.

    Raises AnswersMissing before it gives any answer of a call of which the store lacks one.
    """
    return _Recalled(engine=engine, store=store, on_answer=on_answer or (lambda done, total: None))


def known_answers(store: Store, keys: Sequence[str], *, ask_refused: bool = False) -> dict[str, Answer]:
    """The answers kept under these keys, by key; without those that are to be asked for again."""
    known = store.answers.known(keys)
    return {key: answer for key, answer in known.items() if not (ask_refused and is_refused(answer))}


def located(engine: Engine, store: Store) -> Engine:
    """An engine that answers nothing, and says where its answer would be kept: as the reason of a failed one.

    So a suite shows what it would ask, and scores nothing.
    """
    return _Located(engine=engine, store=store, on_answer=lambda done, total: None)


def generation(prompt: Prompt, sampling: SamplingParameters) -> dict[str, Json]:
    """What a generated answer depends on besides the engine. Greedy: no seed, no cuts."""
    decoding: dict[str, Json] = {"max_tokens": sampling.max_tokens, "stop": sampling.stop, "temperature": 0}
    if sampling.temperature > 0:
        decoding |= {
            "temperature": float(sampling.temperature),
            "top_p": float(sampling.top_p),
            "top_k": sampling.top_k,
            "seed": sampling.seed,
        }
    asked: dict[str, Json] = {
        "kind": "generate",
        "prompt": prompt_as_json(prompt.content),
        "draw": prompt.draw,
        "sampling": decoding,
    }
    return asked if prompt.schema is None else {**asked, "schema": prompt.schema}


def scoring(context: str, continuation: str) -> dict[str, Json]:
    """What a log-likelihood depends on besides the engine."""
    return {"kind": "loglikelihood", "context": context, "continuation": continuation}


def scoring_keys(fingerprint: str, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """`answer_key(fingerprint, scoring(*pair))` of every pair; the context of many is hashed once."""
    begun: dict[str, Any] = {}
    keys = []
    for context, continuation in pairs:
        if context not in begun:
            begun[context] = sha256(f'{{"context":{canonical(context)}'.encode())
        whole = begun[context].copy()
        whole.update(f',"continuation":{canonical(continuation)},"kind":"loglikelihood"}}'.encode())
        keys.append(key_of(fingerprint, f"sha256:{whole.hexdigest()}"))
    return keys


def requests_of(call: Call) -> list[dict[str, Json]]:
    """What the answers of a call depend on besides the engine."""
    if isinstance(call, ScoringCall):
        return [scoring(*pair) for pair in call.pairs]
    return [generation(prompt, call.sampling) for prompt in call.prompts]


def keys_of(fingerprint: str, call: Call) -> list[str]:
    """The keys under which an engine's answers to a call are kept."""
    if isinstance(call, ScoringCall):
        return scoring_keys(fingerprint, call.pairs)
    return [answer_key(fingerprint, request) for request in requests_of(call)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEngine(AnswersTogether):
    """An engine with a memory. Matches `harness.protocols.Engine`."""

    engine: Engine
    store: Store
    on_answer: OnAnswer
    ask_refused: bool = False

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def can_score(self) -> bool:
        return self.engine.can_score

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self.engine.render(messages, open_turn=open_turn)

    def close(self) -> None:
        self.engine.close()

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        return cast("Iterator[tuple[int, Response]]", self.answers([WritingCall(prompts, sampling)]))

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        return self.answers([ScoringCall(pairs)])

    def answers(self, calls: Sequence[Call]) -> Iterator[tuple[int, Answer]]:
        """Every request's answer: known ones first, then new ones as they are committed."""
        places: dict[str, list[int]] = {}
        keys = [key for call in calls for key in keys_of(self.info.fingerprint, call)]
        for index, key in enumerate(keys):
            places.setdefault(key, []).append(index)
        done = 0
        for key, answer in self._distinct(places, calls):
            for index in places[key]:
                done += 1
                self.on_answer(done, len(keys))
                yield index, answer

    def _distinct(
        self, places: Mapping[str, list[int]], calls: Sequence[Call]
    ) -> Iterator[tuple[str, Answer]]:
        """Each distinct request's answer once, by key."""
        known = known_answers(self.store, list(places), ask_refused=self.ask_refused)
        yield from known.items()
        new = {key: indices[0] for key, indices in places.items() if key not in known}
        if new:
            yield from self._asked(list(new), parts_of(calls, list(new.values())))

    def _asked(self, keys: Sequence[str], calls: Sequence[Call]) -> Iterator[tuple[str, Answer]]:
        """Answers from the engine. Whenever one is yielded, all that came so far are committed."""
        fingerprint = self.info.fingerprint
        requests = [request for call in calls for request in requests_of(call)]
        waiting = _Waiting(self.store)
        try:
            for number, answer in answers_of(self.engine, calls):
                key = keys[number]
                if isinstance(answer, Response) and answer.stop_reason == "failed":
                    yield from waiting.commit()
                    yield key, replace(answer, key="")
                    continue
                kept = KeptAnswer(key=key, fingerprint=fingerprint, request=requests[number], answer=answer)
                waiting.add(kept)
                yield from waiting.written()
                if waiting.due:
                    yield from waiting.commit()
                else:
                    waiting.write()
            yield from waiting.commit()
        finally:
            waiting.commit()  # the engine raised, or the user pressed Ctrl-C while it worked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recalled(RecordedEngine):
    def _distinct(
        self, places: Mapping[str, list[int]], calls: Sequence[Call]
    ) -> Iterator[tuple[str, Answer]]:
        known = self.store.answers.known(list(places))
        if len(known) < len(places):
            raise AnswersMissing(len(places) - len(known), len(places))
        yield from known.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Located(RecordedEngine):
    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        for index, prompt in enumerate(prompts):
            key = answer_key(self.info.fingerprint, generation(prompt, sampling))
            yield index, Response(text="", stop_reason="failed", reason=key)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        for index in range(len(pairs)):
            yield index, LogLikelihood(logprob=0.0, greedy=False, tokens=1)


class _Waiting:
    """Answers between the engine and the store.

    Each is committed at once while that holds the engine up for little of the time, so that a slow answer is
    safe and seen as soon as it is there. Otherwise answers wait for each other, for a moment and whether or
    not another one comes, and are written in the store's own thread while the engine works on.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answers: deque[KeptAnswer] = deque()  # filled here, and emptied in the store's thread
        self._enough = threading.Event()
        self._taken_once = threading.Event()
        self._writes: deque[Future[dict[str, Answer]]] = deque()
        self._kept: list[tuple[str, Answer]] = []
        self._began = time.monotonic()
        self._held_up = 0.0

    @property
    def due(self) -> bool:
        """Whether a commit may hold the engine up."""
        return self._held_up <= COMMIT_SHARE * (time.monotonic() - self._began)

    def add(self, answer: KeptAnswer) -> None:
        """One more that waits."""
        self._answers.append(answer)
        if len(self._answers) >= AT_MOST:
            self._enough.set()

    def write(self) -> None:
        """Ensure that what waits will be kept. An engine that is faster than the store waits here."""
        if self._writes and not self._taken_once.is_set() and len(self._answers) < 2 * AT_MOST:
            return  # the last write will take it
        if len(self._answers) >= 2 * AT_MOST:
            self._end_writes()
        while self._writes and self._writes[0].done():
            self._add(self._writes.popleft().result())
        self._enough.clear()
        self._taken_once.clear()
        when = partial(self._enough.wait, AT_LONGEST)
        self._writes.append(self._store.answers.begin_keeping(self._taken, when=when))

    def written(self) -> list[tuple[str, Answer]]:
        """What is known to have been kept and was not returned yet, as the store now holds it."""
        kept, self._kept = self._kept, []
        return kept

    def commit(self) -> list[tuple[str, Answer]]:
        """Keep all that waits, and return what was not returned yet."""
        start = time.monotonic()
        if self._answers:  # in the store's thread, too, where no signal interrupts it
            self._writes.append(self._store.answers.begin_keeping(self._taken, when=lambda: None))
        self._end_writes()
        self._held_up += time.monotonic() - start
        return self.written()

    def _taken(self) -> list[KeptAnswer]:
        """All that waits; what comes from now on needs another write."""
        self._taken_once.set()
        return [self._answers.popleft() for _ in range(len(self._answers))]

    def _end_writes(self) -> None:
        """Wait for the writes under way. Interrupted, they are still under way, and are waited for again."""
        self._enough.set()
        while wait(self._writes, LOOKING).not_done:
            pass
        while self._writes:
            self._add(self._writes.popleft().result())

    def _add(self, kept: Mapping[str, Answer]) -> None:
        self._kept += kept.items()
