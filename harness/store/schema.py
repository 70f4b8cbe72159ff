"""The tables as queries see them. How they come to be is in `migrations`; a test holds the two together.

    models ─┐
            └─ runs ─┬─ rows ─┬─ scores        a run holds rows, a row holds scores
                     │        └─ preferences   between the rows of two runs about one sample
           samples ──┘
      fingerprints ─┬─ answers                 rows name their answers by number
    texts ·· requests ┘                        and requests name long texts by hash
    raters                                     who preferences are of
    studies ─── votes                          blind tests, and what was done with each ballot
    stages                                     what pipelines trained

Samples, requests and answers are addressed by the hash of their content, and so are stored once, however many
runs, models or draws share them. An answer's key is the hash of the engine's fingerprint and of the request
with its draw. So are long texts of requests, such as the context of many choices: requests refer to them
within their JSON. Rows name answers in a JSON list, not by foreign keys, because answers that nobody kept
stand in that list themselves; `verify` checks that those they name are there.

What nearly every answer has is a column of its own, and what few have is JSON, as its text is, in which every
string can be kept. The scores of a row are one record: `numbers` has a list for each of `metrics`, null where
there is no number, and `reasons` says of each null in turn why. That a score is a number or says why it is
none is a constraint, and cannot be got round.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

from harness.store.encoding import HashBytes, JsonText, OptionalJson, PlainText

metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")
"""Given by the database itself; in SQLite it is where the row lies, and takes no room."""

migrations = Table(
    "migrations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("applied", Text, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("source", JsonText, nullable=False),
    Column("description", JsonText, nullable=False),
    Column("chat_template", Text),
    Column("chat_template_hash", Text),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("suite", Text, nullable=False),
    Column("suite_version", Text, nullable=False),
    Column("metrics", JsonText, nullable=False),
    Column("data_hash", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("environment", JsonText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text),
    ForeignKeyConstraint(["model", "fingerprint"], ["models.name", "models.fingerprint"]),
)

samples = Table(
    "samples",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("cluster", PlainText, nullable=False),
    Column("content", JsonText, nullable=False),
)

rows = Table(
    "rows",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("sample", PlainText, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("sample_hash", Text, ForeignKey("samples.hash"), nullable=False),
    Column("answers", JsonText, nullable=False),
    Index("rows_in_order", "run", "position"),
)

texts = Table(
    "texts",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("text", JsonText, nullable=False),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("number", Number, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
)

requests = Table(
    "requests",
    metadata,
    Column("number", Number, primary_key=True),
    Column("hash", HashBytes, nullable=False, unique=True),
    Column("content", JsonText, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("number", Number, primary_key=True),
    Column("key", HashBytes, nullable=False, unique=True),
    Column("fingerprint", Integer, ForeignKey("fingerprints.number"), nullable=False),
    Column("request", Integer, ForeignKey("requests.number"), nullable=False),
    Column("draw", Integer),
    Column("text", OptionalJson),
    Column("stopped", Text),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("seconds", Double),
    Column("logprob", Double),
    Column("greedy", Integer),
    Column("tokens", Integer),
    Column("more", OptionalJson),
)

scores = Table(
    "scores",
    metadata,
    Column("run", Text, primary_key=True),
    Column("sample", PlainText, primary_key=True),
    Column("metrics", JsonText, nullable=False),
    Column("numbers", JsonText, nullable=False),
    Column("reasons", OptionalJson),
    ForeignKeyConstraint(["run", "sample"], ["rows.run", "rows.sample"]),
)

preferences = Table(
    "preferences",
    metadata,
    Column("left_run", Text, primary_key=True),
    Column("right_run", Text, primary_key=True),
    Column("sample", PlainText, primary_key=True),
    Column("rater", Text, primary_key=True),
    Column("shown_first", Text, primary_key=True),
    Column("winner", Text),
    Column("seconds", Double),
    Column("cost", Double),
    Column("reason", PlainText),
    Column("difference", Double),
    Column("reply", Text),
    Column("comment", PlainText),
    ForeignKeyConstraint(["left_run", "sample"], ["rows.run", "rows.sample"]),
    ForeignKeyConstraint(["right_run", "sample"], ["rows.run", "rows.sample"]),
)

raters = Table(
    "raters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("details", JsonText, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created", Text, nullable=False),
    Column("design", JsonText, nullable=False),
    Column("commitment", Text, nullable=False),
    Column("unsealed", Text),
)

votes = Table(
    "votes",
    metadata,
    Column("study", Text, ForeignKey("studies.name"), primary_key=True),
    Column("place", BigInteger, primary_key=True),
    Column("rater", Text, nullable=False),
    Column("ballot", Text, nullable=False),
    Column("choice", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("seconds", Double),
    Column("comment", PlainText),
    Column("source", Text, nullable=False),
    Index("votes_once", "study", "rater", "token", unique=True),
)

stages = Table(
    "stages",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("manifest", JsonText, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text, nullable=False),
)
