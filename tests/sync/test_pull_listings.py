"""Listings are pulled as buyers see them; the numbers that they show count as reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.findings import Finding, FindingKind
from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import ChannelMisbehaved, TryLater
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync.store import keys, listings
from channelsync.store.channels import channel_states
from channelsync.store.findings import open_findings
from channelsync.store.items import item_id
from channelsync.store.listings import StoredListing
from channelsync.store.sent_writes import counted_as
from channelsync.sync import pull_listings as pulling
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import ShopSilent
from channelsync_memory.world import memory_connector


class Shown(MemoryChannel):
    """A channel that shows its listings as the test says."""

    change: Callable[[Listing], Listing | None] = staticmethod(lambda listing: listing)

    async def listings(self) -> AsyncIterator[Listing]:
        async for listing in super().listings():
            changed = Shown.change(listing)
            if changed is not None:
                yield changed

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        changed = map(Shown.change, await super().listings_by_id(listings))
        return [one for one in changed if one is not None]


@pytest.fixture
async def seller(open_seller: Any) -> Any:
    return await open_seller("shop", connectors={"shop": memory_connector(Shown)})


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Listing], Listing | None]], None]:
    """Says how the channel shows its listings from now on."""
    return lambda change: monkeypatch.setattr(Shown, "change", staticmethod(change))


async def pulled(seller: Any) -> Any:
    await identify(seller.agent, seller.channel())
    return await pull_listings(seller.agent, seller.channel())


async def stored(seller: Any) -> list[StoredListing]:
    found: list[StoredListing] = await seller.database.query(listings.get_listings)
    return found


async def key_of(seller: Any, listing: str) -> Any:
    (one,) = [each for each in await stored(seller) if each.listing == listing]
    (key,) = (await seller.database.query(lambda c: keys.load_keys(c, one.keys))).values()
    return key


async def test_every_listing_is_kept_with_its_state_and_reasons(seller: Any, shows: Any) -> None:
    await seller.lists("MUG", 5)
    await seller.lists("LAMP", 0)
    ended = {"state": ListingState.ENDED, "reasons": ("policy",), "barcode": "4006381333931", "title": "A lamp"}
    shows(lambda one: replace(one, **ended) if one.sku == "LAMP" else one)

    result = await pulled(seller)

    assert (result.listings, result.gone, result.states) == (2, 0, {"active": 1, "ended": 1})
    lamp = next(one for one in await stored(seller) if one.sku == "LAMP")
    assert (lamp.state, lamp.reasons, lamp.barcode, lamp.title) == ("ended", ("policy",), "4006381333931", "A lamp")


async def test_the_first_number_sets_the_watermark_and_books_nothing(seller: Any) -> None:
    mug = await seller.lists("MUG", 5)

    await pulled(seller)

    key = await key_of(seller, mug)
    assert (key.state.watermark.value, key.state.watermark.asked) == (5, seller.clock.now())
    assert await seller.findings() == []


async def test_a_drop_that_no_order_explains_is_held_by_a_pull_as_by_any_read(seller: Any) -> None:
    await seller.has("MUG", 5)
    mug = await seller.lists("MUG", 5)
    await pulled(seller)
    await seller.map(mug, "MUG")
    await pulled(seller)
    await seller.clock.sleep(60)
    seller.shop().items[mug].number = 3

    await pulled(seller)

    assert (await seller.position("MUG")).reserved == 2


async def test_what_a_pull_finds_is_acted_on_at_once_and_not_at_the_next_tick(seller: Any) -> None:
    await seller.has("MUG", 5)
    mug = await seller.lists("MUG", 5)
    await pulled(seller)
    await seller.map(mug, "MUG")
    await pulled(seller)
    shop = seller.channel()
    assert shop.wake_publisher.is_set(), "a number that was read for the first time may be written now"
    await seller.clock.sleep(60)
    shop.wake_orders.clear()
    seller.agent.changed.clear()
    seller.shop().items[mug].number = 3

    await pulled(seller)

    assert shop.wake_orders.is_set(), "an order may explain the drop"
    assert seller.agent.changed.is_set(), "other channels show fewer now"


async def test_numbers_count_as_asked_when_the_pull_began(seller: Any, shows: Any) -> None:
    """Between the first and the last request of a pull anything may happen; a number on a page may be that old."""
    mug = await seller.lists("MUG", 5)
    began = seller.clock.now()

    def late(listing: Listing) -> Listing:
        seller.clock.at = began.replace(minute=30)
        return listing

    shows(late)
    await pulled(seller)

    watermark = (await key_of(seller, mug)).state.watermark
    assert (watermark.asked, watermark.answered) == (began, began.replace(minute=30))


async def test_a_listing_that_is_no_longer_there_is_gone_and_comes_back(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.lists("LAMP", 5)
    await pulled(seller)
    await seller.clock.sleep(60)
    shows(lambda one: None if one.sku == "MUG" else one)

    assert (await pulled(seller)).gone == 1
    (gone,) = [one for one in await stored(seller) if one.listing == mug]
    assert (gone.gone_at, gone.item) == (seller.clock.now(), item_id("MUG"))
    assert (await pulled(seller)).gone == 0, "it is gone already"

    shows(lambda one: one)
    await pulled(seller)
    (back,) = [one for one in await stored(seller) if one.listing == mug]
    assert (back.listing, back.gone_at, back.item) == (mug, None, item_id("MUG"))


@pytest.mark.fault(41, "no listing ends until somebody says so")
@pytest.mark.parametrize(("known", "brought"), [(1, 0), (10, 0), (11, 1)])
async def test_a_pull_that_brings_far_too_few_ends_no_listing_until_somebody_says_so(
    seller: Any, shows: Any, known: int, brought: int
) -> None:
    for number in range(known):
        await seller.lists(f"MUG-{number}", 5)
    await pulled(seller)
    await seller.clock.sleep(60)
    kept = {f"MUG-{number}" for number in range(brought)}
    shows(lambda one: one if one.sku in kept else None)

    result = await pulled(seller)

    assert (result.gone, result.missing) == (0, known - brought)
    assert {one.gone_at for one in await stored(seller)} == {None}
    (found,) = await seller.findings()
    assert found.kind == "catalogue shrank"
    assert (found.evidence["known"], found.evidence["missing"]) == (known, known - brought)
    assert (await pull_listings(seller.agent, seller.channel(), accept_fewer=True)).gone == known - brought
    assert await seller.findings() == []


@pytest.mark.parametrize(("known", "brought"), [(9, 1), (10, 1), (20, 2)])
async def test_what_a_seller_may_have_ended_is_gone(seller: Any, shows: Any, known: int, brought: int) -> None:
    for number in range(known):
        await seller.lists(f"MUG-{number}", 5)
    await pulled(seller)
    await seller.clock.sleep(60)
    kept = {f"MUG-{number}" for number in range(brought)}
    shows(lambda one: one if one.sku in kept else None)

    assert (await pulled(seller)).gone == known - brought


@pytest.mark.fault(41, "a pull that breaks off takes no listing for gone")
async def test_a_pull_that_breaks_off_takes_no_listing_for_gone(seller: Any, shows: Any) -> None:
    await seller.sells("MUG", 5)
    await seller.lists("LAMP", 5)
    await seller.clock.sleep(60)

    def broken(listing: Listing) -> Listing:
        if listing.sku == "LAMP":
            raise TryLater("no answer came")
        return listing

    shows(broken)
    with pytest.raises(TryLater):
        await pulled(seller)

    assert [one.gone_at for one in await stored(seller)] == [None]


async def test_a_mapping_survives_a_pull_that_shows_another_sku(seller: Any, shows: Any) -> None:
    await seller.sells("MUG", 5)
    shows(lambda one: replace(one, sku="CUP"))

    await pulled(seller)

    (one,) = await stored(seller)
    assert (one.sku, one.item) == ("CUP", item_id("MUG"))


async def test_a_new_key_of_a_mapped_listing_means_what_the_listing_means(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    second = QuantityKey("second", "R2")
    shows(lambda one: replace(one, keys=(*one.keys, second), shown={**one.shown, second: 4}))

    await pulled(seller)

    (one,) = await stored(seller)
    records = await seller.database.query(lambda c: keys.load_keys(c, one.keys))
    assert {record.key: record.item for record in records.values()} == {mug: item_id("MUG"), "second": item_id("MUG")}


async def test_a_key_that_the_channel_takes_over_is_no_longer_ours(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shows(lambda one: replace(one, fulfilled_by_channel=True))
    seller.shop().items[mug].number = 1

    await pulled(seller)
    await seller.clock.sleep(60)
    seller.shop().items[mug].number = 0
    await pulled(seller)

    key = await key_of(seller, mug)
    assert not key.ours
    assert (await seller.position("MUG")).reserved == 0, "no read of it is a drop"


async def test_an_untracked_listing_has_no_number(seller: Any, shows: Any) -> None:
    mug = await seller.lists("MUG", 5)
    shows(lambda one: replace(one, tracked=False, shown={}))

    await pulled(seller)

    key = await key_of(seller, mug)
    assert (key.ours, key.state.watermark) == (False, None)


async def test_many_listings_are_saved_some_at_a_time(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "SAVED_AT_ONCE", 2)
    for number in range(5):
        await seller.lists(f"MUG-{number}", number)

    assert (await pulled(seller)).listings == 5
    assert [one.sku for one in await stored(seller)] == [f"MUG-{number}" for number in range(5)]


async def test_who_the_seller_is_at_the_channel_is_asked_and_kept(seller: Any) -> None:
    await identify(seller.agent, seller.channel())

    assert seller.channel().identity == "shop"
    seller.shop().trouble = ShopSilent("no answer came")
    with pytest.raises(TryLater):
        await identify(seller.agent, seller.channel())
    assert seller.channel().identity == "shop"


async def test_another_account_than_before_is_refused_and_not_kept(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identify(seller.agent, seller.channel())

    async def another() -> Identity:
        return Identity("another-shop")

    monkeypatch.setattr(seller.channel().channel, "check", another)
    with pytest.raises(ChannelMisbehaved, match=r"shop: the credentials are those of another-shop, and .* been shop"):
        await identify(seller.agent, seller.channel())

    states = await seller.database.query(channel_states)
    assert (seller.channel().identity, states["shop"].identity) == ("shop", "shop")


async def test_the_page_of_a_listing_is_known_of_its_numbers(seller: Any, shows: Any) -> None:
    listing = await seller.sells("MUG", 6)

    async def pages() -> list[str]:
        key = await key_of(seller, listing)
        found = await seller.database.query(lambda c: counted_as(c, [key]))
        return [one.page for one in found[key.id]]

    shows(lambda one: replace(one, page="mugs", further_pages=("mugs-de", "mugs-uk")))
    await pulled(seller)
    assert (await key_of(seller, listing)).page == "mugs"
    assert await pages() == ["mugs", "mugs-de", "mugs-uk"]
    shows(lambda one: one)
    await pulled(seller)
    assert (await key_of(seller, listing)).page == ""
    assert await pages() == [""]


async def test_a_listing_that_is_gone_waits_for_no_writes_any_more(seller: Any, shows: Any) -> None:
    listing = await seller.sells("MUG", 6)
    await seller.sells("CUP", 6)
    key = await key_of(seller, listing)
    spent = Finding(kind=FindingKind.WRITES_SPENT, subject=(str(key.id),), summary="none is left")
    await seller.database.transact(lambda c: open_findings(c, [spent], seller.clock.now()))
    await seller.clock.sleep(60)
    shows(lambda one: None if one.listing == listing else one)
    await pulled(seller)
    assert await seller.kinds() == ["listing gone"]


@pytest.mark.fault(41, "orders of what is missing are booked meanwhile, and its number is still written")
async def test_what_a_short_pull_left_out_goes_on_selling_and_being_written(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.clock.sleep(60)
    shows(lambda one: None)
    await pulled(seller)
    seller.shop().buy((seller.shop().items[mug], 1))
    await poll_orders(seller.agent, seller.channel())
    assert (await seller.position("MUG")).reserved == 1
    await seller.has("MUG", 3)
    key = await key_of(seller, mug)
    await seller.database.transact(lambda c: keys.mark_keys_due(c, [key.id], seller.clock.now()))
    for _ in range(5):
        await publish_tick(seller.agent, seller.channel())
        await seller.clock.sleep(60)
    assert seller.shop().items[mug].number == 7
    assert "catalogue shrank" in await seller.kinds()
