"""Our engine under lm-eval's tasks gives what lm-eval's own `hf` backend gives on the same model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nltk
import pytest
from datasets import Dataset
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from harness.adaptors.engine_requests import TaskRows
from harness.adaptors.lm_eval.definitions import TASKS
from harness.adaptors.lm_eval.tasks import ask, load_task
from harness.engine.local.engine import open_local
from harness.files import json_lines
from harness.records.answers import LogLikelihood, Response
from harness.records.models import Local, Model
from suites.general import MEASURED_BY, General
from suites.settings import GeneralSettings, SuiteContext, SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.suites.general_rows import GENERAL
from tests.suites.rows import PROMPTS, QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine
from tests.tiny_models import tiny_gpt2, tiny_llama, tiny_qwen2

FOLDERS = ("truthfulqa", "ifeval", "hellaswag", "arc", "piqa", "winogrande", "lambada")
GENERATION = {"until": [], "do_sample": False, "max_gen_toks": 24}
MODELS = {
    "bos and template": (tiny_llama, {"bos": True, "chat_template": True}),
    "bos, no template": (tiny_llama, {"bos": True, "chat_template": False}),
    "template, no bos": (tiny_qwen2, {"bos": False, "chat_template": True}),
    "neither": (tiny_gpt2, {"bos": False, "chat_template": False}),
}


@dataclass(frozen=True)
class Outcome:
    """What one side found: per task and document the raw answers, and per task and metric the mean."""

    answers: Mapping[str, Sequence[Sequence[Any]]]
    means: Mapping[tuple[str, str], float]


@pytest.mark.parametrize("kind", MODELS)
def test_own_rows(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log-likelihoods within 1e-4, equal scores and identical texts, with and without template and BOS."""
    (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)  # so that nothing is downloaded
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])
    agree(kind, tmp_path, QUESTIONS, PROMPTS)


@pytest.mark.official
@pytest.mark.parametrize("kind", MODELS)
def test_official_rows(kind: str, tmp_path: Path, official_data: Path) -> None:
    """The same on the official data's first rows."""
    questions = [row for _, row in json_lines(official_data / "truthfulqa" / "multiple_choice.jsonl")][:15]
    prompts = [row for _, row in json_lines(official_data / "ifeval" / "input_data.jsonl")][:6]
    agree(kind, tmp_path, questions, prompts)


def test_general_ability(tmp_path: Path) -> None:
    """Each task's number is that of lm-eval with its own model class."""
    path = tiny_llama(tmp_path / "model", bos=True, chat_template=False, max_length=256)
    theirs = lm_evals(path, GENERAL, chat_template=False)
    source = Local(path=str(path), dtype="float32")
    files = {task: write_rows(tmp_path / f"{task}.jsonl", rows) for task, rows in GENERAL.items()}
    suite = General(GeneralSettings(data=files), SuiteContext())
    values: dict[str, list[float]] = {}
    for row in suite.rows(open_local(Model(name="tiny", source=source), source, device="cpu")):
        (score,) = row.scores
        assert score.value is not None
        values.setdefault(score.metric, []).append(score.value)
    ours = {(task, MEASURED_BY[task]): sum(found) / len(found) for task, found in values.items()}
    assert ours == {key: pytest.approx(theirs.means[key]) for key in ours}
    assert set(MEASURED_BY) == set(values)


@pytest.mark.official
def test_truthfulqa_on_official_rows(tmp_path: Path, official_data: Path) -> None:
    """The suite's mc1 and mc2 are those of lm-eval, with its own model class and with made-up likelihoods.

    The latter are alike for all answers, so that it shows which are counted as true; rows 26 and 209 have a
    true answer after a false one.
    """
    everything = [row for _, row in json_lines(official_data / "truthfulqa" / "multiple_choice.jsonl")]
    rows = [*everything[:6], everything[25], everything[208]]
    path = tiny_llama(tmp_path / "model", bos=True, chat_template=False, max_length=2048)
    theirs = lm_evals(path, {"truthfulqa_mc1": rows, "truthfulqa_mc2": rows}, chat_template=False)
    source = Local(path=str(path), dtype="float32")
    engine = open_local(Model(name="tiny", source=source), source, device="cpu")
    suite = TruthfulQA(SuiteSettings(data=write_rows(tmp_path / "rows.jsonl", rows)), SuiteContext())
    values: dict[str, list[float]] = {}
    for row in suite.rows(engine):
        for score in row.scores:
            assert score.value is not None
            values.setdefault(score.metric, []).append(score.value)
    ours = {metric: sum(scores) / len(scores) for metric, scores in values.items()}
    made_up = FunctionEngine(logprob=lambda context, answer: -float(len(answer) % 5))
    tasks = [load_task(name, TaskRows(rows)) for name in ("truthfulqa_mc1", "truthfulqa_mc2")]
    asked = {mc1.index: (mc1, mc2) for mc1, mc2 in ask(tasks, made_up, chat_template=False)}
    for row in suite.rows(made_up):
        lm_eval = [answered.values["acc"][0] for answered in asked[row.position]]
        assert pytest.approx(lm_eval) == [
            s.value for name in ("mc1", "mc2") for s in row.scores if s.metric == name
        ]
    assert theirs.means == pytest.approx(
        {("truthfulqa_mc1", "acc"): ours["mc1"], ("truthfulqa_mc2", "acc"): ours["mc2"]}, abs=1e-5
    )


def agree(
    kind: str, folder: Path, questions: Sequence[dict[str, Any]], prompts: Sequence[dict[str, Any]]
) -> None:
    """Ask both sides and compare."""
    build, options = MODELS[kind]
    path = build(folder / "model", max_length=2048, **options)
    documents = {"truthfulqa_mc1": questions, "truthfulqa_mc2": questions, "ifeval": prompts}
    theirs = lm_evals(path, documents, chat_template=options["chat_template"])
    ours = harness(path, documents, chat_template=options["chat_template"])

    for task in ("truthfulqa_mc1", "truthfulqa_mc2"):
        for their_answers, our_answers in zip(theirs.answers[task], ours.answers[task], strict=True):
            assert [pytest.approx(logprob, abs=1e-4) for logprob, _ in their_answers] == [
                logprob for logprob, _ in our_answers
            ]
            assert [greedy for _, greedy in their_answers] == [greedy for _, greedy in our_answers]
    assert theirs.answers["ifeval"] == ours.answers["ifeval"]
    assert any(text for (text,) in ours.answers["ifeval"])
    assert theirs.means == pytest.approx(ours.means, abs=1e-6)


def lm_evals(
    path: Path, documents: Mapping[str, Sequence[dict[str, Any]]], *, chat_template: bool
) -> Outcome:
    """lm-eval's evaluator with its own model class."""
    members = [
        {
            "task": task,
            "custom_dataset": lambda rows=rows, **_: dict.fromkeys(
                ("validation", "train", "test"), Dataset.from_list(rows)
            ),
            **({"generation_kwargs": GENERATION} if task == "ifeval" else {}),
        }
        for task, rows in documents.items()
    ]
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(path), "dtype": "float32", "max_length": 2048},
        tasks=[{"group": "reference", "task": members}],
        task_manager=TaskManager(include_path=[TASKS / folder for folder in FOLDERS], include_defaults=False),
        apply_chat_template=chat_template,
        batch_size=4,
        device="cpu",
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    answers = {}
    for task, samples in results["samples"].items():
        ordered = sorted(samples, key=lambda sample: sample["doc_id"])
        answers[task] = [[response for (response,) in sample["resps"]] for sample in ordered]
    means = {
        (task, name.removesuffix(",none")): value
        for task, found in results["results"].items()
        for name, value in found.items()
        if name.endswith(",none") and "stderr" not in name
    }
    return Outcome(answers, means)


def harness(path: Path, documents: Mapping[str, Sequence[dict[str, Any]]], *, chat_template: bool) -> Outcome:
    """The adaptor with the local engine."""
    source = Local(path=str(path), dtype="float32")
    engine = open_local(Model(name="tiny", source=source), source, device="cpu")
    answers, means = {}, {}
    for name, rows in documents.items():
        overrides = {"generation_kwargs": dict(GENERATION)} if name == "ifeval" else {}
        found = ask([load_task(name, TaskRows(rows), **overrides)], engine, chat_template=chat_template)
        ordered = sorted((answered for (answered,) in found), key=lambda answered: answered.index)
        answers[name] = [[plain(response) for response in answered.responses] for answered in ordered]
        for metric in ordered[0].values:
            values = [value for answered in ordered for value in answered.values[metric]]
            means[name, metric] = sum(values) / len(values)
    return Outcome(answers, means)


def plain(answer: LogLikelihood | Response) -> tuple[float, bool] | str:
    """An answer as lm-eval writes it."""
    return answer.text if isinstance(answer, Response) else (answer.logprob, answer.greedy)
