"""What is measured of this seller's channels: how fast items sell, how late orders and pushes become visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.demand import DemandRate, Sale, estimate
from channelsync.domain.risk import Delays, delay_quantile, is_hot, plausible_drop
from channelsync.domain.sourcing import Composition
from channelsync.store import history
from channelsync.sync.setup import Setup

WATCHED = timedelta(days=28)
HALF_LIFE = timedelta(days=7)
_LIMIT_QUANTILE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured, at one moment.

    demand: base units per item and channel; an item without sales has the prior of the setup.
    delays: per channel, as publishing needs them. order_limit: per channel, an order is listed at the latest this
    long after it was placed, our own delays not counted (99.9 % quantile once there are 1,000 orders that tell, see
    `history.order_delays`, else as declared). hot_probability: of Setup. _hot: answers of `hot`, which follow from the
    rest alone.
    """

    at: datetime
    prior: DemandRate
    demand: Mapping[str, Mapping[str, DemandRate]] = field(default_factory=dict)
    delays: Mapping[str, Delays] = field(default_factory=dict)
    order_limit: Mapping[str, timedelta] = field(default_factory=dict)
    hot_probability: float = 0.001
    _hot: dict[tuple[str, int, tuple[str, ...]], bool] = field(default_factory=dict, init=False, compare=False)

    def rates(self, item: str, channels: tuple[str, ...]) -> dict[str, DemandRate]:
        """How fast each of these channels sells an item."""
        known = self.demand.get(item, {})
        return {channel: known.get(channel, self.prior) for channel in channels}

    def hot(self, item: str, available: int, channels: tuple[str, ...]) -> bool:
        """Whether these channels may sell more than is available before we hear of it."""
        asked = (item if item in self.demand else "", available, channels)
        if asked not in self._hot:  # of most items it is asked again and again until something is measured anew
            delays = {channel: self.delays[channel].order_visible for channel in channels}
            self._hot[asked] = is_hot(available, self.rates(item, channels), delays, 1 - self.hot_probability)
        return self._hot[asked]

    def plausible(self, channel: str, takes: Composition, since: timedelta) -> int:
        """How many units, each of which takes so much, a channel may plausibly have sold in a span; 1 or more.

        Demand is measured of the items that leave, so a bundle was sold no more often than its parts allow.
        """
        rates = {item: self.rates(item, (channel,))[channel] for item, _ in takes}
        return min(-(-plausible_drop(rates[item], since) // each) for item, each in takes)


def measure(connection: Connection, setup: Setup, now: datetime) -> Measures:
    """Measures from the orders and pushes of the last weeks."""
    since = now - WATCHED
    began = max(since, history.first_order_at(connection) or now - timedelta(hours=1))
    sales: dict[str, dict[str, list[Sale]]] = {}
    for sold in history.units_sold(connection, since):
        sales.setdefault(sold.item, {}).setdefault(sold.channel, []).append(Sale(sold.at, sold.units))
    demand = {
        item: {
            channel: estimate(rows, since=min(began, now), now=now, half_life=HALF_LIFE, prior=setup.prior_demand)
            for channel, rows in by_channel.items()
        }
        for item, by_channel in sales.items()
    }
    order_delays = history.order_delays(connection, since)
    push_delays = history.push_delays(connection, since)
    delays, limits = {}, {}
    for name, channel in setup.channels.items():
        declared = channel.capabilities
        limits[name] = delay_quantile(order_delays.get(name, ()), _LIMIT_QUANTILE, declared.order_visibility)
        pushed = delay_quantile(push_delays.get(name, ()), 0.95, channel.tick + declared.timing.grace)
        polled = max(channel.poll, channel.poll_quiet)
        delays[name] = Delays(order_visible=polled + limits[name], push_visible=pushed)
    return Measures(
        at=now,
        prior=setup.prior_demand,
        demand=demand,
        delays=delays,
        order_limit=limits,
        hot_probability=setup.hot_probability,
    )
