"""Pages of listings shift while they are read: what they left out is looked for before it is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import Listing, ListingState
from channelsync.store import keys, listings
from channelsync.sync import pull_listings as pulling
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


class Shifting(MemoryChannel):
    """skipped: SKUs that the pages leave out. ended: SKUs that are told as ended where one asks for them by their ids.
    silent: it does not answer that question. asked: what it was asked for by id."""

    skipped: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    silent = False
    asked: Sequence[str] = ()

    async def listings(self) -> AsyncIterator[Listing]:
        async for one in super().listings():
            if one.sku not in Shifting.skipped:
                yield one

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        Shifting.asked = listings
        if Shifting.silent:
            raise TryLater("no answer came")
        found = await super().listings_by_id(listings)
        return [replace(one, state=ListingState.ENDED) if one.sku in Shifting.ended else one for one in found]


@pytest.fixture
async def shifting(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A seller of a mug, number 5, and a lamp; a minute after they were pulled."""
    monkeypatch.setattr(Shifting, "asked", ())
    seller = await open_seller("shop", connectors={"shop": memory_connector(Shifting)})
    await seller.sells("LAMP", 5)
    await seller.sells("MUG", 5)
    await seller.clock.sleep(60)
    return seller


async def gone(seller: Any) -> list[str]:
    found = await seller.database.query(listings.get_listings)
    return [one.sku for one in found if one.gone_at is not None]


async def pulled(seller: Any) -> Any:
    return await pull_listings(seller.agent, seller.channel())


@pytest.mark.fault(39, "what the pages left out is asked for by its id before it is gone; it goes on being written")
async def test_a_listing_that_slipped_between_two_pages_is_not_gone_and_goes_on_being_written(
    shifting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mug,) = [one for one in shifting.shop().items.values() if one.sku == "MUG"]
    monkeypatch.setattr(Shifting, "skipped", frozenset({"MUG"}))
    found = await pulled(shifting)
    assert (found.listings, found.gone, Shifting.asked) == (2, 0, [mug.id])
    assert await gone(shifting) == []

    shifting.shop().buy((mug, 1))
    await poll_orders(shifting.agent, shifting.channel())
    await shifting.has("MUG", 3)
    ids = [key for one in await shifting.database.query(listings.get_listings) for key in one.keys]
    await shifting.database.transact(lambda c: keys.mark_keys_due(c, ids, shifting.clock.now()))
    for _ in range(3):
        await publish_tick(shifting.agent, shifting.channel())
        await shifting.clock.sleep(60)
    assert mug.number == 7
    assert await shifting.findings() == []


@pytest.mark.parametrize("how", ["removed", "ended"])
async def test_a_listing_that_really_has_ended_is_gone(
    shifting: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (mug,) = [one for one in shifting.shop().items.values() if one.sku == "MUG"]
    if how == "removed":
        shifting.shop().remove(mug)
    else:
        monkeypatch.setattr(Shifting, "skipped", frozenset({"MUG"}))
        monkeypatch.setattr(Shifting, "ended", frozenset({"MUG"}))
    assert (await pulled(shifting)).gone == 1
    assert await gone(shifting) == ["MUG"]
    assert await shifting.kinds() == ["listing gone"]
    monkeypatch.setattr(Shifting, "asked", ())
    assert (await pulled(shifting)).gone == 0
    assert Shifting.asked == (), "what is gone is not asked for again and again"


async def test_where_it_cannot_be_asked_nothing_is_gone(shifting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shifting, "skipped", frozenset({"MUG"}))
    monkeypatch.setattr(Shifting, "silent", True)
    with pytest.raises(TryLater):
        await pulled(shifting)
    assert await gone(shifting) == []


async def test_more_than_pages_could_leave_out_are_not_asked_for_one_by_one(
    shifting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "LOOKED_FOR_MAX", 1)
    for number in range(3):
        await shifting.lists(f"CUP-{number}", 5)
    await pulled(shifting)
    await shifting.clock.sleep(60)
    monkeypatch.setattr(Shifting, "skipped", frozenset({"CUP-0", "CUP-1"}))
    assert (await pulled(shifting)).gone == 2
    assert Shifting.asked == ()
