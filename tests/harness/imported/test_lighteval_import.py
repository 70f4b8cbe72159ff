"""Results of lighteval become runs: scored by our suites where that can be, and as they stand elsewhere."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from harness.files import json_lines
from harness.imported.lighteval_details import read_lighteval
from harness.imported.lighteval_files import details_of
from harness.records.answers import LogLikelihood, Response
from harness.store import Store
from suites.settings import SuiteContext, SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.harness.imported import lm_eval_files
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.lighteval_files import TIME, line, metric, written
from tests.suites.rows import PROMPTS, write_rows
from tests.working import Working


def scored(*accuracies: float) -> list[dict[str, Any]]:
    """Documents whose choices were scored."""
    return [line(place, {"acc": each}, logprobs=[-1.5, -2.0]) for place, each in enumerate(accuracies)]


def test_scores_as_they_stand(project: Working) -> None:
    """A metric of the corpus is left out by name; parts are parts, NaN no score, and less can be better."""
    metrics = [
        metric(
            ["acc", "parts"], better={"acc": True, "parts": True}, aggregation={"acc": "mean", "parts": "agg"}
        ),
        metric("bleu", aggregation="CorpusLevelTranslationMetric(bleu)"),
        metric("ppl", aggregation="CorpusLevelPerplexityMetric(perplexity)"),
        metric("loss", better=False),
    ]
    values = {"parts": [True, False], "bleu": {"golds": ["a"], "preds": ["b"]}, "ppl": 3.5, "own": 0.5}
    lines = [
        line(place, {"acc": acc, "loss": 0.25, **values}, texts=["x"])
        for place, acc in enumerate((1.0, float("nan"), 0.0, float("inf")))
    ]
    results = written(
        project.folder / "out", {"t|0": lines}, metrics=metrics, means={"acc": 0.75, "loss": 0.25}
    )
    said = imported(project, str(results))
    assert "tiny · lighteval:t|0: 4 samples of lighteval of unknown version, scores of lighteval" in said
    assert "note: t|0: bleu, ppl left out: no mean over documents" in said
    assert "note: t|0: of own the files do not say whether more is better" in said
    assert "note: t|0: acc is 0.75 in the results, and the mean of its scores 0.5" in said
    assert scores(project, "tiny", "lighteval:t|0") == {
        "acc": [1.0, None, 0.0, None],
        "loss": [0.25] * 4,
        "parts": [1.0, 0.0] * 4,
        "own": [0.5] * 4,
    }
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert {each.name for each in run.metrics if not each.higher_is_better} == {"loss"}


def test_answers(project: Working) -> None:
    """Log-likelihoods with their tokens; texts as draws, their thoughts apart; empty ones are doubted."""
    instructed = line(0, {"acc": 1.0}, logprobs=[-1.5, -2.0], instruction="Be brief.")
    lines = [
        line(0, {"acc": 1.0}, texts=["<think>Hm.</think>yes", "no"], gold_index=[0, 1]),
        line(1, {"acc": 0.0}, texts=["", "maybe"], reasonings=[None, "Hm."], gold_index=[1]),
    ]
    results = written(project.folder / "out", {"w|0": lines, "c|0": [instructed]})
    said = imported(project, str(results))
    assert "note: w|0: 1 answer to 2 documents without a text, which lighteval also writes where a" in said
    first, second = project.rows("tiny", "lighteval:w|0")
    drawn = [(each.text, each.thought) for each in first.responses if isinstance(each, Response)]
    assert drawn == [("yes", "Hm."), ("no", None)]
    assert [each.thought for each in second.responses if isinstance(each, Response)] == [None, "Hm."]
    assert (first.sample.choices, first.sample.target) == ((), "a; b")
    assert second.sample.target == "b"
    [row] = project.rows("tiny", "lighteval:c|0")
    assert (row.sample.choices, row.sample.prompt) == (("a", "b"), "Be brief.\n\nWhat is 0?")
    answers = [each for each in row.responses if isinstance(each, LogLikelihood)]
    assert [(each.logprob, each.greedy, each.tokens, each.truncated) for each in answers] == [
        (-1.5, True, 2, 0),
        (-2.0, False, 2, 0),
    ]


def test_asked_in_two_ways(project: Working) -> None:
    """A document has two lines then, which are one row; its number in another split is another document."""
    lines = [
        line(0, {"em": 1.0, "acc": None}, texts=["x"]),
        line(0, {"em": 0.0, "acc": None}, texts=["y"], query="Of another split"),
        line(0, {"em": None, "acc": 0.0}, logprobs=[-1.0, -2.0]),
        line(0, {"em": None, "acc": 1.0}, logprobs=[-1.0, -2.0], query="Of another split"),
    ]
    written(project.folder / "out", {"t|0": lines}, metrics=[metric("em"), metric("acc")])
    assert "lighteval:t|0: 2 samples" in imported(project, "out")
    assert scores(project, "tiny", "lighteval:t|0") == {"em": [1.0, 0.0], "acc": [0.0, 1.0]}
    assert [len(row.responses) for row in project.rows("tiny", "lighteval:t|0")] == [3, 3]


def test_equal_documents_are_numbered(project: Working) -> None:
    """Neither takes the other's place."""
    written(project.folder / "out", {"t|0": [line(0, {"acc": 1.0}), line(0, {"acc": 0.0})]})
    imported(project, "out")
    assert scores(project, "tiny", "lighteval:t|0") == {"acc": [1.0, 0.0]}


def test_conditions(project: Working) -> None:
    """Other examples are another task, other sampling is refused, system prompts are noted; keys stay out."""
    lines = [line(place, {"acc": 1.0}, texts=["x"]) for place in range(3)]
    drawn = {"generation_parameters": {"temperature": 0.7, "top_p": None}}
    others: dict[str, dict[str, Any]] = {
        "left": {},
        "told": {"system_prompt": "Be brief.", "api_key": "sk-secret"},
        "drawn": drawn,
        "templated": {"override_chat_template": None},
    }
    for name, said in others.items():
        written(project.folder / name, {"t|0": lines}, **said)
        text = imported(project, name, "--as", name)
        assert ("do not say whether a chat template was applied" in text) == (name == "templated")
    expected = {
        "told": "system prompt: none for left but Be brief. for told",
        "drawn": "setting generation.temperature: null for left but 0.7 for drawn",
        "templated": "chat template applied: false for left but not known for templated",
    }
    for name, words in expected.items():
        _, out, _ = project.run("report", "left", name)
        assert words in " ".join(out.split())
    assert b"sk-secret" not in (project.folder / "harness.db").read_bytes()
    written(project.folder / "shots", {"t|5": lines})
    imported(project, "shots", "--as", "shots")
    _, out, _ = project.run("report", "left", "shots")
    assert "shots has no run of this suite" in " ".join(out.split())


@pytest.mark.parametrize("layout", ["folder", "details", "hub", "beside", "named"])
def test_what_belongs_together(project: Working, layout: str) -> None:
    """Details find their results, and results their details: where lighteval puts them, or on its hub."""
    results = written(project.folder / "out", {"t|0": scored(1.0)})
    details = project.folder / "out/details/models/tiny" / TIME / f"details_t|0_{TIME}.parquet"
    match layout:
        case "folder":
            paths = ["out"]
        case "details":
            paths = [str(details)]
        case "hub":
            shutil.copytree(details.parent, project.folder / "hub" / TIME)
            paths = [str(shutil.copy(results, project.folder / "hub"))]
        case "beside":
            shutil.copytree(details.parent, project.folder / "beside")
            paths = [str(shutil.copy(results, project.folder / "beside"))]
        case "named":
            (project.folder / "a").mkdir()
            (project.folder / "b").mkdir()
            paths = [str(shutil.copy(results, "a")), str(shutil.copy(details, "b"))]
    assert "tiny · lighteval:t|0: 1 sample" in imported(project, *paths)


def test_beside_those_of_lm_eval(project: Working) -> None:
    """Whose results of one name are whose shows in them; of several runs of a task the latest is taken."""
    written(project.folder / "out", {"t|0": scored(1.0)}, time="2026-11-30T10-00-00.0")
    written(project.folder / "out", {"t|0": scored(0.0)})
    sample = lm_eval_files.sample({"question": "Q"}, {"acc": 1.0}, choices=["a"], answers=[-1])
    lm_eval_files.written(project.folder / "out", {"arc": [sample]})
    said = imported(project, "out")
    assert "tiny · lm_eval:arc: 1 sample" in said
    assert "tiny · lighteval:t|0: 1 sample" in said
    assert scores(project, "tiny", "lighteval:t|0") == {"acc": [1.0]}
    assert "tiny · lighteval:t|0" in imported(project, "out", "-s", "t|0")
    assert "tiny · lighteval:t|0" in imported(project, "out", "--format", "lighteval")


def ifeval() -> list[dict[str, Any]]:
    """Documents of lighteval's ifeval, whose arguments Parquet makes equal in all."""
    names = {name for row in PROMPTS for kwargs in row["kwargs"] for name in kwargs}
    return [
        line(
            place,
            {"prompt_level_strict_acc": 0},
            query=row["prompt"],
            texts=["No comma in this"],
            choices=[""],
            specific={
                "instructions_id_list": row["instruction_id_list"],
                "kwargs": [{name: kwargs.get(name) for name in names} for kwargs in row["kwargs"]],
            },
        )
        for place, row in enumerate(PROMPTS)
    ]


def test_instructions_are_scored_by_our_suite(project: Working) -> None:
    """With the length and the sampling of asking; with examples before them, scores stay as they are."""
    written(project.folder / "out", {"ifeval|0": ifeval(), "ifeval|2": ifeval()})
    said = imported(project, "out", "-s", "ifeval")
    assert "tiny · ifeval: 3 samples of lighteval of unknown version, scored by our suite ifeval" in said
    assert scores(project, "tiny", "ifeval")["prompt_strict"] == [1.0, 0.0, 0.0]
    with Store.open("sqlite:///harness.db") as store:
        [run] = [run for run in store.runs.find() if run.suite == "ifeval"]
    assert run.settings["chat_template"] is False
    assert run.settings["sampling"]["max_tokens"] == 16
    written(project.folder / "unsaid", {"ifeval|0": ifeval()}, override_chat_template=None)
    imported(project, "unsaid", "--as", "unsaid")
    with Store.open("sqlite:///harness.db") as store:
        unsaid = store.runs.latest("unsaid", "ifeval")
    assert unsaid is not None
    assert unsaid.settings["chat_template"] == "not known"
    said = imported(project, "out", "--as", "both")
    assert "both · lighteval:ifeval|2: 3 samples" in said


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "columns",
            ".parquet: has no column model_response: it is no file of details as lighteval",
        ),
        ("types", ".parquet, row 1: is not what lighteval writes: doc.id: "),
        ("mixed", ".parquet, row 2: is of the task 'u|0', and the rows before it of 't|0'"),
        ("cut", ".parquet: is not Parquet that can be read: "),
        ("empty", ".parquet: holds no documents"),
        ("alone", f"results_{TIME}.json is not where lighteval puts it, which says how the model was asked"),
        ("undetailed", "lighteval's results without details: run it with --save-details"),
        ("broken", f"results_{TIME}.json, row 1: is not JSON"),
    ],
)
def test_damaged_files_import_nothing(project: Working, damage: str, message: str) -> None:
    """With the file and what is wrong with it."""
    results = written(project.folder / "out", {"t|0": scored(1.0)})
    [details] = project.folder.rglob("*.parquet")
    rows = scored(1.0)
    match damage:
        case "columns":
            parquet.write_table(pa.table({"doc": [{"id": "0"}], "metric": [{"acc": 1.0}]}), details)
        case "types":
            rows[0]["doc"]["id"] = 5
            parquet.write_table(pa.Table.from_pylist(rows), details)
        case "mixed":
            rows = scored(1.0, 0.0)
            for row, name in zip(rows, ("t|0", "u|0"), strict=True):
                row["doc"]["task_name"] = name
            parquet.write_table(pa.Table.from_pylist(rows), details)
        case "cut":
            details.write_bytes(details.read_bytes()[:-50])
        case "empty":
            parquet.write_table(pa.Table.from_pylist(rows).slice(0, 0), details)
        case "alone":
            results.unlink()
        case "undetailed":
            details.unlink()
        case "broken":
            results.write_text(json.dumps(json.loads(results.read_text()))[:-40])
    assert message in project.complaint(2, "import", "out")
    assert not (project.folder / "harness.db").exists() or not project.runs()


PREAMBLE = "Q: Where were the 1992 Olympics held?\nA: The 1992 Olympics were held in Barcelona, Spain.\n\n"


@pytest.mark.official
def test_official_questions_are_those_of_our_own_runs(tmp_path: Path, official_data: Path) -> None:
    """Documents of `truthfulqa:mc`, as lighteval makes them, give the official rows again."""
    lines = []
    for number, (_, row) in enumerate(json_lines(official_data / "truthfulqa" / "multiple_choice.jsonl")):
        targets = [row["mc1_targets"], row["mc2_targets"]]
        labels = [label for each in targets for label in each["labels"]]
        choices = [f" {choice}" for each in targets for choice in each["choices"]]
        lines.append(
            line(
                number,
                {"truthfulqa_mc1": 0},
                query=f"{PREAMBLE}Q: {row['question']}\nA:",
                choices=choices,
                logprobs=[-1.0] * len(choices),
                gold_index=[place for place, label in enumerate(labels) if label],
                specific={"len_mc1": len(row["mc1_targets"]["choices"])},
            )
        )
    results = written(tmp_path, {"truthfulqa:mc|0": lines})
    [task] = read_lighteval([results, *details_of(results)], lambda name: True)
    write_rows(tmp_path / "rows.jsonl", task.documents())
    own = TruthfulQA(SuiteSettings(), SuiteContext(data_root=official_data))
    again = TruthfulQA(SuiteSettings(data=tmp_path / "rows.jsonl"), SuiteContext())
    assert own.data_hash == again.data_hash
    assert {each.id for each in own.known_samples} == {each.id for each in again.known_samples}
