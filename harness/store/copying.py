"""Copies one store into another, empty or not: so stores move to a server and back, and several become one.

What is addressed by its content is the same wherever it lies, so what the target has is not written again,
and a copy that was stopped goes on when it is made again. Of a run that is under way the answers are copied:
the command that asks them makes the run.

Two stores can hold different answers under one key: a model answers a little differently on another machine.
The target's stay, and a run is left out, and named, if its answers are not those that its scores were given
for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy import Select, Table, func, select

from harness.records.answers import Response, Row, Run
from harness.records.preferences import Preference
from harness.store import schema
from harness.store.answers import COLUMNS, KeptAnswer, with_draw
from harness.store.database import Database, insert_missing
from harness.store.encoding import Answer, answer_from_columns
from harness.store.store import Store

AT_ONCE = 1000
"""Rows of a table that are written in one transaction."""
ROWS_AT_ONCE = 100
"""Rows of a run, each of which may have dozens of answers and scores."""

OnCopied = Callable[[str, int, int], None]
"""Called with the kind of what is being copied, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Copied:
    """What a copy added to the target, and what it could not add."""

    new: dict[str, int] = field(default_factory=dict)
    """How many of each kind were not there before."""
    found: dict[str, int] = field(default_factory=dict)
    """How many there are in the source."""
    left_out: list[str] = field(default_factory=list)
    """A line for each thing that contradicts what the target holds."""

    def count(self, kind: str, new: int, found: int) -> None:
        """Add to the counts of a kind."""
        self.new[kind] = self.new.get(kind, 0) + new
        self.found[kind] = self.found.get(kind, 0) + found


def copy_store(source: Store, target: Store, on_copied: OnCopied) -> Copied:
    """Copy everything that the target lacks. Raises as reading and writing do."""
    copied = Copied()
    finished = [run for run in source.runs.find() if run.finished]  # before their answers are read
    for table in (schema.models, schema.texts, schema.samples):
        _copy_table(source, target, table, copied, on_copied)
    _copy_answers(source, target, copied, on_copied)
    runs = {run.id for run in finished if _copy_run(source, target, run, copied, on_copied)}
    _copy_preferences(source, target, runs, copied)
    _copy_studies(source, target, copied)
    _copy_table(source, target, schema.stages, copied, on_copied)
    return copied


def differences(source: Store, target: Store) -> Iterator[str]:
    """A line for each answer and finished run of the source that is not the same in the target."""
    for some in _answers(source.database):
        known = target.answers.known([each.key for each in some])
        for each in some:
            if not _is_same(each.answer, known.get(each.key)):
                yield f"answer {each.key}"
    for run in source.runs.find():
        if run.finished and not _has_same_rows(source, target, run):
            yield f"run {run.id} of {run.model!r} and {run.suite!r}"


def _copy_table(source: Store, target: Store, table: Table, copied: Copied, on_copied: OnCopied) -> None:
    done, total = 0, _count(source.database, table)
    for some in _parts(source.database, select(table)):
        with target.database.writing() as connection:
            new = insert_missing(connection, table, [dict(each._mapping) for each in some])
        done += len(some)
        copied.count(table.name, new, len(some))
        on_copied(table.name, done, total)


def _copy_answers(source: Store, target: Store, copied: Copied, on_copied: OnCopied) -> None:
    done, total = 0, _count(source.database, schema.answers)
    for some in _answers(source.database):
        known = target.answers.known([each.key for each in some])
        target.answers.keep([each for each in some if not _is_same(each.answer, known.get(each.key))])
        done += len(some)
        copied.count("answers", len(some) - len(known), len(some))
        on_copied("answers", done, total)


def _answers(database: Database) -> Iterator[list[KeptAnswer]]:
    """Every answer with all that its key is the hash of; long texts stay the references that they are."""
    answers, requests, fingerprints = schema.answers.c, schema.requests.c, schema.fingerprints.c
    query = (
        select(answers.key, fingerprints.fingerprint, requests.content, answers.draw, *COLUMNS)
        .join(schema.requests, requests.number == answers.request)
        .join(schema.fingerprints, fingerprints.number == answers.fingerprint)
    )
    for some in _parts(database, query):
        yield [
            KeptAnswer(
                key=key,
                fingerprint=fingerprint,
                request=with_draw(request, draw),
                answer=answer_from_columns(answer),
            )
            for key, fingerprint, request, draw, *answer in some
        ]


def _copy_run(source: Store, target: Store, run: Run, copied: Copied, on_copied: OnCopied) -> bool:
    """Copy a run with its rows and scores; whether the target now holds it."""
    there = target.runs.get(run.id)
    if there is not None and there.finished:
        copied.count("runs", 0, 1)
        return True
    other = sum(_other_answers(target, rows) for rows in _in_parts(source.runs.rows(run.id)))
    if other:
        copied.left_out.append(
            f"run {run.id} of {run.model!r} and {run.suite!r}: the target holds other answers to {other:,} "
            "of its requests, for which its scores were not given; evaluate it there to score those"
        )
        return False
    target.runs.begin(replace(run, finished=None))
    done, total = 0, source.runs.count_rows(run.id)
    for rows in _in_parts(source.runs.rows(run.id)):
        target.runs.keep_rows(run.id, [(row.position, row) for row in rows])
        done += len(rows)
        on_copied(f"rows of {run.model} and {run.suite}", done, total)
    target.runs.finish(run.id, str(run.finished))
    copied.count("runs", 1, 1)
    return True


def _other_answers(target: Store, rows: Sequence[Row]) -> int:
    """How many of these rows' answers are others in the target."""
    said = {each.key: each for row in rows for each in row.responses if each.key}
    known = target.answers.known(list(said))
    return sum(not _is_same(answer, known.get(key)) for key, answer in said.items())


def _copy_preferences(source: Store, target: Store, runs: Collection[str], copied: Copied) -> None:
    """Those between runs that the target holds now."""
    _copy_table(source, target, schema.raters, copied, lambda *_: None)
    found = source.preferences.find()
    about = [each for each in found if each.left_run in runs and each.right_run in runs]
    there = {_pair(each) for each in target.preferences.find()}
    new = [each for each in about if _pair(each) not in there]
    target.preferences.keep(new)
    copied.count("preferences", len(new), len(found))
    if len(about) < len(found):
        copied.left_out.append(
            f"{len(found) - len(about):,} preferences about answers of runs that were not copied"
        )


def _pair(each: Preference) -> tuple[str, ...]:
    return each.left_run, each.right_run, each.sample, each.rater, each.shown_first


def _copy_studies(source: Store, target: Store, copied: Copied) -> None:
    """Blind tests with their votes, unless another one has the name."""
    there = {study.name: study for study in target.studies.find()}
    for study in source.studies.find():
        new = target.studies.keep(study)
        if not new and there[study.name].commitment != study.commitment:
            copied.left_out.append(f"blind test {study.name!r}: the target has another one of this name")
            continue
        if study.unsealed is not None:
            target.studies.unseal(study.name, study.unsealed)
        votes = source.studies.votes(study.name)
        copied.count("votes", target.studies.keep_votes(votes), len(votes))
        copied.count("studies", int(new), 1)


def _has_same_rows(source: Store, target: Store, run: Run) -> bool:
    """Whether the target holds these rows, with the same answers and scores."""
    theirs = target.runs.rows(run.id)
    return (
        all(_is_same_row(row, next(theirs, None)) for row in source.runs.rows(run.id))
        and next(theirs, None) is None
    )


def _is_same_row(row: Row, other: Row | None) -> bool:
    return (
        other is not None
        and replace(row, responses=()) == replace(other, responses=())
        and [_said(each) for each in row.responses] == [_said(each) for each in other.responses]
        and [each.key for each in row.responses] == [each.key for each in other.responses]
    )


def _is_same(answer: Answer, other: Answer | None) -> bool:
    """Whether two answers say the same, however long they took."""
    return other is not None and _said(answer) == _said(other)


def _said(answer: Answer) -> Answer:
    if isinstance(answer, Response):
        return replace(answer, key="", seconds=0.0)
    return replace(answer, key="")


def _parts(database: Database, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """What a query finds, a part at a time."""
    with database.reading() as connection:
        streamed = connection.execution_options(yield_per=AT_ONCE).execute(query)
        yield from streamed.partitions()


def _in_parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield some


def _count(database: Database, table: Table) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0
