"""Samples side by side as compact JSON for the page's script: every text once.

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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.bounds import is_bound
from harness.escape_controls import escape_controls
from harness.records.answers import LogLikelihood, Response, Row, Sample, Score
from harness.records.models import Json
from reports.board import Leaderboard, Section, SideBySide

BUDGET = 5_000_000
"""Bytes of sample text that one page may hold, over all suites: with its tables, a page is below 8 MB."""
MISSES = 5
"""So many samples that do not fit into what is left end the search for more."""
_OVERHEAD = 16
"""Bytes of JSON that one index, number or bracket costs, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One suite's samples as the page holds them."""

    suite: str
    data: Json


@dataclass(slots=True)
class Texts:
    """Every text once, as the page will show it."""

    index: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """The text's place in the table."""
        return self.index.setdefault(escape_controls(text), len(self.index))


def payloads(board: Leaderboard) -> list[Payload]:
    """One per suite, in the board's order."""
    return [_payload(board, section) for section in board.sections]


def fitting(samples: Iterable[SideBySide], budget: int) -> tuple[list[SideBySide], int]:
    """As many of the first samples as fit, and their cost in bytes. A few that are too long are passed by."""
    known: set[str] = set()
    chosen, total, missed = [], 0, 0
    for shown in samples:
        texts = set(_texts(shown)) - known
        cost = _cost(shown, texts)
        if total + cost <= budget:
            known |= texts
            chosen.append(shown)
            total += cost
        elif (missed := missed + 1) == MISSES:
            break
    return chosen, total


def _cost(shown: SideBySide, texts: Collection[str]) -> int:
    """The bytes that a sample adds to a page, roughly, if these texts of it are new there."""
    answers = sum(len(row.responses) + len(row.scores) for row in shown.rows if row)
    written = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return written + _OVERHEAD * (len(texts) + answers)


def _texts(shown: SideBySide) -> Iterator[str]:
    sample = shown.sample
    yield from [sample.prompt] if isinstance(sample.prompt, str) else [turn.content for turn in sample.prompt]
    yield from sample.choices
    for row in shown.rows:
        if row:
            answers = [answer for answer in row.responses if isinstance(answer, Response)]
            yield from (answer.text for answer in answers)
            yield from (answer.thought for answer in answers if answer.thought is not None)


def _payload(board: Leaderboard, section: Section) -> Payload:
    texts = Texts()
    data: dict[str, Json] = {
        "models": [escape_controls(model) for model in board.models],
        "baseline": board.models.index(board.baseline),
        "decided_by": texts.add(section.decided_by.name) if section.decided_by else None,
        "binary": [texts.add(line.metric.name) for line in section.lines if line.metric.kind == "binary"],
        "samples": [_sample(shown, texts) for shown in section.samples],
    }
    data["texts"] = list(texts.index)
    return Payload(suite=section.suite, data=data)


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
