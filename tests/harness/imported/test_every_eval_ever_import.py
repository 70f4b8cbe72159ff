"""Files of Every Eval Ever become runs, where there are instances."""

import json
from typing import Any

import pytest

from harness.records.answers import Response
from harness.store import Store
from tests.harness.imported import promptfoo_files as promptfoo
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.every_eval_ever_files import NAME, instance, result, written
from tests.working import Working

SUITE = "every_eval_ever:sums"
TWO = [instance("0", 1.0), instance("1", 0.0, prompt="1+2?")]


def test_rows_of_one_sample_are_its_metrics(project: Working) -> None:
    """Each under the result that it names; answers, thoughts and lengths are there."""
    more = {
        "output": {"raw": ["2"], "reasoning_trace": ["hm"]},
        "token_usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    }
    rows = [
        instance("0", 1.0, **more),
        instance("1", 0.0),
        instance("0", 0.25, metric="ter"),
        instance("1", 0.75, metric="ter"),
    ]
    lower = result("ter", 0.5, lower_is_better=True)
    written(project.folder / "data", [result("acc", 0.5), lower, result("bleu", 31.2)], rows)
    said = imported(project, "data")
    assert "dpo · every_eval_ever:sums: 2 samples of lm_eval 0.4.13" in said
    assert "bleu left out: nothing has a score of it" in said
    assert " is 0.5 in the aggregate" not in said
    assert scores(project, "dpo", SUITE) == {"acc": [1.0, 0.0], "ter": [0.25, 0.75]}
    [response] = project.rows("dpo", SUITE)[0].responses
    assert isinstance(response, Response)
    assert (response.text, response.thought, response.prompt_tokens) == ("2", "hm", 3)
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert [(m.name, m.kind, m.higher_is_better) for m in run.metrics] == [
        ("acc", "binary", True),
        ("ter", "number", False),
    ]
    assert "it was there already" in imported(project, f"data/{NAME}_samples.jsonl")


def test_zeros_are_doubted(project: Working) -> None:
    """A row that names no result is a converter's failure; other zeros are counted, and means compared."""
    rows = [instance("0", 1.0), instance("1", 0.0), instance("2", 0.0, metric=None)]
    written(project.folder / "data", [result("acc", 0.9)], rows)
    said = imported(project, "data")
    assert scores(project, "dpo", SUITE) == {"acc": [1.0, 0.0, None]}
    assert "1 rows name no result: unscored, whatever number is in them" in said
    assert "1 of 2 acc are exactly 0, which is also written where nothing could be scored" in said
    assert "acc is 0.9 in the aggregate, and the mean of its scores 0.5" in said
    assert "whether a chat template was applied is not in the files" in said


def test_what_is_unscored(project: Working) -> None:
    """A sample that ended in an error, and an unknown level."""
    levels = result("acc", 1.0, has_unknown_level=True)
    rows = [instance("0", 0.0, error="timed\nout"), instance("1", -1), instance("2", None), instance("3", 1)]
    written(project.folder / "data", [levels], rows)
    imported(project, "data")
    assert scores(project, "dpo", SUITE) == {"acc": [None, None, None, 1.0]}
    reasons = [row.scores[0].reason for row in project.rows("dpo", SUITE)]
    assert reasons == ["timed out", "the level is unknown", "the row has none", None]


def test_samples_pair_by_their_document(project: Working) -> None:
    """By lm-eval's hash where it is there, with any template and order; prompts that differ are noted."""
    for model, order in (("a", "01"), ("b", "10")):
        rows = [
            instance(
                f"{model}{place}", float(each), prompt=f"{model} {each}", metadata={"doc_hash": each * 64}
            )
            for place, each in enumerate(order)
        ]
        written(project.folder / model, [result("acc", 0.5)], rows, model=f"lab/{model}")
        imported(project, model)
    _, out, _ = project.run("report", "a", "b", "--json")
    [verdict] = json.loads(out)["verdicts"]
    [comparison] = verdict["comparisons"]
    assert (comparison["difference"], comparison["n"]) == (0.0, 2)
    assert any("prompts, as they were sent: " in note for note in comparison["notes"])


def test_other_conditions_and_data_are_not_compared(project: Working) -> None:
    """Its generation's arguments, and what would be right, are conditions."""
    for model, tokens, right in (("a", 48, "2"), ("b", 9, "2"), ("c", 48, "3")):
        row = instance("0", 1.0, input={"raw": "1+1?", "reference": [right]})
        config = {"generation_args": {"max_tokens": tokens, "execution_command": f"run {model}"}}
        of = {**result("acc", 1.0), "generation_config": config}
        written(project.folder / model, [of], [row], model=f"lab/{model}")
        imported(project, model)
    _, out, _ = project.run("report", "a", "b", "c", "--json")
    reasons = {verdict["candidate"]: verdict["reason"] for verdict in json.loads(out)["verdicts"]}
    assert "setting generation.max_tokens: 48 for a but 9 for b" in reasons["b"]
    assert "execution_command" not in reasons["b"]
    assert "data: sha256:" in reasons["c"]


def test_evaluations_of_one_file_are_tasks(project: Working) -> None:
    """Under their names, of which one can be chosen; equal documents are two samples."""
    same = {"metadata": {"doc_hash": "a" * 64}}
    rows = [
        instance("0", 1.0),
        instance("0", 0.0, task="words", **same),
        instance("1", 1.0, task="words", **same),
    ]
    results = [result("acc", 1.0), result("acc", 0.5, task="words")]
    written(project.folder / "data", results, rows)
    said = imported(project, "data", "-s", "words")
    assert "sums" not in said
    assert [row.sample.id for row in project.rows("dpo", "every_eval_ever:words")] == [
        "aaaaaaaaaaaaaaaa-0",
        "aaaaaaaaaaaaaaaa-1",
    ]
    assert "every_eval_ever:sums: 1 sample" in imported(project, "data")


def test_epochs_are_draws(project: Working) -> None:
    """Several scores of one sample that say which draw they are of, in their order."""
    rows = [instance("0", score, metadata={"epoch": str(epoch)}) for epoch, score in ((2, 0.0), (1, 1.0))]
    written(project.folder / "data", [result("acc", 0.5)], rows)
    imported(project, "data")
    assert scores(project, "dpo", SUITE) == {"acc": [1.0, 0.0]}
    assert len(project.rows("dpo", SUITE)) == 1


def test_the_headline_lies_within_0_and_1(project: Working) -> None:
    """Bounds of what is unscored are 0 and 1, so that a metric of another scale is none."""
    rows = [instance("0", 31.5, metric="bleu"), instance("0", 0.5, metric="f1")]
    written(project.folder / "data", [result("bleu", 31.5), result("f1", 0.5)], rows)
    imported(project, "data")
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert {metric.name: metric.headline for metric in run.metrics} == {"bleu": False, "f1": True}


def test_metrics_of_one_name(project: Working) -> None:
    """Are called as their results are, without the evaluation's own id."""
    results = [{**result("pass", 1.0), "evaluation_result_id": f"sums/lab/dpo/1#pass_at_{k}"} for k in (1, 2)]
    rows = [instance("0", 1.0, metric=f"sums/lab/dpo/1#pass_at_{k}") for k in (1, 2)]
    written(project.folder / "data", results, rows)
    imported(project, "data")
    assert [*scores(project, "dpo", SUITE)] == ["pass_at_1", "pass_at_2"]


def test_a_conversation(project: Working) -> None:
    """Its last answer is the answer; of two files of one model and evaluation the later is taken."""
    turns = [{"turn_idx": 0, "role": "user", "content": "1+1?"}]
    turns += [{"turn_idx": place, "role": "assistant", "content": each} for place, each in enumerate("12")]
    row = instance("0", 1.0, output=None, messages=turns, interaction_type="multi_turn")
    written(project.folder / "data/b", [result("acc", 1.0)], [row], evaluation_timestamp="1795961447")
    written(project.folder / "data/a", [result("acc", 0.0)], [instance("0", 0.0)])
    imported(project, "data")
    [response] = project.rows("dpo", SUITE)[0].responses
    assert isinstance(response, Response)
    assert response.text == "2"


def test_the_datastore_s_own_place_of_instances(project: Working) -> None:
    """An aggregate may lie apart, under the folder that the path begins in."""
    written(project.folder, [result("acc", 0.5)], TWO)
    place = project.folder / "data/sums/lab/dpo" / f"{NAME}_samples.jsonl"
    place.parent.mkdir(parents=True)
    (project.folder / f"{NAME}_samples.jsonl").rename(place)
    assert "2 samples" in imported(project, f"{NAME}.json")


def test_an_aggregate_alone_is_refused(project: Working) -> None:
    """There is nothing to pair; beside others it is left out, with the reason."""
    written(project.folder / "data/a", [result("acc", 0.5, task="alone")], None)
    reason = f"alone: {NAME}.json is an aggregate without instances, so there is nothing to pair"
    assert reason in project.complaint(2, "import", "data")
    written(project.folder / "data/b", [result("acc", 0.5)], TWO)
    said = imported(project, "data")
    assert reason in said
    assert "every_eval_ever:sums: 2 samples" in said


def test_our_own_export_comes_back(project: Working) -> None:
    """With the same scores of every sample and part, and its clusters; what is unscored has no row there."""
    results = [
        promptfoo.result(score, country=country, test=2 * place + draw, error=error)
        for place, (country, error) in enumerate((("France", None), ("Italy", None), ("Spain", "down")))
        for draw, score in enumerate((1, 0.5))
    ]
    promptfoo.written(project.folder / "out.json", results, providers=["a"])
    imported(project, "out.json")
    code, _, err = project.run("export", "a", "--format", "every-eval-ever", "-o", "out")
    assert code == 0, err
    said = imported(project, "out", "--as", "back")
    assert "exactly 0" not in said
    there, back = (
        {
            (row.sample.id, row.sample.cluster): [(score.metric, score.value) for score in row.scores]
            for row in project.rows(model, suite)
            if row.scores[0].value is not None
        }
        for model, suite in (("a", "promptfoo:capitals"), ("back", "every_eval_ever:promptfoo:capitals"))
    )
    assert there == back
    assert [len(scores) for scores in back.values()] == [4, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "0.2.2"}, "is version 0.2.2 of the schema, and 0.3.0 is read: convert it anew"),
        ({"evaluation_results": []}, "evaluation_results: a list of results with names was expected"),
        (
            {"evaluation_results": [result("acc", 0.5), result("acc", 0.6)]},
            "evaluation_results: several of 'sums' have the id 'acc', so that rows cannot say which",
        ),
        ({"model_info": {}}, "model_info.id: a text was expected"),
        ({"detailed": {"checksum": "0" * 64}}, "_samples.jsonl: has another SHA-256 than "),
        ({"detailed": {"total_rows": 3}}, "holds 2 of the 3 rows that the aggregate speaks of"),
        (
            {"detailed": {"file_path": "data/x/y/z_samples.jsonl"}},
            "its instances, z_samples.jsonl, are not beside",
        ),
        (
            {"evaluation_id": "other"},
            "row 1: is of the evaluation 'sums/lab/dpo/1', and the aggregate of 'other'",
        ),
    ],
)
def test_damaged_aggregates_import_nothing(project: Working, change: dict[str, Any], message: str) -> None:
    """With the file and what is wrong."""
    written(project.folder / "data", [result("acc", 0.5)], TWO, **change)
    assert message in project.complaint(2, "import", "data")
    assert not (project.folder / "harness.db").exists() or not project.runs()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (instance("1", "0.5"), "row 2: evaluation.score: '0.5' is no number"),
        (instance("1", 1.0, task="words"), "row 2: is of 'words', of which the aggregate has no result"),
        (instance("1", 1.0, metric="f1"), "row 2: is of the result 'f1', which the aggregate lacks"),
        (instance("1", 1.0, schema_version="0.2.2"), "row 2: is version 0.2.2 of the schema"),
        (instance("1", 1.0, input="1+1?"), "row 2: `input` and `evaluation`: objects were expected"),
        (
            {"sample_id": "1"},
            "row 2: lacks evaluation_id, evaluation_name, input, evaluation, which the schema",
        ),
        (instance("0", 0.0), "row 2: is a score of acc for the sample '0', as row 1 is, and the two differ"),
    ],
)
def test_damaged_rows_import_nothing(project: Working, row: dict[str, Any], message: str) -> None:
    """With the line and what is wrong."""
    written(project.folder / "data", [result("acc", 0.5)], [instance("0", 1.0), row])
    assert message in project.complaint(2, "import", "data")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_half_a_file(project: Working) -> None:
    """Of the aggregate, and of instances that nothing hashes; instances alone lack their aggregate."""
    folder = written(project.folder / "data", [result("acc", 0.5)], TWO, detailed={"checksum": None})
    aggregate, instances = folder / f"{NAME}.json", folder / f"{NAME}_samples.jsonl"
    instances.write_text(instances.read_text()[:-20])
    assert f"{NAME}_samples.jsonl, row 2: is not JSON" in project.complaint(2, "import", "data")
    aggregate.write_text(aggregate.read_text()[:-20])
    assert f"{NAME}.json, row 1: is not JSON" in project.complaint(2, "import", "data")
    aggregate.unlink()
    assert "is no aggregate: instances, UUID_samples.jsonl, stand beside" in project.complaint(
        2, "import", "data"
    )
