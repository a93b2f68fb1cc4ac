"""The search for orders: pages, tokens, cursors, what they cover; orders by id and by day."""

from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NotSent, TryLater
from channelsync.sdk.values import OrderSnapshot, UnreadableOrder
from channelsync_amazon import CONNECTOR

NOW = datetime(2017, 6, 1, 9, 0, tzinfo=UTC)
DAY = date(2017, 6, 1)


@pytest.fixture
def pages(channel, everything):
    async def read(cursor: str | None = None):
        return await everything(channel.orders(cursor=cursor))

    return read


async def test_the_first_search_goes_back_as_far_as_the_settings_say(pages, amazon, words) -> None:
    amazon.on("searchOrders", words.orders(words.order(1), words.order(2)))
    (page,) = await pages()
    (asked,) = amazon.of("searchOrders")
    assert asked.params == {
        "lastUpdatedAfter": "2017-05-02T09:00:00.000Z",
        "fulfilledBy": "MERCHANT",
        "includedData": "FULFILLMENT,CANCELLATION,PACKAGES",
        "maxResultsPerPage": "100",
    }
    assert [one.order for one in page.orders] == ["250-0000000-0000001", "250-0000000-0000002"]
    assert page.covered_to == NOW - timedelta(minutes=2), "Amazon tells nothing of the last two minutes"


async def test_without_orders_there_is_still_a_page_that_says_where_to_go_on(pages, amazon, words) -> None:
    amazon.on("searchOrders", words.orders())
    (page,) = await pages()
    assert (page.orders, page.unreadable) == ((), ())
    await pages(page.cursor)
    assert amazon.of("searchOrders")[1].params["lastUpdatedAfter"] == "2017-06-01T08:43:00.000Z", "15 minutes back"


@pytest.mark.parametrize(
    ("until", "covered"),
    [("2017-06-01T08:50:00Z", timedelta(minutes=10)), ("2017-06-01T09:30:00Z", timedelta(minutes=2))],
    ids=["Amazon is behind", "Amazon's clock is ahead"],
)
async def test_no_more_is_covered_than_amazon_tells(pages, amazon, words, until: str, covered: timedelta) -> None:
    amazon.on("searchOrders", words.orders(until=until))
    (page,) = await pages()
    assert page.covered_to == NOW - covered


@pytest.mark.parametrize(
    ("answer", "since"),
    [
        ({"orders": [], "lastUpdatedBefore": "2017-06-01T08:50:00Z"}, "2017-06-01T08:35:00.000Z"),
        (
            httpx.Response(200, json={"orders": []}, headers={"Date": "Thu, 01 Jun 2017 08:59:00 GMT"}),
            "2017-06-01T08:42:00.000Z",
        ),
        ({"orders": []}, "2017-06-01T08:43:00.000Z"),
        ({"orders": [], "lastUpdatedBefore": "2017-06-01T10:00:00Z"}, "2017-06-01T08:45:00.000Z"),
    ],
    ids=["as Amazon says", "by its Date", "by our clock", "never later than our clock"],
)
async def test_the_next_search_begins_before_the_end_of_the_last(pages, amazon, words, answer, since: str) -> None:
    amazon.on("searchOrders", answer, words.orders())
    (page,) = await pages()
    await pages(page.cursor)
    assert amazon.of("searchOrders")[1].params["lastUpdatedAfter"] == since


async def test_pages_follow_the_token_and_ask_for_the_same(pages, amazon, words) -> None:
    amazon.on(
        "searchOrders",
        words.orders(words.order(1), token="t-1"),
        words.orders(words.order(2), token="t-2"),
        words.orders(words.order(3)),
    )
    found = await pages()
    assert [one.order[-1] for page in found for one in page.orders] == ["1", "2", "3"]
    assert [page.covered_to for page in found[:2]] == [None, None]
    asked = [dict(one.params) for one in amazon.of("searchOrders")]
    assert [one.pop("paginationToken", None) for one in asked] == [None, "t-1", "t-2"]
    assert asked[0] == asked[1] == asked[2]


async def test_a_round_goes_on_after_a_restart_and_another_brings_what_came_since(
    settings, resources, amazon, words, everything
) -> None:
    later = words.orders(words.order(3), until="2017-06-01T09:58:00Z")
    amazon.on("searchOrders", words.orders(words.order(1), token="t-1"), words.orders(words.order(2)), later)
    async with CONNECTOR.open(settings, resources) as channel:
        async for page in channel.orders(cursor=None):
            first = page
            break
    await resources.clock.sleep(3600)
    async with CONNECTOR.open(settings, resources) as channel:
        rest, since = await everything(channel.orders(cursor=first.cursor))
    assert [one.params.get("paginationToken") for one in amazon.of("searchOrders")] == [None, "t-1", None]
    assert rest.covered_to == NOW - timedelta(minutes=2), "what a round covers is told by its first page"
    assert since.covered_to == NOW + timedelta(minutes=58)


async def test_a_round_that_began_just_now_is_followed_by_no_other(channel, amazon, words, everything) -> None:
    amazon.on("searchOrders", words.orders(words.order(1), token="t-1"), words.orders(words.order(2)))
    async for page in channel.orders(cursor=None):
        first = page
        break
    assert len(await everything(channel.orders(cursor=first.cursor))) == 1, (
        "Amazon tells of the last two minutes nothing"
    )


async def test_an_old_token_is_not_used_and_the_round_begins_anew(pages, channel, amazon, words, clock) -> None:
    later = words.orders(words.order(1), until="2017-06-02T07:58:00Z")
    amazon.on("searchOrders", words.orders(words.order(1), token="t-1"), later)
    async for page in channel.orders(cursor=None):
        cursor = page.cursor
        break
    await clock.sleep(23 * 3600)
    (page,) = await pages(cursor)
    again = amazon.of("searchOrders")[1]
    assert "paginationToken" not in again.params
    assert again.params["lastUpdatedAfter"] == "2017-05-02T09:00:00.000Z"
    assert page.covered_to == clock.now() - timedelta(minutes=2)


@pytest.mark.fault(40, "a cursor that has expired begins the round anew")
async def test_a_token_that_is_refused_begins_the_round_anew(pages, amazon, words) -> None:
    amazon.on(
        "searchOrders",
        words.orders(words.order(1), token="t-1"),
        words.error(400, "InvalidInput", "paginationToken has expired"),
        words.orders(words.order(1), words.order(2)),
    )
    found = await pages()
    assert [[one.order[-1] for one in page.orders] for page in found] == [["1"], ["1", "2"]]
    assert ["paginationToken" in one.params for one in amazon.of("searchOrders")] == [False, True, False]


async def test_a_token_of_another_search_is_not_used(settings, resources, amazon, words, everything) -> None:
    amazon.on("searchOrders", words.orders(words.order(1), token="t-1"), words.orders())
    async with CONNECTOR.open(settings, resources) as channel:
        async for page in channel.orders(cursor=None):
            cursor = page.cursor
            break
    both = settings.model_copy(update={"fba_orders": True})
    async with CONNECTOR.open(both, resources) as channel:
        await everything(channel.orders(cursor=cursor))
    asked = amazon.of("searchOrders")[1].params
    assert "paginationToken" not in asked
    assert "fulfilledBy" not in asked


async def test_a_refused_search_without_a_token_is_an_error(pages, amazon, words) -> None:
    amazon.on("searchOrders", words.error(400))
    with pytest.raises(ChannelMisbehaved):
        await pages()


async def test_a_page_that_leads_back_to_itself_is_an_error(pages, amazon, words) -> None:
    amazon.on("searchOrders", words.orders(token="t-1"))
    with pytest.raises(ChannelMisbehaved, match="leads back"):
        await pages()


async def test_a_failure_between_pages_leaves_a_cursor_that_holds(channel, amazon, words, everything) -> None:
    amazon.on("searchOrders", words.orders(words.order(1), token="t-1"), httpx.Response(503), httpx.Response(503))
    seen = []

    async def poll() -> None:
        async for page in channel.orders(cursor=None):
            seen.append(page)

    with pytest.raises(TryLater):
        await poll()
    assert len(amazon.of("searchOrders")) == 3, "a search is dear: it is tried twice, no more"
    amazon.on("searchOrders", words.orders(words.order(2)))
    (rest,) = await everything(channel.orders(cursor=seen[0].cursor))
    assert rest.orders[0].order.endswith("2")


async def test_searches_keep_to_their_budget_and_the_rest_is_told_to_wait(pages, amazon, words, clock) -> None:
    amazon.on("searchOrders", words.orders())
    for _ in range(16):
        await pages()
    with pytest.raises(NotSent) as caught:
        await pages()
    assert caught.value.retry_after == pytest.approx(1 / 0.0056, rel=0.01)
    await clock.sleep(179)
    await pages()
    assert len(amazon.of("searchOrders")) == 17


async def test_an_order_that_cannot_be_understood_spoils_no_other(pages, amazon, words) -> None:
    odd = words.order(2, "UNSHIPPED", words.line(1, 1)) | {"orderItems": []}
    amazon.on("searchOrders", words.orders(words.order(1), odd, words.order(3)))
    (page,) = await pages()
    assert [one.order[-1] for one in page.orders] == ["1", "3"]
    assert [one.order[-1] for one in page.unreadable] == ["2"]


@pytest.mark.parametrize("cursor", ["", "{}", "later", '{"since": "x"}', '{"since": "2017-06-01T09:00:00Z", "x": 1}'])
async def test_what_is_no_cursor_is_refused(pages, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        await pages(cursor)


async def test_orders_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out(channel, amazon, words) -> None:
    def answer(asked):
        if asked.sku == "250-0000000-0000002":
            return words.error(404, "NotFound")
        if asked.sku == "no-such-order":
            return words.error(400)
        if asked.sku.endswith("4"):
            return {"order": words.order(4) | {"orderItems": []}}
        return {"order": words.order(int(asked.sku[-1]))}

    amazon.on("getOrder", answer)
    ids = [f"250-0000000-000000{number}" for number in (3, 2, 1, 4)]
    found = await channel.orders_by_id([*ids[:2], "no-such-order", *ids[2:]])
    assert [(one.order[-1], type(one)) for one in found] == [
        ("3", OrderSnapshot),
        ("1", OrderSnapshot),
        ("4", UnreadableOrder),
    ]
    assert {one.params["includedData"] for one in amazon.of("getOrder")} == {"FULFILLMENT,CANCELLATION,PACKAGES"}
    assert await channel.orders_by_id([]) == []


async def test_an_order_says_the_same_by_search_and_by_id(pages, channel, amazon, words) -> None:
    row = words.order(1, "PARTIALLY_SHIPPED", words.line(1, 3, fulfillment=words.done(1, 1)))
    amazon.on("searchOrders", words.orders(row))
    amazon.on("getOrder", {"order": row})
    (page,) = await pages()
    assert list(page.orders) == list(await channel.orders_by_id(["250-0000000-0000001"]))


async def test_the_ids_of_a_day_that_is_over(channel, amazon, words, everything) -> None:
    late = words.order(3, created="2017-06-01T00:00:00Z")
    amazon.on(
        "searchOrders",
        words.orders(words.order(1, created="2017-05-31T23:59:59Z"), token="t"),
        words.orders(words.order(2, created="2017-05-31T00:00:00Z"), late),
    )
    found = await everything(channel.order_ids(DAY - timedelta(days=1)))
    assert [one[-1] for one in found] == ["1", "2"]
    first, second = amazon.of("searchOrders")
    assert first.params["createdAfter"] == "2017-05-31T00:00:00.000Z"
    assert first.params["createdBefore"] == "2017-06-01T00:00:00.000Z"
    assert "lastUpdatedAfter" not in first.params
    assert second.params == first.params | {"paginationToken": "t"}


async def test_the_ids_of_today_have_no_end_yet(channel, amazon, words, everything) -> None:
    amazon.on("searchOrders", words.orders(words.order(1)))
    assert len(await everything(channel.order_ids(DAY))) == 1
    (asked,) = amazon.of("searchOrders")
    assert "createdBefore" not in asked.params, "it must be two minutes ago"


async def test_a_day_to_come_has_no_orders_and_costs_nothing(channel, amazon, everything) -> None:
    assert await everything(channel.order_ids(DAY + timedelta(days=1))) == []
    assert amazon.operations == []


async def test_a_refused_token_of_a_day_is_an_error(channel, amazon, words, everything) -> None:
    amazon.on("searchOrders", words.orders(token="t"), words.error(400))
    with pytest.raises(AnswerUnreadable):
        await everything(channel.order_ids(DAY))
