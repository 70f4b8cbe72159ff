"""A group of lm-eval's tasks as a suite: its mean is lm-eval's, and what cannot be paired is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lm_eval.api.metrics import aggregate_subtask_metrics

from harness.adaptors.lm_eval import definitions
from harness.adaptors.lm_eval.definitions import TASKS, task_group
from harness.errors import UnknownName, UsageError
from harness.records.answers import Metric, Row
from suites.lm_eval_group import TaskOrGroup, versions_of
from suites.lm_eval_task import LmEvalSuite
from suites.settings import LmEvalSettings, SuiteContext
from tests.suites.scripted import FunctionEngine
from tests.suites.test_general import LONG, files

GROUP = "longbench2_history"


def suite_of(folder: Path, name: str = GROUP, **settings: Any) -> TaskOrGroup:
    """The group over made-up rows of its two tasks."""
    return TaskOrGroup(name, LmEvalSettings(data=files(folder, LONG), **settings), SuiteContext())


def asked(suite: TaskOrGroup, engine: FunctionEngine) -> list[Row]:
    """All rows in order."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def test_the_mean_is_lm_evals(tmp_path: Path) -> None:
    """Over all documents, which is the mean of the tasks' means weighted by their sizes."""
    suite = suite_of(tmp_path)
    rows = asked(suite, FunctionEngine(logprob=lambda context, choice: float(choice == " A")))
    values: dict[str, list[float]] = {}
    for row in rows:
        (score,) = row.scores
        assert score.value is not None
        values.setdefault(str(row.sample.tags["task"]), []).append(score.value)
    means = [sum(theirs) / len(theirs) for theirs in values.values()]

    assert (Metric(name="acc", kind="binary", headline=True, splits=("task",)),) == suite.metrics
    assert aggregate_subtask_metrics(means, [len(theirs) for theirs in values.values()]) == sum(
        value for theirs in values.values() for value in theirs
    ) / len(rows)
    assert [1 / 3, 1.0] == means


def test_identity(tmp_path: Path) -> None:
    """Named after the group, with its version and its tasks'."""
    suite = suite_of(tmp_path)

    assert "lm_eval:longbench2_history" == suite.name
    assert (
        "2 (lm-eval longbench2_history 0.0: longbench2_agent_history, longbench2_dialogue_history, all 0.0)"
        == suite.version
    )
    assert 4 == suite.size
    assert suite.data_hash != suite_of(tmp_path, limit=1).data_hash


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"a": "1.0"}, "a 1.0"),
        ({"a": "1.0", "b": "1.0"}, "a, b, all 1.0"),
        ({"a": "1.0", "b": "2.0"}, "a 1.0, b 2.0"),
        ({**dict.fromkeys("abcdefgh", "1.0"), "i": "2.0"}, "tasks: 8 of version 1.0, 1 of version 2.0"),
    ],
)
def test_versions_are_named_briefly(versions: dict[str, str], expected: str) -> None:
    """Few tasks by name, many by number; a changed version changes the text."""
    tasks = [SimpleNamespace(task_name=name, task_version=version) for name, version in versions.items()]
    assert expected == versions_of(cast("list[LmEvalSuite]", tasks))


def test_a_group_needs_a_file_for_each_task(tmp_path: Path) -> None:
    """One file cannot hold the rows of several tasks; the message says how to name them."""
    (file, *_) = files(tmp_path, LONG).values()
    suite = TaskOrGroup(GROUP, LmEvalSettings(data=file), SuiteContext())
    with pytest.raises(UsageError, match=r'"lm_eval:longbench2_history".data\] longbench2_agent_history ='):
        _ = suite.size


def test_data_for_a_task_that_is_no_member(tmp_path: Path) -> None:
    """A mistyped member is not left to the hub in silence."""
    suite = TaskOrGroup(GROUP, LmEvalSettings(data={"agent": tmp_path / "any.jsonl"}), SuiteContext())
    with pytest.raises(UnknownName, match="'agent'"):
        _ = suite.size


def test_a_group_whose_mean_is_over_tasks() -> None:
    """It has no pairs of documents; its members are named."""
    with pytest.raises(UsageError, match="name its members: longbench_lcc, longbench_repobench-p"):
        task_group("longbench_code")


def test_tags_and_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag is its tasks, and names no mean; a task and an unknown name are no group. (Few are read.)"""
    monkeypatch.setattr(definitions, "TASKS", TASKS / "truthfulqa")
    tag = task_group("truthfulqa")

    assert tag is not None
    assert (("truthfulqa_gen", "truthfulqa_mc1", "truthfulqa_mc2"), None) == (tag.tasks, tag.means)
    assert [None, None] == [task_group("truthfulqa_mc1"), task_group("truthfulqb")]


def test_groups_within_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """MMLU is four groups of tags, and 57 tasks in all. (Only its own definitions are read.)"""
    monkeypatch.setattr(definitions, "TASKS", TASKS / "mmlu" / "default")
    mmlu = task_group("mmlu")

    assert mmlu is not None
    assert (57, "2", ("acc",)) == (len(mmlu.tasks), mmlu.version, mmlu.means)
    assert "mmlu_anatomy" in mmlu.tasks


def test_a_single_task_goes_on_as_before(tmp_path: Path) -> None:
    """A name that is a task is that task's suite."""
    rows = files(tmp_path, LONG)["longbench2_agent_history"]
    suite = TaskOrGroup("longbench2_agent_history", LmEvalSettings(data=rows), SuiteContext())

    assert "2 (lm-eval longbench2_agent_history 0.0)" == suite.version
    assert [("acc", True)] == [(metric.name, metric.headline) for metric in suite.metrics]
    assert 3 == len(asked(suite, FunctionEngine()))
