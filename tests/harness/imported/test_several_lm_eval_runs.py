"""Several runs of lm-eval in one import: what belongs together is scored together, and the rest is said."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.harness.imported.commands import imported
from tests.harness.imported.lm_eval_files import sample, written
from tests.suites.rows import QUESTIONS
from tests.working import Working

LATER = "2026-11-30T10-00-00.000000"


def truthfulqa(task: str) -> list[dict[str, Any]]:
    """A sample of each question, with the choices of the task."""
    found = []
    for question in QUESTIONS[:2]:
        said = question[f"{task}_targets"]["choices"]
        answers = [-1.0 - place for place in range(len(said))]
        found.append(sample(question, {"acc": 0.0}, choices=said, answers=answers))
    return found


def mc(folder: Path, tasks: Sequence[str], **said: Any) -> Path:
    """A run of these tasks."""
    return written(folder, {f"truthfulqa_{task}": truthfulqa(task) for task in tasks}, **said)


def settings(project: Working, *arguments: str) -> Mapping[str, Any]:
    """Those of the first run that is imported."""
    code, out, err = project.run("import", *arguments, "--json")
    assert code == 0, err
    found: Mapping[str, Any] = json.loads(out)[0]["run"]["settings"]
    return found


def test_tasks_that_were_asked_otherwise_are_not_scored_together(project: Working) -> None:
    """mc1 without a template and mc2 with one make no run of truthfulqa; both files of mc1 are named."""
    mc(project.folder / "with", ["mc1", "mc2"])
    mc(project.folder / "without", ["mc1"], template=None, time=LATER)
    said = imported(project, "with", "without", "--as", "both")
    assert "both · lm_eval:truthfulqa_mc1: 2 samples" in said
    assert "scored by our suite" not in said
    assert "not scored by truthfulqa: that needs truthfulqa_mc1 and truthfulqa_mc2" in said
    assert "left out are with/models__tiny/samples_truthfulqa_mc1_" in said


def test_half_of_a_suite_says_what_is_missing(project: Working) -> None:
    """A model with mc1 alone keeps lm-eval's scores, and it is said how another can be compared with it."""
    mc(project.folder / "out", ["mc1"])
    assert "--keep-scores keeps the tool's scores of the other models, too" in imported(project, "out")


def test_turns_of_examples_matter_only_with_examples(project: Working) -> None:
    """lm-eval sets fewshot_as_multiturn with every chat template: without examples it says nothing."""
    mc(project.folder / "none", ["mc1"], fewshot_as_multiturn=True)
    mc(project.folder / "five", ["mc1"], fewshot_as_multiturn=True, **{"n-shot": {"truthfulqa_mc1": 5}})
    assert settings(project, "none", "--as", "none")["fewshot_as_multiturn"] is False
    assert settings(project, "five", "--as", "five")["fewshot_as_multiturn"] is True


def test_hashes_that_begin_alike_are_several_samples(project: Working) -> None:
    """A sample is called by the beginning of its document's hash, and none takes another's place."""
    lines = [{**line, "doc_hash": "0" * 63 + str(place)} for place, line in enumerate(truthfulqa("mc1"))]
    written(project.folder / "out", {"truthfulqa_mc1": lines})
    imported(project, "out", "--as", "alike")
    ids = [row.sample.id for row in project.rows("alike", "lm_eval:truthfulqa_mc1")]
    assert ids == ["0" * 16, "0" * 16 + "-2"]


def test_the_metric_that_a_task_names_first_is_its_headline(project: Working) -> None:
    """Not the first by the alphabet: of ifeval lm-eval's is prompt_level_strict_acc."""
    line = sample({"question": "?"}, {"b_acc": 1.0, "a_acc": 0.0}, choices=["a"], answers=[-1])
    written(project.folder / "out", {"arc_easy": [line]})
    code, out, _ = project.run("import", "out", "--json")
    assert code == 0
    assert {each["name"]: each["headline"] for each in json.loads(out)[0]["run"]["metrics"]} == {
        "a_acc": False,
        "b_acc": True,
    }
