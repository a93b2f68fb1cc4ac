"""The referee counts from the marketplaces' logs and what was physically there, and from nothing else."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from channelsync.lab.marketplace_referee import Receipt, Referee, judged, oversold
from channelsync.lab.marketplace_values import LogEntry, Takes, What

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
MUG: Takes = (("MUG", 1),)


def entry(minute: float, what: What, units: int, takes: Takes = MUG, marketplace: str = "agora") -> LogEntry:
    return LogEntry(NOON + timedelta(minutes=minute), marketplace, what, units, "listing", takes)


def test_units_sold_by_two_marketplaces_over_what_there_is_are_oversold() -> None:
    agora = [entry(0, "sold", 2), entry(2, "sold", 2)]
    bazaar = [entry(1, "sold", 1, marketplace="bazaar"), entry(3, "sold", 1, marketplace="bazaar")]
    assert oversold([agora, bazaar], {"MUG": 4}) == {"MUG": 2}
    assert oversold([agora, bazaar], {"MUG": 6}) == {}
    assert oversold([agora], {}) == {"MUG": 4}


def test_a_cancel_frees_units_but_does_not_undo_an_oversell() -> None:
    assert oversold([[entry(0, "sold", 1), entry(1, "cancelled", 1), entry(2, "sold", 1)]], {"MUG": 1}) == {}
    referee = judged([[entry(0, "sold", 2), entry(1, "cancelled", 1)]], {"MUG": 1})
    assert (referee.oversold_units, referee.short) == (1, {})


def test_a_receipt_counts_from_when_it_came_in() -> None:
    log = [entry(0, "sold", 2), entry(10, "sold", 2)]
    early, late = (Receipt(NOON + timedelta(minutes=at), "MUG", 3) for at in (-1, 5))
    assert judged([log], {"MUG": 1}, [early]).oversold_units == 0
    assert judged([log], {"MUG": 1}, [late]).oversold_units == 1
    after = judged([log], {"MUG": 1}, [Receipt(NOON + timedelta(hours=1), "MUG", 3)])
    assert (after.oversold_units, after.left["MUG"]) == (3, 0)


def test_shipping_moves_nothing_returns_count_again_and_what_is_lost_or_set_aside_does_not() -> None:
    log = [
        entry(0, "sold", 5),
        entry(1, "shipped", 4),
        entry(2, "written off", 1),
        entry(3, "returned", 2),
        entry(4, "quarantined", 1),
        entry(5, "shipment taken back", 1),
    ]
    assert judged([log], {"MUG": 5}).unsold == {"MUG": 2}


def test_a_buyer_turned_away_counts_only_while_units_were_left_for_him() -> None:
    pack: Takes = (("MUG", 2), ("POT", 1))
    referee = Referee({"MUG": 5, "POT": 1})
    referee.tell(entry(0, "turned away", 3, pack))
    assert (referee.turned_away, referee.missed_units) == (1, 3)
    assert (referee.turned_away_while_left, referee.missed_while_left) == (1, 1)
    referee.tell(entry(1, "sold", 4))
    referee.tell(entry(2, "turned away", 1, pack))
    assert (referee.turned_away, referee.turned_away_while_left) == (2, 1)


def test_a_bundle_is_oversold_in_the_item_that_was_short() -> None:
    assert oversold([[entry(0, "sold", 2, (("MUG", 2), ("POT", 1)))]], {"MUG": 4, "POT": 1}) == {"POT": 1}


@given(st.lists(st.tuples(st.sampled_from(["sold", "cancelled", "returned"]), st.integers(1, 5))), st.integers(0, 20))
def test_units_left_are_what_was_there_less_what_is_promised(moves: list[tuple[What, int]], physical: int) -> None:
    log = [entry(minute, what, units) for minute, (what, units) in enumerate(moves)]
    referee = judged([log], {"MUG": physical})
    promised = sum(units if what == "sold" else -units for what, units in moves)
    assert referee.left["MUG"] == physical - promised
    assert referee.unsold.get("MUG", 0) - referee.short.get("MUG", 0) == physical - promised
    assert referee.oversold_units >= referee.short.get("MUG", 0)
