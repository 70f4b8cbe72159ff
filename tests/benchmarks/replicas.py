"""Two machines of one core each against one process on one core: the same answers, how much faster?

    python -m tests.benchmarks.replicas --repeats 2 --json replicas.json

Run by hand, with HARNESS_DATA set and nothing else running. Ray's own test cluster makes the machines: two
nodes of this one, with a core each. The model is the random-weight Llama of 23 million parameters of the
other benchmarks; for IFEval it is made to end as trained models do (`tests.benchmarks.generation`).

Both have loaded the model and answered something before the clock starts. Answers must be equal: texts to the
letter, log-likelihoods to 1e-4. `computed` are the positions that went through the networks.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ["OMP_NUM_THREADS"] = "1"

import ray
import torch
from ray.cluster_utils import Cluster

from harness.engine import replicas
from harness.engine.identity import identify
from harness.engine.local.engine import LocalEngine
from harness.engine.local.network import Network
from harness.engine.opening import open_engine
from harness.engine.replica import Replica
from harness.engine.replicas import ReplicatedEngine
from harness.protocols import Engine, EngineInfo
from harness.records.models import Local, Model
from tests.benchmarks import generation, scoring

SHAPE = "llama-23m"
TOLERANCE = 1e-4
Answers = dict[int, Any]


def main() -> None:
    """Measure, print a line each, and write them where it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--questions", type=int, default=817, help="of TruthfulQA")
    parser.add_argument("--prompts", type=int, default=541, help="of IFEval, evenly from all")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with _two_machines() as address:
        for name in given.tasks:
            rows += TASKS[name](given, address)
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


@contextmanager
def _two_machines() -> Iterator[str]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()


# ---------------------------------------------------------------- who answers


class Counted:
    """An engine that says how many positions went through its network."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._computed = 0
        forward = Network.forward

        def counted(network: Network, tokens: torch.Tensor, *rest: Any, **others: Any) -> Any:
            self._computed += tokens.numel()
            return forward(network, tokens, *rest, **others)

        Network.forward = counted  # type: ignore[method-assign, assignment]  # one engine in a process

    @property
    def info(self) -> EngineInfo:
        """With how many there were so far."""
        info = self._engine.info
        return replace(info, description={**info.description, "computed": self._computed})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Scoring(Replica):
    """A replica of the random model."""

    def _load(self) -> Engine:
        torch.set_num_threads(1)
        return Counted(open_engine(self._model, device="cpu"))  # type: ignore[return-value]  # it delegates


class Writing(Replica):
    """A replica of the one whose answers have lengths."""

    def _load(self) -> Engine:
        torch.set_num_threads(1)
        model = generation.SHAPES[SHAPE](generation.ScheduledLlama)
        network = Network(model, name="ours", device=torch.device("cpu"))
        identity = identify(self._model)
        tokenizer = generation._tokenizer(model.config.vocab_size)
        return Counted(LocalEngine(network, tokenizer, identity, self._model))  # type: ignore[return-value]  # the same


# ---------------------------------------------------------------- what is asked


def _truthfulqa(given: argparse.Namespace, address: str) -> list[dict[str, Any]]:
    pairs = scoring._pairs(given.questions)

    def ask(engine: Engine, part: slice) -> Answers:
        return {place: answer.logprob for place, answer in engine.loglikelihood(pairs[part])}  # type: ignore[union-attr]  # nothing refuses

    return _compared("truthfulqa", Scoring, ask, address, given.repeats)


def _ifeval(given: argparse.Namespace, address: str) -> list[dict[str, Any]]:
    task = generation.TASKS["ifeval"](argparse.Namespace(prompts=given.prompts, real=None))

    def ask(engine: Engine, part: slice) -> Answers:
        return {place: answer.text for place, answer in engine.generate(task.prompts[part], task.sampling)}

    return _compared("ifeval", Writing, ask, address, given.repeats)


TASKS: Mapping[str, Callable[[argparse.Namespace, str], list[dict[str, Any]]]] = {
    "truthfulqa": _truthfulqa,
    "ifeval": _ifeval,
}

# ---------------------------------------------------------------- what is measured


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the result."""

    task: str
    requests: int
    seconds: float
    seconds_of_two: float
    ratio: float
    computed: int
    computed_by_two: int
    max_abs_difference: float


def _compared(
    task: str, kind: type[Replica], ask: Callable[[Engine, slice], Answers], address: str, repeats: int
) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scoring._make(SHAPE, Path(folder))
        model = Model(name="ours", source=Local(path=folder))
        replicas.Replica = kind  # type: ignore[attr-defined]  # what Ray is to start
        two = ReplicatedEngine(model, replicas=2, on=address)
        while len(two._replicas.opened) < 2:
            two._replicas.ready(())
        one = kind(model, None)._load()
        for engine in (one, two):
            ask(engine, slice(0, 64))
        for _ in range(repeats):
            alone, together = (_timed(partial(ask, engine, slice(None)), engine) for engine in (one, two))
            rows.append(asdict(_row(task, alone, together)))
            print(json.dumps(rows[-1]), flush=True)
        two.close()
    return rows


def _timed(ask: Callable[[], Answers], engine: Engine) -> tuple[float, int, Answers]:
    before = _computed(engine)
    began = time.perf_counter()
    answers = ask()
    seconds = time.perf_counter() - began
    return seconds, _computed(engine) - before, answers


def _computed(engine: Engine) -> int:
    if not isinstance(engine, ReplicatedEngine):
        return int(str(engine.info.description["computed"]))
    return sum(int(str(each.description["computed"])) for each in engine._replicas.opened.values())


def _row(task: str, alone: tuple[float, int, Answers], together: tuple[float, int, Answers]) -> Row:
    difference = _difference(alone[2], together[2])
    assert difference <= TOLERANCE, f"{task}: answers differ by {difference}"
    return Row(
        task=task,
        requests=len(alone[2]),
        seconds=alone[0],
        seconds_of_two=together[0],
        ratio=alone[0] / together[0],
        computed=alone[1],
        computed_by_two=together[1],
        max_abs_difference=difference,
    )


def _difference(alone: Answers, together: Answers) -> float:
    assert alone.keys() == together.keys()
    pairs: Sequence[tuple[Any, Any]] = [(alone[place], together[place]) for place in alone]
    if isinstance(pairs[0][0], str):
        return float(sum(mine != theirs for mine, theirs in pairs))
    return float(max(abs(mine - theirs) for mine, theirs in pairs))


if __name__ == "__main__":
    main()
