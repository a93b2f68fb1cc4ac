"""Taking a file of whole orders in: all of it in one transaction, booked like every other order.

An order's id in the file is the caller's key. The same file again changes nothing, and neither does another file
that says the same of an order; one that says more of it is a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus, total
from channelsync.sdk.paging import in_batches
from channelsync.store import imported_files, items, ledger, orders, orders_view
from channelsync.store.imported_files import TakenIn
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.orders_file import BadRow, LineInFile, OrderInFile, OrdersFile
from channelsync.sync.orders_told import wrong_time
from channelsync.sync.setup import BY_HAND, Setup

# Orders booked with one set of statements; all of a file are one transaction.
BOOKED_AT_ONCE = 200
_TICK = timedelta(microseconds=1)


class RowsRefused(Exception):
    """Rows of a file are bad, so nothing of it was taken in."""

    def __init__(self, bad: Sequence[BadRow]) -> None:
        self.bad = tuple(bad)
        super().__init__(f"{len(bad)} rows are bad; nothing was taken in")


@dataclass(slots=True, kw_only=True)
class Imported:
    """What became of a file. before: the run that took this very file in already; empty: none did.

    new, changed, same, stale: orders by what they were to us; stale ones are older than what is booked.
    bad: rows that were skipped.
    waiting: SKUs of no item; their orders are kept, and book themselves once there is one.
    oversold: (SKU, location, available) of what the file takes and of which more is promised than is there.
    """

    before: str = ""
    new: int = 0
    changed: int = 0
    same: int = 0
    stale: int = 0
    bad: list[BadRow] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    oversold: list[tuple[str, str, int]] = field(default_factory=list)


def digest_of(data: bytes) -> str:
    """By which a file of orders is known again."""
    return f"orders:{sha256(data).hexdigest()}"


def import_orders(
    connection: Connection,
    setup: Setup,
    file: OrdersFile,
    *,
    name: str,
    digest: str,
    skip_bad_rows: bool,
    now: datetime,
    run: str,
) -> Imported:
    """Books the orders of a file in the caller's transaction. name: of the file, for the record.

    Raises RowsRefused where rows are bad and are not to be skipped.
    """
    claimed = TakenIn(digest=digest, name=name, kind="orders", run=run, rows=len(file.texts), at=now)
    earlier = imported_files.claim(connection, claimed)
    if earlier is not None:
        return Imported(before=earlier.run)
    ids = [order.order for order in file.orders]
    orders.booked_orders(connection, BY_HAND, ids)
    wanted = OrdersWanted(channel=BY_HAND, orders=ids)
    known = {one.order: one.said for one in orders_view.find_orders(connection, wanted)} if ids else {}
    done = Imported()
    arrivals = _arrivals(file, known, now, done)
    done.bad = list(file.bad)
    if done.bad and not skip_bad_rows:
        raise RowsRefused(done.bad)
    moved: set[str] = set()
    for some in in_batches(arrivals, BOOKED_AT_ONCE):
        moved |= book_orders(connection, setup, some, now=now, run=run).items
    done.waiting = _waiting(connection, arrivals)
    done.oversold = _oversold(connection, moved)
    return done


def _arrivals(file: OrdersFile, known: Mapping[str, OrderSnapshot], now: datetime, done: Imported) -> list[Arrival]:
    """The orders that say something new. Refuses one of a time that has not come, and one that contradicts what was
    said at the same time."""
    arrivals = []
    for order in list(file.orders):
        to_come = wrong_time("placed_at", order.placed_at, now) or wrong_time("changed_at", order.changed_at, now)
        if to_come:
            file.refuse(order, f"order {order.order}: {to_come}")
            continue
        before = known.get(order.order)
        after = _told(order, before, now)
        if before is None:
            done.new += 1
        elif order.changed_at is not None and order.changed_at < before.version:
            done.stale += 1
            continue
        elif after.content == before.content:
            done.same += 1
            continue
        elif order.changed_at == before.version:
            file.refuse(order, f"order {order.order} said something else with the same changed_at; give a later time")
            continue
        else:
            done.changed += 1
        arrivals.append(Arrival(channel=BY_HAND, order=after))
    return arrivals


def _told(order: OrderInFile, before: OrderSnapshot | None, now: datetime) -> OrderSnapshot:
    """The order as told now: what the file says, and what it leaves blank as it was.

    Its version is that of before where it says nothing new, so that the two are equal then.
    """
    known = {line.line: line for line in before.lines} if before else {}
    closed = order.status is OrderStatus.CLOSED
    named = {line.line for line in order.lines}
    lines = (
        *(_line(line, known.get(line.line), closed=closed) for line in order.lines),
        *(_no_longer_named(line) for line in known.values() if line.line not in named and _done(line)),
    )
    status = order.status or (before.status if before and before.status is OrderStatus.CANCELLED else _status(lines))
    cancelled = status is OrderStatus.CANCELLED
    told = OrderSnapshot(
        order=order.order,
        version=before.version if before else order.changed_at or now,
        placed_at=order.placed_at or (before.placed_at if before else order.changed_at or now),
        status=status,
        lines=lines,
        deducted_at=before.deducted_at if before else None,
        cancelled_at=before.cancelled_at if before and cancelled else None,
    )
    if before is None or told.content != before.content:
        version = order.changed_at or (max(now, before.version + _TICK) if before else now)
        told = replace(told, version=version, cancelled_at=(told.cancelled_at or version) if cancelled else None)
    return told


def _line(line: LineInFile, before: OrderLine | None, *, closed: bool) -> OrderLine:
    cancelled = _sum_so_far(before.cancelled if before else (), line.cancelled)
    shipped = _sum_so_far(before.shipped if before else (), line.shipped)
    if closed and line.shipped is None:  # tills say of a sale that it is closed, and no more
        left = line.units - total(cancelled) - (total(before.lost) if before else 0)
        shipped = _sum_so_far(shipped, max(total(shipped), left))
    told = OrderLine(line=line.line, sku=line.sku, ordered=line.units, location=line.location)
    told = replace(told, shipped=shipped, cancelled=cancelled)
    if before is None:
        return told
    location = line.location or before.location
    return replace(told, location=location, lost=before.lost, returned=before.returned, withheld=before.withheld)


def _no_longer_named(before: OrderLine) -> OrderLine:
    """What was done of a line stays done, whatever the order is now."""
    return replace(before, ordered=_done(before))


def _done(line: OrderLine) -> int:
    return total(line.shipped) + total(line.cancelled) + total(line.lost)


def _sum_so_far(before: tuple[Moved, ...], units: int | None) -> tuple[Moved, ...]:
    """What was told before, and what is more by now; fewer replace it. None: nothing is said of it."""
    if units is None or units == total(before):
        return before
    more = units - total(before)
    return (*before, Moved(units=more)) if more > 0 else (Moved(units=units),) if units else ()


def _status(lines: Sequence[OrderLine]) -> OrderStatus:
    return OrderStatus.OPEN if any(line.to_ship for line in lines) else OrderStatus.CLOSED


def _waiting(connection: Connection, arrivals: Sequence[Arrival]) -> list[str]:
    skus = {line.sku for one in arrivals for line in one.order.lines if line.sku and one.order.to_ship(line)}
    return sorted(skus - items.items_by_sku(connection, skus).keys())


def _oversold(connection: Connection, moved: set[str]) -> list[tuple[str, str, int]]:
    short = [one for one in ledger.read_positions(connection, moved).values() if one.available < 0]
    skus = items.items_by_id(connection, {one.key.item for one in short})
    return sorted((skus[one.key.item].sku, one.key.location, one.available) for one in short)
