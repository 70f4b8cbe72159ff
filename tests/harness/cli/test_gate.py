"""`harness gate`: a policy, what the store holds, and what comes of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any
from xml.etree import ElementTree

import pytest

import harness
from harness.store import Store
from tests.harness.preferences.kept import judged, keep_answers
from tests.reports.boards import run_of
from tests.reports.test_leaderboard import ERRORS, RIGHT
from tests.working import Working

QUESTIONS = 60
PROJECT = """
[models.sft]
answers = "sft.jsonl"
[models.good]
answers = "good.jsonl"
[models.same]
answers = "same.jsonl"
[models.bad]
answers = "bad.jsonl"

[suites.sums]
prompts = "sums.jsonl"
rule = "exact"

[compare]
suites = ["sums"]
resamples = 200
"""
POLICY = """
[gate]
baseline = "sft"
candidate = "good"
better = [{ suite = "sums" }]
not_worse = [{ suite = "sums", metric = "exact", margin = 0.1 }]
unscored = 0.05
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline, and candidates that are better, equally good, and worse with answers missing."""
    folder = tmp_path_factory.mktemp("gate")
    sums = ({"prompt": f"{n} + {n}?", "target": str(2 * n)} for n in range(QUESTIONS))
    (folder / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in sums))
    answer(folder, "sft", range(0, QUESTIONS, 2))
    answer(folder, "good", range(QUESTIONS))
    answer(folder, "same", [*range(4, QUESTIONS, 2), 1, 3])
    answer(folder, "bad", range(40, QUESTIONS, 2), absent=range(1, 9, 2))
    (folder / "harness.toml").write_text(PROJECT)
    harness.evaluate(harness.open_project(folder / "harness.toml"), ["sft", "good", "same", "bad"])
    return folder


@pytest.fixture
def project(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Working:
    """The same in a folder of its own, with a policy."""
    copytree(evaluated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    working = Working(tmp_path, capsys)
    write(working, POLICY)
    return working


def answer(folder: Path, model: str, right: Sequence[int], absent: Sequence[int] = ()) -> None:
    """A file of a model's answers, right to some of the questions."""
    rows = ((n, str(2 * n) if n in right else "no") for n in range(QUESTIONS) if n not in absent)
    lines = (json.dumps({"prompt": f"{n} + {n}?", "response": text}) for n, text in rows)
    (folder / f"{model}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def write(project: Working, policy: str, settings: str = PROJECT) -> None:
    """The project's file."""
    (project.folder / "harness.toml").write_text(settings + policy, encoding="utf-8")


def rulings(project: Working, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
    """The exit code, and what is said of each rule."""
    code, out, err = project.run("gate", *arguments, "--json")
    assert out, err
    found = json.loads(out)
    assert code == found["exit_code"]
    rules = [rule for result in found["results"] for rule in result["rules"]]
    return code, [(rule["demand"], rule["ruling"]) for rule in rules]


@pytest.mark.parametrize(
    ("names", "code", "expected"),
    [
        ([], 0, ["kept", "kept", "kept"]),
        (["good"], 0, ["kept", "kept", "kept"]),
        (["sft", "same"], 1, ["undecided", "kept", "kept"]),
        (["bad"], 1, ["broken", "broken", "broken"]),
        (["good", "--baseline", "bad"], 1, ["kept", "kept", "broken"]),
        (["sft", "good", "same"], 1, ["kept"] * 3 + ["undecided", "kept", "kept"]),
    ],
)
def test_rules_are_judged(project: Working, names: list[str], code: int, expected: list[str]) -> None:
    """The baseline first, a single name the candidate; undecided is not enough; one candidate fails all."""
    found = rulings(project, *names)
    assert (code, expected) == (found[0], [ruling for _, ruling in found[1]])


def test_each_rule_is_a_line(project: Working) -> None:
    """However wide it is: with its numbers, its interval and the reason."""
    code, out, _ = project.run("gate", "bad")
    lines = out.splitlines()
    assert 1 == code
    assert "bad against sft: does not pass (3 rules broken)" == lines[0]
    assert lines[1].startswith("  broken     better on sums (exact): ▼ WORSE: −0.")
    assert "(adjusted), n = 56. Won 0, lost 20. 4 scores missing and left out" in lines[1]
    assert lines[2].startswith(
        "  broken     not worse on sums (exact) by 0.1 or more: ▼ WORSE, by more than the"
    )
    assert lines[3].startswith("  broken     at most 5% unscored on sums (exact): 4 of 60 pairs (6.7%)")
    assert "the answers of bad to sums are from a file" in " ".join(out.split())


def test_numbers_are_those_of_a_comparison(project: Working) -> None:
    """The same corrections over all suites of [compare], and the same margins: nothing is computed twice."""
    write(project, POLICY, PROJECT.replace('["sums"]', '["sums", "more"]') + MORE)
    code, out, err = project.run("compare", "sft", "good", "--json")
    assert 0 == code, err
    [verdict] = json.loads(out)["verdicts"]
    [result] = json.loads(project.run("gate", "--json")[1])["results"]
    of_sums = [each for each in verdict["comparisons"] if each["suite"] == "sums"]
    assert of_sums * 3 == [rule["comparison"] for rule in result["rules"]]
    assert of_sums[0]["p"] < of_sums[0]["adjusted_p"]
    assert 0.1 == of_sums[0]["loss"]["margin"]


MORE = """
[suites.more]
prompts = "sums.jsonl"
rule = "contains"
"""


def test_what_is_missing_is_unknown(project: Working) -> None:
    """Without a store, without a run of one model, after a change of settings, under other conditions: 3."""
    unknown = 3, [("better", "unknown"), ("not worse", "unknown"), ("unscored", "unknown")]
    write(project, POLICY, PROJECT.replace("resamples", "#") + "[models.new]\nanswers = 'sft.jsonl'\n")
    assert unknown == rulings(project, "new")
    out = project.run("gate", "new")[1]
    assert "new has no finished run of sums; `harness compare sft new -s sums` makes it" in out

    assert unknown == rulings(project, "--limit", "5")
    write(project, POLICY, PROJECT.replace('"exact"', '"contains"'))
    assert unknown == rulings(project)
    assert "sft and good were asked with another rule than is set now" in project.run("gate")[1]

    write(project, POLICY)
    project.write("sums.jsonl", *({"prompt": f"{n} + {n}?", "target": "7"} for n in range(QUESTIONS)))
    assert 0 == project.run("eval", "good")[0]
    assert unknown == rulings(project)
    assert "not comparable: data: sha256:" in project.run("gate")[1]

    (project.folder / "harness.db").unlink()
    assert unknown == rulings(project)
    assert not (project.folder / "harness.db").exists()


def test_a_rule_never_disappears(project: Working) -> None:
    """A suite that nobody scores, and a metric that only another candidate has, are unknown: none passes."""
    (project.folder / "harness.db").unlink()
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        for name in ("sft", "good"):
            keep_answers(store, name, ["a", "b"], suite="prompts:tried")
        write(project, '[gate]\nbaseline = "sft"\nbetter = [{ suite = "prompts:tried" }]')
        assert (3, [("better", "unknown")]) == rulings(project, "good")

        for name, metrics in (("sft", (RIGHT,)), ("good", (RIGHT,)), ("bad", (RIGHT, ERRORS))):
            run = run_of(name, "sums", metrics=metrics)
            store.models.keep(name, run.fingerprint, {"path": name}, {}, None)
            store.runs.begin(run)
            store.runs.finish(run.id, "2026-11-22T16:03:12+00:00")
    write(project, '[gate]\nbetter = [{ suite = "sums", metric = "errors" }]')
    assert (3, [("better", "unknown")] * 2) == rulings(project, "sft", "good", "bad")


def test_a_rule_that_fails_counts_more_than_what_is_unknown(project: Working) -> None:
    """Nothing that is still to come could make the candidate pass."""
    project_with_more = PROJECT.replace('["sums"]', '["sums", "more"]') + MORE
    write(project, POLICY.replace("better = [", 'better = [{ suite = "more" }, '), project_with_more)
    assert 3 == rulings(project)[0]
    assert 1 == rulings(project, "bad")[0]


def test_an_evaluation_that_has_not_finished_is_waited_for(project: Working) -> None:
    """A job that is stopped while new weights are evaluated does not pass by the old ones' results."""
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        run = replace(
            run_of("good", "sums", run_id="later"), finished=None, started="2999-01-01T00:00:00+00:00"
        )
        store.models.keep("good", run.fingerprint, {"path": "good"}, {}, None)
        store.runs.begin(run)
    assert 3 == rulings(project)[0]
    assert "an evaluation of good began later and has not finished" in project.run("gate")[1]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("", "harness.toml: gate: there is no rule to judge by; write, for example:"),
        ("[gate]", "harness.toml: gate: there is no rule to judge by; write, for example:"),
        (
            "[gate]\nunscored = 0",
            "harness.toml: gate.baseline: this key is needed where the command names no",
        ),
        (
            POLICY.replace("good", "goood"),
            "harness.toml: gate.candidate: there is no model or pipeline named 'goood'; did you mean 'good'?",
        ),
        (POLICY.replace("good", "sft"), "a gate needs two different names, and both are 'sft'"),
        (
            POLICY.replace('"exact"', '"exat"'),
            "gate.not_worse[0].metric: there is no metric of sums named 'exat'; did you mean 'exact'?",
        ),
        (
            POLICY.replace("better = [", 'better = [{ suite = "lm_eval:sums" }, '),
            "gate.better[0].suite: no run in HERE/harness.db is of 'lm_eval:sums', and [compare] suites does "
            "not name it",
        ),
        (
            POLICY.replace(", margin = 0.1", ""),
            "gate.not_worse[0]: exact has no margin; add the loss that is",
        ),
        (
            POLICY.replace("worse = [", 'worse = [{ suite = "sums", margin = 0.2 }, '),
            "gate.not_worse[0]: another rule gives exact the margin 0.1",
        ),
    ],
)
def test_mistakes(project: Working, policy: str, message: str) -> None:
    """What is wrong with a policy is said with its key; nobody is judged by half of it."""
    write(project, policy)
    assert message in project.complaint(2, "gate")


def test_names_of_a_command(project: Working) -> None:
    """A name that nothing has is wrong use, whoever gave it."""
    assert "there is no model or pipeline named 'goof'; did you mean 'good'?" == project.complaint(
        2, "gate", "sft", "goof"
    )


def test_proof_can_be_waived(project: Working) -> None:
    """What is not decided on a margin then passes, is reported as skipped, and says so."""
    answer(project.folder, "same", [*range(20, QUESTIONS, 2), *range(1, 21, 2)])
    assert 0 == project.run("eval", "same")[0]
    loss = '[gate]\nbaseline = "sft"\nnot_worse = [{ suite = "sums", margin = 0.01, proof = true }]'
    write(project, loss)
    assert (1, [("not worse", "undecided")]) == rulings(project, "same")
    write(project, loss.replace("true", "false"))
    code, out, _ = project.run("gate", "same", "--junit", "new/gate.xml")
    assert 0 == code
    assert "(`proof = false` lets it through)" in out
    root = ElementTree.parse(project.folder / "new" / "gate.xml").getroot()
    assert ("1", "0") == (root.get("skipped"), root.get("failures"))


def test_files_are_written(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """JUnit XML replaces what was there; a summary goes behind it, by itself within a step of GitHub."""
    junit, summary = project.folder / "gate.xml", project.folder / "step.md"
    junit.write_text("old")
    summary.write_text("# Before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert 1 == project.run("gate", "bad", "--junit", str(junit))[0]
    assert "3" == ElementTree.parse(junit).getroot().get("failures")
    text = summary.read_text("utf-8")
    assert text.startswith("# Before\n## bad against sft: does not pass (3 rules broken)\n")
    assert 1 == project.run("gate", "same")[0]
    assert text == summary.read_text("utf-8")[: len(text)]


def test_a_file_that_cannot_be_written(project: Working) -> None:
    """Wrong use, said after the result, with its path; a folder is refused before."""
    (project.folder / "file").touch()
    code, out, err = project.run("gate", "--junit", "file/gate.xml")
    assert 2 == code
    assert "good against sft: passes" in out
    assert "file/gate.xml: the file cannot be written here" in err
    assert 2 == project.run("gate", "--junit", ".")[0]


def test_a_notebook_sees_the_same(project: Working) -> None:
    """The verb gives the rules, the notes and the exit code, and reads as lines."""
    outcome = harness.gate(harness.open_project(), ["bad"])
    assert 1 == outcome.exit_code
    assert repr(outcome).startswith("bad against sft: broken: better on sums (exact): ▼ WORSE: −0.")
    [file] = harness.write_gate(outcome, summary_file=project.folder / "summary.md")
    assert "| ✗ broken |" in file.read_text("utf-8")


AGREEMENT = '[gate]\nbaseline = "one"\ncandidate = "two"\nagreement = '


def agreeing(project: Working, agreement: str, people: Sequence[Any], judge: Sequence[Any]) -> Any:
    """What is said of a judge beside a person about the first so many of 40 prompts."""
    write(project, f"{AGREEMENT}{agreement}")
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        one, two = (keep_answers(store, name, [f"{name} {i}" for i in range(40)]) for name in ("one", "two"))
        judged(store, one, two, judge)
        judged(store, one, two, people, rater="human:first:ana")
    code, out, err = project.run("gate", "--json")
    assert out, err
    [rule] = json.loads(out)["results"][0]["rules"]
    return code, rule["ruling"], rule["why"]


def test_agreement_with_people(project: Working) -> None:
    """By the interval of what `preferences` reports; a judge that never judged is a mistake."""
    sides = ["left", "right"] * 20
    code, ruling, why = agreeing(project, '{ share = 0.8, judge = "gpt" }', sides, sides)
    assert (0, "kept") == (code, ruling)
    assert why.startswith("1.000 [0.")
    write(project, f"{AGREEMENT}{{ share = 0.99 }}")
    assert (1, [("agreement", "undecided")]) == rulings(project)
    write(project, f'{AGREEMENT}{{ share = 0.8, judge = "gtp" }}')
    assert "gate.agreement.judge: there is no judge in the store named 'gtp'; did you mean 'gpt'?" in (
        project.complaint(2, "gate")
    )


@pytest.mark.parametrize(
    ("people", "judge", "said"),
    [
        (5, 0, "no judge preferred among their newest answers; `harness judge one two` asks one"),
        (0, 5, "no person preferred among their newest answers; a blind test counts once it is unsealed"),
        (0, 0, "no judge preferred among their newest answers; `harness judge one two` asks one"),
    ],
)
def test_agreement_needs_both(project: Working, people: int, judge: int, said: str) -> None:
    """Without a judge or without people nothing is known, and the way out is said."""
    found = agreeing(project, "{ kappa = 0.4 }", ["left"] * people, ["left"] * judge)
    assert (3, "unknown", said) == found
