"""SQLite: one writer and a few readers on one file in WAL mode, every commit durable (but for simulations).

A unit of work runs whole in one thread (or, inline, in the loop itself): a hop to a thread costs as much as a
dozen statements. The driver's own transactions are off (`isolation_level=None`); a writing transaction begins with
BEGIN IMMEDIATE, because one that reads first and writes later is refused at once instead of waiting.
"""

import asyncio
import contextvars
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from channelsync.store.database import Database, Dialect, InFlight, Work, in_one_transaction
from channelsync.store.database_errors import DatabaseDamaged, DatabaseGone, DatabaseUnavailable

T = TypeVar("T")
FileId = tuple[int, int]
"""Device and number: the same file under whatever name."""

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite itself waits for another process's write before an attempt ends with DatabaseBusy."""

_BEGIN_WRITING = "BEGIN IMMEDIATE"
_BEGIN_READING = "BEGIN"


class SqliteDatabase(Database):
    """A SQLite file."""

    dialect: ClassVar[Dialect] = "sqlite"

    def __init__(self, url: str, in_flight: InFlight, *, inline: bool, readers: int) -> None:
        self.path = sqlite_path(url)
        super().__init__(url, str(self.path), in_flight, seed=0 if inline else None)
        if not self.path.parent.is_dir():
            raise DatabaseUnavailable(f"there is no directory {self.path.parent} for {self.path.name}")
        self._durable = not inline
        self._opened: FileId | None = None
        self._one_writer = asyncio.Lock()
        self._writer = _engine(self._connect, size=1)
        self._reader = _engine(partial(self._connect, query_only=True), size=readers)
        self._writing: Connection | None = None
        self._reading: list[Connection] = []
        self._writer_thread = None if inline else ThreadPoolExecutor(1, "sqlite-writer")
        self._reader_threads = None if inline else ThreadPoolExecutor(readers, "sqlite-reader")

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """Never fires: there is one publisher, and it wakes itself."""
        await asyncio.Event().wait()
        yield channel

    async def notify(self, channel: str, payload: str = "") -> None:
        """Wakes nobody."""

    async def close(self) -> None:
        for threads in (self._writer_thread, self._reader_threads):
            if threads is not None:
                threads.shutdown()
        if self._writing is not None:
            self._writing.close()
        while (reading := self._kept_reader()) is not None:
            reading.close()
        self._writer.dispose()
        self._reader.dispose()

    def _connect(self, *, query_only: bool = False) -> sqlite3.Connection:
        """The first connection says which file it is; the later ones make no new file where that one has gone."""
        if self._opened is not None:
            self._refuse_another_file()
        connection = connect(self.path, query_only=query_only, durable=self._durable)
        self._opened = self._opened or _file_id(self.path)
        return connection

    def _refuse_another_file(self) -> None:
        """Raises DatabaseGone where the file has another name by now, or none: SQLite would go on writing to it, and
        all of that would be gone with the last process that has it open."""
        if self._opened is not None and (there := _file_id(self.path)) != self._opened:
            raise DatabaseGone(f"{self.path}: {'there is none' if there is None else 'it is another file'}")

    async def _transact_once(self, work: Work[T]) -> T:
        async with self._one_writer:
            return await _run(self._writer_thread, lambda: self._write(work))

    def _write(self, work: Work[T]) -> T:
        """On one connection that is kept: borrowing it each time would cost a tenth of booking an order.

        It is given up when it fails, so that the next unit of work begins on a sound one.
        """
        self._refuse_another_file()
        connection = self._writing or self._writer.connect()
        self._writing = None
        try:
            _begin(connection)
            value = in_one_transaction(connection, work)
        except BaseException:
            connection.close()
            raise
        self._writing = connection
        return value

    async def _query_once(self, work: Work[T], *, snapshot: bool, unhurried: bool) -> T:
        return await _run(self._reader_threads, lambda: self._read(work, snapshot=snapshot))

    def _read(self, work: Work[T], *, snapshot: bool) -> T:
        self._refuse_another_file()
        connection = self._kept_reader() or self._reader.connect()
        try:
            if snapshot:
                connection.exec_driver_sql(_BEGIN_READING)
            value = work(connection)
            connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._reading.append(connection)
        return value

    def _kept_reader(self) -> Connection | None:
        """One that nobody reads with; several threads ask at once."""
        try:
            return self._reading.pop()
        except IndexError:
            return None

    async def _migrate(self, work: Work[T]) -> T:
        rebuilding = _engine(partial(connect, self.path, foreign_keys=False), size=1)
        try:
            async with self._one_writer:
                return await _run(self._writer_thread, lambda: _write(rebuilding, lambda c: _checked(c, work)))
        finally:
            rebuilding.dispose()


def sqlite_path(url: str) -> Path:
    """The absolute path of the file that a `sqlite:///` address names; ValueError where it names none."""
    try:
        parts = make_url(url)
    except ArgumentError:
        parts = None
    if parts is None or parts.host or parts.query or parts.database in (None, "", ":memory:"):
        raise ValueError(f"{url} names no SQLite file: write sqlite:///relative.db or sqlite:////absolute.db")
    return Path(str(parts.database)).expanduser().resolve()


def connect(
    path: Path, *, foreign_keys: bool = True, query_only: bool = False, durable: bool = True
) -> sqlite3.Connection:
    """A new connection with every setting that we rely on; SQLite keeps none but journal_mode in the file.

    A file that is new may be read by its owner only, for orders will be in it. SQLite gives the same right to the files
    that it makes beside it. durable: a commit is on the disk; else it outlives this process, but not the machine.
    """
    with suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
    except BaseException:
        connection.close()
        raise
    if mode != "wal":
        connection.close()
        raise DatabaseUnavailable(f"{path} is on a file system without WAL, such as a network share: move it")
    return connection


def _file_id(path: Path) -> FileId | None:
    """None: there is no file of that name, or none that can be looked at."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _engine(creator: Callable[[], sqlite3.Connection], *, size: int) -> Engine:
    return create_engine(
        "sqlite+pysqlite:///file",
        creator=creator,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
    )


def _write(engine: Engine, work: Work[T]) -> T:
    with engine.connect() as connection:
        _begin(connection)
        return in_one_transaction(connection, work)


def _begin(connection: Connection) -> None:
    """Begins a writing transaction, which SQLAlchemy then commits or rolls back; it would begin a deferred one."""
    connection.begin()
    connection.connection.cursor().execute(_BEGIN_WRITING)


def _checked(connection: Connection, work: Work[T]) -> T:
    value = work(connection)
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise DatabaseDamaged(f"the migration would leave {len(broken)} rows that point at nothing, in {tables}")
    return value


async def _run(threads: ThreadPoolExecutor | None, call: Callable[[], T]) -> T:
    """Runs the call in a thread, or at once when there is none.

    A cancelled caller still waits for the end of a call that has begun; one that waits for a free thread never begins.
    """
    if threads is None:
        return call()
    handed = _Handed(call)
    threads.submit(contextvars.copy_context().run, handed.begin)
    try:
        return await handed.done
    except asyncio.CancelledError:
        if not handed.taken.acquire(blocking=False):
            await handed.over()
        raise


class _Handed(Generic[T]):
    """A call that was handed to a thread.

    taken: once, by the thread that begins it, or by the caller who wants it no more. done: what came of it; cancelled
    with its caller. asyncio's own way there (`run_in_executor`, `shield`) makes three futures of it.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self.taken = threading.Lock()
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[T] = self.loop.create_future()
        self._call = call
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Makes the call, in the thread, and tells the loop what came of it."""
        if not self.taken.acquire(blocking=False):
            return
        try:
            value = self._call()
        except StopIteration as error:  # a future holds none
            stopped = RuntimeError("a unit of work raised StopIteration")
            stopped.__cause__ = error
            self._tell(partial(self.done.set_exception, stopped))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._tell(partial(self.done.set_exception, error))
        else:
            self._tell(partial(self.done.set_result, value))

    def _tell(self, say: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._end, say)

    def _end(self, say: Callable[[], None]) -> None:
        self._ended = True
        if not self.done.done():
            say()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def over(self) -> None:
        """Waits until a call that has begun is at its end, whoever cancels meanwhile."""
        while not self._ended:
            self._waiter = self.loop.create_future()
            with suppress(asyncio.CancelledError):
                await self._waiter
