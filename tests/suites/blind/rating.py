"""Blind tests to rate, and the rating page's server over a real socket."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from harness.records.answers import Message, Response, Sample
from harness.records.preferences import Pair, Vote
from harness.store import Store
from suites.blind.ballots import BallotBox
from suites.blind.design import Plan, make_design
from suites.blind.sealing import seal
from suites.blind.web import listening_at, server

Asked = tuple[str | tuple[Message, ...], str, str]
"""A prompt and the answers of two models."""

TELLTALES = ("tuned-by-dpo", "plain-sft", "run-of-tuned", "run-of-plain", "sample-", "secret-study")
"""What no rater may ever receive: names of models, runs, samples and the blind test."""


@dataclass(frozen=True, kw_only=True)
class BlindTest:
    """A blind test in a store of its own."""

    store: Store
    box: BallotBox

    def votes(self, rater: str) -> list[Vote]:
        """Everything a rater did, in order."""
        return self.store.studies.votes("secret-study", rater=rater)


def made_test(
    folder: Path,
    asked: Sequence[Asked],
    *,
    raters: tuple[str, ...] = ("ana", "bia"),
    repeats: int = 0,
    checks: int = 0,
    language: str = "en",
    cut: str | None = None,
) -> BlindTest:
    """A blind test in which every rater sees every pair; `cut` is an answer that was cut."""
    pairs = [_pair(number, *each, cut=cut) for number, each in enumerate(asked)]
    each = len(asked) + repeats + checks
    design = make_design(
        {("tuned-by-dpo", "plain-sft"): pairs},
        Plan(raters=raters, per_rater=each, overlap=len(asked), repeats=repeats, checks=checks),
        name="secret-study",
        created="2026-11-24T10:00:00+00:00",
        prompts="a list",
        language=language,
        seed="7",
    )
    store = Store.open(f"sqlite:///{folder / 'blind.db'}")
    store.studies.keep(seal(design))
    return BlindTest(store=store, box=BallotBox(store, "secret-study"))


def _pair(
    number: int, prompt: str | tuple[Message, ...], left: str, right: str, *, cut: str | None = None
) -> Pair:
    return Pair(
        sample=Sample(id=f"sample-{number}", prompt=prompt),
        left_run="run-of-tuned",
        right_run="run-of-plain",
        left=Response(text=left, stop_reason="length" if left == cut else "end"),
        right=Response(text=right, stop_reason="length" if right == cut else "end"),
    )


def plain_pairs(count: int) -> list[Asked]:
    """As many different pairs as asked for."""
    return [
        (f"Question {number}?", f"First answer to {number}.", f"Second to {number}.")
        for number in range(count)
    ]


class Serving:
    """The server in a thread. It can stop and start again at the same address."""

    def __init__(self, test: BlindTest, *, public: str | None = None) -> None:
        self.test, self.public, self.port = test, public, 0
        self.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def link(self, rater: str) -> str:
        """A rater's private link."""
        return f"{self.address}/#{self.test.box.links()[rater]}"

    def start(self) -> None:
        """Listen, at the same port as the last time."""
        listening = listening_at("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        self._server = server(self.test.box, public=self.public)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()

    def stop(self) -> None:
        """Close every connection."""
        self._server.should_exit = True
        self._thread.join()


@contextmanager
def serving(test: BlindTest, *, public: str | None = None) -> Iterator[Serving]:
    """A server while it is needed."""
    served = Serving(test, public=public)
    try:
        yield served
    finally:
        served.stop()
