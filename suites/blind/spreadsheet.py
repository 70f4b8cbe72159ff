"""Ballots as a spreadsheet, for raters who vote elsewhere, and their votes back.

A CSV file in UTF-8 with a line per open ballot: `rater`, `ballot`, `prompt`, `left`, `right`, and to be
filled in, `choice` (left, right, tie, bad or skip) and `comment`. It holds what a rating page shows and no
more. Only `rater`, `ballot`, `choice` and `comment` are read back, and `seconds` if there is such a column;
commas, semicolons or tabs may part them, as spreadsheet programs in several countries write.

An answer that was cut at its longest length ends with `CUT` on a line of its own.

A cell that a spreadsheet would take for a formula has an apostrophe put before it, which is removed again
when it is read.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.escape_controls import escape_controls
from harness.escape_formula import escape_formula, unescape_formula
from harness.files import csv_records
from harness.turns import as_text
from suites.blind.ballots import CHOICES, Ballot, BallotBox, CastVote

COLUMNS = ("rater", "ballot", "prompt", "left", "right", "choice", "comment")
NEEDED = ("rater", "ballot", "choice")
CUT = "[cut at the length limit]"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledBallot:
    """One line that somebody filled in."""

    row: int
    """The row number as an editor or spreadsheet counts: the header is 1."""
    rater: str
    vote: CastVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedVotes:
    """What came of reading a file of votes."""

    new: int
    known: int
    """Votes that were read before."""
    empty: int
    """Lines without a choice."""


def ballots_as_csv(box: BallotBox, raters: Iterable[str]) -> tuple[str, int]:
    """The open ballots of these raters as CSV text, and how many there are. Raises UnknownName."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for rater in raters:
        for ballot in box.open_ballots(rater):
            writer.writerow(escape_formula(cell) for cell in _cells(rater, ballot))
            count += 1
    return file.getvalue(), count


def read_votes(box: BallotBox, file: Path) -> ImportedVotes:
    """Vote as a filled file says. Nothing is kept unless every line of it can be.

    Raises DataError with the row for a file or line that cannot be read, and for a vote that the ballot box
    refuses.
    """
    lines = list(_lines(file))
    filled = [_filled(file, row, line) for row, line in lines if line["choice"].strip()]
    last = {(each.rater, each.vote.ballot): each.row for each in filled}
    for each in filled:
        if (row := last[each.rater, each.vote.ballot]) != each.row:
            raise DataError(str(file), row, "votes on a ballot a second time")
    for dry_run in (True, False):
        new = 0
        for each in filled:
            try:
                new += box.vote(each.rater, each.vote, source=file.name, dry_run=dry_run)
            except UsageError as error:
                raise DataError(str(file), each.row, str(error)) from error
    return ImportedVotes(new=new, known=len(filled) - new, empty=len(lines) - len(filled))


def _cells(rater: str, ballot: Ballot) -> tuple[str, ...]:
    sides = ((ballot.left, ballot.left_cut), (ballot.right, ballot.right_cut))
    answers = [f"{text}\n\n{CUT}" if is_cut else text for text, is_cut in sides]
    return (rater, ballot.id, *(escape_controls(text) for text in (as_text(ballot.prompt), *answers)), "", "")


def _lines(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """What stands under each column, with the row as a spreadsheet counts."""
    records = enumerate((cells for _, cells in csv_records(file)), start=1)
    _, header = next(records, (1, []))
    names = [name.strip().lower() for name in header]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise DataError(str(file), 1, f"has no column {', '.join(missing)}; `harness blind export` makes it")
    for row, cells in records:
        if any(cells):
            if len(cells) != len(names):
                raise DataError(str(file), row, f"{len(names)} cells expected, and not {len(cells)}")
            yield row, dict(zip(names, map(unescape_formula, cells), strict=True))


def _filled(file: Path, row: int, line: Mapping[str, str]) -> FilledBallot:
    choice = line["choice"].strip().lower()
    if choice not in CHOICES:
        raise DataError(str(file), row, f"choice {choice!r}: one of {', '.join(CHOICES)} was expected")
    rater, ballot = line["rater"].strip(), line["ballot"].strip()
    # the same for the same choice, so that a file read twice is one vote
    token = "csv-" + sha256("\n".join((rater, ballot, choice)).encode()).hexdigest()[:40]
    seconds = _seconds(file, row, line.get("seconds", ""))
    comment = line.get("comment") or None
    vote = CastVote(ballot=ballot, choice=choice, token=token, seconds=seconds, comment=comment)
    return FilledBallot(row=row, rater=rater, vote=vote)


def _seconds(file: Path, row: int, cell: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell.replace(",", "."))
    except ValueError as error:
        raise DataError(str(file), row, f"seconds {cell!r} is not a number") from error
