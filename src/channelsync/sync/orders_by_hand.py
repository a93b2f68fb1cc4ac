"""Orders that we take ourselves (phone, wholesale, till): booked, shipped and cancelled by the caller's own key.

They are orders of a channel of our own, `manual`: it names our SKUs instead of listings, and no number anywhere is
lowered by them but by us. They are booked by `book_orders` like every other order, so they are never refused, save
where the caller asks for that.

Numbers are sums so far, never "more": an order of 3, shipped 2, cancelled 1. So every call may be repeated, and
every call whose outcome is unknown should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.effects import Deducts, NumberBehaviour
from channelsync.domain.errors import BadOrder
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus, total
from channelsync.domain.sourcing import reachable
from channelsync.sdk.channel import Capabilities
from channelsync.store import items, ledger, orders
from channelsync.sync import orders_short
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.orders_told import wrong_name, wrong_time
from channelsync.sync.setup import BY_HAND, ChannelSetup, Setup
from channelsync.sync.stock import wrong_location

# Two changes of one order are told apart by their times, however fast they follow one another.
_TICK = timedelta(microseconds=1)


class NoSuchOrder(BadOrder):
    """No order of our own has this key."""


def by_hand(locations: Sequence[str]) -> ChannelSetup:
    """Our own channel, served by these locations in this order."""
    never = NumberBehaviour(deducts=Deducts.NEVER, gives_back=frozenset())
    nothing = timedelta(0)
    capabilities = Capabilities(
        behaviour=never, order_visibility=nothing, order_overlap=nothing, pending_limit=None, unique_skus=True
    )
    return ChannelSetup(
        name=BY_HAND, capabilities=capabilities, locations=tuple(locations), mode="off", poll=nothing, by_sku=True
    )


@dataclass(frozen=True, slots=True)
class LineByHand:
    """Units of a SKU that somebody orders. location: where they ship from; None: we choose."""

    sku: str
    units: int
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookByHand:
    """An order as the caller gives it. order: the caller's key.

    change: the order may be there already with other lines, which these replace. refuse_short: raise ShortOfUnits
    where a location would fall below 0, instead of booking it all the same.
    """

    order: str
    lines: tuple[LineByHand, ...]
    placed_at: datetime | None = None
    change: bool = False
    refuse_short: bool = False


@dataclass(frozen=True, slots=True)
class LineNow:
    """A line as it stands. open: units still to be shipped. waits: no item has this SKU yet."""

    line: str
    sku: str | None
    ordered: int
    shipped: int
    cancelled: int
    open: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNow:
    """An order as it stands after a call. changed False: everything was so already.

    oversold: (SKU, location, available) of what it still takes and of which more is promised than is there, and of
    what it shipped from a place where fewer than no units are on hand now.
    """

    order: str
    status: str
    changed: bool
    lines: tuple[LineNow, ...]
    oversold: tuple[tuple[str, str, int], ...] = ()


def book_by_hand(connection: Connection, setup: Setup, wanted: BookByHand, *, now: datetime, run: str) -> OrderNow:
    """Books an order, in the caller's transaction; the same order again changes nothing.

    Raises BadOrder for what no order can say, such as no units or a time that has not come, and for a key that is
    taken by other lines or by a cancelled order; ShortOfUnits when `refuse_short` is asked for and units are short, or
    cannot be counted because no item has the SKU.
    """
    _check_said(wanted, now)
    _check_locations(setup, (line.location for line in wanted.lines))
    before = _said(connection, wanted.order)
    order = _as_wanted(before, wanted, now)
    if before is not None and order == before:
        return _now(connection, setup, order, changed=False)
    if wanted.refuse_short and before is None:
        orders_short.refuse_hopeless(connection, setup, order)
    return _book(connection, setup, order, now=now, run=run, refuse_short=wanted.refuse_short)


def ship_by_hand(
    connection: Connection,
    setup: Setup,
    order: str,
    units: Mapping[str, int],
    *,
    location: str | None = None,
    now: datetime,
    run: str,
) -> OrderNow:
    """Says what of an order was shipped so far, by SKU or line; nothing named: all that is to be shipped.

    location: where the units that are new left; None: where they are reserved. Raises BadOrder for an order or line
    that is not there, for more than is to be shipped, and for less than was shipped already.
    """
    _check_locations(setup, (location,))
    before = _existing(connection, order)
    wanted = _by_line(before, units) if units else _everything(before)
    lines = tuple(_moved(line, "shipped", wanted.get(line.line), now, location) for line in before.lines)
    if lines != before.lines and before.status is OrderStatus.CANCELLED:
        raise BadOrder(f"Order {order} was cancelled, so nothing more of it can ship. Book it under a new key.")
    return _changed(connection, setup, before, lines, now=now, run=run)


def cancel_by_hand(
    connection: Connection, setup: Setup, order: str, units: Mapping[str, int], *, now: datetime, run: str
) -> OrderNow:
    """Says what of an order was cancelled so far, by SKU or line; nothing named: all that is not shipped.

    Raises BadOrder for an order or line that is not there, for more than can be cancelled, and for less than was
    cancelled already, be it with the whole order. What was shipped comes back as a return, not as a cancellation.
    """
    before = _existing(connection, order)
    wanted = _by_line(before, units)
    stands = tuple(_as_cancelled(before, line) for line in before.lines)
    lines = tuple(_moved(line, "cancelled", wanted.get(line.line), now, None) for line in stands)
    if before.status is OrderStatus.CANCELLED:
        return _now(connection, setup, before, changed=False)
    if units:
        return _changed(connection, setup, before, lines, now=now, run=run)
    if not any(line.to_ship for line in before.lines):
        raise BadOrder(f"Order {order} has nothing left to cancel: everything was shipped or cancelled already.")
    cancelled = replace(before, status=OrderStatus.CANCELLED, cancelled_at=now, version=_later(before, now))
    return _book(connection, setup, cancelled, now=now, run=run)


def _check_said(wanted: BookByHand, now: datetime) -> None:
    wrong = [
        wrong_name("order", wanted.order),
        wrong_time("placed_at", wanted.placed_at, now),
        *(wrong_name("sku", line.sku) for line in wanted.lines),
        *(
            f"{line.units} is no number of units to order of {line.sku}; name 1 or more, or leave it out"
            for line in wanted.lines
            if line.units < 1
        ),
    ]
    if any(wrong):
        raise BadOrder(f"Order {wanted.order}: {next(filter(None, wrong))}. Nothing was booked.")
    times = Counter(line.sku for line in wanted.lines)
    twice = sorted(sku for sku, often in times.items() if often > 1)
    if twice:
        raise BadOrder(f"Order {wanted.order} names {', '.join(twice)} twice; add the units up in one line.")


def _as_wanted(before: OrderSnapshot | None, wanted: BookByHand, now: datetime) -> OrderSnapshot:
    """The order as it is to be told; the very same as before where nothing is new."""
    new = tuple(
        OrderLine(line=line.sku, sku=line.sku, ordered=line.units, location=line.location) for line in wanted.lines
    )
    if before is None:
        placed = wanted.placed_at or now
        return OrderSnapshot(order=wanted.order, version=now, placed_at=placed, status=OrderStatus.OPEN, lines=new)
    if Counter(map(_asked, new)) == Counter(map(_asked, before.lines)):
        return before
    if not wanted.change:
        lines = ", ".join(f"{line.sku}={line.ordered}" for line in before.lines)
        raise BadOrder(
            f"Order {wanted.order} is booked already with other lines ({lines}); nothing was changed. Use another key, "
            "or say --change to replace them."
        )
    return _replaced(before, new, now)


def _asked(line: OrderLine) -> tuple[str | None, int, str | None]:
    return line.sku, line.ordered, line.location


def _replaced(before: OrderSnapshot, new: tuple[OrderLine, ...], now: datetime) -> OrderSnapshot:
    """The order with other lines. One that is no longer named keeps what was done of it: that cannot be undone."""
    if before.status is OrderStatus.CANCELLED:
        raise BadOrder(f"Order {before.order} was cancelled and cannot be changed. Book it under a new key.")
    wanted = {line.sku: line for line in new}
    kept = []
    for line in before.lines:
        asked = wanted.pop(line.sku, None)
        if asked is None and _done(line):
            kept.append(replace(line, ordered=_done(line)))
        elif asked is not None and asked.ordered < _done(line):
            raise BadOrder(
                f"Order {before.order}: {_done(line)} of {line.sku} were shipped or cancelled already, so it cannot "
                f"ask for {asked.ordered} only."
            )
        elif asked is not None:
            kept.append(replace(line, ordered=asked.ordered, location=asked.location))
    lines = (*kept, *wanted.values())
    return replace(before, lines=lines, version=_later(before, now), status=_status(lines))


def _done(line: OrderLine) -> int:
    """Units that are shipped, cancelled or lost."""
    return total(line.shipped) + total(line.cancelled) + total(line.lost)


def _by_line(order: OrderSnapshot, units: Mapping[str, int]) -> dict[str, int]:
    """Units by line id, from units by line id or SKU."""
    found: dict[str, int] = {}
    for name, wanted in units.items():
        lines = [line for line in order.lines if line.line == name] or [x for x in order.lines if x.sku == name]
        if not lines:
            known = ", ".join(str(line.sku) for line in order.lines)
            raise BadOrder(f"Order {order.order} has no line of {name}; it has {known}.")
        if len(lines) > 1:
            ids = ", ".join(line.line for line in lines)
            raise BadOrder(f"Order {order.order} has {len(lines)} lines of {name}: name one of {ids} instead.")
        if lines[0].line in found:
            raise BadOrder(f"Order {order.order}: {name} is named twice.")
        found[lines[0].line] = wanted
    return found


def _everything(order: OrderSnapshot) -> dict[str, int]:
    return {line.line: total(line.shipped) + line.to_ship for line in order.lines}


def _as_cancelled(order: OrderSnapshot, line: OrderLine) -> OrderLine:
    """The line with what the cancellation of its order did to it; as it is, where the order is not cancelled."""
    rest = order.cancelled(line) - total(line.cancelled)
    return replace(line, cancelled=(*line.cancelled, Moved(units=rest, at=order.cancelled_at))) if rest else line


def _moved(
    line: OrderLine, what: Literal["shipped", "cancelled"], units: int | None, now: datetime, location: str | None
) -> OrderLine:
    """The line once so many units of it, all together, are shipped or cancelled. None: as it is."""
    moved: tuple[Moved, ...] = getattr(line, what)
    if units is None or units == total(moved):
        return line
    more = units - total(moved)
    if more < 0:
        raise BadOrder(
            f"{line.sku}: {total(moved)} are {what} already; {units} is less. Numbers are sums so far, and do not fall."
        )
    if more > line.to_ship:
        raise BadOrder(
            f"{line.sku}: {units} cannot be {what}: {line.ordered} were ordered, {total(line.shipped)} are shipped and "
            f"{total(line.cancelled) + total(line.lost)} cancelled already."
        )
    at_once = Moved(units=more, at=now, location=location)
    return replace(line, shipped=(*moved, at_once)) if what == "shipped" else replace(line, cancelled=(*moved, at_once))


def _changed(
    connection: Connection,
    setup: Setup,
    before: OrderSnapshot,
    lines: tuple[OrderLine, ...],
    *,
    now: datetime,
    run: str,
) -> OrderNow:
    if lines == before.lines:
        return _now(connection, setup, before, changed=False)
    after = replace(before, lines=lines, version=_later(before, now), status=_status(lines))
    return _book(connection, setup, after, now=now, run=run)


def _status(lines: Sequence[OrderLine]) -> OrderStatus:
    return OrderStatus.OPEN if any(line.to_ship for line in lines) else OrderStatus.CLOSED


def _later(before: OrderSnapshot, now: datetime) -> datetime:
    return max(now, before.version + _TICK)


def _said(connection: Connection, order: str) -> OrderSnapshot | None:
    """The order as last told, locked; None: there is none, and no other transaction makes it before this one ends."""
    orders.claim_order(connection, BY_HAND, order)
    orders.booked_orders(connection, BY_HAND, [order])
    row = orders.order_row(connection, BY_HAND, order)
    return None if row is None else row.said


def _existing(connection: Connection, order: str) -> OrderSnapshot:
    found = _said(connection, order)
    if found is None:
        raise NoSuchOrder(f"There is no order {order} that was booked by hand; nothing was changed.")
    return found


def _check_locations(setup: Setup, wanted: Iterable[str | None]) -> None:
    unknown = sorted({name for name in wanted if name is not None} - set(setup.locations))
    if kept := [name for name in unknown if name in setup.kept_by]:
        raise BadOrder(wrong_location(setup, kept[0]))
    if unknown:
        raise BadOrder(f"There is no location {', '.join(unknown)}; there is {', '.join(setup.locations)}.")


def _book(
    connection: Connection,
    setup: Setup,
    order: OrderSnapshot,
    *,
    now: datetime,
    run: str,
    refuse_short: bool = False,
) -> OrderNow:
    """Books it, as any order; `before` is read under the locks that booking needs, so nobody can come between."""
    known = items.items_by_sku(connection, {line.sku for line in order.lines if line.sku})
    parts = {part for item in known.values() for part in reachable(item.id, setup.recipes)}
    before = ledger.lock_positions(connection, parts) if refuse_short else {}
    booked = book_orders(connection, setup, [Arrival(channel=BY_HAND, order=order)], now=now, run=run)
    after = ledger.read_positions(connection, booked.items)
    if refuse_short:
        orders_short.refuse_unknown(order, known)
        orders_short.refuse_short(connection, before, after)
    return _now(connection, setup, order, changed=True)


def _now(connection: Connection, setup: Setup, order: OrderSnapshot, *, changed: bool) -> OrderNow:
    known = items.items_by_sku(connection, {line.sku for line in order.lines if line.sku})
    lines = tuple(
        LineNow(
            line=line.line,
            sku=line.sku,
            ordered=line.ordered,
            shipped=total(line.shipped),
            cancelled=order.cancelled(line),
            open=order.to_ship(line),
            waits=line.sku not in known,
        )
        for line in order.lines
    )
    return OrderNow(
        order=order.order,
        status=order.status.value,
        changed=changed,
        lines=lines,
        oversold=orders_short.oversold_by(connection, setup, order, known),
    )
