"""What lighteval itself writes, imported: its own means, and the verdict of our own runs."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import nltk
import pytest

pytest.importorskip("lighteval", reason="the extra `lighteval` is not installed")

from datasets import Dataset, DatasetDict
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.dummy.dummy_model import DummyModel, DummyModelConfig
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.lighteval_task import LightevalTask

from harness.store import Store
from tests.suites.rows import PROMPTS, QUESTIONS, write_rows
from tests.tiny_models import tiny_llama
from tests.working import Working

TRIVIA = [
    {"question": f"What is {number}", "answer": "random baseline" if number % 3 else "a number"}
    for number in range(9)
]
ROWS: dict[str, list[dict[str, Any]]] = {
    "truthfulqa:mc": [*QUESTIONS, {**QUESTIONS[0], "question": "May people fly?"}],
    "jeopardy": TRIVIA,
    "ifeval": PROMPTS,
}
PROJECT = """
[models.one]
path = "./one"
dtype = "float32"

[models.two]
path = "./two"
dtype = "float32"

[suites.truthfulqa]
data = "questions.jsonl"

[compare]
suites = ["truthfulqa"]
"""


@pytest.fixture(autouse=True)
def local_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """lighteval's tasks over our rows, and its module that would download something left out."""
    absent = ModuleType("tiny_benchmarks")
    monkeypatch.setitem(sys.modules, "lighteval.tasks.tasks.tiny_benchmarks", absent)

    def download(task: LightevalTask) -> DatasetDict:
        rows = Dataset.from_list(ROWS[task.name])
        return DatasetDict(dict.fromkeys({*task.evaluation_split, task.fewshot_split} - {None}, rows))

    monkeypatch.setattr(LightevalTask, "download_dataset_worker", staticmethod(download))
    (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)  # so that nothing is downloaded
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def grad() -> Iterator[None]:
    """lighteval's model class switches gradients off for the whole process."""
    import torch  # noqa: PLC0415 - only here

    yield
    torch.set_grad_enabled(True)


def lighteval(model: Any, tasks: str, output: Path, *, max_samples: int | None = None) -> Mapping[str, Any]:
    """What `lighteval --save-details` does; the means that it gives."""
    tracker = EvaluationTracker(output_dir=str(output), save_details=True)
    pipeline = Pipeline(
        tasks=tasks,
        pipeline_parameters=PipelineParameters(
            launcher_type=ParallelismManager.NONE, max_samples=max_samples, bootstrap_iters=0
        ),
        evaluation_tracker=tracker,
        model=model,
    )
    pipeline.evaluate()
    tracker.save()
    return tracker.results["results"]


def dummy(folder: Path, name: str, seed: int) -> DummyModel:
    """lighteval's own, which writes `random baseline` and scores choices at random."""
    return DummyModel(DummyModelConfig(model_name=name, seed=seed, cache_dir=str(folder / f"cache-{seed}")))


def test_a_dummy_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mean is lighteval's, as its scores stand; two runs are compared, and shots are kept apart."""
    (tmp_path / "harness.toml").write_text("")
    working = Working(tmp_path, capsys)
    for seed, name in enumerate(("home/alice/models/left", "right")):
        means = lighteval(
            dummy(tmp_path, name, seed), "truthfulqa:mc,jeopardy,jeopardy|2,ifeval", tmp_path / "out"
        )
        results = next((tmp_path / "out/results" / name).iterdir())
        code, out, err = working.run("import", str(results), "--keep-scores")
        assert code == 0, err
        assert "left out" not in out
        assert "in the results, and the mean" not in out
        assert means_of(name.rpartition("/")[2]) == {
            (task, metric): pytest.approx(value)
            for task, found in means.items()
            if "average" not in task and task != "all"
            for metric, value in found.items()
        }
    code, out, err = working.run("report", "left", "right", "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    assert "not comparable" not in verdict["reason"]
    assert {each["suite"] for each in verdict["comparisons"]} == {
        "lighteval:truthfulqa:mc|0", "lighteval:jeopardy|0", "lighteval:jeopardy|2", "lighteval:ifeval|0"
    }  # fmt: skip


def test_other_selections_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--max-samples` draws in another order: the same questions have the same ids all the same."""
    (tmp_path / "harness.toml").write_text("")
    working = Working(tmp_path, capsys)
    for name, most in (("some", 4), ("all", None)):
        lighteval(dummy(tmp_path, name, 0), "jeopardy", tmp_path / "out", max_samples=most)
        code, _, err = working.run("import", str(tmp_path / "out/results" / name))
        assert code == 0, err
    some, whole = (
        {row.sample.id: row.sample.prompt for row in working.rows(name, "lighteval:jeopardy|0")}
        for name in ("some", "all")
    )
    assert len(some) == 4
    assert some == {each: whole[each] for each in some}


@pytest.mark.usefixtures("grad")
def test_the_verdict_is_that_of_our_own_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`truthfulqa:mc` scored by our suite has the scores, and the data, of our own runs."""
    working = Working(tmp_path, capsys)
    for seed, name in enumerate(("one", "two")):
        path = tiny_llama(tmp_path / name, seed=seed, bos=True, chat_template=False, max_length=1024)
        config = TransformersModelConfig(
            model_name=str(path),
            dtype="float32",
            batch_size=2,
            cache_dir=str(tmp_path / "cache"),
            device="cpu",
        )
        lighteval(TransformersModel(config), "truthfulqa:mc", tmp_path / "out")
    write_rows(tmp_path / "questions.jsonl", ROWS["truthfulqa:mc"])
    (tmp_path / "harness.toml").write_text(PROJECT)
    own = verdict(working, "compare", "one", "two")
    for name in ("one", "two"):
        [file] = (tmp_path / "out/results").rglob(f"*/{name}/results_*.json")
        code, out, err = working.run("import", str(file), "--as", f"their-{name}")
        assert code == 0, err
        assert "scored by our suite truthfulqa" in out
    assert own == verdict(working, "report", "their-one", "their-two")
    _, out, _ = working.run("report", "one", "their-one")
    assert "NOT COMPARABLE" not in out


def verdict(working: Working, *arguments: str) -> list[Any]:
    """Every comparison's metric and numbers."""
    code, out, err = working.run(*arguments, "--json")
    assert code == 0, err
    [found] = json.loads(out)["verdicts"]
    return [
        (each["suite"], each["metric"]["name"], each["decision"], pytest.approx(each["difference"], abs=1e-4))
        for each in found["comparisons"]
    ]


def means_of(model: str) -> dict[tuple[str, str], float]:
    """Of what is in the store, by lighteval's name of the task and metric."""
    found = {}
    with Store.open("sqlite:///harness.db") as store:
        for run in store.runs.find():
            if run.model != model:
                continue
            for metric, seen in store.runs.observations(run.id).items():
                values = [each.value for each in seen]
                found[run.suite.removeprefix("lighteval:"), metric] = sum(values) / len(values)
    return found
