"""What judges and people preferred, in the leaderboards: beside the verdicts, and in their words."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.verdicts import compare_all
from harness.named_preferences import named_preferences
from harness.preferences.analysis import analyse
from harness.preferences.named import IDENTICAL
from harness.preferences.results import HUMANS, Analysis
from harness.stats.plan import AnalysisPlan
from harness.store import Store
from reports import html, markdown
from reports.board import Leaderboard, ModelPreferences
from reports.leaderboard import Compared, Heading, build
from reports.preference_tables import cells, tables
from tests.harness.preferences.kept import judged, keep_answers
from tests.harness.preferences.simulated import said
from tests.reports.boards import HOSTILE, hostile_board, latest, preferred_in, scored_of
from tests.reports.test_leaderboard import keep


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two models with a suite and answers to prompts, a judge's and two people's choices."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        keep(store, "sft", "quiz", [0, 1, 0, 1])
        keep(store, "dpo", "quiz", [1, 1, 0, 1])
        sft, dpo = (
            keep_answers(store, name, [name * (1 + i % (3 if name == "sft" else 5)) for i in range(30)])
            for name in ("sft", "dpo")
        )
        judged(
            store,
            sft,
            dpo,
            ["right"] * 24 + ["left"] * 4 + ["tie", None],
            reasons=[None] * 28 + [IDENTICAL, "refused"],
        )
        judged(store, sft, dpo, ["right"] * 20 + ["left"] * 8, rater="human:first:ana")
        judged(store, sft, dpo, ["right"] * 16 + ["left"] * 12, rater="human:first:bia")
        yield store


def board(store: Store, *, with_preferences: bool = True) -> Leaderboard:
    """The leaderboard of both, as `compare` makes it."""
    runs = latest(store, ["sft", "dpo"], ["quiz", "prompts:tried"])
    scored = scored_of(store, runs)
    return build(
        store,
        runs,
        Compared(
            baseline="sft",
            scored=scored,
            verdicts=compare_all(scored["sft"], {"dpo": scored["dpo"]}, AnalysisPlan(resamples=200)),
            preferences=analyse(named_preferences(store), AnalysisPlan(resamples=200), baseline="sft")
            if with_preferences
            else None,
        ),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )


def test_a_judge_a_human_column_and_agreement(store: Store) -> None:
    """Each with its number: 24 of 28 by the judge, 36 of 56 by people, and agreement as counted by hand."""
    text = markdown.render(board(store))

    [head] = [line for line in text.splitlines() if line.startswith("| # |")]
    [dpo] = [line for line in text.splitlines() if "**dpo**<br>" in line]
    assert head.endswith("| mean | judge | humans | agreement |")
    judge, humans, agreement = dpo.split(" | ")[-3:]
    assert judge.startswith("▲ 0.857<br>[")
    assert humans.startswith("○ 0.643<br>[")
    # people follow the judge's 24 in 20 and 16, and its 4 in all: 44 of 56; among themselves 24 of 28
    assert re.match(r"judge–human 0\.786, κ 0\.\d{3}<br>human–human 0\.857, κ 0\.\d{3} \|", agreement)


def test_a_verdict_does_not_rest_on_preferences(store: Store) -> None:
    """Verdicts and ranks are the same with and without, and the report says so."""
    with_them, without = board(store), board(store, with_preferences=False)

    assert without.verdicts == with_them.verdicts
    assert [(each.model, each.rank) for each in without.standings] == [
        (each.model, each.rank) for each in with_them.standings
    ]
    assert "It stands beside the verdicts and changes none of them" in markdown.render(with_them)
    assert "## Preferences" not in markdown.render(without)
    assert "judge" not in markdown.render(without)


def test_answers_without_metrics_are_no_suite(store: Store) -> None:
    """Prompts that nobody scores make no section and no column; their conditions are shown."""
    made = board(store)

    assert ["quiz"] == [section.suite for section in made.sections]
    assert ["quiz"] == [column.suite for column in made.columns]
    assert {"quiz", "prompts:tried"} == {run.suite for run in made.runs}


def test_the_tables_hold_everything(store: Store) -> None:
    """Who is preferred, judges corrected, biases, agreement: each by rater, with what was left out."""
    analysis = board(store).preferences
    assert analysis is not None

    found = {table.title: table for table in tables(analysis)}

    assert {
        "Who is preferred",
        "Judges corrected by people",
        "What else moved the raters",
        "How far raters agree",
        "How far all of them agree",
    } == set(found)
    who = {row[1]: row for row in found["Who is preferred"].rows}
    assert ["judge:gpt", "human:first:ana", "human:first:bia", HUMANS] == list(who)
    assert ("24 / 0 / 4", "1 identical; 1 × refused; could be 0.828 to 0.862", "▲ BETTER") == (
        who["judge:gpt"][3],
        who["judge:gpt"][4],
        who["judge:gpt"][6],
    )
    for table in found.values():
        assert {len(table.head)} == {len(row) for row in table.rows}


def test_several_judges_are_told_apart(store: Store) -> None:
    """Without a jury each has its line; a jury stands for its judges."""
    analysis = analyse(
        [*said(["right"] * 3, "judge:a", kind="judge"), *said(["left"] * 3, "judge:b", kind="judge")],
        AnalysisPlan(resamples=50),
    )
    of_two = ModelPreferences(
        judges=analysis.judges("dpo"), humans=None, agreements=(None, None), among_humans=None
    )

    judges, humans, agreement = cells(of_two)

    assert ["judge:a:", "○ 1.000", "judge:b:", "○ 0.000"] == [each for each in judges if "[" not in each]
    assert (["–"], ["–"]) == (humans, agreement)
    assert (["–"],) * 3 == cells(None)


def test_the_page_shows_the_same(store: Store) -> None:
    """Columns, a section with every table, and a link to it."""
    page = html.render(board(store))

    assert '<a href="#preferences">Preferences</a>' in page
    for title in ("Judge", "Humans", "Agreement"):
        assert f'<th role="columnheader" scope="col" class="figure">{title}</th>' in page
    assert "<h3>Judges corrected by people</h3>" in page
    assert '<span class="line">human–human 0.857' in page
    assert 'id="preferences"' not in html.render(board(store, with_preferences=False))


def hostile() -> Leaderboard:
    """A board whose models, raters and reasons are hostile text."""
    base, candidate = hostile_board().models
    ties = [
        replace(each, rater=f"{text} judge", reason=f"{text} reason", kind="judge")
        for text in HOSTILE
        for each in said(["right", None], left=base, right=candidate)
    ]
    analysis: Analysis = analyse(
        [*ties, *said(["right"], HOSTILE[0], left=base, right=candidate)], AnalysisPlan(resamples=20)
    )
    return preferred_in(hostile_board(), analysis)


def test_hostile_names_and_reasons_stay_text() -> None:
    """A rater's name or a judge's reason ends no cell, starts no tag and becomes no link."""
    text, page = markdown.render(hostile()), html.render(hostile())

    assert not re.search(r"<script|<img", text)
    assert "https://" not in text
    for line in text.splitlines():
        if line.startswith("| ") and " judge" in line and "vs" in line:
            assert line.replace(r"\|", "").count("|") in (6, 7, 8)
    assert "<script>alert" not in page
    assert "<img" not in page
