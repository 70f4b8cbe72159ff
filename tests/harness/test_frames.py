"""Frames for notebooks: their columns, their lines, and that they hold the newest whole runs."""

from pathlib import Path

import pytest
from pandas import isna

import harness
from harness.errors import UsageError
from harness.store import Store
from harness.verbs.project import Project
from tests.harness.preferences.kept import judged, keep_answers


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of two models, without a store."""
    monkeypatch.chdir(tmp_path)
    Path("harness.toml").write_text('[models.sft]\npath = "./sft"\n[models.dpo]\npath = "./dpo"\n')
    return harness.open_project()


def test_what_is_in_the_store(project: Project) -> None:
    """Runs, answers and preferences: a line each, with the columns that are documented."""
    with Store.open(project.registry.project.store) as store:
        old = keep_answers(store, "sft", ["before"], run_id="old", finished="2026-01-01T00:00:00+00:00")
        sft, dpo = (keep_answers(store, name, [f"{name} says", "x"]) for name in ("sft", "dpo"))
        judged(store, sft, dpo, ["right", None], reasons=[None, "refused"])

    runs, answers = harness.runs_frame(project), harness.answers_frame(project, ["sft"])
    preferences = harness.preferences_frame(project)

    assert {old.id, sft.id, dpo.id} == set(runs["run"])
    assert [("q0", "sft says", "end"), ("q1", "x", "end")] == list(
        answers[["sample", "text", "stopped"]].itertuples(index=False, name=None)
    )
    assert {sft.id} == set(answers["run"])
    assert ["dpo", "dpo"] == list(preferences["right"])
    assert ("right", True) == (preferences["winner"][0], isna(preferences["winner"][1]))
    for frame in (harness.runs_frame, harness.scores_frame, harness.answers_frame, harness.preferences_frame):
        made = frame(project, ["nobody", "else"])
        assert made.empty
        for column in made.columns:
            assert column in str(frame.__doc__), (frame.__name__, column)


def test_without_a_store_it_is_said(project: Project) -> None:
    """A notebook is told what makes one, and none is made by looking."""
    with pytest.raises(UsageError, match="no results store here yet; `harness eval` makes one"):
        harness.scores_frame(project)
    assert not Path("harness.db").exists()
