"""Chooses the form in which a judge states its verdict, and stops a judge whose replies cannot be read.

After `IN_A_ROW` unreadable replies in a row the judge is asked in its next form, and after as many in the
last form no further, so that no more is paid for nothing. Replies in the store count like new ones, so that
the same command does not pay for them again; a judge that was asked in another form continues in that one.
"""

from collections.abc import Iterable, Sequence

from harness.preferences.named import CUT, THINKING, UNREADABLE
from harness.records.preferences import Pair, Preference
from harness.store import Store, is_refused
from suites.judge.judges import Judge, requests_about, to_ask

IN_A_ROW = 10
"""Replies without a readable verdict after which a judge is asked in another form, or no further."""


class ParseRecord:
    """Whether a judge's replies in one form could be read so far."""

    def __init__(self) -> None:
        self.was_read = False
        """Whether any reply was read."""
        self.in_a_row = 0
        """How many of the last replies were not read."""
        self.reason = ""
        """Why the last reply was not read."""
        self._was_sent = False

    def add(self, preferences: Iterable[Preference], *, sent: bool) -> None:
        """Count the replies about a pair; `sent`: one of them was not known before.

        Refused and failed ones say nothing about how a judge replies, and do not count.
        """
        for each in preferences:
            if each.winner is not None:
                self.was_read, self.in_a_row, self._was_sent = True, 0, False
            elif (each.reason or "").startswith((UNREADABLE, CUT, THINKING)):
                self.in_a_row += 1
                self.reason = each.reason or ""
                self._was_sent = self._was_sent or sent

    def should_stop(self, left: int) -> bool:
        """Whether to ask no further in this form, with so many pairs left. What is known costs nothing."""
        return self.in_a_row >= IN_A_ROW and (left > 0 or self._was_sent)


def as_asked_last(judge: Judge, store: Store, pairs: Sequence[Pair]) -> tuple[Judge, bool]:
    """The judge in the form in which it was asked last, and whether another one was given up before."""
    asked = to_ask(judge, pairs)
    found, given_up = judge, False
    known = has_replied(judge, store, asked)
    form = judge.other_form()
    while form is not None:
        if has_replied(form, store, asked):
            found, given_up, known = form, known, True
        form = form.other_form()
    return found, given_up


def has_replied(judge: Judge, store: Store, pairs: Iterable[Pair]) -> bool:
    """Whether a reply about these pairs, in the form that is asked for, is kept."""
    kept = store.answers.known(list(requests_about(judge, pairs)))
    return not all(map(is_refused, kept.values()))
