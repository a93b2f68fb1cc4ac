"""Mapping a listing starts its number anew, releases what was held, and is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.errors import BadListing
from channelsync.domain.ledger import EntryKind
from channelsync.domain.rises import Rise
from channelsync.sdk.values import Listing, QuantityKey
from channelsync.store import keys, listings, provisionals, runs
from channelsync.store.codec import dump_risen
from channelsync.store.items import item_id
from channelsync.sync.listings_map import Mapped, Wanted, map_listings
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


async def say(seller: Any, *wanted: Wanted) -> Mapped:
    now = seller.clock.now()
    done: Mapped = await seller.database.transact(
        lambda c: map_listings(c, seller.agent.setup, wanted, by="eve", run="test", now=now)
    )
    return done


async def listing_of(seller: Any, listing: str, channel: str = "shop") -> Any:
    (found,) = await seller.database.query(lambda c: listings.get_listings(c, channel=channel, listings=[listing]))
    return found


async def key_of(seller: Any, listing: str, channel: str = "shop") -> Any:
    stored = await listing_of(seller, listing, channel)
    (key,) = (await seller.database.query(lambda c: keys.load_keys(c, stored.keys))).values()
    return key


async def listed(seller: Any, sku: str, number: int = 5) -> str:
    """A listing that is pulled and not mapped, and an item of its SKU."""
    await seller.has(sku, number)
    name: str = await seller.lists(sku, number)
    await seller.pull()
    return name


async def test_a_mapping_says_what_the_listing_and_its_key_mean(seller: Any) -> None:
    pack = await listed(seller, "MUG")

    done = await say(seller, Wanted("shop", pack, item_id("MUG"), 6))

    assert done.changed == [("shop", pack)]
    stored, key = await listing_of(seller, pack), await key_of(seller, pack)
    assert (stored.item, stored.multiple, stored.mapped_by) == (item_id("MUG"), 6, "eve")
    assert stored.mapped_at == seller.clock.now()
    assert (key.item, key.multiple, key.due_at) == (item_id("MUG"), 6, seller.clock.now())


async def test_a_key_whose_meaning_changes_starts_anew_and_its_first_read_books_nothing(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.has("CUP", 5)
    await seller.pull()
    seller.shop().items[mug].number = 2

    done = await say(seller, Wanted("shop", mug, item_id("CUP")))
    assert (await key_of(seller, mug)).state.watermark is None
    await seller.clock.sleep(60)
    await seller.pull()

    key = await key_of(seller, mug)
    assert done.restarted == [key.id]
    assert key.state.watermark.value == 2
    assert ((await seller.position("MUG")).reserved, (await seller.position("CUP")).reserved) == (0, 0)


async def test_what_a_key_held_provisionally_is_released_and_the_drop_forgotten(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.has("CUP", 5)
    await seller.pull()
    await seller.clock.sleep(60)
    seller.shop().items[mug].number = 2
    await seller.pull()
    assert (await seller.position("MUG")).reserved == 3
    key = await key_of(seller, mug)
    risen = dump_risen([Rise(1, seller.clock.now(), seller.clock.now())])
    await seller.database.transact(
        lambda c: keys.save_key(c, key.id, rise=2, risen=risen, held="a question", repairs=3)
    )

    done = await say(seller, Wanted("shop", mug, item_id("CUP")))

    assert done.released == 3
    assert (await seller.position("MUG")).reserved == 0
    entry = (await seller.entries("MUG"))[-1]
    assert (entry.movement.kind, entry.movement.reserved) == (EntryKind.RELEASE, -3)
    assert entry.movement.cause.actor == "user:eve"
    assert await seller.database.transact(lambda c: provisionals.open_provisionals(c, [key.id])) == {}
    after = await key_of(seller, mug)
    assert (after.rise, after.risen, after.held, after.repairs) == (0, (), "", 0)


async def test_units_that_a_release_frees_put_the_other_channels_on_the_agenda(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 5)
    there = await seller.lists("MUG", 5, channel="market")
    await seller.pull("market")
    await seller.map(there, "MUG", channel="market")
    await seller.pull()
    await seller.clock.sleep(60)
    seller.shop().items[mug].number = 4
    await seller.pull()
    other = await key_of(seller, there, "market")
    await seller.database.transact(lambda c: keys.save_key(c, other.id, due_at=None))

    await say(seller, Wanted("shop", mug, None))

    assert (await key_of(seller, there, "market")).due_at == seller.clock.now()


async def test_unmapping_leaves_nothing_to_write(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)

    await say(seller, Wanted("shop", mug, None))

    assert (await listing_of(seller, mug)).item is None
    assert (await key_of(seller, mug)).item is None


async def test_saying_what_is_so_already_changes_nothing(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.pull()
    other = await listed(seller, "CUP")

    done = await say(seller, Wanted("shop", mug, item_id("MUG")), Wanted("shop", other, None))

    assert (done.changed, done.restarted) == ([], [])
    assert (await key_of(seller, mug)).state.watermark.value == 5


async def test_a_change_is_remembered_with_what_it_was(seller: Any) -> None:
    mug = await listed(seller, "MUG")

    await say(seller, Wanted("shop", mug, item_id("MUG"), 2))
    await say(seller, Wanted("shop", mug, None))

    changes = await seller.database.query(lambda c: runs.changes_of(c, "test"))
    meaning = {"item": item_id("MUG"), "multiple": 2, "by": "eve", "sku": "MUG"}
    assert [(one.kind, one.subject, one.before, one.after) for one in changes] == [
        ("mapping", f"shop/{mug}", None, meaning),
        ("mapping", f"shop/{mug}", meaning, None),
    ]


async def test_an_unknown_listing_is_refused_and_its_neighbours_with_it(seller: Any) -> None:
    mug = await listed(seller, "MUG")

    with pytest.raises(BadListing, match="shop has no listing item-9"):
        await say(seller, Wanted("shop", mug, item_id("MUG")), Wanted("shop", "item-9", item_id("MUG")))

    assert (await listing_of(seller, mug)).item is None


async def test_a_multiple_below_1_is_refused(seller: Any) -> None:
    mug = await listed(seller, "MUG")

    with pytest.raises(BadListing, match="1 unit or more of an item, not for 0"):
        await say(seller, Wanted("shop", mug, item_id("MUG"), 0))


# Listings that share a number


class Shared(MemoryChannel):
    """A channel on which every listing stands on one and the same number."""

    async def listings(self) -> AsyncIterator[Listing]:
        key = QuantityKey("the-number")
        async for listing in super().listings():
            yield replace(listing, keys=(key,), shown={key: 5})


@pytest.fixture
async def sharing(open_seller: Any) -> Any:
    """Two listings, item-1 and item-2, on one number; the items MUG and CUP."""
    seller = await open_seller("shop", connectors={"shop": memory_connector(Shared)})
    await seller.has("MUG", 5)
    await seller.has("CUP", 5)
    for _ in range(2):
        await seller.lists("MUG", 5)
    await seller.pull()
    return seller


async def test_listings_that_share_a_number_cannot_mean_different_things(sharing: Any) -> None:
    await say(sharing, Wanted("shop", "item-1", item_id("MUG")))

    for other in (Wanted("shop", "item-2", item_id("CUP")), Wanted("shop", "item-2", item_id("MUG"), 2)):
        with pytest.raises(BadListing, match="shop listing item-1 and shop listing item-2 share one number"):
            await say(sharing, other)
    with pytest.raises(BadListing, match="share one number"):
        await say(sharing, Wanted("shop", "item-1", item_id("CUP")), Wanted("shop", "item-2", item_id("MUG")))

    assert (await key_of(sharing, "item-1")).item == item_id("MUG")


async def test_listings_that_share_a_number_can_be_mapped_alike_and_together(sharing: Any) -> None:
    first = await say(sharing, Wanted("shop", "item-1", item_id("MUG")))
    await sharing.pull()

    second = await say(sharing, Wanted("shop", "item-2", item_id("MUG")))
    moved = await say(sharing, Wanted("shop", "item-1", item_id("CUP")), Wanted("shop", "item-2", item_id("CUP")))

    assert first.alone == [("shop", "item-2")], "its orders wait until it is mapped too"
    assert (second.restarted, second.alone) == ([], []), "the number means the same as before"
    assert len(moved.restarted) == 1
    assert (await key_of(sharing, "item-2")).item == item_id("CUP")


async def test_unmapping_one_of_two_leaves_their_number_to_the_other(sharing: Any) -> None:
    await say(sharing, Wanted("shop", "item-1", item_id("MUG")), Wanted("shop", "item-2", item_id("MUG")))
    await sharing.pull()

    done = await say(sharing, Wanted("shop", "item-1", None))

    assert done.restarted == []
    key = await key_of(sharing, "item-2")
    assert (key.item, key.state.watermark.value) == (item_id("MUG"), 5)
    await say(sharing, Wanted("shop", "item-2", None))
    assert (await key_of(sharing, "item-2")).item is None
