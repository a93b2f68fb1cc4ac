"""The plain seller: books rightly, writes absolutely, reads nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from channelsync.domain.bundles import Part, Recipe
from channelsync.lab.plain_set import PlainChannel, PlainSeller
from channelsync.lab.stage import StagedListing, Wares
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.errors import OutcomeUnknown
from channelsync.sdk.values import OrderLine, OrderPage, OrderSnapshot, OrderStatus, PushResult, QuantityUpdate

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
POLL, TICK = timedelta(minutes=10), timedelta(minutes=1)
WARES = Wares(
    opening={"tea": 10, "cup": 4},
    listings=[
        StagedListing(marketplace="a", listing="a-tea", sku="tea"),
        StagedListing(marketplace="b", listing="b-tea", sku="tea"),
        StagedListing(marketplace="b", listing="b-tea-x3", sku="tea", multiple=3),
        StagedListing(marketplace="b", listing="b-set", sku="set"),
        StagedListing(marketplace="b", listing="b-cup", sku="cup"),
    ],
    recipes={"set": Recipe("set", "virtual", (Part("tea", 1), Part("cup", 2)))},
)


class Shop:
    """A channel of which a test sees every push. orders: what the next polls show. fails: so many pushes do."""

    def __init__(self) -> None:
        self.orders_now: list[OrderSnapshot] = []
        self.pushed: list[dict[str, int]] = []
        self.fails = 0

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        yield OrderPage(orders=tuple(self.orders_now), cursor="next")

    async def push(self, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        assert all(update.expected is None for update in updates)
        if self.fails:
            self.fails -= 1
            raise OutcomeUnknown
        self.pushed.append({update.listing: update.value for update in updates})
        return [PushResult.accepted(update.key) for update in updates]


def order(
    name: str, listing: str, units: int, *, status: OrderStatus = OrderStatus.OPEN, version: int = 0
) -> OrderSnapshot:
    line = OrderLine(line="1", listing=listing, ordered=units)
    at = NOON + timedelta(seconds=version)
    return OrderSnapshot(order=name, version=at, placed_at=NOON, status=status, lines=(line,))


def played(shops: dict[str, Shop], minutes: float, *, updates_per_push: int = 50) -> PlainSeller:
    """The seller after so many minutes."""

    async def play() -> PlainSeller:
        channels = []
        for name, shop in shops.items():
            mine = {one.listing: one for one in WARES.listings if one.marketplace == name}
            sent = {key: WARES.shown(one, WARES.opening) for key, one in mine.items()}
            capabilities = Capabilities(updates_per_push=updates_per_push)
            channels.append(PlainChannel(name=name, channel=shop, capabilities=capabilities, listings=mine, sent=sent))
        seller = PlainSeller(WARES, channels, LabClock())
        running = asyncio.create_task(seller.run(POLL, TICK))
        await asyncio.sleep(minutes * 60)
        running.cancel()
        await asyncio.wait([running])
        return seller

    return run_virtual(play(), start=NOON)


def test_it_writes_what_is_available_to_every_listing_that_shares_the_units_and_to_no_other() -> None:
    a, b = Shop(), Shop()
    a.orders_now = [order("1", "a-tea", 8)]
    assert played({"a": a, "b": b}, 5).available == {"tea": 2, "cup": 4}
    assert a.pushed == [{"a-tea": 2}]
    assert b.pushed == [{"b-tea": 2, "b-tea-x3": 0}], "two sets could be made before and can now"


def test_a_bundle_takes_its_parts() -> None:
    a, b = Shop(), Shop()
    b.orders_now = [order("1", "b-set", 2)]
    assert played({"a": a, "b": b}, 5).available == {"tea": 8, "cup": 0}
    assert a.pushed == [{"a-tea": 8}]
    assert b.pushed == [{"b-cup": 0, "b-set": 0, "b-tea": 8, "b-tea-x3": 2}]


def test_an_order_that_is_polled_again_and_again_counts_once_and_a_cancelled_one_gives_back() -> None:
    a, b = Shop(), Shop()
    a.orders_now = [order("1", "a-tea", 8), order("1", "a-tea", 8)]
    assert played({"a": a, "b": b}, 35).available["tea"] == 2
    a.orders_now.append(order("1", "a-tea", 8, status=OrderStatus.CANCELLED, version=9))
    assert played({"a": a, "b": b}, 35).available["tea"] == 10


def test_more_sold_than_there_is_shows_0_and_never_less() -> None:
    a, b = Shop(), Shop()
    a.orders_now = [order("1", "a-tea", 14)]
    assert played({"a": a, "b": b}, 5).available["tea"] == -4
    assert a.pushed == [{"a-tea": 0}]


def test_a_push_that_fails_is_sent_again_at_the_next_tick() -> None:
    a, b = Shop(), Shop()
    a.orders_now, a.fails = [order("1", "a-tea", 8)], 2
    played({"a": a, "b": b}, 5)
    assert a.pushed == [{"a-tea": 2}]


def test_it_keeps_to_the_channels_batch() -> None:
    a, b = Shop(), Shop()
    b.orders_now = [order("1", "b-set", 2)]
    played({"a": a, "b": b}, 5, updates_per_push=2)
    assert [len(batch) for batch in b.pushed] == [2, 2]
