"""What is known of a model, as a section for its model card: `README-MODEL.md`."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from harness.records.answers import Run
from reports.board import Cell, Leaderboard, MetricLine, Standing
from reports.conditions import duration, environments, moment, samples, settings, short
from reports.exported import Exported, file_name
from reports.markdown import as_table, details, escaped
from reports.preference_tables import cells
from reports.whole_files import WholeFiles
from reports.wording import could_be, count, cut_short, marked, number, price, signed

READING = (
    "A score is a mean with its interval over samples; a difference is paired, over the samples that both "
    "models were scored on, and decided after Holm's correction. No difference shown is not equality. "
    "Intervals do not cover training again with another seed."
)


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """One file for each model."""
    board = exported.board()
    for model in board.models:
        files.write(f"README-{file_name(model)}.md", section(board, model))
    return ()


def section(board: Leaderboard, model: str) -> str:
    """The section of one model of a leaderboard."""
    standing = next(each for each in board.standings if each.model == model)
    runs = [run for run in board.runs if run.model == model]
    parts = [
        "## Evaluation",
        *([f"> **{escaped(board.label)}**"] if board.label else []),
        f"By `harness` {version('harness')}, {moment(board.created)}.",
        _scores(board, model),
        *_verdict(standing),
        *_preferred(board, standing),
        *_warnings(board),
        READING,
        *_conditions(runs),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(board: Leaderboard, model: str) -> str:
    against = model != board.baseline and bool(board.verdicts)
    head = ["suite", "metric", "score", "n", *([f"against {escaped(board.baseline)}", ""] if against else [])]
    place = board.models.index(model)
    rows = [
        _row(section.suite, line, cell, against=against)
        for section in board.sections
        for line in section.lines
        if (cell := line.cells[place]) is not None
    ]
    return as_table(head, rows, numbers_from=2)


def _row(suite: str, line: MetricLine, cell: Cell, *, against: bool) -> list[str]:
    name = escaped(line.metric.name)
    metric = f"**{name}**" if line.metric.headline else name
    direction = "" if line.metric.higher_is_better else " (lower is better)"
    return [
        escaped(suite),
        f"{metric}{direction}",
        _score(cell),
        _n(cell),
        *(_against(cell) if against else []),
    ]


def _score(cell: Cell) -> str:
    if cell.score is None:
        return "–"
    interval = cell.score.interval
    return number(cell.score.value) + (f" {number(interval)}" if interval else "")


def _n(cell: Cell) -> str:
    missing = sum(cell.unscored.values())
    asides = [
        *([f"{count(missing)} unscored"] if missing else []),
        *([could_be(cell.bounds)] if cell.bounds else []),
        *([cut_short(cell.cut)] if cell.cut else []),
    ]
    return "; ".join([count(cell.n), *asides])


def _against(cell: Cell) -> list[str]:
    if cell.comparison is None:
        return ["–", ""]
    found = cell.difference
    difference = "–"
    if found is not None:
        difference = signed(found.value) + (f" {signed(found.interval)}" if found.interval else "")
    priced = cell.comparison.metric.margin is not None
    return [difference, price(cell.comparison) if priced else marked(cell.comparison.decision)]


def _verdict(standing: Standing) -> Iterator[str]:
    if standing.verdict is not None:
        verdict = standing.verdict
        decision = f"**{marked(verdict.decision)}**"
        yield f"Against {escaped(verdict.baseline)}: {decision} – {escaped(verdict.reason)}."


def _preferred(board: Leaderboard, standing: Standing) -> Iterator[str]:
    if standing.preferred is not None:
        judges, humans, _ = (" ".join(lines) for lines in cells(standing.preferred))
        yield (
            f"Win rate against {escaped(board.baseline)}, ties half: judges {escaped(judges)}; "
            f"humans {escaped(humans)}."
        )


def _warnings(board: Leaderboard) -> Iterator[str]:
    notes = [*board.notes, *(f"{each.suite}: {note}" for each in board.sections for note in each.notes)]
    if notes:
        yield "\n".join(f"- {escaped(note)}" for note in notes)


def _conditions(runs: Sequence[Run]) -> Iterator[str]:
    head = ["suite", "version", "data", "fingerprint", "seed", "samples", "started", "took"]
    rows = [
        [
            *map(escaped, (run.suite, run.suite_version, short(run.data_hash), short(run.fingerprint))),
            *(str(run.seed), samples(run), moment(run.started), duration(run)),
        ]
        for run in runs
    ]
    yield as_table(head, rows, numbers_from=8)
    yield details("Settings", settings(runs))
    yield details("Packages and hardware", environments(runs))
