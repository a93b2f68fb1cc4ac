"""Orders in JSON columns: what is written is read again, also what revision 0001 of the schema wrote."""

from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.store.codec import dump_snapshot, load_snapshot

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


@given(order=ORDERS)
def test_an_order_that_was_written_is_read_again(order: OrderSnapshot) -> None:
    assert load_snapshot(dump_snapshot(order)) == order


@given(order=ORDERS)
def test_an_order_of_revision_0001_tells_when_its_units_were_taken_under_another_name(order: OrderSnapshot) -> None:
    said = orjson.loads(dump_snapshot(order))
    said["paid"] = said.pop("deducted")
    assert load_snapshot(orjson.dumps(said)) == order
