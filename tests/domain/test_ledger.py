"""The ledger: which entries are legal, what they add up to, and that altering one is seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.errors import BadEntry, BrokenChain
from channelsync.domain.ledger import (
    Cause,
    EntryKind,
    LedgerEntry,
    Movement,
    append,
    available_moved,
    entry_id,
    joined,
    replay,
)
from channelsync.domain.quantities import Position, PositionKey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MUG = PositionKey("mug", "here")
CAUSE = Cause(actor="user:ann", run="run-1", reason="counted", channel="shop", order="1", line="a")

LEGAL = {
    EntryKind.RECEIPT: "+00 +0+",
    EntryKind.RESERVE: "0+0",
    EntryKind.PROVISIONAL: "0+0",
    EntryKind.TAKE_OVER: "0+0 0-0",
    EntryKind.SHIP: "--0 0-0",
    EntryKind.RELEASE: "0-0",
    EntryKind.EXPIRE: "0-0",
    EntryKind.RETURN: "+00 +0+ 000 00+",
    EntryKind.WITHHOLD: "00+",
    EntryKind.UNWITHHOLD: "00-",
    EntryKind.ADJUST: "+00 -00 000",
    EntryKind.TRANSFER: "+00 -00",
    EntryKind.CONSUME: "-00",
    EntryKind.PRODUCE: "+00",
    EntryKind.WRITE_OFF: "-00 -0- --0 0-0",
}
SIGNS = {"+": 3, "-": -3, "0": 0}


def moved(kind: EntryKind, on_hand: int = 0, reserved: int = 0, withheld: int = 0, **more: Any) -> Movement:
    fields: dict[str, Any] = {"id": entry_id(kind, on_hand, reserved, withheld), "at": NOON, "cause": CAUSE, **more}
    return Movement(position=MUG, kind=kind, on_hand=on_hand, reserved=reserved, withheld=withheld, **fields)


def chain(*movements: Movement) -> tuple[Position, list[LedgerEntry]]:
    position, entries = Position(key=MUG), []
    for number, movement in enumerate(movements):
        position, entry = append(position, movement, NOON + timedelta(seconds=number))
        entries.append(entry)
    return position, entries


def test_available_moves_by_the_sum_of_what_happens_at_each_location() -> None:
    there = PositionKey("mug", "there")
    reserved, shipped = moved(EntryKind.RESERVE, 0, 2), moved(EntryKind.SHIP, -2, -2)
    sent, came = moved(EntryKind.TRANSFER, -2), replace(moved(EntryKind.TRANSFER, 2), position=there)
    aside = replace(moved(EntryKind.WITHHOLD, 0, 0, 1), position=PositionKey("cup", "here"))

    assert available_moved([shipped, aside]) == {"cup"}
    assert available_moved([reserved, shipped]) == {"mug"}
    assert available_moved([reserved, moved(EntryKind.RELEASE, 0, -2)]) == set()
    assert available_moved([sent, came]) == {"mug"}


@pytest.mark.parametrize("kind", EntryKind)
def test_a_kind_changes_only_what_it_may(kind: EntryKind) -> None:
    for signs in map("".join, product("+-0", repeat=3)):
        changes = [SIGNS[sign] for sign in signs]
        if signs in LEGAL[kind].split():
            assert moved(kind, *changes).kind is kind
        else:
            with pytest.raises(BadEntry, match=f"mug at here: a {kind} entry cannot change"):
                moved(kind, *changes)


def test_available_is_on_hand_less_reserved_and_withheld_and_is_never_clamped() -> None:
    position, _ = chain(
        moved(EntryKind.RECEIPT, 5), moved(EntryKind.WITHHOLD, withheld=2), moved(EntryKind.RESERVE, reserved=9)
    )
    assert (position.on_hand, position.reserved, position.withheld, position.available) == (5, 9, 2, -6)
    assert position.entries == 3


@pytest.mark.parametrize("kind", [EntryKind.RELEASE, EntryKind.EXPIRE, EntryKind.SHIP])
def test_a_reservation_cannot_end_more_often_than_it_was_made(kind: EntryKind) -> None:
    position, _ = chain(moved(EntryKind.RECEIPT, 5), moved(EntryKind.RESERVE, reserved=1))
    with pytest.raises(BadEntry, match="-1 reserved"):
        append(position, moved(kind, -2 if kind is EntryKind.SHIP else 0, -2), NOON)


def test_no_more_units_can_be_put_back_on_sale_than_were_withheld() -> None:
    position, _ = chain(moved(EntryKind.RECEIPT, 5), moved(EntryKind.WITHHOLD, withheld=1))
    with pytest.raises(BadEntry, match="-1 withheld"):
        append(position, moved(EntryKind.UNWITHHOLD, withheld=-2), NOON)


def test_on_hand_may_fall_below_zero_while_a_count_is_overdue() -> None:
    position, _ = chain(moved(EntryKind.RESERVE, reserved=1), moved(EntryKind.SHIP, -1, -1))
    assert position.on_hand == -1


def test_a_movement_of_another_position_is_refused() -> None:
    with pytest.raises(BadEntry, match="applied to"):
        append(Position(key=PositionKey("mug", "there")), moved(EntryKind.RECEIPT, 1), NOON)


def test_times_without_a_zone_are_refused() -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(BadEntry, match="no time zone"):
        moved(EntryKind.RECEIPT, 1, at=naive)
    with pytest.raises(BadEntry, match="no time zone"):
        append(Position(key=MUG), moved(EntryKind.RECEIPT, 1), naive)


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-1", "1000000000", "0.0000001"])
def test_a_cost_that_a_database_would_change_is_refused(cost: str) -> None:
    with pytest.raises(BadEntry, match="cannot be kept"):
        moved(EntryKind.RECEIPT, 1, unit_cost=Decimal(cost))


def test_a_cost_may_come_back_from_the_database_with_more_zeroes() -> None:
    position, [entry] = chain(moved(EntryKind.RECEIPT, 1, unit_cost=Decimal("1.5"), currency="EUR"))
    stored = replace(entry, movement=replace(entry.movement, unit_cost=Decimal("1.500000")))
    assert replay(MUG, [stored]) == position


def test_times_may_come_back_from_the_database_in_another_zone() -> None:
    position, [entry] = chain(moved(EntryKind.RECEIPT, 1))
    berlin = timezone(timedelta(hours=1))
    stored = replace(entry, movement=replace(entry.movement, at=NOON.astimezone(berlin)))
    assert replay(MUG, [stored]) == position


def test_the_ledger_alone_gives_the_position() -> None:
    position, entries = chain(
        moved(EntryKind.RECEIPT, 5), moved(EntryKind.RESERVE, reserved=2), moved(EntryKind.SHIP, -2, -2)
    )
    assert replay(MUG, entries) == position
    assert replay(MUG, []) == Position(key=MUG)


ENTRIES = chain(
    moved(EntryKind.RECEIPT, 5, lot="L1"), moved(EntryKind.RESERVE, reserved=2), moved(EntryKind.RELEASE, reserved=-2)
)[1]
OTHER = PositionKey("cup", "here")


@pytest.mark.parametrize(
    "altered",
    [
        ENTRIES[1:],
        ENTRIES[:1] + ENTRIES[2:],
        [ENTRIES[0], ENTRIES[2], ENTRIES[1]],
        [*ENTRIES, ENTRIES[2]],
        [replace(ENTRIES[0], number=2), *ENTRIES[1:]],
        [replace(ENTRIES[0], recorded_at=NOON - timedelta(seconds=1)), *ENTRIES[1:]],
        [replace(ENTRIES[0], previous="0"), *ENTRIES[1:]],
        *(
            [replace(ENTRIES[0], movement=replace(ENTRIES[0].movement, **change)), *ENTRIES[1:]]
            for change in [
                {"on_hand": 6},
                {"withheld": 1},
                {"at": NOON - timedelta(days=1)},
                {"id": "another"},
                {"lot": "L2"},
                {"unit_cost": Decimal(1)},
                {"currency": "EUR"},
                {"reservation": "another"},
                {"kind": EntryKind.PRODUCE},
                {"position": OTHER},
                *({"cause": replace(CAUSE, **{name: "x"})} for name in ("actor", "run", "reason", "order", "line")),
                {"cause": replace(CAUSE, channel="x")},
            ]
        ),
    ],
)
def test_any_altered_or_missing_entry_breaks_the_chain(altered: list[LedgerEntry]) -> None:
    with pytest.raises(BrokenChain, match="mug at here: entry"):
        replay(MUG, altered)


def test_an_entry_that_was_altered_together_with_its_hash_breaks_the_chain_behind_it() -> None:
    first = append(Position(key=MUG), moved(EntryKind.RECEIPT, 6), NOON)[1]
    with pytest.raises(BrokenChain, match="entry 2"):
        replay(MUG, [first, *ENTRIES[1:]])


def test_equal_parts_give_equal_ids_and_a_number_equals_its_text() -> None:
    assert entry_id("shop", 1, "a") == entry_id("shop", "1", "a")
    assert len(entry_id("x")) == 32


@given(one=st.lists(st.text()), other=st.lists(st.text()))
def test_different_parts_never_run_together(one: list[str], other: list[str]) -> None:
    assert (joined(one) == joined(other)) == (one == other)


def test_text_cannot_be_moved_from_one_field_of_an_entry_to_the_next() -> None:
    split = chain(moved(EntryKind.RECEIPT, 1, cause=replace(CAUSE, channel="a\x1fb", order="c")))[1][0]
    other = chain(moved(EntryKind.RECEIPT, 1, cause=replace(CAUSE, channel="a", order="b\x1fc")))[1][0]
    assert split.hash != other.hash


STEPS = st.sampled_from([(EntryKind.RECEIPT, 2, 0, 0), (EntryKind.RESERVE, 0, 1, 0), (EntryKind.WITHHOLD, 0, 0, 1)])


@given(steps=st.lists(STEPS, max_size=12), cut=st.integers(0, 11))
def test_replaying_any_ledger_gives_its_sums_and_losing_any_entry_is_seen(
    steps: list[tuple[EntryKind, int, int, int]], cut: int
) -> None:
    position, entries = chain(*(moved(*step) for step in steps))
    assert replay(MUG, entries) == position
    assert position.on_hand == sum(step[1] for step in steps)
    if cut < len(entries) - 1:
        with pytest.raises(BrokenChain):
            replay(MUG, entries[:cut] + entries[cut + 1 :])
