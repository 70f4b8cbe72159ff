"""LaTeX tables: what stands in them, that no name can act, and that TeX takes them."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records.comparisons import Decision
from reports.board import Leaderboard
from reports.latex import PREAMBLE, differences, escaped, results
from tests.reports.boards import HOSTILE, hostile_board, reference_board

BOARD = reference_board(samples=1, label="toy world")
TEX = shutil.which("pdflatex") or shutil.which("tectonic")


def test_means_with_intervals_and_marks() -> None:
    """Two lines for each model: its means with marks against the baseline, and their intervals."""
    lines = results(BOARD).splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith(r"dpo & "))

    marks = {Decision.BETTER: r"\blacktriangle", Decision.WORSE: r"\blacktriangledown"}
    [standing] = [each for each in BOARD.standings if each.model == "dpo"]
    for cell, text in zip(
        standing.cells, lines[place].strip().removesuffix(r"\\").split(" & ")[1:], strict=False
    ):
        assert cell is not None
        assert cell.score is not None
        assert cell.comparison is not None
        assert text.startswith(f"${cell.score.value:.3f}$")
        assert (marks.get(cell.comparison.decision, "none") in text) == (cell.comparison.decision in marks)
    assert r"$0.980$\rlap{\textsuperscript{$\blacktriangle$}}" in lines[place]
    assert r"{\scriptsize $[0.964, 0.996]$}" in lines[place + 1]
    assert r"sft (baseline) & $0.945$ & $0.310$ & $0.165$ & $0.473$ \\" in results(BOARD)


def test_the_table_says_what_its_marks_mean() -> None:
    """The level, the correction, that no mark is no equality, the toy's label, and what is unscored."""
    text = results(BOARD)

    for part in (
        r"\textbf{toy world.}",
        r"Below each mean is its 95\,\% interval",
        r"$\blacktriangle$ better, $\blacktriangledown$ worse than sft",
        r"Holm's correction over all headline comparisons at 5\,\%",
        "which is not equality",
        r"3 of dpo (non\_toxic)",
        r"$n = 300$ & $n = 817$ & $n = 541$",
    ):
        assert part in text, part


def test_differences_are_the_comparisons() -> None:
    """Each comparison that a verdict rests on, with its interval and adjusted p; the smallest are one."""
    text = differences(BOARD)
    found = BOARD.verdicts[-1].comparisons[0]

    assert found.interval is not None
    assert f"${found.difference:+.3f}$ & ${found.interval:+.3f}$" in text
    assert "$<0.001$" in text
    assert 6 * 3 == len(re.findall(r"(?:worse|better|no difference shown) \\\\$", text, re.MULTILINE))


def test_no_headline_shows_all_metrics() -> None:
    """Where no suite has a headline every metric has a column, and there is no mean."""
    sections = tuple(
        replace(
            section, lines=tuple(replace(x, metric=replace(x.metric, headline=False)) for x in section.lines)
        )
        for section in BOARD.sections
    )
    text = results(replace(BOARD, sections=sections, columns=()))

    assert r"instruction\_loose" in text
    assert "Mean &" not in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a_b & c%d #1 $x {y}", r"a\_b \& c\%d \#1 \$x \{y\}"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("two\nlines --x", "two lines -{}-x"),
    ],
)
def test_names_are_escaped(name: str, shown: str) -> None:
    """What TeX would act on becomes what shows it."""
    assert shown == escaped(name)


def test_no_note_leaves_its_comment() -> None:
    """A note stands in a comment, which a line break would end."""
    board = replace(hostile_board(), notes=("one\ntwo \\immediate\\write18{x}\r\x0bthree",))

    assert all(
        line.startswith("% ") for line in results(board).splitlines() if "write18" in line or "two" in line
    )


@pytest.mark.skipif(TEX is None, reason="no pdflatex or tectonic is installed")
@pytest.mark.parametrize(
    "board", [BOARD, replace(hostile_board(), label="50 % & more_")], ids=["usual", "hostile"]
)
def test_tex_takes_it(board: Leaderboard, tmp_path: Path) -> None:
    """Both tables compile without an error and within the line, whatever the names are."""
    (tmp_path / "results.tex").write_text(results(board), encoding="utf-8")
    (tmp_path / "differences.tex").write_text(differences(board), encoding="utf-8")
    names = "\n\n".join(map(escaped, (*HOSTILE, "模型 é ł đ 🙂 – “x” −1", r"\x{}$_^&%#~")))
    document = (
        rf"\documentclass{{article}}{PREAMBLE}\begin{{document}}{names}\input{{results}}\input{{differences}}"
    )
    (tmp_path / "paper.tex").write_text(rf"{document}\end{{document}}", encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in str(TEX) else []

    done = subprocess.run(
        [str(TEX), *options, "paper.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert not done.returncode, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    assert "Overfull" not in done.stdout.partition("results.tex")[2]
