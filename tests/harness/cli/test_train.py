"""`harness train` and what follows it say what a stage did not do."""

import json
from pathlib import Path

import pytest

from harness.cli.progress import ProgressBars
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.one]
path = "one"

[suites.mine]
prompts = "mine.jsonl"
rule = "exact"
max_tokens = 4

[pipelines.p]
base = "one"
[[pipelines.p.stages]]
kind = "sft"
data = "rows.jsonl"
epochs = 1
learning_rate = {rate}
max_length = 256
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A project with a pipeline of one stage, whose rate is still open."""
    tiny_llama(tmp_path / "one", seed=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ProgressBars, "training", lambda self, progress: None)
    working = Working(tmp_path, capsys)
    working.write("mine.jsonl", *({"prompt": f"Say {n}.", "target": str(n)} for n in range(4)))
    working.write("rows.jsonl", *({"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(24)))
    return working


def test_a_stage_that_moved_almost_nothing_is_noted_everywhere(project: Working) -> None:
    """After the training, by the doctor, and in every form of the report; JSON stays JSON."""
    (project.folder / "harness.toml").write_text(PROJECT.format(rate="1e-10"), encoding="utf-8")
    note = "p · sft: this stage moved almost nothing: 0 of 32 greedy answers changed (0 of 16 to prompts "

    code, out, err = project.run("train", "p", "--json")
    assert (0, ["p"]) == (code, list(json.loads(out)))
    assert f"note: {note}" in " ".join(err.split())
    _, out, _ = project.run("doctor", "p", "--json")
    [finding] = [each for each in json.loads(out)[0]["findings"] if each["check"] == "moved almost nothing"]
    assert ("warning", "pipelines.p.stages[0].learning_rate") == (finding["severity"], finding["where"])
    _, out, _ = project.run("compare", "one", "p", "-s", "mine", "--json")
    assert [True] == [each.startswith(note) for each in json.loads(out)["notes"] if each.startswith("p ·")]
    for file in ("leaderboard.md", "leaderboard.html"):
        assert note in (project.folder / "reports" / file).read_text(encoding="utf-8")
    page = (project.folder / "reports" / "training.html").read_text(encoding="utf-8")
    assert "This stage moved almost nothing: 0 of 32 greedy answers changed (0 of 16 to prompts" in page


def test_a_stage_that_moved_is_not_noted(project: Working) -> None:
    """Neither after the training nor by the doctor."""
    (project.folder / "harness.toml").write_text(PROJECT.format(rate="1e-2"), encoding="utf-8")

    code, _, err = project.run("train", "p")
    assert (0, False) == (code, "moved almost nothing" in err)
    _, out, _ = project.run("doctor", "p", "--json")
    assert "moved almost nothing" not in out
