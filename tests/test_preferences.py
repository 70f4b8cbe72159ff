"""`harness preferences`, and preferences in `harness report` and `compare`, from the command line on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness.store import Store
from tests.harness.preferences.kept import judged, keep_answers
from tests.reports.test_leaderboard import keep
from tests.working import Working

HEAD = "item,rater,left,right,winner"


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A project's folder with nothing in it."""
    monkeypatch.chdir(tmp_path)
    Path("harness.toml").write_text("[compare]\nresamples = 200\n", encoding="utf-8")
    return Working(tmp_path, capsys)


@pytest.fixture
def store(working: Working) -> Iterator[Store]:
    """Its store."""
    with Store.open(f"sqlite:///{working.folder}/harness.db") as store:
        yield store


def judge_and_people(store: Store) -> None:
    """Thirty prompts that two models answered, a judge's choices and a person's."""
    sft, dpo = (keep_answers(store, name, [f"{name} {i}" for i in range(30)]) for name in ("sft", "dpo"))
    judged(store, sft, dpo, ["right"] * 24 + ["left"] * 6)
    judged(store, sft, dpo, ["right"] * 12 + ["left"] * 8, rater="human:first:ana")


def test_from_the_store(working: Working, store: Store) -> None:
    """Each rater's sentence, and how far the judge agrees with the person."""
    judge_and_people(store)

    code, shown, _ = working.run("preferences", "sft", "dpo")

    said = " ".join(shown.split())
    assert 0 == code
    assert "dpo vs sft by judge:gpt: BETTER: win rate 0.800" in said
    assert "dpo vs sft by human:first:ana: NO DIFFERENCE SHOWN: win rate 0.600" in said
    assert "How far raters agree" in said


def test_the_baseline_is_the_first_name_or_the_one_that_is_given(working: Working, store: Store) -> None:
    """The same judgements, turned round."""
    judge_and_people(store)

    for arguments, expected in [((), "sft"), (("dpo", "sft"), "dpo"), (("--baseline", "dpo"), "dpo")]:
        _, document, _ = working.run("preferences", *arguments, "--json")
        assert expected == json.loads(document)["win_rates"][0]["baseline"]


def test_json_holds_what_the_tables_say(working: Working, store: Store) -> None:
    """Findings with everything that belongs to them, agreement, and no number that is none."""
    judge_and_people(store)

    _, document, _ = working.run("preferences", "--json")

    found = json.loads(document)
    judge = found["win_rates"][0]
    assert (24, 6) == (judge["win_rate"]["won"], judge["win_rate"]["lost"])
    assert {"test", "position", "consistency", "length", "length_controlled", "corrected"} <= set(judge)
    assert ["judge:gpt", "human:first:ana"] == [each["rater"] for each in found["win_rates"]]
    assert 20 == found["agreements"][0]["kappa"]["items"]


def test_a_report_of_preferences_alone(working: Working, store: Store) -> None:
    """Models that nobody evaluated and somebody judged are in the leaderboard; prompts are no suite."""
    judge_and_people(store)

    code, shown, _ = working.run("report", "sft", "dpo")

    text = Path("reports/leaderboard.md").read_text(encoding="utf-8")
    assert 0 == code
    assert "dpo vs sft by judge:gpt: BETTER" in " ".join(shown.split())
    assert "## Preferences" in text
    assert "prompts:tried<br>" not in text


def test_each_models_own_answers_are_reported(working: Working, store: Store) -> None:
    """Those that were judged stand beside suites' runs under the model that gave them."""
    judge_and_people(store)

    board = harness.report(harness.open_project(), ["sft", "dpo"]).board

    assert ["dpo", "sft"] == sorted(run.model for run in board.runs)


def test_a_report_shows_preferences_beside_suites(working: Working, store: Store) -> None:
    """The verdict is the suite's; preferences are a column of their own, and in JSON."""
    for model, values in [("sft", [0, 1, 0, 1]), ("dpo", [0, 1, 0, 1])]:
        keep(store, model, "quiz", values)
    judge_and_people(store)

    _, document, _ = working.run("report", "sft", "dpo", "--json")

    found = json.loads(document)
    assert ["quiz"] == [column["suite"] for column in found["columns"]]
    assert ["NO DIFFERENCE SHOWN"] == [verdict["decision"] for verdict in found["verdicts"]]
    assert ["BETTER", "NO DIFFERENCE SHOWN"] == [
        each["decision"] for each in found["preferences"]["win_rates"]
    ]
    conditions = Path("reports/leaderboard.md").read_text(encoding="utf-8").split("## Conditions")[1]
    assert 2 == conditions.count(" | prompts:tried | ")


def test_a_report_without_preferences_says_nothing_of_them(working: Working, store: Store) -> None:
    """Runs without metrics alone make no report, no suite, and no empty section."""
    keep(store, "sft", "quiz", [0, 1])
    keep(store, "dpo", "quiz", [1, 1])
    keep_answers(store, "sft", ["a"])
    keep_answers(store, "grpo", ["a"])

    _, document, _ = working.run("report", "--json")

    found = json.loads(document)
    assert (None, ["quiz"]) == (found["preferences"], [column["suite"] for column in found["columns"]])
    assert {"sft", "dpo"} == {each["model"] for each in found["standings"]}
    assert "Preferences" not in Path("reports/leaderboard.md").read_text(encoding="utf-8")


def test_what_was_said_of_earlier_answers_is_counted(working: Working, store: Store) -> None:
    """A retrained model's old preferences are not its own: they are left out, and the report says so."""
    for model in ("sft", "dpo"):
        keep(store, model, "quiz", [0, 1])
    judge_and_people(store)
    keep_answers(store, "dpo", ["new"] * 30, run_id="newer", finished="2026-12-01T00:00:00+00:00")

    _, shown, _ = working.run("report", "sft", "dpo")

    assert "note: 50 preferences are about earlier answers of these models" in " ".join(shown.split())


def test_the_list_shows_runs_of_prompts(working: Working, store: Store) -> None:
    """They are runs, though no suites."""
    judge_and_people(store)

    _, document, _ = working.run("list", "--json")

    found = json.loads(document)
    assert {"prompts:tried"} == {run["suite"] for run in found["runs"]}
    assert "prompts:tried" not in {suite["name"] for suite in found["suites"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no results store here yet; `harness judge` makes one"),
        (("--from", "none.csv"), "none.csv: cannot be read: No such file or directory"),
        (("--from", "."), ".: cannot be read: Is a directory"),
        (("--from", "votes.csv"), "votes.csv, row 3: column 'winner': left, right, tie, a or b was expected"),
        (("--from", "good.csv", "a", "c"), "there is no model in good.csv named 'c'; known: a, b"),
        (("--from", "good.csv", "--baseline", "c"), "there is no model in good.csv named 'c'; known: a, b"),
        (
            ("--from", "good.csv", "a"),
            "a preference is between two models, and 'a' is one: name two models, or none",
        ),
    ],
)
def test_bad_input(working: Working, arguments: tuple[str, ...], message: str) -> None:
    """One message, exit code 2, and no store is made."""
    working.write("votes.csv", HEAD, "q1,ana,a,b,left", "q2,ana,a,b,c")
    working.write("good.csv", HEAD, "q1,ana,a,b,left")

    assert message in working.complaint(2, "preferences", *arguments)
    assert not Path("harness.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody", "sft"), "there is no model with answers named 'nobody'"),
        (("grpo", "sft"), "holds no preference about grpo and sft that belongs to the newest answers"),
        (("sft",), "name two models"),
    ],
)
def test_nothing_to_say(working: Working, store: Store, arguments: tuple[str, ...], message: str) -> None:
    """Names that nobody compared are reported, with what to do."""
    judge_and_people(store)
    keep_answers(store, "grpo", ["a"])

    assert message in working.complaint(2, "preferences", *arguments)


def test_an_empty_store(working: Working, store: Store) -> None:
    """It says what makes preferences; a report still asks for runs."""
    assert "holds no preference" in working.complaint(2, "preferences")
    assert "holds no finished run" in working.complaint(2, "report")


def test_names_of_a_file_do_nothing_to_a_terminal(working: Working) -> None:
    """Control characters of names, raters and reasons are written out, in results and in messages."""
    name, rater = "b\x1b[31m\u202e", "r\x1b]0;x\x07"
    rows = [f"{i},{rater},a,{name},right,no\x1b[2J" for i in range(3)] + [f"3,{rater},a,{name},,no\x1b[2J"]
    Path("votes.csv").write_text("\n".join([f"{HEAD},reason", *rows]), encoding="utf-8")

    for arguments, code in [((), 0), (("a", "c"), 2)]:
        found, shown, complaints = working.run("preferences", "--from", "votes.csv", *arguments)
        assert code == found
        assert not {"\x1b", "\x07", "\u202e"} & set(shown + complaints)
        assert "b␛[31m⟨U+202E⟩" in shown + complaints
