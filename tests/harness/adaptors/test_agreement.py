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

from harness.adaptors.lm_eval.definitions import TASKS
from harness.adaptors.lm_eval.tasks import ask, load_task
from harness.engine.local import open_local
from harness.records import Likelihood, Local, Model, Response
from suites.official import read_jsonl
from tests.suites.rows import PROMPTS, QUESTIONS
from tests.tiny_models import tiny_gpt2, tiny_llama, tiny_qwen2

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
    questions = list(read_jsonl(official_data / "truthfulqa" / "multiple_choice.jsonl"))[:15]
    prompts = list(read_jsonl(official_data / "ifeval" / "input_data.jsonl"))[:6]
    agree(kind, tmp_path, questions, prompts)


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
                ("validation", "train"), Dataset.from_list(rows)
            ),
            **({"generation_kwargs": GENERATION} if task == "ifeval" else {}),
        }
        for task, rows in documents.items()
    ]
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(path), "dtype": "float32", "max_length": 2048},
        tasks=[{"group": "reference", "task": members}],
        task_manager=TaskManager(
            include_path=[TASKS / "truthfulqa", TASKS / "ifeval"], include_defaults=False
        ),
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
        found = ask([load_task(name, rows, **overrides)], engine, chat_template=chat_template)
        ordered = sorted((answered for (answered,) in found), key=lambda answered: answered.index)
        answers[name] = [[plain(response) for response in answered.responses] for answered in ordered]
        for metric in ordered[0].values:
            values = [value for answered in ordered for value in answered.values[metric]]
            means[name, metric] = sum(values) / len(values)
    return Outcome(answers, means)


def plain(answer: Likelihood | Response) -> tuple[float, bool] | str:
    """An answer as lm-eval writes it."""
    return answer.text if isinstance(answer, Response) else (answer.logprob, answer.greedy)
