"""The leaderboard as Markdown, and the words all reports share."""

import re
from dataclasses import replace

import pytest

from harness.escape_controls import escape_controls
from harness.records.answers import Metric
from harness.records.comparisons import Decision
from harness.records.models import Json
from harness.store import CutAnswers
from reports.markdown import escaped, render
from reports.wording import evidence, number, percent, signed, toml
from tests.reports.boards import HOSTILE, comparison_of, hostile_board, reference_board

RIGHT = Metric(name="right", kind="binary", headline=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("grpo_dpo", "grpo_dpo"),
        ("_loud_", r"\_loud\_"),
        ("a | b", r"a \| b"),
        ("`code` *bold* ~gone~ #1", r"\`code\` \*bold\* \~gone\~ \#1"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("one\ntwo", "one two"),
        ("[x](http://e.x)", r"[x]\(http&#58;//e.x)"),
        ("www.e.x", "www&#46;e.x"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markdown_shows_exactly_the_text(text: str, shown: str) -> None:
    """Whatever Markdown would act on is escaped, and nothing else is touched."""
    assert shown == escaped(text)


def test_the_reference_table_has_the_published_means() -> None:
    """Design §1: the means of headlines, best first, come out as published."""
    board = reference_board(samples=1)

    means = {s.model: round(s.mean.value, 3) for s in board.standings if s.mean}

    assert means == {
        "grpo_dpo_mix": 0.539,
        "grpo_dpo": 0.534,
        "grpo": 0.519,
        "grpo_raw": 0.491,
        "dpo": 0.489,
        "dpo_grpo": 0.488,
        "sft": 0.473,
    }
    assert "| 1 | **grpo_dpo_mix**<br>▲ BETTER | **0.973**<br>[0.955, 0.991]" in render(board)


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    """Hostile names neither add a cell nor start a line."""
    lines = [line for line in render(hostile_board()).splitlines() if line.startswith("|")]

    cells = [line.replace(r"\|", "").count("|") for line in lines]

    assert {5, 8, 10, 4} == set(cells)
    assert not any("<script" in line or "<img" in line for line in lines)


def test_groups_stand_in_a_table_of_their_own() -> None:
    """Folded, said to be exploratory, with n, each mean with its interval, and each difference."""
    text = render(reference_board(samples=1))

    assert "Exploratory: no verdict rests on a group." in text
    assert "<summary>ifeval: instruction_loose by instruction, 25 groups</summary>" in text
    (line,) = [each for each in text.splitlines() if each.startswith("| family_0:instruction_of_kind_0 |")]
    cells = line.split(" | ")
    assert "11 in 10" == cells[1]
    assert re.fullmatch(r"\*\*0\.165\*\*<br>\[.*\]", cells[2])
    assert re.fullmatch(r"\*\*0\.193\*\*<br>\[.*\]<br>○ \+0\.028 \(\+17\.0%\)<br>\[.*\]", cells[3])
    assert "- ifeval: instruction_loose: two of them are random elsewhere." in text


def test_a_hostile_name_of_a_group_ends_nothing() -> None:
    """The title of a folded table stands within HTML: it is one line, and its markup is text."""
    (title,) = [line for line in render(hostile_board()).splitlines() if "by kind" in line]

    assert (
        "<details><summary>suite|&lt;i&gt;: right&lt;/td&gt; by kind|&lt;b&gt; , 12 groups</summary>" == title
    )


def test_no_difference_shown_comes_with_what_could_have_been_shown() -> None:
    """Silence about power would let a reader take it for equality."""
    comparison = comparison_of("tuned", "quiz", RIGHT, 0.50, 0.51, 100)

    assert comparison.decision == Decision.NO_DIFFERENCE
    assert "would have shown a difference of" in evidence(comparison)
    assert "80 % power" in evidence(comparison)


def test_scores_left_out_are_told() -> None:
    """Unscored and unpaired samples are part of the evidence."""
    comparison = replace(comparison_of("tuned", "quiz", RIGHT, 0.2, 0.6, 100), unscored=3, unpaired=1)

    assert "3 scores missing and left out. 1 sample in one run only." in evidence(comparison)


def test_what_is_unscored_is_bounded_and_why() -> None:
    """The cell says what its mean could be, and a table of its own gives the reasons, escaped."""
    text = render(hostile_board())

    assert "1 unscored<br>could be 0.500 to 0.700" in text
    [line] = [line for line in text.splitlines() if "no number&lt;/b&gt;" in line]
    assert line.endswith("| 1 × &lt;b&gt;no number&lt;/b&gt; | 0.600 | 0.500 | 0.700 |")
    assert "## What is unscored" not in render(reference_board(samples=1))


def test_cut_answers_stand_beside_the_number() -> None:
    """How many of a model's answers were cut is read with its score; of none, nothing is said."""
    board = reference_board(samples=3)
    first, *others = board.standings
    cells = (replace(first.cells[0], cut=CutAnswers(cut=17, thinking=2, answers=20)), *first.cells[1:])
    text = render(replace(board, standings=(replace(first, cells=cells), *others)))

    assert 1 == text.count("<br>17 of 20 cut, 2 of 20 cut while thinking |")
    assert 2 == len(re.findall(r"\d cut\b", text))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (["tema"], '["tema"]'),
        ("sft", '"sft"'),
        (0.5, "0.5"),
        ({"on": True, "off": None}, "{ on = true }"),
    ],
)
def test_a_setting_is_shown_as_the_file_has_it(value: Json, written: str) -> None:
    """TOML, and not Python."""
    assert written == toml(value)


def test_a_difference_always_shows_its_sign() -> None:
    """Zero included, and a minus is a minus sign."""
    assert [signed(v) for v in (0.1, 0.0, -0.1)] == ["+0.100", "+0.000", "\N{MINUS SIGN}0.100"]


def test_no_minus_stands_before_zeros() -> None:
    """What rounds to nothing has no sign of its own."""
    assert ["0.000", "+0.000", "+0.0%"] == [number(-1e-5), signed(-1e-5), percent(-1e-5)]


@pytest.mark.parametrize("text", HOSTILE)
def test_visible_text_can_be_stored_and_seen(text: str) -> None:
    """No control character, override or half character is left, so that any file can hold the result."""
    shown = escape_controls(text)

    shown.encode("utf-8")
    assert all(c.isprintable() or c in "\n\t" for c in shown)


def test_visible_leaves_ordinary_text_alone() -> None:
    """Letters of any script, emoji with joiners, tabs and line breaks stay."""
    text = "Grüße, שלום, 家族 👩‍👩‍👧\n\tindented"

    assert text == escape_controls(text)
