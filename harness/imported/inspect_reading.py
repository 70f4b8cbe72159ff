"""What a first reading of an `inspect_ai` log finds: where samples are, their scores, what to say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.imported.inspect_records import InspectFigures, InspectHeader, InspectHeadline, InspectSample
from harness.imported.inspect_rows import NO_ANSWER, as_score, is_instructions, values_of
from harness.imported.score_tally import ScoreTally, other_means
from harness.pluralize import pluralize

MEANS = ("accuracy", "mean")
OF_SPREAD = ("stderr", "std", "var", "bootstrap_stderr", "ci")
"""Figures that say how far a mean is to be trusted, which is worked out anew."""


@dataclass(slots=True)
class InspectReading:
    """Everything that a log's samples say together."""

    places: dict[str, dict[int, str]] = field(default_factory=dict)
    """By id and epoch, where in the file a sample is."""
    tallies: dict[str, ScoreTally] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """The metrics that are left out, with a value that is no score, as it is shown."""
    ungraded: set[str] = field(default_factory=set)
    """Metrics that have other values than grades, so that nothing says whether more of them is better."""
    no_answers: Counter[str] = field(default_factory=Counter)
    unscored: Counter[str] = field(default_factory=Counter)
    """Answers that count for nothing, by the reason."""
    scored_all_the_same: int = 0
    """How many of them inspect gave a score."""
    gaps: bool = False
    """Whether a value is missing where others of its metric are."""
    instructions: bool = True
    """Whether every sample holds what IFEval's checkers need."""

    def add(self, place: str, sample: InspectSample) -> None:
        """Note a sample; a later one takes the place of an earlier one of the same id and epoch."""
        self.places.setdefault(str(sample.id), {})[sample.epoch] = place
        self.instructions &= is_instructions(sample)
        if sample.unscored is not None:
            self.unscored[sample.unscored.partition(":")[0]] += 1
            self.scored_all_the_same += bool(sample.scores)
            return
        for metric, value, _ in values_of(sample):
            try:
                score = as_score(value)
            except ValueError:
                shown = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
                self.refused.setdefault(metric, shown)
                continue
            tally = self.tallies.setdefault(metric, ScoreTally())
            self.no_answers[metric] += value == NO_ANSWER
            if not isinstance(value, str | None):
                self.ungraded.add(metric)
            if score is None:
                self.gaps = True
            else:
                tally.add(score)

    @property
    def answers(self) -> int:
        """How many samples there are, each epoch for itself."""
        return sum(map(len, self.places.values()))

    def kept(self, headline: InspectHeadline | None) -> dict[str, ScoreTally]:
        """The metrics that are taken, as they are met, though first what the task puts first."""
        taken = {name: tally for name, tally in self.tallies.items() if name not in self.refused}
        first = [name for name in taken if headline is not None and _is_of(name, headline)]
        return {name: taken[name] for name in [*first, *taken]}


def _is_of(metric: str, headline: InspectHeadline) -> bool:
    scorer, _, key = metric.partition("/")
    return headline.scorer in (None, scorer) and headline.score in (None, key or scorer)


def notes_of(header: InspectHeader, reading: InspectReading, *, expected: int, epochs: int) -> Iterator[str]:
    """What a reader of the imported scores must know, in words. `expected`: answers that there should be."""
    task, scores = header.eval.task, header.results.scores if header.results else []
    kept = reading.kept(header.eval.headline_metric)
    yield from _what_lacks(header, reading.answers, expected)
    if reading.unscored:
        counted = ", ".join(f"{number:,} ({reason})" for reason, number in reading.unscored.most_common())
        scored = reading.scored_all_the_same
        theirs = f"; inspect_ai scores {scored:,} of them" if scored else ""
        yield f"{task}: unscored by how they ended: {counted} of {reading.answers:,} answers{theirs}"
    for metric, value in reading.refused.items():
        yield f"{task}: {metric} left out: {value} is neither a grade nor a number"
    for metric in kept:
        if reading.no_answers[metric]:
            yield (
                f"{task}: {reading.no_answers[metric]:,} of {reading.answers:,} {metric} are {NO_ANSWER} (no "
                "answer), which inspect_ai counts as 0, as is done here"
            )
    unknown = [metric for metric in kept if metric in reading.ungraded]
    if unknown:
        yield f"{task}: of {', '.join(unknown)} the log does not say whether more is better: taken to be"
    others = dict.fromkeys(name for each in scores for name in each.metrics if not _is_mean_or_spread(name))
    if others:
        yield f"{task}: {', '.join(others)} left out: no mean over samples"
    if epochs == 1 or not (reading.gaps or reading.unscored):  # inspect reduces a sample's epochs first
        yield from other_means(task, kept, _means(scores), "the log's results")


def _what_lacks(header: InspectHeader, answers: int, expected: int) -> Iterator[str]:
    """Of a log that ended early, or that lacks samples for another reason."""
    well, why = header.status == "success", f" ({header.error.in_short})" if header.error is not None else ""
    log = "the log" if well else f"the log, whose status is {header.status}{why},"
    if answers < expected:
        lacking = pluralize(expected - answers, "answer")
        yield f"{header.eval.task}: {log} lacks {lacking} of {expected:,}, which are in no pair"
    elif not well:
        yield f"{header.eval.task}: {log} holds all {expected:,} answers"


def _is_mean_or_spread(name: str) -> bool:
    return name.rpartition("/")[2] in (*MEANS, *OF_SPREAD)


def _means(scores: Sequence[InspectFigures]) -> dict[str, float]:
    """The means that the log gives, by metric."""
    found: dict[str, float] = {}
    for each in scores:
        metric = each.name if each.name == each.scorer else f"{each.scorer}/{each.name}"
        for name, figure in each.metrics.items():
            if (
                name.rpartition("/")[2] in MEANS
                and each.reducer in (None, "mean")
                and figure.value is not None
            ):
                found.setdefault(metric, figure.value)
    return found
