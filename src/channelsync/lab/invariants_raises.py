"""Invariant 4: what a raise may put on sale although it is sold, checked against the marketplaces' own logs.

A raise is computed from what was known when it left. What it puts on sale beyond what is left in truth must have been
sold so shortly before that no read could tell (`Tolerance.window`; longer where the marketplace could not be read, for
nobody waits for that), or hidden from reads:

- the sale did not move the number (the channel deducts later or never, it stood at 0, a cap or rounding hid it);
- something raised the number by as much before it was read: a cancel, a human, or a write of ours that no read had
  shown yet (the number is then as if that write had been lost and nothing sold); or a sale that was booked is as
  large and happened so shortly before a read that nobody can tell whether the read contains it (an unsettled effect);
- it made the number just what a write of ours was to make it that was on its way, and was dropped for it;
- an absolute write without compare-and-set swallowed it (a sale of long ago as well, where the number could not be
  read before the write, and the write was a lowering), or a write of unknown outcome left the number open;
- the drop was more than plausible, and its excess was released after a complete order read, as the rules say.

Everything else is a sale that a read has shown, or an order that was booked: a raise that forgets one is a breach.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channelsync.lab.invariants import Breach
from channelsync.lab.marketplace_values import LogEntry, NumberChange, Takes
from channelsync.lab.simulation_watch import Name, Sent, Witness

_GIVES_UNITS = {"sold": -1, "cancelled": 1, "returned": 1}
_OPENS = {"sold": 1, "cancelled": -1, "written off": -1, "shipped": -1, "shipment taken back": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What cannot be known of a marketplace's numbers.

    window: a sale this long before a raise left may not have been read yet. settles: a write that was accepted may
    take so long to be seen. doubt: one of unknown outcome leaves the number open for so long. blur: whether a read
    contains what happened so shortly before it cannot be told (staleness and skew). cap, step: as shown.
    physical: numbers contain open units. moves_at_once: an order moves what a read shows.
    """

    window: timedelta
    settles: timedelta
    doubt: timedelta
    blur: timedelta = timedelta(0)
    cap: int | None = None
    step: int = 1
    physical: bool = False
    moves_at_once: bool = True


@dataclass(frozen=True, slots=True)
class Booking:
    """When an order's units of an item became known to us."""

    marketplace: str
    order: str
    item: str
    at: datetime
    units: int


@dataclass(frozen=True, slots=True)
class Day:
    """What truly happened, and what we knew.

    logs, changes, tolerances: by marketplace. takes: the items in one unit of a key. excess: provisional units that
    were released as more than plausible, by key, with the time.
    """

    opening: Mapping[str, int]
    logs: Mapping[str, Sequence[LogEntry]]
    changes: Mapping[str, Sequence[NumberChange]]
    tolerances: Mapping[str, Tolerance]
    takes: Mapping[Name, Takes]
    bookings: Sequence[Booking]
    witness: Witness
    excess: Mapping[Name, Sequence[tuple[datetime, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class Raises:
    """What raises did. checked: how many were applied; over: units of keys that they put on sale beyond what was
    left, all of it explained unless there are breaches; most: by one of them."""

    checked: int = 0
    over: int = 0
    most: int = 0
    breaches: list[Breach] = field(default_factory=list)


def check_raises(day: Day) -> Raises:
    """Checks every raise that was applied."""
    judge = _Judge(day)
    for marketplace, changes in sorted(day.changes.items()):
        for change in changes:
            if change.why == "write" and change.after > change.before:
                judge.look(Name(marketplace, *change.key), change)
    return judge.found


@dataclass(frozen=True, slots=True)
class _Sale:
    at: datetime
    key: Name
    order: str
    units: int


class _Judge:
    def __init__(self, day: Day) -> None:
        self.found = Raises()
        self._day = day
        self._left = {item: _Course(units) for item, units in day.opening.items()}
        self._open: dict[Name, _Course] = {}
        self._sales: dict[str, list[_Sale]] = {}
        self._each: dict[tuple[Name, str], int] = {(key, i): n for key, takes in day.takes.items() for i, n in takes}
        self._booked: dict[tuple[str, str, str], _Course] = {}
        self._changes: dict[Name, list[NumberChange]] = {}
        self._sent: dict[Name, list[Sent]] = {}
        self._read_by_log(day)
        for booking in sorted(day.bookings, key=lambda b: b.at):
            course = self._booked.setdefault((booking.marketplace, booking.order, booking.item), _Course(0))
            course.add(booking.at, booking.units)
        for marketplace, changes in day.changes.items():
            for change in changes:
                self._changes.setdefault(Name(marketplace, *change.key), []).append(change)
        for sent in day.witness.sent:
            self._sent.setdefault(sent.key, []).append(sent)

    def _read_by_log(self, day: Day) -> None:
        entries = sorted((e for log in day.logs.values() for e in log), key=lambda e: e.at)
        keys = {(key.marketplace, key.key): key for key in day.takes}
        for entry in entries:
            key = keys.get((entry.marketplace, entry.listing))
            if key is None:
                continue
            sign = _OPENS.get(entry.what, 0)
            self._open.setdefault(key, _Course(0)).add(entry.at, sign * entry.units)
            for item, each in entry.takes:
                self._left[item].add(entry.at, _GIVES_UNITS.get(entry.what, 0) * each * entry.units)
                if entry.what == "sold":
                    self._sales.setdefault(item, []).append(_Sale(entry.at, key, entry.order, entry.units))

    def look(self, key: Name, change: NumberChange) -> None:
        """One write that was applied and raised a number."""
        sent = self._sent_before(key, change.accepted or change.at)
        if sent is None or sent.lowering:
            return
        self.found.checked += 1
        takes = self._day.takes[key]
        offered = change.after
        if self._day.tolerances[key.marketplace].physical:
            offered -= self._open[key].at(change.at) if key in self._open else 0
        left = {item: self._left[item].at(change.at) for item, _ in takes}
        over = offered - max(0, min(left[item] // each for item, each in takes))
        if over <= 0:
            return
        self.found.over += over
        self.found.most = max(self.found.most, over)
        excused = {item: self._excused(item, sent, change.at) for item, _ in takes}
        may = max(0, min((left[item] + excused[item]) // each for item, each in takes))
        if offered > may:
            self.found.breaches.append(
                Breach(
                    "4",
                    f"{key} was raised from {change.before} to {offered} at {change.at} (it left at {sent.at}), when "
                    f"{left} were left and {excused} units sold could not be known",
                )
            )

    def _sent_before(self, key: Name, accepted: datetime) -> Sent | None:
        sent = self._sent.get(key, [])
        at = bisect_right(sent, accepted, key=lambda one: one.at)
        return sent[at - 1] if at else None

    def _excused(self, item: str, sent: Sent, applied: datetime) -> int:
        """Units of an item that were sold by then, and that we could not know of when the write left."""
        sales = self._sales.get(item, [])
        by_order: dict[tuple[str, str], list[_Sale]] = {}
        for sale in sales[: bisect_right(sales, applied, key=lambda one: one.at)]:
            by_order.setdefault((sale.key.marketplace, sale.order), []).append(sale)
        old: dict[Name, list[tuple[_Sale, int]]] = {}
        excused = 0
        for (marketplace, order), sold in by_order.items():
            booked = self._booked.get((marketplace, order, item))
            unknown = sum(s.units * self._each[s.key, item] for s in sold) - (booked.before(sent.at) if booked else 0)
            for sale in reversed(sold):  # what was ordered last is booked last
                here = min(unknown, sale.units * self._each[sale.key, item])
                unknown -= here
                if here > 0 and self._fresh(sale, sent):
                    excused += here
                elif here > 0:
                    old.setdefault(sale.key, []).append((sale, here))
        for key, sold_here in old.items():
            excused += self._hidden(key, item, sold_here, sent)
        return excused

    def _fresh(self, sale: _Sale, sent: Sent) -> bool:
        """Whether no read could have told of the sale before the write left."""
        if sale.key == sent.key and sent.expected is not None:
            return sale.at > sent.at  # the channel itself compared; it refuses where a sale came in between
        tolerances = self._day.tolerances
        window = max(tolerances[sale.key.marketplace].window, tolerances[sent.key.marketplace].window)
        reads = self._day.witness.reads.get(sale.key, [])
        # What came back in the very instant in which the write left may have come too late for it.
        last = max((asked for asked, answered in reads if answered < sent.at), default=None)
        if last is None:
            return True
        rests_on = sent.at
        if self._read_lately(sale.key.marketplace, last, sent.at - window * 2, sent.at):
            rests_on = min(last, sent.at)
        return sale.at >= rests_on - window

    def _read_lately(self, marketplace: str, last: datetime, since: datetime, until: datetime) -> bool:
        """Whether a raise may rest on this read: it is recent, or the marketplace could not be read since."""
        failed = self._day.witness.failed.get(marketplace, [])
        return last >= since or any(last <= at <= until for at in failed)

    def _hidden(self, key: Name, item: str, sales: Iterable[tuple[_Sale, int]], sent: Sent) -> int:
        """Of older sales on one key, the units that its number did not tell of."""
        each = self._each[key, item]
        tolerance = self._day.tolerances[key.marketplace]
        hidden, visible, since = 0, 0, sent.at
        for sale, units in sales:
            if self._never_shown(sale, sent, tolerance):
                hidden += units
            else:
                visible += units
                since = min(since, sale.at)
        rises = self._rises(key, since, sent, tolerance) if visible else 0
        released = sum(units for at, units in self._day.excess.get(key, ()) if at <= sent.at)
        rounded = tolerance.step - 1
        unsettled = self._unsettled(key, item, since, tolerance) if visible and tolerance.blur else 0
        return hidden + min(visible, (rises + released + rounded) * each + unsettled)

    def _rises(self, key: Name, since: datetime, sent: Sent, tolerance: Tolerance) -> int:
        """Units by which a number rose beside sales that began at `since`: a read after both shows the difference.

        Rises count from the last read before the sales on; those of our own writes up to the first sale, for what
        comes after it is `_swallows`' matter.
        """
        reads = self._day.witness.reads.get(key, [])
        last = max((asked for asked, answered in reads if answered < since), default=since)
        begins = min(last, since - tolerance.window)
        return sum(
            max(0, change.after - change.before)
            for change in self._changes.get(key, [])
            if (last <= change.at <= since if change.why == "write" else begins <= change.at <= sent.at)
        )

    def _unsettled(self, key: Name, item: str, since: datetime, tolerance: Tolerance) -> int:
        """Units of earlier sales of which the last read before `since` leaves open whether it contains them."""
        reads = self._day.witness.reads.get(key, [])
        last = max((asked for asked, answered in reads if answered < since), default=since)
        return sum(
            sale.units * self._each[key, item]
            for sale in self._sales.get(item, [])
            if sale.key == key and last - tolerance.blur * 2 <= sale.at < since
        )

    def _never_shown(self, sale: _Sale, sent: Sent, tolerance: Tolerance) -> bool:
        changes = self._changes.get(sale.key, [])
        at = bisect_left(changes, sale.at, key=lambda one: one.at)
        its = next((c for c in changes[at : at + 8] if c.at == sale.at and c.why == "sold"), None)
        if not tolerance.moves_at_once or (its is None and not tolerance.physical):
            return True
        if its is not None and its.before - its.after < sale.units:
            return True
        if its is not None and tolerance.cap is not None and its.after >= tolerance.cap:
            return True
        if its is not None and self._in_place_of_ours(sale, its, changes[at:], sent):
            return True
        until = self._unread_until(sale, sent, tolerance)
        doubts = self._day.witness.uncertain.get(sale.key, [])
        if any(sale.at - tolerance.doubt <= doubt <= sent.at for doubt in doubts):
            return True
        return any(
            change.why == "write"
            and sale.at < change.at <= sent.at
            and (change.at <= until or self._left_unread(sale, change, tolerance))
            and self._swallows(sale.key, change, tolerance)
            for change in changes[at:]
        )

    def _left_unread(self, sale: _Sale, change: NumberChange, tolerance: Tolerance) -> bool:
        """Whether a write was a lowering that left although its number could not be read since a sale."""
        ours = self._sent_before(sale.key, change.accepted or change.at)
        if ours is None or not ours.lowering:
            return False
        reads = self._day.witness.reads.get(sale.key, [])
        told = any(asked >= sale.at + tolerance.blur and answered <= ours.at for asked, answered in reads)
        failed = self._day.witness.failed.get(sale.key.marketplace, [])
        return not told and any(ours.at - tolerance.window <= at <= ours.at for at in failed)

    def _in_place_of_ours(self, sale: _Sale, its: NumberChange, changes: Iterable[NumberChange], sent: Sent) -> bool:
        """Whether a sale made a number what a write of ours, on its way then, was to make it: the write is dropped for
        the number that it did not expect, and all that anybody can read looks as if it had been applied."""
        for change in changes:
            on_its_way = change.why == "dropped write" and change.accepted is not None and change.accepted <= sale.at
            if on_its_way and change.at <= sent.at:
                ours = self._sent_before(sale.key, change.accepted or change.at)
                if ours is not None and ours.number == its.after:
                    return True
        return False

    def _unread_until(self, sale: _Sale, sent: Sent, tolerance: Tolerance) -> datetime:
        """Until when it may be that no read has told of a sale: longer where its marketplace could not be read."""
        until = min(sent.at, sale.at + tolerance.window + tolerance.settles)
        failed = self._day.witness.failed.get(sale.key.marketplace, [])
        if not any(sale.at <= at <= until for at in failed):
            return until
        reads = self._day.witness.reads.get(sale.key, [])
        told = min((asked for asked, _ in reads if asked >= sale.at + tolerance.blur), default=sent.at)
        return min(sent.at, max(until, told))

    def _swallows(self, key: Name, change: NumberChange, tolerance: Tolerance) -> bool:
        """Whether a write put its number over sales that nobody had seen."""
        sent = self._sent_before(key, change.accepted or change.at)
        return sent is None or sent.expected is None or tolerance.settles > timedelta(0)


class _Course:
    """A number over time, made of changes in order of time."""

    def __init__(self, start: int) -> None:
        self._times: list[datetime] = []
        self._values: list[int] = []
        self._now = start
        self._start = start

    def add(self, at: datetime, by: int) -> None:
        self._now += by
        self._times.append(at)
        self._values.append(self._now)

    def at(self, moment: datetime) -> int:
        """After everything that happened up to a moment."""
        return self._value(bisect_right(self._times, moment))

    def before(self, moment: datetime) -> int:
        """After everything that happened before a moment."""
        return self._value(bisect_left(self._times, moment))

    def _value(self, changes: int) -> int:
        return self._values[changes - 1] if changes else self._start
