"""Replicas behind a real Ray on this machine: the answers of one engine, whatever dies meanwhile."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import psutil
import pytest

from harness.calls import ScoringCall, WritingCall, answers_of
from harness.engine import ray_cluster, replica, replicas
from harness.engine.opening import open_engine
from harness.engine.ray_cluster import ray_for
from harness.engine.replica import Replica
from harness.engine.replicas import ReplicatedEngine
from harness.engine.steps import watching_steps
from harness.errors import EngineError, ModelError, UsageError
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.records.models import Local, Model
from tests.harness.engine.scripted_replicas import (
    Failing,
    Forgetful,
    Mortal,
    Older,
    Scripted,
    Strange,
    Stubborn,
    Unloadable,
    asked_by_script,
)
from tests.ray_clusters import local_ray
from tests.tiny_models import tiny_llama

pytestmark = pytest.mark.xdist_group("ray")

GREEDY = SamplingParameters(max_tokens=8)
SAMPLED = SamplingParameters(max_tokens=8, temperature=1.0, top_p=0.9, seed=3)
PROMPTS = [Prompt(content=f"Name {number} things", draw=draw) for number in range(12) for draw in range(3)]
TURNS = [Prompt(content=(Message(role="user", content=f"Say {number}"),)) for number in range(4)]
PAIRS = [(f"Question {number}?", f" answer {choice}") for number in range(20) for choice in range(4)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of this machine's own, with room for two replicas."""
    with local_ray(2):
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny model."""
    folder = tmp_path_factory.mktemp("model")
    tiny_llama(folder)
    return Model(name="tiny", source=Local(path=str(folder)))


@pytest.fixture
def by(cluster: None, model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens two replicas of some kind."""
    made: list[ReplicatedEngine] = []

    def make(kind: type[Replica]) -> ReplicatedEngine:
        for each in made:  # there is room for two
            each.close()
        monkeypatch.setattr(replicas, "Replica", kind)
        made.append(ReplicatedEngine(model, replicas=2))
        return made[-1]

    yield make
    for each in made:
        each.close()


NUMBERED = [(str(number), " yes") for number in range(100)]


def numbers(answers: Any) -> dict[int, float]:
    """What the script said, each answer once."""
    found = list(answers)
    assert len(found) == len(dict(found))
    return {place: -each.logprob for place, each in found}


def test_answers_are_those_of_one_engine(by: Any, model: Model) -> None:
    """Texts, samples and log-likelihoods of a real model, each once; so is what it says of itself."""
    one, engine = open_engine(model), by(Replica)
    for prompts, sampling in ((PROMPTS, GREEDY), (PROMPTS, SAMPLED), (TURNS, GREEDY)):
        mine, theirs = [*engine.generate(prompts, sampling)], dict(one.generate(prompts, sampling))
        assert len(mine) == len(prompts) == len(dict(mine))
        assert {place: each.text for place, each in mine} == {p: each.text for p, each in theirs.items()}
    found, expected = (
        {place: each.logprob for place, each in asked.loglikelihood(PAIRS)}  # type: ignore[union-attr]  # nothing refuses
        for asked in (engine, one)
    )
    assert found == pytest.approx(expected, abs=1e-4)
    assert one.info == engine.info
    assert engine.can_score
    assert one.render(TURNS[0].content) == engine.render(TURNS[0].content)  # type: ignore[arg-type]  # they are turns
    assert [] == list(engine.generate([], GREEDY)) == list(engine.loglikelihood([]))


def test_tokens_are_those_of_one_engine(by: Any, model: Model) -> None:
    """Who watches sees what all replicas have written together, and at the end nothing that may follow."""
    seen: dict[str, list[tuple[int, int]]] = {"one": [], "two": []}
    for name, engine in (("one", open_engine(model)), ("two", by(Replica))):
        with watching_steps(lambda *tokens, of=seen[name]: of.append(tokens)):  # type: ignore[misc]  # bound here
            list(engine.generate(PROMPTS, SAMPLED))
    assert seen["one"][-1] == seen["two"][-1]
    assert seen["two"][-1][1] == 0
    assert [each for each, _ in seen["two"]] == sorted(each for each, _ in seen["two"])


def test_a_replica_says_what_it_may_still_write(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first answers: what is left is what the others may have, as far as it is not written."""
    monkeypatch.setattr(replica, "SENT_AFTER", 0.0)
    long = replace(SAMPLED, max_tokens=100, top_p=1.0)  # some end long before others
    written, left = Replica(model, None).begin(WritingCall(PROMPTS, long)).tokens
    most = long.max_tokens * len(PROMPTS)
    assert 0 < written < most
    assert 0 < left <= most - written


def test_replicas_that_rest_make_room(by: Any, model: Model) -> None:
    """Others can be asked then; asked again they start anew, and say of themselves what they said."""
    engine = by(Scripted)
    expected, info = numbers(engine.loglikelihood(NUMBERED)), engine.info
    engine.rest()
    other = ReplicatedEngine(model, replicas=2)
    assert expected == numbers(other.loglikelihood(NUMBERED))
    other.close()
    assert info == engine.info
    assert expected == numbers(engine.loglikelihood(NUMBERED))


def test_several_calls_are_answered_at_the_same_time(by: Any, model: Model) -> None:
    """Each request with its own index; of the calls, the one that writes most begins first."""
    one, engine = open_engine(model), by(Replica)
    calls = [ScoringCall(PAIRS), WritingCall(PROMPTS, SAMPLED), WritingCall(TURNS, GREEDY)]
    mine, theirs = [*engine.answers(calls)], dict(answers_of(one, calls))
    assert len(mine) == len(dict(mine)) == len(PAIRS) + len(PROMPTS) + len(TURNS)
    for place, answer in mine:
        other = theirs[place]
        if isinstance(answer, Response):
            assert (answer.text, answer.stop_reason) == (other.text, other.stop_reason)  # type: ignore[union-attr]  # as it has
        else:
            assert answer.logprob == pytest.approx(other.logprob, abs=1e-4)  # type: ignore[union-attr]  # as it has
    assert len(PAIRS) <= mine[0][0] < len(PAIRS) + len(PROMPTS)


def test_a_death_in_the_second_of_two_calls(by: Any) -> None:
    """What is asked anew, and what fails alone, has the index of its own call."""
    first, second = ([(str(start + number), " yes") for number in range(9)] for start in (1000, 0))
    found = dict(by(Stubborn).answers([ScoringCall(first), ScoringCall(second)]))
    assert found.keys() == set(range(18))
    failed = found.pop(9 + 7)
    assert isinstance(failed, Response)
    assert numbers(found.items()) == {
        place: float(1000 + place if place < 9 else place - 9) for place in found
    }


def test_turns_are_rendered_with_one_tokenizer(by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite renders every question: the tokenizer is not read again for each."""
    engine = by(Scripted)

    def again(*_: Any) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(replicas, "without_weights", again)
    monkeypatch.setattr(replicas, "identify_model", again)
    assert engine.render(TURNS[0].content) == engine.render(TURNS[0].content)
    assert engine.info.description["device"] == "script"


def test_both_replicas_answer(by: Any) -> None:
    """Each has shards of its own, so that the answers come from several calls."""
    found = dict(by(Scripted).loglikelihood(NUMBERED))
    assert len({each.tokens for each in found.values()}) > 2
    assert {number: float(number) for number in range(100)} == numbers(found.items())


def test_what_a_dead_replica_had_not_answered_goes_to_others(by: Any, model: Model) -> None:
    """Killed while they answer: every request has one answer, and Ray starts others in their place.

    What had come is not asked again: only what was on its way is.
    """
    engine = by(Scripted)
    asked = asked_by_script(model)
    asked.unlink(missing_ok=True)
    victims = [said.process for said in engine._replicas.opened.values()]
    answers, before = [], set[int]()
    for found in engine.loglikelihood(NUMBERED):
        answers.append(found)
        if victims and len(answers) % 20 == 0:
            os.kill(victims.pop(), signal.SIGKILL)
            before = before or {place for place, _ in answers}
    assert {number: float(number) for number in range(100)} == numbers(answers)
    times = Counter(map(int, asked.read_text().split()))
    assert range(100) == range(len(times)), "the log has all of them"
    assert {1} == {times[place] for place in before}
    assert len(numbers(engine.loglikelihood(NUMBERED))) == 100


def test_a_call_that_is_left_leaves_replicas_that_answer(by: Any) -> None:
    """An interrupt, or a defect of a suite: what they were doing is dropped."""
    engine = by(Scripted)
    for _ in engine.loglikelihood(NUMBERED):
        break
    assert len(numbers(engine.loglikelihood(NUMBERED[:10]))) == 10


def test_a_request_that_replicas_die_of_fails_alone(by: Any) -> None:
    """It is one failed answer with that reason, and all others are answered."""
    found = dict(by(Stubborn).loglikelihood(NUMBERED[:10]))
    failed = found.pop(7)
    assert isinstance(failed, Response)
    assert "failed" == failed.stop_reason
    assert "2 replicas died while they answered it alone: " in str(failed.reason)
    assert {number: float(number) for number in range(10) if number != 7} == numbers(found.items())


def test_a_replica_that_dies_once_it_has_answered_costs_no_answer(by: Any) -> None:
    """What it had sent counts."""
    assert {number: float(number) for number in range(10)} == numbers(by(Mortal).loglikelihood(NUMBERED[:10]))


def test_a_replica_that_was_started_anew_between_two_calls_costs_no_answer(by: Any) -> None:
    """It says that it knows nothing of what it is asked to go on with; or loads the model again."""
    assert {number: float(number) for number in range(20)} == numbers(
        by(Forgetful).loglikelihood(NUMBERED[:20])
    )
    engine = by(Scripted)
    assert len(numbers(engine.loglikelihood(NUMBERED))) == 100
    for said in engine._replicas.opened.values():
        os.kill(said.process, signal.SIGKILL)
    assert {number: float(number) for number in range(100)} == numbers(engine.loglikelihood(NUMBERED))


def test_closing_leaves_no_process(by: Any) -> None:
    """Every replica has ended."""
    engine = by(Scripted)
    list(engine.loglikelihood(NUMBERED))
    processes = [psutil.Process(said.process) for said in engine._replicas.opened.values()]
    engine.close()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert processes
    assert [] == alive


def test_what_a_replica_raises_is_raised_here(by: Any) -> None:
    """In words, with the machine; also where it cannot load the model, or has another one."""
    with pytest.raises(EngineError, match=r"no memory for a single pair \(on "):
        list(by(Failing).loglikelihood(NUMBERED))
    with pytest.raises(ModelError, match=r"/nowhere: there is no such folder \(on "):
        by(Unloadable)
    with pytest.raises(ModelError, match="has another model under the same path or name; make the same"):
        by(Strange)


def test_other_conditions_are_recorded(by: Any) -> None:
    """A run says what its replicas had that the driver has not."""
    assert {"device": "script", "other_conditions": ["torch 1.0"]} == by(Older).info.description


def test_where_there_is_no_room(by: Any, model: Model) -> None:
    """Where others hold all of it, it is waited for; where no machine has so much, that is said."""
    held = by(Scripted)
    waiting = Thread(target=held.close)
    waiting.start()
    engine = ReplicatedEngine(model, replicas=2)
    waiting.join()
    assert len(numbers(engine.loglikelihood(NUMBERED[:10]))) == 10
    engine.close()
    with pytest.raises(EngineError, match="no machine of the cluster has 9 CPUs and 0 GPUs, which a replica"):
        ReplicatedEngine(model, replicas=1, cpus=9)


def test_where_replicas_cannot_be(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with what to do: too few GPUs, no package."""
    with pytest.raises(UsageError, match="to have 3 GPUs, and no machine of the cluster has more than 0: "):
        ray_for("ray", gpus=3)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    missing = r'needs the package "ray", which is missing: pip install "harness\[ray\]"'
    with pytest.raises(UsageError, match=missing):
        ray_for("ray", gpus=0)
