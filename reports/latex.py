"""The leaderboard as LaTeX tables for a paper: `results.tex`, and with candidates `differences.tex`.

Each is a `table` of booktabs with what its marks mean below it, and is shrunk where it is wider than a line.
Every piece of other people's text goes through `escaped`.
"""

import re
from collections.abc import Iterator, Sequence

from harness.escape_controls import escape_controls
from harness.records.comparisons import Comparison, Decision, Interval
from reports.board import Cell, Leaderboard, MetricLine, ShownEstimate
from reports.conditions import moment
from reports.exported import Exported
from reports.whole_files import WholeFiles
from reports.wording import count, number, signed

PREAMBLE = r"\usepackage{amssymb,booktabs,graphicx}"
"""What a document needs for these tables."""
MARKS = {
    Decision.BETTER: r"$\blacktriangle$",
    Decision.WORSE: r"$\blacktriangledown$",
    Decision.NO_DIFFERENCE: "",
    Decision.NOT_COMPARABLE: r"$\oslash$",
}
SMALLEST_P = 0.001
"""Smaller ones are not told apart."""
DASH = "--"

_SPECIAL = {
    **{each: f"\\{each}" for each in "&%$#_{}"},
    **dict.fromkeys("\n\t", " "),
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\char96{}",
    "'": r"\char39{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MATHEMATICAL LEFT ANGLE BRACKET}": r"\textless{}",
    "\N{MATHEMATICAL RIGHT ANGLE BRACKET}": r"\textgreater{}",
}
_SPECIALS = re.compile(f"[{re.escape(''.join(_SPECIAL))}]|-(?=-)")
_BEYOND_PDFLATEX = re.compile(
    "[^\x00-\u017f\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2022]|[«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ]"
)
"""What pdfLaTeX has no letter for in its usual encoding (tried with TeX Live 2022)."""


def escaped(text: str) -> str:
    """`text` as LaTeX that shows these characters, on one line.

    pdfLaTeX shows the code points of those that it has no letter for; XeLaTeX and LuaLaTeX the characters.
    """
    shown = _SPECIALS.sub(lambda found: _SPECIAL.get(found[0], f"{found[0]}{{}}"), escape_controls(text))
    return _BEYOND_PDFLATEX.sub(_if_known, shown)


def _if_known(found: re.Match[str]) -> str:
    """The character where the engine reads Unicode, and its code point elsewhere."""
    return rf"{{\ifdefined\Umathchar {found[0]}\else U+{ord(found[0]):04X}\fi}}"


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """`results.tex` has each model's means, `differences.tex` what each comparison found."""
    board = exported.board()
    files.write("results.tex", results(board))
    if board.verdicts:
        files.write("differences.tex", differences(board))
    return (f"a document needs {PREAMBLE} before it takes the tables with \\input",)


# ---------------------------------------------------------------- means


def results(board: Leaderboard) -> str:
    """Every model's means on the headline metrics, or on all where no suite has a headline."""
    shown = _shown(board)
    with_mean = len(board.columns) > 1
    head = [
        ["Model", *(escaped(suite) for suite, _ in shown), *(["Mean"] if with_mean else [])],
        ["", *(_metric(line) for _, line in shown), *([""] if with_mean else [])],
        ["", *(_n(line) for _, line in shown), *([""] if with_mean else [])],
    ]
    means = {standing.model: standing.mean for standing in board.standings}
    rows = []
    for place, model in enumerate(board.models):
        cells = [line.cells[place] for _, line in shown]
        last = [means[model]] if with_mean else []
        name = f"{escaped(model)}{' (baseline)' if board.verdicts and model == board.baseline else ''}"
        rows.append(
            [
                [name, *map(_mean, cells), *map(_value, last)],
                ["", *(_interval(cell.score if cell else None) for cell in cells), *map(_interval, last)],
            ]
        )
    level = _level(board, shown)
    caption = f"Means{f' with {level} intervals' if level else ''}."
    return _table(board, "results", caption, f"l{'r' * (len(head[0]) - 1)}", head, rows, _about_means(board))


def _shown(board: Leaderboard) -> list[tuple[str, MetricLine]]:
    """The suites and metrics that get a column."""
    lines = [(section.suite, line) for section in board.sections for line in section.lines]
    return [(suite, line) for suite, line in lines if line.metric.headline] or lines


def _metric(line: MetricLine) -> str:
    return escaped(line.metric.name) + ("" if line.metric.higher_is_better else r" $\downarrow$")


def _n(line: MetricLine) -> str:
    """How many samples the means are of; models can differ."""
    found = [cell.n for cell in line.cells if cell is not None]
    low, high = (count(each).replace(",", "{,}") for each in (min(found), max(found)))
    return f"$n = {low}$" if low == high else f"$n = {low}$--${high}$"


def _mean(cell: Cell | None) -> str:
    """The mean, and its mark in no width, so that digits stand below each other."""
    if cell is None:
        return DASH
    mark = MARKS[cell.comparison.decision] if cell.comparison else ""
    return _value(cell.score) + (rf"\rlap{{\textsuperscript{{{mark}}}}}" if mark else "")


def _value(estimate: ShownEstimate | None) -> str:
    return DASH if estimate is None else _math(number(estimate.value))


def _interval(estimate: ShownEstimate | None) -> str:
    found = estimate and estimate.interval
    return rf"{{\scriptsize {_math(number(found))}}}" if found else ""


def _math(words: str) -> str:
    return f"${words}$".replace("\N{MINUS SIGN}", "-")


def _about_means(board: Leaderboard) -> Iterator[str]:
    shown = _shown(board)
    if level := _level(board, shown):
        yield f"Below each mean is its {level} interval; samples that share a prompt count as one."
    compared = [cell.comparison for _, line in shown for cell in line.cells if cell and cell.comparison]
    yield from _about_marks(board, compared)
    if len(board.columns) > 1:
        yield "The mean over the columns is not tested."
    if not all(line.metric.higher_is_better for _, line in shown):
        yield r"$\downarrow$: lower is better."
    yield from _scorers(board)
    yield from _unscored(board, shown)


def _scorers(board: Leaderboard) -> Iterator[str]:
    for column in board.columns:
        if column.scorer:
            yield f"{escaped(column.metric.name)} is by {escaped(column.scorer)}."


def _unscored(board: Leaderboard, shown: Sequence[tuple[str, MetricLine]]) -> Iterator[str]:
    missing = [
        f"{count(sum(cell.unscored.values()))} of {escaped(model)} ({escaped(line.metric.name)})"
        for _, line in shown
        for model, cell in zip(board.models, line.cells, strict=True)
        if cell is not None and cell.unscored
    ]
    if missing:
        yield f"Unscored, and left out of the means: {', '.join(missing)}."


# ---------------------------------------------------------------- differences


def differences(board: Leaderboard) -> str:
    """Every comparison that a verdict rests on, and those with a margin; else all."""
    found = [c for verdict in board.verdicts for c in verdict.comparisons]
    listed = [c for c in found if c.metric.headline or c.metric.margin is not None] or found
    titles = ("Model", "Suite", "Metric", "Baseline mean", "Mean", "Difference", "Interval", "$p$", "$n$", "")
    candidates = dict.fromkeys(comparison.candidate for comparison in listed)
    rows = [_differences_of([c for c in listed if c.candidate == name]) for name in candidates]
    level = next((c.interval.level for c in listed if c.interval), None)
    caption = f"Paired differences to {escaped(board.baseline)}"
    caption += f" with {_percent(level)} intervals." if level is not None else "."
    return _table(board, "differences", caption, "lllrrrrrrl", [list(titles)], rows, _about_p(board, listed))


def _differences_of(found: Sequence[Comparison]) -> list[list[str]]:
    """A candidate's lines, with its name in the first."""
    names = [escaped(found[0].candidate), *[""] * (len(found) - 1)]
    return [[name, *_difference(comparison)] for name, comparison in zip(names, found, strict=True)]


def _difference(found: Comparison) -> list[str]:
    margin = found.non_inferiority
    p = found.adjusted_p if margin is None else margin.adjusted_p
    return [
        *(escaped(found.suite), escaped(found.metric.name)),
        *(
            DASH if mean is None else _math(number(mean))
            for mean in (found.baseline_mean, found.candidate_mean)
        ),
        DASH if found.difference is None else _math(signed(found.difference)),
        _math(signed(found.interval)) if found.interval else DASH,
        DASH if p is None else f"$<{SMALLEST_P}$" if p < SMALLEST_P else f"${p:.3f}$",
        count(found.n),
        _decision(found),
    ]


def _decision(found: Comparison) -> str:
    if found.non_inferiority is not None:
        margin = found.non_inferiority
        return f"{margin.decision.lower()} (margin ${margin.margin:g}$)"
    return f"{MARKS[found.decision]} {found.decision.lower()}".strip()


def _about_p(board: Leaderboard, listed: Sequence[Comparison]) -> Iterator[str]:
    yield "Model minus baseline, over the samples that both were scored on; the means are over these."
    yield from _about_marks(board, listed)
    if any(c.non_inferiority for c in listed):
        yield "With a margin, $p$ is one-sided, of a loss as large as the margin or larger."
    forced = dict.fromkeys(note for c in listed for note in c.notes if note.startswith("forced: "))
    if forced:
        yield f"Compared although conditions differ: {escaped('; '.join(forced).replace('forced: ', ''))}."


# ---------------------------------------------------------------- a table


def _about_marks(board: Leaderboard, compared: Sequence[Comparison]) -> Iterator[str]:
    """What the marks mean that comparisons have."""
    tested = [c for c in compared if c.adjusted_p is not None]
    if tested:
        families = " and ".join(dict.fromkeys(c.family for c in tested))
        better, worse = MARKS[Decision.BETTER], MARKS[Decision.WORSE]
        alpha = _percent(1 - tested[0].interval.level) if tested[0].interval else ""
        yield (
            f"{better} better, {worse} worse than {escaped(board.baseline)}: the paired difference survives "
            f"Holm's correction over all {escaped(families)} comparisons at {alpha}, and its interval "
            "excludes 0. No mark: no difference is shown, which is not equality."
        )
    if any(c.decision is Decision.NOT_COMPARABLE for c in compared):
        yield f"{MARKS[Decision.NOT_COMPARABLE]}: not comparable with {escaped(board.baseline)}."


def _level(board: Leaderboard, shown: Sequence[tuple[str, MetricLine]]) -> str | None:
    """The level of the means' intervals, in words."""
    intervals: list[Interval] = [
        cell.score.interval
        for _, line in shown
        for cell in line.cells
        if cell is not None and cell.score is not None and cell.score.interval is not None
    ]
    return _percent(intervals[0].level) if intervals else None


def _percent(share: float) -> str:
    return rf"{round(100 * share, 9):g}\,\%"


def _table(
    board: Leaderboard,
    name: str,
    caption: str,
    columns: str,
    head: Sequence[Sequence[str]],
    rows: Sequence[Sequence[Sequence[str]]],
    notes: Iterator[str],
) -> str:
    """A table whose rows can have several lines."""
    comments = [f"Made {moment(board.created)}. Needs {PREAMBLE}."]
    comments += [f"note: {note}" for note in board.notes]
    below = [rf"\textbf{{{escaped(board.label)}.}}"] if board.label else []
    blocks = ["\n".join(f"    {_line(line)}" for line in lines) for lines in rows]
    several = any(len(lines) > 1 for lines in rows)
    return "\n".join(
        [
            *(f"% {' '.join(escape_controls(comment).split())}" for comment in comments),
            r"\begin{table}[t]",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \label{{tab:harness-{name}}}",
            r"  \smallskip",
            r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            *(f"    {_line(line)}" for line in head),
            r"    \midrule",
            ("\n    \\addlinespace\n" if several else "\n").join(blocks),
            r"    \bottomrule",
            r"  \end{tabular}}",
            r"  \par\smallskip",
            rf"  \parbox{{\linewidth}}{{\footnotesize {' '.join([*below, *notes])}}}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
