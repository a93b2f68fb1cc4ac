"""What is put on the publisher's agenda beside a write that remains to be seen, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from channelsync.store import agenda, items, key_writes, keys, listings
from channelsync.store.database import Database
from channelsync.store.items import Item
from channelsync.store.key_writes import UNSEEN
from channelsync.store.listings import SeenListing
from channelsync.store.together import write_together

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SENT = NOON + timedelta(minutes=1)
EARLIER = NOON - timedelta(minutes=1)
"""By the clock of another machine, which is late."""

HANG_GUARD = 60.0
Mark = Callable[[Connection, int, datetime], None]


def listed(connection: Connection) -> int:
    """A mapped key that is off the agenda."""
    items.add_items(connection, [Item(id="mug", sku="MUG")], NOON)
    one = SeenListing(
        listing="L-mug",
        sku=None,
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=(("mug", ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )
    listings.save_listings(connection, "shop", "seller", [one], NOON)
    connection.execute(text("UPDATE quantity_key SET item = 'mug', due_at = NULL, urgency = 0"))
    (key,) = keys.ids_of(connection, "seller", [("mug", "")]).values()
    return key


def begin_write(connection: Connection, key: int) -> None:
    row = {"key": key, "generation": 1, "value": 5, "expected": None, "run": "r", "reason": "", "why": b""}
    key_writes.begin_writes(connection, [row | {"sent_at": SENT, "outcome": ""}])


@pytest.fixture
async def written(database: Database) -> int:
    """A key of which a write has just begun."""

    def fill(connection: Connection) -> int:
        key = listed(connection)
        begin_write(connection, key)
        return key

    return await database.transact(fill)


async def agenda_of(database: Database, key: int) -> tuple[datetime | None, int]:
    record = (await database.query(lambda c: keys.load_keys(c, [key])))[key]
    return record.due_at, record.urgency


async def test_a_write_that_begins_is_to_be_seen_whatever_becomes_of_this_process(
    database: Database, written: int
) -> None:
    assert await agenda_of(database, written) == (SENT, UNSEEN)
    assert await database.query(lambda c: keys.due_keys(c, "seller", SENT, 10)) == {written: UNSEEN}


async def test_a_key_of_which_a_write_is_to_be_seen_is_looked_at_later(database: Database, written: int) -> None:
    later = SENT + timedelta(minutes=3)
    await database.transact(lambda c: key_writes.look_later(c, {written: later}))
    assert await agenda_of(database, written) == (later, UNSEEN)


CALM = [
    pytest.param(lambda c, key, at: keys.mark_due(c, ["mug"], at), id="a count"),
    pytest.param(lambda c, key, at: keys.mark_keys_due(c, [key], at), id="a read"),
    pytest.param(lambda c, key, at: agenda.mark_all_due(c, at), id="rules"),
    pytest.param(lambda c, key, at: agenda.mark_channel_due(c, "shop", at), id="a switch"),
    pytest.param(lambda c, key, at: keys.mark_due(c, agenda.items_of_listing(c, "L-mug"), at), id="a listing's rules"),
]
"""None of them is urgent by itself."""

MARKS = [*CALM, pytest.param(lambda c, key, at: agenda.ask_for(c, [key], at), id="reconcile")]
BOOKED = pytest.param(lambda c, key, at: write_together(c, [], [keys.due_change(c, [], [key], at)]), id="an order")
"""Locks no key first: it holds the positions instead, and the publisher waits for those."""


@pytest.mark.parametrize("mark", [*MARKS, BOOKED])
async def test_whatever_else_it_is_put_on_the_agenda_for_is_kept_and_not_put_off(
    database: Database, written: int, mark: Mark
) -> None:
    await database.transact(lambda c: mark(c, written, EARLIER))
    due, urgency = await agenda_of(database, written)
    assert (due, urgency < UNSEEN) == (EARLIER, True)

    await database.transact(lambda c: key_writes.look_later(c, {written: SENT + timedelta(minutes=3)}))
    assert await agenda_of(database, written) == (due, urgency)


@pytest.mark.parametrize("mark", CALM)
async def test_a_key_that_was_urgent_when_it_was_last_on_the_agenda_is_not_for_ever(
    database: Database, mark: Mark
) -> None:
    key = await database.transact(listed)
    assert await agenda_of(database, key) == (None, 0)

    await database.transact(lambda c: mark(c, key, SENT))

    assert await agenda_of(database, key) == (SENT, 1)


async def test_a_key_of_which_orders_took_is_urgent(database: Database) -> None:
    key = await database.transact(listed)
    await database.transact(lambda c: CALM[0].values[0](c, key, EARLIER))
    assert await agenda_of(database, key) == (EARLIER, 1)

    await database.transact(lambda c: BOOKED.values[0](c, key, SENT))

    assert await agenda_of(database, key) == (SENT, 0)


@pytest.mark.parametrize("mark", [*CALM, BOOKED])
@pytest.mark.parametrize(("due", "then"), [(EARLIER, EARLIER), (SENT, NOON)], ids=["due before", "due later"])
async def test_a_key_that_is_on_the_agenda_as_urgent_stays_so(
    database: Database, mark: Mark, due: datetime, then: datetime
) -> None:
    key = await database.transact(listed)
    await database.transact(lambda c: keys.save_key(c, key, due_at=due, urgency=0))

    await database.transact(lambda c: mark(c, key, NOON))

    assert await agenda_of(database, key) == (then, 0)


@pytest.mark.postgresql
@pytest.mark.parametrize("settles", [False, True], ids=["writes", "takes it off"])
@pytest.mark.parametrize("mark", MARKS)
async def test_who_marks_a_key_that_is_due_waits_for_the_publisher_that_is_about_to_decide(
    postgresql_database: Database, mark: Mark, *, settles: bool
) -> None:
    key = await postgresql_database.transact(listed)
    await postgresql_database.transact(lambda c: keys.save_key(c, key, due_at=NOON, urgency=1))
    decided, marked = asyncio.Event(), asyncio.Event()

    def publisher(connection: Connection) -> None:
        keys.lock_keys(connection, [key])
        decided.set()
        await_only(waiting_or_through(postgresql_database, marked))
        if settles:
            keys.save_key(connection, key, due_at=None)
        else:
            begin_write(connection, key)

    publishing = asyncio.create_task(postgresql_database.transact(publisher))
    await decided.wait()
    await postgresql_database.transact(lambda c: mark(c, key, SENT))
    marked.set()
    await publishing
    due, urgency = await agenda_of(postgresql_database, key)
    assert (due, urgency < UNSEEN) == (SENT, True)


async def waiting_or_through(database: Database, through: asyncio.Event) -> None:
    """Returns once somebody waits for a lock, or nobody did."""
    asked = text("SELECT 1 FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(HANG_GUARD):
        while not (through.is_set() or await database.query(lambda c: c.execute(asked).first())):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
