"""Provisional reservations: units that a read showed to be gone and that no order explains yet.

They hide the units on the other channels at once, and end in one of three ways: an order takes them over, the
channel's number rises again, or all orders that could explain them were read and none did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.domain.effects import Effect
from channelsync.domain.ledger import entry_id
from channelsync.domain.rises import Rise
from channelsync.domain.sourcing import Composition, Pick
from channelsync.domain.watermark import Read, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """Units of one key held at one location. Units are the key's; `takes` is what one of them takes in base units.

    open: not ended yet. plausible: of `units`, as many as the channel may have sold since its last read; they are
    held until every order of the window must have become visible, the rest only to the next complete order read.
    window: when the sale happened, by the channel's clock. found_at: when the read was understood.
    named: the channel itself says what holds them (a draft, a transfer, a checkout): no order explains them, and they
    end when the channel no longer shows the hold.
    """

    id: str
    key: int
    units: int
    open: int
    plausible: int
    window_from: datetime
    window_to: datetime
    found_at: datetime
    location: str
    takes: Composition
    named: bool = False

    @property
    def excess(self) -> int:
        """Units still open beyond what is plausible: more likely a typo than a sale. They end first."""
        return max(0, self.open - self.plausible)


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Units of a row whose sale an order's effect explains."""

    row: str
    effect: str
    units: int


@dataclass(frozen=True, slots=True)
class Release:
    """Units of a row that end without an order. early: one that is listed later may still explain them."""

    row: str
    units: int
    reason: str
    early: bool = False


def open_for_drop(
    key: int,
    picks: Sequence[Pick],
    plausible: int,
    before: Read,
    read: Read,
    timing: Timing,
    now: datetime,
    *,
    named: bool = False,
) -> tuple[Provisional, ...]:
    """The rows that hold a drop between two reads, one per location and composition it is taken from.

    Ids come from (key, read, named), so that understanding the same read twice holds the units once.
    """
    widened = timing.staleness + timing.skew
    rows, left = [], plausible
    for number, chosen in enumerate(picks):
        here = min(left, chosen.units)
        left -= here
        rows.append(
            Provisional(
                id=entry_id("channel hold" if named else "provisional", key, read.asked, read.answered, number),
                key=key,
                units=chosen.units,
                open=chosen.units,
                plausible=here,
                window_from=before.asked - widened,
                window_to=read.answered + timing.skew,
                found_at=now,
                location=chosen.location,
                takes=chosen.takes,
                named=named,
            )
        )
    return tuple(rows)


def take_over(contained: Iterable[Effect], rows: Sequence[Provisional]) -> tuple[TakeOver, ...]:
    """Which rows the effects of newly booked orders explain: oldest effect and oldest row first, each unit once.

    Only rows of the effect's key whose window covers the effect's whole window: what may have happened before or
    after the drop may be another order's, and to hide a unit twice for a while is cheaper than to show one twice. What
    the channel names is no order's. An effect larger than the rows explains them all. What an order gave back within
    the same window was not gone when the drop was read: the drop is another order's.
    """
    effects = sorted(contained, key=lambda e: (e.latest, e.id))
    left = {row.id: row.open for row in rows}
    back = {
        (row.id, order): sum(e.delta for e in effects if e.delta > 0 and e.order == order and _covers(row, e))
        for row in rows
        for order in {e.order for e in effects}
    }
    taken = []
    for effect in effects:
        units = -effect.delta
        for row in sorted(rows, key=lambda r: (r.window_from, r.id)):
            if units <= 0 or not _covers(row, effect):
                continue
            given = min(units, back[row.id, effect.order])
            back[row.id, effect.order] -= given
            units -= given
            n = min(units, left[row.id])
            if n > 0:
                taken.append(TakeOver(row.id, effect.id, n))
                left[row.id] -= n
                units -= n
    return tuple(taken)


def _covers(row: Provisional, effect: Effect) -> bool:
    return (
        row.key == effect.key
        and not row.named
        and row.window_from <= effect.earliest
        and effect.latest <= row.window_to
    )


def explained_late(
    released: Iterable[Release], rows: Iterable[Provisional], effects: Iterable[Effect]
) -> tuple[TakeOver, ...]:
    """Of the units that are about to end without an order those that one explains after all: an edit up.

    Nobody tells when an order was edited, so no row covers its effect, and while another order may still come it takes
    nothing over. When all were read, one that may have happened within the row's window is what the drop was about.
    effects: those that the number contains and that took nothing over. What the same order gave back within
    the window was not gone when the drop was read.
    """
    by_row = {row.id: row for row in rows}
    known = sorted(effects, key=lambda e: (e.latest, e.id))
    left = {effect.id: max(0, -effect.delta) for effect in known}
    taken = []
    for release in released:
        row, units = by_row[release.row], release.units
        near = [e for e in known if _touches(row, e)]
        back = Counter[str]()
        for effect in near:
            back[effect.order] += max(0, effect.delta)
        for effect in near:
            given = min(left[effect.id], back[effect.order])
            back[effect.order] -= given
            n = min(units, left[effect.id] - given)
            if n > 0:
                taken.append(TakeOver(row.id, effect.id, n))
                left[effect.id] -= n
                units -= n
    return tuple(taken)


def unsure(rows: Iterable[Provisional], unsettled: Iterable[Effect]) -> frozenset[str]:
    """The rows that a sale may explain of which the next read tells: until it is settled both stand."""
    sales = [effect for effect in unsettled if effect.delta < 0]
    return frozenset(row.id for row in rows if any(_touches(row, sale) for sale in sales))


def _touches(row: Provisional, effect: Effect) -> bool:
    mine = row.key == effect.key and not row.named
    return mine and row.window_from <= effect.latest and effect.earliest <= row.window_to


def to_release(
    rows: Iterable[Provisional],
    covered_to: datetime | None,
    orders_asked_at: datetime | None,
    limit: timedelta,
    *,
    early: bool = True,
) -> tuple[Release, ...]:
    """What no order explained, by coverage and never by the clock: with the orders interface down nothing ends.

    covered_to: every order that the channel had made visible by then is booked; None: orders were never read.
    orders_asked_at: when the last complete order read was asked; None: none ever was.
    limit: how long an order takes to become visible.
    Plausible units wait until the whole window plus the limit is covered; the excess for one complete order read that
    was asked after the drop was found and covers the window. early: the excess may; False: it waits like the others.
    What the channel names stays.
    """
    released: list[Release] = []
    for row in rows:
        if row.named or covered_to is None or covered_to < row.window_to:
            continue
        read_since = orders_asked_at is not None and orders_asked_at > row.found_at
        if covered_to >= row.window_to + limit:
            released.append(Release(row.id, row.open, "all orders that could explain it were read, and none did"))
        elif early and read_since:
            reason = "more than the channel may have sold, and the orders read since do not explain it"
            released.append(Release(row.id, row.excess, reason, early=True))
    return tuple(release for release in released if release.units)


def close_for_rise(rows: Iterable[Provisional], rise: Rise) -> tuple[tuple[Release, ...], int]:
    """What a rise of the channel's number gives back, newest rows first, and how many units it leaves unexplained.

    A drop that was read after the number rose is another one's.
    """
    before = [row for row in rows if not row.named and row.window_to <= rise.window_to]
    return _newest_first(before, rise.units, "the channel's number rose again")


def _newest_first(rows: Iterable[Provisional], units: int, reason: str) -> tuple[tuple[Release, ...], int]:
    released = []
    for row in sorted(rows, key=lambda r: (r.found_at, r.id), reverse=True):
        here = min(units, row.open)
        if here:
            released.append(Release(row.id, here, reason))
            units -= here
    return tuple(released), units


@dataclass(frozen=True, slots=True)
class HoldsMoved:
    """What a change of the holds that a channel names means, together with a drop or a rise of its number.

    named: units that it holds now and did not before; ended: units that it held before and does not any more.
    drop, rise: what is left of the number's own once these are taken out of it.
    """

    named: int
    ended: int
    drop: int
    rise: int


def holds_moved(grown: int, drop: int, rise: int) -> HoldsMoved:
    """The number fell by `drop` or rose by `rise` more than orders explain, while the holds grew by `grown` units.

    A hold that ends while the number stays has become an order: that is a drop.
    """
    fell = drop - rise - grown
    return HoldsMoved(max(0, grown), max(0, -grown), max(0, fell), max(0, -fell))


def end_holds(rows: Iterable[Provisional], units: int | None = None) -> tuple[Release, ...]:
    """What ends of the rows that the channel named, when it no longer shows so many of these units; None: all."""
    named = [row for row in rows if row.named]
    gone = sum(row.open for row in named) if units is None else units
    return _newest_first(named, gone, "the channel does not hold them any more")[0]


def end_named_since(rows: Iterable[Provisional], units: int) -> tuple[Release, ...]:
    """What ends of rows that were held without a cause, when the channel now names the cause of so many units."""
    return _newest_first([row for row in rows if not row.named], units, "the channel names what holds them")[0]
