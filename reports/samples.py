"""Samples side by side as compact JSON for the page's script: every text once, flips before the rest.

A page must stay openable, so it holds at most a budget of text; what does not fit stays in the store and is
counted. The layout is private to this file and `templates/leaderboard.js`:

    {"models": [name], "baseline": i, "decided_by": metric | null,
     "binary": [metric], "texts": [text], "samples": [sample]}
    sample   = [id, prompt, choices, right, target, flips, answers, speakers]
    prompt   = text | [[role, text]]          choices = [text]      right = [choice]
    target   = text | null                    flips   = one of "won" "lost" "equal" "unscored" null per model
    answers  = per model null | [responses, scores]
    speakers = [text], who gave each response; empty where it was always the model
    response = [text, stop_reason, truncated, reason, thought] | [logprob, greedy, truncated]
    score    = [metric, value, reason]
Every text, metric, reason, thought and id is an index into `texts`.

`reports.html` makes the JSON harmless inside a page.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.bounds import is_bound
from harness.escape_controls import escape_controls
from harness.records.answers import LogLikelihood, Response, Row, Sample, Score
from harness.records.models import Json
from reports.board import Leaderboard, Section, SideBySide

_OVERHEAD = 16
"""Bytes of JSON that one index, number or bracket costs, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One suite's samples as the page holds them."""

    suite: str
    shown: int
    total: int
    data: Json


@dataclass(slots=True)
class Texts:
    """Every text once, as the page will show it."""

    index: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """The text's place in the table."""
        return self.index.setdefault(escape_controls(text), len(self.index))


def payloads(board: Leaderboard, budget: int) -> list[Payload]:
    """One per suite, in the board's order; suites that need less leave their share to the others."""
    by_size = sorted(board.sections, key=lambda section: len(section.samples))
    made: dict[str, Payload] = {}
    for left, section in zip(range(len(by_size), 0, -1), by_size, strict=True):
        chosen, cost = _chosen(section.samples, budget // left)
        budget -= cost
        made[section.suite] = _payload(board, section, chosen)
    return [made[section.suite] for section in board.sections]


def _chosen(samples: Sequence[SideBySide], budget: int) -> tuple[list[SideBySide], int]:
    """As many samples as fit, flips first, in the suite's order; and what they cost in bytes."""
    flips_first = sorted(range(len(samples)), key=lambda i: not _flipped(samples[i]))
    known: set[str] = set()
    chosen, total = set(), 0
    for i in flips_first:
        texts = set(_texts(samples[i])) - known
        answers = sum(len(row.responses) + len(row.scores) for row in samples[i].rows if row)
        cost = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + _OVERHEAD * (
            len(texts) + answers
        )
        if total + cost <= budget:
            known |= texts
            chosen.add(i)
            total += cost
    return [samples[i] for i in sorted(chosen)], total


def _flipped(sample: SideBySide) -> bool:
    return any(flip in ("won", "lost") for flip in sample.flips)


def _texts(shown: SideBySide) -> Iterator[str]:
    sample = shown.sample
    yield from [sample.prompt] if isinstance(sample.prompt, str) else [turn.content for turn in sample.prompt]
    yield from sample.choices
    for row in shown.rows:
        if row:
            answers = [answer for answer in row.responses if isinstance(answer, Response)]
            yield from (answer.text for answer in answers)
            yield from (answer.thought for answer in answers if answer.thought is not None)


def _payload(board: Leaderboard, section: Section, chosen: Sequence[SideBySide]) -> Payload:
    texts = Texts()
    data: dict[str, Json] = {
        "models": [escape_controls(model) for model in board.models],
        "baseline": board.models.index(board.baseline),
        "decided_by": texts.add(section.decided_by.name) if section.decided_by else None,
        "binary": [texts.add(line.metric.name) for line in section.lines if line.metric.kind == "binary"],
        "samples": [_sample(shown, texts) for shown in chosen],
    }
    data["texts"] = list(texts.index)
    return Payload(suite=section.suite, shown=len(chosen), total=len(section.samples), data=data)


def _sample(shown: SideBySide, texts: Texts) -> Json:
    sample = shown.sample
    prompt: Json = (
        texts.add(sample.prompt)
        if isinstance(sample.prompt, str)
        else [[turn.role, texts.add(turn.content)] for turn in sample.prompt]
    )
    return [
        texts.add(sample.id),
        prompt,
        [texts.add(choice) for choice in sample.choices],
        right_choices(sample),
        None if sample.target is None else texts.add(sample.target),
        list(shown.flips),
        [_answers(row, texts) if row else None for row in shown.rows],
        [texts.add(speaker) for speaker in speakers([row.sample for row in shown.rows if row])],
    ]


def right_choices(sample: Sample) -> list[int]:
    """Positions of the choices that are right: the sample's tag `right`, else the one that is its target."""
    tagged = sample.tags.get("right")
    if isinstance(tagged, Sequence) and not isinstance(tagged, str):
        return [place for place in tagged if isinstance(place, int)]
    return [place for place, choice in enumerate(sample.choices) if choice == sample.target]


def speakers(samples: Sequence[Sample]) -> list[str]:
    """Who gave each response, by the samples' tag `speakers`; the longest list, as not all are judged."""
    tagged = [sample.tags.get("speakers") for sample in samples]
    lists = [[str(name) for name in each] for each in tagged if isinstance(each, list | tuple)]
    return max(lists, key=len, default=[])


def _answers(row: Row, texts: Texts) -> Json:
    return [
        [_answer(answer, texts) for answer in row.responses],
        [_score(score, texts) for score in row.scores if not is_bound(score)],
    ]


def _answer(answer: Response | LogLikelihood, texts: Texts) -> Json:
    match answer:
        case Response():
            reason = None if answer.reason is None else texts.add(answer.reason)
            thought = None if answer.thought is None else texts.add(answer.thought)
            return [texts.add(answer.text), answer.stop_reason, answer.truncated, reason, thought]
        case LogLikelihood():
            return [_number(answer.logprob), answer.greedy, answer.truncated]


def _score(score: Score, texts: Texts) -> Json:
    reason = None if score.reason is None else texts.add(score.reason)
    return [texts.add(score.metric), None if score.value is None else _number(score.value), reason]


def _number(value: float) -> Json:
    """JSON has no infinity: it is written as the word a reader would expect."""
    return round(value, 4) if math.isfinite(value) else str(value)
