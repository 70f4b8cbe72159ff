"""The ballot box: votes are kept once, at once, and only where they belong."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UnknownName, UsageError
from harness.store import Store
from suites.blind.ballots import MAX_COMMENT, BallotBox, CastVote, RaterProgress
from tests.suites.blind.made import design, kept, reads, vote_all


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BallotBox]:
    """The ballots of ana and bia."""
    store, _, _ = kept(tmp_path)
    with store:
        yield BallotBox(store, "test")


def current(box: BallotBox, rater: str = "ana") -> str:
    """The current ballot's id."""
    ballot = box.current(rater)
    assert ballot is not None
    return ballot.id


def test_a_vote_moves_on(box: BallotBox) -> None:
    """After a choice the next ballot is current, and one more is done."""
    first = current(box)
    assert box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    assert first != current(box)
    assert RaterProgress(done=1, total=20) == box.progress("ana")
    assert RaterProgress(done=0, total=20) == box.progress("bia")


def test_a_replayed_vote_is_one(box: BallotBox) -> None:
    """The same token again, as after a lost reply, changes nothing and is no error, also after an undo."""
    first = current(box)
    assert box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    assert not box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    assert box.undo("ana", token="2")
    assert not box.undo("ana", token="2")
    assert not box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    assert RaterProgress(done=0, total=20) == box.progress("ana")


def test_a_token_is_of_one_act(box: BallotBox) -> None:
    """Used for another choice it is refused, for that choice would be lost without a word."""
    first = current(box)
    box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    with pytest.raises(UsageError, match="this token was used for another vote"):
        box.vote("ana", CastVote(ballot=current(box), choice="left", token="1"))
    with pytest.raises(UsageError, match="this token was used for another vote"):
        box.undo("ana", token="1")


def test_a_second_tab_is_refused(box: BallotBox) -> None:
    """A vote on a ballot that is decided in another tab changes nothing and says so."""
    first = current(box)
    box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    with pytest.raises(UsageError, match="decided already"):
        box.vote("ana", CastVote(ballot=first, choice="right", token="2"))
    assert RaterProgress(done=1, total=20) == box.progress("ana")


def test_a_skip_in_two_tabs_is_one(box: BallotBox) -> None:
    """A ballot that was put at the end is not put away for good by a page that still shows it."""
    first = current(box)
    box.vote("ana", CastVote(ballot=first, choice="skip", token="1"))
    with pytest.raises(UsageError, match="skipped already"):
        box.vote("ana", CastVote(ballot=first, choice="skip", token="2"))
    assert first in [ballot.id for ballot in box.open_ballots("ana")]


def test_undo_makes_the_last_ballot_current(box: BallotBox) -> None:
    """Also a skipped one; and with nothing left to take back it says so."""
    first = current(box)
    box.vote("ana", CastVote(ballot=first, choice="skip", token="1"))
    second = current(box)
    box.vote("ana", CastVote(ballot=second, choice="tie", token="2"))
    box.undo("ana", token="3")
    assert second == current(box)
    box.undo("ana", token="4")
    assert first == current(box)
    with pytest.raises(UsageError, match="nothing to take back"):
        box.undo("ana", token="5")


def test_skipped_ballots_come_at_the_end_and_end(box: BallotBox) -> None:
    """Who skips everything sees everything twice, and is done."""
    vote_all(box, "ana", lambda _: "skip")
    assert box.current("ana") is None
    assert RaterProgress(done=20, total=20) == box.progress("ana")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choice": "both"}, "is not a choice"),
        ({"choice": "undo"}, "is not a choice"),
        ({"comment": "x" * (MAX_COMMENT + 1)}, "at most 2,000 characters"),
        ({"token": ""}, "printable ASCII"),
        ({"token": "x" * 101}, "printable ASCII"),
        ({"token": "\x00"}, "printable ASCII"),
        ({"seconds": float("nan")}, "cannot be the seconds"),
        ({"seconds": -1.0}, "cannot be the seconds"),
        ({"seconds": 1e9}, "cannot be the seconds"),
        ({"ballot": "x"}, "not one of ana's ballots"),
    ],
)
def test_what_is_no_vote_is_refused(box: BallotBox, changes: dict[str, object], message: str) -> None:
    """Nothing of it is kept."""
    vote = {"ballot": current(box), "choice": "left", "token": "1", **changes}
    with pytest.raises(UsageError, match=message):
        box.vote("ana", CastVote(**vote))  # type: ignore[arg-type]  # a case changes arguments of different types
    assert RaterProgress(done=0, total=20) == box.progress("ana")


def test_nobody_votes_on_anothers_ballot(box: BallotBox) -> None:
    """A ballot belongs to one rater, and a rater to the study."""
    with pytest.raises(UsageError, match="not one of ana's ballots"):
        box.vote("ana", CastVote(ballot=current(box, "bia"), choice="left", token="1"))
    with pytest.raises(UnknownName, match="did you mean 'ana'"):
        box.current("anna")


def test_a_key_is_one_raters(box: BallotBox) -> None:
    """Each key names its rater; nothing else does, whatever characters it has."""
    for rater, key in box.links().items():
        assert rater == box.rater_of(key)
        assert box.rater_of(key[:-1]) is None
        assert box.rater_of(key + "x") is None
    for guess in ("", "ana", "é", "\ud800"):
        assert box.rater_of(guess) is None


def test_a_comment_keeps_what_databases_can(tmp_path: Path) -> None:
    """Control characters and halves of characters are dropped; the rest stays as it was written."""
    store, _, _ = kept(tmp_path)
    box = BallotBox(store, "test")
    box.vote(
        "ana",
        CastVote(ballot=current(box), choice="left", token="1", comment=" a\x00b\ud800c\x1b[31m\nd é 🙂 "),
    )
    assert ["abc[31m\nd é 🙂"] == [vote.comment for vote in store.studies.votes("test")]


def test_nothing_is_lost_with_the_process(tmp_path: Path) -> None:
    """A process that dies right after `vote` returned has its vote kept, and the next one goes on."""
    kept(tmp_path)[0].close()
    url = f"sqlite:///{tmp_path / 'store.db'}"
    code = (
        "import os, sys\n"
        "from harness.store import Store\n"
        "from suites.blind.ballots import BallotBox, CastVote\n"
        "box = BallotBox(Store.open(sys.argv[1]), 'test')\n"
        "for token in range(3):\n"
        "    box.vote('ana', CastVote(ballot=box.current('ana').id, choice='left', token=str(token)))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], check=False, cwd=Path.cwd())
    assert -9 == done.returncode
    with Store.open(url) as store:
        assert RaterProgress(done=3, total=20) == BallotBox(store, "test").progress("ana")


def test_many_threads_and_boxes_never_double_a_vote(tmp_path: Path) -> None:
    """Of eight that vote on one ballot at once, in two ballot boxes, one learns that it counts."""
    store, _, _ = kept(tmp_path)
    boxes = [BallotBox(store, "test"), BallotBox(Store.open(f"sqlite:///{tmp_path / 'store.db'}"), "test")]
    ballot, outcomes = current(boxes[0]), []

    def vote(number: int) -> None:
        try:
            outcomes.append(
                boxes[number % 2].vote("ana", CastVote(ballot=ballot, choice="left", token=str(number)))
            )
        except UsageError:
            outcomes.append(False)

    threads = [threading.Thread(target=vote, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [False] * 7 + [True] == sorted(outcomes)
    assert RaterProgress(done=1, total=20) == boxes[0].progress("ana")


def test_after_unsealing_no_vote_is_taken(tmp_path: Path) -> None:
    """Also by a box that was opened before; a vote that was kept before is still no error."""
    store, _, _ = kept(tmp_path)
    box = BallotBox(store, "test")
    first = current(box)
    box.vote("ana", CastVote(ballot=first, choice="left", token="1"))
    store.studies.unseal("test", "2026-11-24T12:00:00+00:00")
    with pytest.raises(UsageError, match="votes are closed"):
        box.vote("ana", CastVote(ballot=current(box), choice="left", token="2"))
    with pytest.raises(UsageError, match="votes are closed"):
        box.undo("ana", token="3")
    assert not box.vote("ana", CastVote(ballot=first, choice="left", token="1"))


def test_a_study_is_found_by_name_or_alone(tmp_path: Path) -> None:
    """The only one needs no name; of two one must be chosen."""
    store, _, _ = kept(tmp_path)
    assert "test" == BallotBox(store).study
    kept(tmp_path, design(name="other"))
    with pytest.raises(UsageError, match="several blind tests; choose with --study"):
        BallotBox(store)
    with pytest.raises(UnknownName, match="did you mean 'test'"):
        BallotBox(store, "tset")


def test_a_whole_test_is_voted(box: BallotBox) -> None:
    """A rater who reads gets through all ballots."""
    vote_all(box, "ana", reads)
    assert box.current("ana") is None
