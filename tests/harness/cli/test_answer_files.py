"""Answers that are in files already, as a model like others: asked, compared, judged and reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.working import Working

PROJECT = """
[models.left]
answers = "left.jsonl"

[models.right]
answers = ["right", "more.json"]

[models.scored]
answers = "scored.jsonl"

[suites.capitals]
prompts = "capitals.jsonl"
rule = "contains"

[suites.draws]
prompts = "capitals.jsonl"
rule = "contains"
samples = 3
temperature = 1.0
stop = ["!"]

[suites.choices]
prompts = "choices.jsonl"
rule = "choice"

[compare]
suites = ["capitals"]
"""
CAPITALS = {"France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Greece": "Athens", "Japan": "Tokyo"}


def question(country: str) -> str:
    """What is asked about it."""
    return f"What is the capital of {country}?"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """Two models' answers to five questions: by prompt, by id, with blanks, and one missing."""
    monkeypatch.chdir(tmp_path)
    working = Working(tmp_path, capsys)
    (tmp_path / "harness.toml").write_text(PROJECT)
    working.write(
        "capitals.jsonl",
        *(
            {"id": f"q{place}", "prompt": question(country), "target": capital}
            for place, (country, capital) in enumerate(CAPITALS.items())
        ),
    )
    working.write(
        "left.jsonl",
        *(
            {"prompt": question(country), "response": f"It is {capital}."}
            for country, capital in CAPITALS.items()
        ),
    )
    (tmp_path / "right").mkdir()
    working.write(
        "right/answers.jsonl",
        {"prompt": f"{question('France')}\n", "response": "<think>Hm.</think>Paris"},
        {"id": "q1", "output": "Lisbon"},
        {"prompt": question("Italy"), "response": "Rome", "stop_reason": "length"},
        {"prompt": "And of Norway?", "response": "Oslo"},
    )
    turns = [
        {"role": "user", "content": question("Greece")},
        {"role": "assistant", "content": "Athens"},
    ]
    working.write("more.json", json.dumps([{"messages": turns}]))
    choices = ["yes", "no"]
    working.write(
        "choices.jsonl",
        *({"prompt": f"Q: Is {n} even?\nA:", "choices": choices, "target": choices[n % 2]} for n in range(4)),
    )
    working.write(
        "scored.jsonl",
        *({"prompt": f"Q: Is {n} even?\nA:", "choices": choices, "logprobs": [-1.0, -2.0]} for n in range(3)),
    )
    return working


def means(project: Working, *arguments: str) -> dict[str, tuple[Any, int, int]]:
    """Value, number and unscored of each model's headline."""
    code, out, err = project.run("eval", *arguments, "--json")
    assert code == 0, err
    return {line["model"]: (line["value"], line["n"], line["unscored"]) for line in json.loads(out)}


def test_answers_are_asked_like_a_model(project: Working) -> None:
    """What has no answer is unscored and nothing else; how prompts were found is said."""
    assert means(project, "left", "right", "-s", "capitals") == {"left": (1.0, 5, 0), "right": (0.75, 4, 1)}
    texts = [row.responses[0] for row in project.rows("right", "capitals")]
    assert [each.text for each in texts] == ["Paris", "Lisbon", "Rome", "Athens", ""]  # type: ignore[union-attr]
    assert texts[0].thought == "Hm."  # type: ignore[union-attr]
    assert texts[4].unanswered == "absent: right, more.json has no answer to it"  # type: ignore[union-attr]

    code, out, err = project.run("eval", "right", "-s", "capitals")
    said = " ".join(out.split())
    assert code == 0, err
    for part in (
        "the answers of right to capitals are from a file (right, more.json), as they stand",
        "5 requests: 2 by prompt, 1 after trimming white space, 1 by id, 1 without an answer",
        "; 1 answer to prompts that nobody asked",
    ):
        assert part in said


def test_a_corrected_file_is_another_state_of_the_model(project: Working) -> None:
    """Its old answers are never served, and an unchanged file is not read again."""
    means(project, "right", "-s", "capitals")
    before = project.answers()
    means(project, "right", "-s", "capitals")
    assert before == project.answers()
    project.write(
        "more.json",
        json.dumps([{"prompt": question(name), "response": "Tokyo"} for name in ("Greece", "Japan")]),
    )
    assert means(project, "right", "-s", "capitals") == {"right": (0.6, 5, 0)}
    assert len(project.runs()) == 2


def test_verdict_and_reports_say_where_answers_are_from(project: Working) -> None:
    """A comparison of answers from files is one like any other, and conditions of machines are none."""
    code, out, err = project.run("compare", "left", "right")
    assert code == 0, err
    said = " ".join(out.split())
    assert "right against left: NO DIFFERENCE SHOWN" in said
    assert "device" not in said
    page = (project.folder / "reports/leaderboard.md").read_text()
    assert page.count("are from a file") == 2
    code, out, _ = project.run("compare", "left", "right", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["loads"] == []


def test_several_draws(project: Working) -> None:
    """Each has its own answer, up to the first stop string; of too few, some are absent."""
    project.write(
        "left.jsonl",
        *(
            {"prompt": question(country), "responses": [f"{capital}! No: Oslo", "Oslo", capital][:number]}
            for number, (country, capital) in zip((3, 3, 2, 1, 3), CAPITALS.items(), strict=True)
        ),
    )
    means(project, "left", "-s", "draws")
    rows = project.rows("left", "draws")
    assert [each.text for each in rows[0].responses] == ["Paris", "Oslo", "Paris"]  # type: ignore[union-attr]
    assert [each.unanswered for each in rows[3].responses] == [  # type: ignore[union-attr]
        None,
        *["absent: left.jsonl has 1 answer to it, and not one more"] * 2,
    ]


def test_log_likelihoods_of_choices(project: Working) -> None:
    """Where the file has them; where it has none at all, a suite that needs them says so."""
    assert means(project, "scored", "-s", "choices") == {"scored": (pytest.approx(2 / 3), 3, 1)}
    assert "files of answers with `choices` and their `logprobs`" in project.complaint(
        2, "eval", "left", "-s", "choices"
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('answers = "none.jsonl"', "model 'm': HERE/none.jsonl: there is no such file or folder of answers"),
        ("answers = []", "models.m.answers"),
        ('answers = "left.jsonl"\nsystem = "Be brief."', "models.m.system: unknown key"),
        ('answers = "left.jsonl"\ngenerator = "gpt4"', None),
        (
            'answers = "twice.jsonl"',
            "HERE/twice.jsonl, row 2: answers what twice.jsonl, row 1 answers, and otherwise",
        ),
        ('answers = "half.jsonl"', "HERE/half.jsonl, row 2: "),
    ],
)
def test_mistakes(project: Working, section: str, message: str | None) -> None:
    """Each is a sentence, and nothing is kept."""
    (project.folder / "harness.toml").write_text(f"{PROJECT}\n[models.m]\n{section}\n")
    project.write("twice.jsonl", {"prompt": "p", "response": "a"}, {"prompt": "p", "response": "b"})
    project.write("half.jsonl", {"prompt": "p", "response": "a"}, '{"prompt": "q", "respo')
    if message is None:  # rows that do not say whose they are
        assert means(project, "m", "-s", "capitals") == {"m": (1.0, 5, 0)}
        return
    assert message in project.complaint(2, "eval", "m", "-s", "capitals")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_answers_are_judged_and_rated_like_others(project: Working) -> None:
    """Prompts of two answer files make a blind test."""
    none = [part for option in ("overlap", "repeats", "checks") for part in (f"--{option}", "0")]
    asked = ["--prompts", "capitals.jsonl", "--name", "study", "--raters", "anna", "--per-rater", "3"]
    code, out, err = project.run("blind", "new", "left", "right", *asked, *none, "--json")
    assert code == 0, err
    assert json.loads(out)


def test_one_request_has_one_answer(project: Working) -> None:
    """A prompt under two ids with two answers is unscored and said: what was asked does not tell which."""
    project.write("capitals.jsonl", *({"id": name, "prompt": "p", "target": name} for name in ("x", "y")))
    project.write("left.jsonl", *({"id": name, "response": name} for name in ("x", "y")))
    assert means(project, "left", "-s", "capitals") == {"left": (None, 0, 2)}


def test_an_id_does_not_stand_for_another_prompt(project: Working) -> None:
    """A running number that happens to be a suite's id is no answer to that sample."""
    project.write(
        "left.jsonl",
        {"id": "q0", "prompt": question("Spain"), "response": "Madrid"},
        {"id": "q1", "prompt": "Something else", "response": "junk"},
        {"id": "q2", "prompt": f"Answer briefly. {question('Italy')}", "response": "Rome"},
    )
    assert means(project, "left", "-s", "capitals") == {"left": (1.0, 2, 3)}


def test_the_doctor_reads_them(project: Working) -> None:
    """There are no weights to look at; a file that is not there is found."""
    assert "is answers in files, which can be read" in project.complaint(2, "doctor", "left")
    (project.folder / "left.jsonl").unlink()
    assert "there is no such file or folder of answers" in project.complaint(2, "doctor", "left")


def test_what_the_store_has_is_counted_too(project: Working) -> None:
    """Whoever asks more after a few, or another suite of the same prompts, learns of all of them."""
    means(project, "left", "-s", "capitals", "--limit", "2")
    assert project.run("eval", "left", "-s", "capitals")[0] == 0
    (project.folder / "harness.toml").write_text(
        PROJECT.replace("[suites.capitals]", "[suites.towns]")
        + """
[suites.capitals]
prompts = "capitals.jsonl"
rule = "contains"
"""
    )
    for suite in ("capitals", "towns"):
        _, out, _ = project.run("eval", "left", "-s", suite)
        said = " ".join(out.split())
        assert f"the answers of left to {suite} are from a file" in said
        assert "5 requests: 5 by prompt" in said
