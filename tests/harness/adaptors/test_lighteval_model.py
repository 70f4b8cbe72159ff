"""Our engine under lighteval's tasks, and inside lighteval, gives what lighteval's own model class gives."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("lighteval", reason="the extra `lighteval` is not installed")

from datasets import Dataset, DatasetDict
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.lighteval_task import LightevalTask
from lighteval.tasks.requests import Doc

from harness.adaptors.engine_requests import TaskRows
from harness.adaptors.lighteval.model import EngineModel
from harness.adaptors.lighteval.tasks import load_task
from harness.engine.local.engine import open_local
from harness.errors import EngineError, UsageError
from harness.files import json_lines
from harness.protocols import Engine
from harness.records.answers import Response, SamplingParameters
from harness.records.models import Local, Model
from suites.settings import SuiteContext, SuiteSettings
from suites.truthfulqa import Choices, TruthfulQA, true_share
from tests.suites.rows import QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine, says
from tests.tiny_models import tiny_llama

TRIVIA = [
    {"question": "What drives nails", "answer": "A hammer"},
    {"question": "What cuts wood", "answer": "A saw"},
]
ROWS: dict[str, list[dict[str, Any]]] = {"truthfulqa:mc": QUESTIONS, "jeopardy": TRIVIA}
Found = Mapping[str, Any]


@pytest.fixture
def local_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """lighteval's tasks over our rows, and its module that would download something left out."""
    absent = ModuleType("tiny_benchmarks")
    monkeypatch.setitem(sys.modules, "lighteval.tasks.tasks.tiny_benchmarks", absent)

    def download(task: LightevalTask) -> DatasetDict:
        return DatasetDict({split: Dataset.from_list(ROWS[task.name]) for split in task.evaluation_split})

    monkeypatch.setattr(LightevalTask, "download_dataset_worker", staticmethod(download))


@pytest.fixture
def grad() -> Iterator[None]:
    """lighteval's model class switches gradients off for the whole process."""
    import torch  # noqa: PLC0415 - only here

    yield
    torch.set_grad_enabled(True)


@pytest.mark.usefixtures("local_rows", "grad")
@pytest.mark.parametrize("task", ROWS)
def test_agreement(task: str, tmp_path: Path) -> None:
    """Scores and answers per document: its pipeline with its model, with ours, and our suite's way."""
    path = tiny_llama(tmp_path / "model", bos=True, chat_template=False, max_length=1024)
    config = TransformersModelConfig(
        model_name=str(path), dtype="float32", batch_size=1, cache_dir=str(tmp_path / "cache"), device="cpu"
    )
    engine = local_engine(path)
    theirs = piped(TransformersModel(config), task, tmp_path)
    inside = piped(EngineModel(engine), task, tmp_path)
    assert theirs == {query: approximately(found) for query, found in inside.items()}
    opened = load_task(task, TaskRows(ROWS[task]))
    ours = {
        opened.question(answered.index): {name: value for name, (value,) in answered.values.items()}
        for answered in opened.ask(engine, chat_template=False)
    }
    assert {query: found["scores"] for query, found in theirs.items()} == {
        query: pytest.approx(scores, abs=1e-5) for query, scores in ours.items()
    }
    assert any(found["texts"] + found["logprobs"] for found in theirs.values())


@pytest.mark.official
@pytest.mark.usefixtures("local_rows", "grad")
def test_truthfulqa_on_official_rows(
    tmp_path: Path, official_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our suite's mc1 and mc2 are lighteval's, but for mc2 of the two questions that it reads otherwise.

    lighteval takes the true answers to end before the first false one; in two of the 817 questions there is
    another after it, whose probability it counts as false. Its own model class gives a random model's
    scores; made-up likelihoods, alike for all answers, show the difference, which a random model's hide.
    """
    everything = [row for _, row in json_lines(official_data / "truthfulqa" / "multiple_choice.jsonl")]
    gaps = [row for row in everything if 1 in row["mc2_targets"]["labels"][true_at_first(row) :]]
    assert [everything[25], everything[208]] == gaps
    rows = [*everything[:6], *gaps]
    monkeypatch.setitem(ROWS, "truthfulqa:mc", rows)
    path = tiny_llama(tmp_path / "model", bos=True, chat_template=False, max_length=1024)
    config = TransformersModelConfig(
        model_name=str(path), dtype="float32", batch_size=1, cache_dir=str(tmp_path / "cache"), device="cpu"
    )
    suite = TruthfulQA(SuiteSettings(data=write_rows(tmp_path / "rows.jsonl", rows)), SuiteContext())
    made_up = FunctionEngine(logprob=lambda context, answer: -float(len(answer) % 5))
    for model, engine, differing in (
        (TransformersModel(config), local_engine(path), []),
        (EngineModel(made_up), made_up, [6, 7]),
    ):
        found = piped(model, "truthfulqa:mc", tmp_path)
        assert differing == differing_in_mc2(suite, engine, rows, found)


def differing_in_mc2(
    suite: TruthfulQA, engine: Engine, rows: Sequence[Mapping[str, Any]], found: Mapping[str, Found]
) -> list[int]:
    """Where lighteval has another mc2. Its mc1 is ours, and its mc2 that of the true answers at first."""
    differing = []
    for row in suite.rows(engine):
        (theirs,) = [of["scores"] for query, of in found.items() if row.sample.prompt in query]
        ours = {score.metric: score.value for score in row.scores}
        logprobs = dict(zip(row.sample.choices, (answer.logprob for answer in row.responses), strict=True))
        first = true_at_first(rows[row.position])
        choices = rows[row.position]["mc2_targets"]["choices"]
        cut = Choices(choices=choices, labels=[int(place < first) for place in range(len(choices))])
        assert ours["mc1"] == theirs["truthfulqa_mc1"]
        assert theirs["truthfulqa_mc2"] == pytest.approx(true_share(cut, logprobs), abs=1e-5)
        if ours["mc2"] != pytest.approx(theirs["truthfulqa_mc2"], abs=1e-5):
            differing.append(row.position)
    return sorted(differing)


def true_at_first(row: Mapping[str, Any]) -> int:
    """How many true answers stand before the first false one."""
    return int(row["mc2_targets"]["labels"].index(0))


def test_documents_at_once() -> None:
    """Everything handed over at once is asked at once, and comes in lighteval's order."""
    engine = FunctionEngine(shuffle=3)
    docs = [document("one", [" a", " bbb"]), document("two", [" cc"])]
    assert [[-2.0, -4.0], [-3.0]] == [found.logprobs for found in EngineModel(engine).loglikelihood(docs)]
    assert [("one", " a"), ("one", " bbb"), ("two", " cc")] == engine.pairs


def test_lengths_and_stops() -> None:
    """A document's length and stop strings hold; where it has none, those of `sampling`."""
    engine = FunctionEngine(answer=lambda prompt: says("text"))
    docs = [
        document("one", [], generation_size=5, stop_sequences=["\n"]),
        document("two", [], generation_size=-1),
    ]
    EngineModel(engine, sampling=SamplingParameters(max_tokens=7, stop=("###",))).greedy_until(docs)
    assert [(5, ("\n", "###")), (7, ("###",))] == [
        (sampling.max_tokens, sampling.stop) for sampling in engine.samplings
    ]


def test_several_samples() -> None:
    """Samples are draws; greedy decoding would make them alike, and is refused as lighteval refuses it."""
    engine = FunctionEngine(answer=lambda prompt: says(str(prompt.draw)))
    docs = [document("one", [], num_samples=3)]
    with pytest.raises(UsageError, match="sampling with a temperature"):
        EngineModel(engine).greedy_until(docs)
    (found,) = EngineModel(engine, sampling=SamplingParameters(max_tokens=7, temperature=1.0)).greedy_until(
        docs
    )
    assert ["0", "1", "2"] == found.text


def test_rolling() -> None:
    """A whole text is scored after nothing."""
    engine = FunctionEngine()
    assert [[-3.0]] == [
        found.logprobs for found in EngineModel(engine).loglikelihood_rolling([document("one", [])])
    ]
    assert [("", "one")] == engine.pairs


def test_rolling_beyond_the_window(tmp_path: Path) -> None:
    """A text that does not fit is refused, and never given the number of a part of it."""
    model = EngineModel(local_engine(tiny_llama(tmp_path / "model", max_length=32)), chat_template=False)
    with pytest.raises(EngineError, match="window"):
        model.loglikelihood_rolling([document("a saw, a hammer, " * 20, [])])


def test_a_missing_answer_is_an_error() -> None:
    """lighteval would score an empty text; a refusal stops it instead."""
    engine = FunctionEngine(answer=lambda prompt: Response(text="", stop_reason="refused", reason="policy"))
    with pytest.raises(EngineError, match="one is missing: refused: policy"):
        EngineModel(engine).greedy_until([document("one", [])])


def document(query: str, choices: list[str], **fields: Any) -> Doc:
    """A document as lighteval hands it over."""
    return Doc(query=query, choices=choices, gold_index=0, task_name="a task", **fields)


def local_engine(path: Path) -> Engine:
    """Ours."""
    source = Local(path=str(path), dtype="float32")
    return open_local(Model(name="tiny", source=source), source, device="cpu")


def piped(model: Any, task: str, folder: Path) -> dict[str, Found]:
    """What lighteval's pipeline found about each document, by its query."""
    pipeline = Pipeline(
        tasks=task,
        pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.NONE),
        evaluation_tracker=EvaluationTracker(output_dir=str(folder / "results")),
        model=model,
    )
    pipeline.evaluate()
    (details,) = pipeline.get_details().values()
    return {
        detail.doc.query: {
            "scores": {name: float(value) for name, value in detail.metric.items()},
            "logprobs": list(detail.model_response.logprobs),
            "texts": list(detail.model_response.text),
        }
        for detail in details
    }


def approximately(found: Found) -> Found:
    """The same, with room for rounding in the numbers."""
    return {
        "scores": pytest.approx(found["scores"], abs=1e-5),
        "logprobs": pytest.approx(found["logprobs"], abs=1e-4),
        "texts": found["texts"],
    }
