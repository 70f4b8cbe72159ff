"""Ballots as a spreadsheet and back: nothing is computed, nothing revealed, nothing lost."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, UnknownName
from harness.escape_formula import escape_formula, unescape_formula
from harness.records.answers import Message
from harness.store import Store
from harness.turns import as_text
from suites.blind.ballots import BallotBox, CastVote, RaterProgress
from suites.blind.spreadsheet import (
    COLUMNS,
    CUT,
    ImportedVotes,
    ballots_as_csv,
    read_votes,
)
from tests.suites.blind.made import altered, design, kept, pairs

NASTY = '=HYPERLINK("http://x.example";"a, ""b""")\nnext line; and, more'


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Store, BallotBox]:
    """A study in which one model writes formulas, quotes, commas and line breaks."""
    given_ = [altered(each, left=f"{NASTY} {each.sample.id}") for each in pairs()["A", "B"]]
    store, _, _ = kept(tmp_path, design(of={("A", "B"): given_}))
    return store, BallotBox(store, "test")


def filled(text: str, file: Path, *, delimiter: str = ",", **cells: str) -> Path:
    """Write the file back as a spreadsheet would, with these cells in every line."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({**row, **cells} for row in rows)
    return file


def test_what_is_written_is_what_a_page_shows(opened: tuple[Store, BallotBox]) -> None:
    """A line per open ballot, in the rater's order, with an empty choice and nothing about sides."""
    text, count = ballots_as_csv(opened[1], ["ana"])
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert count == len(rows) == 20
    assert list(COLUMNS) == list(rows[0])
    assert [ballot.id for ballot in opened[1].open_ballots("ana")] == [row["ballot"] for row in rows]
    for row, ballot in zip(rows, opened[1].open_ballots("ana"), strict=True):
        assert ("ana", "", "") == (row["rater"], row["choice"], row["comment"])
        assert [ballot.prompt, ballot.left, ballot.right] == [
            unescape_formula(row[name]) for name in ("prompt", "left", "right")
        ]


def test_a_cut_answer_says_so(tmp_path: Path) -> None:
    """In the cell of its side, on a line of its own; a whole answer's cell is as it was."""
    given_ = [replace(each, right=replace(each.right, stop_reason="length")) for each in pairs()["A", "B"]]
    store, _, _ = kept(tmp_path, design(of={("A", "B"): given_}))
    text, _ = ballots_as_csv(BallotBox(store, "test"), ["ana"])
    sides = set()
    for row in csv.DictReader(io.StringIO(text, newline="")):
        marked = {side for side in ("left", "right") if row[side].endswith(f"\n\n{CUT}")}
        assert {side for side in ("left", "right") if row[side].startswith("B")} == marked
        sides |= marked
    assert {"left", "right"} == sides


def test_no_cell_is_a_formula(opened: tuple[Store, BallotBox]) -> None:
    """Every cell that would be computed begins with an apostrophe."""
    text, _ = ballots_as_csv(opened[1], ["ana", "bia"])
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    assert not [cell for cell in cells if cell and cell[0] in "=+-@\t\r\n"]


@given(st.text())
def test_neutral_cells_are_harmless_and_come_back(cell: str) -> None:
    """For any text at all."""
    assert cell == unescape_formula(escape_formula(cell))
    assert escape_formula(cell)[:1] not in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_filled_lines_are_votes(opened: tuple[Store, BallotBox], tmp_path: Path, delimiter: str) -> None:
    """Whatever parts the cells: choice and comment are kept, with the file as where they were cast."""
    store, box = opened
    text, _ = ballots_as_csv(box, ["ana"])
    file = filled(text, tmp_path / "votes.csv", delimiter=delimiter, choice=" Left ", comment="'=1+1, yes")
    assert ImportedVotes(new=20, known=0, empty=0) == read_votes(box, file)
    assert RaterProgress(done=20, total=20) == box.progress("ana")
    assert {("left", "=1+1, yes", "votes.csv")} == {
        (vote.choice, vote.comment, vote.source) for vote in store.studies.votes("test")
    }


def test_a_file_read_twice_is_one_vote(opened: tuple[Store, BallotBox], tmp_path: Path) -> None:
    """The second time everything is known."""
    file = filled(ballots_as_csv(opened[1], ["ana"])[0], tmp_path / "votes.csv", choice="tie")
    read_votes(opened[1], file)
    assert ImportedVotes(new=0, known=20, empty=0) == read_votes(opened[1], file)
    assert 20 == len(opened[0].studies.votes("test"))


def test_lines_without_a_choice_stay_open(opened: tuple[Store, BallotBox], tmp_path: Path) -> None:
    """They are counted, and can be filled in later."""
    file = tmp_path / "votes.csv"
    file.write_text(ballots_as_csv(opened[1], ["ana"])[0], encoding="utf-8")
    assert ImportedVotes(new=0, known=0, empty=20) == read_votes(opened[1], file)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("rater,ballot\nana,x\n", "row 1: has no column choice"),
        ("", "row 1: has no column rater, ballot, choice"),
        ("rater,ballot,choice\nana,x,left\n", "row 2: this is not one of ana's ballots"),
        ("rater,ballot,choice\nanna,x,left\n", "row 2: there is no rater .* did you mean 'ana'"),
        ("rater,ballot,choice\nana,{0},both\n", "row 2: choice 'both': one of left, right, tie, bad, skip"),
        ("rater,ballot,choice\nana,{0},left\nana,{0},right\n", "row 3: votes on a ballot a second time"),
        ("rater,ballot,choice\nana,{0},left\nana,{1},nope\n", "row 3: choice 'nope'"),
        ("rater,ballot,choice\nana,{0},left,more\n", "row 2: 3 cells expected, and not 4"),
        ("rater,ballot,choice,seconds\nana,{0},left,soon\n", "row 2: seconds 'soon' is not a number"),
        ('rater,ballot,choice\nana,"{0},left\n', "is not CSV"),
    ],
)
def test_a_file_with_a_mistake_is_refused_whole(
    opened: tuple[Store, BallotBox], tmp_path: Path, lines: str, message: str
) -> None:
    """The row and what is wrong; no vote of the file is kept."""
    ids = [ballot.id for ballot in opened[1].open_ballots("ana")]
    file = tmp_path / "votes.csv"
    file.write_text(lines.format(*ids), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_votes(opened[1], file)
    assert [] == opened[0].studies.votes("test")


def test_a_file_that_is_not_text_is_refused(opened: tuple[Store, BallotBox], tmp_path: Path) -> None:
    """A spreadsheet program's own format is named as the mistake; so is a file that is not there."""
    file = tmp_path / "votes.csv"
    file.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8 text but a workbook or an archive; save it as UTF-8"):
        read_votes(opened[1], file)
    with pytest.raises(DataError, match="cannot be read"):
        read_votes(opened[1], tmp_path / "nowhere.csv")


def test_a_vote_made_elsewhere_meanwhile_is_named(opened: tuple[Store, BallotBox], tmp_path: Path) -> None:
    """A ballot that was decided on the page stays as it is, and the file's row is named."""
    file = filled(ballots_as_csv(opened[1], ["ana"])[0], tmp_path / "votes.csv", choice="tie")
    ballot = opened[1].current("ana")
    assert ballot is not None
    opened[1].vote("ana", CastVote(ballot=ballot.id, choice="left", token="page"))
    with pytest.raises(DataError, match="row 2: this ballot is decided already"):
        read_votes(opened[1], file)
    assert 1 == len(opened[0].studies.votes("test"))


def test_an_unknown_rater_is_wrong_use(opened: tuple[Store, BallotBox]) -> None:
    """A mistyped name writes nothing."""
    with pytest.raises(UnknownName, match="did you mean 'bia'"):
        ballots_as_csv(opened[1], ["bai"])


def test_turns_are_one_text() -> None:
    """A single turn is shown bare; of several, each with who speaks."""
    turn = Message(role="user", content="Why?")
    assert "Why?" == as_text((turn,))
    assert "system: Be brief.\n\nuser: Why?" == as_text(
        (replace(turn, role="system", content="Be brief."), turn)
    )
