"""The same buyers come to every strategy of keeping numbers right: what it oversells, leaves, turns away.

A *story* is one SKU: so many units, three marketplaces that each start by showing them all, and buyers drawn from a
random stream of the story's own. It is over when the units are sold and nothing is shown any more, or at the end of
the time. Every strategy meets the same buyers of the same stories. The watermark strategies are the real agent: its
loops, store (SQLite) and connector, on the lab's clock; the others are the plain seller with what they show changed.

Many stories share one world (three marketplaces, one agent), because that is cheap. They stay independent, and what a
story sells, leaves and turns away is what it would be alone in its world (a test compares them): batches and pages
hold all stories, the rate budget is never short, channels look at the same minutes (one is polled some minutes after
the other), nothing is measured anew meanwhile, and what one story finds wrong does not make the agent read the orders
of all before the next poll (`_Deaf`). These last two are taken from our strategies only; docs/reliability.md tells
what they change. How often a number is read within one instant may differ a little: the rounds of it are shared.

Oversold units are counted by the referee from the marketplaces' own logs, one referee a story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from channelsync.lab.buyers import Demand, poisson
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.trading_day import PlannedOrder

RULES = MarketplaceRules(
    updates_per_push=500,
    reads_per_call=500,
    orders_per_page=500,
    listings_per_page=500,
    relative_writes=True,
    budget_capacity=1_000_000,
    budget_per_second=1_000_000,
)
"""Every marketplace of a story: sells at once, tells its number and its orders at once, has no compare-and-set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all stories have in common.

    shares: of the orders, by marketplace. poll, tick: how often orders are asked for, and numbers published.
    apart: each channel is polled so much later than the one before it; whole ticks.
    buffer: units that the fixed buffer holds back. last_units: from so many down only one channel shows them;
    preferred: that one. rules: of every marketplace, save what a strategy needs. known: units an hour that an item
    sells at each channel as far as the agent knows: what these buyers come to, as after weeks of selling.
    """

    units: int = 30
    per_minute: float = 0.5
    lasts: timedelta = timedelta(minutes=240)
    shares: Mapping[str, float] = field(default_factory=lambda: {"agora": 0.5, "bazaar": 0.3, "corner": 0.2})
    poll: timedelta = timedelta(minutes=10)
    tick: timedelta = timedelta(minutes=1)
    apart: timedelta = timedelta(minutes=3)
    buffer: int = 2
    last_units: int = 3
    preferred: str = "agora"
    rules: MarketplaceRules = RULES
    known: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One way to keep the numbers. buffered: holds the buffer back. last_units: with that rule.

    compare_and_set: at marketplaces that know it, and whose answers to a write tell the number. new_item: nobody has
    sold the item before, so the agent takes it to sell as slowly as every new one.
    """

    way: Literal["absolute_set", "delta", "watermark"]
    buffered: bool = False
    hot_reads: bool = False
    last_units: bool = False
    compare_and_set: bool = False
    new_item: bool = False

    @property
    def name(self) -> str:
        """As in the figures."""
        way = "fixed_buffer" if self.buffered else self.way
        said = ("hot_reads", "compare_and_set", "new_item", "last_units")
        return "_".join([way, *(each for each in said if getattr(self, each))])

    def rules(self, usual: MarketplaceRules) -> MarketplaceRules:
        """The marketplaces that it meets."""
        return replace(usual, compare_and_set=True, answers_with_number=True) if self.compare_and_set else usual


ABSOLUTE_SET = Strategy(way="absolute_set")
"""What the others are measured against."""

_HOT = Strategy(way="watermark", hot_reads=True)
_WAYS = (
    ABSOLUTE_SET,
    Strategy(way="delta"),
    Strategy(way="absolute_set", buffered=True),
    Strategy(way="watermark"),
    _HOT,
)
STRATEGIES = (
    *_WAYS,
    *(replace(strategy, last_units=True) for strategy in _WAYS),
)
"""What is compared always."""

MORE = (*(replace(strategy, compare_and_set=True) for strategy in _WAYS[3:]), replace(_HOT, new_item=True))
"""What is compared on request: ours where marketplaces have compare-and-set, and with an item nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one story ended. turned_away: buyers turned away while units were left.

    key_reads: numbers that the seller asked for until the story was over, opening apart. minutes: how long it took.
    """

    oversold: int
    unsold: int
    turned_away: int
    key_reads: int
    minutes: int


def buyers_of(story: int, terms: Terms, starts: datetime, seed: int) -> list[PlannedOrder]:
    """Everybody who comes to one story; nothing but the arguments decides, so they come to every strategy alike."""
    sku = sku_of(story)
    listings = {name: f"{name}-{sku}" for name in terms.shares}
    demand = Demand(per_minute=terms.per_minute, listings=listings, shares=terms.shares)
    orders = poisson([demand], starts=starts, lasts=terms.lasts, seed=_stream(seed, story))
    return [replace(order, order_id=f"{sku}-{number}") for number, order in enumerate(orders)]


def sku_of(story: int) -> str:
    """The SKU of a story."""
    return f"story-{story:06}"


def _stream(seed: int, story: int) -> int:
    return seed * 1_000_000 + story
