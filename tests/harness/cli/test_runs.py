"""`harness runs` and `harness store verify` over a store that was made by hand: no model is loaded."""

import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records.answers import REQUEST, LogLikelihood, Response, Row, Sample, Score
from harness.records.preferences import Study
from harness.store import Store
from tests.harness.store.made import A_RUN, begun, kept
from tests.harness.store.test_removal import preferred, ran
from tests.working import Working

HOSTILE = "fine \x1b[2J\u202egnp.exe"


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A project's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.cli.terminal.console.width", 140)
    (tmp_path / "harness.toml").write_text("[suites.ifeval]\nlimit = 5\n")
    return Working(tmp_path, capsys)


@pytest.fixture
def store(working: Working) -> Iterator[Store]:
    """The project's store, empty."""
    with Store.open(f"sqlite:///{working.folder}/harness.db") as opened:
        yield opened


def answered(store: Store, run_id: str, texts: list[str], values: list[float | None], **of_run: Any) -> None:
    """A whole run of IFEval's form with these answers and headlines."""
    store.models.keep(A_RUN.model, A_RUN.fingerprint, {}, {}, None)
    run = replace(A_RUN, id=run_id, suite="ifeval", size=len(texts), seed=0, **of_run)
    store.runs.begin(run)
    for position, (text, value) in enumerate(zip(texts, values, strict=True)):
        [answer] = store.answers.keep([kept(text, asked=f"{run_id} {position}")]).values()
        reason = None if value is not None else "failed: no reply"
        score = Score(metric="mc1", value=value, reason=reason)
        sample = Sample(id=f"{position}", prompt=f"Question {position}", target=f"target {position}")
        assert isinstance(answer, Response)
        row = Row(sample=sample, responses=(answer,), scores=(score,), position=position)
        store.runs.keep_rows(run.id, [(position, row)])
    store.runs.finish(run_id, "2026-11-22T11:22:33+00:00")


def test_a_list_of_runs(working: Working, store: Store) -> None:
    """Model, suite, samples, headline and when; what is not whole says how much of it is there."""
    answered(store, "aaaaaaaa1", ["a", "b", "c"], [1.0, 0.0, None])
    ran(store, "bbbbbbbb1", "a", finished=False)
    code, out, _ = working.run("runs")
    assert 0 == code
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert ["aaaaaaaa", "sft", "ifeval", "3", "mc1", "0.500", "2026-11-22", "11:22"] in lines
    assert any(line[:6] == ["bbbbbbbb", "sft", "truthfulqa", "1", "of", "3"] for line in lines)
    assert "1 unscored" in out


def test_a_part_of_a_suite_is_listed_as_one(working: Working, store: Store) -> None:
    """The list and the run itself say of how many samples these are the first, as every report does."""
    asked = {REQUEST: {"at": "2026-11-22T11:22:33+00:00", "settings": {}, "rows": 817}}
    answered(store, "aaaaaaaa1", ["a"] * 20, [1.0] * 20, environment={**A_RUN.environment, **asked})
    assert "the first 20 of 817" in " ".join(working.run("runs")[1].split())
    assert "the first 20 of 817" == json.loads(working.run("runs", "--json")[1])[0]["samples"]
    assert "samples   the first 20 of 817" in working.run("runs", "show", "aaaaaaaa1")[1]


def test_a_list_for_machines(working: Working, store: Store) -> None:
    """The same as JSON, with whole ids; an id is shortened to what tells it from all others."""
    answered(store, "aaaaaaaa1", ["a"], [1.0])
    answered(store, "aaaaaaaa2", ["a"], [None])
    first, second = json.loads(working.run("runs", "--json")[1])
    assert ("aaaaaaaa1", "aaaaaaaa1", {"mc1": 1.0}, 0) == (
        first["id"],
        first["short"],
        first["headlines"],
        first["unscored"],
    )
    assert ({"mc1": None}, 1, 1) == (second["headlines"], second["unscored"], second["rows"])


def test_only_settings_that_are_not_the_suites_own_are_listed(working: Working, store: Store) -> None:
    """A length that is IFEval's is not shown, another one is; so are another seed and a missing template."""
    store.models.keep(A_RUN.model, A_RUN.fingerprint, {}, {}, None)
    for run_id, length, template, seed in (("usual", 1280, True, 0), ("other", 64, False, 3)):
        settings = {"chat_template": template, "num_fewshot": 0, "sampling": {"max_tokens": length}}
        store.runs.begin(replace(A_RUN, id=run_id, suite="ifeval", settings=settings, seed=seed))
    found = {run["id"]: run["settings"] for run in json.loads(working.run("runs", "--json")[1])}
    assert {"usual": {}, "other": {"max_tokens": 64, "chat_template": False, "seed": 3}} == found


def test_one_run_with_answers(working: Working, store: Store) -> None:
    """Conditions, numbers and the first answers in the suite's order; what cannot be seen is written out."""
    answered(store, "aaaaaaaa1", [HOSTILE, "b", "c"], [1.0, 0.0, None])
    code, out, _ = working.run("runs", "show", "aaaa", "--answers", "1")
    assert 0 == code
    for said in ("aaaaaaaa1", "sft (sha256:model)", "Question 0", "target: target 0", "mc1 1"):
        assert said in out
    assert "fine ␛[2J⟨U+202E⟩gnp.exe" in out
    assert "\x1b[2J" not in out
    assert "unscored: mc1: 1 × failed: no reply" in out
    assert "Question 1" not in out


def test_the_worst_answers_first(working: Working, store: Store) -> None:
    """`--worst`: unscored, then the lowest headline, then the suite's order."""
    answered(store, "aaaaaaaa1", ["a", "b", "c", "d"], [1.0, 0.0, 0.5, None])
    shown = json.loads(working.run("runs", "show", "a", "--worst", "-n", "3", "--json")[1])
    assert ["3", "1", "2"] == [row["sample"]["id"] for row in shown["answers"]]
    usual = json.loads(working.run("runs", "show", "a", "-n", "2", "--json")[1])
    assert ["0", "1"] == [row["sample"]["id"] for row in usual["answers"]]


def test_choices_are_shown_with_their_likelihoods(working: Working, store: Store) -> None:
    """Of a log-likelihood suite each choice stands beside its number."""
    begun(store, "run")
    sample = Sample(id="1", prompt="Which?", choices=("yes", "no"))
    chosen = tuple(LogLikelihood(logprob=value, greedy=False, tokens=1) for value in (-0.5, -1.25))
    scored = Row(sample=sample, responses=chosen, scores=(Score(metric="mc1", value=1.0),))
    store.runs.keep_rows("run", [(0, scored)])
    out = working.run("runs", "show", "run")[1]
    assert "-0.500  yes" in out
    assert "-1.250  no" in out
    assert "1 of 3" in out


@pytest.mark.parametrize("verb", ["show", "drop"])
def test_a_run_is_named_by_the_beginning_of_its_id(verb: str, working: Working, store: Store) -> None:
    """What no run begins with proposes others; what several begin with names them."""
    answered(store, "aaaaaaaa1", ["a"], [1.0])
    answered(store, "aaaaaaaa2", ["a"], [1.0])
    assert "there is no run named 'ab'" in working.complaint(2, "runs", verb, "ab")
    said = working.complaint(2, "runs", verb, "aaaa")
    assert "2 runs begin with 'aaaa'; write more of the id" in said
    assert "aaaaaaaa2 ('sft', 'ifeval')" in said


@pytest.mark.parametrize("arguments", [("runs", "show", "a"), ("runs", "drop", "a"), ("store", "verify")])
def test_looking_makes_no_store(arguments: tuple[str, ...], working: Working) -> None:
    """Where there is none yet, that is said, and none is made."""
    assert "there is no results store here yet" in working.complaint(2, *arguments)
    assert not (working.folder / "harness.db").exists()
    assert (0, "no runs yet; `harness eval` makes some\n", "") == working.run("runs")


def test_dropping_says_what_goes(working: Working, store: Store) -> None:
    """Samples, scores, answers and judgements that go with a run, and the answers that stay."""
    ran(store, "first", "a", "b")
    ran(store, "second", "b")
    preferred(store, rater="gemini", left="first", right="second")
    code, out, _ = working.run("runs", "drop", "first", "--yes")
    assert 0 == code
    assert "run first: sft on truthfulqa, begun 2026-11-22 10:00" in out
    assert "goes: 2 samples with 2 scores, 1 answer: " in out
    assert "goes: 1 preference of gemini about its answers" in out
    assert "stays: 1 answer that other runs or preferences may need" in out
    assert ["second"] == [run.id for run in store.runs.find()]


def test_dropping_asks_first(working: Working, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal only a yes drops; where nobody can be asked, the option that drops is named."""
    ran(store, "first", "a")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for reply in ("\n", "n\n", "no, wait\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(reply))
        assert "nothing was dropped" in working.run("runs", "drop", "first")[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "add --yes" in working.complaint(2, "runs", "drop", "first")
    assert {"dropped": False} == {
        key: value
        for key, value in json.loads(working.run("runs", "drop", "first", "--json")[1]).items()
        if key == "dropped"
    }
    assert 1 == len(store.runs.find())
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert "dropped; " in working.run("runs", "drop", "first")[1]
    assert [] == store.runs.find()


def test_a_run_that_a_blind_test_shows_stays(working: Working, store: Store) -> None:
    """Its sealed design names the run, and could not be unsealed without; nothing else is dropped either."""
    ran(store, "first", "a")
    ran(store, "second", "b")
    store.studies.keep(
        Study(name="blind-1", created="2026-11-22", design={"runs": {"sft": "first"}}, commitment="sha256:x")
    )
    said = working.complaint(2, "runs", "drop", "second", "first", "--yes")
    assert "run first ('sft', 'truthfulqa') cannot be dropped: the blind test 'blind-1' shows" in said
    assert 2 == len(store.runs.find())


def test_a_whole_store_is_verified(working: Working, store: Store) -> None:
    """What was checked is counted, and a good store exits with 0."""
    ran(store, "first", "a", "b")
    code, out, _ = working.run("store", "verify")
    assert 0 == code
    assert "checked 2 answers, 2 requests, 0 texts, 2 samples, 2 rows, 2 scores, 0 preferences" in " ".join(
        out.split()
    )
    assert "all as it should be" in out


def test_damage_is_found(working: Working, store: Store) -> None:
    """Every damage is a line, and the exit code is 1; the JSON has the same."""
    ran(store, "first", "a", "b")
    with sqlite3.connect(working.folder / "harness.db") as connection:
        connection.execute("UPDATE answers SET fingerprint = 'another'")
    code, out, _ = working.run("store", "verify")
    assert 1 == code
    assert "2 things wrong" in out
    code, out, _ = working.run("store", "verify", "--json")
    assert 1 == code
    found = json.loads(out)
    assert 2 == len(found["complaints"])
    assert 2 == found["checked"]["answers"]


def test_a_store_is_copied(working: Working, store: Store) -> None:
    """What is new is counted, both are compared, and the copy serves as the original does."""
    ran(store, "first", "a", "b")
    code, out, said = working.run("store", "copy", "sqlite:///harness.db", "sqlite:///copy.db")
    assert 0 == code
    assert "copy answers: 2 in" in said
    assert "harness.db → copy.db: 1 of 1 models, 2 of 2 samples, 2 of 2 answers, 1 of 1 runs new" in out
    assert "read again, and the same in both" in out
    code, out, _ = working.run("store", "copy", "sqlite:///harness.db", "sqlite:///copy.db", "--json")
    assert (0, 0, []) == (code, json.loads(out)["copied"]["new"]["answers"], json.loads(out)["differences"])


def test_what_cannot_be_copied_is_said(working: Working, store: Store) -> None:
    """No store to copy, the same store twice, and answers that contradict."""
    ran(store, "first", "a")
    assert "no results store here to copy" in working.complaint(
        2, "store", "copy", "sqlite:///no.db", "sqlite:///b.db"
    )
    assert not (working.folder / "no.db").exists()
    assert "name two stores" in working.complaint(
        2, "store", "copy", "sqlite:///harness.db", "sqlite:///harness.db"
    )
    assert "name two stores" in working.complaint(
        2,
        "store",
        "copy",
        "sqlite:///harness.db",
        f"sqlite:///{working.folder}/../{working.folder.name}/harness.db",
    )
    with Store.open("sqlite:///other.db") as other:
        other.answers.keep([kept("another", asked="a")])
    code, out, _ = working.run("store", "copy", "sqlite:///harness.db", "sqlite:///other.db")
    assert 1 == code
    assert "left out: run first of 'sft' and 'truthfulqa': the target holds other answers to 1 of its" in out
    assert "not the same: answer sha256:" in out
