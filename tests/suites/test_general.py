"""General ability: several tasks of lm-eval as one suite, over local rows in each task's own schema."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, DownloadNeeded, UnknownName, UsageError
from harness.records.answers import LogLikelihood, Metric, Row
from suites.general import MEASURED_BY, General
from suites.settings import GeneralSettings, SuiteContext
from tests.suites.general_rows import GENERAL
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine


@dataclass
class CountingEngine(FunctionEngine):
    """Knows how often it was called."""

    calls: int = 0

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """One call."""
        self.calls += 1
        return super().loglikelihood(pairs)


def files(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Path]:
    """A file for each task."""
    return {task: write_rows(folder / f"{task}.jsonl", theirs) for task, theirs in rows.items()}


def suite_of(folder: Path, **settings: Any) -> General:
    """The suite over small rows of its five tasks."""
    return General(GeneralSettings(data=files(folder, GENERAL), **settings), SuiteContext())


def asked(suite: General, engine: FunctionEngine) -> list[Row]:
    """All rows in order."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def test_one_metric_per_task(tmp_path: Path) -> None:
    """Named after the task, with the margin and with what it is in lm-eval; none is a headline."""
    first, *others = suite_of(tmp_path).metrics

    assert first == Metric(
        name="hellaswag", kind="binary", note="acc_norm of lm-eval's hellaswag", margin=0.01
    )
    assert ["arc_easy", "piqa", "winogrande", "lambada_openai"] == [metric.name for metric in others]
    assert {(False, 0.01)} == {(metric.headline, metric.margin) for metric in (first, *others)}


def test_what_is_known_needs_no_data() -> None:
    """Metrics of the five tasks are known without lm-eval, and are those that it gives."""
    assert list(MEASURED_BY) == [metric.name for metric in General(GeneralSettings(), SuiteContext()).metrics]


def test_headlines_where_the_user_wants_them(tmp_path: Path) -> None:
    """`headline` makes every task one, and the margin is the user's."""
    metrics = suite_of(tmp_path, headline=True, margin=0.05).metrics

    assert {(True, 0.05)} == {(metric.headline, metric.margin) for metric in metrics}


def test_scores_by_hand(tmp_path: Path) -> None:
    """Each document is scored in its own task's metric alone, and every choice by its log-likelihood."""
    engine = FunctionEngine(logprob=lambda context, choice: -float(len(choice)), shuffle=5)
    found: dict[str, list[float | None]] = {}
    for row in asked(suite_of(tmp_path), engine):
        (score,) = row.scores
        found.setdefault(score.metric, []).append(score.value)

    assert {
        "hellaswag": [1.0, 1.0, 1.0],  # per character all are alike: the first, which is right
        "arc_easy": [0.0, 0.0, 0.0],  # " a cup" is the shortest
        "piqa": [1.0, 1.0],
        "winogrande": [1.0],
        "lambada_openai": [0.0, 0.0],  # greedy decoding would not have given the word
    } == found


def test_everything_in_one_call(tmp_path: Path) -> None:
    """The engine sees all log-likelihoods of all tasks at once, so that it can share what they share."""
    engine = CountingEngine()
    rows = asked(suite_of(tmp_path), engine)

    assert 1 == engine.calls
    assert 3 * 4 + 3 * 3 + 2 * 2 + 2 + 2 == len(engine.pairs)
    assert [11, 11] == [len(rows), suite_of(tmp_path).size]


def test_documents_are_named_by_task_and_themselves(tmp_path: Path) -> None:
    """Ids are apart, positions are 0, 1, …, and the task is a tag."""
    rows = asked(suite_of(tmp_path), FunctionEngine(shuffle=1))

    assert list(range(11)) == [row.position for row in rows]
    assert 11 == len({row.sample.id for row in rows})
    assert all(row.sample.id.startswith(f"{row.sample.tags['task']}:") for row in rows)


def test_identity(tmp_path: Path) -> None:
    """Versions of all tasks, settings where they agree once, and a hash over all data."""
    suite, limited = suite_of(tmp_path), suite_of(tmp_path, limit=1)

    assert "2 (lm-eval hellaswag, arc_easy, piqa, winogrande, lambada_openai, all 1.0)" == suite.version
    assert {"chat_template": False, "num_fewshot": 0, "seed": 1234, "sampling": None} == suite.settings(None)
    assert suite.data_hash != limited.data_hash
    assert 5 == limited.size


def test_a_failing_engine_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    """Log-likelihoods are needed."""
    with pytest.raises(UsageError, match="needs log-likelihoods"):
        asked(suite_of(tmp_path), FunctionEngine(can_score=False))


# ---------------------------------------------------------------- groups

LONG = {
    task: [
        {
            "context": f"A text about {task}.",
            "question": f"Which is {place}?",
            "choices": [str(place), "8", "9", "7"],
            "answer": answer,
        }
        for place, answer in enumerate(answers)
    ]
    for task, answers in {"longbench2_agent_history": [0, 1, 2], "longbench2_dialogue_history": [0]}.items()
}


def test_a_group_is_one_metric(tmp_path: Path) -> None:
    """Over all documents of its tasks, and shown task by task."""
    settings = GeneralSettings(tasks=("longbench2_history",), data=files(tmp_path, LONG))
    suite = General(settings, SuiteContext())
    (metric,) = suite.metrics
    rows = asked(suite, FunctionEngine(logprob=lambda context, choice: float(choice == " A")))

    assert ("longbench2_history", ("task",), False) == (metric.name, metric.splits, metric.headline)
    assert [1.0, 0.0, 0.0, 1.0] == [score.value for row in rows for score in row.scores]


# ---------------------------------------------------------------- what is wrong


def test_a_task_asked_twice(tmp_path: Path) -> None:
    """Its documents would be the same samples."""
    settings = GeneralSettings(tasks=("piqa", "piqa"), data=files(tmp_path, {"piqa": GENERAL["piqa"]}))
    with pytest.raises(UsageError, match="general: piqa would be asked twice"):
        _ = General(settings, SuiteContext()).size


def test_data_for_a_task_that_is_not_asked(tmp_path: Path) -> None:
    """The nearest task that is asked is proposed."""
    suite = General(GeneralSettings(data={"hellswag": tmp_path / "any.jsonl"}), SuiteContext())
    with pytest.raises(UnknownName, match=r"task of general.*'hellswag'.*did you mean 'hellaswag'"):
        _ = suite.size


def test_a_row_that_lacks_a_field(tmp_path: Path) -> None:
    """The file and the row are named."""
    rows = {**GENERAL, "piqa": [GENERAL["piqa"][0], {"goal": "To cut wood,"}]}
    suite = General(GeneralSettings(data=files(tmp_path, rows)), SuiteContext())
    with pytest.raises(DataError, match=r"piqa\.jsonl, row 2: lacks label, sol1, sol2"):
        _ = suite.size


def test_a_task_without_data_or_network(tmp_path: Path) -> None:
    """It says which one's data are missing, and how to give them."""
    rows = {task: theirs for task, theirs in GENERAL.items() if task != "winogrande"}
    suite = General(GeneralSettings(data=files(tmp_path, rows)), SuiteContext())
    with pytest.raises(DownloadNeeded, match="'winogrande' reads its documents from the hub"):
        _ = suite.data_hash
