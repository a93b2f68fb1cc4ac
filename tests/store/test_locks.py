"""Who waits for whom on PostgreSQL, where several work at once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text

from channelsync.domain.booked import BookedOrder
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import PositionKey
from channelsync.store import account_orders, items, keys, ledger, listings, orders
from channelsync.store.database import Database
from channelsync.store.items import Item, item_id
from channelsync.store.key_writes import UNSEEN
from channelsync.store.listings import SeenListing
from channelsync.store.orders import OrderToSave
from channelsync.store.tables import metadata
from channelsync.store.together import write_together

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
TEA = item_id("tea")
KEY = metadata.tables["quantity_key"]


@pytest.fixture
async def seller(postgresql_database: Database) -> Database:
    """One item, which one channel shows."""
    seen = SeenListing(
        listing="L",
        sku="tea",
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=(("L", ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )

    def begun(connection: Connection) -> None:
        items.add_items(connection, [Item(id=TEA, sku="tea")], NOW)
        ledger.open_positions(connection, [PositionKey(TEA, "main")])
        listings.save_listings(connection, "shop", "account", [seen], NOW)
        listings.set_meaning(connection, "shop", "L", TEA, 1, "test", NOW)
        listings.restart_keys(connection, ids(connection), TEA, 1, NOW)

    await postgresql_database.transact(begun)
    return postgresql_database


def ids(connection: Connection) -> Sequence[int]:
    return connection.execute(select(KEY.c.id)).scalars().all()


def due(connection: Connection) -> datetime | None:
    found: datetime | None = connection.execute(select(KEY.c.due_at)).scalar_one()
    return found


def urgent(connection: Connection) -> int:
    found: int = connection.execute(select(KEY.c.urgency)).scalar_one()
    return found


def wait(connection: Connection, until: Callable[[], bool]) -> None:
    """Keeps the transaction open until something holds; ten seconds at most."""
    for _ in range(200):
        if until():
            return
        connection.execute(text("SELECT pg_sleep(0.05)"))


def somebody_waits(connection: Connection) -> bool:
    return connection.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first() is not None


async def test_who_goes_by_the_same_positions_waits_for_nobody_but_who_changes_them_does(seller: Database) -> None:
    done: list[str] = []

    def first(connection: Connection) -> None:
        ledger.keep_positions(connection, [TEA])
        begun.set()
        wait(connection, lambda: "second" in done and somebody_waits(connection))
        done.append("first")

    begun = asyncio.Event()
    running = asyncio.create_task(seller.transact(first))
    await begun.wait()
    changing = asyncio.create_task(seller.transact(lambda c: ledger.lock_positions(c, [TEA])))
    await seller.transact(lambda c: ledger.keep_positions(c, [TEA]))
    done.append("second")
    assert list(await changing) == [PositionKey(TEA, "main")]
    done.append("changing")
    await running
    assert done == ["second", "first", "changing"]


@pytest.mark.parametrize("by", ["item", "id"])
async def test_a_key_that_becomes_due_while_it_is_taken_off_the_agenda_is_on_it_afterwards(
    seller: Database, by: str
) -> None:
    (key,) = await seller.query(ids)

    def taken_off(connection: Connection) -> None:
        keys.lock_keys(connection, [key])
        keys.save_key(connection, key, due_at=None)
        begun.set()
        wait(connection, lambda: somebody_waits(connection))

    def changed(connection: Connection) -> None:
        if by == "item":
            keys.mark_due(connection, [TEA], NOW)
        else:
            keys.mark_keys_due(connection, [key], NOW)

    begun = asyncio.Event()
    await seller.transact(changed)
    running = asyncio.create_task(seller.transact(taken_off))
    await begun.wait()
    await seller.transact(changed)
    await running
    assert await seller.query(due) == NOW


async def test_what_is_known_of_a_key_stays_true_until_who_loaded_it_has_saved(seller: Database) -> None:
    """Else a key that is looked at later, for only a write of it is to be seen, is put off with a lowering on it."""
    (key,) = await seller.query(ids)
    marked: list[int] = []

    def put_off(connection: Connection) -> None:
        record = keys.load_keys(connection, [key], lock=True)[key]
        loaded.set()
        wait(connection, lambda: bool(marked) or somebody_waits(connection))
        if record.urgency == UNSEEN:
            keys.save_key(connection, key, due_at=NOW + timedelta(minutes=2))

    loaded = asyncio.Event()
    await seller.transact(lambda c: keys.save_key(c, key, due_at=NOW, urgency=UNSEEN))
    running = asyncio.create_task(seller.transact(put_off))
    await loaded.wait()
    await seller.transact(lambda c: keys.mark_due(c, [TEA], NOW))
    marked.append(key)
    await running
    assert (await seller.query(due), await seller.query(urgent)) == (NOW, 1)


BOOKED: dict[str, Callable[[Connection], dict[str, BookedOrder]]] = {
    "of a channel": lambda connection: orders.booked_orders(connection, "shop", ["o"]),
    "of an account": lambda connection: account_orders.booked_of_account(connection, "shop", ["o"])[1],
}


@pytest.mark.parametrize("read", BOOKED.values(), ids=BOOKED)
async def test_two_versions_of_an_order_are_booked_one_upon_the_other(
    seller: Database, read: Callable[[Connection], dict[str, BookedOrder]]
) -> None:
    def booked(connection: Connection, content: str) -> None:
        """One more booking than there was, as both would count who go by the same."""
        one = replace(read(connection)["o"], content=content)
        if content == "first":
            begun.set()
            wait(connection, lambda: bool(done) or somebody_waits(connection))
        save(connection, replace(one, bookings=one.bookings + 1))

    begun, done = asyncio.Event(), list[str]()
    empty = BookedOrder(channel="shop", order="o", version=NOW, content="", status=OrderStatus.OPEN)
    await seller.transact(lambda c: save(c, empty, new=True))
    running = asyncio.create_task(seller.transact(lambda c: booked(c, "first")))
    await begun.wait()
    await seller.transact(lambda c: booked(c, "second"))
    done.append("second")
    await running
    after = (await seller.query(read))["o"]
    assert (after.content, after.bookings) == ("second", 2)


def save(connection: Connection, booked: BookedOrder, *, new: bool = False) -> None:
    said = OrderSnapshot(
        order=booked.order,
        version=NOW,
        placed_at=NOW,
        status=booked.status,
        lines=(OrderLine(line="1", listing="L", ordered=1),),
    )
    one = OrderToSave(said=said, booked=booked, unmapped=0, expires_at=None)
    known = [] if new else [(booked.channel, booked.order)]
    write_together(connection, orders.order_rows([one], known, NOW))
