"""Orders in JSON columns: what is written is read again, also what revision 0001 of the schema wrote."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.rises import Rise
from channelsync.domain.sourcing import SoldAs
from channelsync.store.codec import dump_booked, dump_risen, dump_snapshot, load_booked, load_risen, load_snapshot

NOON = datetime(2017, 6, 1, 12, tzinfo=UTC)
TIMES = st.integers(0, 10**9).map(lambda micros: NOON + timedelta(microseconds=micros))
NAMES = st.text(min_size=1, max_size=5)
MOVES = st.lists(
    st.builds(Moved, units=st.integers(0, 9), at=st.none() | TIMES, location=st.none() | NAMES), max_size=3
).map(tuple)
LINES = st.builds(
    OrderLine,
    line=NAMES,
    ordered=st.integers(0, 9),
    listing=st.none() | NAMES,
    sku=st.none() | NAMES,
    cancelled=MOVES,
    lost=MOVES,
    shipped=MOVES,
    returned=MOVES,
    withheld=MOVES,
    location=st.none() | NAMES,
)
ORDERS = st.builds(
    OrderSnapshot,
    order=NAMES,
    version=TIMES,
    placed_at=TIMES,
    status=st.sampled_from(OrderStatus),
    lines=st.lists(LINES, min_size=1, max_size=3, unique_by=lambda line: line.line).map(tuple),
    deducted_at=st.none() | TIMES,
    cancelled_at=st.none() | TIMES,
)

UNITS = st.integers(0, 9)
LEGS = st.lists(
    st.builds(
        Leg,
        number=st.just(1),
        location=NAMES,
        takes=st.lists(st.tuples(NAMES, st.integers(1, 9)), min_size=1, max_size=2).map(tuple),
        **dict.fromkeys(("open", "shipped", "released", "expired", "lost", "returned", "withheld"), UNITS),
    ),
    max_size=3,
).map(lambda legs: tuple(replace(leg, number=number) for number, leg in enumerate(legs, start=1)))
BOOKED = st.builds(
    BookedOrder,
    channel=NAMES,
    order=NAMES,
    version=TIMES,
    content=NAMES,
    status=st.sampled_from(OrderStatus),
    lines=st.lists(
        st.builds(
            BookedLine,
            line=NAMES,
            sold=st.none() | st.builds(SoldAs, NAMES, st.integers(1, 9)),
            legs=LEGS,
            deducted=UNITS,
            given_back=UNITS,
        ),
        max_size=2,
    ).map(tuple),
    bookings=UNITS,
)


def read_again(order: BookedOrder, raw: bytes) -> BookedOrder:
    columns = {name: getattr(order, name) for name in ("channel", "order", "version", "content", "status")}
    return load_booked(raw, **columns)


@given(order=BOOKED)
def test_what_was_booked_of_an_order_is_read_again(order: BookedOrder) -> None:
    assert read_again(order, dump_booked(order)) == order


def test_what_revision_0001_set_aside_of_a_line_is_on_its_first_legs_that_came_back() -> None:
    legs = tuple(
        Leg(number=n, location=f"place {n}", takes=(("mug", 1),), shipped=2, returned=back)
        for n, back in ((1, 0), (2, 1), (3, 2))
    )
    order = BookedOrder(
        channel="shop",
        order="1",
        version=NOON,
        content="c",
        status=OrderStatus.CLOSED,
        lines=(BookedLine(line="1", legs=legs),),
    )
    stored = orjson.loads(dump_booked(order))
    stored["lines"][0]["withheld"] = 2
    stored["lines"][0]["legs"] = [leg[:-1] for leg in stored["lines"][0]["legs"]]
    (line,) = read_again(order, orjson.dumps(stored)).lines
    assert [leg.withheld for leg in line.legs] == [0, 1, 1]


@given(rises=st.lists(st.builds(Rise, units=UNITS, window_from=TIMES, window_to=TIMES)).map(tuple))
def test_rises_that_were_written_are_read_again(rises: tuple[Rise, ...]) -> None:
    assert load_risen(dump_risen(rises)) == rises
    assert dump_risen([]) == ""


@given(order=ORDERS)
def test_an_order_that_was_written_is_read_again(order: OrderSnapshot) -> None:
    assert load_snapshot(dump_snapshot(order)) == order


@given(order=ORDERS)
def test_an_order_of_revision_0001_tells_when_its_units_were_taken_under_another_name(order: OrderSnapshot) -> None:
    said = orjson.loads(dump_snapshot(order))
    said["paid"] = said.pop("deducted")
    assert load_snapshot(orjson.dumps(said)) == order
