"""`harness data`: mixes listed, made, counted and kept apart from what suites ask; wrong ones explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.progress import ProgressBars
from harness.toyworld import evaluation_set
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.one]
path = "./one"

[data.answers]
rows = "demonstrations"
decontaminate = ["toy-ifeval"]
[[data.answers.sources]]
data = "answers.jsonl"

[pipelines.p]
base = "one"
[[pipelines.p.stages]]
kind = "sft"
data = "mix:answers"
epochs = 1
max_length = 256
"""


def configure(project: Working, text: str) -> None:
    """Another harness.toml."""
    (project.folder / "harness.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A project with one mix, in whose source stand a prompt that is asked in evaluation and a duplicate."""
    tiny_llama(tmp_path / "one", seed=1)
    rows = [
        {"prompt": f"Tell me about street number {number}, please.", "completion": f"It has {number} trees."}
        for number in range(12)
    ]
    contaminated = {"prompt": evaluation_set("toy-ifeval")[0]["prompt"], "completion": "no"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    working = Working(tmp_path, capsys)
    working.write("answers.jsonl", *rows, contaminated, rows[0])
    configure(working, PROJECT)
    return working


def test_mixes_are_listed_with_who_trains_on_them(project: Working) -> None:
    """Without a name; for machines too."""
    code, out, _ = project.run("data")
    assert 0 == code
    assert "answers" in out
    _, out, _ = project.run("data", "--json")
    expected = {"name": "answers", "rows": "demonstrations", "sources": ["answers.jsonl"], "used_by": ["p"]}
    assert [expected] == json.loads(out)


def test_a_project_without_mixes_says_how_to_define_one(project: Working) -> None:
    """And prints no empty table."""
    configure(project, "")
    code, out, err = project.run("data")
    assert (0, "") == (code, out)
    assert "[data.NAME]" in err


def test_a_mix_is_made_with_counts_rows_and_card(project: Working) -> None:
    """What suites ask is found, though trainers see no suite; rows and card go where they are wanted."""
    code, out, _ = project.run("data", "answers", "--output", "new/rows.parquet", "--json")
    report = json.loads(out)
    assert 0 == code
    assert 12 == report["rows"]
    assert {"toy-ifeval": 400} == report["compared"]
    assert {"shares words with toy-ifeval": 1} == report["removed"]["contaminated"]
    assert {"like an earlier row": 1} == report["removed"]["duplicates"]
    assert ["new/rows.parquet", "new/rows.md"] == report["files"]
    assert report["hash"] in (project.folder / "new" / "rows.md").read_text(encoding="utf-8")


def test_a_mix_is_shown_as_a_table(project: Working) -> None:
    """Sources with steps, reasons, and the files."""
    code, out, _ = project.run("data", "answers")
    assert 0 == code
    assert "contaminated: 1 removed: shares words with toy-ifeval" in out
    assert "card.md" in out


def test_the_same_seed_gives_the_same_rows(project: Working) -> None:
    """Made twice, it is the same to the bit."""
    report = [json.loads(project.run("data", "answers", "--json")[1]) for _ in range(2)]
    assert report[0] == report[1]


def test_by_default_rows_are_kept_apart_from_every_suite(project: Working) -> None:
    """From those of the table and the project's own; what cannot be read is said, and not passed over."""
    project.write("mine.jsonl", {"prompt": "Tell me about street number 3, please.", "target": "a"})
    own = '[suites.mine]\nprompts = "mine.jsonl"\nrule = "exact"\nlimit = 1\n'
    configure(project, PROJECT.replace('decontaminate = ["toy-ifeval"]\n', "") + own)
    _, out, _ = project.run("data", "answers", "--json")
    report = json.loads(out)
    assert {"toy-truthfulqa", "toy-ifeval", "toy-toxicity", "mine"} == set(report["compared"])
    assert {"truthfulqa", "truthfulqa-gen", "ifeval", "realtoxicityprompts", "general"} <= set(
        report["not_compared"]
    )
    assert 1 == report["removed"]["contaminated"]["shares words with mine"]
    _, out, _ = project.run("data", "answers")
    assert "note: not compared with ifeval: " in out


def test_a_suite_that_the_mix_names_must_be_readable(project: Working) -> None:
    """Somebody who asks for it by name would otherwise believe that it was done."""
    configure(project, PROJECT.replace("toy-ifeval", "ifeval"))
    code, out, err = project.run("data", "answers")
    assert (2, "") == (code, out)
    assert "google/IFEval cannot be downloaded from the hub" in err


def test_a_pipeline_trains_on_a_mix(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made when it is needed, and not again; `mix:NAME` is what the manifest names."""
    monkeypatch.setattr(ProgressBars, "training", lambda self, progress: None)
    code, out, err = project.run("train", "p", "--json")
    assert 0 == code, err
    manifest = json.loads((Path(json.loads(out)["p"]) / "manifest.json").read_text(encoding="utf-8"))
    (made,) = filter(Path.is_dir, (project.folder / "candidates" / "mixes").iterdir())
    changed = made.stat().st_mtime_ns
    assert [("mix:answers", 12)] == [(each["source"], each["rows"]) for each in manifest["data"]]
    assert json.loads((made / "mix.json").read_text())["hash"] == manifest["data"][0]["hash"]
    assert 0 == project.run("train", "p")[0]
    assert changed == made.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("section", "rows", "message"),
    [
        (None, [], "there is no mix named 'answer'; did you mean 'answers'?"),
        ("", [], "answers.jsonl: there are no rows"),
        (
            'columns = { prompt = "q", completion = "completion" }',
            [{"prompt": "a", "completion": "b"}],
            "answers.jsonl, row 1: there is no column `q`, which `columns.prompt` names; its columns are "
            "prompt, completion",
        ),
        (
            "",
            [{"prompt": "a", "completion": "b"}, {"prompt": "a"}],
            "answers.jsonl, row 2: needs `messages`, `conversations`, `prompt` and `completion`, or "
            "`instruction` and `output`; its columns are prompt",
        ),
        (
            "count = 3",
            [{"prompt": "a", "completion": f"b{number}"} for number in range(2)],
            "harness.toml: data.answers.sources[0].count: asks for 3 rows, and answers.jsonl has 2",
        ),
        (
            "",
            [{"prompt": "a", "completion": "b"}] * 3,
            "answers.jsonl: its 3 rows are all the same, 'a / b'; look at the file",
        ),
        (
            "",
            [{"prompt": "a", "completion": " "}] * 3,
            "answers.jsonl: none of its 3 rows can be used: 3 because a turn or text is empty",
        ),
    ],
)
def test_what_is_wrong_with_a_mix_is_one_message(
    project: Working, section: str | None, rows: list[dict[str, Any]], message: str
) -> None:
    """Unknown, empty, a missing column, too few rows, nothing but one row: exit code 2, and no traceback."""
    project.write("answers.jsonl", *rows)
    given = '[[data.answers.sources]]\ndata = "answers.jsonl"\n'
    configure(project, PROJECT.replace(given, f"{given}{section or ''}\n"))
    code, out, err = project.run("data", "answers" if section is not None else "answer")
    assert (2, "") == (code, out)
    assert message in err.replace("\n", " ")


def test_rows_are_written_in_known_kinds_only(project: Working) -> None:
    """The file's ending says which."""
    code, _, err = project.run("data", "answers", "-o", "rows.xml")
    assert 2 == code
    assert "rows are written as .jsonl or .parquet" in err
