"""Exports of a store that holds a bit of everything: what is in the files, and whose the numbers are."""

import csv
import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

import harness
from harness.cli import main
from harness.errors import DiskFull, UnknownName, UsageError
from harness.escape_formula import unescape_formula
from harness.records.answers import Response, Row, Sample, Score
from harness.store import Store
from harness.verbs import exporting
from harness.verbs.exporting import FORMATS
from harness.verbs.project import Project
from reports import parquet_tables
from tests.harness.kept_results import FORMULA, SCORES, TEXTS, keep_results

MODELS = tuple(SCORES)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with such a store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text("")
    keep_results(tmp_path)
    return harness.open_project()


def exported(project: Project, format_name: str, *names: str, **options: Any) -> tuple[Path, str]:
    """The folder that an export wrote, and its notes."""
    folder = Path("out", format_name)
    found = harness.export(project, names, format_name=format_name, folder=folder, **options)
    assert all(file.is_file() for file in found.files)
    assert not list(folder.rglob("*.partial"))
    return folder, "\n".join(found.notes)


def frames(project: Project, format_name: str, *names: str) -> dict[str, pd.DataFrame]:
    """The tables of an export, as pandas reads them."""
    folder, _ = exported(project, format_name, *names)
    read = pd.read_parquet if format_name == "parquet" else pd.read_csv
    return {file.stem: read(file) for file in sorted(folder.iterdir())}


# ---------------------------------------------------------------- for CI


def test_a_comparison_as_tests(project: Project) -> None:
    """A suite of tests per candidate, a test per headline; without a comparison there is nothing to test."""
    folder, _ = exported(project, "junit", *MODELS)
    root = ElementTree.fromstring((folder / "results.xml").read_text(encoding="utf-8"))
    assert [f"{model} against {MODELS[0]}" for model in MODELS[1:]] == [each.get("name") for each in root]
    assert all(len(suite) for suite in root)
    folder, _ = exported(project, "step-summary", *MODELS)
    assert (folder / "summary.md").read_text(encoding="utf-8").count("## ") == len(MODELS) - 1
    for format_name in ("junit", "step-summary"):
        with pytest.raises(UsageError, match="name the models to compare, the baseline first"):
            exported(project, format_name)


# ---------------------------------------------------------------- tables


def test_every_score_has_a_line(project: Project) -> None:
    """By sample, metric and part: bounds are no scores, judges' replies no answers, thoughts nowhere."""
    scores = frames(project, "parquet")["scores"]
    quiz = scores[(scores.suite == "quiz") & (scores.model == "x_&_y")]

    assert ["right", "words"] * 6 == list(quiz.metric)
    right = quiz[quiz.metric == "right"]
    assert list(SCORES["x_&_y"]) == [None if pd.isna(value) else value for value in right.value]
    assert ["the judge refused"] == list(right.reason.dropna())
    assert [text.replace("\ud800", "\ufffd") for text in TEXTS] == list(right.response)
    assert ["c0", "c0", "c1"] == list(right.cluster)[:3]
    draws = scores[(scores.suite == "draws") & (scores.model == "base")]
    parts = list(zip(draws.part, draws.response.fillna("of all"), strict=True))
    assert [(0, "draw 0"), (1, "draw 1"), (2, "draw 2"), (0, "of all")] == parts[:4]
    assert scores[scores.suite == "choices"].response.isna().all()
    assert ["yes", "no"] == list(
        scores[(scores.suite == "prompts:tried") & (scores.model == "base")].response
    )
    assert "hm" not in set(scores.response)


def test_csv_holds_the_same(project: Project) -> None:
    """Numbers as pandas reads them, texts but for an apostrophe before what a spreadsheet would run."""
    ours, theirs = frames(project, "parquet"), frames(project, "csv")

    assert set(ours) == set(theirs)
    numbers = ["part", "value", "position"]
    assert ours["scores"][numbers].equals(theirs["scores"][numbers])
    assert list(ours["metrics"].columns) == list(theirs["metrics"].columns)
    with Path("out/csv/scores.csv").open(newline="", encoding="utf-8") as file:
        written = [line["response"] for line in csv.DictReader(file)]
    assert "'" + FORMULA in written
    assert list(ours["scores"].response.fillna("")) == [unescape_formula(cell) for cell in written]


def test_numbers_are_the_report_s(project: Project, tmp_path: Path) -> None:
    """Means, intervals and comparisons equal the leaderboard's to the last bit, and the mean of the lines."""
    board = harness.report(project, MODELS, folder=tmp_path / "reports").board
    found = frames(project, "parquet", *MODELS)
    metrics = found["metrics"].set_index(["model", "suite", "metric"])
    count = 0
    for section in board.sections:
        for line in section.lines:
            for model, cell in zip(board.models, line.cells, strict=True):
                row = metrics.loc[(model, section.suite, line.metric.name)]
                assert cell is not None
                assert cell.score is not None
                assert cell.score.interval is not None
                assert (cell.score.value, cell.n) == (row.value, row.n)
                assert (cell.score.interval.low, cell.score.interval.high) == (row.low, row.high)
                assert sum(cell.unscored.values()) == row.unscored
                assert (cell.bounds or (None, None))[0] == (
                    None if pd.isna(row.could_be_low) else row.could_be_low
                )
                if cell.comparison is not None:
                    assert (cell.comparison.difference, cell.comparison.adjusted_p) == (
                        row.difference,
                        row.adjusted_p,
                    )
                    assert cell.comparison.decision == row.decision
                count += 1
    assert 10 == count
    assert [v.reason for v in board.verdicts] == list(found["verdicts"].reason)
    means = found["scores"].groupby(["model", "suite", "metric"])["value"].mean()
    assert means.to_dict() == pytest.approx(metrics["value"].to_dict())


def test_the_store_without_names(project: Project) -> None:
    """All whole runs, earlier ones too, marked by whether a report shows them; no verdict, no baseline."""
    with Store.open(project.registry.project.store) as store:
        [run] = store.runs.find(model="base", suite="choices")
        earlier = replace(run, id="earlier", started="2026-01-01T00:00:00+00:00", finished=None)
        store.runs.begin(earlier)
        store.runs.keep_rows("earlier", [(row.position, row) for row in store.runs.rows(run.id)])
        store.runs.finish("earlier", "2026-01-01T00:00:00+00:00")

    found = frames(project, "parquet")

    assert {"scores", "metrics", "preferences"} == set(found)
    assert found["metrics"].decision.isna().all()
    shown = found["metrics"].set_index("run")["shown"]
    assert not shown["earlier"]
    assert shown.drop("earlier").all()
    assert ["right", None] == [None if pd.isna(each) else each for each in found["preferences"].winner]
    assert "later of base: left out, its run is not whole yet" in exported(project, "csv")[1]


def test_preferences_are_read_again(project: Project) -> None:
    """The file of preferences is one of ours."""
    folder, _ = exported(project, "csv", *MODELS)

    analysis = harness.analyse_preferences_file(folder / "preferences.csv")

    assert [1] == [each.n for each in analysis.win_rates if each.kind == "judge"]


# ---------------------------------------------------------------- pages


def test_a_model_card_section(project: Project) -> None:
    """Every metric with its interval and comparison, what is unscored, and the verdict; text cannot act."""
    folder, _ = exported(project, "model-card", *MODELS)
    [file] = [file for file in folder.iterdir() if "base" not in file.name]
    text = file.read_text(encoding="utf-8")

    assert "| quiz | **right** | 0.800 [" in text
    assert "5; 1 unscored; could be " in text
    assert "words (lower is better)" in text
    assert "against base" in text
    assert "Against base: **○ NO DIFFERENCE SHOWN** – " in text
    assert "Win rate against base" in text
    assert "against" not in (folder / "README-base.md").read_text(encoding="utf-8").partition("\n\n- ")[0]


def test_eval_results_are_the_hub_s(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the hub's own reader: the headline, with n and interval in the notes; other suites are named."""
    with pytest.raises(
        UsageError, match=r"nothing to write .*quiz: left out, its samples are of no known data"
    ):
        exported(project, "eval-results", *MODELS)
    monkeypatch.setattr(
        exporting, "_known_dataset", lambda suite: ("org/quiz", "easy") if suite == "quiz" else None
    )

    folder, notes = exported(project, "eval-results", *MODELS)

    [entry] = parse_eval_result_entries(yaml.safe_load((folder / "base/.eval_results/quiz.yaml").read_text()))
    assert ("org/quiz", "easy", 0.5) == (entry.dataset_id, entry.task_id, entry.value)
    assert entry.notes is not None
    assert entry.notes.startswith("right of quiz; n = 6; 95 % interval [0.125, 0.875]; with")
    other = next(path for path in folder.iterdir() if path.name != "base")
    [entry] = parse_eval_result_entries(yaml.safe_load((other / ".eval_results/quiz.yaml").read_text()))
    assert "n = 5; " in str(entry.notes)
    assert "1 unscored and left out; could be 0.667 to 0.833" in str(entry.notes)
    assert "choices: left out" in notes


def test_own_data_are_not_the_hub_s(project: Project) -> None:
    """Samples of a file that `data` named are never published as a result on the official data set."""
    with Store.open(project.registry.project.store) as store:
        [run] = store.runs.find(model="base", suite="quiz")
    run = replace(run, suite="ifeval")
    asked: dict[str, Any] = {"at": "2026-11-22T16:00:00+00:00", "settings": {"data": None}}

    assert exporting._dataset(run) == exporting._dataset(replace(run, environment={"asked": asked}))
    asked["settings"] = {"data": "mine.jsonl"}
    assert exporting._dataset(replace(run, environment={"asked": asked})) is None


# ---------------------------------------------------------------- Every Eval Ever


def records(folder: Path, collection: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The aggregate of a run, and its instances."""
    [file] = [each for each in folder.glob(f"data/{collection}/*/*/*.json") if f"/{model}" in str(each)]
    said = json.loads(file.read_text())
    beside = folder / said["detailed_evaluation_results"]["file_path"]
    return said, [json.loads(line) for line in beside.read_text().splitlines()]


def test_an_unscored_sample_never_becomes_0(project: Project) -> None:
    """It has no instance; the aggregate counts it, and its mean is of the scored."""
    folder, notes = exported(project, "every-eval-ever", *MODELS)
    said, instances = records(folder, "quiz", "x_")

    right = [each for each in instances if each["evaluation_result_id"] == "right"]
    assert [("q0", 1.0), ("q1", 1.0), ("q3", 1.0), ("q4", 0.0), ("q5", 1.0)] == [
        (each["sample_id"], each["evaluation"]["score"]) for each in right
    ]
    [result] = [each for each in said["evaluation_results"] if each["evaluation_result_id"] == "right"]
    assert {"scores": "5", "unscored": "1", "bounds": "could be 0.667 to 0.833"} == result["score_details"][
        "details"
    ]
    assert 0.8 == result["score_details"]["score"]
    assert 5 == result["score_details"]["uncertainty"]["num_samples"]
    assert "1 score missing, without a line" in notes
    for each in ("log-likelihoods", "metadata.epoch", "thought", "is_correct", "verdicts", "preferences"):
        assert each in notes


def test_choices_and_draws_are_instances(project: Project) -> None:
    """Of choices the likeliest is the output; every draw is an instance, told apart by its epoch."""
    folder, _ = exported(project, "every-eval-ever", *MODELS)
    _, choices = records(folder, "choices", "base")
    _, draws = records(folder, "draws", "base")

    assert [["b"], ["b"], ["a"]] == [each["output"]["raw"] for each in choices]
    assert [True, True, False] == [each["evaluation"]["is_correct"] for each in choices]
    assert [("d0", "1", ["draw 0"]), ("d0", "2", ["draw 1"]), ("d0", "3", ["draw 2"])] == [
        (each["sample_id"], each["metadata"]["epoch"], each["output"]["raw"]) for each in draws[:3]
    ]
    assert ["draw 0", "draw 1", "draw 2"] == draws[3]["output"]["raw"]
    assert {"score": 0.5, "is_correct": False} == {
        key: draws[3]["evaluation"][key] for key in ("score", "is_correct")
    }


def test_the_same_run_is_the_same_file(project: Project) -> None:
    """A second export replaces the first, and leaves other files."""
    folder, _ = exported(project, "every-eval-ever")
    (folder / "mine.txt").write_text("mine")
    before = sorted(folder.rglob("*"))

    exported(project, "every-eval-ever")

    assert before == sorted(folder.rglob("*"))


# ---------------------------------------------------------------- bad input


def test_what_cannot_be_exported(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are none, an empty store, a folder that is a file: one sentence, and nothing is written."""
    for wrong, names, options in (
        ("there is no format named 'cvs'; did you mean 'csv'?", [], {"format_name": "cvs"}),
        ("there is no evaluated model named 'bose'; did you mean 'base'?", ["bose"], {}),
        ("there is no evaluated suite named 'quizz'; did you mean 'quiz'?", ["base"], {"suites": ["quizz"]}),
    ):
        with pytest.raises(UnknownName, match=re.escape(wrong)):
            harness.export(project, names, **{"format_name": "csv", "folder": Path("new"), **options})
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file: the export cannot be written here"):
        harness.export(project, format_name="csv", folder=Path("file"))
    assert not Path("new").exists()
    assert "mine" == (tmp_path / "file").read_text()
    (tmp_path / "harness.toml").write_text('[project]\nstore = "sqlite:///empty.db"\n')
    Store.open(f"sqlite:///{tmp_path}/empty.db").close()
    with pytest.raises(UsageError, match="holds no finished run"):
        harness.export(harness.open_project(), format_name="csv", folder=Path("new"))


@pytest.mark.parametrize("format_name", ["csv", "parquet", "every-eval-ever"])
def test_a_full_disk_leaves_what_was_there(
    format_name: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that ends half-way is none: the files from before stand, and no partial one does."""
    folder, _ = exported(project, format_name)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def rows(*_: object) -> Iterator[Any]:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(exporting, "_rows", rows)
    with pytest.raises(DiskFull, match="no space is left to write the export"):
        exported(project, format_name)

    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_every_format_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """What --format takes is what its help names."""
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert [name for name in FORMATS if not re.search(rf"\b{name}\b", shown)] == []


def test_the_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it wrote and what a format has no place for; for machines, as JSON."""
    with pytest.raises(SystemExit) as ended:
        main(["export", *MODELS, "--format", "every-eval-ever", "-o", "out", "-s", "quiz", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert not ended.value.code
    assert all(Path(file).is_file() for file in said["files"])
    assert 4 == len(said["files"])
    assert any("verdicts" in note for note in said["notes"])


@pytest.mark.parametrize("format_name", ["csv", "parquet", "every-eval-ever"])
def test_long_answers_are_not_held(
    format_name: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are written as they are read: much less than all of their text is in memory at any time."""
    monkeypatch.setattr(parquet_tables, "LINES_AT_ONCE", 20)
    size, count = 50_000, 400
    sample, scores = Sample(id="q", prompt="?"), (Score(metric="right", value=1.0),)

    def rows(*_: object) -> Iterator[Row]:
        for place in range(count):
            answer = Response(text=f"{place}" + "x" * size, stop_reason="end")
            yield Row(sample=sample, responses=(answer,), scores=scores, position=place)

    def export() -> None:
        exported(project, format_name, suites=["quiz"])

    export()  # what is imported and compiled once
    monkeypatch.setattr(exporting, "_rows", rows)
    tracemalloc.start()
    export()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < count * size / 4
