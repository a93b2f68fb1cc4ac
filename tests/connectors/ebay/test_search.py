"""The search for orders: windows, pages that shift, cursors; what a list leaves out is asked for."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, TryLater
from channelsync.sdk.values import Moved, OrderSnapshot, OrderStatus, UnreadableOrder

START = datetime(2017, 6, 1, 9, tzinfo=UTC)
ORDER = "/sell/fulfillment/v1/order"


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Book:
    """Orders as eBay lists them: those in a span of time, counted off by rows. by: what they are sorted by."""

    def __init__(self, words, by: str = "creationDate") -> None:
        self.words = words
        self.rows: dict[str, dict] = {}
        self.by = by
        self.filters: list[str] = []
        self.after_page = None

    def add(self, number: str, at: datetime, **more) -> None:
        self.rows[number] = self.words.order(number, creationDate=stamp(at), lastModifiedDate=stamp(at), **more)

    def touch(self, number: str, at: datetime, **more) -> None:
        self.rows[number] |= {"lastModifiedDate": stamp(at), **more}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = dict(request.url.params)
        if "orderIds" in asked:
            wanted = asked["orderIds"].split(",")
            return httpx.Response(200, json=self.words.orders(*(self.rows[one] for one in wanted if one in self.rows)))
        found = asked["filter"]
        self.filters.append(found)
        name, begin, end = re.fullmatch(r"(creationdate|lastmodifieddate):\[(.+?)\.\.(.*)\]", found).groups()
        field = "creationDate" if name == "creationdate" else "lastModifiedDate"
        rows = [row for row in self.rows.values() if begin <= row[field] and (not end or row[field] <= end)]
        rows.sort(key=lambda row: row[self.by])
        offset, limit = int(asked["offset"]), int(asked["limit"])
        page = self.words.orders(*rows[offset : offset + limit], total=len(rows), offset=offset)
        if self.after_page is not None:
            self.after_page(self)
        return httpx.Response(200, json=page)


@pytest.fixture
def book(words, ebay) -> Book:
    made = Book(words)
    ebay.on("GET", f"{ORDER}$", made)
    return made


async def pages_of(seller, cursor=None):
    return [page async for page in seller.orders(cursor=cursor)]


def names(pages):
    return [one.order for page in pages for one in page.orders]


async def test_without_orders_there_is_a_page_with_a_cursor(seller, book) -> None:
    (page,) = await pages_of(seller)
    assert (page.orders, page.covered_to) == ((), START)
    assert json.loads(page.cursor)["since"] == "2017-06-01T08:54:58Z"


async def test_the_first_search_goes_back_two_years_less_a_day_in_windows(seller, book) -> None:
    await pages_of(seller)
    begins = [re.search(r"\[(.+?)\.\.", one)[1] for one in book.filters]
    assert begins[0] == "2015-06-03T09:00:00.000Z"
    assert len(book.filters) == 25
    ends = [one.partition("..")[2] for one in book.filters]
    assert [end.rstrip("]") for end in ends[:-1]] == begins[1:], "each window begins where the one before ended"
    assert ends[-1] == "]", "the last is open: an end in eBay's future is an error"


async def test_all_orders_come_once_page_by_page(seller, book) -> None:
    for number in range(10):
        book.add(f"1-{number}", START - timedelta(hours=10 - number))
    pages = await pages_of(seller)
    assert names(pages) == [f"1-{number}" for number in range(10)]
    assert len(pages) > 3
    assert [page.covered_to for page in pages[:-1]] == [None] * (len(pages) - 1)
    assert pages[-1].covered_to == START


async def test_the_next_search_goes_back_by_the_declared_overlap(seller, book, clock) -> None:
    (page,) = await pages_of(seller)
    await clock.sleep(3600)
    book.filters.clear()
    await pages_of(seller, page.cursor)
    assert book.filters == ["lastmodifieddate:[2017-06-01T08:54:58.000Z..]"]


async def test_of_two_clocks_the_one_that_is_behind_counts(seller, book, ebay) -> None:
    def late(request: httpx.Request) -> httpx.Response:
        answer = book(request)
        answer.headers["Date"] = "Thu, 01 Jun 2017 08:58:00 GMT"
        return answer

    ebay.on("GET", f"{ORDER}$", late)
    (page,) = await pages_of(seller)
    assert json.loads(page.cursor)["since"] == "2017-06-01T08:52:58Z"


async def test_a_cursor_before_what_ebay_gives_is_moved_up(seller, book) -> None:
    await pages_of(seller, '{"since":"2001-01-01T00:00:00Z"}')
    assert book.filters[0].startswith("lastmodifieddate:[2015-06-03T09:00:00.000Z..")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "[]", "{}", '{"since":null}', '{"since":"2017-06-01T08:52:58"}', '{"since":1,"by":2}', '{"offset":3}'],
)
async def test_a_strange_cursor_is_an_error(seller, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        await pages_of(seller, cursor)


@pytest.mark.parametrize("by", ["creationDate", "lastModifiedDate"])
async def test_rows_that_leave_while_paging_cost_no_order(seller, book, clock, by: str) -> None:
    book.by = by
    for number in range(12):
        book.add(f"1-{number:02}", START - timedelta(days=2, hours=12 - number))

    def change(book: Book) -> None:
        if book.filters.count(book.filters[-1]) < 2:
            return
        book.after_page = None
        for number in range(4):
            book.touch(f"1-{number:02}", clock.now())

    book.after_page = change
    pages = await pages_of(seller)
    assert set(names(pages)) == {f"1-{number:02}" for number in range(12)}
    newest = {one.order: one.version for page in pages for one in page.orders}
    if by == "lastModifiedDate":  # the window was torn and read again: what changed meanwhile comes as it is now
        assert [newest[f"1-{number:02}"] for number in range(4)] == [clock.now()] * 4


async def test_a_window_that_was_torn_is_read_again_and_gives_no_row_twice(seller, book, clock) -> None:
    for number in range(9):  # long ago, so in a window that has an end: what changes leaves it
        book.add(f"1-{number}", START - timedelta(days=200, hours=9 - number))

    def change(book: Book) -> None:
        if "1-0" in book.rows and len([one for one in book.filters if one == book.filters[-1]]) == 2:
            book.after_page = None
            book.touch("1-0", clock.now())

    book.after_page = change
    found = names(await pages_of(seller))
    assert sorted(set(found)) == [f"1-{number}" for number in range(9)]
    assert found.count("1-3") == 1
    assert found.count("1-0") == 2, "once before it changed, once after"


async def test_orders_that_never_stand_still_are_tried_later(seller, book, clock) -> None:
    for number in range(60):
        book.add(f"1-{number:02}", START - timedelta(days=200, hours=60 - number))
    left = iter(range(60))
    book.after_page = lambda book: book.touch(f"1-{next(left):02}", clock.now())
    with pytest.raises(TryLater, match="change faster"):
        await pages_of(seller, '{"since":"2016-11-01T00:00:00Z"}')


@pytest.mark.parametrize("apart", [timedelta(minutes=40), timedelta(days=10)], ids=["one window", "some windows"])
async def test_a_resumed_cursor_loses_nothing(seller, book, apart) -> None:
    for number in range(10):
        book.add(f"1-{number}", START - apart * (10 - number))
    pages = await pages_of(seller)
    for place, page in enumerate(pages, 1):
        rest = await pages_of(seller, page.cursor)
        assert set(names([*pages[:place], *rest])) == {f"1-{number}" for number in range(10)}


async def test_an_error_about_the_future_is_no_order(seller, ebay, words) -> None:
    ebay.on("GET", f"{ORDER}$", words.errors(30850))
    (page,) = await pages_of(seller)
    assert page.orders == ()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(400, json={"errors": [{"errorId": 30800}]}), ChannelMisbehaved),
        (httpx.Response(400, text="<html>"), AnswerUnreadable),
        (httpx.Response(200, json={"orders": []}), AnswerUnreadable),
        (httpx.Response(200, json={"total": "1"}), AnswerUnreadable),
        (httpx.Response(200, text=""), AnswerUnreadable),
        (httpx.Response(503), TryLater),
    ],
)
async def test_an_answer_that_is_no_page_is_an_error(seller, ebay, answer, error) -> None:
    ebay.on("GET", f"{ORDER}$", answer)
    with pytest.raises(error):
        await pages_of(seller)


async def test_an_order_that_cannot_be_read_holds_up_no_other(seller, book) -> None:
    for number in range(3):
        book.add(f"1-{number}", START - timedelta(hours=3 - number))
    book.rows["1-1"]["lineItems"] = []
    (page,) = await pages_of(seller)
    assert names([page]) == ["1-0", "1-2"]
    assert [one.order for one in page.unreadable] == ["1-1"]


class TestWhatAListLeavesOut:
    async def test_shipments_of_an_order_that_left_in_part(self, seller, book, ebay) -> None:
        lines = [{"lineItemId": "7", "sku": "MUG", "quantity": 3, "lineItemFulfillmentStatus": "IN_PROGRESS"}]
        book.add("1-1", START, orderFulfillmentStatus="IN_PROGRESS", lineItems=lines)
        shipments = [{"shippedDate": "2017-06-01T08:00:00.000Z", "lineItems": [{"lineItemId": "7", "quantity": 2}]}]
        ebay.on("GET", f"{ORDER}/1-1/shipping_fulfillment$", {"total": 1, "fulfillments": shipments})
        (page,) = await pages_of(seller)
        (line,) = page.orders[0].lines
        assert line.shipped == (Moved(units=2, at=datetime(2017, 6, 1, 8, tzinfo=UTC)),)
        assert await seller.orders_by_id(["1-1"]) == [page.orders[0]]

    async def test_when_an_order_was_cancelled(self, seller, book, ebay, words) -> None:
        book.add("1-1", START, cancelStatus={"cancelState": "CANCELED", "cancelRequests": []})
        request = {"cancelCompletedDate": "2017-06-01T08:00:00.000Z", "cancelRequestState": "COMPLETED"}
        status = {"cancelState": "CANCELED", "cancelRequests": [request]}
        ebay.on("GET", f"{ORDER}/1-1$", book.rows["1-1"] | {"cancelStatus": status})
        (page,) = await pages_of(seller)
        assert page.orders[0].status is OrderStatus.CANCELLED
        assert page.orders[0].cancelled_at == datetime(2017, 6, 1, 8, tzinfo=UTC)
        assert await seller.orders_by_id(["1-1"]) == [page.orders[0]]

    async def test_nothing_of_an_order_that_tells_all(self, seller, book, ebay) -> None:
        book.add("1-1", START)
        book.add("1-2", START, orderFulfillmentStatus="FULFILLED")
        await pages_of(seller, '{"since":"2017-06-01T08:00:00Z"}')
        assert len(ebay.of(ORDER)) == 1


class TestOrdersById:
    async def test_they_come_in_the_order_asked_and_unknown_ones_are_left_out(self, seller, book, ebay) -> None:
        for number in range(3):
            book.add(f"1-{number}", START)
        found = await seller.orders_by_id(["1-2", "no-such-order", "1-0", "1-1"])
        assert [one.order for one in found] == ["1-2", "1-0", "1-1"]
        assert await seller.orders_by_id([]) == []
        assert len(ebay.of(ORDER)) == 1

    async def test_fifty_go_in_one_call(self, seller, book, ebay) -> None:
        await seller.orders_by_id([f"1-{number}" for number in range(51)])
        assert [len(one.url.params["orderIds"].split(",")) for one in ebay.of(ORDER)] == [50, 1]

    async def test_where_one_spoils_the_call_each_is_asked_for_by_itself(self, seller, book, ebay, words) -> None:
        ebay.on("GET", f"{ORDER}$", words.errors(30800))
        ebay.on("GET", f"{ORDER}/1-1$", words.order("1-1"))
        ebay.on("GET", f"{ORDER}/nonsense$", words.errors(32100, status=404))
        ebay.on("GET", f"{ORDER}/1-2$", words.order("1-2", lineItems=[]))
        found = await seller.orders_by_id(["nonsense", "1-1", "1-2"])
        assert [(one.order, type(one)) for one in found] == [("1-1", OrderSnapshot), ("1-2", UnreadableOrder)]


class TestTheIdsOfADay:
    async def test_are_of_the_orders_placed_on_it(self, seller, book) -> None:
        day = datetime(2017, 5, 20, tzinfo=UTC)
        for number, at in enumerate((day - timedelta(milliseconds=1), day, day + timedelta(hours=23, minutes=59))):
            book.add(f"1-{number}", at)
        book.add("1-3", day + timedelta(days=1))
        assert [one async for one in seller.order_ids(date(2017, 5, 20))] == ["1-1", "1-2"]
        assert book.filters == ["creationdate:[2017-05-20T00:00:00.000Z..2017-05-20T23:59:59.999Z]"]

    async def test_of_today_are_asked_for_without_an_end(self, seller, book) -> None:
        book.add("1-1", START)
        assert [one async for one in seller.order_ids(START.date())] == ["1-1"]
        assert book.filters == ["creationdate:[2017-06-01T00:00:00.000Z..]"]

    async def test_of_a_day_to_come_are_not_asked_for(self, seller, ebay) -> None:
        assert [one async for one in seller.order_ids(date(2017, 6, 8))] == []
        assert ebay.asked == []

    async def test_of_an_order_that_cannot_be_read_is_among_them(self, seller, book) -> None:
        book.add("1-1", START)
        book.rows["1-1"]["lineItems"] = []
        assert [one async for one in seller.order_ids(START.date())] == ["1-1"]


async def test_every_word_of_the_filter_is_percent_encoded(seller, book, ebay) -> None:
    await pages_of(seller)
    (sent, *_) = ebay.of(ORDER)
    assert b"[" not in sent.url.query
    assert b"%5B" in sent.url.query
