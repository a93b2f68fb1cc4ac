"""What is put on the publisher's agenda beside a write that remains to be seen, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

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

Mark = Callable[[Connection, int, datetime], None]


@pytest.fixture
async def written(database: Database) -> int:
    """A key of which a write has just begun."""

    def fill(connection: Connection) -> int:
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
        row = {"key": key, "generation": 1, "value": 5, "expected": None, "run": "r", "reason": "", "why": b""}
        key_writes.begin_writes(connection, [row | {"sent_at": SENT, "outcome": ""}])
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


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(lambda c, key, at: keys.mark_due(c, ["mug"], at), id="a sale"),
        pytest.param(lambda c, key, at: keys.mark_keys_due(c, [key], at), id="a read"),
        pytest.param(lambda c, key, at: write_together(c, [], [keys.due_change(c, [], [key], at)]), id="an effect"),
        pytest.param(lambda c, key, at: agenda.mark_all_due(c, at), id="rules"),
        pytest.param(lambda c, key, at: agenda.mark_channel_due(c, "shop", at), id="a switch"),
        pytest.param(lambda c, key, at: agenda.mark_listing_due(c, "L-mug", at), id="a listing's rules"),
        pytest.param(lambda c, key, at: agenda.ask_for(c, [key], at), id="reconcile"),
    ],
)
async def test_whatever_else_it_is_put_on_the_agenda_for_is_kept_and_not_put_off(
    database: Database, written: int, mark: Mark
) -> None:
    await database.transact(lambda c: mark(c, written, EARLIER))
    due, urgency = await agenda_of(database, written)
    assert (due, urgency < UNSEEN) == (EARLIER, True)

    await database.transact(lambda c: key_writes.look_later(c, {written: SENT + timedelta(minutes=3)}))
    assert await agenda_of(database, written) == (due, urgency)
