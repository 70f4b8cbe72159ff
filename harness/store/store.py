"""The results store: opened by its URL, closed, and in between its parts, each with its own queries.

What keeps something is one transaction: when it returns, what it was given survives the death of the process.
Several processes may use one store at once.
"""

from types import TracebackType
from typing import Self

from harness.store.answers import Answers
from harness.store.database import Database, exists
from harness.store.migrations import bring_forward, is_todays
from harness.store.models import Models
from harness.store.preferences import Preferences
from harness.store.removal import Removals
from harness.store.runs import Runs
from harness.store.smaller import move_all
from harness.store.stages import Stages
from harness.store.studies import Studies
from harness.store.verify import Integrity


class Store:
    """An open results store. Methods raise StoreError where it cannot be used, DiskFull on a full disk."""

    def __init__(self, database: Database) -> None:
        """Use `Store.open`."""
        self.database = database
        self.answers = Answers(database)
        self.models = Models(database)
        self.runs = Runs(database)
        self.removals = Removals(database)
        self.stages = Stages(database)
        self.preferences = Preferences(database)
        self.studies = Studies(database)
        self.integrity = Integrity(database)

    @classmethod
    def open(cls, url: str, *, reading: bool = False) -> Self:
        """Open a store by its SQLAlchemy URL, making it or bringing it forward as needed.

        `reading`: nothing will be kept, so that one of today's may be read-only.

        Raises StoreError for a file that is not a database or belongs to something else, for a read-only
        or newer store, and for one that stays locked; DiskFull for a full disk.
        """
        database = Database(url)
        try:
            if not (reading and is_todays(database)):
                with database.writing() as connection:
                    bring_forward(connection, database.name)
                move_all(database)
        except BaseException:  # an interrupt too: no connection is left behind
            database.close()
            raise
        return cls(database)

    @property
    def name(self) -> str:
        """What messages call it: the file, or the URL without its password."""
        return self.database.name

    def is_same_as(self, other: "Store") -> bool:
        """Whether both are one file, however it is spelled, or a server's database under one name."""
        files = self.database.file, other.database.file
        if files[0] is None or files[1] is None:
            return self.name == other.name
        return files[0].samefile(files[1])

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a store to look into, so that looking need not make an empty one.

        Of a store on a server that shows only when it is opened. Raises StoreError for a URL of another kind.
        """
        return exists(url)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
