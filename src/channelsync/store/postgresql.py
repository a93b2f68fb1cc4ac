"""PostgreSQL through asyncpg: for more than one process or machine.

Addresses are handed to asyncpg as they are, so libpq's parameters (sslmode, several hosts, passfile) work. Where a
server is reached through a pooler in transaction mode, no statement may stay prepared on a connection, because the
next transaction may run on another one: `?pooler=transaction`.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from typing import Any, ClassVar, TypeVar

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from channelsync.store.database import Database, Dialect, InFlight, Work, in_one_transaction
from channelsync.store.database_errors import CommitUnknown, ConnectionLost, DatabaseError, DatabaseUnavailable

T = TypeVar("T")

CONNECT_SECONDS = 10
LONGEST_SECONDS = 300
"""After so long a unit of work is given up: a peer that has vanished behind a silent network would otherwise hold it
for hours. One timer for all of it, because one for each statement costs a tenth of the statement. Migrations are
exempt."""

_SESSION = {
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "random_page_cost": "1.1",
}
"""A process that is stopped inside a transaction loses its locks, well before others run out of patience: they are
those who take over its accounts. No lock is waited for without an end.

Our statements are few, prepared, and find their rows by an index. Planned once, as for a disk without moving parts,
they take half the time: left to itself the server plans each `= ANY` anew, as it takes an array for ten values."""

_MIGRATION_LOCK = 0x6368_616E_6E65_6C73
"""Key of the advisory lock that a migration holds; the letters `channels`."""

_LISTEN_AGAIN_SECONDS = (0.1, 0.5, 1.0, 5.0)


class PostgresqlDatabase(Database):
    """A PostgreSQL database."""

    dialect: ClassVar[Dialect] = "postgresql"

    def __init__(self, url: str, in_flight: InFlight, *, pool_size: int, session: str) -> None:
        self._session = session
        self._dsn, self._pooled = _split(url)
        super().__init__(url, _shown(self._dsn), in_flight)
        self._engine = self._new_engine(pool_size)
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """Notifications, on a connection of its own that is made anew when it breaks; none behind a pooler."""
        if self._pooled:
            await asyncio.get_running_loop().create_future()
        failures = 0
        while True:
            heard = _Heard()
            try:
                connection = await self._listening(channel, heard)
            except (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS[min(failures, len(_LISTEN_AGAIN_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            try:
                yield ""
                while not heard.ended:
                    for payload in await heard.more():
                        yield payload
            finally:
                connection.terminate()

    async def _listening(self, channel: str, heard: "_Heard") -> Any:
        with self._in_flight():
            connection = await self._connect()
            try:
                connection.add_termination_listener(heard.end)
                await connection.add_listener(channel, heard.hear)
            except BaseException:
                connection.terminate()
                raise
            return connection

    async def notify(self, channel: str, payload: str = "") -> None:
        if self._pooled:
            return
        statement = text("SELECT pg_notify(:channel, :payload)")
        await self.query(lambda c: c.execute(statement, {"channel": channel, "payload": payload}).scalar_one())

    async def close(self) -> None:
        await self._engine.dispose()

    async def _transact_once(self, work: Work[T]) -> T:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await self._in_one_greenlet(self._engine, lambda c: in_one_transaction(c, work))
        except TimeoutError as error:
            raise CommitUnknown(f"no answer within {LONGEST_SECONDS} seconds") from error

    async def _query_once(self, work: Work[T], *, snapshot: bool, unhurried: bool) -> T:
        try:
            async with asyncio.timeout(None if unhurried else LONGEST_SECONDS):
                return await self._in_one_greenlet(self._snapshot if snapshot else self._autocommit, work)
        except TimeoutError as error:
            raise ConnectionLost(f"no answer within {LONGEST_SECONDS} seconds") from error

    async def _migrate(self, work: Work[T]) -> T:
        return await self._in_one_greenlet(self._engine, lambda c: in_one_transaction(c, lambda c: _alone(c, work)))

    @staticmethod
    async def _in_one_greenlet(engine: AsyncEngine, work: Work[T]) -> T:
        """Borrows a connection, works and gives it back in one greenlet; `AsyncConnection` makes one for each step."""

        def borrow_and_work() -> T:
            with engine.sync_engine.connect() as connection:
                return work(connection)

        return await greenlet_spawn(borrow_and_work)

    def _new_engine(self, pool_size: int) -> AsyncEngine:
        adapter: dict[str, Any] = {"async_creator_fn": self._connect}
        if self._pooled:
            adapter |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": _unique_name}
        return create_async_engine(
            "postgresql+asyncpg://",
            connect_args=adapter,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
            skip_autocommit_rollback=True,
            pool_size=pool_size,
            max_overflow=0,
        )

    async def _connect(self) -> Any:
        settings = {"application_name": self._session, "timezone": "UTC"} | ({} if self._pooled else _SESSION)
        try:
            return await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_SECONDS,
                statement_cache_size=0 if self._pooled else 100,
                server_settings=settings,
            )
        except OSError as error:
            raise DatabaseUnavailable(f"{self.name}: {error or 'no answer'}") from error
        except asyncpg.exceptions.ClientConfigurationError as error:
            raise ValueError(f"the address of {self.name} cannot be used: {error}") from error


class _Heard:
    """Notifications that have arrived and are not handed on yet; equal ones once."""

    def __init__(self) -> None:
        self.ended = False
        self._payloads: dict[str, None] = {}
        self._something = asyncio.Event()

    def hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._payloads[payload] = None
        self._something.set()

    def end(self, _connection: object) -> None:
        self.ended = True
        self._something.set()

    async def more(self) -> list[str]:
        """What has arrived, once there is something; may be empty when the connection has ended."""
        await self._something.wait()
        self._something.clear()
        arrived, self._payloads = list(self._payloads), {}
        return arrived


def _alone(connection: Connection, work: Work[T]) -> T:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    return work(connection)


def _unique_name() -> str:
    return f"cs_{uuid.uuid4().hex}"


def _split(url: str) -> tuple[str, bool]:
    """The address without our own parameter, and whether a pooler in transaction mode is in between."""
    address, _, query = url.partition("?")
    parameters = [parameter for parameter in query.split("&") if parameter]
    ours = [parameter for parameter in parameters if parameter.startswith("pooler=")]
    if any(parameter != "pooler=transaction" for parameter in ours):
        raise ValueError(f"{ours[0]} is unknown in a database address: leave it out, or write pooler=transaction")
    rest = "&".join(parameter for parameter in parameters if parameter not in ours)
    return f"{address}?{rest}" if rest else address, bool(ours)


def _shown(dsn: str) -> str:
    """The address without password and parameters."""
    scheme, _, rest = dsn.partition("?")[0].partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"
