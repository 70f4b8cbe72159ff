"""`--dry-run`: what a comparison would train, load and ask, how long, and for how much; nothing is done."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.verbs import evaluation_plan
from harness.verbs import project as projects
from harness.verbs.placement import Cluster
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.one]
path = "one"
[models.served]
endpoint = "http://127.0.0.1:9/v1"
model = "m"
[prices.served]
input = 1000000
output = 2000000

[suites.mine]
prompts = "mine.jsonl"
rule = "exact"
max_tokens = 4

[pipelines.p]
base = "one"
[[pipelines.p.stages]]
kind = "sft"
data = "rows.jsonl"
max_length = 256
"""
PROMPTS = [{"prompt": f"Say {n}.", "target": str(n)} for n in range(4)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A model that is there, one of a service that nobody reaches, and a pipeline that is not trained."""
    tiny_llama(tmp_path / "one", seed=1)
    monkeypatch.chdir(tmp_path)
    working = Working(tmp_path, capsys)
    working.write("mine.jsonl", *PROMPTS)
    working.write("rows.jsonl", *({"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(24)))
    (tmp_path / "harness.toml").write_text(PROJECT, encoding="utf-8")
    return working


def planned(project: Working, *arguments: str) -> dict[str, Any]:
    """What a dry run says to machines."""
    code, out, err = project.run(*arguments, "--dry-run", "--json")
    assert 0 == code, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_what_is_missing_is_counted(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Different requests, without those that the store answers; nothing is loaded for it."""
    assert 0 == project.run("eval", "one", "-s", "mine", "--limit", "2")[0]

    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry run loads nothing")

    monkeypatch.setattr(projects, "open_engine", load)
    [found] = planned(project, "eval", "one", "-s", "mine")["evaluations"]
    assert (4, 4, 2) == tuple(found[key] for key in ("samples", "requests", "missing"))
    assert found["seconds"] > 0, "as the shorter run took"
    assert found["cost"] is None


def test_what_is_done_takes_nothing(project: Working) -> None:
    """It is neither loaded nor asked."""
    project.run("eval", "one", "-s", "mine")
    found = planned(project, "eval", "one", "-s", "mine")
    assert ([], 0, 0.0) == (found["loads"], found["evaluations"][0]["missing"], found["seconds"])


def test_what_is_not_trained_is_planned_with_its_training(project: Working) -> None:
    """Its requests are not known; and for people it is said in words."""
    found = planned(project, "compare", "one", "p", "-s", "mine")
    assert [("p", False)] == [(stage["pipeline"], stage["done"]) for stage in found["stages"]]
    assert [4, None] == [each["requests"] for each in found["evaluations"]]
    assert ["one", "p"] == found["loads"]
    assert not (project.folder / "candidates" / "p").exists()

    code, out, _ = project.run("compare", "one", "p", "-s", "mine", "--dry-run")
    words = " ".join(out.split())
    assert 0 == code
    assert "1 of 1 stages to train" in words
    assert "2 models to load, each once: one, p" in words
    assert "time: not known for mine, which nobody was asked with these settings yet" in words


def test_what_it_costs_at_most(project: Working) -> None:
    """A service's prices by the length of the prompts and of the answers; it is not asked."""
    found = planned(project, "eval", "served", "-s", "mine")
    assert [] == found["loads"]
    [each] = found["evaluations"]
    # four prompts of six bytes and what a template puts around them, and four tokens of each answer
    assert each["cost"] == pytest.approx(4 * (6 + 64 + 4 * 2))
    _, out, _ = project.run("eval", "served", "-s", "mine", "--dry-run")
    assert "cost: at most 312.00 USD, without judges of suites" in out


def test_with_a_budget_models_are_asked_one_after_the_other(
    project: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the whole cluster then, and the plan says so."""
    there = Cluster(address="here:1", slots=4, gpus_per_slot=0, largest=4)
    monkeypatch.setattr(evaluation_plan, "cluster_of", lambda placement: there)
    asked = ("compare", "one", "p", "-s", "mine", "--on", "ray")
    assert [2, 1] == [planned(project, *asked, *budget)["at_once"] for budget in ((), ("--budget", "5"))]
    assert 4 == planned(project, *asked, "--budget", "5")["allotment"]["replicas"]
