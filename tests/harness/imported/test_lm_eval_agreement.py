"""Two real runs of lm-eval, imported: the verdict of our own runs of the same models."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import nltk
import pytest
from datasets import Dataset
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from harness.adaptors.lm_eval.definitions import TASKS
from harness.store import Store
from tests.harness.adaptors.test_agreement import FOLDERS
from tests.suites.rows import PROMPTS, QUESTIONS, write_rows
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.one]
path = "./one"
dtype = "float32"

[models.two]
path = "./two"
dtype = "float32"

[suites.truthfulqa]
data = "questions.jsonl"
chat_template = {template}

[suites.ifeval]
data = "prompts.jsonl"
max_tokens = 24
chat_template = {template}

[compare]
suites = ["truthfulqa", "ifeval"]
"""


def lm_eval(path: Path, output: Path, *, template: bool) -> None:
    """What `lm_eval --log_samples --output_path` does."""
    rows: Mapping[str, Any] = {"truthfulqa_mc1": QUESTIONS, "truthfulqa_mc2": QUESTIONS, "ifeval": PROMPTS}
    members = [
        {
            "task": task,
            "custom_dataset": lambda these=these, **_: dict.fromkeys(
                ("validation", "train", "test"), Dataset.from_list(these)
            ),
            **(
                {"generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 24}}
                if task == "ifeval"
                else {}
            ),
        }
        for task, these in rows.items()
    ]
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(path), "dtype": "float32", "max_length": 2048},
        tasks=[{"group": "reference", "task": members}],
        task_manager=TaskManager(include_path=[TASKS / each for each in FOLDERS], include_defaults=False),
        apply_chat_template=template,
        batch_size=4,
        device="cpu",
        bootstrap_iters=0,
        verbosity="ERROR",
        evaluation_tracker=tracker,
        log_samples=True,
    )
    samples = results.pop("samples")
    for config in results["configs"].values():
        config.pop("custom_dataset", None)
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, found in samples.items():
        tracker.save_results_samples(task_name=task, samples=found)


@pytest.mark.parametrize("template", [True, False])
def test_the_verdict_is_that_of_our_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], template: bool
) -> None:
    """Every score and difference, with and without a chat template; imported and own runs compare as well."""
    (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)  # so that nothing is downloaded
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one", "two")):
        tiny_llama(tmp_path / name, seed=seed, bos=True, chat_template=template, max_length=2048)
        lm_eval(tmp_path / name, tmp_path / "out", template=template)
    write_rows(tmp_path / "questions.jsonl", QUESTIONS)
    write_rows(tmp_path / "prompts.jsonl", PROMPTS)
    (tmp_path / "harness.toml").write_text(PROJECT.format(template=json.dumps(template)))
    working = Working(tmp_path, capsys)
    own = _verdict(working, "compare", "one", "two")
    for name in ("one", "two"):
        [folder] = (tmp_path / "out").glob(f"*__{name}")
        code, _, err = working.run("import", str(folder), "--as", f"their-{name}")
        assert code == 0, err
    theirs = _verdict(working, "report", "their-one", "their-two")
    assert own == theirs
    _, out, _ = working.run("report", "one", "their-one")
    assert "NOT COMPARABLE" not in out
    with Store.open("sqlite:///harness.db") as store:
        assert all(run.finished and datetime.fromisoformat(run.finished) for run in store.runs.find())


def _verdict(working: Working, *arguments: str) -> list[Any]:
    """Every comparison's metric and numbers."""
    code, out, err = working.run(*arguments, "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    found = [
        (each["suite"], each["metric"]["name"], each["decision"], pytest.approx(each["difference"], abs=1e-5))
        for each in verdict["comparisons"]
    ]
    assert len(found) == 6
    return found
