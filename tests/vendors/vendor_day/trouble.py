"""What goes wrong on the four channels: the demo's passing faults and human slips, and one trouble of its own each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from channelsync.lab.faults import Deed, Fault, FaultKind, FaultPlan, orders_down, outage
from channelsync.lab.replay_day import faults_of
from channelsync.lab.trading_day import TradingDay
from vendor_day.stalls import VendorStall

DOWN = "ebay"
"""The channel that cannot be reached for a while."""

DOWN_FOR = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Window:
    """From one moment to another."""

    starts: datetime
    ends: datetime

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, datetime) and self.starts <= moment < self.ends


def outage_of(plan: TradingDay) -> Window:
    """When `DOWN` is down: while most orders are placed at the others, so that it could do most harm to them."""
    others = [order.placed_at for order in plan.orders if order.marketplace != DOWN]
    windows = [Window(start, start + DOWN_FOR) for start in others]
    return max(windows, key=lambda window: sum(moment in window for moment in others))


def trouble_of(plan: TradingDay, day: date, stall: VendorStall, *, seed: int) -> FaultPlan:
    """What goes wrong at one channel. plan: in the channels' words."""
    usual = faults_of(plan, day, stall.name, seed=seed)
    down = outage_of(plan)
    later = down.ends + timedelta(minutes=30)
    own: Mapping[str, list[Fault]] = {
        "shopify": [
            Fault(
                kind=FaultKind.NO_ANSWER_AFTER,
                starts=later,
                ends=later + timedelta(minutes=15),
                chance=0.3,
            )
        ],
        "woocommerce": [orders_down(later, later + timedelta(minutes=45))],
        "amazon": [
            Fault(kind=FaultKind.TOO_MANY, starts=later, ends=later + timedelta(minutes=20), chance=0.5),
        ],
        DOWN: [outage(down.starts, down.ends)],
    }
    deeds = [_at_key(stall, deed) for deed in usual.deeds]
    return FaultPlan([*own[stall.name], *usual.faults], deeds, seed=seed)


def _at_key(stall: VendorStall, deed: Deed) -> Deed:
    """The lab names keys as it names listings."""
    return deed if deed.key is None else replace(deed, key=stall.names.key(deed.key.key))
