"""The day that is replayed: what goes wrong is bounded, seeded, and the same for both strategies."""

from datetime import UTC, date, datetime, timedelta

import pytest

from channelsync.lab.baskets import Basket, BasketLine, Day, DayCounts
from channelsync.lab.faults import ORDER_ENDPOINTS, FaultKind
from channelsync.lab.replay_day import RULES, day_begins, faults_of, wares_of
from channelsync.lab.trading_day import MARKETPLACES, TradingDay, plan_trading_day

DAY = date(2017, 12, 23)


@pytest.fixture
def plan() -> TradingDay:
    """Sixty baskets of three wares each, one every twenty minutes."""
    begins = datetime(2017, 12, 23, tzinfo=UTC)
    baskets = tuple(
        Basket(
            f"b{n}",
            begins + timedelta(minutes=20 * n),
            f"outlet {n % 7}",
            tuple(BasketLine(f"s{(n + k) % 9}", 1 + k) for k in range(3)),
        )
        for n in range(60)
    )
    return plan_trading_day(Day(DAY, baskets, DayCounts(60, 180, 9, 7), 0, 0), seed=1)


def test_every_marketplace_of_the_plan_has_rules_and_no_two_are_alike() -> None:
    assert set(RULES) == set(MARKETPLACES)
    assert len({str(rules.declares()) for rules in RULES.values()}) == len(RULES)


def test_the_wares_are_those_of_the_plan(plan: TradingDay) -> None:
    wares = wares_of(plan)
    assert wares.opening == plan.opening
    assert {one.listing: wares.takes(one.sku, one.multiple) for one in wares.listings} == {
        one.listing_id: tuple(sorted((content.sku, content.units) for content in one.contents)) for one in plan.listings
    }


@pytest.mark.parametrize("name", MARKETPLACES)
def test_trouble_begins_with_the_day_and_is_over_after_the_last_event(plan: TradingDay, name: str) -> None:
    faults = faults_of(plan, DAY, name, seed=3)
    assert all(fault.starts >= day_begins(DAY) for fault in faults.faults)
    assert all(fault.ends <= plan.ends_at() for fault in faults.faults)
    assert all(deed.at >= day_begins(DAY) for deed in faults.deeds)
    assert {deed.what for deed in faults.deeds} >= {"typo", "human edit"}


@pytest.mark.parametrize("name", MARKETPLACES)
def test_the_same_seed_gives_the_same_trouble_and_another_seed_another(plan: TradingDay, name: str) -> None:
    one, same, other = (faults_of(plan, DAY, name, seed=seed) for seed in (5, 5, 6))
    assert (one.faults, one.deeds) == (same.faults, same.deeds)
    assert (one.faults, one.deeds) != (other.faults, other.deeds)


def test_human_hands_type_numbers_that_are_fixed_beforehand(plan: TradingDay) -> None:
    """Drawn at the time, they would differ between two strategies that show different numbers."""
    offered = {one.listing_id for one in plan.listings}
    for name in MARKETPLACES:
        typed = [deed for deed in faults_of(plan, DAY, name, seed=3).deeds if deed.what != "tokens dropped"]
        assert all(deed.number is not None and deed.key is not None for deed in typed)
        assert {deed.key.key for deed in typed if deed.key} <= offered


def test_the_orders_of_one_marketplace_cannot_be_read_for_a_while_and_one_is_down(plan: TradingDay) -> None:
    down = faults_of(plan, DAY, "bazaar", seed=3).faults
    assert any(fault.endpoints == ORDER_ENDPOINTS and fault.chance == 1 for fault in down)
    assert any(fault.kind is FaultKind.OUTAGE for fault in faults_of(plan, DAY, "corso", seed=3).faults)
