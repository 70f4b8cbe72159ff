"""What a row is made of that `inspect_ai` logged: the sample, what was answered, and what scorers gave.

A sample's epochs are draws of one row. Grades are inspect's: C is 1, P 0.5, I and N (no answer) 0, as its own
metrics count them; a number is itself, yes and true are 1, and what is NaN is unscored, with its reason. Of a
scorer that gives several values, each is a metric, `scorer/key`. Samples that ended in an error or at a
limit, and invalidated ones, are unscored, whatever inspect gave them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from harness.engine.given_answers import STOP_REASONS
from harness.errors import DataError
from harness.files import MOST_NESTED, TOO_DEEP, nested_deeper
from harness.imported.fields import in_one_line
from harness.imported.inspect_records import InspectSample, InspectScore
from harness.imported.pairing import sample_id
from harness.records.answers import Response, Sample, Score
from harness.thoughts import joined, separate_thought
from harness.turns import as_text

NO_ANSWER = "N"
GRADES: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, NO_ANSWER: 0.0}
WORDS: Mapping[str, float] = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""In any case of letters."""
NOT_GIVEN = "inspect_ai gave none"
ABSENT = "the log has no such epoch"


def values_of(sample: InspectSample) -> Iterator[tuple[str, Any, InspectScore]]:
    """Each metric with its value as inspect wrote it, and the score that it is of."""
    for scorer, score in (sample.scores or {}).items():
        if isinstance(score.value, Mapping):
            yield from ((f"{scorer}/{key}", value, score) for key, value in score.value.items())
        else:
            yield scorer, score.value, score


def as_score(value: object) -> float | None:
    """A grade or a number as a score; None where it is none. Raises ValueError for what is neither."""
    if isinstance(value, str):
        return _grade(value)
    if value is None or isinstance(value, bool | int | float):
        return None if value is None else float(value)
    raise ValueError(f"a {type(value).__name__}")


def _grade(text: str) -> float:
    """As `value_to_float` of inspect's (`scorer/_metric.py`) has it, which makes 0 of any other text."""
    known = GRADES.get(text, WORDS.get(text.lower()))
    number = float(text) if known is None else known
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


def shown(sample: InspectSample) -> Sample:
    """The sample, its choices as this run showed them, and the right ones by their text."""
    choices = sample.choices or []
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    right = [choices[place] for each in targets if (place := _place(each, choices)) is not None]
    return Sample(
        id=id_of(sample),
        prompt=sample.prompt,
        choices=tuple(choices),
        target="; ".join(right or targets) or None,
    )


def id_of(sample: InspectSample) -> str:
    """What it is paired by."""
    return sample_id(str(sample.id), as_text(sample.prompt), *(sample.choices or ()))


def _place(target: str, choices: Sequence[str]) -> int | None:
    """Which choice a letter means."""
    place = ascii_uppercase.find(target) if len(target) == 1 else -1
    return place if 0 <= place < len(choices) else None


def response_of(sample: InspectSample | None) -> Response:
    """What was answered in an epoch."""
    if sample is None:
        return Response(text="", stop_reason="absent", reason=ABSENT)
    if not sample.output.choices:
        reason = sample.unscored or "the log has no answer"
        return Response(text="", stop_reason="absent", reason=reason)
    choice, usage = sample.output.choices[0], sample.output.usage
    stop: Any = STOP_REASONS.get(choice.stop_reason, "end")
    return separate_thought(
        Response(
            text=sample.answer,
            stop_reason=stop,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
            seconds=sample.output.time or 0.0,
            thought=joined(choice.message.thoughts),
            reason=choice.stop_reason if stop == "refused" else None,
        )
    )


def scores_of(metric: str, epochs: Sequence[InspectSample | None]) -> Iterator[Score]:
    """A metric's scores, one for each epoch."""
    for sample in epochs:
        reason = ABSENT if sample is None else sample.unscored
        if sample is None or reason is not None:
            yield Score(metric=metric, value=None, reason=reason)
            continue
        found = {name: (value, score) for name, value, score in values_of(sample)}
        value, score = found.get(metric, (None, _of_scorer(sample, metric)))
        number = as_score(value)
        yield Score(metric=metric, value=number, reason=None if number is not None else _why_not(score))


def _of_scorer(sample: InspectSample, metric: str) -> InspectScore:
    """What the metric's scorer says of the whole: it may have given one NaN in place of all its values."""
    return (sample.scores or {}).get(metric.rpartition("/")[0]) or InspectScore()


def _why_not(score: InspectScore) -> str:
    return score.reason or in_one_line(score.explanation or "") or NOT_GIVEN


# ---------------------------------------------------------------- documents that suites of ours score

INSTRUCTIONS = ("instruction_id_list", "kwargs")
"""What a sample's metadata hold in IFEval's tasks, inspect_evals' and lighteval's own."""


def is_instructions(sample: InspectSample) -> bool:
    """Whether a sample holds what IFEval's checkers need."""
    return all(name in sample.metadata for name in INSTRUCTIONS)


def instructed(sample: InspectSample) -> str:
    """The prompt of such a sample, without what a task may put around it."""
    prompt = sample.metadata.get("prompt")
    return prompt if isinstance(prompt, str) else as_text(sample.prompt)


def instructions_of(source: str, sample: InspectSample) -> Mapping[str, Any]:
    """A sample as a row of IFEval's official data. Raises DataError for one without a number as its key."""
    key, kwargs = str(sample.metadata.get("key", sample.id)), sample.metadata["kwargs"]
    if not key.isdecimal():
        raise DataError(source, 0, f"its id is {key!r}, and IFEval's are whole numbers")
    if nested_deeper(kwargs, MOST_NESTED):
        raise DataError(source, 0, f"metadata.kwargs {TOO_DEEP}")
    return {
        "key": int(key),
        "prompt": instructed(sample),
        "instruction_id_list": sample.metadata["instruction_id_list"],
        "kwargs": list(kwargs.values()) if isinstance(kwargs, Mapping) else kwargs,
    }
