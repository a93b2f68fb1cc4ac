"""The proof: a database that was only written by its own functions is clean, and every kind of damage is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from channelsync.domain.booked import BookedOrder
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.provisional import Provisional
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.channel import Capabilities
from channelsync.store import items, key_writes, ledger, listings, orders, provisionals, runs
from channelsync.store.codec import dump_booked
from channelsync.store.database import Database
from channelsync.store.items import Item
from channelsync.store.listings import SeenListing
from channelsync.store.tables import metadata
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.verify import PROBLEMS_MAX, Verification, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MUG = PositionKey("mug", "main")
SETUP = Setup(
    channels={"shop": ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main", "annex"))},
    locations=("main", "annex"),
)


def movement(kind: EntryKind, name: str, *, reservation: str = "", **changes: int) -> Movement:
    cause = Cause(actor="user:eve", run="r-1", reason="test", channel="shop" if reservation else "")
    return Movement(id=entry_id(name), position=MUG, kind=kind, at=NOW, cause=cause, reservation=reservation, **changes)


def order(name: str, units: int) -> Arrival:
    line = OrderLine(line="1", ordered=units, listing="L-mug")
    snapshot = OrderSnapshot(order=name, version=NOW, placed_at=NOW, status=OrderStatus.OPEN, lines=(line,))
    return Arrival(channel="shop", order=snapshot)


def fill(connection: Connection) -> None:
    """Ten mugs, two orders for three of them, one provisional row, and two writes of the key."""
    items.add_items(connection, [Item(id="mug", sku="MUG"), Item(id="cup", sku="CUP")], NOW)
    runs.begin_run(connection, "r-1", "test", "user:eve", {}, NOW)
    seen = SeenListing(
        listing="L-mug",
        sku="MUG",
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=(("K-mug", ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )
    listings.save_listings(connection, "shop", "seller", [seen], NOW)
    wanted = [Wanted("shop", "L-mug", "mug")]
    (key,) = map_listings(connection, SETUP, wanted, by="eve", run="r-1", now=NOW).restarted
    ledger.open_positions(connection, [MUG])
    held = Provisional(
        id="p-1",
        key=key,
        units=2,
        open=2,
        plausible=2,
        window_from=NOW,
        window_to=NOW,
        found_at=NOW,
        location="main",
        takes=(("mug", 1),),
    )
    provisionals.add_provisionals(connection, "shop", [held])
    movements = [
        movement(EntryKind.RECEIPT, "receipt", on_hand=10),
        movement(EntryKind.PROVISIONAL, "held", reserved=2, reservation=entry_id("p-1", "mug")),
    ]
    ledger.write(connection, movements, ledger.lock_positions(connection, ["mug"]), NOW)
    book_orders(connection, SETUP, [order("o-1", 1), order("o-2", 2)], now=NOW, run="r-1")
    for generation in (1, 2):
        sent = NOW + timedelta(minutes=generation)
        row = {"key": key, "generation": generation, "value": 5, "run": "r-1", "sent_at": sent, "outcome": ""}
        key_writes.begin_writes(connection, [row | {"reason": "", "why": b"", "expected": None}])


async def verified(database: Database) -> Verification:
    return await database.query(verify, snapshot=True)


@pytest.fixture
async def filled(database: Database) -> Database:
    await database.transact(fill)
    return database


async def test_an_empty_database_is_clean(database: Database) -> None:
    done = await verified(database)

    assert done.clean
    assert (done.entries, done.positions, done.orders) == (0, 0, 0)


async def test_what_was_written_by_receipts_orders_reads_and_writes_is_clean_and_counted(filled: Database) -> None:
    done = await verified(filled)

    assert done.problems == []
    assert (done.entries, done.positions, done.reservations) == (4, 2, 3)
    assert (done.orders, done.provisional_rows, done.writes) == (2, 1, 2)


DAMAGE: dict[str, tuple[str, str, str, str]] = {
    "a position that was raised by hand": (
        "UPDATE position SET on_hand = 12 WHERE item = 'mug' AND location = 'main'",
        "position",
        "MUG at main",
        "its row says on hand 12; its entries make on hand 10.",
    ),
    "a position without entries that has units": (
        "UPDATE position SET on_hand = 4 WHERE location = 'annex'",
        "position",
        "MUG at annex",
        "its row says on hand 4; its entries make on hand none.",
    ),
    "an entry whose units were altered": (
        "UPDATE ledger_entry SET on_hand = 11 WHERE kind = 'receipt'",
        "position",
        "MUG at main",
        "entry 1 (",
    ),
    "an entry whose reason was altered": (
        "UPDATE ledger_entry SET reason = 'gift' WHERE kind = 'receipt'",
        "position",
        "MUG at main",
        "does not follow from the 0 entries before it",
    ),
    "an entry that cannot be one": (
        "UPDATE ledger_entry SET kind = 'gift' WHERE kind = 'receipt'",
        "position",
        "MUG at main",
        "entry 1 cannot be an entry: 'gift' is not a valid EntryKind",
    ),
    "an entry that is missing in the middle": (
        "DELETE FROM ledger_entry WHERE kind = 'provisional'",
        "position",
        "MUG at main",
        "does not follow from the 1 entries before it",
    ),
    "a position's row that is missing": (
        "DELETE FROM position WHERE location = 'main'",
        "position",
        "MUG at main",
        "has entries in the ledger, but no row.",
    ),
    "a reservation that was raised by hand": (
        "UPDATE reservation SET open = 5 WHERE \"order\" = 'o-2'",
        "reservation",
        "order o-2 on shop)",
        "its row says 5 units are open, its entries make 2.",
    ),
    "a reservation that is missing": (
        "DELETE FROM reservation WHERE \"order\" = 'o-2'",
        "reservation",
        "MUG at main",
        "there is no row of it, its entries make 2.",
    ),
    "a position that reserves more than its reservations hold": (
        "UPDATE position SET reserved = 9 WHERE item = 'mug' AND location = 'main'",
        "position",
        "MUG at main",
        "its row says 9 units are reserved, its reservations hold 5.",
    ),
    "an order that cannot be read": (
        "UPDATE sales_order SET booked = CAST('[{{' AS {blob}) WHERE \"order\" = 'o-2'",
        "order",
        "o-2 on shop",
        "what was booked of it cannot be read",
    ),
    "an order that is missing": (
        "DELETE FROM sales_order WHERE \"order\" = 'o-2'",
        "reservation",
        "order o-2 on shop)",
        "it holds 2 units for an order that is not there.",
    ),
    "a provisional row that was closed by hand": (
        "UPDATE provisional SET open = 0",
        "reservation",
        "MUG at main",
        "it holds 2 units for a provisional row that is not open.",
    ),
    "a provisional row that holds other units than are reserved": (
        "UPDATE provisional SET open = 1",
        "provisional row",
        "p-1 of key",
        "it holds 1 units at MUG at main, 2 are reserved.",
    ),
    "a write that left after a newer one": (
        "UPDATE quantity_write SET sent_at = '2026-03-01 13:00:00.000000{zone}' WHERE generation = 1",
        "quantity key",
        "(shop listing L-mug)",
        "generation 1 left at 2026-03-01 13:00:00",
    ),
    "a key that does not know of its last write": (
        "UPDATE quantity_key SET generation = 1",
        "quantity key",
        "(shop listing L-mug)",
        "generation 2 was written, but its row does not know of it.",
    ),
    "a merged item that still has units": (
        "UPDATE item SET merged_into = 'cup' WHERE id = 'mug'",
        "item",
        "MUG",
        "was merged into CUP, but main still has 10 on hand, 5 reserved and 0 withheld of it; run "
        "`channelsync items merge MUG CUP` again.",
    ),
}


def by_hand(statement: str) -> Callable[[Connection], object]:
    def work(connection: Connection) -> object:
        postgresql = connection.dialect.name == "postgresql"
        said = statement.format(blob="bytea" if postgresql else "blob", zone="+00" if postgresql else "")
        return connection.execute(text(said.replace("13:00:00", "13\\:00\\:00")))

    return work


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_named(filled: Database, damage: str) -> None:
    statement, about, subject, what = DAMAGE[damage]
    await filled.transact(by_hand(statement))

    done = await verified(filled)

    assert not done.clean
    told = [(one.about, one.subject, one.what) for one in done.problems]
    assert any(one == about and subject in named and what in said for one, named, said in told), told


def rebook(connection: Connection, change: Callable[[BookedOrder], BookedOrder]) -> None:
    """Alters what is booked of order o-2, as no function of ours does."""
    row = orders.order_row(connection, "shop", "o-2")
    assert row is not None
    table = metadata.tables["sales_order"]
    connection.execute(table.update().where(table.c.order == "o-2").values(booked=dump_booked(change(row.booked))))


def with_open(units: int) -> Callable[[BookedOrder], BookedOrder]:
    def change(order: BookedOrder) -> BookedOrder:
        line = order.lines[0]
        return replace(order, lines=(replace(line, legs=(replace(line.legs[0], open=units),)),))

    return change


async def test_an_order_whose_booked_units_were_altered_is_named(filled: Database) -> None:
    await filled.transact(lambda c: rebook(c, with_open(7)))

    (problem,) = (await verified(filled)).problems

    assert (problem.about, problem.subject) == ("order", "o-2 on shop")
    assert problem.what == "7 units of it are open at MUG at main, 2 are reserved."


async def test_an_order_that_lost_its_lines_is_named(filled: Database) -> None:
    await filled.transact(lambda c: rebook(c, lambda order: replace(order, lines=())))

    (problem,) = (await verified(filled)).problems

    assert (problem.about, problem.subject) == ("order", "o-2 on shop")
    assert "2 units are reserved in" in problem.what


async def test_damage_of_one_position_says_nothing_of_the_others(filled: Database) -> None:
    await filled.transact(by_hand("UPDATE ledger_entry SET on_hand = 11 WHERE kind = 'receipt'"))

    done = await verified(filled)

    assert {one.subject for one in done.problems} == {"MUG at main"}
    assert done.entries == 4


async def test_the_last_entries_taken_off_together_with_their_position_s_count_are_missed_by_the_reservations(
    filled: Database,
) -> None:
    """A chain that is cut cleanly at its end is right in itself; the orders still prove that it is too short."""
    await filled.transact(by_hand("DELETE FROM ledger_entry WHERE number >= 3"))
    cut = (
        "UPDATE position SET entries = 2, reserved = 2, head = (SELECT hash FROM ledger_entry WHERE number = 2) "
        "WHERE location = 'main'"
    )
    await filled.transact(by_hand(cut))

    done = await verified(filled)

    assert {one.about for one in done.problems} == {"reservation", "position"}
    assert len(done.problems) == 3


async def test_a_database_full_of_damage_ends_with_a_count(sqlite_database: Database) -> None:
    def damage(connection: Connection) -> None:
        many = [Item(id=f"i-{n}", sku=f"S-{n}") for n in range(PROBLEMS_MAX + 7)]
        items.add_items(connection, many, NOW)
        ledger.open_positions(connection, [PositionKey(item.id, "main") for item in many])
        connection.execute(text("UPDATE position SET on_hand = 1"))

    await sqlite_database.transact(damage)

    done = await verified(sqlite_database)

    assert len(done.problems) == PROBLEMS_MAX
    assert done.not_shown == 7
