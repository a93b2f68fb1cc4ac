"""Numbers of a channel that is not configured any more become those of another of its account, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channelsync.store import channels, keys, listings
from channelsync.store.database import Database
from channelsync.store.former import former_channels, go_on, left_behind, name_anew
from channelsync.store.items import Item, add_items
from channelsync.store.listings import SeenListing, StoredListing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def seen(listing: str) -> SeenListing:
    return SeenListing(
        listing=listing,
        sku=None,
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=((f"number of {listing}", ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )


def lists(connection: Connection, channel: str, *names: str) -> None:
    listings.save_listings(connection, channel, "seller", [seen(name) for name in names], NOON)


async def goes_on(database: Database, *brought: str) -> dict[tuple[str, str], StoredListing]:
    """ "old" had a mug that meant something and a cup; it was taken out, and "new" brings these. All listings then."""

    def unit(connection: Connection) -> list[StoredListing]:
        for name in ("new", "old"):
            channels.save_channel(connection, name, identity="seller")
        channels.save_channel(connection, "strange", identity="another")
        add_items(connection, [Item(id="i-mug", sku="MUG")], NOON)
        lists(connection, "old", "mug", "cup")
        listings.set_meaning(connection, "old", "mug", "i-mug", 2, "eve", NOON)
        former = former_channels(connection, "new", {"new", "strange"})
        assert (former, left_behind(connection, former)) == (["old"], 2)
        moved = go_on(connection, "new", former, brought, LATER)
        lists(connection, "new", *brought)
        assert (moved, left_behind(connection, former)) == (len(brought), 2 - len(brought))
        return listings.get_listings(connection)

    return {(one.channel, one.listing): one for one in await database.transact(unit)}


async def test_a_listing_keeps_what_it_means_and_its_number_is_due_at_once(database: Database) -> None:
    found = await goes_on(database, "mug")

    assert set(found) == {("new", "mug"), ("old", "cup")}
    mug = found["new", "mug"]
    assert (mug.item, mug.multiple, mug.mapped_by) == ("i-mug", 2, "eve")
    known = await database.query(lambda c: keys.load_keys(c, mug.keys))
    assert [(one.channel, one.due_at) for one in known.values()] == [("new", LATER)]


async def test_what_the_channel_does_not_list_stays_where_it_is(database: Database) -> None:
    found = await goes_on(database, "mug")

    (cup,) = (await database.query(lambda c: keys.load_keys(c, found["old", "cup"].keys))).values()
    assert cup.channel == "old"


async def test_a_listing_that_both_had_stays_as_it_is_and_its_number_comes_over(database: Database) -> None:
    def both(connection: Connection) -> Any:
        lists(connection, "old", "mug")
        lists(connection, "new", "mug")
        go_on(connection, "new", ["old"], ["mug"], LATER)
        (key,) = keys.load_keys(connection, listings.get_listings(connection)[0].keys).values()
        return {one.channel for one in listings.get_listings(connection)}, key.channel

    assert await database.transact(both) == ({"old", "new"}, "new")


async def test_a_number_that_both_listed_by_other_names_names_the_listing_of_the_one_that_is_left(
    database: Database,
) -> None:
    def by_other_names(connection: Connection) -> list[str]:
        for channel, names in (("old", ["mug", "cup"]), ("new", ["Tasse", "cup"])):
            told = [replace(seen(name), keys=((name.replace("Tasse", "mug"), ""),)) for name in names]
            listings.save_listings(connection, channel, "seller", told, NOON)
        assert go_on(connection, "new", ["old"], ["Tasse", "cup"], LATER) == 2
        name_anew(connection, "new", ["Tasse", "cup"])
        linked = {key for one in listings.get_listings(connection) for key in one.keys}
        return sorted(one.listing for one in keys.load_keys(connection, linked).values())

    assert await database.transact(by_other_names) == ["Tasse", "cup"]


async def test_without_a_channel_that_was_taken_out_nothing_is_left_behind(database: Database) -> None:
    assert await database.query(lambda c: left_behind(c, former_channels(c, "new", {"new"}))) == 0
