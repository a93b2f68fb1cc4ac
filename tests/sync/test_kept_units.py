"""Units that a channel keeps itself are counted at a location of ours by what the channel tells, and never written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.errors import BadOrder
from channelsync.sdk.errors import NeedsSeller, NotPermitted
from channelsync.sdk.values import KeyRead, Listing, QuantityKey
from channelsync.store import keys, listings
from channelsync.store.items import item_id, items_by_sku
from channelsync.sync.check_channels import check_channel
from channelsync.sync.explain import explain_now
from channelsync.sync.kept_units import count_kept
from channelsync.sync.listings_apply import load_catalog
from channelsync.sync.listings_lint import lint
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.listings_match import propose
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.stock import Refused, place
from channelsync.web.api.named import known_location
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Warehouse:
    """What the channel keeps, by key: units for sale, committed to orders, held; None: no such key.

    asked: how many keys each call asked for.
    """

    there: dict[str, tuple[int, int, int] | None] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    shut: Exception | None = None
    asked: list[int] = field(default_factory=list)


class Keeping(MemoryChannel):
    """A channel that ships everything from two warehouses of its own."""

    warehouses: dict[str, Warehouse] = {}  # noqa: RUF012 - the test's own, set anew for each

    async def listings(self) -> AsyncIterator[Listing]:
        async for one in super().listings():
            yield _shipped_by_the_channel(one)

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        return [_shipped_by_the_channel(one) for one in await super().listings_by_id(listings)]

    async def read(self, wanted: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        reads = []
        now = self._clock.now()
        for name, warehouse in self.warehouses.items():
            here = [key for key in wanted if key.location == name]
            if here and warehouse.shut is not None:
                raise warehouse.shut
            if here:
                warehouse.asked.append(len(here))
        for key in wanted:
            warehouse = self.warehouses[key.location]
            told = warehouse.there.get(key.key, (0, 0, 0))
            value, committed, held = told or (None, None, None)
            if key.key in warehouse.unreadable:
                reads.append(KeyRead(key=key, value=None, asked=now, answered=now, unreadable="it is half a unit"))
            else:
                reads.append(KeyRead(key=key, value=value, asked=now, answered=now, committed=committed, held=held))
        return reads


def _shipped_by_the_channel(one: Listing) -> Listing:
    kept = tuple(QuantityKey(one.listing, name) for name in Keeping.warehouses)
    return replace(one, fulfilled_by_channel=True, shown={}, kept=kept)


@pytest.fixture
def north(monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    found = Warehouse()
    monkeypatch.setattr(Keeping, "warehouses", {"N": found, "S": Warehouse()})
    return found


@pytest.fixture
def south(north: Warehouse) -> Warehouse:
    return Keeping.warehouses["S"]


@pytest.fixture
async def seller(open_seller: Any, north: Warehouse) -> Any:
    return await open_seller(
        "shop",
        connectors={"shop": memory_connector(Keeping, reads_per_call=3)},
        channel={"kept": {"N": "theirs-north", "S": "theirs-south"}},
        recipes={"SET": {"MUG": 2, "CUP": 1}},
    )


async def counts(seller: Any, since: timedelta = timedelta()) -> int:
    return await count_kept(seller.agent, seller.channel(), seller.clock.now() - since)


async def lies(seller: Any, sku: str, location: str = "theirs-north") -> tuple[int, int, int]:
    """On hand, withheld and available of a SKU."""
    found = await seller.position(sku, location)
    return found.on_hand, found.withheld, found.available


async def listed(seller: Any, sku: str, *, multiple: int = 1, mapped: bool = True) -> str:
    """A listing that the channel ships; returns its id, by which its key is called too."""
    await seller.has(sku, 1)
    listing = await seller.lists(sku, 0)
    await seller.pull()
    if mapped:
        await seller.map(listing, sku, multiple)
    return listing


async def test_what_the_channel_tells_is_on_hand_and_what_no_buyer_may_buy_is_withheld(
    seller: Any, north: Warehouse, south: Warehouse
) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug], south.there[mug] = (7, 2, 1), (5, 0, 0)
    assert await counts(seller) == 2
    assert await lies(seller, "MUG") == (10, 3, 7)
    assert await lies(seller, "MUG", "theirs-south") == (5, 0, 5)
    north.there[mug] = (9, 0, 2)
    seller.clock.at += HOUR
    await counts(seller)
    assert await lies(seller, "MUG") == (11, 2, 9)
    assert (await seller.position("MUG")).on_hand == 1, "none of it is at a location of ours"


async def test_what_the_channel_counts_itself_says_nothing_of_units_elsewhere(seller: Any, north: Warehouse) -> None:
    north.there[await listed(seller, "MUG")] = (7, 0, 0)
    await counts(seller)
    assert await lies(seller, "MUG") == (7, 0, 7)
    assert ((await seller.position("MUG", "theirs-north")).stated_by, (await seller.position("MUG")).stated_by) == (
        "",
        seller.agent.run,
    )


async def test_the_same_told_again_leaves_no_entry(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 2, 0)
    await counts(seller)
    entries = await seller.entries("MUG", "theirs-north")
    assert [one.movement.cause.actor for one in entries] == ["read:shop", "read:shop"]
    seller.clock.at += HOUR
    assert await counts(seller) == 2
    assert await seller.entries("MUG", "theirs-north") == entries


async def test_a_key_is_read_again_when_its_time_has_come_and_not_before(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    assert [await counts(seller, HOUR), await counts(seller, HOUR)] == [2, 0]
    seller.clock.at += 2 * HOUR
    assert await counts(seller, HOUR) == 2


async def test_all_are_read_in_calls_as_large_as_the_channel_takes(seller: Any, north: Warehouse) -> None:
    for sku in ("A", "B", "C", "D"):
        north.there[await listed(seller, sku)] = (1, 0, 0)
    north.asked.clear()
    seller.clock.at += HOUR
    assert await counts(seller) == 8
    assert sorted(north.asked) == [1, 3], "eight keys of two places, one after the other, three a call"


async def test_listings_of_one_item_are_added_up_each_in_its_packs(seller: Any, north: Warehouse) -> None:
    one, six = await listed(seller, "MUG"), await seller.lists("MUG-X6", 0)
    await seller.pull()
    await seller.map(six, "MUG", 6)
    north.there |= {one: (4, 1, 0), six: (2, 0, 1)}
    seller.clock.at += HOUR
    await counts(seller)
    assert await lies(seller, "MUG") == (23, 7, 16)


async def test_a_bundle_that_was_put_together_lies_there_as_its_parts(seller: Any, north: Warehouse) -> None:
    bundle, mug = await seller.lists("SET", 0), await listed(seller, "MUG")
    await seller.map(bundle, "SET")
    north.there |= {bundle: (3, 1, 0), mug: (5, 0, 0)}
    await counts(seller)
    assert [await lies(seller, sku) for sku in ("MUG", "CUP", "SET")] == [(13, 2, 11), (4, 1, 3), (0, 0, 0)]


async def test_a_listing_that_means_another_item_takes_its_units_along(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    await seller.has("CUP", 1)
    north.there[mug] = (7, 2, 0)
    await counts(seller)
    await seller.map(mug, "CUP")
    assert await counts(seller, HOUR) == 2, "its new meaning is counted at once"
    assert [await lies(seller, sku) for sku in ("MUG", "CUP")] == [(0, 0, 0), (9, 2, 7)]
    await seller.database.transact(
        lambda c: map_listings(
            c,
            seller.agent.setup,
            [Wanted("shop", mug, None)],
            by="test",
            run=seller.agent.run,
            now=seller.clock.now(),
        )
    )
    assert await lies(seller, "CUP") == (9, 2, 7), "until the channel is looked at again"
    await seller.pull()
    assert await lies(seller, "CUP") == (0, 0, 0), "no key means it any more"


async def test_units_of_which_nothing_was_told_yet_are_unknown_and_not_none(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    await counts(seller)
    more = await seller.lists("MUG-2", 0)
    await seller.pull()
    await seller.map(more, "MUG")
    north.unreadable.add(more)
    north.there[mug] = (3, 0, 0)
    seller.clock.at += HOUR
    await counts(seller)
    assert await lies(seller, "MUG") == (7, 0, 7)
    assert await seller.kinds() == ["unreadable number"]
    north.unreadable.clear()
    north.there[more] = (1, 0, 0)
    seller.clock.at += HOUR
    await counts(seller)
    assert (await lies(seller, "MUG"), await seller.kinds()) == ((4, 0, 4), [])


async def test_fewer_than_none_are_not_believed(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    await counts(seller)
    north.there[mug] = (5, 0, -2)
    seller.clock.at += HOUR
    await counts(seller)
    assert (await lies(seller, "MUG"), await seller.kinds()) == ((7, 0, 7), ["unreadable number"])
    assert await counts(seller, HOUR) == 0, "it is asked again when its time has come"


async def test_places_that_the_seller_does_not_count_are_not_read(
    seller: Any, north: Warehouse, south: Warehouse
) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug], south.there[mug] = (7, 0, 0), (5, 0, 0)
    seller.channel().setup = replace(seller.channel().setup, kept={"S": "theirs-south"})
    north.asked.clear()
    assert await counts(seller) == 1
    assert (north.asked, await lies(seller, "MUG", "theirs-south")) == ([], (5, 0, 5))


async def test_each_account_is_asked_for_what_it_keeps_itself(open_seller: Any, north: Warehouse) -> None:
    connectors = dict.fromkeys(("shop", "market"), memory_connector(Keeping))
    seller = await open_seller("shop", "market", connectors=connectors, channel={"kept": {"N": "theirs-north"}})
    await listed(seller, "MUG")
    await seller.pull("market")
    assert await count_kept(seller.agent, seller.channel("market"), seller.clock.now()) == 0


async def test_units_stay_counted_when_the_listing_is_gone_as_long_as_the_channel_keeps_them(
    seller: Any, north: Warehouse
) -> None:
    mug = await listed(seller, "MUG")
    await listed(seller, "CUP")
    north.there[mug] = (7, 0, 0)
    await counts(seller)
    seller.shop().remove(seller.shop().items[mug])
    seller.clock.at += HOUR
    assert (await pull_listings(seller.agent, seller.channel())).gone == 1
    assert await lies(seller, "MUG") == (7, 0, 7)
    north.there[mug] = (0, 0, 0)
    seller.clock.at += HOUR
    await counts(seller)
    assert await lies(seller, "MUG") == (0, 0, 0)


async def test_a_pull_counts_them_and_is_good_even_where_they_cannot_be_read(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    seller.clock.at += HOUR
    pulled = await pull_listings(seller.agent, seller.channel())
    assert (pulled.kept, pulled.not_counted, await lies(seller, "MUG")) == (2, "", (7, 0, 7))
    north.shut = NotPermitted("give the app the role")
    seller.clock.at += HOUR
    pulled = await pull_listings(seller.agent, seller.channel())
    assert (pulled.listings, pulled.not_counted) == (1, "give the app the role")
    assert (await lies(seller, "MUG"), await seller.kinds()) == ((7, 0, 7), ["needs the seller"])
    north.shut = None
    seller.clock.at += HOUR
    await pull_listings(seller.agent, seller.channel())
    assert await seller.kinds() == []


async def test_what_was_read_before_the_channel_refused_is_counted(
    seller: Any, north: Warehouse, south: Warehouse
) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    south.shut = NeedsSeller("look at it")
    seller.agent.channels["shop"].setup = replace(
        seller.channel().setup, capabilities=replace(seller.channel().setup.capabilities, reads_per_call=1)
    )
    with pytest.raises(NeedsSeller):
        await counts(seller)
    assert await lies(seller, "MUG") == (7, 0, 7)


async def test_they_are_never_published_and_feed_no_number(seller: Any, north: Warehouse) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 0, 0)
    await counts(seller)
    done = await publish_tick(seller.agent, seller.channel())
    assert (done.writes, done.reads) == (0, 0)
    (stored,) = await seller.database.query(listings.get_listings)
    found = await seller.database.query(lambda c: keys.load_keys(c, stored.keys))
    assert {(one.remote, one.ours, one.target) for one in found.values()} == {
        ("", False, None),
        ("N", False, None),
        ("S", False, None),
    }


async def test_nobody_else_counts_what_the_channel_keeps(seller: Any, north: Warehouse) -> None:
    await listed(seller, "MUG")
    with pytest.raises(Refused, match="kept and counted by shop"):
        await seller.database.query(lambda c: place(c, seller.agent.setup, "MUG", "theirs-north"))
    order = BookByHand(order="1", lines=(LineByHand(sku="MUG", units=1, location="theirs-north"),))
    with pytest.raises(BadOrder, match="kept and counted by shop"):
        await seller.database.transact(
            lambda c: book_by_hand(c, seller.agent.setup, order, now=seller.clock.now(), run=seller.agent.run)
        )
    assert known_location(seller.agent.setup, "theirs-north") == "theirs-north", "it is there to be looked at"


async def test_a_check_says_where_they_are_counted_and_which_are_not(seller: Any, north: Warehouse) -> None:
    await listed(seller, "MUG")
    kept = {"N": "theirs-north", "W": "theirs-west"}
    seller.channel().setup = replace(seller.channel().setup, kept=kept)
    points = await check_channel(seller.agent, seller.channel(), [], None)
    told = {one.found: one.advice for one in points if one.what == "locations"}
    assert list(told) == [
        "one number for all locations",
        "what it keeps at N is counted at theirs-north",
        "no listing has units that it keeps at W",
        "it keeps units at S that are counted nowhere",
    ]
    assert told["what it keeps at N is counted at theirs-north"] == ""
    assert '[[location]] with kept_by = "shop"' in told["it keeps units at S that are counted nowhere"]


async def test_lint_names_what_is_not_mapped_or_counted_nowhere(seller: Any, north: Warehouse) -> None:
    await listed(seller, "MUG", mapped=False)
    seller.agent.setup = replace(seller.agent.setup, recipes={})
    found = await seller.database.query(lambda c: lint(c, seller.agent.setup, seller.clock.now()))
    assert [(one.kind.value, "at N, S is not counted" in one.text) for one in found] == [("not mapped", True)]
    channel = replace(seller.agent.setup.channels["shop"], kept={"S": "theirs-south"})
    setup = replace(seller.agent.setup, channels={**seller.agent.setup.channels, "shop": channel})
    (found,) = await seller.database.query(lambda c: lint(c, setup, seller.clock.now()))
    assert "its units at N, and no location of yours counts them" in found.text


async def test_a_listing_that_the_channel_ships_is_matched_where_its_units_are_told(
    seller: Any, north: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listed(seller, "MUG", mapped=False)
    (told,) = propose(await seller.database.query(lambda c: load_catalog(c, create=False)))
    assert (told.item, told.confidence) == (item_id("MUG"), "certain")


async def test_an_explanation_tells_where_units_lie_and_that_the_listing_has_no_number_of_ours(
    seller: Any, north: Warehouse
) -> None:
    mug = await listed(seller, "MUG")
    north.there[mug] = (7, 2, 0)
    await counts(seller)
    item = (await seller.database.query(lambda c: items_by_sku(c, ["MUG"])))["MUG"]

    def explained(only: list[str] | None) -> Any:
        return seller.database.query(
            lambda c: explain_now(c, seller.agent.setup, seller.agent.measures, item, only, seller.clock.now())
        )

    found = await explained(None)
    assert found.numbers == ()
    assert [(one.channel, one.listing) for one in found.channels_own] == [("shop", mug)]
    assert ("theirs-north", 9, 7) in {(one.location, one.on_hand, one.available) for one in found.positions}
    assert (await explained(["market"])).channels_own == ()
