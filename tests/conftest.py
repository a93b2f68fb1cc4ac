"""Databases for tests: a fresh one per test, copied from one that was migrated once per session."""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from channelsync.store.database import Database, open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.migrations import upgrade

TEMPLATE = "migrated"
RELEASED = Path(__file__).parent / "store" / "schemas"
"""One file a released revision of the tables, with rows in every table as that version wrote them."""

LoadReleased = Callable[[Database, str], Awaitable[None]]
WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}
"""What was committed survives the death of every process, but not that of the machine."""

ROOM = 2 * 1024**3
_NUMBERS = count(1)

# A busy machine is slow, and no fault of the code's.
settings.register_profile("channelsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("channelsync")

# As `channelsync` logs: a trace with the values of every variable takes seconds to draw.
_PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


@pytest.fixture(autouse=True)
def without_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says to channelsync must not reach a test."""
    for name in [name for name in os.environ if name.startswith("CHANNELSYNC_")]:  # noqa: TID251  # only to clear it
        monkeypatch.delenv(name)


class CompiledByDialect(dict[tuple[Any, ...], Any]):
    """Compiled statements by the name of the dialect, where SQLAlchemy has its object, of which each engine has one."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """What one test has compiled serves the next: SQLAlchemy keeps it by engine, and each database has its own."""
    shared = CompiledByDialect()
    with pytest.MonkeyPatch.context() as patch:
        kept = property(lambda engine: shared, lambda engine, value: None)
        patch.setattr(Engine, "_compiled_cache", kept, raising=False)
        yield


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to be copied; nobody opens it."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """The address of a fresh, migrated SQLite file."""
    path = tmp_path / "channelsync.db"
    shutil.copyfile(migrated_sqlite_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    async with open_database(sqlite_url) as database:
        yield database


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[EmbeddedPostgres]:
    """One server for each process that runs tests."""
    with _folder_for_a_server() as folder, EmbeddedPostgres(folder / "data", settings=WITHOUT_FSYNC) as server:
        server.create_database(TEMPLATE)
        _migrate(server.url(TEMPLATE))
        yield server


@pytest.fixture
def own_postgresql_server() -> Iterator[EmbeddedPostgres]:
    """A server of this test alone, not started yet, for it to stop and to kill."""
    with _folder_for_a_server() as folder:
        server = EmbeddedPostgres(folder / "data", settings=WITHOUT_FSYNC)
        yield server
        server.stop()


@pytest.fixture
async def postgresql_url(postgresql_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of a fresh, migrated PostgreSQL database."""
    name = f"test_{next(_NUMBERS)}"
    connection = await asyncpg.connect(postgresql_server.url())
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield postgresql_server.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def empty_postgresql_url(postgresql_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of a PostgreSQL database without any table."""
    name = f"empty_{next(_NUMBERS)}"
    connection = await asyncpg.connect(postgresql_server.url())
    try:
        await connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        yield postgresql_server.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/empty.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_url(request: pytest.FixtureRequest) -> str:
    """The address of a database without any table; the test runs once for SQLite and once for PostgreSQL."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture
def load_released() -> LoadReleased:
    """Fills an empty database as a released version left it: await load_released(database, "0001")."""

    async def load(database: Database, revision: str) -> None:
        text = (RELEASED / f"{revision}.sql").read_text(encoding="utf-8")
        lines = [line.partition("INSERT ")[2] for line in text.split(";\n")]
        lines = [f"INSERT {line}" for line in lines if line]
        if database.dialect == "postgresql":
            lines = [re.sub(r"X'([0-9a-f]*)'", r"'\\x\1'", line) for line in lines]
            numbered = ("quantity_key", "webhook", "finding", "change")
            lines += [f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))" for table in numbered]
        await upgrade(database, revision)
        await database.transact(lambda c: [c.exec_driver_sql(line) for line in lines])

    return load


@pytest.fixture
async def postgresql_database(postgresql_url: str) -> AsyncIterator[Database]:
    async with open_database(postgresql_url) as database:
        yield database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh, migrated database; the test runs once for SQLite and once for PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database; the test runs once for SQLite and once for PostgreSQL."""
    async with open_database(database_url) as database:
        yield database


@contextmanager
def _folder_for_a_server() -> Iterator[Path]:
    """In memory where there is room: creating and dropping databases makes hundreds of files for every test.

    Not under pytest's own folder, which only its owner may enter: run by root, the server is another user.
    """
    memory = Path("/dev/shm")  # noqa: S108  # the name is made unguessable below
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    with tempfile.TemporaryDirectory(prefix="channelsync-tests-", dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _migrate(url: str) -> None:
    async def migrate() -> None:
        async with open_database(url) as database:
            await upgrade(database)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the tests' own loop alone
        runner.run(migrate())
