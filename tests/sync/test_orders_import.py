"""Files of whole orders: all or nothing, every bad row named, and the same file twice changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.domain.orders import OrderStatus
from channelsync.store import orders_view, runs
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync import orders_import
from channelsync.sync.orders_by_hand import cancel_by_hand, ship_by_hand
from channelsync.sync.orders_file import FileRefused, OrdersFile, read_orders, refused_rows
from channelsync.sync.orders_import import Imported, RowsRefused, digest_of, import_orders
from channelsync.sync.setup import BY_HAND

LOCATIONS = ("main", "outlet")


def read(text: str | bytes, *, json_lines: bool = False, encoding: str = "utf-8") -> OrdersFile:
    data = text if isinstance(text, bytes) else text.encode()
    return read_orders(data, json_lines=json_lines, locations=LOCATIONS, encoding=encoding)


def faults(file: OrdersFile) -> dict[int, str]:
    return {bad.row: bad.why for bad in file.bad}


def told(file: OrdersFile) -> dict[str, dict[str, int]]:
    """Units by SKU by order."""
    return {order.order: {line.sku: line.units for line in order.lines} for order in file.orders}


# What a file says


def test_rows_of_one_order_belong_together_wherever_they_stand() -> None:
    file = read("order,sku,units\n1,MUG,2\n2,MUG,1\n1,CUP,3\n")

    assert told(file) == {"1": {"MUG": 2, "CUP": 3}, "2": {"MUG": 1}}
    assert [order.rows for order in file.orders] == [(2, 4), (3,)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_parted_by_comma_semicolon_or_tab(delimiter: str) -> None:
    rows = [["Order", " SKU ", "units"], ["1", "MUG", "2"]]

    assert told(read("".join(f"{delimiter.join(row)}\r\n" for row in rows))) == {"1": {"MUG": 2}}


def test_a_mark_at_the_beginning_and_empty_rows_say_nothing() -> None:
    assert told(read(b"\xef\xbb\xbforder,sku,units\n\n1,MUG,2\n,,\n")) == {"1": {"MUG": 2}}


def test_a_header_without_rows_is_a_day_without_orders() -> None:
    assert told(read("order,sku,units\n")) == {}


def test_everything_that_a_row_may_say_is_read() -> None:
    file = read(
        "order,sku,units,line,location,status,shipped,cancelled,placed_at,changed_at\n"
        "1,MUG,4,a,outlet,OPEN,2,1,2026-03-01T10:00:00+01:00,2026-03-01T09:30:00Z\n"
        "1,MUG,1,b,,,,,,\n"
    )

    (order,) = file.orders
    first, second = order.lines
    assert (first.line, first.location, first.shipped, first.cancelled) == ("a", "outlet", 2, 1)
    assert (second.line, second.location, second.shipped, second.cancelled) == ("b", None, None, None)
    assert order.status is OrderStatus.OPEN
    assert [at.isoformat() for at in (order.placed_at, order.changed_at) if at] == [
        "2026-03-01T10:00:00+01:00",
        "2026-03-01T09:30:00+00:00",
    ]


def test_json_lines_hold_one_order_each() -> None:
    rows = [
        {
            "order": "1",
            "status": "open",
            "lines": [{"sku": "MUG", "units": 2}, {"sku": "CUP", "units": 1, "shipped": 1}],
        },
        {"order": "2", "placed_at": "2026-03-01T09:00:00Z", "lines": [{"sku": "MUG", "units": 1, "location": None}]},
    ]

    file = read("\n".join(map(json.dumps, rows)), json_lines=True)

    assert told(file) == {"1": {"MUG": 2, "CUP": 1}, "2": {"MUG": 1}}
    assert file.bad == []


# What is wrong with a file


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"order,units\n1,2\n", "its first row lacks sku"),
        (b"1,MUG,2\n", "its first row lacks order, sku, units"),
        (b"order,sku,units,shiped\n1,MUG,2,1\n", "its first row names 'shiped'"),
        (b"order,sku,units,units\n1,MUG,2,2\n", "its first row names units twice"),
        ("order,sku,units\n1,MUG,1\n2,GRÜN,1\n".encode("cp1252"), "row 3 is not utf-8"),
        ("order,sku,units\n".encode("utf-16"), "is not utf-8"),
        (b"order,sku,units\n1,M\0G,2\n", "bytes that are no text"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data: bytes, why: str) -> None:
    with pytest.raises(FileRefused, match=why):
        read(data)


def test_an_encoding_can_be_named_and_must_exist() -> None:
    data = "order,sku,units\n1,GRÜN,1\n".encode("cp1252")

    assert told(read(data, encoding="windows-1252")) == {"1": {"GRÜN": 1}}
    with pytest.raises(FileRefused, match="there is no encoding 'klingon'"):
        read(data, encoding="klingon")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,MUG,1.5", "units '1.5' is not a whole number"),
        ("1,MUG,-1", "units '-1' is not a whole number"),
        ("1,MUG,two", "units 'two' is not a whole number"),
        ("1,MUG,\u0662", "is not a whole number"),
        ("1,MUG,1e3", "units '1e3' is not a whole number"),
        ("1,MUG,1000000000000000000", "is more than any order can mean"),
        ("1,MUG,", "units of MUG are blank"),
        ("1,,1", "sku is blank"),
        (",MUG,1", "order is blank"),
        ("1,MUG ,1", "sku 'MUG ' has blanks at its ends"),
        (" 1,MUG,1", "order ' 1' has blanks at its ends"),
        ("1,M\u200bG,1", "characters that cannot be seen"),
        ("1,MUG", "has 2 cells where the header has 3; is the file whole?"),
        ("1,MUG,1,1", "has 4 cells where the header has 3"),
    ],
)
def test_a_bad_row_is_named_and_its_neighbours_are_not(row: str, why: str) -> None:
    file = read(f"order,sku,units\n0,MUG,1\n{row}\n2,MUG,1\n")

    assert list(told(file)) == ["0", "2"]
    assert list(faults(file)) == [3]
    assert why in faults(file)[3]


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("location", "moon", "there is no location 'moon'; there is main, outlet"),
        ("status", "canceled", "status 'canceled' means nothing; it can be pending, open, closed, cancelled"),
        ("shipped", "x", "shipped 'x' is not a whole number"),
        ("shipped", "3", "3 units are shipped or cancelled of 2"),
        ("placed_at", "yesterday", "placed_at 'yesterday' is no time"),
        ("changed_at", "2026-03-01T09:00:00", "changed_at '2026-03-01T09:00:00' has no time zone"),
    ],
)
def test_a_bad_cell_is_named(column: str, cell: str, why: str) -> None:
    file = read(f"order,sku,units,{column}\n1,MUG,2,{cell}\n")

    assert file.orders == []
    assert why in faults(file)[2]


def test_an_order_with_one_bad_row_is_refused_whole() -> None:
    file = read("order,sku,units\n1,MUG,1\n2,MUG,1\n1,CUP,x\n")

    assert list(told(file)) == ["2"]
    assert faults(file) == {
        2: "order 1 is refused as a whole, because of row 4",
        4: "units 'x' is not a whole number from 0 on; give base units",
    }


def test_a_row_that_stands_twice_is_refused() -> None:
    file = read("order,sku,units\n1,MUG,1\n1,MUG,1\n")

    assert file.orders == []
    assert faults(file)[3].startswith("order 1 has MUG in row 2 already")


def test_what_is_said_of_an_order_in_several_rows_must_agree() -> None:
    file = read("order,sku,units,status\n1,MUG,1,open\n1,CUP,1,closed\n")

    assert faults(file)[3] == "order 1 has another status in a row above; write one of them in all rows"


def test_a_closed_order_whose_units_are_nowhere_is_refused() -> None:
    file = read("order,sku,units,status,shipped\n1,MUG,3,closed,2\n")

    assert faults(file)[2] == "it is closed, but 1 of MUG are neither shipped nor cancelled"


@pytest.mark.parametrize("end", ["2,MUG", '2,"MUG', "2,MUG,1"])
def test_half_a_file_is_noticed(end: str) -> None:
    file = read(f"order,sku,units\n1,MUG,1\n{end}")

    assert list(told(file)) == ["1"]
    assert list(faults(file)) == [3]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"order": "1", "lines": [{"sku": "MUG", "un', "is no JSON"),
        ('"1"', "is no order; one looks like"),
        ('{"order": "1", "lines": []}', "has no lines"),
        ('{"order": "1"}', "its lines are no list of lines"),
        ('{"order": "1", "lines": [1]}', "its lines are no list of lines"),
        ('{"order": "1", "lines": [{"sku": "MUG", "units": 1.5}]}', "units 1.5 is not a whole number"),
        ('{"order": "1", "lines": [{"sku": "MUG", "units": -1}]}', "units -1 is not a whole number"),
        ('{"order": "1", "lines": [{"sku": "MUG", "units": true}]}', "units True is not a whole number"),
        ('{"order": "1", "lines": [{"sku": "MUG"}]}', "units of MUG are blank"),
        ('{"order": "1", "lines": [{"sku": 7, "units": 1}]}', "sku 7 is no text"),
        ('{"order": 1, "lines": [{"sku": "MUG", "units": 1}]}', "order 1 is no text"),
        ('{"order": "1", "lines": [{"sku": "MUG", "qty": 1}]}', "names 'qty'; a line can have"),
        ('{"order": "1", "state": "open", "lines": [{"sku": "MUG", "units": 1}]}', "names 'state'; an order can have"),
    ],
)
def test_a_bad_row_of_json_is_named(row: str, why: str) -> None:
    good = '{"order": "0", "lines": [{"sku": "MUG", "units": 1}]}'

    file = read(f"{good}\n{row}\n", json_lines=True)

    assert list(told(file)) == ["0"]
    assert why in faults(file)[2]


def test_an_order_that_stands_twice_in_json_lines_is_refused() -> None:
    row = '{"order": "1", "lines": [{"sku": "MUG", "units": 1}]}\n'

    assert faults(read(row * 2, json_lines=True)) == {
        1: "order 1 is refused as a whole, because of row 2",
        2: "order 1 stands in row 1 already; remove one",
    }


@pytest.mark.parametrize("json_lines", [False, True])
def test_refused_rows_can_be_read_again_with_their_reasons_beside_them(json_lines: bool) -> None:
    bad = '{"order": "1", "lines": [{"sku": "M;G", "units": 0.5}]}' if json_lines else '1;"M;G";0.5'
    file = read(f"{bad}\n" if json_lines else f"order;sku;units\n{bad}\n", json_lines=json_lines)

    once = refused_rows(file, file.bad)
    again = read(once, json_lines=json_lines)
    mended = read(
        once.replace("0.5,", "2,", 1).replace("0.5}", "2}", 1).replace("0.5;", "2;", 1), json_lines=json_lines
    )

    assert [bad.why for bad in again.bad] == [bad.why for bad in file.bad]
    assert refused_rows(again, again.bad).count("refused_row") == 1
    assert told(mended) == {"1": {"M;G": 2}}


# Taking it in


async def take(seller: Any, text: str, *, skip: bool = False, json_lines: bool = False, run: str = "test") -> Imported:
    data = text.encode()
    file = read_orders(data, json_lines=json_lines, locations=seller.agent.setup.locations)
    now = seller.clock.now()
    done: Imported = await seller.database.transact(
        lambda c: import_orders(
            c,
            seller.agent.setup,
            file,
            name="till.csv",
            digest=digest_of(data),
            skip_bad_rows=skip,
            now=now,
            run=run,
        )
    )
    return done


async def orders_of(seller: Any) -> dict[str, Any]:
    found = await seller.database.query(lambda c: orders_view.find_orders(c, OrdersWanted(channel=BY_HAND)))
    return {one.order: one.said for one in found}


async def test_orders_of_a_file_are_booked_like_every_other(seller: Any) -> None:
    await seller.has("MUG", 9)
    await seller.has("CUP", 1)

    done = await take(seller, "order,sku,units,shipped\n1,MUG,2,1\n2,MUG,1,\n2,CUP,2,\n")

    assert (done.new, done.changed, done.oversold) == (2, 0, [("CUP", "main", -1)])
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (8, 2)
    assert await seller.kinds() == [FindingKind.OVERSOLD]


async def test_the_same_file_again_changes_nothing_even_when_the_orders_have_gone_on(seller: Any) -> None:
    await seller.has("MUG", 9)
    text = "order,sku,units,status\n1,MUG,2,open\n"
    await take(seller, text)
    await seller.database.transact(
        lambda c: cancel_by_hand(c, seller.agent.setup, "1", {}, now=seller.clock.now(), run="test")
    )

    done = await take(seller, text)

    assert (done.before, done.new, done.changed) == ("test", 0, 0)
    assert (await seller.position("MUG")).available == 9


async def test_a_file_that_says_the_same_with_more_orders_changes_only_what_is_new(seller: Any) -> None:
    await seller.has("MUG", 9)
    await take(seller, "order,sku,units\n1,MUG,2\n")
    before = (await orders_of(seller))["1"]
    await seller.clock.sleep(60)

    done = await take(seller, "order,sku,units\n1,MUG,2\n2,MUG,1\n")

    assert (done.new, done.changed, done.same) == (1, 0, 1)
    assert (await orders_of(seller))["1"] == before


async def test_a_later_file_changes_what_it_says_and_leaves_what_it_does_not(seller: Any) -> None:
    await seller.has("MUG", 9)
    await take(seller, "order,sku,units,shipped,status\n1,MUG,3,2,open\n")
    await seller.clock.sleep(60)

    done = await take(seller, "order,sku,units\n1,MUG,5\n")

    assert (done.new, done.changed) == (0, 1)
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (7, 3), "it says nothing of shipments, so two are shipped still"


async def test_a_file_that_says_nothing_of_the_status_does_not_open_a_cancelled_order(seller: Any) -> None:
    await seller.has("MUG", 9)
    await take(seller, "order,sku,units\n1,MUG,2\n")
    await seller.database.transact(
        lambda c: cancel_by_hand(c, seller.agent.setup, "1", {}, now=seller.clock.now(), run="test")
    )

    await take(seller, "order,sku,units\n1,MUG,2\n2,MUG,1\n")
    assert (await seller.position("MUG")).reserved == 1

    await take(seller, "order,sku,units,status\n1,MUG,2,open\n")
    assert (await seller.position("MUG")).reserved == 3, "one that says it is open does"


async def test_a_closed_sale_has_left(seller: Any) -> None:
    await seller.has("MUG", 9)

    await take(seller, "order,sku,units,status,cancelled\n1,MUG,3,closed,1\n")

    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (7, 0)


async def test_a_cancelled_order_that_was_never_seen_takes_nothing(seller: Any) -> None:
    await seller.has("MUG", 9)

    await take(seller, "order,sku,units,status\n1,MUG,3,cancelled\n")

    assert (await seller.position("MUG")).entries == 1
    assert (await orders_of(seller))["1"].status is OrderStatus.CANCELLED


async def test_a_line_that_a_later_file_leaves_out_keeps_what_was_shipped_of_it(seller: Any) -> None:
    await seller.has("MUG", 9)
    await seller.has("CUP", 9)
    await take(seller, "order,sku,units,shipped\n1,MUG,3,2\n1,CUP,1,\n")

    await take(seller, "order,sku,units\n1,CUP,1\n")

    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (7, 0)


async def test_what_was_shipped_by_hand_and_what_a_file_says_are_one_sum(seller: Any) -> None:
    await seller.has("MUG", 9)
    await take(seller, "order,sku,units\n1,MUG,3\n")
    await seller.database.transact(
        lambda c: ship_by_hand(c, seller.agent.setup, "1", {"MUG": 2}, now=seller.clock.now(), run="test")
    )

    same = await take(seller, "order,sku,units,shipped\n1,MUG,3,2\n")
    more = await take(seller, "order,sku,units,shipped\n1,MUG,3,3\n")
    fewer = await take(seller, "order,sku,units,shipped\n1,MUG,3,1\n")

    assert (same.same, more.changed, fewer.changed) == (1, 1, 1)
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (8, 2)


async def test_the_callers_own_times_decide_which_file_is_older(seller: Any) -> None:
    await seller.has("MUG", 9)
    head = "order,sku,units,changed_at\n"
    await take(seller, f"{head}1,MUG,2,2026-03-01T08:00:00Z\n")

    older = await take(seller, f"{head}1,MUG,7,2026-03-01T07:00:00Z\n")
    later = await take(seller, f"{head}1,MUG,3,2026-03-01T08:30:00Z\n")
    with pytest.raises(RowsRefused) as refused:
        await take(seller, f"{head}1,MUG,4,2026-03-01T08:30:00Z\n")

    assert (older.stale, later.changed) == (1, 1)
    assert [bad.row for bad in refused.value.bad] == [2]
    assert "said something else with the same changed_at" in refused.value.bad[0].why
    assert (await seller.position("MUG")).reserved == 3


async def test_bad_rows_refuse_the_whole_file_unless_they_are_to_be_skipped(seller: Any) -> None:
    await seller.has("MUG", 9)
    text = "order,sku,units\n1,MUG,1\n2,MUG,x\n"

    with pytest.raises(RowsRefused):
        await take(seller, text)
    assert await orders_of(seller) == {}
    done = await take(seller, text, skip=True)

    assert (done.new, [bad.row for bad in done.bad]) == (1, [3])
    assert list(await orders_of(seller)) == ["1"]


async def test_an_unknown_sku_is_no_fault_the_order_is_kept_and_found(seller: Any) -> None:
    await seller.has("MUG", 9)

    done = await take(seller, "order,sku,units\n1,MUG,1\n1,LAMP,2\n2,CUP,1\n")

    assert (done.new, done.waiting) == (2, ["CUP", "LAMP"])
    assert await seller.kinds() == [FindingKind.UNMAPPED_LINE] * 2
    assert (await seller.position("MUG")).reserved == 1


async def test_a_file_can_be_taken_in_again_once_its_run_was_undone(seller: Any) -> None:
    await seller.has("MUG", 9)
    text = "order,sku,units\n1,MUG,1\n"
    await take(seller, text)
    await seller.database.transact(lambda c: runs.mark_undone(c, "test", "another"))

    assert (await take(seller, text)).before == ""


async def test_a_large_file_is_one_transaction(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_import, "BOOKED_AT_ONCE", 2)
    await seller.has("MUG", 9)
    book, batches = orders_import.book_orders, []

    def fail_on_the_third(*arguments: Any, **named: Any) -> Any:
        batches.append(arguments)
        if len(batches) == 3:
            raise RuntimeError("the process dies")
        return book(*arguments, **named)

    monkeypatch.setattr(orders_import, "book_orders", fail_on_the_third)
    text = "order,sku,units\n" + "".join(f"{number},MUG,1\n" for number in range(5))
    with pytest.raises(RuntimeError):
        await take(seller, text)
    assert await orders_of(seller) == {}

    batches.extend([()] * 3)
    assert (await take(seller, text)).new == 5
    assert (await seller.position("MUG")).reserved == 5
