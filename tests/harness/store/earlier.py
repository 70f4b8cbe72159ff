"""A store as it was before step 0005, to see what becomes of it."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, text

from harness.records.answers import Response, Row
from harness.store import Answer, KeptAnswer
from harness.store.database import Database
from harness.store.encoding import canonical, digest, packed, sample_as_json
from harness.store.migrations import MIGRATIONS, in_dialect
from harness.store.models import Models
from harness.store.preferences import Preferences
from harness.store.runs import Runs
from tests.harness.store.made import begun

ANSWER = text("INSERT INTO answers VALUES (:key, :fingerprint, :request, :answer)")
SAMPLE = text("INSERT INTO samples VALUES (:hash, :cluster, :content) ON CONFLICT DO NOTHING")
ROW = text("INSERT INTO rows VALUES (:run, :sample, :position, :sample_hash, :answers)")
SCORE = text("INSERT INTO scores VALUES (:run, :sample, :place, :metric, :part, :value, :reason)")
TEXT = text("INSERT INTO texts VALUES (:hash, :text) ON CONFLICT DO NOTHING")


class EarlierStore:
    """Keeps what that version kept, as it kept it, after so many steps."""

    def __init__(self, url: str, *, steps: int = 4) -> None:
        self.database = Database(url)
        self.models, self.runs = Models(self.database), Runs(self.database)
        self.preferences = Preferences(self.database)
        with self.database.writing() as connection:
            for step in MIGRATIONS[:steps]:
                for statement in step.statements:
                    connection.exec_driver_sql(in_dialect(statement, connection.dialect.name))
                connection.execute(text("INSERT INTO migrations VALUES (:name, 'then')"), {"name": step.name})

    def keep(self, *answers: KeptAnswer) -> None:
        """Keep answers, with all their fields and their requests."""
        with self.database.writing() as connection:
            for kept in answers:
                texts: dict[str, str] = {}
                request = canonical(packed(kept.request, texts))
                for written, hashed in texts.items():
                    connection.execute(TEXT, {"hash": hashed, "text": canonical(written)})
                values = {"key": kept.key, "fingerprint": kept.fingerprint, "request": request}
                connection.execute(ANSWER, {**values, "answer": canonical(_body(kept.answer))})

    def keep_rows(self, run_id: str, rows: Sequence[Row]) -> None:
        """Keep rows with the keys of their answers, and a line for each score."""
        with self.database.writing() as connection:
            for row in rows:
                _keep_row(connection, run_id, row)

    def begin(self, run_id: str = "run", **changes: str) -> None:
        """Begin a run."""
        begun(self, run_id, **changes)

    def close(self) -> None:
        self.database.close()


def _keep_row(connection: Connection, run_id: str, row: Row) -> None:
    content = sample_as_json(row.sample)
    sample = {"hash": digest(content), "cluster": row.sample.cluster or row.sample.id}
    connection.execute(SAMPLE, {**sample, "content": canonical(content)})
    answers = [answer.key or _body(answer) for answer in row.responses]
    about = {"run": run_id, "sample": row.sample.id}
    kept = {"position": row.position, "sample_hash": digest(content), "answers": canonical(answers)}
    connection.execute(ROW, about | kept)
    parts: dict[str, int] = {}
    for place, score in enumerate(row.scores):
        part = parts[score.metric] = parts.get(score.metric, -1) + 1
        connection.execute(SCORE, about | asdict(score) | {"place": place, "part": part})


def _body(answer: Answer) -> dict[str, object]:
    """An answer with all its fields, and with its kind."""
    body = asdict(answer)
    del body["key"]
    if isinstance(answer, Response):
        body["stopped"] = body.pop("stop_reason")
    return {"kind": "response" if isinstance(answer, Response) else "likelihood", **body}
