"""Runs, their rows and their scores.

A row is kept whole: the sample under its content's hash, the keys of the answers, the scores in their order.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    TableValuedAlias,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    select,
    true,
    type_coerce,
    update,
)

from harness.errors import StoreError
from harness.records.answers import REQUEST, EvaluationRequest, Metric, Row, Run, Sample, Score
from harness.records.models import Json
from harness.store import schema
from harness.store.answers import numbered_answers, numbers_of
from harness.store.database import (
    Database,
    Values,
    insert_missing,
    insert_missing_records,
    insert_of,
    replace_records,
)
from harness.store.encoding import (
    Answer,
    answer_as_json,
    answer_from_json,
    canonical,
    digest_of_text,
    plain,
    sample_as_json,
    sample_from_json,
)

if TYPE_CHECKING:
    from harness.observed import Observed

ROWS_AT_ONCE = 200
"""Rows read per query, so that a run of any size takes little memory."""

FAILED = '%"stopped":"failed"%'
"""What stands in a row's answers where one of them failed; no model's text can hold its bare quotes."""

METRIC_FIELDS = ("name", "kind", "higher_is_better", "headline", "splits", "note", "margin", "excerpt")
RUN_FIELDS = tuple(column.name for column in schema.runs.c)


_KEPT = schema.rows
_ROWS = select(_KEPT.c.position, _KEPT.c.sample, _KEPT.c.answers, schema.samples.c.content).join(
    schema.samples, schema.samples.c.hash == _KEPT.c.sample_hash
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Answers of a run that never came. They are not kept as answers, and can be asked for again."""

    answers: int
    samples: int
    """Samples with at least one of them."""
    reason: str
    """The commonest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAnswers:
    """How many of the texts that a run's model wrote ended because their tokens ran out."""

    cut: int
    """Within the answer, which is scored as far as it goes."""
    thinking: int
    """Within the thought before it: there is no answer, and nothing to score."""
    answers: int
    """The number of answers; a judge's replies are not among them."""


@dataclass(frozen=True)
class Runs:
    """The runs in a store."""

    database: Database

    def begin(self, run: Run) -> None:
        """Keep a run. A run that is there already stays as it is: a killed one continues under its id."""
        values = {name: getattr(run, name) for name in RUN_FIELDS} | {
            "metrics": _metrics_as_json(run.metrics)
        }
        with self.database.writing() as connection:
            insert_missing(connection, schema.runs, [values])

    def finish(self, run_id: str, finished: str, engine: Mapping[str, Json] = MappingProxyType({})) -> None:
        """Record when a run was completed (ISO 8601, UTC), and what its engine reports only now.

        The first time stays.
        """
        table = schema.runs
        unfinished = (table.c.id == run_id) & table.c.finished.is_(None)
        with self.database.writing() as connection:
            for environment in connection.scalars(select(table.c.environment).where(unfinished)).all():
                said = {**environment, "engine": {**environment.get("engine", {}), **engine}}
                values = {"finished": finished, "environment": said if engine else environment}
                connection.execute(update(table).where(unfinished).values(values))

    def keep_request(self, run_id: str, request: EvaluationRequest, metrics: Sequence[Metric]) -> None:
        """Keep the settings with which a run was asked for now: by them a report finds the run that is meant.

        `metrics` are the run's as the suite has them now: what is no part of a run may have changed.
        """
        table = schema.runs
        with self.database.writing() as connection:
            found = connection.execute(select(table.c.environment).where(table.c.id == run_id)).scalar_one()
            environment = {**found, REQUEST: asdict(request)}
            changed = {"environment": environment, "metrics": _metrics_as_json(metrics)}
            connection.execute(update(table).where(table.c.id == run_id).values(changed))

    def get(self, run_id: str) -> Run | None:
        return next(iter(self._found({schema.runs.c.id: run_id})), None)

    def find(self, *, model: str | None = None, suite: str | None = None) -> list[Run]:
        """Runs of this model and suite, finished or not, oldest first; None is any."""
        return self._found({schema.runs.c.model: model, schema.runs.c.suite: suite})

    def _found(self, wanted: Mapping[Column[str], str | None]) -> list[Run]:
        query = select(schema.runs).order_by(schema.runs.c.started, schema.runs.c.id)
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with self.database.reading() as connection:
            return [_run(record._mapping) for record in connection.execute(query.where(*conditions))]

    def whole(self, *, model: str | None = None, suite: str | None = None) -> list[Run]:
        """Finished runs of this model and suite, the latest last: the one that an evaluation named last."""
        return sorted(
            (run for run in self.find(model=model, suite=suite) if run.finished is not None), key=_last_named
        )

    def latest(self, model: str, suite: str) -> Run | None:
        """The latest finished run of this model's name and suite; None where none has finished."""
        return next(reversed(self.whole(model=model, suite=suite)), None)

    def is_outdated(self, run: Run) -> bool:
        """Whether an evaluation of its model and suite began after it was asked for, and has not finished."""
        others = self.find(model=run.model, suite=run.suite)
        return any(each.finished is None and each.started > _last_named(run) for each in others)

    def keep_rows(self, run_id: str, rows: Sequence[tuple[int, Row]]) -> None:
        """Keep (position, row) pairs of a run, after their answers; a row that is there is replaced."""
        if not rows:
            return
        texts = [canonical(sample_as_json(row.sample)) for _, row in rows]
        hashes = [digest_of_text(text) for text in texts]
        samples = {
            hashed: (hashed, plain(row.sample.cluster or row.sample.id), text)
            for hashed, text, (_, row) in zip(hashes, texts, rows, strict=True)
        }
        keys = {answer.key for _, row in rows for answer in row.responses if answer.key}
        with self.database.writing() as connection:
            insert_missing_records(
                connection, insert_of(schema.samples), [samples[each] for each in sorted(samples)]
            )
            numbers = numbers_of(connection, schema.answers, "key", keys)
            kept = [
                (run_id, plain(row.sample.id), position, hashed, canonical(_answers(row, numbers)))
                for (position, row), hashed in zip(rows, hashes, strict=True)
            ]
            replace_records(connection, schema.rows, kept)
            _replace_scores(connection, run_id, [row for _, row in rows])

    def rows(self, run_id: str) -> Iterator[Row]:
        """A run's rows by position, answers and scores included, read as they are asked for."""
        position = -1
        while page := self._page(run_id, position):
            yield from page
            position = page[-1].position

    def first_answers(self, run_id: str) -> Iterator[tuple[Sample, Answer | None]]:
        """Each sample of a run with the first of its answers, by position, read as they are asked for."""
        position = -1
        while page := self._first_answers(run_id, position):
            yield from page.values()
            position = max(page)

    def _first_answers(self, run_id: str, position: int) -> dict[int, tuple[Sample, Answer | None]]:
        """The next of them after a position, by theirs."""
        with self.database.reading() as connection:
            page = _records(connection, run_id, position)
            first = {record.position: next(iter(record.answers), None) for record in page}
            numbers = {each for each in first.values() if isinstance(each, int)}
            answers = numbered_answers(connection, numbers)
        return {
            record.position: (
                sample_from_json(record.content),
                None
                if (named := first[record.position]) is None
                else _response(named, answers, record.sample),
            )
            for record in page
        }

    def rows_of(self, run_id: str, samples: Collection[str]) -> dict[str, Row]:
        """A run's rows of these samples, by the sample's id; absent ones are left out."""
        with self.database.reading() as connection:
            page = connection.execute(_ROWS.where(_KEPT.c.run == run_id, _KEPT.c.sample.in_(samples))).all()
            return {row.sample.id: row for row in _complete(connection, run_id, page)}

    def _page(self, run_id: str, position: int) -> list[Row]:
        """The next rows of a run after a position, with answers and scores."""
        with self.database.reading() as connection:
            return _complete(connection, run_id, _records(connection, run_id, position))

    def count_rows(self, run_id: str) -> int:
        """How many rows of a run are here."""
        table = schema.rows
        query = select(func.count()).select_from(table).where(table.c.run == run_id)
        with self.database.reading() as connection:
            return connection.scalar(query) or 0

    def observations(self, run_id: str) -> "dict[str, Observed]":
        """Every score of a run by metric, unscored ones too, in the order of rows and parts."""
        from harness.store.observations import observations_of  # noqa: PLC0415 - loads numpy

        with self.database.reading() as connection:
            return observations_of(connection, run_id)

    def clusters(self, run_id: str) -> dict[str, str]:
        """The cluster of each sample of a run, or the sample's own id, by that id."""
        rows, samples = schema.rows, schema.samples
        query = (
            select(rows.c.sample, samples.c.cluster)
            .join(samples, samples.c.hash == rows.c.sample_hash)
            .where(rows.c.run == run_id)
            .order_by(rows.c.position)
        )
        with self.database.reading() as connection:
            return {sample: cluster for sample, cluster in connection.execute(query)}  # noqa: C416 - rows

    def tags(self, run_id: str) -> dict[str, Mapping[str, Json]]:
        """What each sample of a run can be split by, by the sample's id."""
        rows, samples = schema.rows, schema.samples
        query = (
            select(rows.c.sample, samples.c.content)
            .join(samples, samples.c.hash == rows.c.sample_hash)
            .where(rows.c.run == run_id)
        )
        with self.database.reading() as connection:
            return {sample: content["tags"] for sample, content in connection.execute(query)}

    def unscored(self, run_id: str) -> dict[str, dict[str, int]]:
        """How many scores of a run have no value: metric, then reason, then count."""
        scores = schema.scores
        query = select(scores.c.metrics, scores.c.numbers, scores.c.reasons).where(
            scores.c.run == run_id, scores.c.reasons.is_not(None)
        )
        found: dict[str, Counter[str]] = {}
        with self.database.reading() as connection:
            for record in connection.execute(query):
                for score in scores_of(*record):
                    if score.value is None:
                        found.setdefault(score.metric, Counter())[str(score.reason)] += 1
        return {metric: dict(sorted(counted.items())) for metric, counted in sorted(found.items())}

    def failures(self, run_id: str) -> Failures | None:
        """How many answers of a run failed, and why; None where none did."""
        rows = schema.rows
        suspected = (rows.c.run == run_id) & type_coerce(rows.c.answers, Text).like(FAILED)
        with self.database.reading() as connection:
            found = connection.scalars(select(rows.c.answers).where(suspected)).all()
        reasons = [
            Counter(each.get("reason") or "no reason given" for each in answers if isinstance(each, Mapping))
            for answers in found
        ]
        total = sum(reasons, Counter[str]())
        if not total:
            return None
        return Failures(answers=total.total(), samples=len(reasons), reason=total.most_common(1)[0][0])

    def cut_answers(self, run_id: str) -> CutAnswers | None:
        """How many of a run's generated answers ended because their tokens ran out; None where none did.

        Counted where the answers are, so that none of them is read.
        """
        rows, runs, answers, fingerprints = schema.rows, schema.runs, schema.answers, schema.fingerprints
        stopped = answers.c.stopped
        with self.database.reading() as connection:
            members = _members(connection, rows.c.answers)
            query = (
                select(_how_many(stopped == "length"), _how_many(stopped == "thinking"), func.count())
                .select_from(rows)
                .join(runs, runs.c.id == rows.c.run)
                .join(fingerprints, fingerprints.c.fingerprint == runs.c.fingerprint)
                .join(members, true())
                .join(answers, answers.c.number == _number(connection, members))
                .where(
                    rows.c.run == run_id,
                    answers.c.fingerprint == fingerprints.c.number,
                    stopped.is_not(None),
                )
            )
            cut, thinking, total = connection.execute(query).one()
        return CutAnswers(cut=cut, thinking=thinking, answers=total) if cut or thinking else None


def _members(connection: Connection, listed: ColumnElement[Any]) -> TableValuedAlias:
    """The members of a column of JSON lists, each a row with its `value`."""
    if connection.dialect.name == "postgresql":
        return func.json_array_elements_text(cast(type_coerce(listed, Text), JSON)).table_valued("value")
    return func.json_each(listed).table_valued("value")


def _number(connection: Connection, members: TableValuedAlias) -> ColumnElement[int]:
    """The member as an answer's number; no number for an answer that stands in the list itself."""
    number = cast(members.c.value, schema.answers.c.number.type)
    if connection.dialect.name == "postgresql":  # a cast of another text is an error there
        return case((members.c.value.regexp_match("^[0-9]+$"), number))
    return number


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _last_named(run: Run) -> str:
    return max(run.finished or "", run.request.at if run.request else "")


def _run(record: Mapping[Any, Any]) -> Run:
    return Run(**{**record, "metrics": tuple(_metric(metric) for metric in record["metrics"])})


def _metrics_as_json(metrics: Sequence[Metric]) -> list[Values]:
    return [{name: getattr(metric, name) for name in METRIC_FIELDS} for metric in metrics]


def _metric(kept: Mapping[str, Any]) -> Metric:
    """A metric as it was kept; one of an older store has no splits, note or margin."""
    return Metric(**{**kept, "splits": tuple(kept.get("splits", ()))})


def _answers(row: Row, numbers: Mapping[str, int]) -> list[Json]:
    """A row's answers by their numbers; those that nobody kept stand in the list themselves."""
    lost = next((each.key for each in row.responses if each.key and each.key not in numbers), None)
    if lost:
        raise StoreError(f"sample {row.sample.id!r} names the answer {lost}, which was not kept")
    return [numbers[each.key] if each.key else answer_as_json(each) for each in row.responses]


def _replace_scores(connection: Connection, run_id: str, rows: Iterable[Row]) -> None:
    table = schema.scores
    records, unscored = [], []
    for row in rows:
        sample = plain(row.sample.id)
        if row.scores:
            metrics, numbers, reasons = score_record(row.scores).values()
            said = reasons and canonical(reasons)
            records.append((run_id, sample, canonical(metrics), canonical(numbers), said))
        else:
            unscored.append({"of_sample": sample})
    replace_records(connection, table, records)
    if unscored:
        old = delete(table).where(table.c.run == run_id, table.c.sample == bindparam("of_sample"))
        connection.execute(old, unscored)


def score_record(scores: Sequence[Score]) -> dict[str, Json]:
    """What is kept of a row's scores. Those of one metric that follow each other have one list of numbers."""
    grouped = [(metric, list(members)) for metric, members in groupby(scores, key=attrgetter("metric"))]
    reasons = [plain(each.reason) for each in scores if each.value is None and each.reason is not None]
    return {
        "metrics": [metric for metric, _ in grouped],
        "numbers": [[_shortest(each.value) for each in members] for _, members in grouped],
        "reasons": reasons or None,
    }


def _shortest(value: float | None) -> float | None:
    """The number in the fewest characters: most scores are 0 or 1."""
    if value is None:
        return None
    return int(value) if float(value).is_integer() else float(value)


def scores_of(
    metrics: Sequence[str], numbers: Sequence[Sequence[float | None]], reasons: Sequence[str] | None = None
) -> Iterator[Score]:
    """The scores that `score_record` kept; without `reasons` none of them says why it is none."""
    rest = iter(reasons or ())
    for metric, values in zip(metrics, numbers, strict=True):
        for value in values:
            if value is None:
                yield Score(metric=metric, value=None, reason=next(rest, None))
            else:
                yield Score(metric=metric, value=float(value))


def _scores(connection: Connection, run_id: str, samples: Sequence[str]) -> dict[str, list[Score]]:
    table = schema.scores
    query = select(table.c.sample, table.c.metrics, table.c.numbers, table.c.reasons).where(
        table.c.run == run_id, table.c.sample.in_(samples)
    )
    return {sample: list(scores_of(*record)) for sample, *record in connection.execute(query)}


def _records(connection: Connection, run_id: str, position: int) -> Sequence[Any]:
    """The next rows of a run after a position, as they are kept."""
    query = _ROWS.where(_KEPT.c.run == run_id, _KEPT.c.position > position)
    return connection.execute(query.order_by(_KEPT.c.position).limit(ROWS_AT_ONCE)).all()


def _complete(connection: Connection, run_id: str, page: Sequence[Any]) -> list[Row]:
    """Rows with their answers and scores."""
    numbers = {each for record in page for each in record.answers if isinstance(each, int)}
    answers = numbered_answers(connection, numbers)
    scores = _scores(connection, run_id, [record.sample for record in page])
    return [_row(record, answers, scores.get(record.sample, [])) for record in page]


def _row(record: Any, answers: Mapping[int, Answer], scores: Sequence[Score]) -> Row:
    return Row(
        sample=sample_from_json(record.content),
        responses=tuple(_response(reference, answers, record.sample) for reference in record.answers),
        scores=tuple(scores),
        position=record.position,
    )


def _response(reference: Any, answers: Mapping[int, Answer], sample: str) -> Answer:
    if isinstance(reference, Mapping):
        return answer_from_json(reference)
    if reference not in answers:
        raise StoreError(f"the results store is damaged: sample {sample!r} names the lost answer {reference}")
    return answers[reference]
