"""Buyers come when they are planned, take what the marketplace gives, and their orders live on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.lab.buyers import MIXED, Demand, Fates, poisson, send_buyers
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_referee import Referee, judged
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.marketplace_values import NumberKey, Offer, Status, units
from channelsync.lab.trading_day import AfterEvent, Cancel, Edit, PlannedLine, PlannedOrder, Return, Ship
from channelsync.lab.virtual_time import LabClock, run_virtual

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
SHARES = {"agora": 0.5, "bazaar": 0.3, "corso": 0.2}
MUGS = Demand(0.5, dict.fromkeys(SHARES, "mug"), SHARES)
FOUR_HOURS = timedelta(minutes=240)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def markets(clock: Any, number: int, preset: str = "plain") -> dict[str, Marketplace]:
    """Three marketplaces, each showing all of so many mugs."""
    made = {}
    for name in SHARES:
        made[name] = open_site(name, PRESETS[preset], clock).marketplace
        made[name].open_listing(Offer(listing="mug", sku="MUG"), number)
    return made


def planned(after: tuple[AfterEvent, ...] = (), *, lines: tuple[PlannedLine, ...] = ()) -> PlannedOrder:
    wanted = lines or (PlannedLine("1", "mug", 3),)
    return PlannedOrder("O-1", "agora", minute(1), wanted, after)


def lived(orders: list[PlannedOrder], number: int = 10, preset: str = "plain", **how: Any) -> dict[str, Marketplace]:
    async def main() -> dict[str, Marketplace]:
        clock = LabClock()
        made = markets(clock, number, preset)
        await send_buyers(orders, made, clock, **how)
        return made

    return run_virtual(main(), start=NOON)


# The plan


def test_poisson_buyers_come_as_often_and_where_they_should() -> None:
    orders = [order for seed in range(40) for order in poisson([MUGS], starts=NOON, lasts=FOUR_HOURS, seed=seed)]
    assert len(orders) / 40 == pytest.approx(120, rel=0.05)
    for name, share in SHARES.items():
        assert sum(order.marketplace == name for order in orders) / len(orders) == pytest.approx(share, abs=0.02)
    assert all(NOON < order.placed_at < NOON + FOUR_HOURS for order in orders)


def test_the_same_seed_gives_the_same_buyers_in_order_of_time() -> None:
    two = [MUGS, Demand(0.2, {"agora": "pot"}, {"agora": 1.0}, units=(1, 1, 2))]
    plans = [poisson(two, starts=NOON, lasts=FOUR_HOURS, seed=seed, fates=MIXED) for seed in (5, 5, 6)]
    assert plans[0] == plans[1] != plans[2]
    assert plans[0] == sorted(plans[0], key=lambda order: order.placed_at)
    assert len({order.order_id for order in plans[0]}) == len(plans[0])
    assert {line.quantity for order in plans[0] for line in order.lines} == {1, 2}


def test_other_demand_does_not_move_the_buyers_of_an_item() -> None:
    alone = poisson([MUGS], starts=NOON, lasts=FOUR_HOURS, seed=5)
    both = poisson([MUGS, Demand(0.2, {"agora": "pot"}, {"agora": 1.0})], starts=NOON, lasts=FOUR_HOURS, seed=5)
    assert [order for order in both if order.lines[0].listing_id == "mug"] == alone
    assert poisson([Demand(0.0, {}, {})], starts=NOON, lasts=FOUR_HOURS, seed=5) == []


def test_fates_fall_in_their_shares() -> None:
    orders = [o for seed in range(20) for o in poisson([MUGS], starts=NOON, lasts=FOUR_HOURS, seed=seed, fates=MIXED)]

    def share(*kinds: type) -> float:
        return sum(tuple(map(type, order.after)) == kinds for order in orders) / len(orders)

    assert share(Cancel) == pytest.approx(MIXED.cancelled, abs=0.02)
    assert share(Edit, Ship) == pytest.approx(MIXED.edited, abs=0.02)
    assert share(Ship, Ship) == pytest.approx(MIXED.part_shipped, abs=0.02)
    assert share(Ship, Return) == pytest.approx(MIXED.returned, abs=0.02)
    assert share() == pytest.approx(MIXED.left_open, abs=0.02)
    assert all(order.placed_at < order.after[0].at for order in orders if order.after)


# What happens


def test_orders_are_placed_at_their_times_and_turned_away_where_nothing_is_left() -> None:
    orders = poisson([MUGS], starts=NOON, lasts=FOUR_HOURS, seed=1)
    made = lived(orders, number=30)
    referee = judged([market.log for market in made.values()], {"MUG": 30})
    wanted = {name: sum(order.marketplace == name for order in orders) for name in SHARES}
    for name, market in made.items():
        placed = [order.placed_at for order in orders if order.marketplace == name]
        assert [entry.at for entry in market.log] == placed
        assert sum(entry.what == "sold" for entry in market.log) == min(30, wanted[name])
    assert referee.oversold_units == sum(min(30, n) for n in wanted.values()) - 30
    assert referee.turned_away == sum(max(0, n - 30) for n in wanted.values())


def test_a_referee_that_listens_counts_as_one_that_reads_the_logs() -> None:
    orders = poisson([MUGS], starts=NOON, lasts=FOUR_HOURS, seed=2, fates=MIXED)
    referee = Referee({"MUG": 30})

    async def main() -> dict[str, Marketplace]:
        clock = LabClock()
        made = markets(clock, 30)
        for market in made.values():
            market.on_log.append(referee.tell)
        await send_buyers(orders, made, clock)
        return made

    made = run_virtual(main(), start=NOON)
    again = judged([market.log for market in made.values()], {"MUG": 30})
    assert (referee.oversold, referee.left, referee.turned_away) == (again.oversold, again.left, again.turned_away)
    assert referee.oversold_units > 0


@pytest.mark.parametrize(
    ("after", "open_", "shipped", "number"),
    [
        ((), 3, 0, 7),
        ((Cancel(minute(5)),), 0, 0, 10),
        ((Edit(minute(5), "1", 5), Ship(minute(6), None)), 0, 5, 5),
        ((Edit(minute(5), "1", 1), Ship(minute(6), None)), 0, 1, 9),
        ((Ship(minute(5), (("1", 1),)),), 2, 1, 7),
        ((Ship(minute(5), (("1", 9), ("none", 1))),), 0, 3, 7),
        ((Edit(minute(5), "none", 5),), 3, 0, 7),
    ],
)
def test_what_follows_an_order_happens_at_its_marketplace(
    after: tuple[AfterEvent, ...], open_: int, shipped: int, number: int
) -> None:
    market = lived([planned(after)])["agora"]
    line = market.orders["O-1"].lines[0]
    assert (line.open, units(line.shipped), market.number(NumberKey("K-mug"))) == (open_, shipped, number)
    assert [entry.at for entry in market.log] == [
        minute(1),
        *(event.at for event in after if event.at in times(market)),
    ]


def times(market: Marketplace) -> set[datetime]:
    return {entry.at for entry in market.log}


def test_returns_come_back_for_sale_or_quarantined() -> None:
    story = (Ship(minute(5), None), Return(minute(6), "1", 1, withheld=False), Return(minute(7), "1", 9, withheld=True))
    line = lived([planned(story)])["agora"].orders["O-1"].lines[0]
    assert (units(line.returned), units(line.quarantined)) == (1, 2)


def test_a_buyer_who_got_nothing_has_no_story() -> None:
    market = lived([planned((Ship(minute(5), None), Return(minute(6), "1", 1, withheld=False)))], number=0)["agora"]
    assert (market.orders, [entry.what for entry in market.log]) == ({}, ["turned away"])


def test_a_line_split_over_locations_is_shipped_and_returned_as_one() -> None:
    north, south = NumberKey("K", "north"), NumberKey("K", "south")

    async def main() -> Marketplace:
        clock = LabClock()
        market = open_site("agora", PRESETS["plain"], clock).marketplace
        market.open_listing(Offer(listing="mug", sku="MUG", keys=(north, south)), {north: 2, south: 2})
        story = (Ship(minute(5), (("1", 3),)), Return(minute(6), "1", 3, withheld=False))
        await send_buyers([planned(story)], {"agora": market}, clock)
        return market

    lines = run_virtual(main(), start=NOON).orders["O-1"].lines
    assert [(line.id, line.ordered, units(line.shipped), units(line.returned)) for line in lines] == [
        ("1", 2, 2, 2),
        ("1.2", 1, 1, 1),
    ]


def test_orders_are_paid_later_or_never_where_fates_say_so() -> None:
    orders = [PlannedOrder(f"O-{n}", "agora", minute(n), (PlannedLine("1", "mug", 1),), ()) for n in range(1, 101)]
    fates = Fates(payment=(60.0, 600.0), unpaid=0.3)
    market = lived(orders, number=200, fates=fates, seed=4)["agora"]
    unpaid = [order for order in market.orders.values() if order.status is Status.AWAITING_PAYMENT]
    assert 15 < len(unpaid) < 45
    for order in market.orders.values():
        if order.paid_at is not None:
            assert timedelta(seconds=60) <= order.paid_at - order.placed_at <= timedelta(seconds=601)
    at_once = lived(orders, number=200)["agora"]
    assert all(order.paid_at == order.placed_at for order in at_once.orders.values())


def test_a_basket_of_several_lines_is_one_order() -> None:
    lines = (PlannedLine("a", "mug", 2), PlannedLine("b", "mug", 9))
    market = lived([planned(lines=lines)])["agora"]
    assert [(line.id, line.ordered) for line in market.orders["O-1"].lines] == [("a", 2), ("b", 8)]
