"""Booking: every story of an order, told as the snapshots that a channel sends."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from channelsync.domain.booked import BookedLine
from channelsync.domain.booking import Booking
from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.ledger import EntryKind, Movement
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import SoldAs

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Books(Protocol):
    sold: dict[str, SoldAs]
    unmapped: set[str]
    locations: tuple[str, ...]
    recipes: dict[str, Recipe]
    orders: dict[str, Any]

    def hold(self, on_hand: int, item: str = "mug", location: str = "here", withheld: int = 0) -> None: ...
    def count(self, at: datetime, item: str = "mug", location: str = "here") -> None: ...
    def at(self, item: str = "mug", location: str = "here") -> Position: ...
    def sums(self, item: str = "mug", location: str = "here") -> tuple[int, int, int]: ...
    def take(self, snapshot: OrderSnapshot, *, settle: bool = False) -> Booking: ...
    def lapse(self, order: str, at: datetime) -> Booking: ...
    def keep(self, booking: Booking) -> None: ...
    def check(self) -> None: ...


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def units(number: int, at: float | None = None, location: str | None = None) -> tuple[Moved, ...]:
    return (Moved(units=number, at=None if at is None else hour(at), location=location),)


def line(ordered: int, name: str = "mug", **more: Any) -> OrderLine:
    return OrderLine(line=name, ordered=ordered, **more)


def seen(version: float, *lines: OrderLine, status: OrderStatus = OrderStatus.OPEN, **more: Any) -> OrderSnapshot:
    return OrderSnapshot(order="1", version=hour(version), placed_at=NOON, status=status, lines=lines, **more)


def kinds(booking: Booking) -> list[tuple[EntryKind, int, int, int]]:
    return [(m.kind, m.on_hand, m.reserved, m.withheld) for m in booking.movements]


def booked_line(books: Books, name: str = "mug") -> BookedLine:
    return next(one for one in books.orders["1"].lines if one.line == name)


@pytest.fixture(autouse=True)
def ten_mugs(books: Books) -> Any:
    books.hold(10)
    yield
    books.check()


def test_an_order_reserves_and_its_shipment_lowers_on_hand(books: Books) -> None:
    assert kinds(books.take(seen(0, line(3)))) == [(EntryKind.RESERVE, 0, 3, 0)]
    assert books.sums() == (10, 3, 0)
    assert kinds(books.take(seen(1, line(3, shipped=units(3, 1))))) == [(EntryKind.SHIP, -3, -3, 0)]
    assert books.sums() == (7, 0, 0)


def test_an_order_reserves_whatever_its_payment_status(books: Books) -> None:
    books.take(seen(0, line(3), status=OrderStatus.PENDING))
    assert books.sums() == (10, 3, 0)


def test_an_order_is_booked_even_when_nothing_is_left(books: Books) -> None:
    books.take(seen(0, line(13)))
    assert books.at().available == -3


def test_the_same_snapshot_twice_changes_nothing(books: Books) -> None:
    books.take(seen(0, line(3)))
    assert books.take(seen(0, line(3))).verdict == "same"


def test_a_cancel_before_its_create_leaves_a_tombstone(books: Books) -> None:
    assert books.take(seen(1, line(3), status=OrderStatus.CANCELLED)).movements == ()
    assert books.orders["1"].status is OrderStatus.CANCELLED
    assert booked_line(books).legs == ()
    assert books.take(seen(0, line(3))).verdict == "stale"
    assert books.sums() == (10, 0, 0)


def test_a_cancel_releases_what_was_reserved_at_the_channels_time(books: Books) -> None:
    books.take(seen(0, line(3)))
    booking = books.take(seen(2, line(3), status=OrderStatus.CANCELLED, cancelled_at=hour(1)))
    assert kinds(booking) == [(EntryKind.RELEASE, 0, -3, 0)]
    assert booking.movements[0].at == hour(1)
    assert books.sums() == (10, 0, 0)


def test_a_stale_snapshot_is_ignored(books: Books) -> None:
    books.take(seen(2, line(5)))
    assert books.take(seen(1, line(9))).verdict == "stale"
    assert books.sums() == (10, 5, 0)


def test_another_content_of_the_same_version_is_read_again_and_then_settled(books: Books) -> None:
    books.take(seen(1, line(5)))
    assert books.take(seen(1, line(6))).verdict == "differs"
    assert books.sums() == (10, 5, 0)
    assert books.take(seen(1, line(6)), settle=True).verdict == "booked"
    assert books.sums() == (10, 6, 0)
    assert books.take(seen(1, line(6)), settle=True).verdict == "same"
    assert books.take(seen(0, line(5)), settle=True).verdict == "stale"


def test_two_contents_of_one_version_may_replace_one_another_without_end(books: Books) -> None:
    for _ in range(3):
        for ordered, shipped in ((1, ()), (2, units(1, 1))):
            books.take(seen(1, line(ordered, shipped=shipped)), settle=True)
            assert books.sums() == (10 - len(shipped), 1, 0)


def test_an_edit_up_and_down_reserves_the_difference(books: Books) -> None:
    books.take(seen(0, line(2)))
    assert kinds(books.take(seen(1, line(5)))) == [(EntryKind.RESERVE, 0, 3, 0)]
    assert kinds(books.take(seen(2, line(1)))) == [(EntryKind.RELEASE, 0, -4, 0)]
    assert books.sums() == (10, 1, 0)


def test_quantity_one_two_one_two_is_four_changes(books: Books) -> None:
    made: list[Movement] = []
    for version, ordered in enumerate((1, 2, 1, 2)):
        made += books.take(seen(version, line(ordered))).movements
    assert [(m.kind.value, m.reserved) for m in made] == [
        ("reserve", 1),
        ("reserve", 1),
        ("release", -1),
        ("reserve", 1),
    ]
    assert len({m.id for m in made}) == 4
    assert books.sums() == (10, 2, 0)


def test_entry_ids_are_deterministic(make_books: Callable[[], Books]) -> None:
    def ids() -> list[str]:
        books = make_books()
        books.hold(10)
        told = (seen(0, line(1)), seen(1, line(3, shipped=units(1, 1))), seen(2, line(2, shipped=units(1, 1))))
        return [m.id for snapshot in told for m in books.take(snapshot).movements]

    assert ids() == ids()
    assert len(set(ids())) == len(ids())


def test_a_part_shipment_leaves_the_rest_reserved(books: Books) -> None:
    books.take(seen(0, line(5)))
    books.take(seen(1, line(5, shipped=units(2, 1))))
    assert books.sums() == (8, 3, 0)
    books.take(seen(2, line(5, shipped=(*units(2, 1), *units(3, 2))), status=OrderStatus.CLOSED))
    assert books.sums() == (5, 0, 0)


def test_an_order_first_seen_part_shipped_reserves_the_rest(books: Books) -> None:
    booking = books.take(seen(1, line(5, shipped=units(2, 1))))
    assert kinds(booking) == [(EntryKind.RESERVE, 0, 5, 0), (EntryKind.SHIP, -2, -2, 0)]
    assert books.sums() == (8, 3, 0)


def test_an_order_first_seen_as_shipped_lowers_on_hand_once(books: Books) -> None:
    shipped = seen(1, line(2, shipped=units(2, 1)), status=OrderStatus.CLOSED)
    books.take(shipped)
    books.take(shipped)
    assert books.sums() == (8, 0, 0)


def test_two_shipments_leave_from_the_two_locations_that_the_channel_names(books: Books) -> None:
    books.hold(10, location="there")
    books.locations = ("here", "there")
    told = (*units(1, 1, "here"), *units(2, 2, "there"))
    booking = books.take(seen(2, line(4, shipped=told)))
    assert books.sums() == (9, 1, 0)
    assert books.sums(location="there") == (8, 0, 0)
    assert [(m.position.location, m.at) for m in booking.movements if m.kind is EntryKind.SHIP] == [
        ("here", hour(1)),
        ("there", hour(2)),
    ]


def test_a_shipment_from_another_location_than_reserved_moves_the_reservation(books: Books) -> None:
    books.hold(10, location="there")
    books.locations = ("here", "there")
    books.take(seen(0, line(3)))
    books.take(seen(1, line(3, shipped=units(2, 1, "there"))))
    assert books.sums() == (10, 1, 0)
    assert books.sums(location="there") == (8, 0, 0)


def test_a_location_that_is_told_later_corrects_the_shipment(books: Books) -> None:
    books.locations = ("here", "there")
    books.take(seen(0, line(2, shipped=units(2, 0))))
    assert books.sums() == (8, 0, 0)
    books.take(seen(1, line(2, shipped=units(2, 0, "there"))))
    assert books.sums() == (10, 0, 0)
    assert books.sums(location="there") == (-2, 0, 0)


def test_a_line_that_the_channel_assigns_to_another_location_moves_there(books: Books) -> None:
    books.locations = ("here", "there")
    books.take(seen(0, line(3)))
    books.take(seen(1, line(3, location="there")))
    assert books.sums() == (10, 0, 0)
    assert books.sums(location="there") == (0, 3, 0)
    books.take(seen(2, line(2, location="here")))
    assert books.sums() == (10, 2, 0)
    assert books.sums(location="there") == (0, 0, 0)


def test_a_shipment_that_is_taken_back_is_on_hand_and_reserved_again(books: Books) -> None:
    books.take(seen(0, line(3)))
    books.take(seen(1, line(3, shipped=units(3, 1))))
    assert books.sums() == (7, 0, 0)
    books.take(seen(2, line(3, shipped=units(1, 1))))
    assert books.sums() == (9, 2, 0)
    books.take(seen(3, line(3), status=OrderStatus.CANCELLED))
    assert books.sums() == (10, 0, 0)


def test_a_shipment_taken_back_does_not_make_units_look_free(books: Books) -> None:
    books.sold = {"a": SoldAs("mug"), "b": SoldAs("mug")}
    books.hold(1)
    books.hold(5, location="there")
    books.locations = ("here", "there")
    books.take(seen(0, line(1, "a", shipped=units(1, 0))))
    books.take(seen(1, line(1, "a"), line(1, "b")))
    assert books.sums() == (1, 1, 0)
    assert books.sums(location="there") == (5, 1, 0)


def test_a_refund_without_restock_writes_the_units_off(books: Books) -> None:
    books.take(seen(0, line(3)))
    booking = books.take(seen(1, line(3, lost=units(2, 1))))
    assert kinds(booking) == [(EntryKind.WRITE_OFF, -2, -2, 0)]
    assert books.sums() == (8, 1, 0)
    books.take(seen(2, line(3)))
    assert books.sums() == (10, 3, 0)


def test_a_line_that_disappears_is_no_longer_wanted(books: Books) -> None:
    books.hold(5, item="cup")
    books.take(seen(0, line(2), line(1, "cup")))
    books.take(seen(1, line(2)))
    assert books.sums("cup") == (5, 0, 0)
    books.take(seen(2, line(2), line(3, "cup")))
    assert books.sums("cup") == (5, 3, 0)


def test_an_unmapped_line_is_kept_and_booked_when_the_mapping_appears(books: Books) -> None:
    books.unmapped = {"mug"}
    snapshot = seen(1, line(3, shipped=units(1, 1)), line(1, "cup"))
    assert books.take(snapshot).unmapped == (snapshot.lines[0],)
    assert books.sums() == (10, 0, 0)
    assert books.sums("cup") == (0, 1, 0)
    assert books.take(snapshot).verdict == "same"
    books.unmapped = set()
    assert books.take(snapshot).unmapped == ()
    assert books.sums() == (9, 2, 0)
    assert books.sums("cup") == (0, 1, 0)


def test_an_unmapped_line_that_was_written_off_waits_too(books: Books) -> None:
    books.unmapped = {"mug"}
    snapshot = seen(1, line(3, lost=units(3, 1)))
    assert books.take(snapshot).unmapped == snapshot.lines


def test_an_unmapped_line_of_a_cancelled_order_waits_for_nothing(books: Books) -> None:
    books.unmapped = {"mug"}
    assert books.take(seen(0, line(3), status=OrderStatus.CANCELLED)).unmapped == ()


def test_a_mapping_that_changes_later_does_not_move_what_is_booked(books: Books) -> None:
    books.take(seen(0, line(1)))
    books.sold = {"mug": SoldAs("cup")}
    books.take(seen(1, line(2)))
    assert books.sums() == (10, 2, 0)


def test_a_pack_reserves_its_multiple(books: Books) -> None:
    books.sold = {"six": SoldAs("mug", 6)}
    books.take(seen(0, line(2, "six", shipped=units(1, 0))))
    assert books.sums() == (4, 6, 0)


SET = Recipe("set", "virtual", (Part("mug", 2), Part("tray", 1)))
BOXED = Recipe("boxed", "both", (Part("mug", 1),))
PACKED = Recipe("packed", "prebuilt", (Part("mug", 1),))
HAMPER = Recipe("hamper", "virtual", (Part("set", 1), Part("boxed", 2), Part("mug", 1)))


@pytest.fixture
def bundles(books: Books) -> Books:
    books.recipes = {recipe.item: recipe for recipe in (SET, BOXED, PACKED, HAMPER)}
    for item in ("tray", "boxed", "packed"):
        books.hold(1, item=item)
    return books


def test_a_virtual_bundle_takes_its_parts(bundles: Books) -> None:
    bundles.take(seen(0, line(2, "set", shipped=units(1, 0))))
    assert bundles.sums() == (8, 2, 0)
    assert bundles.sums("tray") == (0, 1, 0)
    assert bundles.sums("set") == (0, 0, 0)


def test_a_prebuilt_bundle_takes_itself(bundles: Books) -> None:
    bundles.take(seen(0, line(2, "packed")))
    assert bundles.sums("packed") == (1, 2, 0)
    assert bundles.sums() == (10, 0, 0)


def test_a_bundle_of_both_kinds_takes_packed_ones_first_and_gives_parts_back_first(bundles: Books) -> None:
    bundles.take(seen(0, line(3, "boxed")))
    assert bundles.sums("boxed") == (1, 1, 0)
    assert bundles.sums() == (10, 2, 0)
    bundles.take(seen(1, line(1, "boxed")))
    assert bundles.sums("boxed") == (1, 1, 0)
    assert bundles.sums() == (10, 0, 0)


def test_a_nested_bundle_takes_everything_in_it(bundles: Books) -> None:
    bundles.take(seen(0, line(1, "hamper", shipped=units(1, 0))))
    assert bundles.sums("tray") == (0, 0, 0)
    assert bundles.sums("boxed") == (0, 0, 0)
    assert bundles.sums() == (6, 0, 0)
    bundles.take(seen(1, line(1, "hamper", shipped=units(1, 0), returned=units(1, 1))))
    assert (bundles.sums(), bundles.sums("boxed"), bundles.sums("tray")) == ((10, 0, 0), (1, 0, 0), (1, 0, 0))


def test_the_lines_of_one_order_add_up_on_a_shared_component(bundles: Books) -> None:
    bundles.locations = ("here", "there")
    bundles.hold(10, item="mug", location="there")
    bundles.hold(10, item="tray", location="there")
    bundles.take(seen(0, line(9), line(1, "set")))
    assert bundles.sums() == (10, 9, 0)
    assert bundles.sums(location="there") == (10, 2, 0)


def test_an_order_expires_and_a_later_version_reserves_again(books: Books) -> None:
    pending = seen(0, line(3), status=OrderStatus.PENDING)
    books.take(pending)
    assert kinds(books.lapse("1", hour(5))) == [(EntryKind.EXPIRE, 0, -3, 0)]
    assert books.sums() == (10, 0, 0)
    assert books.lapse("1", hour(6)).verdict == "same"
    assert books.take(pending).verdict == "same"
    assert books.sums() == (10, 0, 0)
    books.take(seen(7, line(3)))
    assert books.sums() == (10, 3, 0)
    books.lapse("1", hour(8))
    books.take(seen(9, line(3, shipped=units(3, 9))))
    assert books.sums() == (7, 0, 0)


def test_every_movement_names_its_order_its_line_and_its_run(books: Books) -> None:
    [movement] = books.take(seen(0, line(3))).movements
    assert movement.position == PositionKey("mug", "here")
    cause = movement.cause
    assert (cause.actor, cause.run, cause.channel, cause.order, cause.line) == (
        "order:shop",
        "run-1",
        "shop",
        "1",
        "mug",
    )
    [ship] = books.take(seen(1, line(3, shipped=units(1, 1)))).movements
    assert ship.reservation == movement.reservation != ""
