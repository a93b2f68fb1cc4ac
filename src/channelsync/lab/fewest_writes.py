"""How few numbers somebody who knew all would have pushed on a day, by the marketplaces' own logs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from channelsync.lab.marketplace_referee import MOVES_LEFT
from channelsync.lab.marketplace_values import LogEntry, NumberChange
from channelsync.lab.stage import StagedListing, Wares


class MarketLog(NamedTuple):
    """What one marketplace's log says: of its orders, and of its numbers."""

    log: Sequence[LogEntry]
    changes: Sequence[NumberChange]


def fewest_writes(wares: Wares, told: Mapping[str, MarketLog], tick: timedelta) -> int:
    """The writes of somebody who sees everything at once and sets right, at the end of every tick, each number that is
    not what is left by then. Fewer writes leave a number wrong for longer.

    told: by marketplace. What a marketplace's number does by itself (a sale there, a human edit) costs no write.
    """
    listings = {(one.marketplace, one.listing): one for one in wares.listings}
    showing: defaultdict[str, list[StagedListing]] = defaultdict(list)
    for one in wares.listings:
        for item, _ in wares.takes(one.sku, one.multiple):
            showing[item].append(one)
    left = Counter(wares.opening)
    shown = {name: wares.shown(one, left) for name, one in listings.items()}
    writes = 0
    for happened in _ticks(told, tick):
        touched = set[tuple[str, str]]()
        for name, change in happened.changes:
            if name in shown:
                shown[name] += change.after - change.before
                touched.add(name)
        for entry in happened.log:
            for item, each in entry.takes:
                left[item] += MOVES_LEFT.get(entry.what, 0) * each * entry.units
                touched |= {(one.marketplace, one.listing) for one in showing[item]}
        for name in touched:
            wanted = wares.shown(listings[name], left)
            writes += shown[name] != wanted
            shown[name] = wanted
    return writes


class _Tick(NamedTuple):
    log: list[LogEntry]
    changes: list[tuple[tuple[str, str], NumberChange]]


def _ticks(told: Mapping[str, MarketLog], tick: timedelta) -> Iterable[_Tick]:
    """What happened in each tick, in order of time; our own writes are left out."""
    ticks: defaultdict[int, _Tick] = defaultdict(lambda: _Tick([], []))

    def number(at: datetime) -> int:
        return int(at.timestamp() // tick.total_seconds())

    for marketplace, one in told.items():
        for entry in one.log:
            ticks[number(entry.at)].log.append(entry)
        for change in one.changes:
            if change.why not in ("write", "opened", "dropped write"):
                ticks[number(change.at)].changes.append(((marketplace, change.key.key), change))
    return (ticks[at] for at in sorted(ticks))
