"""What suites ask, gathered for training data that must not hold it."""

import json
from pathlib import Path

import pytest

from harness.errors import DownloadNeeded
from harness.registry import Registry, load
from harness.verbs.evaluation_prompts import EvaluationPrompts
from suites.catalogue import OWN, suite_settings
from trainers.stage_settings import STAGE_SETTINGS

PROJECT = """
[suites.mine]
prompts = "mine.jsonl"
rule = "exact"
limit = 1

[suites."lm_eval:piqa"]
data = "piqa.jsonl"

[suites.toy-toxicity]
classifier = "toxicity"
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A project with a suite of its own and a foreign one."""
    (tmp_path / "harness.toml").write_text(PROJECT, encoding="utf-8")
    write(tmp_path / "mine.jsonl", {"prompt": "One?", "target": "1"}, {"prompt": "Two?", "target": "2"})
    write(tmp_path / "piqa.jsonl", {"goal": "Open a jar.", "sol1": "Twist.", "sol2": "Sing.", "label": 0})
    return load(tmp_path / "harness.toml", STAGE_SETTINGS, suite_settings(), own_suite=OWN)


def write(file: Path, *rows: dict[str, object]) -> None:
    """A JSONL file."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def gathered(registry: Registry, *names: str) -> EvaluationPrompts:
    """Of these suites, or of all."""
    return EvaluationPrompts(registry, None, names or None)


def test_a_limit_does_not_count(registry: Registry) -> None:
    """What is not asked today is asked tomorrow."""
    assert {"mine": ["One?", "Two?"]} == gathered(registry, "mine").asked.by_suite


def test_nothing_is_trained_to_know_what_is_asked(registry: Registry) -> None:
    """`classifier` names a pipeline, which this project does not even have."""
    assert 200 < len(gathered(registry, "toy-toxicity").asked.by_suite["toy-toxicity"])


def test_by_default_all_suites_of_table_and_file_are_read(registry: Registry) -> None:
    """And what cannot be read here has its reason; nothing is passed over in silence."""
    every = gathered(registry)
    asked = every.asked
    assert {*suite_settings()} - {"lm_eval:NAME", "lighteval:NAME", "deepeval:NAME"} <= {*every.names}
    assert {"mine", "lm_eval:piqa", "toy-ifeval"} <= {*asked.by_suite}
    assert {*every.names} == {*asked.by_suite} | {*asked.unread}
    assert "google/IFEval" in asked.unread["ifeval"]


def test_a_named_suite_must_be_readable(registry: Registry) -> None:
    """For the prompts and for what stands for them."""
    with pytest.raises(DownloadNeeded):
        _ = gathered(registry, "ifeval").asked
    with pytest.raises(DownloadNeeded):
        _ = gathered(registry, "ifeval").known


@pytest.mark.parametrize(("suite", "file"), [("mine", "mine.jsonl"), ("lm_eval:piqa", "piqa.jsonl")])
def test_what_stands_for_prompts_changes_with_them(
    registry: Registry, tmp_path: Path, suite: str, file: str
) -> None:
    """Whether they are read for it, or only the file that holds them."""
    before = gathered(registry, suite).known
    assert before == gathered(registry, suite).known
    with (tmp_path / file).open("a", encoding="utf-8") as more:
        more.write(
            json.dumps({"prompt": "Three?", "target": "3", "goal": "g", "sol1": "a", "sol2": "b", "label": 1})
        )
    assert before.keys() == gathered(registry, suite).known.keys()
    assert before != gathered(registry, suite).known
