"""Orders as snapshots: what cannot be one, what is left to ship, and when two say the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.errors import BadOrder
from channelsync.domain.orders import (
    UNITS_MAX,
    Moved,
    OrderLine,
    OrderSnapshot,
    OrderStatus,
    last_time,
    newest,
    oldest,
    total,
    units_at,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def order(*lines: OrderLine, **more: Any) -> OrderSnapshot:
    fields: dict[str, Any] = {"order": "1", "version": NOON, "placed_at": NOON, "status": OrderStatus.OPEN, **more}
    return OrderSnapshot(lines=lines or (OrderLine(line="a", ordered=2, sku="MUG"),), **fields)


@pytest.mark.parametrize("units", [-1, UNITS_MAX + 1, 1.0, 0.5, "1", True, None])
@pytest.mark.parametrize("where", ["ordered", "cancelled", "lost", "shipped", "returned", "withheld"])
def test_what_is_no_number_of_units_is_refused_and_named(units: Any, where: str) -> None:
    said = units if where == "ordered" else (Moved(units=units),)
    with pytest.raises(BadOrder, match=r"Line a \(MUG\)"):
        OrderLine(**{"line": "a", "sku": "MUG", "ordered": 1, where: said})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"line": ""}, "has no id"),
        ({"location": ""}, "location without a name"),
        ({"shipped": (Moved(units=1, location=""),)}, "location without a name"),
        ({"returned": (Moved(units=1, at=NOON.replace(tzinfo=None)),)}, "no time zone"),
    ],
)
def test_a_line_that_cannot_be_booked_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOrder, match=message):
        OrderLine(**{"line": "a", "ordered": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order": ""}, "without an id"),
        ({"version": NOON.replace(tzinfo=None)}, "no time zone"),
        ({"placed_at": NOON.replace(tzinfo=None)}, "no time zone"),
        ({"deducted_at": NOON.replace(tzinfo=None)}, "no time zone"),
        ({"cancelled_at": NOON.replace(tzinfo=None)}, "no time zone"),
    ],
)
def test_an_order_that_cannot_be_booked_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOrder, match=message):
        order(**fields)


def test_an_order_needs_lines_and_every_line_an_id_of_its_own() -> None:
    with pytest.raises(BadOrder, match="no lines"):
        OrderSnapshot(order="1", version=NOON, placed_at=NOON, status=OrderStatus.OPEN, lines=())
    with pytest.raises(BadOrder, match="two lines of one id"):
        order(OrderLine(line="a", ordered=1), OrderLine(line="a", ordered=2))


def test_what_is_left_to_ship_is_never_below_zero_and_nothing_once_the_order_is_cancelled() -> None:
    one = Moved(units=1)
    line = OrderLine(line="a", ordered=9, cancelled=(one,), lost=(one, one), shipped=(one,), returned=(one,))
    assert line.to_ship == 5
    assert OrderLine(line="a", ordered=1, shipped=(Moved(units=2),)).to_ship == 0
    assert order(line, status=OrderStatus.PENDING).to_ship(line) == 5
    assert order(line, status=OrderStatus.CANCELLED).to_ship(line) == 0


FULL = OrderLine(
    line="a",
    ordered=5,
    listing="L",
    sku="MUG",
    cancelled=(Moved(units=1, at=NOON), Moved(units=1, at=LATER)),
    shipped=(Moved(units=1, at=NOON, location="here"),),
    location="here",
)
SECOND = OrderLine(line="b", ordered=1)


def test_the_order_in_which_a_channel_lists_things_and_its_time_zone_say_nothing() -> None:
    berlin = timezone(timedelta(hours=1))
    turned = replace(FULL, cancelled=FULL.cancelled[::-1])
    assert order(FULL, SECOND).content == order(SECOND, turned).content
    assert order(FULL, SECOND).content == order(FULL, SECOND, placed_at=NOON.astimezone(berlin)).content


@pytest.mark.parametrize(
    "other",
    [
        order(FULL),
        order(FULL, SECOND, order="2"),
        order(FULL, SECOND, version=LATER),
        order(FULL, SECOND, placed_at=LATER),
        order(FULL, SECOND, status=OrderStatus.PENDING),
        order(FULL, SECOND, deducted_at=NOON),
        order(FULL, SECOND, cancelled_at=NOON),
        *(
            order(replace(FULL, **change), SECOND)
            for change in [
                {"ordered": 6},
                {"listing": None},
                {"listing": ""},
                {"sku": None},
                {"location": None},
                {"lost": FULL.cancelled, "cancelled": ()},
                {"cancelled": FULL.cancelled[:1]},
                {"shipped": (Moved(units=1, at=NOON),)},
                {"shipped": (Moved(units=1, location="here"),)},
                {"shipped": (Moved(units=2, at=NOON, location="here"),)},
                {"returned": (Moved(units=1),)},
                {"withheld": (Moved(units=1),)},
            ]
        ),
    ],
)
def test_whatever_else_an_order_says_changes_its_content(other: OrderSnapshot) -> None:
    assert other.content != order(FULL, SECOND).content


def test_no_listing_and_a_blank_one_are_two_things() -> None:
    assert order(replace(FULL, listing=None)).content != order(replace(FULL, listing="none")).content


def test_moves_are_told_apart_by_time_and_place() -> None:
    early, late, unknown = Moved(units=2, at=NOON, location="x"), Moved(units=3, at=LATER), Moved(units=4)
    moved = (unknown, late, early)
    assert total(moved) == 9
    assert last_time(moved) == LATER
    assert last_time((unknown,)) is None
    assert units_at(moved) == {"x": 2, None: 7}
    assert oldest(moved, 4) == (early, Moved(units=2, at=LATER))
    assert newest(moved, 5) == (Moved(units=1, at=LATER), unknown)
    assert newest(moved, 9, "x") == (early,)
    assert oldest(moved, 0) == newest(moved, -1) == ()


MOVES = st.builds(
    Moved, units=st.integers(0, 3), at=st.none() | st.integers(0, 5).map(lambda h: NOON + timedelta(hours=h))
)


@given(moved=st.lists(MOVES, max_size=6), units=st.integers(0, 20))
def test_the_oldest_and_the_newest_are_together_all(moved: list[Moved], units: int) -> None:
    first, last = oldest(moved, units), newest(moved, total(tuple(moved)) - units)
    assert total(first) == min(units, total(tuple(moved)))
    assert total(first) + total(last) == total(tuple(moved))
