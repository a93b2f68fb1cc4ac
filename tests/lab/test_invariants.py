"""Each check finds what it is for, names it, and is silent about what is right."""

from datetime import UTC, datetime, timedelta

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.orders import OrderStatus
from channelsync.domain.provisional import Provisional
from channelsync.domain.quantities import PositionKey
from channelsync.lab.invariants import (
    Shown,
    budget_is_kept,
    generations_in_order,
    reserved_is_explained,
    rows_within_limit,
    shows_what_it_should,
    units_are_true,
)
from channelsync.lab.marketplace_values import Violation
from channelsync.lab.simulation_watch import Name, Sent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MUG = Name("agora", "agora-MUG")
CUP = Name("agora", "agora-CUP")


def row(open_units: int, *, each: int = 1, window_to: datetime = NOON) -> Provisional:
    return Provisional(
        id="row",
        key=7,
        units=open_units,
        open=open_units,
        plausible=open_units,
        window_from=NOON - timedelta(minutes=1),
        window_to=window_to,
        found_at=NOON,
        location="main",
        takes=(("mug", each),),
    )


def order(open_units: int, *, each: int = 1) -> BookedOrder:
    leg = Leg(number=1, location="main", takes=(("mug", each),), open=open_units)
    line = BookedLine(line="1", legs=(leg,))
    return BookedOrder(channel="agora", order="1", version=NOON, content="", status=OrderStatus.OPEN, lines=(line,))


def sent(generation: int, number: int, key: Name = MUG, minute: int = 0) -> Sent:
    return Sent(NOON + timedelta(minutes=minute), key, generation, number, None, lowering=False)


def test_open_order_lines_and_open_rows_explain_what_is_reserved() -> None:
    key = PositionKey("mug", "main")
    assert reserved_is_explained({key: 7}, [order(2, each=2)], [row(3)]) == []
    assert reserved_is_explained({key: 0}, [], []) == []


def test_reserved_units_that_nothing_explains_are_a_breach_of_1() -> None:
    key = PositionKey("mug", "main")
    for reserved in (6, 8):
        (breach,) = reserved_is_explained({key: reserved}, [order(2, each=2)], [row(3)])
        assert breach.invariant == "1"
        assert f"{reserved} units reserved" in breach.what
        assert "explain 7" in breach.what
    (missing,) = reserved_is_explained({}, [order(1)], [])
    assert missing.invariant == "1"


def test_writes_may_be_repeated_and_keys_count_for_themselves() -> None:
    assert generations_in_order([sent(1, 5), sent(1, 5), sent(2, 4), sent(1, 9, CUP), sent(3, 5)]) == []


def test_an_older_generation_after_a_newer_one_is_a_breach_of_2() -> None:
    (breach,) = generations_in_order([sent(2, 5), sent(1, 4, minute=1)])
    assert breach.invariant == "2"
    assert "generation 1 left" in breach.what


def test_one_generation_with_two_numbers_is_a_breach_of_2() -> None:
    (breach,) = generations_in_order([sent(1, 5), sent(1, 4)])
    assert (breach.invariant, "said 5, then 4" in breach.what) == ("2", True)


def test_a_number_that_is_not_what_it_should_be_is_a_breach_of_3_unless_it_may_not_be_written() -> None:
    right, wrong = Shown(key=MUG, shown=3, should=3), Shown(key=CUP, shown=4, should=3)
    excused = Shown(key=CUP, shown=4, should=3, excused="the listing has ended")
    (breach,) = shows_what_it_should([right, wrong, excused])
    assert (breach.invariant, "shows 4" in breach.what) == ("3", True)


def test_available_units_that_are_not_there_are_a_breach_of_3() -> None:
    assert units_are_true({"MUG": 3, "CUP": 0}, {"MUG": 3}) == []
    ours, theirs = units_are_true({"MUG": 4}, {"MUG": 3, "CUP": -1})
    assert {ours.invariant, theirs.invariant} == {"3"}
    assert "0 units of CUP" in ours.what


def test_a_row_older_than_its_limit_is_a_breach_of_3() -> None:
    limit = {7: timedelta(minutes=10)}
    late = NOON + timedelta(minutes=10, seconds=1)
    assert rows_within_limit([row(1)], NOON + timedelta(minutes=10), limit) == []
    assert rows_within_limit([row(0)], late, limit) == []
    (breach,) = rows_within_limit([row(1)], late, limit)
    assert breach.invariant == "3"


def test_every_call_over_a_budget_is_a_breach() -> None:
    over = Violation(NOON, "seller", "push", 1.0, 0.25, "second")
    rounded = Violation(NOON, "seller", "push", 1.0, 0.9996, "second")
    (breach,) = budget_is_kept({"agora": [over, rounded], "bazaar": []})
    assert (breach.invariant, "push" in breach.what) == ("budget", True)
