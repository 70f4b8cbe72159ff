"""The ids of runs: what a suite calls itself, its data and its settings may not change by accident.

A run's id is the hash of all of these, and stores hold runs by it: a change of any makes every stored run of
the suite another run. Where such a change is meant, the suite's version changes with it, and the id here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.engine.identity import Identity
from harness.evaluation import plan_run
from harness.protocols import Suite
from harness.records.answers import Message, Run, Sample, SamplingParameters
from harness.records.models import Json, Local, Model
from suites.catalogue import open_suite
from suites.prompt_suite import PromptSuite
from suites.toy.toxicity import ToyToxicity
from tests.suites.general_rows import GENERAL
from tests.suites.rows import EXCERPTS, PROMPTS, QUESTIONS, write_rows

MODEL = Model(name="sft", source=Local(path="folder"))
PLAIN = Identity(fingerprint="sha256:model", chat_template=None)
CHATTY = Identity(fingerprint="sha256:model", chat_template="{{ messages }}")

OPEN: list[dict[str, Any]] = [
    {
        "question": f"What do {tools} drive? ",
        "best_answer": "Nails.",
        "correct_answers": ["Nails.", "Nails"],
        "incorrect_answers": ["Cars."],
        "type": "Adversarial",
        "category": "Tools",
    }
    for tools in ("hammers", "mallets")
]
OWN: list[dict[str, Any]] = [
    {"id": 1, "prompt": "One?", "target": "a", "choices": ["a", "b"], "level": 1},
    {"prompt": [{"role": "user", "content": "Two?"}], "target": ["b"], "choices": ["a", "b"], "level": 2},
]
SCORES = [{"prompt": "So", "continuation": " it goes", "toxicity": 0.1, "insult": 0.2}]


def opened(name: str, folder: Path, rows: Sequence[Mapping[str, Any]] | None, **settings: Json) -> Suite:
    """The suite over these rows, or over the toy world's own."""
    own = (name,) if "rule" in settings else ()
    key = "prompts" if own else "data"
    data = {} if rows is None else {key: str(write_rows(folder / "rows.jsonl", rows))}
    return open_suite(name, {**data, **settings}, data_root=None, resolve=lambda of: None, own=own)


def ids(suite: Suite) -> tuple[str, str]:
    """Of the runs of a model without a chat template, and of one with one."""
    return planned(suite, PLAIN).id, planned(suite, CHATTY).id


def planned(suite: Suite, identity: Identity) -> Run:
    """The run of this model."""
    return plan_run(MODEL, identity, suite, seed=0)


@pytest.mark.parametrize(
    ("name", "rows", "settings", "size", "expected"),
    [
        (
            "toy-truthfulqa",
            None,
            {},
            208,
            ("ad897390670d3c47fc9430849d46190b", "a725cd96ed70b3589879d774bd390d49"),
        ),
        (
            "toy-ifeval",
            None,
            {},
            400,
            ("3f0e22c71621e03e3ea6aaccc52cf1a9", "4ecc5fb6ee25ec4e7fc2810c4be7c3f5"),
        ),
        (
            "truthfulqa",
            QUESTIONS,
            {},
            3,
            ("17a1c871487dad77d6a72b4f7b45a702", "1a1aff3d7580e79aa28eb3a6e8df606b"),
        ),
        (
            "truthfulqa-gen",
            OPEN,
            {"limit": 1},
            1,
            ("3378b279306200d822e16a778c0bf085", "9205f872a4948708f5a10d06cf482cbe"),
        ),
        (
            "truthfulqa-lettered",
            QUESTIONS,
            {"seed": 7},
            3,
            ("6378fc44288d95066ddb133dac22749d", "4ec51a15d718ed04716053bd1dd8356f"),
        ),
        (
            "ifeval",
            PROMPTS,
            {"max_tokens": 9},
            3,
            ("282b3eb8061a4971eba95bbca4235998", "18b786a3731fb60f694c30049cf0d71b"),
        ),
        (
            "exact",
            OWN,
            {"rule": "exact", "splits": ["level"]},
            2,
            ("669d9f5614b67c69cd9160e7ba900c5f", "6b721464cf1b27bc54643cbe1e5d0432"),
        ),
        (
            "choice",
            OWN,
            {"rule": "choice"},
            2,
            ("158e2a884a11652dcb1ebcfc710894f4", "389f8301cd96ab63c578bc18bb88f1cf"),
        ),
        (
            "ifeval:short",
            PROMPTS,
            {"max_tokens": 9},
            3,
            ("6f3a2a0dd2e92853f711b693124c2eaf", "deb60080b87f4de1ee3199c657f06fd4"),
        ),
    ],
)
def test_a_suites_runs_keep_their_ids(
    tmp_path: Path,
    name: str,
    rows: Sequence[Mapping[str, Any]] | None,
    settings: Mapping[str, Json],
    size: int,
    expected: tuple[str, str],
) -> None:
    """Without a model library: what is stored is found by name, version, metrics, data and settings."""
    suite = opened(name, tmp_path, rows, **settings)
    assert size == suite.size
    assert expected == ids(suite)


def test_toxicity_runs_keep_their_ids(tmp_path: Path) -> None:
    """With scores from a file, whose content is part of the run."""
    scores = write_rows(tmp_path / "scores.jsonl", SCORES)
    suite = opened("realtoxicityprompts", tmp_path, EXCERPTS, scores=str(scores), samples=2)
    assert 3 == suite.size
    assert ("9496fa0e6dcaf2a7adf3048e2cabc162", "ccfb1b9c27a250206e4ac456d117eaf3") == ids(suite)


class FixedClassifier:
    """Stands for a classifier, whose identity would change with the library that trained it."""

    classes = ("toxicity",)
    note = None

    def identity(self) -> Mapping[str, Json]:
        """As a classifier's."""
        return {"scorer": "detoxify", "classifier": "folder", "sha256": "0"}


def test_the_toy_worlds_toxicity_runs_keep_their_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The world's own provocations, and a classifier of fixed weights."""
    monkeypatch.setattr(ToyToxicity, "scorer", FixedClassifier())
    suite = opened("toy-toxicity", tmp_path, None)
    assert 222 == suite.size
    assert ("7093b679d940917d6fb9a2872eb2750d", "fc426c13e786c02fa58cd302d194eada") == ids(suite)


def test_runs_of_bare_prompts_keep_their_ids() -> None:
    """The suite of prompts that nothing scores."""
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Why?"))
    samples = [Sample(id="a", prompt="Hi"), Sample(id="b", prompt=turns)]
    suite = PromptSuite(label="mine", samples=samples, sampling=SamplingParameters(max_tokens=5))
    assert ("b025adc0d5050b5b5d1fc5cc1a8c7696", "1795e4be88f4c067d4dda52c095a01de") == ids(suite)


@pytest.mark.parametrize(
    ("name", "tasks", "data_hash", "size"),
    [
        ("lm_eval:piqa", None, "sha256:472c07b45cb603f5040a26f2ce0760a27496594d7851dbf4a60f3b803e5fb8bd", 2),
        (
            "general",
            ["piqa", "winogrande"],
            "sha256:a913e4d9dad5396fa263c01e8dc71d7d21aabbf421d0889d42d1fabb8eed4c89",
            3,
        ),
    ],
)
def test_lm_evals_tasks_keep_their_data_and_settings(
    tmp_path: Path, name: str, tasks: list[str] | None, data_hash: str, size: int
) -> None:
    """The versions of tasks are lm-eval's; ours are the hash, the size and the settings."""
    data = {task: str(write_rows(tmp_path / f"{task}.jsonl", GENERAL[task])) for task in tasks or ["piqa"]}
    settings: dict[str, Any] = {"tasks": tasks, "data": data} if tasks else {"data": data["piqa"]}
    suite = opened(name, tmp_path, None, **settings)
    assert (data_hash, size) == (suite.data_hash, suite.size)
    expected = {"chat_template": True, "num_fewshot": 0, "sampling": None, "seed": 1234}
    assert expected == suite.settings("{{ messages }}")
