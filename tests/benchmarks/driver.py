"""How many answers a second the driver of many replicas keeps up with, and what 8 and 64 replicas come to.

    python -m tests.benchmarks.driver --json driver.json

Run by hand, with HARNESS_DATA set and nothing else running. First, replicas that compute nothing answer as
fast as they can through the real driver and the real store: the driver's seconds of the processor for each
answer and each message are what limits it, however many replicas there are (on a machine of two cores the
replicas take the rest, so that seconds on the clock say less).

Then a simulation, with the shards of the real TruthfulQA and IFEval, plays the replicas: each takes its
shard's work by the measured speed of one core, sends a message every SENT_AFTER, and gets its next shard once
the driver has come to that message. `--times` makes the model so many times slower. Efficiency is the time of
one process by that of all replicas together.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from harness.engine import replicas
from harness.engine.opening import identify_model
from harness.engine.replica import SENT_AFTER, Replica
from harness.engine.replicas import ReplicatedEngine
from harness.engine.shards import OUTPUT, SizedRequest, shards
from harness.protocols import Engine, EngineInfo
from harness.recorded import recorded
from harness.records.answers import LogLikelihood
from harness.records.models import Local, Model
from harness.store import Store
from tests.tiny_models import tiny_llama


def main() -> None:
    """Measure, simulate, print, and write where it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=400_000)
    parser.add_argument("--replicas", type=int, default=8, help="that compute nothing")
    parser.add_argument("--times", nargs="+", type=float, default=[1, 100])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    costs = _measured(given.answers, given.replicas)
    print(json.dumps(asdict(costs)), flush=True)
    rows = []
    for task, works, seconds in (("truthfulqa", _truthfulqa(), 28.5), ("ifeval", _ifeval(), 124.4)):
        for times in given.times:
            for number in (1, 8, 64):
                row = _simulated(works, number, seconds * times, costs)
                rows.append({"task": task, "seconds_of_one": seconds * times, "replicas": number, **row})
                print(json.dumps(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"measured": asdict(costs), "rows": rows}, indent=1) + "\n")


# ---------------------------------------------------------------- the driver, measured


class Instant:
    """An engine that computes nothing."""

    can_score = True

    def __init__(self, model: Model) -> None:
        self.info = EngineInfo(fingerprint=identify_model(model).fingerprint)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """The same answer to all."""
        for place in range(len(pairs)):
            yield place, LogLikelihood(logprob=-float(place), greedy=False, tokens=3)


class InstantReplica(Replica):
    """A replica of it."""

    def _load(self) -> Engine:
        return Instant(self._model)  # type: ignore[return-value]  # it is asked nothing else here


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the driver takes of its processor."""

    answers: int
    seconds: float
    processor_seconds: float
    answers_a_second: float
    """On the clock, with the replicas on the same two cores."""
    answers_a_processor_second: float
    """The most that the driver keeps up with."""
    seconds_per_answer: float
    seconds_per_message: float


def _measured(answers: int, number: int) -> Costs:
    ray.init(num_cpus=number, include_dashboard=False, log_to_driver=False)
    replicas.Replica = InstantReplica  # type: ignore[attr-defined]  # what Ray is to start
    pairs = [
        (f"Question {place // 8}, as long as those of TruthfulQA are?", f" answer {place}")
        for place in range(answers)
    ]
    with tempfile.TemporaryDirectory() as folder:
        tiny_llama(Path(folder) / "model")
        model = Model(name="instant", source=Local(path=f"{folder}/model"))
        engine = ReplicatedEngine(model, replicas=number)
        while len(engine._replicas.opened) < number:
            engine._replicas.ready(())
        with Store.open(f"sqlite:///{folder}/answers.db") as store:
            remembering = recorded(engine, store)
            list(remembering.loglikelihood([(f"warm {place}", "up") for place in range(1000)]))
            began, used = time.perf_counter(), time.process_time()
            got = sum(1 for _ in remembering.loglikelihood(pairs))
            seconds, processor = time.perf_counter() - began, time.process_time() - used
        assert got == answers
        message = _message_cost(engine)
        engine.close()
    ray.shutdown()
    return Costs(
        answers=answers,
        seconds=seconds,
        processor_seconds=processor,
        answers_a_second=answers / seconds,
        answers_a_processor_second=answers / processor,
        seconds_per_answer=processor / answers,
        seconds_per_message=message,
    )


def _message_cost(engine: ReplicatedEngine) -> float:
    """Of the driver's processor, for a call of one request."""
    began, times = time.process_time(), 200
    for place in range(times):
        list(engine.loglikelihood([(f"alone {place}", "x")]))
    return (time.process_time() - began) / times


# ---------------------------------------------------------------- many replicas, simulated


def _truthfulqa() -> list[SizedRequest]:
    from tests.benchmarks import scoring  # noqa: PLC0415 - brings lm-eval and lighteval

    return [
        SizedRequest(context + continuation) for context, continuation in dict.fromkeys(scoring._pairs(817))
    ]


def _ifeval() -> list[SizedRequest]:
    from tests.benchmarks import generation  # noqa: PLC0415 - the same

    task = generation.TASKS["ifeval"](argparse.Namespace(prompts=541, real=None))
    lengths = [int(str(prompt.content).rpartition("<|")[2].removesuffix("|>")) for prompt in task.prompts]
    return [
        SizedRequest(str(prompt.content), length)
        for prompt, length in zip(task.prompts, lengths, strict=True)
    ]


def _simulated(works: Sequence[SizedRequest], number: int, seconds: float, costs: Costs) -> dict[str, Any]:
    """How long so many replicas take for what one process takes `seconds` for."""
    whole = _cost(works, range(len(works)))
    # the driver knows how much may be written, not how much will be
    planned = [SizedRequest(work.text, 400 if work.written else 0) for work in works]
    waiting = shards(planned, number)[::-1]
    again = sum(_cost(works, part) for part in waiting) / whole
    messages: list[tuple[float, int, int, bool]] = []  # when, replica, answers, whether its shard is over
    free_driver = busy = 0.0

    def hand_out(replica: int, now: float) -> None:
        part = waiting.pop()
        took = _cost(works, part) / whole * seconds
        pieces = max(1, int(took / SENT_AFTER))
        for piece in range(1, pieces + 1):
            share = len(part) * piece // pieces - len(part) * (piece - 1) // pieces
            heappush(messages, (now + took * piece / pieces, replica, share, piece == pieces))

    for replica in range(min(number, len(waiting))):
        hand_out(replica, 0.0)
    while messages:
        sent, replica, answers, is_over = heappop(messages)
        takes = costs.seconds_per_message + answers * costs.seconds_per_answer
        free_driver = max(free_driver, sent) + takes
        busy += takes
        if is_over and waiting:
            hand_out(replica, free_driver)
    return {
        "seconds": free_driver,
        "efficiency": seconds / (number * free_driver),
        "driver_busy": busy / free_driver,
        "computed_again": again - 1,
        "answers_a_second": len(works) / free_driver,
    }


def _cost(works: Sequence[SizedRequest], part: Sequence[int]) -> float:
    """What a shard takes: what its texts share is read once."""
    texts = sorted(works[index].text for index in part)
    shared = sum(map(len, map(commonprefix, pairwise(texts))))
    written = sum(works[index].written for index in part)
    return sum(map(len, texts)) - shared + OUTPUT * written


if __name__ == "__main__":
    main()
