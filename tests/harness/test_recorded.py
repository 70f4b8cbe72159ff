"""An engine with a memory: what is known is not asked, what is new is kept before anybody sees it."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import AnswersMissing, DiskFull, EngineError
from harness.recorded import AT_MOST, generation, recalled, recorded, scoring, scoring_keys
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.store import KeptAnswer, Store, answer_key
from harness.store.answers import Answers
from harness.store.database import Database
from tests.harness.scripted_worker import PROMPTS, RUN, SAMPLING, Scripted, work

WORKER = Path(__file__).with_name("scripted_worker.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a store can be made."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    with Store.open(url) as opened:
        yield opened


def texts(answers: Iterator[tuple[int, Response]]) -> dict[int, str]:
    """Every index's text."""
    return {index: answer.text for index, answer in answers}


def test_nothing_is_asked_twice(store: Store) -> None:
    """The same requests again are answered by the store, and the engine is not called at all."""
    first, second = Scripted(), Scripted()

    expected = list(recorded(first, store).generate(PROMPTS, SAMPLING))

    assert sorted(expected, key=lambda pair: pair[0]) == list(
        recorded(second, store).generate(PROMPTS, SAMPLING)
    )
    assert len(PROMPTS) == len(first.asked)
    assert [] == second.asked


def test_likelihoods_are_kept_too(store: Store) -> None:
    """Both kinds of answer come back with their keys."""
    pairs = [("2 + 2 =", " 4"), ("2 + 2 =", " five")]
    engine = Scripted()

    expected = dict(recorded(engine, store).loglikelihood(pairs))

    assert {0: -2.0, 1: -5.0} == {index: answer.logprob for index, answer in expected.items()}
    assert expected == dict(recorded(engine, store).loglikelihood(pairs))
    assert answer_key(engine.info.fingerprint, scoring(*pairs[0])) == expected[0].key
    assert 2 == len(engine.asked)


def test_recalled_answers_are_the_kept_ones(store: Store) -> None:
    """The store alone gives what the engine gave, for every index, and the engine is not called."""
    pairs = [("2 + 2 =", " 4"), ("2 + 2 =", " five")]
    remembering = recorded(Scripted(), store)
    expected = dict(remembering.generate(PROMPTS, SAMPLING)), dict(remembering.loglikelihood(pairs))
    engine = Scripted()

    recalling = recalled(engine, store)

    assert expected == (dict(recalling.generate(PROMPTS, SAMPLING)), dict(recalling.loglikelihood(pairs)))
    assert engine.info == recalling.info
    assert [] == engine.asked


def test_where_one_answer_is_missing_none_is_recalled(store: Store) -> None:
    """It is counted how many distinct requests have none, before any answer is given."""
    list(recorded(Scripted(), store).generate(PROMPTS[:2], SAMPLING))
    engine = Scripted()

    with pytest.raises(AnswersMissing, match="3 of 5 answers are not in the store") as caught:
        next(recalled(engine, store).generate([*PROMPTS[:5], PROMPTS[4]], SAMPLING))

    assert (3, 5) == (caught.value.missing, caught.value.asked)
    assert [] == engine.asked


def test_known_answers_come_first(store: Store) -> None:
    """A resumed suite gets at once what there is, while the engine works on the rest."""
    list(recorded(Scripted(), store).generate(PROMPTS[3:5], SAMPLING))
    engine = Scripted()

    answers = recorded(engine, store).generate(PROMPTS[:6], SAMPLING)

    assert [3, 4] == [next(answers)[0], next(answers)[0]]
    assert [] == engine.asked
    assert {0, 1, 2, 5} == {index for index, _ in answers}


def test_equal_requests_are_asked_once(store: Store) -> None:
    """And answered at each of their places."""
    engine = Scripted()
    prompts = [PROMPTS[0], PROMPTS[1], PROMPTS[0]]

    assert {0: "QUESTION 0", 1: "QUESTION 1", 2: "QUESTION 0"} == texts(
        recorded(engine, store).generate(prompts, SAMPLING)
    )
    assert ["question 1", "question 0"] == engine.asked


def test_the_key_of_an_answer_is_fixed() -> None:
    """A key that changed would make every store forget everything: change it on purpose or not at all."""
    turns = Prompt(content=(Message(role="user", content="Grüße?"),), draw=3)
    sampling = SamplingParameters(max_tokens=20, temperature=1, top_p=0.9, stop=("\n",), seed=7)

    generated = "sha256:0980ee39d8be3ad56ba291c3384fdbcbbd5f5696f4a487aeaf4e397a0c4fa385"
    scored = "sha256:37d8c838c4a773b926947bb1d02b2d43a3a912228617c0a7384a61de10250ea2"
    assert generated == answer_key("sha256:model", generation(turns, sampling))
    assert scored == answer_key("sha256:model", scoring("2 + 2 =", " 4"))


DRAWN = SamplingParameters(max_tokens=20, temperature=1.0)


@pytest.mark.parametrize(
    ("prompt", "sampling"),
    [
        (Prompt(content="other"), DRAWN),
        (Prompt(content="same", draw=1), DRAWN),
        (Prompt(content=(Message(role="user", content="same"),)), DRAWN),
        (Prompt(content="same"), replace(DRAWN, max_tokens=21)),
        (Prompt(content="same"), replace(DRAWN, stop=("\n",))),
        (Prompt(content="same"), replace(DRAWN, temperature=0.5)),
        (Prompt(content="same"), replace(DRAWN, temperature=0.0)),
        (Prompt(content="same"), replace(DRAWN, top_p=0.9)),
        (Prompt(content="same"), replace(DRAWN, top_k=5)),
        (Prompt(content="same"), replace(DRAWN, seed=1)),
    ],
)
def test_whatever_can_change_an_answer_changes_its_key(prompt: Prompt, sampling: SamplingParameters) -> None:
    """Content, turns or text, draw, and each setting of the sampling."""
    assert generation(Prompt(content="same"), DRAWN) != generation(prompt, sampling)


def test_greedy_answers_ignore_what_greedy_decoding_ignores() -> None:
    """Another seed, top_p or top_k is the same request at temperature 0, and 0 is 0.0."""
    greedy = SamplingParameters(max_tokens=20)

    same = SamplingParameters(max_tokens=20, temperature=0, top_p=0.5, top_k=3, seed=9)

    assert generation(PROMPTS[0], greedy) == generation(PROMPTS[0], same)


def test_one_models_answer_is_never_anothers(store: Store) -> None:
    """Another fingerprint asks again."""
    other = Scripted(fingerprint="sha256:other")
    list(recorded(Scripted(), store).generate(PROMPTS[:2], SAMPLING))

    list(recorded(other, store).generate(PROMPTS[:2], SAMPLING))

    assert 2 == len(other.asked)


def test_a_seen_answer_is_a_kept_answer(store: Store, url: str) -> None:
    """Another process finds each answer at the moment it is yielded: a row never outlives its answers."""
    with Store.open(url) as other:
        for _, answer in recorded(Scripted(), store).generate(PROMPTS, SAMPLING):
            assert {answer.key: answer} == other.answers.known([answer.key])


def test_a_consumer_that_stops_early_loses_nothing(store: Store) -> None:
    """What the engine gave before the generator was closed is not asked again."""
    engine, again = Scripted(), Scripted()
    answers = recorded(engine, store).generate(PROMPTS, SAMPLING)
    for _ in range(10):
        next(answers)
    del answers

    list(recorded(again, store).generate(PROMPTS, SAMPLING))

    assert sorted(prompt.content for prompt in PROMPTS) == sorted(engine.asked + again.asked)


@dataclass(kw_only=True)
class Failing(Scripted):
    """Gives this many answers, then raises."""

    after: int
    error: type[BaseException]

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answers, and then the error."""
        for number, pair in enumerate(super().generate(prompts, sampling)):
            if number == self.after:
                raise self.error("in the middle")
            yield pair


@pytest.mark.parametrize("error", [KeyboardInterrupt, EngineError])
def test_an_interrupted_engine_loses_nothing(store: Store, error: type[BaseException]) -> None:
    """Answers that waited for their commit are kept when the engine raises or the user presses Ctrl-C."""
    with pytest.raises(error, match="in the middle"):
        list(recorded(Failing(after=37, error=error), store).generate(PROMPTS, SAMPLING))

    again = Scripted()
    list(recorded(again, store).generate(PROMPTS, SAMPLING))
    assert len(PROMPTS) - 37 == len(again.asked)


@dataclass(kw_only=True)
class Refusing(Scripted):
    """Fails at every second prompt, with a key it has no right to."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answers and failures in turn."""
        for index, answer in super().generate(prompts, sampling):
            failed = replace(answer, text="", stop_reason="failed", reason="no reply", key="sha256:wrong")
            yield index, failed if index % 2 else answer


def test_a_failed_answer_is_not_kept(store: Store) -> None:
    """It is yielded without a key, and asked again the next time; the answers around it are kept."""
    answers = dict(recorded(Refusing(), store).generate(PROMPTS[:4], SAMPLING))

    assert ["end", "failed", "end", "failed"] == [answers[index].stop_reason for index in range(4)]
    assert ["", ""] == [answers[1].key, answers[3].key]
    again = Scripted()
    list(recorded(again, store).generate(PROMPTS[:4], SAMPLING))
    assert ["question 3", "question 1"] == again.asked


def test_the_faster_processs_answer_is_everybodys(store: Store) -> None:
    """Where another process answered meanwhile, its answer is yielded: scores rest on what is stored."""
    answers = recorded(Scripted(), store).generate(PROMPTS[:2], SAMPLING)
    next(answers)  # question 1; another process now answers question 0
    request = generation(PROMPTS[0], SAMPLING)
    key = answer_key("sha256:scripted", request)
    faster = Response(text="faster", stop_reason="end")
    store.answers.keep([KeptAnswer(key=key, fingerprint="sha256:scripted", request=request, answer=faster)])

    assert [(0, replace(faster, key=key))] == list(answers)


class Interrupted(Answers):
    """Does something else before it keeps answers."""

    before: Callable[[Sequence[KeptAnswer]], object]

    def keep(self, answers: Sequence[KeptAnswer]) -> dict[str, Response | LogLikelihood]:
        """That, then keep."""
        self.before(answers)
        return super().keep(answers)


class Interrupting(Store):
    """Does something else before it keeps answers."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.answers = answers = Interrupted(database)
        answers.before = self.before

    def before(self, answers: Sequence[KeptAnswer]) -> None:
        raise NotImplementedError


class Counting(Interrupting):
    """Remembers how many answers each transaction had."""

    sizes: list[int]

    def before(self, answers: Sequence[KeptAnswer]) -> None:
        """Count."""
        self.sizes.append(len(answers))


@pytest.fixture
def counting(url: str) -> Iterator[Counting]:
    """An empty store that counts."""
    with Counting.open(url) as opened:
        opened.sizes = []
        yield opened


def test_slow_answers_are_committed_one_by_one(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """While commits hold it up for little of the time, a killed process loses no finished answer."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 1.0)

    list(recorded(Scripted(), counting).generate(PROMPTS[:20], SAMPLING))

    assert [1] * 20 == counting.sizes


def test_fast_answers_are_committed_together(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where commits would hold the engine up for too long, answers wait for each other, up to a limit."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    prompts = [Prompt(content=str(number)) for number in range(2 * AT_MOST + 6)]

    list(recorded(Scripted(), counting).generate(prompts, SAMPLING))

    assert len(prompts) == sum(counting.sizes)
    assert max(counting.sizes) <= 2 * AT_MOST
    assert len(counting.sizes) < 20


class Slow(Interrupting):
    """Writes what comes after the first answer only once the engine has given more answers."""

    more: threading.Event
    writes = 0

    def before(self, answers: Sequence[KeptAnswer]) -> None:
        """Wait, but with the first one."""
        if self.writes:
            assert self.more.wait(timeout=10), "the engine was held up"
        self.writes += 1


@dataclass(kw_only=True)
class Telling(Scripted):
    """Says when it has given enough answers for one write, and one more."""

    more: threading.Event

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answers."""
        for number, pair in enumerate(super().generate(prompts, sampling)):
            if number == AT_MOST + 2:
                self.more.set()
            yield pair


def test_a_fast_engine_is_not_held_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are written while it works, and each is seen once, when it is kept."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    prompts = [Prompt(content=str(number)) for number in range(AT_MOST + 20)]
    engine = Telling(more=threading.Event())
    with Slow.open(url) as store:
        store.more = engine.more
        answers = dict(recorded(engine, store).generate(prompts, SAMPLING))
        kept = store.answers.known([answer.key for answer in answers.values()])

    assert store.writes > 1
    assert len(prompts) == len(answers) == len(kept)


@dataclass(kw_only=True)
class Pausing(Scripted):
    """Gives a few answers at once, and goes on when the test says so."""

    go_on: threading.Event

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answers."""
        for number, pair in enumerate(super().generate(prompts, sampling)):
            if number == 9:
                assert self.go_on.wait(timeout=30), "what was answered was never kept"
            yield pair


def test_an_answer_is_kept_although_no_other_comes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the engine takes for the next, what it has answered is safe within a moment."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    engine = Pausing(go_on=threading.Event())
    keys = [
        answer_key(engine.info.fingerprint, generation(prompt, SAMPLING)) for prompt in PROMPTS[1:10]
    ]  # it begins with the last

    def watch() -> None:
        with Store.open(url) as other:
            while len(other.answers.known(keys)) < len(keys):
                time.sleep(0.01)
        engine.go_on.set()

    with Store.open(url) as store:
        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        assert 10 == len(list(recorded(engine, store).generate(PROMPTS[:10], SAMPLING)))
        watching.join()


class Held(Interrupting):
    """Its thread has taken what waited after the first answer, and is still writing, until it is let go."""

    begun: threading.Event
    taken: threading.Event
    let_go: threading.Event

    def before(self, answers: Sequence[KeptAnswer]) -> None:
        """Wait, but with the first one."""
        if self.begun.is_set():
            self.taken.set()
            assert self.let_go.wait(timeout=30)
        self.begun.set()


@dataclass(kw_only=True)
class Watched(Scripted):
    """Gives its third answer while the second is being written, and its fourth when the third is kept."""

    store: Held

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answers."""
        third = answer_key(self.fingerprint, generation(prompts[-3], sampling))
        for number, pair in enumerate(super().generate(prompts, sampling)):
            if number == 2:
                assert self.store.taken.wait(timeout=30)
            if number == 3:
                self.store.let_go.set()
                deadline = time.monotonic() + 30
                while not self.store.answers.known([third]):
                    assert time.monotonic() < deadline, "what came during a write was never kept"
                    time.sleep(0.01)
            yield pair


def test_an_answer_that_comes_during_a_write_is_kept_by_the_next(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that has taken what waited does not keep what came since: another one follows by itself."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    with Held.open(url) as store:
        store.begun, store.taken, store.let_go = (threading.Event() for _ in range(3))
        assert 4 == len(list(recorded(Watched(store=store), store).generate(PROMPTS[:4], SAMPLING)))


class Full(Interrupting):
    """Has no room left."""

    def before(self, answers: Sequence[KeptAnswer]) -> None:
        """Takes one answer."""
        if len(answers) > 1:
            raise DiskFull("no space is left")


def test_a_write_that_fails_beside_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in the store's thread ends the evaluation, as it would in ours."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    prompts = [Prompt(content=str(number)) for number in range(3 * AT_MOST)]
    with Full.open(url) as store, pytest.raises(DiskFull, match="no space is left"):
        list(recorded(Scripted(), store).generate(prompts, SAMPLING))


def test_a_database_in_memory_keeps_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to its thread: all is written there."""
    monkeypatch.setattr("harness.recorded.COMMIT_SHARE", 0.0)
    prompts = [Prompt(content=str(number)) for number in range(2 * AT_MOST)]
    with Store.open("sqlite://") as store:
        list(recorded(Scripted(), store).generate(prompts, SAMPLING))
        again = Scripted()
        list(recorded(again, store).generate(prompts, SAMPLING))

    assert [] == again.asked


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.text(), st.text()), max_size=6), st.text())
def test_pairs_are_hashed_together(pairs: list[tuple[str, str]], fingerprint: str) -> None:
    """Hashing a shared context once gives the keys that hashing each request gives, whatever the texts."""
    pairs += [(context, "again") for context, _ in pairs]

    assert [answer_key(fingerprint, scoring(*pair)) for pair in pairs] == scoring_keys(fingerprint, pairs)


def test_progress_counts_requests(store: Store) -> None:
    """Known, new and repeated requests each count once."""
    seen: list[tuple[int, int]] = []
    list(recorded(Scripted(), store).generate(PROMPTS[:1], SAMPLING))
    engine = recorded(Scripted(), store, on_answer=lambda done, total: seen.append((done, total)))

    list(engine.generate([*PROMPTS[:3], PROMPTS[2]], SAMPLING))

    assert [(1, 4), (2, 4), (3, 4), (4, 4)] == seen


def test_everything_else_is_the_engines() -> None:
    """Fingerprint, description, abilities, template and rendering pass through."""
    plain = Scripted(description={"device": "cpu"}, chat_template="{{ messages }}", can_score=False)
    turns = [Message(role="user", content="a"), Message(role="assistant", content="b")]
    with Store.open("sqlite://") as store:
        engine = recorded(plain, store)

        assert plain.info == engine.info
        assert ({"device": "cpu"}, "{{ messages }}") == (engine.info.description, engine.info.chat_template)
        assert engine.can_score is False
        assert "a\nb" == engine.render(turns, open_turn=False)
        engine.close()


def known_prompts(url: str) -> set[str]:
    """The prompts whose answers a store holds."""
    keys = {answer_key(RUN.fingerprint, generation(prompt, SAMPLING)): prompt.content for prompt in PROMPTS}
    with Store.open(url) as store:
        return {str(keys[key]) for key in store.answers.known(list(keys))}


def kill_after(answers: int, seconds: float, url: str, log: Path) -> None:
    """Run the worker, and kill it this long after the engine gave this many more answers."""
    wanted = lines(log) + answers
    worker = subprocess.Popen([sys.executable, WORKER, url, log], env={**os.environ, "PYTHONPATH": str(ROOT)})
    while worker.poll() is None and lines(log) < wanted:
        time.sleep(0.001)
    time.sleep(seconds)
    worker.kill()
    worker.wait()


def lines(log: Path) -> int:
    """How many answers the engine has given."""
    return log.read_bytes().count(b"\n")


def contents(url: str) -> dict[str, list[Any]]:
    """All that a store holds and that does not depend on when it was written."""
    with Store.open(url) as store:
        assert [] == store.integrity.complaints()
        return {
            "runs": store.runs.find(),
            "rows": list(store.runs.rows(RUN.id)),
            "observations": list(store.runs.observations(RUN.id).items()),
        }


def test_a_killed_run_resumes_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """kill -9 at random moments: nothing kept is asked again, and the end is that of a run nobody killed."""
    moment = random.Random(0)
    url, log = f"sqlite:///{tmp_path}/killed.db", tmp_path / "asked.log"
    log.touch()
    asked_before = 0
    for _ in range(6):
        known = known_prompts(url)
        kill_after(moment.randint(2, 8), moment.uniform(0, 0.02), url, log)
        asked = log.read_text().splitlines()
        assert known.isdisjoint(asked[asked_before:])
        asked_before = len(asked)
    known, last = known_prompts(url), Scripted()
    work(url, last)
    assert known.isdisjoint(last.asked)
    assert len(PROMPTS) == len(known) + len(last.asked)

    calm = f"sqlite:///{tmp_path}/calm.db"
    work(calm, Scripted())
    assert contents(calm) == contents(url)
