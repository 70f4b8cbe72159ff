"""Is a model's structure told from its rounding? Trials of shared prefixes on a real model, by number format.

    python -m tests.trials.trees --folder SMOLLM2 --dtypes float32 bfloat16 float16 --trials 1000 --faults 50

Run by hand. Every trial draws a depth and other made-up requests, and is one that the engine would make. None
may be rejected; `distance` is how far the tree's log-probabilities are from those of a request alone in
float32, as a share of what is allowed, and `in 16 bits` the same of the shallow tree in the model's own
format. Then faults are planted, each of which must be found: `distance` says by how much.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from harness.engine.identity import identify
from harness.engine.local import trial
from harness.engine.local.loading import load
from harness.engine.local.network import Network
from harness.engine.local.tree_scoring import PassBudget
from harness.records.models import Local, Model
from tests.benchmarks.clock import replaced
from tests.trials.planted_faults import FAULTS

DEPTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256)


def main() -> None:
    """Try out what the command line asks for, and print a line for each number format and fault."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    for dtype in given.dtypes:
        network = _network(given.folder, dtype)
        _report(dtype, "none", _tried(network, range(given.first, given.first + given.trials), given))
        for name, plant in FAULTS.items():
            with plant():
                _report(dtype, name, _tried(network, range(given.faults), given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="a checkpoint of a real model")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "float16"])
    parser.add_argument("--trials", type=int, default=1_000, help="of each number format, without a fault")
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial, which draws it")
    parser.add_argument("--faults", type=int, default=50, help="trials of each planted fault")
    parser.add_argument("--pass-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _network(folder: Path, dtype: str) -> Network:
    model = Model(name="tried", source=Local(path=str(folder), dtype=dtype))
    assert isinstance(model.source, Local)
    return load(model.source, identify(model), name="tried", device="cpu")[0]


def _tried(
    network: Network, numbers: Sequence[int], given: argparse.Namespace
) -> Iterator[tuple[str | None, list[float]]]:
    """The fault that each trial found, and the distances that it looked at, as shares of what is allowed."""
    budget = PassBudget(tokens=given.pass_tokens, scored=given.pass_tokens)
    for number in numbers:
        depth = Random(number).choice(DEPTHS)
        shares: list[float] = []
        with _drawing(number), _noting(shares):
            outcome = trial.try_tree(network, depth, budget)
        yield outcome.fault, shares


@contextmanager
def _drawing(number: int) -> Iterator[None]:
    """Let a trial draw other tokens than those of its depth."""
    with replaced([(trial, "Random", lambda seed: Random(f"{seed} {number}"))]):
        yield


@contextmanager
def _noting(shares: list[float]) -> Iterator[None]:
    """Note how far each tree is from what is expected, as a share of what is allowed."""
    compared: Callable[..., Any] = trial._compared
    apart: Callable[..., float] = trial._apart
    found: list[float] = []

    def noting_apart(*given: Sequence[float]) -> float:
        found.append(apart(*given))
        return found[-1]

    def noting(*given: Any) -> trial.TrialResult:
        outcome: trial.TrialResult = compared(*given)
        shares.append(found[-1] / given[-1])
        return outcome

    with replaced([(trial, "_apart", noting_apart), (trial, "_compared", noting)]):
        yield


def _report(dtype: str, fault: str, tried: Iterator[tuple[str | None, list[float]]]) -> None:
    outcomes = list(tried)
    if not outcomes:
        return
    row = {
        "dtype": dtype,
        "fault": fault,
        "trials": len(outcomes),
        "rejected": sum(found is not None for found, _ in outcomes),
        "distance": _spread([shares[0] for _, shares in outcomes if shares]),
        "in 16 bits": _spread([shares[1] for _, shares in outcomes if len(shares) > 1]),
    }
    print(json.dumps(row), flush=True)


def _spread(shares: list[float]) -> dict[str, float] | None:
    """The least, the median and the largest."""
    if not shares:
        return None
    ordered = sorted(shares)
    places = {"least": 0, "median": len(ordered) // 2, "largest": -1}
    return {name: float(f"{ordered[place]:.3g}") for name, place in places.items()}


if __name__ == "__main__":
    main()
