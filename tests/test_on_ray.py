"""Whole commands with `--on ray`: what they keep and say is what they keep and say without it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ray_clusters import local_ray
from tests.tiny_models import tiny_llama
from tests.working import Working

pytestmark = pytest.mark.xdist_group("ray")

PROJECT = """
[models.one]
path = "one"
[models.two]
path = "two"

[suites.mine]
prompts = "mine.jsonl"
rule = "contains"
max_tokens = 6

[pipelines.sft]
base = "one"
[[pipelines.sft.stages]]
kind = "sft"
data = "rows.jsonl"
epochs = 1
max_length = 256
[pipelines.dpo]
base = "sft"
[[pipelines.dpo.stages]]
kind = "dpo"
data = "pairs.jsonl"
epochs = 1
max_length = 256
"""
NAMES = ("one", "two", "dpo")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Room for two models."""
    with local_ray(2):
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """Two models, and two pipelines of which one builds on the other."""
    for seed, name in enumerate(("one", "two")):
        tiny_llama(tmp_path / name, seed=seed)
    monkeypatch.chdir(tmp_path)
    working = Working(tmp_path, capsys)
    working.write("mine.jsonl", *({"prompt": f"Say {n}.", "target": str(n % 3)} for n in range(30)))
    working.write("rows.jsonl", *({"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(24)))
    pairs = ({"prompt": f"Say {n}.", "chosen": f"It is {n}.", "rejected": "No."} for n in range(16))
    working.write("pairs.jsonl", *pairs)
    (tmp_path / "harness.toml").write_text(PROJECT, encoding="utf-8")
    return working


def compared(project: Working, *more: str) -> dict[str, Any]:
    """A comparison for machines, without what tells one run of a command from another."""
    code, out, err = project.run("compare", *NAMES, "-s", "mine", "--json", *more)
    assert 0 == code, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_comparison_from_nothing(cluster: None, project: Working) -> None:
    """Two stages are trained, three models asked, and the verdicts are those of one process."""
    with_ray = compared(project, "--on", "ray")
    answers, runs = project.answers(), project.runs()
    assert [("mine", True)] * 3 == [(suite, is_whole) for suite, _, is_whole in runs]
    assert with_ray["verdicts"] == compared(project)["verdicts"], "nothing is left to do"
    assert answers == project.answers()

    (project.folder / "harness.db").rename(project.folder / "before.db")
    without = compared(project)
    keyed = {key: text for key, text, *_ in answers}
    assert keyed == {key: text for key, text, *_ in project.answers()}
    assert with_ray["verdicts"] == without["verdicts"]


def test_what_cannot_be_placed(cluster: None, project: Working) -> None:
    """Each is one sentence with what to do."""
    assert "--replicas says how many processes Ray runs: add --on ray" in project.complaint(
        2, "eval", "one", "--replicas", "2"
    )
    file = project.folder / "harness.toml"
    file.write_text(f'{PROJECT}[run]\non = "ray"\ngpus_per_replica = 1\n')
    assert "a replica is to have 1 GPUs, and no machine of the cluster has more than 0" in project.complaint(
        2, "eval", "one", "-s", "mine"
    )
    (project.folder / "one" / "model.safetensors").unlink()
    assert "no weights in it" in project.complaint(2, "eval", "one", "-s", "mine", "--on", "ray")
