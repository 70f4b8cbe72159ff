"""Rows of suites that score which of a sample's choices is likeliest, by their log-likelihoods."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.adaptors.engine_requests import documents_as_answered, failure_of, logprobs_of
from harness.protocols import Engine
from harness.records.answers import Metric, Row, Sample, Score
from harness.turns import turns_or_text


def choice_rows(
    engine: Engine,
    samples: Sequence[Sample],
    metrics: Sequence[Metric],
    values: Callable[[int, Mapping[str, float]], Sequence[float]],
    *,
    chat: bool,
) -> Iterator[Row]:
    """Score every choice, and yield a sample's row when its choices are scored.

    `values` gives the metrics' values from the sample's place and the natural log-likelihoods of its choices;
    a sample has none where one of its choices could not be scored. Raises UsageError, the engine's own, where
    it gives no log-likelihoods.
    """
    pairs = {place: _pairs(engine, sample, chat=chat) for place, sample in enumerate(samples)}
    for place, answers in documents_as_answered(engine, pairs):
        sample, responses = samples[place], tuple(answers[pair] for pair in pairs[place])
        failure = failure_of(responses)
        logprobs = logprobs_of(dict(zip(sample.choices, responses, strict=True)))
        found = [None] * len(metrics) if failure else values(place, logprobs)
        yield Row(
            sample=sample,
            responses=responses,
            scores=tuple(
                Score(metric=metric.name, value=value, reason=failure)
                for metric, value in zip(metrics, found, strict=True)
            ),
            position=place,
        )


def _pairs(engine: Engine, sample: Sample, *, chat: bool) -> list[tuple[str, str]]:
    """Contexts and continuations: a choice begins the assistant's turn, or follows the text after a space."""
    asked = turns_or_text(sample.prompt, chat=chat)
    if not isinstance(asked, str):
        context = engine.render(asked, open_turn=asked[-1].role != "assistant")
        return [(context, choice) for choice in sample.choices]
    space = "" if asked[-1:].isspace() else " "
    return [(asked, f"{space}{choice}") for choice in sample.choices]
