"""What a first reading of another tool's scores finds, and the metrics that follow from it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.records.answers import Metric, Row

SAME = 1e-6
"""How far a mean may lie from the one that the tool wrote, of 1 or of the value where that is larger."""


@dataclass(slots=True)
class ScoreTally:
    """The scores of one metric, without the unscored."""

    total: float = 0.0
    count: int = 0
    zeros: int = 0
    shares: bool = False
    """Whether any is neither 0 nor 1."""
    beyond: bool = False
    """Whether any lies outside of 0 and 1."""

    def add(self, value: float) -> None:
        """Count a score."""
        self.total += value
        self.count += 1
        self.zeros += value == 0
        self.shares |= value not in (0, 1)
        self.beyond |= not 0 <= value <= 1

    @property
    def mean(self) -> float:
        """The mean of the scores, of which there is one."""
        return self.total / self.count


def tallied(rows: Iterable[Row], names: Iterable[str]) -> dict[str, ScoreTally]:
    """The scores of these metrics over all rows. Raises what making a row does."""
    tallies = {name: ScoreTally() for name in names}
    for row in rows:
        for score in row.scores:
            if score.value is not None:
                tallies[score.metric].add(score.value)
    return tallies


def metrics_of(
    tallies: Mapping[str, ScoreTally], *, lower: Collection[str] = (), splits: tuple[str, ...] = ()
) -> tuple[Metric, ...]:
    """The metrics in their order, without those that nothing has a score of.

    The first that lies within 0 and 1 is the headline. `lower`: those of which less is better.
    """
    names = scored(tallies)
    headline = next((name for name in names if not tallies[name].beyond), None)
    return tuple(
        Metric(
            name=name,
            kind="number" if tallies[name].shares else "binary",
            higher_is_better=name not in lower,
            headline=name == headline,
            splits=splits,
        )
        for name in names
    )


def not_scored(task: str, rows: Iterable[Row], tallies: Mapping[str, ScoreTally]) -> Iterator[str]:
    """The metrics that nothing has a score of, in words; where that is all of them, the first reason why."""
    without = [name for name, tally in tallies.items() if not tally.count]
    if len(without) == len(tallies):
        reasons = (score.reason for row in rows for score in row.scores)
        yield f"{task}: nothing in it has a score: {next(reasons, 'no metric is of its samples')}"
    elif without:
        yield f"{task}: {', '.join(without)} left out: nothing has a score of it"


def scored(tallies: Mapping[str, ScoreTally]) -> list[str]:
    """The metrics that something has a score of."""
    return [name for name, tally in tallies.items() if tally.count]


def other_means(
    task: str, tallies: Mapping[str, ScoreTally], theirs: Mapping[str, float], where: str
) -> Iterator[str]:
    """Where a mean is not the one that the tool wrote, in words."""
    for name in scored(tallies):
        if name not in theirs:
            continue
        written, ours = theirs[name], tallies[name].mean
        if abs(written - ours) > SAME * max(1.0, abs(written)):
            yield f"{task}: {name} is {written:.6g} in {where}, and the mean of its scores {ours:.6g}"
