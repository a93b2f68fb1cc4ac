"""The search for orders whose units were moved: what it asks, when, and where it goes on."""

from typing import Any

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved
from channelsync.sdk.values import UnreadableOrder
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ORDER_OVERLAP, SKEW


@pytest.fixture
async def channel(settings, resources):
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened


async def polled(channel, cursor: str | None = None) -> list[Any]:
    return [page async for page in channel.orders(cursor=cursor)]


def changed(words, *orders: int, at: str = "2026-11-21T10:40:00Z", after: str | None = None) -> httpx.Response:
    """A page of fulfilment orders, by the orders that they belong to."""
    rows = [{"orderId": words.gid("Order", number), "updatedAt": at} for number in orders]
    return words.answer({"fulfillmentOrders": words.page(*rows, after=after)})


@pytest.fixture
async def second(channel, shop, words, clock) -> Any:
    """The cursor after a first round, which brought order 1; every order can be read by id."""
    shop.on("Orders", words.answer({"orders": words.page(words.order(1))}))
    shop.on(
        "OrdersById",
        lambda asked: words.answer({"nodes": [words.order(int(one.rpartition("/")[2])) for one in asked["ids"]]}),
    )
    (page,) = await polled(channel)
    assert shop.variables("FulfillmentOrders") == [], "the first round reads all orders as they are"
    await clock.sleep(60)
    return page


async def test_it_asks_for_the_window_of_the_round_and_reads_what_the_pages_did_not_bring(
    channel, shop, words, second
) -> None:
    shop.on("FulfillmentOrders", changed(words, 1, 2, 3, 2))
    pages = await polled(channel, second.cursor)
    assert [[one.order for one in page.orders] for page in pages] == [["1"], ["2", "3"]]
    since = f"updated_at:>='{second.covered_to - ORDER_OVERLAP - SKEW:%Y-%m-%dT%H:%M:%SZ}'"
    assert shop.variables("Orders")[1]["query"] == since
    assert shop.variables("FulfillmentOrders") == [{"first": 250, "query": since, "after": None}]
    assert shop.variables("OrdersById") == [{"ids": [words.gid("Order", 2), words.gid("Order", 3)]}]


async def test_only_its_last_page_says_what_is_covered_and_ends_the_round(channel, shop, words, second, clock) -> None:
    began = clock.now()
    shop.on("FulfillmentOrders", changed(words, 2, after="f1"), changed(words, 2, 4))
    pages = await polled(channel, second.cursor)
    assert [[one.order for one in page.orders] for page in pages] == [["1"], ["2"], ["4"]]
    assert [page.covered_to for page in pages] == [None, None, began]
    assert [one["after"] for one in shop.variables("FulfillmentOrders")] == [None, "f1"]
    await polled(channel, pages[-1].cursor)
    since = f"updated_at:>='{began - ORDER_OVERLAP - SKEW:%Y-%m-%dT%H:%M:%SZ}'"
    assert shop.variables("Orders")[-1]["query"] == shop.variables("FulfillmentOrders")[-1]["query"] == since


async def test_a_round_that_is_resumed_keeps_its_window_until_a_page_of_the_search_came(
    channel, shop, words, second
) -> None:
    shop.on("FulfillmentOrders", changed(words, 2, at="2026-11-21T10:41:07Z", after="f1"), changed(words, 3))
    pages = await polled(channel, second.cursor)
    window = shop.variables("FulfillmentOrders")[0]["query"]
    for page, since in ((pages[0], window), (pages[1], "updated_at:>='2026-11-21T10:41:07Z'")):
        shop.asked.clear()
        await polled(channel, page.cursor)
        assert shop.variables("Orders")[0]["query"] == "updated_at:>='2026-11-21T10:30:00Z'"
        assert shop.variables("FulfillmentOrders")[0]["query"] == since


async def test_a_first_round_that_is_resumed_searches_for_nothing(channel, shop, words) -> None:
    shop.on(
        "Orders",
        words.answer({"orders": words.page(words.order(1), after="c1")}),
        words.answer({"orders": words.page()}),
    )
    first, _ = await polled(channel)
    await polled(channel, first.cursor)
    assert shop.variables("FulfillmentOrders") == []


async def test_a_cursor_that_was_kept_before_there_was_such_a_search_is_read(channel, shop, words) -> None:
    shop.on("Orders", words.answer({"orders": words.page()}))
    old = '{"since":"2026-11-21T10:00:00Z","asked":null,"as_of":null}'
    (_, last) = await polled(channel, old)
    assert shop.variables("FulfillmentOrders")[0]["query"] == "updated_at:>='2026-11-21T10:00:00Z'"
    assert last.covered_to is not None


async def test_an_order_that_is_not_shown_or_cannot_be_read_holds_up_no_other(channel, shop, words, second) -> None:
    shop.on("FulfillmentOrders", changed(words, 2, 3, 4))
    shop.on("OrdersById", words.answer({"nodes": [None, words.order(3, lines=[]), words.order(4)]}))
    last = (await polled(channel, second.cursor))[-1]
    assert [one.order for one in last.orders] == ["4"]
    assert [(type(one), one.order) for one in last.unreadable] == [(UnreadableOrder, "3")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda words: changed(words, 2, after="f1"), ChannelMisbehaved),
        (lambda words: words.answer({"fulfillmentOrders": None}), AnswerUnreadable),
        (lambda words: words.answer({"fulfillmentOrders": words.page({"orderId": 2})}), AnswerUnreadable),
    ],
    ids=["leads back to itself", "no list", "no fulfilment order"],
)
async def test_a_search_that_makes_no_sense_fails_the_poll(
    channel, shop, second, words, answer: Any, error: type
) -> None:
    shop.on("FulfillmentOrders", answer(words))
    with pytest.raises(error):
        await polled(channel, second.cursor)
