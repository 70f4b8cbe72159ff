"""Results of promptfoo become runs, one for each provider in a file."""

import json
from typing import Any

import pytest

from harness.records.answers import Response
from harness.store import Store
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.promptfoo_files import asserts, result, written
from tests.working import Working

SUITE = "promptfoo:capitals"
COUNTRIES = ("France", "Italy", "Spain")


def both(left: list[float], right: list[float], **more: Any) -> list[dict[str, Any]]:
    """Results of two providers, a test of each country."""
    return [
        result(score, country=COUNTRIES[test], test=test, prompt=prompt, **more)
        for prompt, of in enumerate((left, right))
        for test, score in enumerate(of)
    ]


def test_every_provider_of_a_file_is_a_model(project: Working) -> None:
    """Under its label; the answers, their lengths and what would be right are there."""
    written(project.folder / "out.json", both([1, 0, 0.5], [1, 1, 1]))
    said = imported(project, "out.json")
    assert "left · promptfoo:capitals: 3 samples of promptfoo 0.123.1" in said
    assert "right · promptfoo:capitals: 3 samples" in said
    assert scores(project, "left", SUITE) == {"success": [1.0, 0.0, 0.0], "score": [1.0, 0.0, 0.5]}
    assert scores(project, "right", SUITE)["score"] == [1.0, 1.0, 1.0]
    row = project.rows("left", SUITE)[0]
    assert (row.sample.prompt, row.sample.target) == ("Capital of France?", "icontains x")
    [response] = row.responses
    assert isinstance(response, Response)
    assert (response.text, response.prompt_tokens, response.seconds) == ("Paris", 3, 0.05)
    with Store.open("sqlite:///harness.db") as store:
        assert len({run.fingerprint for run in store.runs.find()}) == 2
        assert {(m.name, m.kind, m.headline) for run in store.runs.find() for m in run.metrics} >= {
            ("success", "binary", True),
            ("score", "number", False),
        }
    assert imported(project, "out.json").count("it was there already") == 2


def test_several_models_of_a_file_after_a_name(project: Working) -> None:
    """They cannot be imported one by one, so the name stands before theirs; of one model it is the name."""
    written(project.folder / "out.json", both([1], [0]))
    assert "mine-left · promptfoo" in imported(project, "out.json", "--as", "mine")
    written(project.folder / "one.json", [result(1)], providers=["left"])
    assert "mine · promptfoo" in imported(project, "one.json", "--as", "mine")
    message = "of 2 models (left, right), which need a name each"
    written(project.folder / "two.json", [result(1)], providers=["right"])
    assert message in project.complaint(2, "import", "one.json", "two.json", "--as", "mine")


def test_tests_pair_by_template_and_variables(project: Working) -> None:
    """Whatever their numbers are in each file, and whatever is put in while it runs."""
    few = [result(1, country="Italy", test=0), result(0, country="France", test=1)]
    more = [result(0, country="France", test=0), result(1, country="Italy", test=7)]
    written(project.folder / "a.json", few, providers=["a"])
    written(project.folder / "b.json", more, providers=["b"])
    imported(project, "a.json")
    imported(project, "b.json")
    _, out, _ = project.run("report", "a", "b", "--json")
    [verdict] = json.loads(out)["verdicts"]
    assert [each["difference"] for each in verdict["comparisons"]] == [0.0, 0.0]
    assert verdict["comparisons"][0]["n"] == 2


def test_other_assertions_are_another_condition(project: Working) -> None:
    """Scores by other assertions are not compared."""
    for name, kind in (("a", "icontains"), ("b", "equals")):
        written(project.folder / "out.json", [result(1, of=asserts(kind))], providers=[name])
        imported(project, "out.json")
    _, out, _ = project.run("report", "a", "b")
    assert "setting assertions: " in " ".join(out.split())


def test_sampling_is_the_provider_s(project: Working) -> None:
    """It is noted where it differs, however the provider is written; keys of services are not kept."""
    config = {"temperature": 0, "apiKey": "secret"}
    providers = [{"id": "file://x", "label": "a", "config": config}, {"b": {"config": {"temperature": 1}}}]
    written(project.folder / "out.json", both([1], [1]), providers=[{"id": "a"}, {"id": "b"}])
    said = json.loads((project.folder / "out.json").read_text())
    said["config"]["providers"] = providers
    (project.folder / "out.json").write_text(json.dumps(said))
    imported(project, "out.json")
    _, out, _ = project.run("report", "a", "b")
    assert 'sampling: {"temperature":0} for a but {"temperature":1} for b' in " ".join(out.split())
    assert b"secret" not in (project.folder / "harness.db").read_bytes()


def test_errors_and_failed_graders_are_unscored(project: Working) -> None:
    """promptfoo writes 0 for both; what it counts is then not what is here, and that is said of sums."""
    failed = {"pass": False, "score": 0, "reason": "no JSON", "assertion": {"type": "llm-rubric"}}
    graded = result(0, country="Spain", test=2, components=[{**failed, "metadata": {"graderError": True}}])
    results = [result(1), result(0, country="Italy", test=1, error="service\ndown"), graded]
    written(project.folder / "out.json", results, providers=["a"])
    imported(project, "out.json")
    assert scores(project, "a", SUITE)["success"] == [1.0, None, None]
    rows = project.rows("a", SUITE)
    assert [row.scores[0].reason for row in rows] == [None, "service down", "the grader failed: no JSON"]
    assert isinstance(rows[1].responses[0], Response)
    assert rows[1].responses[0].unanswered == "failed: service down"
    written(project.folder / "out.json", results[1:2], providers=["a"])
    assert "nothing in it has a score: service down" in project.complaint(2, "import", "out.json")


def test_named_scores_and_assertions_are_metrics(project: Working) -> None:
    """Names where tests have them; assertions without one that stand in one place of every test."""
    set_of = {"pass": True, "score": 0.5, "assertion": {}, "metadata": {"assertionSet": {}}}
    kinds = [[*asserts("javascript"), *asserts(second, metric="tone")] for second in ("regex", "contains")]
    parts = [
        [set_of, {"score": place, "assertion": kind[0]}, {"score": 1, "assertion": kind[1]}]
        for place, kind in enumerate(kinds)
    ]
    results = [
        result(1, of=kinds[0], namedScores={"tone": 0.25}, components=parts[0]),
        result(
            1,
            of=kinds[1],
            namedScores={"tone": 1, "odd": "x", "some": 2},
            components=parts[1],
            country="Italy",
            test=1,
        ),
    ]
    written(project.folder / "out.json", results, providers=["a"], derivedMetrics=[{"name": "double"}])
    said = imported(project, "out.json")
    found = scores(project, "a", SUITE)
    assert found["tone"] == [0.25, 1.0]
    assert found["assertion 1 (javascript)"] == [0.0, 1.0]
    assert {*found} == {"success", "score", "tone", "assertion 1 (javascript)", "some"}
    assert "double left out: derived from the whole" in said
    assert "odd left out: nothing has a score of it" in said
    assert "some is of 1 of the 2 tests" in said


def test_repeats_are_draws_and_templates_are_groups(project: Working) -> None:
    """Repeats of a test are parts; one test under two templates is one cluster."""
    templates = ["Capital of {{country}}?", "{{country}}'s capital?"]
    results = [
        result(score, prompt=prompt, test=test)
        for prompt, of in enumerate(((1, 0), (0, 0)))
        for test, score in enumerate(of)
    ]
    written(project.folder / "out.json", results[::-1], providers=["a"], templates=templates)
    imported(project, "out.json")
    rows = {str(row.sample.tags["prompt"]): row for row in project.rows("a", SUITE)}
    assert [score.value for score in rows[templates[0]].scores][:2] == [1.0, 0.0]
    assert len({row.sample.cluster for row in rows.values()}) == 1
    assert len({row.sample.id for row in rows.values()}) == 2


def test_tests_that_differ_in_their_assertions_only(project: Working) -> None:
    """Are two, in the same order in every file; those that assert nothing are pointed out."""
    kinds = [asserts("icontains"), asserts("equals")]
    for name, order in (("a", (0, 1)), ("b", (1, 0))):
        results = [result(kind, of=kinds[kind], test=test) for test, kind in enumerate(order)]
        written(project.folder / "out.json", results, providers=[name])
        imported(project, "out.json")
    by_id = [{row.sample.id: row.scores[0].value for row in project.rows(name, SUITE)} for name in "ab"]
    assert by_id[0] == by_id[1]
    assert len(by_id[0]) == 2
    bare = result(1, testCase={"vars": {}, "assert": []})
    written(project.folder / "out.json", [bare], providers=["a"], description=None)
    assert "1 of 1 tests assert nothing" in imported(project, "out.json", "--as", "bare")


@pytest.mark.parametrize(
    ("providers", "names"),
    [
        (["openrouter:x/llama", "openrouter:y/llama"], ["openrouter:x/llama", "openrouter:y/llama"]),
        (["exec:sh /home/ana/run.sh", "a"], ["run.sh", "a"]),
        (["same", "same"], ["same", "same #2"]),
    ],
)
def test_names_of_providers(project: Working, providers: list[str], names: list[str]) -> None:
    """Without other people's folders, unless two would then be one; one that is listed twice is two."""
    results = [result(1, prompt=prompt, provider={"id": "x", "label": ""}) for prompt in (0, 1)]
    written(project.folder / "out.json", results, providers=providers)
    imported(project, "out.json")
    with Store.open("sqlite:///harness.db") as store:
        assert [run.model for run in store.runs.find()] == names


def test_of_two_files_the_later(project: Working) -> None:
    """For a model that both have."""
    written(project.folder / "a.json", [result(1)], providers=["a"], time="2026-11-30")
    written(project.folder / "b.json", [result(0)], providers=["a"], time="2026-11-29")
    imported(project, str(project.folder))
    assert scores(project, "a", SUITE)["success"] == [1.0]


def test_other_sums_in_the_file(project: Working) -> None:
    """What the file says of a provider, and what its results come to."""
    file = written(project.folder / "out.json", [result(1)], providers=["a"])
    said = json.loads(file.read_text())
    said["results"]["prompts"][0]["metrics"] = {"testPassCount": 2, "score": 1}
    file.write_text(json.dumps(said))
    assert "success sums to 2 for a in the file's own figures, and to 1" in imported(project, "out.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "is version 2 of promptfoo's results, and 3 is read"),
        ({"version": 4}, "is version 4 of promptfoo's results"),
        (
            {"stats": {"successes": 3, "failures": 0, "errors": 0}},
            "holds 2 results, and its own stats count 3: it is not whole",
        ),
        ({"score": "1"}, "out.json, row 2: `success`, true or false, and `score`, a number, were expected"),
        ({"promptIdx": 4}, "row 2: `testIdx`, and `promptIdx` of one of the file's prompts, were expected"),
        ({"testIdx": 0}, "row 2: is of test 0 under prompt 0, as result 1 is"),
        ({"gradingResult": {"componentResults": [1]}}, "row 2: gradingResult.componentResults: a list"),
    ],
)
def test_damaged_files_import_nothing(project: Working, change: dict[str, Any], message: str) -> None:
    """With the file, the place and what is wrong."""
    of_file = {key: change[key] for key in change.keys() & {"version", "stats"}}
    of_result = {key: change[key] for key in change.keys() - of_file.keys()}
    results = [result(1), {**result(0, test=1, country="Italy"), **of_result}]
    written(project.folder / "out.json", results, providers=["a"], **of_file)
    assert message in project.complaint(2, "import", "out.json")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_half_a_file(project: Working) -> None:
    """As JSON says it."""
    file = written(project.folder / "out.json", [result(1)], providers=["a"])
    file.write_text(file.read_text()[:-40])
    assert "out.json, row 1: is not JSON: " in project.complaint(2, "import", "out.json")
    file.write_text('{"evalId": null, "results": {"version": 3, "prompts": [], "results": []}}')
    assert "holds no results, or no prompts" in project.complaint(2, "import", "out.json")
