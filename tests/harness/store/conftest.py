"""A new store for a test, in SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store import Store
from tests.harness.store.postgresql import Databases, shared_folder


@pytest.fixture(scope="session")
def databases(testrun_uid: str, worker_id: str) -> Iterator[Databases]:
    """Databases on the server that all processes of a run of tests share."""
    found = Databases(shared_folder(testrun_uid), worker_id)
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store can be made."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.one() as found:
            yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where there is nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/elsewhere.db"
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.one(empty=True) as found:
            yield found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    with Store.open(url) as opened:
        yield opened
