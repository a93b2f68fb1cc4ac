"""Orders as told and as booked: what `take_orders` reads before it decides and writes afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.exc import IntegrityError

from channelsync.domain.booked import BookedOrder
from channelsync.domain.orders import OrderSnapshot
from channelsync.domain.sourcing import SoldAs
from channelsync.store.among import among, values
from channelsync.store.codec import dump_booked, dump_snapshot, load, load_booked, load_snapshot
from channelsync.store.database_errors import DatabaseConflict
from channelsync.store.prepared import fetch, run
from channelsync.store.provisionals import HOLDING
from channelsync.store.tables import metadata
from channelsync.store.together import Into, Rows
from channelsync.store.upsert import upsert

_ORDER = metadata.tables["sales_order"]
_UNREADABLE = metadata.tables["unreadable_order"]
_HINT = metadata.tables["order_hint"]
_LISTING = metadata.tables["listing"]
_LISTING_KEY = metadata.tables["listing_key"]
_KEY = metadata.tables["quantity_key"]
_PROVISIONAL = metadata.tables["provisional"]

_FIRST = Into(_ORDER)
_AGAIN = Into(
    _ORDER,
    keys=("channel", "order"),
    update=("version", "content", "status", "placed_at", "booked_at", "expires_at", "unmapped", "said", "booked"),
)


@dataclass(frozen=True, slots=True)
class KeyOfListing:
    """A quantity key behind a listing: its row id, the channel's remote location, and base units per unit.

    held: units of it are reserved provisionally.
    """

    key: int
    remote: str
    item: str | None
    multiple: int
    held: bool


@dataclass(frozen=True, slots=True)
class MappedListing:
    """A listing that is mapped: what one unit of it means to us, and the numbers it stands on.

    channel_parts: for a bundle that the channel itself knows: (listing of the part, units).
    """

    listing: str
    sku: str | None
    sold: SoldAs
    keys: tuple[KeyOfListing, ...]
    channel_parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BookedRow:
    """An order's row: what was booked, and what it said then."""

    booked: BookedOrder
    said: OrderSnapshot
    first_seen_at: datetime
    unmapped: int


def booked_orders(connection: Connection, channel: str, orders: Sequence[str]) -> dict[str, BookedOrder]:
    """What is booked of these orders, locked; an order that was never seen is left out."""
    wanted = {"channel": channel, "orders": values(connection, orders)}
    found = fetch(connection, _select_booked(connection.dialect.name), wanted)
    return {row.order: _booked(channel, row) for row in found}


def claim_order(connection: Connection, channel: str, order: str) -> None:
    """Lets one transaction at a time make an order of this id; the others wait until it has ended.

    An order that is not there yet has no row to be locked. On SQLite whoever writes is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(sha256(f"{channel} {order}".encode()).digest()[:8], signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(literal(number, BigInteger))))


@cache
def _select_booked(dialect: str) -> Select[Any]:
    return (
        select(_ORDER.c.order, _ORDER.c.version, _ORDER.c.content, _ORDER.c.status, _ORDER.c.booked)
        .where(_ORDER.c.channel == bindparam("channel"), among(_ORDER.c.order, "orders", dialect))
        .order_by(_ORDER.c.order)
        .with_for_update()
    )


def order_row(connection: Connection, channel: str, order: str) -> BookedRow | None:
    """One order, whole; None when it was never seen."""
    found = connection.execute(select(_ORDER).where(_ORDER.c.channel == channel, _ORDER.c.order == order))
    row = found.first()
    return None if row is None else _row(row)


def expired_orders(
    connection: Connection, now: datetime, known_to: Mapping[str, datetime | None], limit: int = 500
) -> list[BookedRow]:
    """Orders whose time limit has passed without news, locked.

    known_to: by channel that is asked for orders: whatever happened until then was read; None: it was never asked.
    The orders of other channels end by the clock.
    """
    if not fetch(connection, _select_overdue(), {"now": now}):
        return []
    read = [
        and_(_ORDER.c.channel == name, _ORDER.c.expires_at <= until)
        for name, until in sorted(known_to.items())
        if until is not None
    ]
    found = connection.execute(
        select(_ORDER)
        .where(_ORDER.c.expires_at <= now, or_(_ORDER.c.channel.not_in(known_to), *read))
        .order_by(_ORDER.c.channel, _ORDER.c.order)
        .limit(limit)
        .with_for_update()
    )
    return [_row(row) for row in found]


@cache
def _select_overdue() -> Select[Any]:
    """Whether there is any by the clock; looked at every minute, and there hardly ever is."""
    return select(_ORDER.c.order).where(_ORDER.c.expires_at <= bindparam("now")).limit(1)


def mapped_listings(
    connection: Connection, channels: Sequence[str], listings: Iterable[str], skus: Iterable[str]
) -> tuple[dict[str, MappedListing], dict[str, MappedListing]]:
    """Mapped listings of the channels of one account.

    By the channel's id: of a listing that several of them have, that of the first. And, for lines that name none, by
    SKU, where all listings that have it mean the same and stand on the same numbers.
    """
    wanted, sold = sorted(set(listings)), sorted(set(skus))
    by_id: dict[str, MappedListing] = {}
    of_sku: dict[str, list[MappedListing]] = {}
    for channel in channels:
        by_id = _mapped(connection, channel, "listing", wanted) | by_id
        for listing in _mapped(connection, channel, "sku", sold).values():
            of_sku.setdefault(listing.sku or "", []).append(listing)
    alike = {sku: {(one.sold, one.keys) for one in found} for sku, found in of_sku.items()}
    return by_id, {sku: found[0] for sku, found in of_sku.items() if len(alike[sku]) == 1}


def fulfilled_by_channel(connection: Connection, channels: Sequence[str], listings: Iterable[str]) -> set[str]:
    """Of these listings those that one of the channels of an account fulfils from units that are not ours."""
    wanted = sorted(set(listings))
    fulfilled: set[str] = set()
    for channel in channels if wanted else ():
        given = {"channel": channel, "wanted": values(connection, wanted)}
        fulfilled |= {row.listing for row in fetch(connection, _select_fulfilled(connection.dialect.name), given)}
    return fulfilled


@cache
def _select_fulfilled(dialect: str) -> Select[Any]:
    return select(_LISTING.c.listing).where(
        _LISTING.c.channel == bindparam("channel"),
        among(_LISTING.c.listing, "wanted", dialect),
        _LISTING.c.fulfilled_by_channel.is_(True),
    )


def _mapped(connection: Connection, channel: str, column: str, wanted: list[str]) -> dict[str, MappedListing]:
    if not wanted:
        return {}
    given = {"channel": channel, "wanted": values(connection, wanted)}
    found = fetch(connection, _select_mapped(column, connection.dialect.name), given)
    mapped: dict[str, MappedListing] = {}
    for row in found:
        before = mapped.get(row.listing)
        keys = before.keys if before else ()
        if row.id is not None:
            keys = (*keys, KeyOfListing(row.id, row.remote, row.key_item, row.key_multiple, row.held))
        mapped[row.listing] = MappedListing(
            row.listing, row.sku, SoldAs(row.item, row.multiple), keys, _parts(row.parts)
        )
    return mapped


@cache
def _select_mapped(column: str, dialect: str) -> Select[Any]:
    return (
        select(
            _LISTING.c.listing,
            _LISTING.c.sku,
            _LISTING.c.item,
            _LISTING.c.multiple,
            _LISTING.c.parts,
            _KEY.c.id,
            _KEY.c.remote,
            _KEY.c.item.label("key_item"),
            _KEY.c.multiple.label("key_multiple"),
            exists().where(_PROVISIONAL.c.key == _KEY.c.id, HOLDING).label("held"),
        )
        .join_from(
            _LISTING,
            _LISTING_KEY,
            (_LISTING_KEY.c.channel == _LISTING.c.channel) & (_LISTING_KEY.c.listing == _LISTING.c.listing),
            isouter=True,
        )
        .join(_KEY, _KEY.c.id == _LISTING_KEY.c.key, isouter=True)
        .where(
            _LISTING.c.channel == bindparam("channel"),
            among(_LISTING.c[column], "wanted", dialect),
            _LISTING.c.item.is_not(None),
            _LISTING.c.fulfilled_by_channel.is_(False),
        )
        .order_by(_LISTING.c.listing, _KEY.c.id)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderToSave:
    """An order after booking. expires_at: when what it holds ends without news; None: never.

    absent_at: see `OrderRow`; kept of the first booking only.
    """

    said: OrderSnapshot
    booked: BookedOrder
    unmapped: int
    expires_at: datetime | None
    absent_at: datetime | None = None


def order_rows(orders: Sequence[OrderToSave], known: Collection[tuple[str, str]], now: datetime) -> tuple[Rows, Rows]:
    """The rows of orders as told and as booked: of new ones, and of those that have one. See `booked_by_one`.

    known: (channel, order) of those that had a row when they were read.
    """
    rows = [
        {
            "channel": order.booked.channel,
            "order": order.booked.order,
            "version": order.booked.version,
            "content": order.booked.content,
            "status": order.booked.status.value,
            "placed_at": order.said.placed_at,
            "first_seen_at": now,
            "absent_at": order.absent_at,
            "booked_at": now,
            "expires_at": order.expires_at,
            "unmapped": order.unmapped,
            "said": dump_snapshot(order.said),
            "booked": dump_booked(order.booked),
        }
        for order in sorted(orders, key=lambda o: (o.booked.channel, o.booked.order))
    ]
    first = [row for row in rows if (row["channel"], row["order"]) not in known]
    again = [row for row in rows if (row["channel"], row["order"]) in known]
    return (_FIRST, first), (_AGAIN, again)


_BOOKED_BY_ANOTHER = (_ORDER.name, "pk_ledger_entry")
"""In the database's words. PostgreSQL writes the tables of one statement in any order: its entry may be met first."""


@contextmanager
def booked_by_one() -> Iterator[None]:
    """Inside, new orders are written.

    Raises DatabaseConflict, so that the unit of work is repeated, when another transaction has booked one of them
    meanwhile: what was decided for it here supposed that nothing was booked of it.
    """
    try:
        yield
    except IntegrityError as error:
        if any(name in str(error.orig) for name in _BOOKED_BY_ANOTHER):
            raise DatabaseConflict("an order was booked by two at the same time") from error
        raise


def keep_unreadable(
    connection: Connection, channel: str, orders: Sequence[tuple[str, str, str]], now: datetime
) -> None:
    """Keeps orders that could not be understood: (order, reason, raw)."""
    if orders:
        connection.execute(
            upsert(_UNREADABLE, connection.dialect.name, keys=("channel", "order"), update=("reason", "raw")),
            [
                {"channel": channel, "order": order, "reason": reason, "raw": raw, "seen_at": now}
                for order, reason, raw in orders
            ],
        )


def forget_unreadable(connection: Connection, channel: str, understood: Sequence[str]) -> list[str]:
    """Drops the refusals of orders that were understood since; returns which there were."""
    if not understood:
        return []
    select_theirs, delete_theirs = _unreadable_of(connection.dialect.name)
    listed = {"channel": channel, "orders": values(connection, understood)}
    kept = [row.order for row in fetch(connection, select_theirs, listed)]
    if kept:
        run(connection, delete_theirs, [listed])
    return kept


@cache
def _unreadable_of(dialect: str) -> tuple[Select[Any], Delete]:
    theirs = (_UNREADABLE.c.channel == bindparam("channel"), among(_UNREADABLE.c.order, "orders", dialect))
    return select(_UNREADABLE.c.order).where(*theirs), delete(_UNREADABLE).where(*theirs)


def hint_orders(connection: Connection, channel: str, orders: Mapping[str, str], now: datetime) -> None:
    """Puts orders on the list of those to read again by id: order -> reason."""
    if orders:
        connection.execute(
            upsert(
                _HINT, connection.dialect.name, keys=("channel", "order"), update=("reason", "noted_at", "asked_at")
            ),
            [
                {"channel": channel, "order": order, "reason": reason, "asked_at": now, "noted_at": now, "attempts": 0}
                for order, reason in sorted(orders.items())
            ],
        )


def drop_hints(connection: Connection, channel: str, orders: Sequence[str], asked: datetime) -> None:
    """These orders were read again by id, from `asked` on; what was hinted at later is to be read once more."""
    these = {"channel": channel, "orders": values(connection, orders), "asked": asked}
    run(connection, _drop_hints(connection.dialect.name), [these])


@cache
def _drop_hints(dialect: str) -> Delete:
    return delete(_HINT).where(
        _HINT.c.channel == bindparam("channel"),
        among(_HINT.c.order, "orders", dialect),
        _HINT.c.asked_at <= bindparam("asked"),
    )


def _booked(channel: str, row: Any) -> BookedOrder:
    return load_booked(
        row.booked,
        channel=channel,
        order=row.order,
        version=row.version,
        content=row.content,
        status=row.status,
    )


def _row(row: Row[Any]) -> BookedRow:
    return BookedRow(
        booked=_booked(row.channel, row),
        said=load_snapshot(row.said),
        first_seen_at=row.first_seen_at,
        unmapped=row.unmapped,
    )


def _parts(raw: bytes) -> tuple[tuple[str, int], ...]:
    return tuple((listing, units) for listing, units in load(raw) or ())
