"""Which models were asked: what a name stood for, once per fingerprint it has had."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from harness.records.models import Json
from harness.store import schema
from harness.store.database import Database, Values, insert_or_replace
from harness.store.encoding import digest_of_text


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptModel:
    """A model as it was when it was asked."""

    name: str
    fingerprint: str
    source: Mapping[str, Json]
    description: Mapping[str, Json]
    """The engine's: device, dtype, parameters, …"""
    chat_template: str | None
    chat_template_hash: str | None


@dataclass(frozen=True)
class Models:
    """The models in a store."""

    database: Database

    def keep(
        self,
        name: str,
        fingerprint: str,
        source: Mapping[str, Json],
        description: Mapping[str, Json],
        chat_template: str | None,
    ) -> None:
        """Keep what a model's name stands for; the same name and fingerprint again replaces the description.

        Comes before the runs of the model.
        """
        model: Values = {
            "name": name,
            "fingerprint": fingerprint,
            "source": source,
            "description": description,
            "chat_template": chat_template,
            "chat_template_hash": None if chat_template is None else digest_of_text(chat_template),
        }
        with self.database.writing() as connection:
            insert_or_replace(connection, schema.models, [model])

    def get(self, name: str, fingerprint: str) -> KeptModel | None:
        """The model that a run names; None where it was never kept."""
        table = schema.models
        query = select(table).where(table.c.name == name, table.c.fingerprint == fingerprint)
        with self.database.reading() as connection:
            return next((KeptModel(**row._mapping) for row in connection.execute(query)), None)
