"""The floor of order intake: the rows of one order in hand-written SQL, one durable transaction each, nothing else.

The rows are those that `book_orders` writes: the floor lets it book one order and copies its ledger entry,
reservation, order and effect with new ids from then on; the position is moved, and the key put on the agenda, by an
UPDATE each. It reads nothing, decides nothing and hashes nothing, so it is cheaper than any real intake can be.

On the drivers that the store uses, and in the way it uses them: asyncpg; `sqlite3`, with one hop to its thread for
the whole transaction.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import asyncpg

from benchmarks.contenders import Book, Tasks
from benchmarks.scene import BEGAN, LOCATION, RUN, Scene, item
from channelsync.store.database import open_database
from channelsync.store.sqlite import connect, sqlite_path
from channelsync.sync.book_orders import book_orders

Row = Mapping[str, object]
Statement = tuple[str, tuple[object, ...]]

COPIED = ("ledger_entry", "reservation", "sales_order", "effect")
_MOVE = (
    "UPDATE position SET reserved = reserved + 1, entries = entries + 1, head = {0} WHERE item = {1} AND location = {2}"
    " RETURNING entries, on_hand - reserved - withheld"
)
_DUE = "UPDATE quantity_key SET due_at = {0}, urgency = 1 WHERE item = {1} AND due_at IS NULL"


@dataclass(slots=True)
class Copies:
    """The statements of one order after another, made from the rows of one that was really booked.

    mark: the driver's placeholder for the nth parameter, counted from 0. keys: the quantity key of every SKU.
    seed: of the ids, which no other copies may have.
    """

    rows: Mapping[str, Row]
    keys: Sequence[int]
    mark: Callable[[int], str]
    seed: int = 2
    dice: random.Random = field(init=False)
    numbers: count[int] = field(default_factory=lambda: count(1))
    move: str = field(init=False)
    due: str = field(init=False)
    inserts: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.move = _MOVE.format(*map(self.mark, range(3)))
        self.due = _DUE.format(*map(self.mark, range(2)))
        self.inserts = {table: self._insert(table) for table in COPIED}

    def moved(self, sku: int) -> Statement:
        """The position of a SKU; its new number of entries comes back."""
        return self.move, (self._name() * 2, item(sku), LOCATION)

    def added(self, sku: int, number: int) -> list[Statement]:
        """The rows that are new with the order, and the key that is due. number: of the ledger entry."""
        order, thing, reservation = f"floor-{self.seed}-{next(self.numbers)}", item(sku), self._name()
        told = {"item": thing, "order": order, "key": self.keys[sku]}
        ids = {"ledger_entry": self._name(), "reservation": reservation, "effect": self._name()}
        changed: Row = {**told, "number": number, "reservation": reservation}
        statements: list[Statement] = []
        for table in COPIED:
            row = {**self.rows[table], "id": ids.get(table)}
            statements.append((self.inserts[table], tuple(changed.get(name, row[name]) for name in self.rows[table])))
        return [*statements, (self.due, (self.rows["sales_order"]["booked_at"], thing))]

    def _insert(self, table: str) -> str:
        names = ", ".join(f'"{name}"' for name in self.rows[table])
        marks = ", ".join(self.mark(n) for n in range(len(self.rows[table])))
        return f"INSERT INTO {table} ({names}) VALUES ({marks})"

    def _name(self) -> str:
        """As random as a digest, so that the indexes work as hard as with real ids."""
        return f"{self.dice.getrandbits(128):032x}"


@asynccontextmanager
async def floor_asyncpg(url: str, scene: Scene, senders: int) -> AsyncIterator[Tasks]:
    """Hand-written SQL through asyncpg, a connection that each sender keeps."""
    await book_one(url, scene)
    async with floor_connections(url, senders) as tasks:
        yield tasks
        connection = await asyncpg.connect(url)
        _check(tasks, await connection.fetchval(_RESERVED))
        await connection.close()


@asynccontextmanager
async def floor_connections(url: str, senders: int, *, seed: int = 2) -> AsyncIterator[Tasks]:
    """On a database where one order was booked. seed: of the ids; each process that shares the database has its own."""
    async with AsyncExitStack() as stack:
        connections = [await asyncpg.connect(url) for _ in range(senders)]
        for connection in connections:
            stack.push_async_callback(connection.close)
        rows = {name: dict(await connections[0].fetchrow(f"SELECT * FROM {name} {_WHICH[name]}")) for name in COPIED}
        keys = [row["id"] for row in await connections[0].fetch(_KEYS)]
        copies = Copies(rows, keys, lambda n: f"${n + 1}", seed)
        yield Tasks([_asyncpg_book(connection, copies) for connection in connections])


def _asyncpg_book(connection: asyncpg.Connection, copies: Copies) -> Book:
    async def book(sku: int) -> None:
        async with connection.transaction():
            statement, values = copies.moved(sku)
            number = await connection.fetchval(statement, *values)
            for statement, values in copies.added(sku, number):
                await connection.execute(statement, *values)

    return book


@asynccontextmanager
async def floor_sqlite3(url: str, scene: Scene) -> AsyncIterator[Tasks]:
    """Hand-written SQL through `sqlite3`; SQLite has one writer, so all senders share a thread and take turns."""
    await book_one(url, scene)
    connection = connect(sqlite_path(url))
    copies = _sqlite_copies(url)
    loop = asyncio.get_running_loop()

    def in_thread(sku: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        ((number, _),) = connection.execute(*copies.moved(sku)).fetchall()
        for statement, values in copies.added(sku, number):
            connection.execute(statement, values)
        connection.execute("COMMIT")

    with ThreadPoolExecutor(1, "floor") as thread:

        async def book(sku: int) -> None:
            await loop.run_in_executor(thread, in_thread, sku)

        tasks = Tasks([book])
        yield tasks
    ((reserved,),) = connection.execute(_RESERVED).fetchall()
    connection.close()
    _check(tasks, reserved)


_RESERVED = "SELECT sum(reserved) FROM position"
_KEYS = "SELECT id FROM quantity_key ORDER BY id"  # laid out in the order of the SKUs
_WHICH = dict.fromkeys(COPIED, "WHERE \"order\" <> '' LIMIT 1")


def _check(tasks: Tasks, reserved: int) -> None:
    assert reserved == tasks.booked + 1, f"{reserved} units are reserved by {tasks.booked} copies of one order"


async def book_one(url: str, scene: Scene) -> None:
    """Lays out the scene and lets the real intake book one order, whose rows are then copied."""
    async with open_database(url) as database:
        await scene.lay_out(database)
        arrivals = [scene.arrival(0)]
        await database.transact(lambda c: book_orders(c, scene.setup(), arrivals, now=BEGAN, run=RUN))


def _sqlite_copies(url: str) -> Copies:
    connection = connect(sqlite_path(url))
    connection.row_factory = sqlite3.Row
    rows = {name: dict(connection.execute(f"SELECT * FROM {name} {_WHICH[name]}").fetchone()) for name in COPIED}
    keys = [row["id"] for row in connection.execute(_KEYS)]
    connection.close()
    return Copies(rows, keys, lambda n: "?")
