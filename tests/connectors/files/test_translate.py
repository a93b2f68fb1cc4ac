"""Rows to orders, listings and numbers: each field, each status word, each odd cell."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.values import ListingState, OrderSnapshot, OrderStatus, QuantityKey, UnreadableOrder
from channelsync_files.sections_numbers import ListingsIn
from channelsync_files.sections_orders import OrdersIn
from channelsync_files.translate import (
    BadCell,
    listing_of,
    numbers_of,
    offered_of,
    orders_of,
    time_of,
    units_of,
)
from channelsync_files.wire import Row

TAKEN = datetime(2024, 3, 1, tzinfo=UTC)
WORDS = {
    "open": "reserve",
    "unpaid": "wait",
    "sent": "ship",
    "off": "cancel",
    "back": "return",
    "broken": "write off",
}
FIELDS = (
    "order line listing sku units status placed_at changed_at deducted_at cancelled_at cancelled lost shipped returned"
)


def orders_in(**more) -> OrdersIn:
    columns = {name: name for name in (*FIELDS.split(), "withheld", "location")}
    for name in more.pop("without", ()):
        del columns[name]
    statuses = {"statuses": WORDS} if "status" in columns else {}
    return OrdersIn.model_validate({"path": "orders", "columns": columns, **statuses, **more})


def row(number: int = 2, problem: str = "", **cells: str) -> Row:
    usual = {"order": "1", "line": "1", "sku": "MUG", "units": "2", "status": "open"}
    times = {"placed_at": "2024-02-29T10:00:00Z", "changed_at": "2024-02-29T11:00:00Z"}
    return Row(f"line {number}", {**usual, **times, **cells}, problem)


def the_order(*rows: Row, how: OrdersIn | None = None) -> OrderSnapshot:
    (found,) = orders_of(rows, how or orders_in(), "o.csv", TAKEN)
    assert isinstance(found, OrderSnapshot), found
    return found


def the_reason(*rows: Row, how: OrdersIn | None = None) -> str:
    (found,) = orders_of(rows, how or orders_in(), "o.csv", TAKEN)
    assert isinstance(found, UnreadableOrder), found
    return found.reason


@pytest.mark.parametrize(
    ("word", "cells", "status", "to_ship", "moved"),
    [
        ("open", {}, OrderStatus.OPEN, 5, (0, 0, 0, 0, 0)),
        ("unpaid", {}, OrderStatus.PENDING, 5, (0, 0, 0, 0, 0)),
        ("sent", {}, OrderStatus.CLOSED, 0, (0, 0, 5, 0, 0)),
        ("off", {}, OrderStatus.CANCELLED, 0, (5, 0, 0, 0, 0)),
        ("back", {}, OrderStatus.CLOSED, 0, (0, 0, 5, 5, 0)),
        ("broken", {}, OrderStatus.CLOSED, 0, (0, 0, 5, 0, 5)),
        ("OPEN", {"shipped": "2"}, OrderStatus.OPEN, 3, (0, 0, 2, 0, 0)),
        ("open", {"shipped": "5"}, OrderStatus.CLOSED, 0, (0, 0, 5, 0, 0)),
        ("open", {"cancelled": "1", "lost": "1"}, OrderStatus.OPEN, 3, (1, 1, 0, 0, 0)),
        ("off", {"shipped": "2"}, OrderStatus.CLOSED, 0, (3, 0, 2, 0, 0)),
        ("sent", {"cancelled": "1"}, OrderStatus.CLOSED, 0, (1, 0, 4, 0, 0)),
        ("back", {"returned": "2"}, OrderStatus.CLOSED, 0, (0, 0, 5, 2, 0)),
        ("back", {"returned": "2", "withheld": "1"}, OrderStatus.CLOSED, 0, (0, 0, 5, 2, 1)),
    ],
)
def test_a_status_word_says_what_happened_to_the_rest(word, cells, status, to_ship, moved) -> None:
    found = the_order(row(units="5", status=word, **cells))
    (line,) = found.lines
    fields = (line.cancelled, line.lost, line.shipped, line.returned, line.withheld)
    assert (found.status, found.to_ship(line)) == (status, to_ship)
    assert tuple(sum(one.units for one in moves) for moves in fields) == moved


def test_every_field_of_an_order_is_read() -> None:
    found = the_order(
        row(line="7", listing="A-1", location="main", shipped="1", deducted_at="2024-02-29T10:30:00+01:00"),
        row(3, line="8", sku="CUP", status="off", cancelled_at="2024-02-29T12:00:00Z"),
    )
    assert (found.order, [line.line for line in found.lines]) == ("1", ["7", "8"])
    assert (found.lines[0].listing, found.lines[0].sku, found.lines[0].location) == ("A-1", "MUG", "main")
    assert found.lines[0].shipped[0].location == "main"
    assert found.lines[1].listing is None
    assert found.placed_at == datetime(2024, 2, 29, 10, tzinfo=UTC)
    assert found.version == datetime(2024, 2, 29, 11, tzinfo=UTC)
    assert found.deducted_at == datetime(2024, 2, 29, 9, 30, tzinfo=UTC)
    assert found.cancelled_at == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert found.status is OrderStatus.OPEN


def test_an_order_is_as_new_as_its_newest_row() -> None:
    found = the_order(row(), row(3, line="2", changed_at="2024-02-29T15:00:00Z"))
    assert found.version.hour == 15


def test_the_word_of_a_line_counts_before_that_of_its_order() -> None:
    how = OrdersIn.model_validate(
        {
            "path": "orders",
            "format": "json",
            "lines": "items",
            "statuses": WORDS,
            "columns": {name: name for name in (*FIELDS.split(), "line_status")},
        }
    )
    found = the_order(row(line_status="off"), row(3, line="2", line_status=""), how=how)
    assert [found.to_ship(line) for line in found.lines] == [0, 2]


def test_a_file_that_tells_no_change_is_as_new_as_its_coming() -> None:
    how = orders_in(version="arrival", without=["changed_at"])
    assert the_order(row(), how=how).version == TAKEN


def test_without_line_ids_a_line_is_known_by_what_was_bought_whatever_stands_first() -> None:
    how = orders_in(without=["line"])
    one, other = row(line="", sku="MUG"), row(3, line="", sku="CUP")
    assert {line.line for line in the_order(one, other, how=how).lines} == {"MUG", "CUP"}
    again = the_order(other, one, row(4, line="", sku="MUG"), how=how)
    assert [line.line for line in again.lines] == ["CUP", "MUG", "MUG#2"]


def test_a_row_that_stands_twice_counts_once() -> None:
    assert len(the_order(row(), row(3)).lines) == 1
    assert "line 3: line 1 stood at line 2 already" in the_reason(row(), row(3, units="4"))


def test_a_row_about_the_order_alone_is_no_line() -> None:
    bare = {"line": "", "sku": "", "units": ""}
    assert len(the_order(row(), row(3, **bare)).lines) == 1
    assert "no lines" in the_reason(row(**bare))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"units": ""}, "line 2: units is blank"),
        ({"units": "0,5"}, "line 2: units '0,5' is no number of units"),
        ({"units": "0.5"}, "line 2: units '0.5' is no whole number"),
        ({"units": "1.000,00"}, "line 2: units is no number"),
        ({"units": "-1"}, "line 2: units is negative"),
        ({"units": "two"}, "line 2: units is no number"),
        ({"units": "9" * 12}, "is no number of units"),
        ({"shipped": "x"}, "line 2: shipped is no number"),
        ({"sku": ""}, "line 2: neither listing nor SKU"),
        ({"status": "lost in space"}, "line 2: the status word 'lost in space' is not in `statuses`"),
        ({"placed_at": ""}, "line 2: placed_at is blank"),
        ({"placed_at": "yesterday"}, "line 2: placed_at is no time written as 'iso'"),
        ({"changed_at": ""}, "line 2: changed_at is blank"),
    ],
)
def test_an_order_with_a_cell_that_makes_no_sense_is_named_with_file_and_line(cells, said) -> None:
    good = row(3, order="2")
    odd, fine = orders_of([row(**cells), good], orders_in(), "o.csv", TAKEN)
    assert isinstance(odd, UnreadableOrder)
    assert odd.order == "1"
    assert odd.reason.startswith("o.csv: ")
    assert said in odd.reason
    assert isinstance(fine, OrderSnapshot)


def test_a_broken_row_makes_its_whole_order_unreadable_and_is_not_quoted() -> None:
    found = orders_of([row(), Row("line 3", {"order": "1"}, "line 3 has 4 cells")], orders_in(), "o.csv", TAKEN)
    assert [one.order for one in found] == ["1"]
    assert isinstance(found[0], UnreadableOrder)
    found = orders_of([row(), Row("line 3", {}, "line 3 has 4 cells")], orders_in(), "o.csv", TAKEN)
    assert [one.order for one in found] == ["1", "(o.csv line 3)"]
    assert isinstance(found[0], OrderSnapshot)


@pytest.mark.parametrize(
    ("text", "decimal", "units"),
    [
        ("", ".", None),
        ("2", ".", 2),
        ("+2", ".", 2),
        ("2.00", ".", 2),
        ("2,0", ",", 2),
        ("-3", ".", -3),
        ("007", ",", 7),
    ],
)
def test_whole_numbers_are_read_however_they_are_written(text: str, decimal: str, units: int | None) -> None:
    assert units_of(text, decimal) == units


@given(st.integers(-999_999_999, 999_999_999), st.sampled_from([".", ","]), st.integers(0, 4))
def test_a_number_is_read_as_it_was_written(number: int, decimal: str, zeroes: int) -> None:
    text = f"{number}{decimal + '0' * zeroes if zeroes else ''}"
    if len(text.partition(decimal)[0]) <= 9:
        assert units_of(text, decimal) == number


@given(st.text(max_size=12))
def test_no_text_makes_a_number_out_of_nothing(text: str) -> None:
    try:
        units = units_of(text, ".")
    except BadCell:
        return
    assert units is None or str(abs(units)) in text.replace("_", "?") or int(text.partition(".")[0]) == units


@pytest.mark.parametrize(
    ("text", "format_", "zone", "expected"),
    [
        ("2024-07-01T12:00:00Z", "iso", "UTC", datetime(2024, 7, 1, 12, tzinfo=UTC)),
        ("2024-07-01 12:00", "iso", "Europe/Berlin", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ("2024-01-01 12:00", "iso", "Europe/Berlin", datetime(2024, 1, 1, 11, tzinfo=UTC)),
        ("2024-07-01T12:00:00+09:00", "iso", "Europe/Berlin", datetime(2024, 7, 1, 3, tzinfo=UTC)),
        ("1719835200", "unix", "Asia/Tokyo", datetime(2024, 7, 1, 12, tzinfo=UTC)),
        ("01.07.2024 12:00", "%d.%m.%Y %H:%M", "Europe/Berlin", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ("", "iso", "UTC", None),
    ],
)
def test_times_are_read_as_the_settings_say(text, format_, zone, expected) -> None:
    assert time_of(text, orders_in(time_format=format_, time_zone=zone)) == expected


@pytest.mark.parametrize("text", ["32.01.2024", "now", "1e400", "nan", "0000-00-00"])
@pytest.mark.parametrize("format_", ["iso", "unix", "%d.%m.%Y"])
def test_what_is_no_time_is_refused(text: str, format_: str) -> None:
    with pytest.raises(BadCell, match="no time"):
        time_of(text, orders_in(time_format=format_))


LISTINGS = ListingsIn.model_validate(
    {
        "path": "items",
        "columns": {"listing": "a", "sku": "b", "title": "c", "barcode": "d", "number": "e", "state": "f"},
        "states": {"Live": "active", "gone": "ended"},
    }
)


def offered(**cells: str) -> Row:
    return Row("line 2", {"listing": "A-1", "sku": "MUG", "state": "live", **cells})


def test_every_field_of_a_listing_is_read() -> None:
    found = offered_of([offered(title="Mug", barcode="4006381333931", number="3")], LISTINGS)["A-1"]
    assert (found.sku, found.title, found.barcode, found.number) == ("MUG", "Mug", "4006381333931", 3)
    assert found.state is ListingState.ACTIVE


def test_a_state_that_the_settings_do_not_explain_is_inactive_and_told() -> None:
    found = listing_of(offered_of([offered(state="Under review")], LISTINGS)["A-1"], [])
    assert (found.state, found.reasons) == (ListingState.INACTIVE, ("Under review",))
    assert listing_of(offered_of([offered(state="GONE")], LISTINGS)["A-1"], []).state is ListingState.ENDED


def test_a_blank_number_is_untracked_and_a_missing_one_unknown() -> None:
    one = offered_of([offered()], LISTINGS)["A-1"]
    (untracked,) = numbers_of([Row("line 2", {"key": "A-1", "number": ""})], ".").values()
    assert not listing_of(one, [untracked]).tracked
    assert listing_of(one, []).tracked
    assert listing_of(one, []).shown == {}


def test_locations_have_numbers_of_their_own() -> None:
    cells = [{"key": "A-1", "location": place, "number": units} for place, units in (("east", "2"), ("west", "3"))]
    found = numbers_of([Row("line 2", one) for one in cells], ".")
    assert {key: one.number for key, one in found.items()} == {
        QuantityKey("A-1", "east"): 2,
        QuantityKey("A-1", "west"): 3,
    }
    listing = listing_of(offered_of([offered()], LISTINGS)["A-1"], list(found.values()))
    assert listing.keys == (QuantityKey("A-1", "east"), QuantityKey("A-1", "west"))


def test_rows_that_contradict_each_other_are_no_number() -> None:
    one, other = {"key": "A-1", "number": "2"}, {"key": "A-1", "number": "3"}
    assert not numbers_of([Row("line 2", one), Row("line 3", one)], ".")[QuantityKey("A-1")].problem
    assert "line 3" in numbers_of([Row("line 2", one), Row("line 3", other)], ".")[QuantityKey("A-1")].problem
    rows = [offered(), Row("line 3", {"listing": "A-1", "sku": "CUP", "state": "live"})]
    assert "line 3" in offered_of(rows, LISTINGS)["A-1"].problem


def test_an_order_from_the_future_is_taken_as_it_stands() -> None:
    later = (TAKEN + timedelta(days=400)).isoformat()
    assert the_order(row(placed_at=later)).placed_at == TAKEN + timedelta(days=400)
