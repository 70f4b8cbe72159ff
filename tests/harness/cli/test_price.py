"""General ability from the command line: asked, compared against a margin, and read against another later."""

import dataclasses
import json
from pathlib import Path

import pytest

from harness.cli.compare import FailOn, exit_code
from harness.comparison.verdicts import compare_all
from harness.records.comparisons import Comparison, Decision
from tests.harness.cli.test_cli import run
from tests.harness.test_non_inferiority import ASKED, KEPT, flipped, scored
from tests.suites.general_rows import GENERAL
from tests.suites.rows import write_rows
from tests.tiny_models import tiny_llama

PROJECT = """
[models.one]
path = "./one"

[models.two]
path = "./two"

[suites.general]
margin = {margin}
tasks = ["piqa", "winogrande"]

[suites.general.data]
piqa = "piqa.jsonl"
winogrande = "winogrande.jsonl"

[compare]
suites = ["general"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tiny models and small rows of two tasks."""
    tiny_llama(tmp_path / "one", seed=1)
    tiny_llama(tmp_path / "two", seed=2)
    for task in ("piqa", "winogrande"):
        write_rows(tmp_path / f"{task}.jsonl", GENERAL[task])
    (tmp_path / "harness.toml").write_text(PROJECT.format(margin=0.02))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def losses(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What the last command printed about each task."""
    (verdict,) = json.loads(capsys.readouterr().out)["verdicts"]
    return [comparison["loss"] for comparison in verdict["comparisons"]]


def test_the_price_is_printed_and_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table in the terminal and in both reports; few samples leave it undecided, and say so."""
    assert 0 == run("compare", "one", "two")
    shown = capsys.readouterr().out
    assert "the price of alignment" in shown
    assert "general piqa" in shown
    assert "two against one: UNDECIDED" in " ".join(shown.split())
    assert "price undecided on general (piqa, winogrande)" in " ".join(shown.split())
    for name, title in (("leaderboard.md", "## The price of"), ("leaderboard.html", 'id="price"')):
        assert title in (project / "reports" / name).read_text("utf-8")


def test_the_keys_of_a_comparison_stay(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read them, whatever the fields of the record are called."""
    assert 0 == run("compare", "one", "two", "--json")
    (verdict,) = json.loads(capsys.readouterr().out)["verdicts"]
    fields = {field.name for field in dataclasses.fields(Comparison)}
    renamed = {"detectable_difference", "difference_bounds", "non_inferiority", "equal_answers"}
    kept = {"detectable", "could_be", "loss", "alike"}
    assert [fields - renamed | kept] * 2 == [each.keys() for each in verdict["comparisons"]]


def test_another_margin_asks_nothing_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The margin is how results are read: `report` reads the same runs against another."""
    assert 0 == run("compare", "one", "two", "--json")
    assert {0.02} == {loss["margin"] for loss in losses(capsys)}
    (project / "harness.toml").write_text(PROJECT.format(margin=0.1))
    (project / "one").rename(project / "gone")
    assert 0 == run("report", "one", "two", "--json")
    assert [0.1, 0.1] == [loss["margin"] for loss in losses(capsys)]


@pytest.mark.parametrize(("lost", "failing"), [(150, 1), (10, 0)])
def test_fail_on_worse_looks_at_the_price(lost: int, failing: int) -> None:
    """A candidate that is better on its headline and pays too much for it fails, where that is asked for."""
    price, headline = flipped(1000, 10, lost), flipped(1000, 150, 10)
    (verdict,) = compare_all(
        [scored("base", {KEPT: price[0], ASKED: headline[0]})],
        {"tuned": [scored("tuned", {KEPT: price[1], ASKED: headline[1]})]},
    )
    assert Decision.BETTER == verdict.decision
    assert failing == exit_code([verdict], FailOn.WORSE)
    assert 0 == exit_code([verdict], FailOn.NOT_BETTER)
    assert 0 == exit_code([verdict], None)


def test_an_undecided_price_fails_nothing(project: Path) -> None:
    """Few samples are no loss."""
    assert 0 == run("compare", "one", "two", "--fail-on", "worse")
