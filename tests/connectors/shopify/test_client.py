"""Paging, points, lists that go on, reads, bulk operations and what each failure becomes."""

from datetime import UTC, date, timedelta
from typing import Any

import httpx
import pytest

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.values import OrderSnapshot, QuantityKey, UnreadableOrder
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ORDER_OVERLAP, SKEW, capabilities


@pytest.fixture
async def channel(settings, resources):
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened


async def everything(found: Any) -> list[Any]:
    return [one async for one in found]


def orders(words, *rows: Any, after: str | None = None, **more: Any) -> httpx.Response:
    return words.answer({"orders": words.page(*rows, after=after)}, **more)


# Orders


async def test_the_first_round_asks_for_everything_and_the_next_goes_back_by_the_overlap(
    channel, shop, words, clock
) -> None:
    shop.on("Orders", orders(words, words.order()))
    (page,) = await everything(channel.orders(cursor=None))
    asked = shop.variables("Orders")[0]
    assert asked["query"] is None
    assert page.covered_to == clock.now()
    await clock.sleep(60)
    await everything(channel.orders(cursor=page.cursor))
    since = page.covered_to - ORDER_OVERLAP - SKEW
    assert shop.variables("Orders")[1]["query"] == f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"


async def test_of_two_clocks_the_one_that_is_behind_says_where_to_go_on(channel, shop, words, clock) -> None:
    behind = clock.now() - timedelta(minutes=3)
    late = orders(words, words.order())
    late.headers["Date"] = f"{behind:%a, %d %b %Y %H:%M:%S} GMT"
    shop.on("Orders", late)
    (page,) = await everything(channel.orders(cursor=None))
    await everything(channel.orders(cursor=page.cursor))
    since = behind - ORDER_OVERLAP - SKEW
    assert shop.variables("Orders")[1]["query"] == f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"


async def test_pages_follow_shopifys_cursor_and_a_restart_the_time_of_the_last_order(channel, shop, words) -> None:
    first = orders(words, words.order(1), words.order(2, updated="2026-11-21T10:31:07Z"), after="c1")
    shop.on("Orders", first, orders(words, words.order(3, updated="2026-11-21T10:31:07Z")))
    pages = await everything(channel.orders(cursor=None))
    assert [one["after"] for one in shop.variables("Orders")] == [None, "c1"]
    assert [[one.order for one in page.orders] for page in pages] == [["1", "2"], ["3"]]
    assert pages[0].covered_to is None
    await everything(channel.orders(cursor=pages[0].cursor))
    resumed = shop.variables("Orders")[2]
    assert (resumed["after"], resumed["query"]) == (None, "updated_at:>='2026-11-21T10:31:07Z'")


async def test_a_resumed_round_still_covers_only_what_its_first_page_could_see(channel, shop, words, clock) -> None:
    began = clock.now()
    shop.on("Orders", orders(words, words.order(), after="c1"), orders(words))
    pages = await everything(channel.orders(cursor=None))
    await clock.sleep(3600)
    (last,) = await everything(channel.orders(cursor=pages[0].cursor))
    assert last.covered_to == began


async def test_a_page_that_leads_back_to_itself_is_an_error(channel, shop, words) -> None:
    shop.on("Orders", orders(words, words.order(), after="c1"))
    with pytest.raises(ChannelMisbehaved, match="back to itself"):
        await everything(channel.orders(cursor=None))


async def test_a_cursor_of_somebody_else_is_an_error_of_the_caller(channel) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        await everything(channel.orders(cursor="7"))


async def test_an_unreadable_order_does_not_hold_up_its_neighbours(channel, shop, words) -> None:
    broken = words.order(2, lines=[])
    shop.on("Orders", orders(words, words.order(1), broken, words.order(3)))
    (page,) = await everything(channel.orders(cursor=None))
    assert [one.order for one in page.orders] == ["1", "3"]
    assert [one.order for one in page.unreadable] == ["2"]


async def test_every_list_of_an_order_is_read_to_its_end(channel, shop, words) -> None:
    row = words.order(lines=[words.line(1, quantity=2, unfulfilledQuantity=0)])
    row["lineItems"]["pageInfo"] = {"hasNextPage": True, "endCursor": "l1"}
    closed = words.assigned((1, 0), status="CLOSED")
    closed["lineItems"]["pageInfo"] = {"hasNextPage": True, "endCursor": "f1"}
    row["fulfillmentOrders"] = words.page(closed)
    more = words.line(2, quantity=1)
    more_assigned = {"totalQuantity": 1, "remainingQuantity": 1, "lineItem": {"id": words.gid("LineItem", 2)}}
    shop.on("Orders", orders(words, row))
    shop.on(
        "MoreOrderLineItems",
        words.answer({"node": {"lineItems": words.page(after="l2")}}),
        words.answer({"node": {"lineItems": words.page(more)}}),
    )
    shop.on("MoreFulfillmentOrderLineItems", words.answer({"node": {"lineItems": words.page(more_assigned)}}))
    (page,) = await everything(channel.orders(cursor=None))
    assert [one.line for one in page.orders[0].lines] == ["1", "2"]
    assert [one["after"] for one in shop.variables("MoreOrderLineItems")] == ["l1", "l2"]
    assert page.orders[0].lines[1].location == "7"


async def test_orders_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out(channel, shop, words) -> None:
    rows = {words.gid("Order", n): words.order(n, lines=[] if n == 4 else None) for n in (1, 2, 4)}

    def find(variables: dict[str, Any]) -> httpx.Response:
        return words.answer({"nodes": [rows.get(one) for one in variables["ids"]]})

    shop.on("OrdersById", find)
    found = await channel.orders_by_id(["2", "no-such-order", "3", "1", "4"])
    assert [one.order for one in found] == ["2", "1", "4"]
    assert [type(one) for one in found] == [OrderSnapshot, OrderSnapshot, UnreadableOrder]
    assert await channel.orders_by_id([]) == []
    assert await channel.orders_by_id(["no-such-order"]) == []
    assert len(shop.asked) == 1


async def test_the_ids_of_a_day_are_of_that_day_whatever_the_search_finds(channel, shop, words) -> None:
    rows = [
        {"id": words.gid("Order", n), "createdAt": at}
        for n, at in ((1, "2026-11-20T23:59:59Z"), (2, "2026-11-21T00:00:00Z"), (3, "2026-11-21T22:00:00-05:00"))
    ]
    shop.on("OrderIds", orders(words, *rows, after="c1"), orders(words))
    assert await everything(channel.order_ids(date(2026, 11, 21))) == ["2"]
    query = shop.variables("OrderIds")[0]["query"]
    assert query == "created_at:>='2026-11-21T00:00:00Z' AND created_at:<'2026-11-22T00:00:00Z'"


# Points


async def test_the_limiter_believes_what_shopify_says_is_left(channel, shop, words, resources) -> None:
    shop.on("Orders", orders(words, left=123))
    await everything(channel.orders(cursor=None))
    assert resources.limiter.available() == pytest.approx(123)


async def test_a_throttled_read_waits_for_its_price_and_is_asked_again(channel, shop, words, clock) -> None:
    throttled = words.answer(errors=[words.refused("THROTTLED", "Throttled")], left=52, asked=752)
    shop.on("Orders", throttled, orders(words, words.order()))
    began = clock.monotonic()
    (page,) = await everything(channel.orders(cursor=None))
    assert [one.order for one in page.orders] == ["1"]
    # 700 points are missing, at 100 a second, and a normal call leaves a fifth of the bucket to urgent ones.
    assert clock.monotonic() - began == pytest.approx((752 + 400 - 52) / 100, abs=0.1)


async def test_a_read_that_stays_throttled_is_tried_later(channel, shop, words) -> None:
    shop.on("Orders", words.answer(errors=[words.refused("THROTTLED")], left=-1000, asked=400))
    with pytest.raises(TryLater) as caught:
        await everything(channel.orders(cursor=None))
    assert caught.value.retry_after == pytest.approx(14)
    assert len(shop.variables("Orders")) == 3


async def test_a_throttled_answer_that_says_how_long_to_wait_is_not_asked_again_before(channel, shop, words) -> None:
    reply = words.answer(errors=[words.refused("THROTTLED")], left=0, asked=100)
    reply.headers["Retry-After"] = "37"
    shop.on("Orders", reply)
    with pytest.raises(TryLater) as caught:
        await everything(channel.orders(cursor=None))
    assert caught.value.retry_after == 37
    assert len(shop.variables("Orders")) == 1


async def test_a_wait_that_is_too_long_is_not_waited_for(channel, shop, words) -> None:
    shop.on("Orders", words.answer(errors=[words.refused("THROTTLED")], left=0, asked=1000, rate=1))
    with pytest.raises(NotSent):
        await everything(channel.orders(cursor=None))


async def test_a_page_that_is_too_expensive_is_halved_and_stays_so(channel, shop, words) -> None:
    too_much = words.answer(errors=[words.refused("MAX_COST_EXCEEDED")])
    shop.on("Orders", too_much, too_much, orders(words, words.order()))
    await everything(channel.orders(cursor=None))
    await everything(channel.orders(cursor=None))
    assert [one["first"] for one in shop.variables("Orders")] == [10, 5, 2, 2]
    shop.on("Orders", too_much)
    with pytest.raises(ChannelMisbehaved, match="one row is too expensive"):
        await everything(channel.orders(cursor=None))


async def test_ids_that_are_too_expensive_together_are_asked_for_in_smaller_groups(channel, shop, words) -> None:
    def find(variables: dict[str, Any]) -> httpx.Response:
        if len(variables["ids"]) > 3:
            return words.answer(errors=[words.refused("MAX_COST_EXCEEDED")])
        return words.answer({"nodes": [words.variant(int(one.rpartition("/")[2])) for one in variables["ids"]]})

    shop.on("ListingsById", find)
    found = await channel.listings_by_id([str(n) for n in range(1, 9)])
    assert [one.listing for one in found] == [str(n) for n in range(1, 9)]


# Failures


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ReadTimeout("nothing"), TryLater),
        (httpx.Response(500, html="<html>oops</html>"), TryLater),
        (httpx.Response(503), TryLater),
        (httpx.Response(429, json={"errors": "Exceeded 2 calls per second for api client."}), TryLater),
        (httpx.Response(402, json={"errors": "Unavailable Shop"}), NeedsSeller),
        (httpx.Response(403, json={"errors": "This action requires merchant approval"}), NeedsSeller),
        (httpx.Response(404, json={"errors": "Not Found"}), NeedsSeller),
        (httpx.Response(423, json={"errors": "Locked"}), NeedsSeller),
        (httpx.Response(200, html="<html>maintenance</html>"), ChannelMisbehaved),
        (httpx.Response(200, content=b""), ChannelMisbehaved),
        (httpx.Response(200, content=b'{"data": {"orders": {"nodes": ['), ChannelMisbehaved),
        (httpx.Response(200, json={"data": None}), ChannelMisbehaved),
        (httpx.Response(200, json={"data": {}}), ChannelMisbehaved),
        (httpx.Response(200, json=[]), ChannelMisbehaved),
        (httpx.Response(200, json={"errors": "Not Found"}), ChannelMisbehaved),
        (httpx.Response(406), ChannelMisbehaved),
    ],
)
async def test_each_failure_of_a_read_says_what_to_do_next(channel, shop, reply: Any, error: type) -> None:
    shop.on("Orders", reply)
    with pytest.raises(error) as caught:
        await everything(channel.orders(cursor=None))
    assert not isinstance(caught.value, OutcomeUnknown)


SOMEBODY_ELSES = {
    "a proxy's page": {"html": "<html>The requested URL was not found on this server.</html>"},
    "nothing": {"content": b""},
    "text": {"text": "no such host"},
    "JSON of somebody else": {"json": {"message": "no Route matched with those values"}},
    "a list": {"json": ["errors"]},
    "errors without a word": {"json": {"errors": ""}},
    "JSON that is cut": {"content": b'{"errors": "Not Fo'},
}


@pytest.mark.parametrize("status", [402, 404, 423])
@pytest.mark.parametrize("said", list(SOMEBODY_ELSES))
async def test_an_answer_that_is_not_shopifys_own_does_not_stop_the_channel(
    channel, shop, status: int, said: str
) -> None:
    shop.on("Orders", httpx.Response(status, **SOMEBODY_ELSES[said]))
    with pytest.raises(TryLater, match=rf"HTTP {status} with an answer that is not Shopify's") as caught:
        await everything(channel.orders(cursor=None))
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("errors", ["Not Found", ["Not Found"], {"shop": "Not Found"}, [{"message": "Not Found"}]])
@pytest.mark.parametrize("status", [402, 404, 423])
async def test_shopify_itself_stops_the_channel_however_it_words_its_errors(
    channel, shop, status: int, errors: Any
) -> None:
    shop.on("Orders", httpx.Response(status, json={"errors": errors}))
    with pytest.raises(NeedsSeller, match="shop"):
        await everything(channel.orders(cursor=None))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ACCESS_DENIED", NeedsSeller),
        ("SHOP_INACTIVE", NeedsSeller),
        ("INTERNAL_SERVER_ERROR", TryLater),
        ("TIMEOUT", TryLater),
        ("undefinedField", ChannelMisbehaved),
        ("", ChannelMisbehaved),
    ],
)
@pytest.mark.parametrize("partly", [True, False])
async def test_each_graphql_error_says_what_to_do_next(
    channel, shop, words, code: str, error: type, *, partly: bool
) -> None:
    data = {"orders": words.page(words.order())} if partly else None
    shop.on("Orders", words.answer(data, errors=[words.refused(code, requiredAccess="`read_returns` access scope.")]))
    with pytest.raises(error) as caught:
        await everything(channel.orders(cursor=None))
    assert code != "ACCESS_DENIED" or "read_returns" in str(caught.value)


# Numbers and listings


def number(words, item: int, available: int | None, *, tracked: bool = True, **more: int) -> dict[str, Any]:
    level = None if available is None else {"id": "x", "quantities": words.numbers(available, **more)}
    return {"id": words.gid("InventoryItem", item), "tracked": tracked, "inventoryLevel": level}


async def test_reads_are_one_question_a_location_and_come_in_the_order_asked(channel, shop, words) -> None:
    there = {("1", "7"): 5, ("2", "7"): -3, ("1", "8"): 0}

    def find(variables: dict[str, Any]) -> httpx.Response:
        location = variables["location"].rpartition("/")[2]
        items = [one.rpartition("/")[2] for one in variables["ids"]]
        rows = [number(words, int(one), there.get((one, location))) if one in "12" else None for one in items]
        return words.answer({"nodes": rows})

    shop.on("Numbers", find)
    keys = [("2", "7"), ("no-such-key", ""), ("1", "8"), ("3", "7"), ("1", "7"), ("2", "8"), ("no-such-key", "7")]
    reads = await channel.read([QuantityKey(*one) for one in keys])
    assert [(one.key.key, one.key.location) for one in reads] == keys
    assert [one.value for one in reads] == [-3, None, 0, None, 5, None, None]
    assert len(shop.variables("Numbers")) == 2
    assert all(one.asked.tzinfo is UTC and one.asked <= one.answered for one in reads)


async def test_an_untracked_item_has_no_number(channel, shop, words) -> None:
    shop.on("Numbers", words.answer({"nodes": [number(words, 1, 7, tracked=False)]}))
    (read,) = await channel.read([QuantityKey("1", "7")])
    assert read.value is None


async def test_a_read_says_what_was_taken_off_and_why_the_number_is_lower(channel, shop, words) -> None:
    row = number(words, 1, 5, reserved=2, damaged=1, quality_control=3, safety_stock=4)
    shop.on("Numbers", words.answer({"nodes": [row, number(words, 2, 5), None]}))
    reads = await channel.read([QuantityKey(item, "7") for item in ("1", "2", "3")])
    assert [(one.value, one.held, one.committed) for one in reads] == [(5, 10, None), (5, 0, None), (None, None, None)]


async def test_more_reads_than_declared_are_an_error_of_the_caller(channel, shop, settings) -> None:
    most = capabilities(settings).reads_per_call
    with pytest.raises(ValueError, match=str(most)):
        await channel.read([QuantityKey(str(n), "7") for n in range(most + 1)])
    assert shop.asked == []


async def test_few_listings_are_pulled_page_by_page(channel, shop, words) -> None:
    shop.on("ListingsCount", words.answer({"productVariantsCount": {"count": 3}}))
    broken = words.variant(102) | {"inventoryPolicy": None}
    shop.on(
        "Listings",
        words.answer({"productVariants": words.page(words.variant(101), broken, after="p1")}),
        words.answer({"productVariants": words.page(words.variant(103))}),
    )
    assert [one.listing for one in await everything(channel.listings())] == ["101", "103"]
    assert [one["after"] for one in shop.variables("Listings")] == [None, "p1"]


async def test_a_variant_kept_at_many_locations_has_all_of_them(channel, shop, words) -> None:
    row = words.variant()
    row["inventoryItem"]["inventoryLevels"]["pageInfo"] = {"hasNextPage": True, "endCursor": "v1"}
    shop.on("ListingsById", words.answer({"nodes": [row]}))
    more = {"inventoryLevels": words.page(words.level(8, 4))}
    shop.on("MoreInventoryItemInventoryLevels", words.answer({"node": more}))
    (found,) = await channel.listings_by_id(["101"])
    assert [key.location for key in found.keys] == ["7", "8"]
