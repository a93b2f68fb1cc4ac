"""Stories on the vendor's test server: what Amazon fulfils, orders that nobody pays, feeds, reports, notifications."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_http import Request
from channelsync.sdk.contract import CANARY, ContractClock
from channelsync.sdk.resources import unused
from channelsync.sdk.values import ListingState, OrderSnapshot, OrderStatus, QuantityKey, QuantityUpdate
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync_amazon import CONNECTOR
from channelsync_amazon.channel import AmazonChannel
from channelsync_amazon.notifications import hint_of
from channelsync_amazon.settings import AmazonSettings
from vendor_amazon import AmazonHabits, AmazonSite
from vendor_amazon.marketplace import AmazonMarketplace

LATER = timedelta(minutes=20).total_seconds()
"""After so long everything can be seen: orders, numbers, accepted writes."""

ARN = "arn:aws:sqs:eu-west-1:123456789012:channelsync"


@pytest.fixture
def more() -> dict[str, Any]:
    """Settings that differ from the usual ones."""
    return {}


@pytest.fixture
def settings(site: AmazonSite, settings_of: Any, more: dict[str, Any]) -> AmazonSettings:
    return settings_of(site, **more)


@pytest.fixture
async def channel(settings: AmazonSettings, site: AmazonSite, clock: ContractClock) -> AsyncIterator[AmazonChannel]:
    resources = unused("amazon-eu", CONNECTOR.budgets(settings), clock, transport=site.transport)
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened
    assert (site.api.problems, site.api.refused, site.api.ignored) == ([], [], [])
    assert site.api.buckets.violations == []


@pytest.fixture
def marketplace(site: AmazonSite) -> AmazonMarketplace:
    return site.marketplace


def update(sku: str, value: int, *, lowering: bool = True) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku), value=value, listing=sku, sku=sku, lowering=lowering)


async def seen(channel: AmazonChannel, cursor: str | None = None) -> tuple[dict[str, OrderSnapshot], str]:
    """The newest snapshots from a cursor, and where to go on."""
    found: dict[str, OrderSnapshot] = {}
    async for page in channel.orders(cursor=cursor):
        assert page.unreadable == ()
        found |= {one.order: one for one in page.orders}
        cursor = page.cursor
    assert cursor is not None
    return found, cursor


# What Amazon fulfils


async def test_an_order_that_amazon_ships_is_not_pulled_and_moves_nothing(channel, site, marketplace, clock) -> None:
    site.catalogue.list_item("MUG", 9)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10)
    ours, theirs = marketplace.buy("MUG", 2).order.id, marketplace.buy("FBA", 3).order.id
    await clock.sleep(LATER)
    found, _ = await seen(channel)
    assert set(found) == {ours}
    (asked,) = await channel.orders_by_id([theirs])
    assert [(line.ordered, line.to_ship) for line in asked.lines] == [(0, 0)], "asked for by its id it has no units"
    assert (await channel.read([QuantityKey("FBA")]))[0].value is None


@pytest.mark.parametrize("more", [{"fba_orders": True}])
async def test_an_order_that_amazon_ships_has_no_units_where_it_is_wanted(channel, site, marketplace, clock) -> None:
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10)
    order = marketplace.buy("FBA", 3).order.id
    await clock.sleep(LATER)
    found, cursor = await seen(channel)
    marketplace.ship(order)
    await clock.sleep(LATER)
    found, _ = await seen(channel, cursor)
    assert [(line.ordered, line.to_ship, line.shipped) for line in found[order].lines] == [(0, 0, ())]
    assert found[order].status is OrderStatus.CLOSED


async def test_a_listing_that_flips_to_amazon_is_ours_no_more_and_neither_is_its_number(
    channel, site, marketplace, clock
) -> None:
    site.catalogue.list_item("MUG", 9)
    before = marketplace.buy("MUG", 2).order.id
    await clock.sleep(LATER)
    (listing,) = await channel.listings_by_id(["MUG"])
    assert (listing.fulfilled_by_channel, listing.shown) == (False, {QuantityKey("MUG"): 7})
    site.catalogue.convert("MUG", fba=True)
    site.pool.receive("MUG", 50)
    await clock.sleep(LATER)
    (listing,) = await channel.listings_by_id(["MUG"])
    assert (listing.fulfilled_by_channel, listing.shown) == (True, {})
    assert (await channel.read([QuantityKey("MUG")]))[0].value is None, "no read of it is a drop"
    (result,) = await channel.push([update("MUG", 0)])
    assert (result.state, "Amazon fulfils it" in result.reason) == ("refused", True)
    after = marketplace.buy("MUG", 4).order.id
    await clock.sleep(LATER)
    found, _ = await seen(channel)
    assert {order: [line.ordered for line in found[order].lines] for order in found} == {before: [2]}, (
        "what was bought before is still ours to ship"
    )
    assert after not in found
    assert site.catalogue.item("MUG").availability == {"AMAZON_EU": {}}, "no second fulfilment channel was added to it"


async def test_a_push_that_saw_the_listing_before_it_flipped_adds_no_second_channel(
    channel, site, marketplace, clock
) -> None:
    site.catalogue.list_item("MUG", 9)
    assert [one.state for one in await channel.push([update("MUG", 8)])] == ["accepted"]
    await clock.sleep(LATER)
    site.catalogue.convert("MUG", fba=True)
    await clock.sleep(LATER)
    assert (await channel.read([QuantityKey("MUG")]))[0].value is None
    assert [one.state for one in await channel.push([update("MUG", 7)])] == ["refused"]
    await clock.sleep(LATER)
    assert site.catalogue.item("MUG").availability == {"AMAZON_EU": {}}


async def test_a_listing_that_comes_back_to_the_seller_is_written_again(channel, site, clock) -> None:
    site.catalogue.list_item("MUG", 0, fba=True)
    assert [one.state for one in await channel.push([update("MUG", 5)])] == ["refused"]
    site.catalogue.convert("MUG", fba=False)
    await clock.sleep(LATER)
    await channel.read([QuantityKey("MUG")])
    assert [one.state for one in await channel.push([update("MUG", 5)])] == ["accepted"]
    await clock.sleep(LATER)
    assert (await channel.read([QuantityKey("MUG")]))[0].value == 5


# Pending orders


async def test_an_order_that_nobody_pays_reserves_until_amazon_cancels_it(channel, site, marketplace, clock) -> None:
    site.catalogue.list_item("MUG", 5)
    order = marketplace.buy("MUG", 2, paid=False).order.id
    await clock.sleep(LATER)
    found, cursor = await seen(channel)
    assert found[order].status is OrderStatus.PENDING
    assert [line.to_ship for line in found[order].lines] == [2]
    assert (await channel.read([QuantityKey("MUG")]))[0].value == 3, "Amazon has taken them off its number already"
    await clock.sleep(timedelta(days=20).total_seconds())
    found, cursor = await seen(channel, cursor)
    assert order not in found, "nothing has changed"
    await clock.sleep(timedelta(days=1).total_seconds())
    found, _ = await seen(channel, cursor)
    assert found[order].status is OrderStatus.CANCELLED
    assert found[order].version - found[order].placed_at < CONNECTOR.capabilities(channel._settings).pending_limit
    assert (await channel.read([QuantityKey("MUG")]))[0].value == 5


async def test_a_pre_order_is_open_and_does_not_run_out(channel, site, marketplace, clock) -> None:
    site.catalogue.list_item("BOOK", 5)
    order = marketplace.buy("BOOK", 2, paid=False).order.id
    site.book.await_release(order)
    await clock.sleep(LATER)
    found, _ = await seen(channel)
    assert found[order].status is OrderStatus.OPEN
    assert [line.to_ship for line in found[order].lines] == [2]


async def test_a_wish_to_cancel_changes_nothing_until_it_is_carried_out(channel, site, marketplace, clock) -> None:
    site.catalogue.list_item("MUG", 9)
    order = marketplace.place([Wanted("MUG", 3)]).order.id
    site.book.request_cancel(order)
    await clock.sleep(LATER)
    found, cursor = await seen(channel)
    (line,) = found[order].lines
    assert found[order].to_ship(line) == 3
    site.book.cancel(order)
    await clock.sleep(LATER)
    found, _ = await seen(channel, cursor)
    assert found[order].status is OrderStatus.CANCELLED


async def test_orders_of_a_marketplace_that_is_not_in_the_settings_count_too(channel, site, marketplace, clock) -> None:
    british, german = site.marketplace_ids
    assert channel._settings.marketplaces == (british,)
    site.catalogue.list_item("MUG", 9)
    sale = marketplace.place([Wanted("MUG", 2)], marketplace_id=german)
    await clock.sleep(LATER)
    found, _ = await seen(channel)
    assert [line.ordered for line in found[sale.order.id].lines] == [2], "Amazon keeps one number of a SKU for all"


# Writes


async def test_a_number_leaves_the_rest_of_the_offer_as_it_is(channel, site, clock) -> None:
    site.catalogue.list_item("MUG", 9, availability={"lead_time_to_ship_max_days": 3})
    await channel.push([update("MUG", 4)])
    await clock.sleep(LATER)
    assert site.catalogue.item("MUG").availability == {"DEFAULT": {"lead_time_to_ship_max_days": 3}}
    assert (await channel.read([QuantityKey("MUG")]))[0].value == 4


@pytest.mark.parametrize("more", [{"feed_from": 3}])
async def test_a_feed_leaves_the_rest_of_the_offers_as_it_is(channel, site, clock) -> None:
    for sku in "ABC":
        site.catalogue.list_item(sku, 1, availability={"lead_time_to_ship_max_days": 3})
    results = await channel.push([update(sku, 4, lowering=False) for sku in "ABC"])
    assert [one.state for one in results] == ["accepted"] * 3
    assert site.api.calls["push"] == 1, "all in one feed"
    await clock.sleep(LATER)
    for sku in "ABC":
        assert site.catalogue.item(sku).availability == {"DEFAULT": {"lead_time_to_ship_max_days": 3}}
    assert [one.value for one in await channel.read([QuantityKey(sku) for sku in "ABC"])] == [4, 4, 4]


@pytest.mark.parametrize("more", [{"feed_from": 3}])
async def test_a_zero_takes_back_the_feed_that_would_overtake_it(channel, site, clock) -> None:
    for sku in "ABC":
        site.catalogue.list_item(sku, 1)
    await channel.push([update(sku, 4, lowering=False) for sku in "ABC"])
    assert [one.state for one in await channel.push([update("A", 0)])] == ["accepted"]
    await clock.sleep(LATER)
    assert [one.value for one in await channel.read([QuantityKey(sku) for sku in "ABC"])] == [0, 1, 1]


@pytest.mark.parametrize(("more", "habits"), [({"feed_from": 3}, AmazonHabits(feed_delay=(100.0, 100.0)))])
async def test_a_feed_that_amazon_works_on_is_waited_for_even_by_a_zero(channel, site, clock) -> None:
    for sku in "ABC":
        site.catalogue.list_item(sku, 1)
    await channel.push([update(sku, 4, lowering=False) for sku in "ABC"])
    answers = []
    for _ in range(3):
        await clock.sleep(40)
        answers += [one.state for one in await channel.push([update("A", 0)])]
    assert answers == ["not sent", "not sent", "accepted"]
    await clock.sleep(LATER)
    await channel.push([update("A", 0)])  # Amazon may have applied the two in any order
    await clock.sleep(LATER)
    assert [one.value for one in await channel.read([QuantityKey(sku) for sku in "ABC"])] == [0, 4, 4]


MANY = {"feed_from": 30, "raises_per_push": 50, "updates_per_push": 10}


@pytest.mark.parametrize(
    ("more", "habits"), [(MANY, AmazonHabits(feed_delay=(3600.0, 3600.0)))], ids=["feeds that take an hour"]
)
async def test_many_raises_go_in_feeds_and_no_lowering_of_another_sku_waits_for_one(channel, site, clock) -> None:
    skus = [f"SKU-{number}" for number in range(180)]
    for sku in skus:
        site.catalogue.list_item(sku, 20)

    async def push(*numbers: int, value: int) -> Counter[str]:
        rows = [update(skus[number], value, lowering=value < 20) for number in numbers]
        return Counter(one.state for one in await channel.push(rows))

    assert await push(*range(50), value=25) == {"accepted": 50}
    assert (site.api.calls["createFeedDocument"], site.api.calls["push"]) == (1, 1), "one feed, and nothing besides"
    assert await push(*range(50, 100), value=25) == {"accepted": 10, "not sent": 40}, "no feed's turn: ten by one"
    assert await push(*range(150, 160), value=3) == {"accepted": 10}, "what no feed holds is lowered at once"
    assert await push(0, 1, value=15) == {"not sent": 2}, "never both ways for one SKU at a time"
    with pytest.raises(ValueError, match="10"):
        await push(*range(160, 180), value=3)
    await clock.sleep(150)
    assert await push(*range(60, 100), value=25) == {"accepted": 40}
    assert site.api.calls["createFeedDocument"] == 2
    await clock.sleep(LATER + 3600)
    await push(170, value=25)
    numbers = {one.key.key: one.value for one in await channel.read([QuantityKey(skus[n]) for n in (0, 55, 99, 155)])}
    assert numbers == {"SKU-0": 25, "SKU-55": 25, "SKU-99": 25, "SKU-155": 3}


@pytest.mark.parametrize("more", [{"feed_from": 3, "feed_least": 10}])
async def test_a_raise_to_a_few_units_goes_in_no_feed(channel, site) -> None:
    for number in range(4):
        site.catalogue.list_item(f"SKU-{number}", 1)
    rows = [update(f"SKU-{number}", 9 if number == 3 else 10, lowering=False) for number in range(4)]
    assert [one.state for one in await channel.push(rows)] == ["accepted"] * 4
    assert (site.api.calls["createFeedDocument"], site.api.calls["push"]) == (1, 2), "a feed, and one by itself"


@pytest.mark.parametrize("more", [{"feed_from": 3}])
async def test_no_feed_is_sent_that_amazon_would_not_take(channel, site, clock) -> None:
    feeds = 0
    for turn in range(60):
        skus = [f"SKU-{turn}-{number}" for number in range(3)]
        for sku in skus:
            site.catalogue.list_item(sku, 1)
        before = site.api.calls.get("createFeedDocument", 0)
        assert [one.state for one in await channel.push([update(sku, 4, lowering=False) for sku in skus])] == [
            "accepted"
        ] * 3, "Amazon takes five in five minutes, and refuses the next"
        feeds += site.api.calls.get("createFeedDocument", 0) - before
        await clock.sleep(30)
    assert 15 <= feeds <= 20, "in half an hour"


# Many listings


@pytest.mark.parametrize("more", [{"report_from": 20}])
async def test_no_number_out_of_an_old_report_passes_for_a_read(channel, site, clock) -> None:
    for number in range(45):
        site.catalogue.list_item(f"SKU-{number:02}", 5)
    await clock.sleep(LATER)
    first = [one async for one in channel.listings()]
    assert len(first) == 45
    site.marketplace.buy("SKU-07", 5)
    site.catalogue.list_item("NEW", 3)
    await clock.sleep(LATER)
    second = {one.listing: one async for one in channel.listings()}
    assert second["SKU-07"].shown == {QuantityKey("SKU-07"): 0}, "the report still says 5"
    assert second["SKU-07"].state is ListingState.INACTIVE
    assert "NEW" in second, "the report does not know it yet"


@pytest.mark.parametrize("more", [{"report_from": 1}])
async def test_suppressed_and_stranded_listings_have_their_reasons(channel, site, clock) -> None:
    site.catalogue.list_item("MUG", 5)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10)
    site.catalogue.suppress("MUG", "LISTING_SUPPRESSED")
    site.catalogue.switch("FBA", on=False)
    await clock.sleep(LATER)
    found = {one.listing: one async for one in channel.listings()}
    assert found["MUG"].state is ListingState.INACTIVE
    assert any("LISTING_SUPPRESSED" in reason and "main image" in reason for reason in found["MUG"].reasons)
    assert any(reason.startswith("suppressed: ") and "main image" in reason for reason in found["MUG"].reasons)
    assert any(reason.startswith("stranded: ") for reason in found["FBA"].reasons)


# Notifications


def subscribed(site: AmazonSite, *kinds: str, duplicates: float, disorder: bool) -> Any:
    """A queue that these types are sent to."""
    queue = site.notifications.open_queue(ARN, duplicates=duplicates, disorder=disorder)

    def ask(method: str, path: str, token: str, body: Any) -> Any:
        headers = {"x-amz-access-token": token, "content-type": "application/json", "host": "amazon"}
        reply = site.api.handle(Request(method, path, {}, headers, orjson.dumps(body)))
        assert reply.status < 300, reply.body
        return orjson.loads(reply.body)

    def token(**form: str) -> str:
        known = {"client_id": site.client_id, "client_secret": site.client_secret}
        return ask("POST", "/auth/o2/token", "", known | form)["access_token"]

    of_app = token(grant_type="client_credentials", scope="sellingpartnerapi::notifications")
    of_seller = token(grant_type="refresh_token", refresh_token=site.refresh_token)
    made = {"name": "here", "resourceSpecification": {"sqs": {"arn": ARN}}}
    name = ask("POST", "/notifications/v1/destinations", of_app, made)["payload"]["destinationId"]
    for kind in kinds:
        body = {"payloadVersion": "1.0", "destinationId": name}
        ask("POST", f"/notifications/v1/subscriptions/{kind}", of_seller, body)
    return queue


async def test_what_a_queue_holds_hints_at_what_changed_whatever_comes_twice_or_late(site, clock) -> None:
    kinds = ("ORDER_CHANGE", "LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "FEED_PROCESSING_FINISHED")
    queue = subscribed(site, *kinds, duplicates=0.5, disorder=True)
    site.catalogue.list_item("MUG", 50)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10)
    orders = []
    rng = random.Random(7)
    for _ in range(8):
        order = site.marketplace.buy("MUG", rng.randint(1, 3), paid=False).order.id
        orders.append(order)
        await clock.sleep(5)
        site.marketplace.pay(order)
    theirs = site.marketplace.buy("FBA", 1).order.id
    await clock.sleep(LATER)
    hints: list[WebhookHint] = []
    harmless: list[Harmless] = []
    while messages := queue.receive():
        for message in messages:
            found = hint_of(message.body, site.seller_id)
            assert found is not None, message.body
            (hints if isinstance(found, WebhookHint) else harmless).append(found)
            assert hint_of(message.body, "ANOTHERSELLER") is None
            queue.delete(message.handle)
    events = Counter(one.event for one in hints)
    assert max(events.values()) > 1, "the queue gave nothing twice"
    assert len(events) < len(hints)
    assert [one.sent_at for one in hints] != sorted(one.sent_at for one in hints), "the queue kept the order"
    assert {order for one in hints for order in one.orders} == set(orders)
    assert {key for one in hints for key in one.keys} == {QuantityKey("MUG")}
    assert theirs not in repr(hints)
    assert harmless, "the order that Amazon ships"
    assert not [text for text in CANARY if text in repr((hints, harmless))]
    known = {one["NotificationMetadata"]["NotificationId"] for one in site.notifications.sent}
    assert set(events) <= known
