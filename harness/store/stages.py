"""What pipelines trained: one record per finished stage and pipeline that has it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import select

from harness.records.models import Json
from harness.store import schema
from harness.store.database import Database, insert_or_replace


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStage:
    """A finished stage. Pipelines that share it each have a record with the same identity."""

    pipeline: str
    identity: str
    """The hash of what the stage's result depends on: settings, data, parent, seed, version."""
    position: int
    """Where it stands in the pipeline, from 0."""
    kind: str
    folder: str
    manifest: Mapping[str, Json]
    started: str
    """ISO 8601, UTC."""
    finished: str


@dataclass(frozen=True)
class Stages:
    """The finished stages in a store."""

    database: Database

    def keep(self, stage: KeptStage) -> None:
        """Keep a finished stage; the same stage of the same pipeline again is replaced."""
        with self.database.writing() as connection:
            insert_or_replace(connection, schema.stages, [asdict(stage)])

    def find(self, pipeline: str | None = None) -> list[KeptStage]:
        """The stages of one pipeline, or of all: by pipeline, position and time."""
        table = schema.stages
        query = select(table).order_by(table.c.pipeline, table.c.position, table.c.finished)
        if pipeline is not None:
            query = query.where(table.c.pipeline == pipeline)
        with self.database.reading() as connection:
            return [KeptStage(**record._mapping) for record in connection.execute(query)]
