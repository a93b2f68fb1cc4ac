"""What a day on four channels came to, as figures: of each channel, and of all together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from channelsync.lab.figures import Figure, number
from vendor_day.day import Played

WRITES_MAX = 1.05
"""Calls that write, over the sum over publishing ticks of ceil(due keys / batch size)."""


def channel_figures(played: Played) -> list[Figure]:
    """The figures of build/figures/channels.json."""
    return [*_in_all(played), *_each(played)]


def _in_all(played: Played) -> Iterator[Figure]:
    some = played.channels.values()
    minutes = played.settled_after.total_seconds() / 60
    yield Figure(name="orders", value=sum(one.orders for one in some), unit="orders")
    yield Figure(name="units", value=sum(one.units for one in some), unit="units")
    yield Figure(name="oversold_units", value=sum(one.oversold for one in some), unit="units")
    yield Figure(name="drift_left", value=sum(len(one.drift) for one in some), unit="numbers", aim="= 0")
    yield Figure(name="settled_after", value=round(minutes), unit="minutes after the last event")
    longest = max((one.stood_wrong for one in some), default=timedelta(0)).total_seconds() / 60
    yield Figure(name="stood_wrong", value=round(longest), unit="minutes at most")
    yield Figure(name="orders_missing", value=sum(len(one.missing) for one in some), unit="orders", aim="= 0")
    yield Figure(name="calls", value=sum(sum(one.calls.values()) for one in some), unit="calls")
    yield Figure(name="calls_over_budget", value=sum(len(one.over) for one in some), unit="calls", aim="= 0")
    yield _writes("writes", sum(one.writes for one in some), sum(one.fewest for one in some))
    yield Figure(name="ledger_problems", value=played.ledger_problems, unit="problems", aim="= 0")


def _each(played: Played) -> Iterator[Figure]:
    for name, one in played.channels.items():
        yield Figure(name=f"orders_{name}", value=one.orders, unit="orders")
        yield Figure(name=f"units_{name}", value=one.units, unit="units")
        yield Figure(name=f"oversold_units_{name}", value=one.oversold, unit="units")
        yield Figure(name=f"drift_left_{name}", value=len(one.drift), unit="numbers", aim="= 0")
        yield Figure(name=f"orders_missing_{name}", value=len(one.missing), unit="orders", aim="= 0")
        yield Figure(name=f"calls_{name}", value=sum(one.calls.values()), unit=f"calls; {one.faults} met a fault")
        yield Figure(name=f"calls_over_budget_{name}", value=len(one.over), unit="calls", aim="= 0")
        yield _writes(f"writes_{name}", one.writes, one.fewest)


def _writes(name: str, calls: int, fewest: int) -> Figure:
    return Figure(
        name=name,
        value=calls,
        unit="calls",
        against=f"due keys of every tick in full batches: {number(fewest)}",
        ratio=round(calls / max(1, fewest), 3),
        aim=f"<= {WRITES_MAX}",
    )
