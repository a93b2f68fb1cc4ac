"""One open database, SQLite or PostgreSQL, and how work is done in it.

A unit of work is a plain function of a SQLAlchemy `Connection`:

    units = await database.transact(lambda connection: reserve(connection, request, now))
    rows = await database.query(lambda connection: connection.execute(STATEMENT, {"item": item}).all())

It awaits nothing, so no transaction stays open while we wait for a channel; it is run as a whole, in one hop to
SQLite's thread or on one PostgreSQL connection; and it is repeated as a whole when the database asks for that, so
it must change nothing but the database. Statements on hot paths are built once, with `bindparam`, and many rows
go as `connection.execute(statement, rows)`.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import ClassVar, Literal, TypeVar

from sqlalchemy import Connection, text

from channelsync.store.database_errors import CommitUnknown, DatabaseFull, surely_rolled_back, understood

Dialect = Literal["sqlite", "postgresql"]
T = TypeVar("T")
Work = Callable[[Connection], T]
InFlight = Callable[[], AbstractContextManager[object]]

ATTEMPTS = 8
"""How often a unit of work is tried; the waits between add up to at most three seconds."""

_FIRST_WAIT = 0.02
_LONGEST_WAIT = 1.0


class Database(ABC):
    """One open database.

    Every use is wrapped in `in_flight()`; waits between attempts are not, so that simulated time can pass them.
    Errors are those of `database_errors`; violated constraints stay SQLAlchemy's `IntegrityError`. A unit of work
    that is cancelled while it runs: on SQLite it is committed or rolled back before the cancellation goes on; on
    PostgreSQL its connection is given up, so the server rolls it back unless its commit was under way.
    """

    dialect: ClassVar[Dialect]

    def __init__(self, url: str, name: str, in_flight: InFlight, *, seed: int | None = None) -> None:
        """`url` opens it again and may hold a password; `name` may be shown; a seed makes the waits repeatable."""
        self.url = url
        self.name = name
        self.full = ""
        """Why the last transaction was not written, where there was no room for it."""
        self._in_flight = in_flight
        self._random = random.Random(seed)  # noqa: S311  # spreads retries, guards nothing

    def __repr__(self) -> str:
        return f"<Database {self.name}>"

    async def transact(self, work: Work[T], *, attempts: int = ATTEMPTS) -> T:
        """Runs `work` in one writing transaction, commits durably and returns its value.

        SQLite: BEGIN IMMEDIATE, one writer at a time, in the order of asking. PostgreSQL: READ COMMITTED. Repeated
        as a whole, at most `attempts` times, after a conflict, a lock held by another, or a connection that broke
        before the commit. Raises CommitUnknown when it broke during the commit.
        """
        try:
            value = await self._repeat(lambda: self._transact_once(work), attempts)
        except DatabaseFull as error:
            self.full = str(error)
            raise
        self.full = ""
        return value

    async def query(self, work: Work[T], *, snapshot: bool = False, unhurried: bool = False) -> T:
        """Runs `work`, which only reads, and returns its value; repeated like `transact`.

        Takes no lock and waits for no writer. Each statement sees what is committed when it starts; with
        `snapshot` all of them see the same moment. On SQLite a write in it is refused. unhurried: it may take as
        long as it takes; else PostgreSQL gives it up after some minutes.
        """
        return await self._repeat(lambda: self._query_once(work, snapshot=snapshot, unhurried=unhurried), ATTEMPTS)

    async def migrate(self, work: Work[T]) -> T:
        """Runs `work`, which changes the schema, in one transaction that excludes every other migration.

        On SQLite foreign keys are not enforced meanwhile, because tables are rebuilt, but checked before the
        commit. Tried once.
        """
        return await self._repeat(lambda: self._migrate(work), 1)

    @abstractmethod
    def listen(self, channel: str) -> AsyncGenerator[str]:
        """Wake-ups, for as long as it is iterated: the payload of each notification on `channel`.

        Only a hint to look: they can be lost and come twice. An empty one comes at the start and after every
        reconnection, because something may have been missed. On SQLite none ever comes.
        """

    @abstractmethod
    async def notify(self, channel: str, payload: str = "") -> None:
        """Wakes whoever listens on `channel`; call it after the commit of what there is to see.

        Not part of a transaction on purpose: PostgreSQL commits transactions that notify one after the other.
        """

    @abstractmethod
    async def close(self) -> None:
        """Gives every connection and thread back; call it once nothing uses the database any more."""

    @abstractmethod
    async def _transact_once(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _query_once(self, work: Work[T], *, snapshot: bool, unhurried: bool) -> T: ...

    @abstractmethod
    async def _migrate(self, work: Work[T]) -> T: ...

    async def _repeat(self, once: Callable[[], Awaitable[T]], attempts: int) -> T:
        """What an error of the driver means is raised in its place; other errors pass."""
        for attempt in range(1, attempts + 1):
            try:
                with self._in_flight():
                    return await once()
            except Exception as error:
                meaning = understood(error)
                if meaning is None:
                    raise
                if not meaning.may_repeat or attempt == attempts:
                    if meaning is error:
                        raise
                    raise meaning from error
            await asyncio.sleep(self._wait_after(attempt))
        raise ValueError(f"a unit of work needs at least one attempt, not {attempts}")

    def _wait_after(self, attempt: int) -> float:
        longest = min(_FIRST_WAIT * 2.0 ** (attempt - 1), _LONGEST_WAIT)
        return longest * self._random.uniform(0.5, 1.0)


def in_one_transaction(connection: Connection, work: Work[T]) -> T:
    """Runs `work` and commits; raises CommitUnknown where it cannot be told whether the commit took place."""
    value = work(connection)
    try:
        connection.commit()
    except Exception as error:
        if surely_rolled_back(error):
            raise
        raise CommitUnknown(f"{type(error).__name__}: {error}") from error
    return value


@asynccontextmanager
async def open_database(
    url: str, *, in_flight: InFlight = nullcontext, inline: bool = False, pool_size: int = 8, worker: str = ""
) -> AsyncGenerator[Database]:
    """Opens the database at `url` and closes it at the end of the block.

    url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user:password@host/name` with libpq's
    parameters; `?pooler=transaction` is for a server reached through a pooler such as pgbouncer in transaction
    mode: no statement is kept prepared, and nobody is woken by notifications.
    in_flight: entered around every use; simulated time stands still inside.
    inline: SQLite in the event loop itself, without threads: for simulations, which must be deterministic. Nothing of
        one outlives the machine, so no commit waits for the disk.
    pool_size: connections to PostgreSQL, or readers of SQLite beside its one writer.
    worker: by which name this process holds leases; PostgreSQL knows its sessions by it.
    Raises ValueError for an address that is none of these, and DatabaseError when it cannot be opened or reached.
    """
    database = _choose(url, in_flight, inline=inline, pool_size=pool_size, worker=worker)
    try:
        await database.query(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        yield database
    finally:
        await database.close()


def _choose(url: str, in_flight: InFlight, *, inline: bool, pool_size: int, worker: str) -> Database:
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from channelsync.store.sqlite import SqliteDatabase

        return SqliteDatabase(url, in_flight, inline=inline, readers=pool_size)
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(f"a database address begins with sqlite:/// or postgresql://, not with {scheme}:")
    if inline:
        raise ValueError("only SQLite can run inline: PostgreSQL is another process")
    from channelsync.store.postgresql import PostgresqlDatabase
    from channelsync.store.sessions import session_of

    return PostgresqlDatabase(url, in_flight, pool_size=pool_size, session=session_of(worker))
