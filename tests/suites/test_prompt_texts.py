"""What suites ask, read without a model."""

import json
from pathlib import Path

import pytest

from harness.protocols import Suite
from harness.records.models import Json
from suites.catalogue import SUITES, open_suite
from suites.prompt_texts import is_quick, prompt_texts


def opened(name: str, data_root: Path | None = None, **settings: Json) -> Suite:
    """A suite that is opened without a classifier or a judge."""
    own = (name,) if "prompts" in settings else ()
    return open_suite(name, settings, data_root=data_root, resolve=lambda of: None, own=own)


def read(name: str, data_root: Path | None = None, **settings: Json) -> list[str]:
    """The prompts of such a suite."""
    return prompt_texts(opened(name, data_root, **settings))


@pytest.mark.parametrize("name", [name for name in SUITES if name != "general"])
def test_our_own_suites_know_what_they_ask(name: str) -> None:
    """So that a plan can look at once whether a mix is to be made anew."""
    assert is_quick(opened(name))


@pytest.mark.official
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("truthfulqa", 817),
        ("truthfulqa-gen", 817),
        ("truthfulqa-lettered", 817),
        ("ifeval", 541),
        ("realtoxicityprompts", 4993),
    ],
)
def test_official_prompts_are_read_without_what_scores_them(
    official_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """No classifier, no sentence data; each text once (a few excerpts have equal prompts)."""
    monkeypatch.setenv("NLTK_DATA", "/nowhere")
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    assert number == len(read(name, official_data))


@pytest.mark.parametrize("name", ["toy-truthfulqa", "toy-ifeval", "toy-toxicity"])
def test_toy_prompts_are_read_without_a_trained_classifier(name: str) -> None:
    """The toy world's classifier is a pipeline, and nothing is trained to know what is asked."""
    assert all(text.strip() for text in read(name))
    assert 200 <= len(read(name))


def test_a_users_own_suite_is_read(tmp_path: Path) -> None:
    """Texts and turns, without its rule."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And of Spain?"}]
    rows = [{"prompt": "Capital of France?", "target": "Paris"}, {"prompt": turns, "target": "Madrid"}]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    expected = ["Capital of France?", "Be brief.", "And of Spain?"]
    assert expected == read("mine", prompts=str(file), rule="exact")


def test_a_foreign_task_is_asked_of_nobody(tmp_path: Path) -> None:
    """It takes its framework to know what a task asks, so it is not quick; a labelled suite is its suite."""
    file = tmp_path / "rows.jsonl"
    row = {"goal": "Open a jar.", "sol1": "Twist.", "sol2": "Sing.", "label": 0}
    file.write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    task = opened("lm_eval:piqa", data=str(file))
    assert not is_quick(task)
    assert any("Open a jar." in text for text in prompt_texts(task))
    assert is_quick(opened("toy-toxicity:x"))
