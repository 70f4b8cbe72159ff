"""Runs of HELM become runs of ours."""

import json
from typing import Any

import pytest

from harness.records.answers import LogLikelihood, Response
from harness.store import Store
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.helm_files import NAMES, perturbed, stat, state, stats, written
from tests.working import Working

SUITE = "helm:demo:method=x"


def test_instances_are_samples_and_trials_draws(project: Working) -> None:
    """What HELM counts beside scores is left out, and so is what is no mean over instances."""
    states = [state(each, f" {trial}", trial=trial) for trial in (0, 1) for each in ("id0", "id1")]
    counted = [
        stats(each, {"num_references": 2, "f1": 0.5, "exact_match": score}, trial=trial)
        for each, trial, score in (("id0", 0, 1.0), ("id0", 1, 0.0), ("id1", 0, 0.0), ("id1", 1, 0.0))
    ]
    means = [stat("exact_match", 0.25), stat("f1", 0.6), stat("perplexity", 3.0), stat("num_references", 2)]
    written(project.folder / "run", states, counted, means=means, metrics=["exact_match", "f1"])
    said = imported(project, "run")
    assert "dpo · helm:demo:method=x: 2 samples of HELM" in said
    assert "perplexity left out: no mean over instances" in said
    assert "f1 is 0.6 in stats.json, and the mean of its scores 0.5" in said
    assert "exact_match is" not in said
    assert scores(project, "dpo", SUITE) == {"exact_match": [1.0, 0.0, 0.0, 0.0], "f1": [0.5] * 4}
    row = project.rows("dpo", SUITE)[0]
    assert (row.sample.id, row.sample.prompt, row.sample.target) == ("id0", "1+1?", "2")
    assert [each.text for each in row.responses if isinstance(each, Response)] == [" 0", " 1"]
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert [metric.name for metric in run.metrics if metric.headline] == ["exact_match"]


def test_perturbations_and_splits_are_metrics_by_themselves(project: Working) -> None:
    """As in HELM's own means; one instance is one cluster, however it is perturbed."""
    typos, more = perturbed("typos", prob=0.1), perturbed("typos", prob=0.3)
    states = [
        state("id0"),
        state("id0", perturbation=typos),
        state("id0", perturbation=more),
        state("id1", more={"split": "valid"}),
    ]
    counted = [
        stats("id0", {"exact_match": 1}),
        stats("id0", {"exact_match": 0}, perturbation=typos),
        stats("id0", {"exact_match": 1}, perturbation=more),
        stats("id1", {"exact_match": 0}, split="valid"),
    ]
    worst = {**typos, "computed_on": "worst"}
    means = [stat("exact_match", 1.0), stat("exact_match", 0.4, perturbation=worst)]
    written(project.folder / "run", states, counted, means=means)
    assert " in stats.json" not in imported(project, "run")
    assert scores(project, "dpo", SUITE) == {
        "exact_match": [1.0],
        "exact_match (typos prob=0.1)": [0.0],
        "exact_match (typos prob=0.3)": [1.0],
        "exact_match (valid)": [0.0],
    }
    rows = project.rows("dpo", SUITE)
    assert [row.sample.id for row in rows] == ["id0", "id0 typos prob=0.1", "id0 typos prob=0.3", "id1"]
    assert [row.sample.cluster for row in rows] == ["id0", "id0", "id0", "id1"]


def test_choices_that_are_asked_one_by_one(project: Working) -> None:
    """Log-likelihoods of the references' own tokens, without the requests that calibrate them."""
    echoed = [{"text": "Q", "logprob": -9.0}, {"text": " ", "logprob": -1.5}, {"text": "2", "logprob": -0.5}]
    given = {"success": True, "completions": [{"text": "Q 2", "tokens": echoed}]}
    states = [
        state("id0", result=given, reference_index=index, request_mode=mode)
        for mode in ("calibration", "original")
        for index in (1, 0)
    ]
    written(project.folder / "run", states, [stats("id0", {"exact_match": 0.5})])
    imported(project, "run")
    [row] = project.rows("dpo", SUITE)
    assert row.sample.choices == ("2", "3")
    found = [(each.logprob, each.tokens) for each in row.responses if isinstance(each, LogLikelihood)]
    assert found == [(-0.5, 1), (-0.5, 1)]
    assert len(row.responses) == 2


def test_failed_requests_are_unscored(project: Working) -> None:
    """HELM scores their empty answers; so is what it has no statistic of."""
    failed = {"success": False, "error": "blocked", "completions": [{"text": "", "tokens": []}]}
    states = [state("id0", result=failed), state("id1"), state("id2", prompt_truncated=True), state("id3")]
    counted = [
        stats("id0", {"exact_match": 0.0}),
        stats("id1", {"exact_match": 1.0}),
        stats("id2", {"exact_match": None}),
    ]
    written(project.folder / "run", states, counted, means=[stat("exact_match", 0.5)])
    said = imported(project, "run")
    assert scores(project, "dpo", SUITE) == {"exact_match": [None, 1.0, None, None]}
    reasons = [row.scores[0].reason for row in project.rows("dpo", SUITE)]
    assert reasons == ["blocked", None, "HELM gave none", "HELM gave none"]
    assert "1 of 4 requests failed: scored by HELM, unscored here" in said
    assert "1 of 4 prompts were cut to fit" in said
    assert "exact_match is 0.5 in stats.json, and the mean of its scores 1" in said


def test_ifeval_is_scored_by_our_suite(project: Working) -> None:
    """HELM keeps the instructions and their arguments; without them its own scores stand."""
    extra = {"instruction_ids": ["punctuation:no_comma"], "instruction_kwargs": [{}]}
    for name, more in (("whole", {"extra_data": extra}), ("bare", {})):
        states = [state("id1000", "No comma", question="Say it.", more=more)]
        counted = [stats("id1000", {"ifeval_strict_accuracy": 0.0})]
        written(project.folder / name, states, counted, name="ifeval:", model=f"lab/{name}", max_tokens=48)
    assert "scored by our suite ifeval" in imported(project, "whole")
    assert scores(project, "whole", "ifeval")["prompt_strict"] == [1.0]
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert run.settings["sampling"]["max_tokens"] == 48  # type: ignore[index,call-overload]  # it is a mapping
    said = imported(project, "bare")
    assert "helm:ifeval: 1 sample" in said
    assert "note: ifeval" in said
    assert "not scored by ifeval: " in said


def test_ifeval_that_was_asked_otherwise(project: Working) -> None:
    """Examples and temperatures are conditions of our suite; of several draws HELM's own scores stand."""
    extra = {"extra_data": {"instruction_ids": ["punctuation:no_comma"], "instruction_kwargs": [{}]}}
    states = [state("id1000", "No comma", question="Say it.", more=extra)]
    counted = [stats("id1000", {"ifeval_strict_accuracy": 0.0})]
    adapters: dict[str, dict[str, Any]] = {
        "plain": {},
        "shots": {"max_train_instances": 2},
        "drawn": {"temperature": 0.7},
    }
    for name, adapter in adapters.items():
        written(project.folder / name, states, counted, name="ifeval:", model=f"lab/{name}", **adapter)
        assert "scored by our suite ifeval" in imported(project, name)
    _, out, _ = project.run("report", *adapters, "--json")
    reasons = {verdict["candidate"]: verdict["reason"] for verdict in json.loads(out)["verdicts"]}
    assert "setting num_fewshot: 0 for plain but 2 for shots" in reasons["shots"]
    assert "setting sampling.temperature: 0.0 for plain but 0.7 for drawn" in reasons["drawn"]
    again = state("id1000", "No", question="Say it.", more=extra, trial=1)
    written(project.folder / "twice", [*states, again], counted, name="ifeval:", model="lab/twice")
    assert "helm:ifeval: 1 sample" in imported(project, "twice")


def test_other_adaptations_are_other_conditions(project: Working) -> None:
    """Of one scenario, by two models; the model's own names are no difference."""
    for model, tokens in (("a", 5), ("b", 5), ("c", 9)):
        written(
            project.folder / model,
            [state("id0")],
            [stats("id0", {"exact_match": 1, "toxic_frac": 0})],
            model=f"lab/{model}",
            max_tokens=tokens,
        )
        imported(project, model)
    _, out, _ = project.run("report", "a", "b", "c", "--json")
    verdicts = {verdict["candidate"]: verdict for verdict in json.loads(out)["verdicts"]}
    assert [each["difference"] for each in verdicts["b"]["comparisons"]] == [0.0, 0.0]
    assert "setting generation.max_tokens: 5 for a but 9 for c" in verdicts["c"]["reason"]
    better = {
        each["metric"]["name"]: each["metric"]["higher_is_better"] for each in verdicts["b"]["comparisons"]
    }
    assert better == {"exact_match": True, "toxic_frac": False}


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_file_that_is_missing(project: Working, name: str) -> None:
    """Each is needed, whichever of the others is named."""
    folder = written(project.folder / "run", [state("id0")], [stats("id0", {"exact_match": 1})])
    (folder / name).unlink()
    other = next(each for each in NAMES[:3] if each != name)
    said = project.complaint(2, "import", str(folder / other))
    assert f"HERE/run/{name}: is missing: HELM writes it beside the others" in said


@pytest.mark.parametrize(
    ("states", "counted", "message"),
    [
        ([], [], "scenario_state.json: `request_states`, a list of objects, was expected"),
        ([state("id0")], [1], "per_instance_stats.json: a list of objects was expected"),
        (
            [state("id0"), {"instance": {}}],
            [],
            "scenario_state.json, row 2: instance.id and train_trial_index",
        ),
        (
            [state("id0"), state("id0", " 3")],
            [],
            "row 2: asks the instance 'id0' a second time, with another result",
        ),
        ([state("id0", reference_index=2)], [], "row 1: the instance has no reference 2"),
        (
            [state("id0")],
            [stats("id1", {"exact_match": 1})],
            "row 1: is of the instance 'id1', which scenario_state.json lacks",
        ),
        (
            [state("id0")],
            [stats("id0", {"exact_match": 1}), stats("id0", {"exact_match": 0})],
            "row 2: has 0.0 as exact_match of the instance 'id0', which has 1.0 before",
        ),
        ([state("id0")], [{"instance_id": "id0"}], "row 1: `train_trial_index` and a list of `stats`"),
        (
            [state("id0")],
            [stats("id0", {"num_bytes": 1})],
            "nothing in it has a score: no metric is of its samples",
        ),
    ],
)
def test_damaged_runs_import_nothing(
    project: Working, states: list[Any], counted: list[Any], message: str
) -> None:
    """With the file, the place and what is wrong."""
    written(project.folder / "run", states, counted)
    assert message in project.complaint(2, "import", "run")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_half_a_file_and_two_runs(project: Working) -> None:
    """Nothing says which of two runs of one scenario by one model is the right one."""
    for name in ("one", "two"):
        folder = written(project.folder / name, [state("id0")], [stats("id0", {"exact_match": 1})])
    said = project.complaint(2, "import", "one", "two")
    assert "HERE/two: is a run of demo:method=x by lab/dpo, as " in said or "two: is a run of" in said
    (folder / NAMES[2]).write_text('[{"instance_id": "id0", ')
    assert "per_instance_stats.json, row 1: is not JSON" in project.complaint(2, "import", "two")
    (folder / NAMES[0]).write_text("{}")
    assert "`name` and `adapter_spec.model` were expected" in project.complaint(2, "import", "two")
