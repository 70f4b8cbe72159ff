"""Estimates how far a piece of work is, how fast it goes, and how long the rest takes.

The remaining time is estimated from recent answers: those from the store come in a burst at the beginning,
and say nothing about the others. Times are arguments: no clock is read here.
"""

from collections import deque
from dataclasses import dataclass, field

BURST = 2.0
"""Seconds at the beginning of a piece in which what is known already may come."""
WINDOW = 300.0
"""Seconds whose pace counts, where enough came within them."""
AT_LEAST = 10
"""Looks at a piece that count, however long ago they are."""
SILENT = 20.0
"""Seconds without anything that are worth a word."""
FIRST = 3
"""Answers on which an estimate rests, at least, where tokens tell something too."""
APART = 0.5
"""Seconds between two looks that are remembered."""


MINUTES_FROM, HOURS_FROM = 100, 100
"""Seconds that are said as minutes, and minutes that are said as hours."""


@dataclass(slots=True)
class Pace:
    """Looks at how much is done, each with its time."""

    begun: float
    _looks: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, done: int) -> None:
        """Record how much is done now."""
        if now - self.begun < BURST:
            self._looks.clear()
        elif len(self._looks) > 1 and now - self._looks[-2][0] < APART:
            self._looks.pop()
        self._looks.append((now, done))
        while len(self._looks) > AT_LEAST and now - self._looks[0][0] > WINDOW:
            self._looks.popleft()

    @property
    def counted(self) -> int:
        """How many the pace rests on."""
        return self._looks[-1][1] - self._looks[0][1] if self._looks else 0

    @property
    def done(self) -> int:
        """How much was done at the last look."""
        return self._looks[-1][1] if self._looks else 0

    def per_second(self, now: float) -> float | None:
        """The pace; None if too little has come to estimate it. What is overdue makes it slower."""
        if not self.counted:
            return None
        first, last = self._looks[0][0], self._looks[-1][0]
        usual = (last - first) / self.counted
        overdue = max(0.0, now - last - usual)
        return self.counted / max(last - first + overdue, 1e-6)

    def remaining(self, now: float, left: int) -> float | None:
        """The seconds that so many more will take; None if that is not known."""
        pace = self.per_second(now)
        return None if pace is None else left / pace


@dataclass(slots=True)
class Writing:
    """Tokens that are being written, of which no answer may be whole yet."""

    pace: Pace
    left: int
    """How many more it may be, at most."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How much longer something takes."""

    seconds: float
    is_bound: bool
    """Whether that is the most it can take at this pace."""

    def __str__(self) -> str:
        return f"{'at most' if self.is_bound else 'about'} {duration(self.seconds)}"


@dataclass(slots=True)
class Piece:
    """A piece of work; one that is done in rounds, as judges are asked until it is decided, is one."""

    what: str
    unit: str
    pace: Pace
    last: float
    """When something of it was done last."""
    total: int | None = None
    """The number of items in this round; None if it is not known."""
    done: int = 0
    before: int = 0
    """The number done in earlier rounds."""
    seconds: float = 0.0
    """The time spent on it and on nothing else."""
    detail: str = ""
    writing: Writing | None = None
    reading: Pace | None = None
    """Tokens that were trained on."""
    read_per_second: float | None = None
    later: float | None = None
    """Seconds for what is planned after it; None where that is not known, or nothing is."""

    @property
    def title(self) -> str:
        """What it is about: a model that writes is loaded."""
        is_loaded = self.total is None and self.writing is not None
        return self.what.replace("load ", "ask ", 1) if is_loaded else self.what

    @property
    def finished(self) -> bool:
        """Whether its last round is over."""
        return self.done == self.total

    def advance(self, now: float, done: int, total: int) -> None:
        """Record how much of a round is done; less than before begins another round."""
        if self.finished:
            self.before += self.done
        self.done, self.total, self.last = done, total, now
        self.pace.note(now, self.before + done)

    def write(self, now: float, written: int, left: int) -> None:
        """Record how many tokens of a round are written."""
        if self.writing is None or written < self.writing.pace.done:
            self.writing = Writing(Pace(now), left)
        self.writing.pace.note(now, written)
        self.writing.left = left

    def read(self, now: float, tokens: int) -> None:
        """So many tokens were trained on, many of them in a step: their pace is that of the last step."""
        if self.reading is None:
            self.reading = Pace(now)
        self.reading.note(now, tokens)
        self.read_per_second = self.reading.per_second(now)

    @property
    def tokens_read(self) -> list[str]:
        """The pace of training in tokens; nothing where it is not known."""
        return _pace(self.read_per_second, "tokens ")

    def whole_plan(self, now: float) -> list[str]:
        """How much longer everything planned takes; nothing where that is not known."""
        remaining = self.remaining(now)
        if remaining is None or self.later is None:
            return []
        return [f"about {duration(remaining.seconds + self.later)} for the whole plan"]

    def remaining(self, now: float) -> TimeLeft | None:
        """How much longer its round takes; None where that is not known.

        Answers that are written together come late and together, and then their tokens tell more.
        """
        writing = self.writing if self.writing and self.writing.left else None
        by_tokens = writing.pace.remaining(now, writing.left) if writing else None
        by_answers = None if self.total is None else self.pace.remaining(now, self.total - self.done)
        is_known = self.pace.counted >= FIRST  # how long others take
        if by_answers is not None and (by_tokens is None or (is_known and by_answers < by_tokens)):
            return TimeLeft(by_answers, is_bound=False)
        return None if by_tokens is None else TimeLeft(by_tokens, is_bound=True)

    def summary(self) -> str:
        return f"{self.what}: {self.before + self.done} in {self.seconds:.1f} s"

    def status(self, now: float) -> str:
        """How far it is, for a log."""
        if self.total is None and self.writing is None:
            return f"{self.what}: {duration(now - self.last)} so far"
        parts = ["no answer yet"] if self.total is None else [f"{self.done} of {self.total} {self.unit}"]
        if self.before:
            parts[0] += f" ({self.before} before)"
        if self.writing is not None and self.writing.left:
            parts += _pace(self.writing.pace.per_second(now), "tokens ")
        else:
            parts += _pace(self.pace.per_second(now), "")
        parts += self.tokens_read
        remaining = self.remaining(now)
        if remaining is not None:
            parts.append(f"{remaining} left")
        parts += self.whole_plan(now)
        if self.total is not None and now - self.last >= SILENT:
            parts.append(f"none for {duration(now - self.last)}")
        if self.detail:
            parts.append(self.detail)
        return f"{self.title}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `40 s`, `12 min`, `3 h 5 min`."""
    if seconds < MINUTES_FROM:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < HOURS_FROM else f"{minutes // 60} h {minutes % 60} min"


def clock_time(seconds: float) -> str:
    """Seconds as a clock shows them: `0:40`, `12:05`, `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _pace(per_second: float | None, unit: str) -> list[str]:
    """A pace in the unit of time in which it is at least one; nothing where it is not known."""
    if per_second is None:
        return []
    for seconds, time in ((1, "second"), (60, "minute")):
        if per_second * seconds >= 1:
            return [f"{per_second * seconds:.1f} {unit}a {time}"]
    return [f"{per_second * 3600:.1f} {unit}an hour"]
