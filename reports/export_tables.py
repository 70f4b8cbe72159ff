"""What is exported, as tables: every score, every metric of every run, verdicts and preferences.

Lines are made as they are asked for, so that a table of any length takes little memory.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial

from harness.bounds import is_bound
from harness.equal_answers import MODEL, SPEAKERS
from harness.preferences.named import NamedPreference
from harness.records.answers import LogLikelihood, Metric, Response, Row, Run, Score
from harness.records.comparisons import Comparison, Interval
from harness.turns import as_text
from reports.board import MetricSummary
from reports.exported import Exported, whole_text

Value = str | int | float | bool | None
Line = tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTable:
    """A table of plain values."""

    name: str
    columns: tuple[str, ...]
    """Texts, unless `TYPES` says otherwise; any value can be missing."""
    lines: Callable[[], Iterator[Line]]


OF_A_RUN = ("run", "model", "suite", "suite_version", "shown")
SCORES = (
    *OF_A_RUN,
    *("position", "sample", "cluster", "metric", "part", "value", "reason"),
    *("prompt", "target", "response", "stopped", "prompt_tokens", "completion_tokens"),
)
METRICS = (
    *OF_A_RUN,
    *("metric", "kind", "higher_is_better", "headline", "value", "low", "high", "level"),
    *("n", "scores", "unscored", "could_be_low", "could_be_high", "cut"),
    *("baseline", "decision", "difference", "difference_low", "difference_high"),
    *("p", "adjusted_p", "family", "pairs", "margin", "margin_decision", "method"),
    *("size", "seed", "settings", "fingerprint", "data_hash", "started", "finished"),
)
VERDICTS = ("candidate", "baseline", "decision", "reason")
PREFERENCES = tuple(each.name for each in fields(NamedPreference))

WHOLE = ("position", "part", "n", "scores", "unscored", "cut", "pairs", "size", "seed")
TOKENS = ("prompt_tokens", "completion_tokens", "left_length", "right_length")
REAL = ("value", "low", "high", "level", "could_be_low", "could_be_high", "difference", "difference_low")
MORE_REAL = ("difference_high", "p", "adjusted_p", "margin", "share", "seconds")
TYPES: Mapping[str, type[str | int | float | bool]] = {
    **dict.fromkeys((*WHOLE, *TOKENS), int),
    **dict.fromkeys((*REAL, *MORE_REAL), float),
    **dict.fromkeys(("shown", "higher_is_better", "headline"), bool),
}
"""The types of columns that are no texts."""


def tables(exported: Exported) -> Iterator[ExportTable]:
    """`scores`, `metrics`, and where there are any, `verdicts` and `preferences`.

    `scores` has a line for each score, so that a sample has one for each of its metrics, and several where a
    metric has several parts; a sample without scores has one line. `metrics` has a line for each metric of
    each run, with the comparison that was made of it.
    """
    verdicts = exported.verdicts()
    compared = {(c.candidate, c.suite, c.metric.name): c for each in verdicts for c in each.comparisons}
    yield ExportTable(name="scores", columns=SCORES, lines=partial(_all_scores, exported))
    yield ExportTable(name="metrics", columns=METRICS, lines=partial(_all_metrics, exported, compared))
    if verdicts:
        said = [(each.candidate, each.baseline, str(each.decision), each.reason) for each in verdicts]
        yield ExportTable(name="verdicts", columns=VERDICTS, lines=lambda: iter(said))
    if preferences := exported.preferences():
        lines = [tuple(getattr(each, name) for name in PREFERENCES) for each in preferences]
        yield ExportTable(name="preferences", columns=PREFERENCES, lines=lambda: iter(lines))


def _of_a_run(exported: Exported, run: Run) -> Line:
    return run.id, run.model, run.suite, run.suite_version, run.id in exported.shown


# ---------------------------------------------------------------- scores


def _all_scores(exported: Exported) -> Iterator[Line]:
    for run in exported.runs:
        yield from score_lines(exported, run)


def score_lines(exported: Exported, run: Run) -> Iterator[Line]:
    """The lines of `scores` that one run has."""
    about = _of_a_run(exported, run)
    for row in exported.rows(run):
        sample = row.sample
        target = None if sample.target is None else whole_text(sample.target)
        where = (row.position, whole_text(sample.id), whole_text(sample.cluster or sample.id))
        asked = (whole_text(as_text(sample.prompt)), target)
        for metric, part, score, answer in scored(row):
            value, reason = (None, None) if score is None else (score.value, score.reason)
            said = None if reason is None else whole_text(reason)
            yield (*about, *where, metric, part, value, said, *asked, *_answer(answer))


def scored(row: Row) -> Iterator[tuple[str | None, int, Score | None, Response | None]]:
    """Each score of a row with its metric, which part of that metric's it is, and the answer that it is of.

    An answer is named where it is the only one, and where there are as many as the metric has scores.
    """
    texts = [answer for answer in own_answers(row) if isinstance(answer, Response)]
    scores = [score for score in row.scores if not is_bound(score)]
    if not scores:
        yield None, 0, None, texts[0] if len(texts) == 1 else None
    for metric in dict.fromkeys(score.metric for score in scores):
        parts = [score for score in scores if score.metric == metric]
        for part, score in enumerate(parts):
            place = 0 if len(texts) == 1 else part
            answer = texts[place] if len(texts) in (1, len(parts)) else None
            yield metric, part, score, answer


def own_answers(row: Row) -> list[Response | LogLikelihood]:
    """What the model itself answered: a row can hold judges' replies besides."""
    speakers = row.sample.tags.get(SPEAKERS)
    if not isinstance(speakers, list):
        return list(row.responses)
    return [answer for speaker, answer in zip(speakers, row.responses, strict=False) if speaker == MODEL]


def _answer(answer: Response | None) -> Line:
    if answer is None:
        return None, None, None, None
    tokens = (answer.prompt_tokens or None, answer.completion_tokens or None)
    return whole_text(answer.text), answer.stop_reason, *tokens


# ---------------------------------------------------------------- metrics


def _all_metrics(exported: Exported, compared: Mapping[tuple[str, str, str], Comparison]) -> Iterator[Line]:
    for run in exported.runs:
        about = _of_a_run(exported, run)
        conditions = (
            *(run.size, run.seed, json.dumps(dict(run.settings), sort_keys=True, ensure_ascii=False)),
            *(run.fingerprint, run.data_hash, run.started, run.finished),
        )
        for metric, found in zip(run.metrics, exported.measured(run), strict=True):
            comparison = compared.get((run.model, run.suite, metric.name))
            yield (*about, *_measured(metric, found), *_comparison(comparison), *conditions)


def _measured(metric: Metric, found: MetricSummary) -> Line:
    cut = found.cut and found.cut.cut + found.cut.thinking
    return (
        *(metric.name, metric.kind, metric.higher_is_better, metric.headline),
        *(found.value, *_ends(found.interval), found.interval and found.interval.level),
        *(found.n, found.scores, found.unscored, *(found.bounds or (None, None)), cut),
    )


def _comparison(found: Comparison | None) -> Line:
    if found is None:
        return (None,) * 12
    margin = found.non_inferiority
    return (
        *(found.baseline, str(found.decision), found.difference, *_ends(found.interval)),
        *(found.p, found.adjusted_p, found.family, found.n),
        *(found.metric.margin, str(margin.decision) if margin else None, found.method),
    )


def _ends(interval: Interval | None) -> Sequence[float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)
