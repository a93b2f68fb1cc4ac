"""What the use cases know of this seller: channels, locations, rules and recipes, read once from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from channelsync.domain.bundles import Recipes, affected_index
from channelsync.domain.demand import DemandRate
from channelsync.domain.guard import GuardLimits
from channelsync.domain.rules import Rule, RuleBook
from channelsync.domain.sourcing import reachable
from channelsync.domain.watermark import Timing
from channelsync.sdk.channel import Capabilities

Mode = Literal["live", "observe", "off"]
DriftPolicy = Literal["repair", "adopt", "ask"]

BY_HAND = "manual"
"""The channel of orders that we take ourselves (see `orders_by_hand`). No configured channel can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSetup:
    """One configured channel.

    locations: ours that serve it, in the order in which they ship; at least one.
    remotes: the channel's remote location id -> our location; empty where the channel keeps one number for all.
    kept: likewise, for places where the channel keeps units itself: counted there and never sold by anybody else.
    mode: live writes; observe only predicts; off does nothing. only_observe: whatever else is said, this process
    writes nothing. paused: nothing is raised. drift: what follows when a number differs and no order explains it:
    repair (push ours), adopt (adjust on hand), or ask (a finding).
    poll, tick, sweep, listings, audit: how often orders are asked for, the publisher looks, every key is read,
    listings are pulled, and the order ids of a day are compared. read_share: the part of the rate budget that hot
    reads may use.
    poll_quiet: the longest pause between two polls when no orders come; up to `poll`: it is always as `poll` says.
    connector: the name of its code; empty: it has none.
    by_sku: its orders are taken by ourselves and name our SKUs and locations; it has no listings and no connector.
    guard: how much one run may change on it before it waits for approval; None: whatever it likes.
    """

    name: str
    capabilities: Capabilities
    locations: tuple[str, ...]
    connector: str = ""
    remotes: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = "live"
    only_observe: bool = False
    paused: bool = False
    drift: DriftPolicy = "repair"
    poll: timedelta = timedelta(minutes=10)
    poll_quiet: timedelta = timedelta(0)
    tick: timedelta = timedelta(minutes=1)
    sweep: timedelta = timedelta(hours=6)
    listings: timedelta = timedelta(hours=24)
    audit: timedelta = timedelta(hours=24)
    hot_reads: bool = True
    read_share: float = 0.5
    by_sku: bool = False
    guard: GuardLimits | None = None

    def feeding(self, remote: str) -> tuple[str, ...]:
        """Our locations that feed a number of this channel at a remote location, where no rule says otherwise."""
        return (self.remotes[remote],) if remote in self.remotes else self.locations


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One seller. recipes and rules speak of item ids.

    locations: those whose units channels may sell; places that a channel keeps itself are not among them.
    stored_rules: those set by commands; of two rules of one rank they win over those of the configuration.
    classes: item -> its class, for rules. prior_demand: how fast an item is taken to sell before it was watched; it
    weighs as one day. hot_probability: units are scarce, and their numbers read every tick, when the channels sell
    more than is there before we hear of it with a larger probability. housekeeping: how often what ran out is released.
    named: item -> its SKU, of those that the configuration names, which may be no items yet.
    orders_since: raises wait until orders were read completely in a read that began later; None: for no such read.
    """

    channels: Mapping[str, ChannelSetup]
    locations: Sequence[str]
    rules: tuple[Rule, ...] = ()
    stored_rules: tuple[Rule, ...] = ()
    recipes: Recipes = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    prior_demand: DemandRate = field(default_factory=lambda: DemandRate(0.5))
    hot_probability: float = 0.001
    housekeeping: timedelta = timedelta(minutes=1)
    orders_since: datetime | None = None
    affected: Mapping[str, frozenset[str]] = field(init=False)
    rule_book: RuleBook = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "affected", affected_index(self.recipes))
        object.__setattr__(self, "rule_book", RuleBook((*self.rules, *self.stored_rules)))

    @property
    def kept_by(self) -> dict[str, str]:
        """Our locations that a channel counts, because it keeps the units there itself, with its name."""
        return {location: one.name for one in self.channels.values() for location in one.kept.values()}

    @property
    def timings(self) -> dict[str, Timing]:
        """How far the reads and the clock of each channel can be trusted."""
        return {name: one.capabilities.timing for name, one in self.channels.items()}

    def shown_by(self, item: str) -> frozenset[str]:
        """The items whose numbers may change when this item's available changes: itself and bundles of it."""
        return self.affected.get(item, frozenset()) | {item}

    def shown_by_parts_of(self, item: str) -> frozenset[str]:
        """The items whose numbers share a position with this one's."""
        return frozenset(name for part in reachable(item, self.recipes) for name in self.shown_by(part))
