"""Step 0004: separates thoughts from answers that were kept together with them.

The rule is `harness.thoughts`', applied without the prompt, which is no longer known. An answer that a stop
string cut within its thought, which would not happen now, moves to a key that is never looked up: runs still
show it, and it is asked anew where it is needed.

Thoughts of local models that left no tags behind cannot be found in a text: these models have another
fingerprint now (`THOUGHTS_VERSION` in `harness.engine.identity`), so such answers serve no new run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Column, Connection, MetaData, Table, bindparam, or_, select, type_coerce, update
from sqlalchemy import Text as TextType

from harness import thoughts
from harness.records.answers import Response
from harness.records.models import Json
from harness.store.answers import answer_key
from harness.store.encoding import JsonText, answer_as_json, answer_from_json, references_in, unpacked

THEN = MetaData()
"""The tables as they were before this step and after it."""
ANSWERS = Table(
    "answers",
    THEN,
    Column("key", TextType),
    Column("fingerprint", TextType),
    Column("request", JsonText),
    Column("answer", JsonText),
)
TEXTS = Table("texts", THEN, Column("hash", TextType), Column("text", JsonText))
ROWS = Table("rows", THEN, Column("run", TextType), Column("sample", TextType), Column("answers", JsonText))
PREFERENCES = Table("preferences", THEN, Column("reply", TextType))

SUSPECTED = ("think", "THINK", "thought", "<|channel", '"text":""')
"""What stands in the JSON of every answer that may have to change."""
CUT = " (cut within its thought)"
"""Ends the fingerprint of answers that nobody asks for any more."""


def set_apart(connection: Connection) -> None:
    """Take thoughts out of the texts of all answers that are kept."""
    moved: dict[str, str] = {}
    for key, fingerprint, request, body in _suspected(connection):
        answer = answer_from_json(body)
        if not isinstance(answer, Response):
            continue
        parted = _parted(answer)
        if parted == answer:
            continue
        values: dict[str, Any] = {"answer": answer_as_json(parted)}
        if _sampling(request).get("stop") and thoughts.cut_within(answer):
            asked = cast("dict[str, Json]", unpacked(request, _texts(connection, request)))
            values["fingerprint"] = fingerprint + CUT
            values["key"] = moved[key] = answer_key(fingerprint + CUT, asked)
        connection.execute(update(ANSWERS).where(ANSWERS.c.key == key).values(**values))
    if moved:
        _rename(connection, moved)


def _parted(answer: Response) -> Response:
    """As it would be kept now. Of an empty text that was cut, all tokens went into thinking."""
    if answer.text == "" and answer.stop_reason == "length":
        return thoughts.separate_thought(answer, thinks=True)
    return thoughts.separate_thought(answer)


def _suspected(connection: Connection) -> Sequence[Any]:
    table = ANSWERS
    text = type_coerce(table.c.answer, TextType)
    marked = or_(*(text.like(f"%{mark}%") for mark in SUSPECTED))
    return connection.execute(
        select(table.c.key, table.c.fingerprint, table.c.request, table.c.answer).where(marked)
    ).all()


def _sampling(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", request.get("sampling", {}))


def _texts(connection: Connection, request: Json) -> Mapping[str, str]:
    texts = TEXTS
    wanted = texts.c.hash.in_(list(references_in(request)))
    found = connection.execute(select(texts.c.hash, texts.c.text).where(wanted))
    return {kept: text for kept, text in found}  # noqa: C416 - dict() of rows, which mypy takes for no pairs


def _rename(connection: Connection, moved: Mapping[str, str]) -> None:
    """Let rows and preferences name these answers by their new keys."""
    rows, preferences = ROWS, PREFERENCES
    for run, sample, answers in connection.execute(select(rows.c.run, rows.c.sample, rows.c.answers)).all():
        renamed = [moved.get(each, each) if isinstance(each, str) else each for each in answers]
        if renamed != answers:
            here = (rows.c.run == run) & (rows.c.sample == sample)
            connection.execute(update(rows).where(here).values(answers=renamed))
    reply = update(preferences).where(preferences.c.reply == bindparam("old")).values(reply=bindparam("new"))
    connection.execute(reply, [{"old": old, "new": new} for old, new in moved.items()])
