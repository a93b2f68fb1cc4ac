"""What a raise may put on sale although it is sold: nothing that a read or an order had told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from channelsync.lab.invariants_raises import Booking, Day, Raises, Tolerance, check_raises
from channelsync.lab.marketplace_values import LogEntry, NumberChange, NumberKey
from channelsync.lab.simulation_watch import Name, Sent, Witness

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AGORA, BAZAAR = Name("agora", "a-MUG"), Name("bazaar", "b-MUG")
USUAL = Tolerance(window=timedelta(minutes=2), settles=timedelta(0), doubt=timedelta(minutes=1))


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def judge(
    *,
    sold_at: float = 0,
    units: int = 1,
    booked_at: float | None = None,
    read_at: float | None = 8.5,
    reads_before: float = -5,
    raised_to: int = 5,
    expected: int | None = None,
    tolerance: Tolerance = USUAL,
    more: Sequence[NumberChange] = (),
    failed_at: float | None = None,
    excess: int = 0,
    sent: Sequence[Sent] = (),
) -> Raises:
    """5 mugs; bazaar sells some; at minute 10 agora is raised from 2."""
    witness = Witness(
        sent=[*sent, Sent(at(10), AGORA, 1, raised_to, expected, lowering=False)],
        reads={} if read_at is None else {BAZAAR: [(at(minute), at(minute)) for minute in (reads_before, read_at)]},
        failed={} if failed_at is None else {"bazaar": [at(failed_at)]},
    )
    sale = NumberChange(at(sold_at), NumberKey("b-MUG"), 5, 5 - units, "sold")
    raised = NumberChange(at(10), NumberKey("a-MUG"), 2, raised_to, "write", at(10))
    return check_raises(
        Day(
            opening={"MUG": 5},
            logs={"bazaar": [LogEntry(at(sold_at), "bazaar", "sold", units, "b-MUG", (("MUG", 1),), "order")]},
            changes={"agora": [raised], "bazaar": sorted([sale, *more], key=lambda change: change.at)},
            tolerances={"agora": USUAL, "bazaar": tolerance},
            takes={AGORA: (("MUG", 1),), BAZAAR: (("MUG", 1),)},
            bookings=[] if booked_at is None else [Booking("bazaar", "order", "MUG", at(booked_at), units)],
            witness=witness,
            excess={BAZAAR: [(at(9), excess)]} if excess else {},
        )
    )


def test_a_raise_to_what_is_left_exceeds_nothing() -> None:
    found = judge(raised_to=4)
    assert (found.checked, found.over, found.breaches) == (1, 0, [])


def test_a_raise_that_forgets_a_sale_that_was_read_is_a_breach_of_4() -> None:
    found = judge()
    assert (found.over, [breach.invariant for breach in found.breaches]) == (1, ["4"])


def test_a_raise_that_forgets_a_booked_order_is_a_breach_of_4() -> None:
    found = judge(sold_at=9.9, booked_at=9.95)
    assert [breach.invariant for breach in found.breaches] == ["4"]


def test_a_sale_too_short_before_to_be_known_is_shown_and_no_breach() -> None:
    found = judge(sold_at=9)
    assert (found.over, found.most, found.breaches) == (1, 1, [])


def test_only_the_units_that_could_not_be_known_are_excused() -> None:
    found = judge(sold_at=9, units=1, raised_to=6)
    assert [breach.invariant for breach in found.breaches] == ["4"]


def test_a_raise_that_rests_on_an_old_read_is_a_breach_unless_the_marketplace_could_not_be_read() -> None:
    assert [breach.invariant for breach in judge(sold_at=1, read_at=0.5).breaches] == ["4"]
    assert judge(sold_at=1, read_at=0.5, failed_at=9).breaches == []


def test_a_sale_on_the_raised_key_itself_is_the_channels_to_refuse_where_it_compares() -> None:
    witness = Witness(sent=[Sent(at(10), AGORA, 1, 5, 2, lowering=False)], reads={AGORA: [(at(9), at(9))]})
    sale = NumberChange(at(9.5), NumberKey("a-MUG"), 3, 2, "sold")
    raised = NumberChange(at(10), NumberKey("a-MUG"), 2, 5, "write", at(10))
    day = Day(
        opening={"MUG": 5},
        logs={"agora": [LogEntry(at(9.5), "agora", "sold", 1, "a-MUG", (("MUG", 1),), "order")]},
        changes={"agora": [sale, raised]},
        tolerances={"agora": USUAL},
        takes={AGORA: (("MUG", 1),)},
        bookings=[],
        witness=witness,
    )
    assert [breach.invariant for breach in check_raises(day).breaches] == ["4"]


def test_a_rise_of_the_same_size_hides_a_sale() -> None:
    back = NumberChange(at(4), NumberKey("b-MUG"), 4, 5, "human edit")
    assert judge(more=[back]).breaches == []


def test_a_rise_before_a_sale_hides_it_unless_a_read_has_shown_the_rise() -> None:
    typed = NumberChange(at(-4), NumberKey("b-MUG"), 4, 5, "human edit")
    assert judge(reads_before=-5, more=[typed]).breaches == []
    assert [breach.invariant for breach in judge(reads_before=-3, more=[typed]).breaches] == ["4"]


def test_a_sale_after_a_raise_of_ours_that_no_read_had_shown_looks_like_a_lost_raise() -> None:
    ours = NumberChange(at(-1), NumberKey("b-MUG"), 4, 5, "write")
    assert judge(reads_before=-2, more=[ours]).breaches == []
    assert [breach.invariant for breach in judge(reads_before=-0.5, more=[ours]).breaches] == ["4"]


def test_a_sale_that_the_number_never_told_of_is_hidden() -> None:
    later = Tolerance(
        window=timedelta(minutes=2), settles=timedelta(0), doubt=timedelta(minutes=1), moves_at_once=False
    )
    assert judge(tolerance=later).breaches == []


def test_a_sale_that_our_own_write_swallowed_is_hidden_until_the_marketplace_could_be_read() -> None:
    ours = NumberChange(at(5), NumberKey("b-MUG"), 4, 3, "write")
    assert judge(read_at=5, more=[ours], failed_at=1).breaches == []
    assert [breach.invariant for breach in judge(read_at=5, more=[ours]).breaches] == ["4"]
    assert [breach.invariant for breach in judge(read_at=4, more=[ours], failed_at=1).breaches] == ["4"]


def test_a_sale_of_long_ago_is_hidden_by_a_lowering_that_left_although_nothing_could_be_read() -> None:
    ours = NumberChange(at(5), NumberKey("b-MUG"), 4, 4, "write", at(5))
    lowered, raised = (Sent(at(5), BAZAAR, 1, 4, None, lowering=lowering) for lowering in (True, False))
    assert judge(more=[ours], sent=[lowered], failed_at=4.5).breaches == []
    for breach in (
        judge(more=[ours], sent=[lowered]),
        judge(more=[ours], sent=[lowered], failed_at=2.5),
        judge(more=[ours], sent=[lowered], failed_at=4.5, read_at=4),
        judge(more=[ours], sent=[raised], failed_at=4.5),
    ):
        assert [one.invariant for one in breach.breaches] == ["4"]


def test_a_sale_that_did_what_a_write_on_its_way_was_to_do_looks_like_that_write() -> None:
    dropped = NumberChange(at(1), NumberKey("b-MUG"), 4, 4, "dropped write", at(-1))
    assert judge(more=[dropped], sent=[Sent(at(-1), BAZAAR, 1, 4, 5, lowering=True)]).breaches == []
    other = judge(more=[dropped], sent=[Sent(at(-1), BAZAAR, 1, 3, 5, lowering=True)])
    assert [breach.invariant for breach in other.breaches] == ["4"], "a read shows that it is another number"


def test_a_drop_that_was_too_large_to_be_plausible_was_released_by_the_rules() -> None:
    assert judge(excess=1).breaches == []
    assert judge(units=2, excess=1).breaches != []


def test_a_lowering_is_no_raise() -> None:
    witness = Witness(sent=[Sent(at(10), AGORA, 1, 5, None, lowering=True)])
    raised = NumberChange(at(10), NumberKey("a-MUG"), 2, 5, "write", at(10))
    day = Day(
        opening={"MUG": 1},
        logs={},
        changes={"agora": [raised]},
        tolerances={"agora": USUAL},
        takes={AGORA: (("MUG", 1),)},
        bookings=[],
        witness=witness,
    )
    assert check_raises(day) == Raises()
