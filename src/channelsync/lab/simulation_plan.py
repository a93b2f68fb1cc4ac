"""What one simulated day is made of: marketplaces, wares, buyers, faults and restarts, all drawn from one seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Fixed, LastUnits, Rule, RuleScope, RuleValues
from channelsync.lab.buyers import Demand, Fates, poisson
from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.stage import StagedListing, Wares
from channelsync.lab.trading_day import PlannedOrder
from channelsync.sdk.values import Deducts
from channelsync.store.items import item_id

STARTS = datetime(2026, 1, 1, 6, tzinfo=UTC)

CALM = timedelta(minutes=2)
"""Before anything goes wrong the listings are pulled once, as a seller does who sets up a channel."""

FATES = Fates(cancelled=0.1, edited=0.08, part_shipped=0.1, returned=0.08, left_open=0.14, after=(60.0, 1_200.0))
"""What becomes of orders: some of everything, the last of it at most 40 minutes after the order."""

PAYS_LATER = replace(FATES, payment=(20.0, 1_200.0), unpaid=0.15)

_LAPSE = 2_400.0
_OPENING = (1, 2, 3, 5, 8, 12, 25)
"""Units that a SKU begins with: few, for the last ones are where numbers go wrong."""

_UNITS = (1, 1, 1, 1, 1, 2, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a simulated day is.

    skus, marketplaces: how many. lasts: all of it. buying: how long buyers come. troubled: how long calls go wrong,
    humans type and orders change; what follows is quiet, and long enough for every number to become right.
    """

    skus: int = 50
    marketplaces: int = 4
    lasts: timedelta = timedelta(hours=4)
    buying: timedelta = timedelta(hours=2, minutes=10)
    troubled: timedelta = timedelta(hours=2, minutes=52)


USUAL = Size()
"""The size that is promised: 50 SKUs on 4 marketplaces for 4 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutWares(Wares):
    """Wares whose first numbers are cut at the marketplaces' caps: none shows more than it can hold. caps: by name."""

    caps: Mapping[str, int]

    def shown(self, listing: StagedListing, available: Mapping[str, int]) -> int:
        number = Wares.shown(self, listing, available)
        return min(number, self.caps.get(listing.marketplace, number))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """One day, drawn. Everything else follows from it: played twice it gives the same history twice.

    presets: by marketplace, whose rules they have (see `MarketplaceRules`). webhooks: the marketplaces whose messages
    are taken as hints. polls, ticks: how often each one's orders are asked for, and its numbers looked at. stops:
    when our process is stopped and started anew. rules: of the offer, by item id.
    """

    seed: int
    size: Size
    presets: Mapping[str, str]
    marketplaces: Mapping[str, MarketplaceRules]
    wares: Wares
    rules: tuple[Rule, ...]
    orders: Sequence[PlannedOrder]
    faults: Mapping[str, FaultPlan]
    webhooks: frozenset[str]
    polls: Mapping[str, timedelta]
    ticks: Mapping[str, timedelta]
    stops: tuple[datetime, ...]

    @property
    def truthful(self) -> bool:
        """Whether every marketplace behaves as it declares."""
        return all(behaves(rules) for rules in self.marketplaces.values())


def plan_simulation(
    seed: int, size: Size = USUAL, *, presets: Sequence[str] = (), faults: bool = True
) -> SimulationPlan:
    """Draws the day of a seed. presets: names in `PRESETS` for the marketplaces; empty: drawn too."""
    rng = random.Random(f"{seed} plan")
    chosen = list(presets) or rng.sample(sorted(PRESETS), size.marketplaces)
    names = {f"m{number}": preset for number, preset in enumerate(chosen, 1)}
    marketplaces = {name: _rules(preset) for name, preset in names.items()}
    wares = _wares(size, marketplaces, rng)
    return SimulationPlan(
        seed=seed,
        size=size,
        presets=names,
        marketplaces=marketplaces,
        wares=wares,
        rules=_offer_rules(size, list(names), rng),
        orders=_orders(seed, size, wares, rng),
        faults={
            name: FaultPlan.random(seed * 100 + number, starts=STARTS + CALM, lasts=size.troubled - CALM)
            for number, name in enumerate(names)
            if faults
        },
        webhooks=frozenset(name for name in names if rng.random() < 0.5),
        polls={name: timedelta(minutes=rng.choice((5, 10, 10, 15))) for name in names},
        ticks={name: timedelta(minutes=rng.choice((1, 2, 3, 5))) for name in names},
        stops=tuple(
            sorted(
                STARTS + CALM + rng.random() * (size.troubled - CALM) for _ in range(rng.randint(0, 2) if faults else 0)
            )
        ),
    )


def behaves(rules: MarketplaceRules) -> bool:
    """Whether such a marketplace does what it declares."""
    return not (rules.understates or rules.late_share)


def pays_later(rules: MarketplaceRules) -> bool:
    """Whether buyers of such a marketplace pay some time after they ordered."""
    return rules.pending_limit is not None or rules.deducts is Deducts.AS_TOLD


def _rules(preset: str) -> MarketplaceRules:
    """A preset's; unpaid orders lapse early enough for the day to end quietly."""
    rules = PRESETS[preset]
    return rules if rules.pending_limit is None else replace(rules, pending_limit=min(rules.pending_limit, _LAPSE))


def _wares(size: Size, marketplaces: Mapping[str, MarketplaceRules], rng: random.Random) -> Wares:
    names = list(marketplaces)
    skus = [f"S{number:02}" for number in range(size.skus)]
    opening = {sku: rng.choice(_OPENING) for sku in skus}
    listings = [StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku) for name in names for sku in skus]
    for sku in rng.sample(skus, max(1, size.skus // 10)):
        name, units = rng.choice(names), rng.randint(2, 4)
        listings.append(StagedListing(marketplace=name, listing=f"{name}-{sku}-x{units}", sku=sku, multiple=units))
    recipes = {}
    for number in range(max(1, size.skus // 16)):
        bundle = f"SET{number}"
        parts = tuple(Part(sku, rng.randint(1, 2)) for sku in rng.sample(skus, rng.randint(2, 3)))
        recipes[bundle] = Recipe(bundle, "virtual", parts)
        sellers = rng.sample(names, min(2, len(names)))
        listings += [StagedListing(marketplace=name, listing=f"{name}-{bundle}", sku=bundle) for name in sellers]
    caps = {name: m.cap for name, m in marketplaces.items() if m.cap is not None and m.clamps != "on read"}
    return CutWares(opening=opening, listings=listings, recipes=recipes, caps=caps)


def _orders(seed: int, size: Size, wares: Wares, rng: random.Random) -> list[PlannedOrder]:
    """Demand between a third and one and a half times what there is: about half of the SKUs run out."""
    shares = {name: rng.uniform(0.3, 1.0) for name in sorted({one.marketplace for one in wares.listings})}
    at: dict[tuple[str, int], dict[str, str]] = {}
    for one in wares.listings:
        at.setdefault((one.sku, one.multiple), {})[one.marketplace] = one.listing
    demand = []
    for (sku, multiple), listed in sorted(at.items()):
        units = wares.opening[sku] if multiple == 1 and sku in wares.opening else 4
        there = {name: shares[name] for name in listed}
        per_minute = units * rng.uniform(0.3, 1.5) / (sum(_UNITS) / len(_UNITS)) / (size.buying.total_seconds() / 60)
        demand.append(Demand(per_minute=per_minute, listings=listed, shares=there, units=_UNITS))
    return poisson(demand, starts=STARTS, lasts=size.buying, seed=seed, fates=FATES)


def _offer_rules(size: Size, names: Sequence[str], rng: random.Random) -> tuple[Rule, ...]:
    """Rules on scarce units, for some SKUs on some days."""
    if rng.random() < 0.5:
        return ()
    one, other = rng.sample(names, 2)

    def some() -> list[str]:
        return [item_id(f"S{number:02}") for number in sorted(rng.sample(range(size.skus), max(1, size.skus // 10)))]

    last = RuleValues(last_units=LastUnits(rng.randint(1, 3), (one, other)))
    made = [Rule(f"last-{item}", RuleScope(item=item), last, "the simulation") for item in some()]
    for kind, values in (
        ("buffer", RuleValues(buffer=Fixed(rng.randint(1, 2)))),
        ("share", RuleValues(share=rng.choice((40, 60, 80)))),
        ("fence", RuleValues(ring_fenced=rng.randint(1, 3))),
        ("most", RuleValues(maximum_shown=rng.randint(3, 9))),
        ("least", RuleValues(minimum_shown=rng.randint(2, 3))),
    ):
        made += [
            Rule(f"{kind}-{item}", RuleScope(item=item, channel=rng.choice(names)), values, "the simulation")
            for item in some()
        ]
    return tuple(made)
