"""Buyers: who wants what, where and when, and what happens to their orders later.

Demand is a plan made beforehand (`PlannedOrder`s), so that the same buyers can come to different strategies. It is
drawn here (`poisson`), or replayed from the baskets of a data set (`trading_day`). `send_buyers` lets a plan happen on
the clock; what the buyers get is up to the marketplaces.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.lab.marketplace import Marketplace, Wanted
from channelsync.lab.marketplace_values import Order
from channelsync.lab.trading_day import AfterEvent, Cancel, Edit, PlannedLine, PlannedOrder, Return, Ship
from channelsync.sdk.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """What becomes of drawn orders; shares between 0 and 1 of the orders, the rest is shipped (or left open).

    after: seconds until it happens, (least, most). payment: seconds until an order is paid; None: at once.
    unpaid: the share of orders that are never paid, where payment comes later.
    """

    cancelled: float = 0.0
    edited: float = 0.0
    part_shipped: float = 0.0
    returned: float = 0.0
    left_open: float = 1.0
    after: tuple[float, float] = (60.0, 3600.0)
    payment: tuple[float, float] | None = None
    unpaid: float = 0.0


MIXED = Fates(cancelled=0.1, edited=0.08, part_shipped=0.1, returned=0.06, left_open=0.1)
"""Some of everything."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What buyers want of one item: orders a minute over all marketplaces, and where.

    listings: the listing id at each marketplace. shares: of the orders that go there; they add up to 1.
    units: how many an order wants, each as often as it stands there.
    """

    per_minute: float
    listings: Mapping[str, str]
    shares: Mapping[str, float]
    units: Sequence[int] = (1,)


def poisson(
    demand: Iterable[Demand], *, starts: datetime, lasts: timedelta, seed: int, fates: Fates | None = None
) -> list[PlannedOrder]:
    """Orders drawn at random, in order of time. The same arguments give the same orders."""
    orders: list[PlannedOrder] = []
    for turn, each in enumerate(demand):
        rng = random.Random(f"{seed} buyers {turn}")
        names = sorted(each.shares)
        weights = [each.shares[name] for name in names]
        at = starts
        while each.per_minute > 0:
            at += timedelta(minutes=rng.expovariate(each.per_minute))
            if at >= starts + lasts:
                break
            name = rng.choices(names, weights)[0]
            line = PlannedLine("1", each.listings[name], rng.choice(each.units))
            after = _after(at, line, rng, fates) if fates else ()
            orders.append(PlannedOrder(f"{name}-{turn}-{len(orders)}", name, at, (line,), after))
    return sorted(orders, key=lambda order: (order.placed_at, order.order_id))


def _after(at: datetime, line: PlannedLine, rng: random.Random, fates: Fates) -> tuple[AfterEvent, ...]:
    def later(since: datetime) -> datetime:
        return since + timedelta(seconds=rng.uniform(*fates.after))

    first = later(at)
    second = later(first)
    lot = rng.random()
    stories: list[tuple[float, tuple[AfterEvent, ...]]] = [
        (fates.left_open, ()),
        (fates.cancelled, (Cancel(first),)),
        (fates.edited, (Edit(first, line.line_id, max(1, line.quantity + rng.choice((-1, 1)))), Ship(second, None))),
        (fates.part_shipped, (Ship(first, ((line.line_id, 1),)), Ship(second, None))),
        (
            fates.returned,
            (Ship(first, None), Return(second, line.line_id, line.quantity, withheld=rng.random() < 0.3)),
        ),
    ]
    for share, story in stories:
        if lot < share:
            return story
        lot -= share
    return (Ship(first, None),)


async def send_buyers(
    orders: Iterable[PlannedOrder],
    marketplaces: Mapping[str, Marketplace],
    clock: Clock,
    *,
    fates: Fates | None = None,
    seed: int = 0,
) -> None:
    """Lets every planned order happen at its time, and what follows it; returns after the last.

    fates: when orders are paid, if not at once. Events for lines that got nothing are left out.
    """
    rng = random.Random(f"{seed} payments")
    steps: list[tuple[datetime, int, PlannedOrder, AfterEvent | str]] = []
    turn = 0
    for order in orders:
        steps.append((order.placed_at, turn, order, "place"))
        turn += 1
    heapq.heapify(steps)
    while steps:
        at, _, order, event = heapq.heappop(steps)
        wait = (at - clock.now()).total_seconds()
        if wait > 0:
            await clock.sleep(wait)
        market = marketplaces[order.marketplace]
        if event == "pay":
            market.pay(order.order_id)
        elif isinstance(event, str):
            for moment, following in _placed(order, market, rng, fates):
                turn += 1
                heapq.heappush(steps, (moment, turn, order, following))
        else:
            follow(market, order.order_id, event)


def _placed(
    order: PlannedOrder, market: Marketplace, rng: random.Random, fates: Fates | None
) -> list[tuple[datetime, AfterEvent | str]]:
    """Places an order, and says what is to follow; nothing for a buyer who got nothing."""
    payment = fates.payment if fates else None
    basket = [Wanted(line.listing_id, line.quantity, line.line_id) for line in order.lines]
    sale = market.place(basket, order=order.order_id, paid=payment is None)
    if sale.order is None:
        return []
    following: list[tuple[datetime, AfterEvent | str]] = [(event.at, event) for event in order.after]
    if payment is not None and fates is not None and rng.random() >= fates.unpaid:
        following.append((order.placed_at + timedelta(seconds=rng.uniform(*payment)), "pay"))
    return following


def follow(market: Marketplace, order: str, event: AfterEvent) -> Order:
    """Lets one later event of an order happen at its marketplace, now."""
    placed = market.orders[order]
    match event:
        case Cancel():
            return market.cancel(order)
        case Ship(lines=None):
            return market.ship(order)
        case Ship(lines=lines):
            return market.ship(order, _spread(placed, lines or ()))
        case Edit(line_id=line, quantity=quantity):
            return market.edit(order, line, quantity) if _has(placed, line) else placed
        case Return(line_id=line, quantity=quantity, withheld=withheld):
            for name, units in _spread(placed, ((line, quantity),)).items():
                placed = market.bring_back(order, name, units, quarantined=withheld)
            return placed


def _has(order: Order, line: str) -> bool:
    return any(each.id == line for each in order.lines)


def _spread(order: Order, wanted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Units by real order line: one that was split over locations takes what its first part does not."""
    many: dict[str, int] = {}
    for line, units in wanted:
        left = units
        for each in order.lines:
            if each.id == line or each.id.startswith(f"{line}."):
                here = min(left, each.ordered)
                many[each.id] = here
                left -= here
    return many
