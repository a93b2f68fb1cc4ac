"""Booking what came back, and what a count has seen already."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.domain.booking import Booking
from channelsync.domain.ledger import EntryKind
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def units(number: int, at: float, location: str | None = None) -> tuple[Moved, ...]:
    return (Moved(units=number, at=hour(at), location=location),)


def line(ordered: int, **more: Any) -> OrderLine:
    return OrderLine(line="mug", ordered=ordered, **more)


def seen(version: float, told: OrderLine) -> OrderSnapshot:
    status = OrderStatus.OPEN
    return OrderSnapshot(order="1", version=hour(version), placed_at=NOON, status=status, lines=(told,))


def kinds(booking: Booking) -> list[tuple[EntryKind, int, int, int]]:
    return [(m.kind, m.on_hand, m.reserved, m.withheld) for m in booking.movements]


@pytest.fixture(autouse=True)
def ten_mugs(books: Any) -> Iterator[None]:
    books.hold(10)
    yield
    books.check()


def test_a_return_with_restock_is_on_hand_again(books: Any) -> None:
    books.take(seen(1, line(3, shipped=units(3, 1))))
    booking = books.take(seen(2, line(3, shipped=units(3, 1), returned=units(2, 2))))
    assert kinds(booking) == [(EntryKind.RETURN, 2, 0, 0)]
    assert books.sums() == (9, 0, 0)
    books.take(seen(3, line(3, shipped=units(3, 1), returned=units(1, 2))))
    assert books.sums() == (8, 0, 0)


def test_a_return_that_is_not_for_sale_is_withheld(books: Any) -> None:
    books.take(seen(1, line(3, shipped=units(3, 1))))
    booking = books.take(seen(2, line(3, shipped=units(3, 1), withheld=units(2, 2))))
    assert kinds(booking) == [(EntryKind.RETURN, 2, 0, 2)]
    assert books.sums() == (9, 0, 2)
    assert books.at().available == 7


def test_a_return_that_turns_out_good_or_damaged_changes_only_its_mark(books: Any) -> None:
    shipped = units(3, 1)
    books.take(seen(1, line(3, shipped=shipped, withheld=units(2, 1))))
    assert kinds(books.take(seen(2, line(3, shipped=shipped, returned=units(2, 1))))) == [
        (EntryKind.UNWITHHOLD, 0, 0, -2)
    ]
    assert books.sums() == (9, 0, 0)
    assert kinds(books.take(seen(3, line(3, shipped=shipped, withheld=units(1, 1), returned=units(1, 1))))) == [
        (EntryKind.RETURN, 0, 0, 1)
    ]
    assert books.sums() == (9, 0, 1)
    books.take(seen(4, line(3, shipped=shipped)))
    assert books.sums() == (7, 0, 0)


def test_a_mark_that_somebody_took_off_already_is_not_taken_off_twice(books: Any) -> None:
    shipped = units(2, 1)
    books.take(seen(1, line(2, shipped=shipped, withheld=units(2, 1))))
    books.hold(on_hand=10, withheld=1)
    books.take(seen(2, line(2, shipped=shipped)))
    assert books.sums() == (8, 0, 0)


def test_more_cannot_come_back_than_was_shipped(books: Any) -> None:
    books.take(seen(1, line(3, shipped=units(1, 1), returned=units(1, 1), withheld=units(1, 1))))
    assert books.sums() == (10, 2, 0)
    books.take(seen(2, line(3, returned=units(1, 1))))
    assert books.sums() == (10, 3, 0)


def test_a_return_arrives_where_the_channel_says(books: Any) -> None:
    books.take(seen(1, line(3, shipped=units(3, 1))))
    books.take(seen(2, line(3, shipped=units(3, 1), returned=units(1, 2, "there"), withheld=units(1, 2))))
    assert books.sums() == (8, 0, 1)
    assert books.sums(location="there") == (1, 0, 0)
    books.take(seen(3, line(3, shipped=units(3, 1), returned=units(1, 2, "here"), withheld=units(1, 2, "here"))))
    assert books.sums() == (9, 0, 1)
    assert books.sums(location="there") == (0, 0, 0)


def test_what_is_set_aside_is_so_where_it_lies(books: Any) -> None:
    books.hold(10, location="there")
    shipped = (*units(1, 1, "here"), *units(1, 1, "there"))
    books.take(seen(2, line(2, shipped=shipped, returned=units(1, 2, "here"), withheld=units(1, 2, "there"))))
    assert (books.sums(), books.sums(location="there")) == ((10, 0, 0), (10, 0, 1))
    books.take(seen(3, line(2, shipped=shipped, returned=units(1, 2, "there"), withheld=units(1, 2, "here"))))
    assert (books.sums(), books.sums(location="there")) == ((10, 0, 1), (10, 0, 0)), (
        "as many are set aside, not the same"
    )


def test_what_did_not_come_back_after_all_is_not_set_aside_either(books: Any) -> None:
    books.hold(10, location="there")
    shipped = (*units(1, 1, "here"), *units(1, 1, "there"))
    books.take(seen(2, line(2, shipped=shipped, returned=units(1, 2, "here"), withheld=units(1, 2, "there"))))
    books.take(seen(3, line(2, shipped=shipped, withheld=units(1, 2))))
    assert (books.sums(), books.sums(location="there")) == ((10, 0, 1), (9, 0, 0))


def test_a_shipment_before_the_count_does_not_lower_on_hand(books: Any) -> None:
    books.count(hour(2))
    told = (*units(1, 1), *units(1, 2), *units(2, 3))
    booking = books.take(seen(3, line(6, shipped=told, lost=units(1, 1.5))))
    assert books.sums() == (8, 1, 0)
    assert [(m.on_hand, m.reserved) for m in booking.movements if m.kind is EntryKind.SHIP] == [
        (0, -1),
        (0, -1),
        (-2, -2),
    ]


def test_each_shipment_is_compared_with_the_count_by_its_own_time_however_often_it_is_told(books: Any) -> None:
    books.count(hour(2))
    books.take(seen(1, line(3, shipped=units(1, 1))))
    books.take(seen(3, line(3, shipped=(*units(1, 1), *units(1, 3)))))
    assert books.sums() == (9, 1, 0)


def test_a_shipment_taken_back_that_the_count_had_seen_changes_nothing_on_hand(books: Any) -> None:
    books.count(hour(2))
    books.take(seen(1, line(1, shipped=units(1, 1))))
    books.take(seen(3, line(1)))
    assert books.sums() == (10, 1, 0)


def test_a_return_before_the_count_is_in_it_already_but_is_still_set_aside(books: Any) -> None:
    books.count(hour(3))
    books.take(seen(4, line(3, shipped=units(3, 1), returned=units(1, 2), withheld=units(1, 2))))
    assert books.sums() == (10, 0, 1)


@pytest.mark.parametrize("damaged_first", [True, False])
def test_a_new_return_counts_by_its_own_time_whichever_of_them_is_set_aside_in_the_end(
    books: Any, damaged_first: bool
) -> None:
    books.count(hour(3))
    first, second = units(1, 2), units(1, 4)
    told = {"withheld": first} if damaged_first else {"returned": first}
    books.take(seen(5, line(3, shipped=units(3, 1), **told)))
    found = {"returned": first, "withheld": second} if damaged_first else {"returned": second, "withheld": first}
    books.take(seen(6, line(3, shipped=units(3, 1), **found)))
    assert books.sums() == (11, 0, 1), "the first was there when they were counted, the second came after"
