"""How few numbers somebody who knew all would have pushed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from channelsync.lab.fewest_writes import MarketLog, fewest_writes
from channelsync.lab.marketplace_values import LogEntry, NumberChange, NumberKey, What, Why
from channelsync.lab.stage import StagedListing, Wares

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WARES = Wares(
    opening={"TEA": 5},
    listings=[
        StagedListing(marketplace="agora", listing="a", sku="TEA"),
        StagedListing(marketplace="bazaar", listing="b", sku="TEA"),
        StagedListing(marketplace="bazaar", listing="b-pack", sku="TEA", multiple=3),
    ],
)


def happened(second: int, units: int, what: What = "sold") -> LogEntry:
    return LogEntry(NOON + timedelta(seconds=second), "agora", what, units, "a", (("TEA", 1),), "o", "l")


def moved(second: int, by: int, why: Why = "sold") -> NumberChange:
    return NumberChange(NOON + timedelta(seconds=second), NumberKey("a"), 5, 5 + by, why)


def fewest(log: Sequence[LogEntry], changes: Sequence[NumberChange]) -> int:
    return fewest_writes(WARES, {"agora": MarketLog(log, changes), "bazaar": MarketLog([], [])}, MINUTE)


def test_a_day_without_a_sale_needs_no_write() -> None:
    assert fewest([], []) == 0


def test_a_sale_is_one_write_for_each_number_that_does_not_follow_by_itself() -> None:
    assert fewest([happened(5, 1)], [moved(5, -1)]) == 1, "a pack can still be made of 4"
    assert fewest([happened(5, 3)], [moved(5, -3)]) == 2


def test_a_number_that_does_not_move_at_a_sale_is_written_too() -> None:
    assert fewest([happened(5, 1)], []) == 2


def test_what_happens_within_a_minute_is_written_once() -> None:
    assert fewest([happened(5, 1), happened(50, 1)], [moved(5, -1), moved(50, -1)]) == 1
    assert fewest([happened(5, 1), happened(65, 1)], [moved(5, -1), moved(65, -1)]) == 2


def test_what_comes_back_within_the_minute_is_never_written() -> None:
    back = [happened(5, 1), happened(50, 1, "cancelled")]
    assert fewest(back, [moved(5, -1), moved(50, 1, "given back")]) == 0


def test_a_slip_of_a_human_hand_is_one_write_and_our_own_writes_are_none() -> None:
    assert fewest([], [moved(5, 4, "human edit")]) == 1
    assert fewest([], [moved(5, 4, "write")]) == 0


def test_units_that_were_never_there_lower_nothing_below_0() -> None:
    assert fewest([happened(5, 5), happened(65, 2)], [moved(5, -5), moved(65, 0)]) == 2
