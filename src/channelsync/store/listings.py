"""Listings as last seen, what they mean to us, and the quantity keys behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, delete, func, null, select, update

from channelsync.domain.quantities import PositionKey
from channelsync.store.among import among, values
from channelsync.store.codec import dump, load
from channelsync.store.keys import NO_RISE
from channelsync.store.prepared import fetch, run
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring, upsert

_LISTING = metadata.tables["listing"]
_LINK = metadata.tables["listing_key"]
_KEY = metadata.tables["quantity_key"]
_PAGE = metadata.tables["quantity_key_page"]
_INCOMING = metadata.tables["incoming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenListing:
    """A listing as a channel shows it, in plain values. keys, kept: (the channel's key, its remote location).

    kept: keys of units that the channel keeps itself.
    page: the name whose writes the channel counts together; empty: those of each key by themselves. further_pages:
    others whose count a write of it raises as well.
    """

    listing: str
    sku: str | None
    title: str
    barcode: str | None
    state: str
    reasons: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, int], ...]
    tracked: bool
    sells_below_zero: bool
    fulfilled_by_channel: bool
    kept: tuple[tuple[str, str], ...] = ()
    page: str = ""
    further_pages: tuple[str, ...] = ()

    @property
    def all_keys(self) -> dict[tuple[str, str], bool]:
        """Its keys, and whether each is of units of ours."""
        ours = self.tracked and not self.fulfilled_by_channel
        return dict.fromkeys(self.keys, ours) | dict.fromkeys(self.kept, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredListing:
    """A listing's row. item None: not mapped. gone_at: since when the channel no longer lists it.

    mapped_by, mapped_at: who mapped it (or took that back) last, and when; None: nobody has.
    """

    channel: str
    listing: str
    sku: str | None
    title: str
    barcode: str | None
    state: str
    reasons: tuple[str, ...]
    parts: tuple[tuple[str, int], ...]
    tracked: bool
    sells_below_zero: bool
    fulfilled_by_channel: bool
    item: str | None
    multiple: int
    mapped_by: str
    mapped_at: datetime | None
    seen_at: datetime
    gone_at: datetime | None
    keys: tuple[int, ...]


def save_listings(
    connection: Connection, channel: str, identity: str, seen: Sequence[SeenListing], now: datetime
) -> set[str]:
    """Writes listings as seen, and makes the keys behind them. Mappings stay as they are.

    Returns the items of keys that became ours, or the channel's: rules may leave others more of them, or less.
    """
    if not seen:
        return set()
    dialect = connection.dialect.name
    columns = ("sku", "title", "barcode", "state", "reasons", "parts", "tracked", "sells_below_zero")
    changing = (*columns, "fulfilled_by_channel", "seen_at", "gone_at")
    statement = upsert(_LISTING, dialect, keys=("channel", "listing"), update=changing)
    run(connection, statement, [_listing_row(channel, one, now) for one in seen])
    keys = [row for one in seen for row in _key_rows(channel, identity, one)]
    if keys:
        run(connection, insert_ignoring(_KEY, dialect), keys)
    changed_hands = _link_keys(connection, channel, identity, seen)
    _copy_mapping_to_keys(connection, channel, [one.listing for one in seen])
    return changed_hands


def _listing_row(channel: str, one: SeenListing, now: datetime) -> dict[str, object]:
    return {
        "channel": channel,
        "listing": one.listing,
        "sku": one.sku,
        "title": one.title,
        "barcode": one.barcode,
        "state": one.state,
        "reasons": dump(one.reasons),
        "parts": dump(one.parts),
        "tracked": one.tracked,
        "sells_below_zero": one.sells_below_zero,
        "fulfilled_by_channel": one.fulfilled_by_channel,
        "multiple": 1,
        "mapped_by": "",
        "seen_at": now,
        "gone_at": None,
    }


def _key_rows(channel: str, identity: str, one: SeenListing) -> list[dict[str, object]]:
    return [
        {
            "identity": identity,
            "key": key,
            "remote": remote,
            "channel": channel,
            "listing": one.listing,
            "page": one.page,
            "multiple": 1,
            "ours": ours,
            "kept": (key, remote) in one.kept,
            "sells_below_zero": one.sells_below_zero,
            "verified": True,
            "generation": 0,
            "channel_held": 0,
            "urgency": 1,
            "failures": 0,
        }
        for (key, remote), ours in one.all_keys.items()
    ]


def _link_keys(connection: Connection, channel: str, identity: str, seen: Sequence[SeenListing]) -> set[str]:
    wanted = {key for one in seen for key, _ in one.all_keys}
    if not wanted:
        return set()
    columns = ("id", "key", "remote", "ours", "kept", "sells_below_zero", "page", "item")
    found = connection.execute(
        select(*(_KEY.c[name] for name in columns)).where(
            _KEY.c.identity == identity, among(_KEY.c.key, "names", connection.dialect.name)
        ),
        {"names": values(connection, sorted(wanted))},
    ).all()
    rows = {(row.key, row.remote): row for row in found}
    linked = [(one.listing, key) for one in seen for key in sorted(one.all_keys)]
    links = [{"channel": channel, "listing": listing, "key": rows[key].id} for listing, key in linked]
    run(connection, insert_ignoring(_LINK, connection.dialect.name), links)
    changed = [
        {"b_id": rows[key].id, "b_ours": ours, "b_kept": key in one.kept, "b_below": one.sells_below_zero}
        for one in seen
        for key, ours in one.all_keys.items()
        if (ours, key in one.kept, one.sells_below_zero) != (rows[key].ours, rows[key].kept, rows[key].sells_below_zero)
    ]
    if changed:  # a change of inventory policy: the next read sets the watermark anew and books nothing
        connection.execute(
            update(_KEY)
            .where(_KEY.c.id == bindparam("b_id"))
            .values(
                ours=bindparam("b_ours"), kept=bindparam("b_kept"), sells_below_zero=bindparam("b_below"), value=None
            ),
            changed,
        )
    pages = {rows[key].id: (one.page, rows[key].page) for one in seen for key in one.keys}
    moved = [((key,), {"page": page}) for key, (page, before) in pages.items() if page != before]
    update_rows(connection, _KEY, ("id",), moved)
    _save_further_pages(connection, {rows[key].id: one.further_pages for one in seen for key in one.keys})
    owned = ((rows[key], ours) for one in seen for key, ours in one.all_keys.items())
    return {row.item for row, ours in owned if row.item and row.ours != ours}


def _save_further_pages(connection: Connection, pages: Mapping[int, tuple[str, ...]]) -> None:
    """The further pages of these keys are these, and no others any more."""
    dialect = connection.dialect.name
    listed = {"keys": values(connection, sorted(pages))}
    found = connection.execute(select(_PAGE).where(among(_PAGE.c.key, "keys", dialect)), listed)
    there, wanted = {tuple(row) for row in found}, {(key, page) for key, named in pages.items() for page in named}
    if gone := there - wanted:
        one = (_PAGE.c.key == bindparam("b_key")) & (_PAGE.c.page == bindparam("b_page"))
        connection.execute(delete(_PAGE).where(one), [{"b_key": key, "b_page": page} for key, page in sorted(gone)])
    if new := wanted - there:
        rows = [{"key": key, "page": page} for key, page in sorted(new)]
        connection.execute(insert_ignoring(_PAGE, dialect), rows)


def _copy_mapping_to_keys(connection: Connection, channel: str, listings: Sequence[str]) -> None:
    """A new key of a mapped listing means what the listing means.

    The channel is compared as an expression: else SQLite looks for a key's link among all links of the channel.
    """
    mapping = (
        select(_LISTING.c.item, _LISTING.c.multiple)
        .join(_LINK, (_LINK.c.channel == _LISTING.c.channel) & (_LINK.c.listing == _LISTING.c.listing))
        .where(_LINK.c.key == _KEY.c.id, func.coalesce(_LISTING.c.channel, "") == channel, _LISTING.c.item.is_not(None))
        .limit(1)
    )
    connection.execute(
        update(_KEY)
        .where(
            _KEY.c.item.is_(None),
            _KEY.c.id.in_(
                select(_LINK.c.key).where(
                    _LINK.c.channel == channel, among(_LINK.c.listing, "listings", connection.dialect.name)
                )
            ),
            mapping.exists(),
        )
        .values(
            item=mapping.with_only_columns(_LISTING.c.item).scalar_subquery(),
            multiple=mapping.with_only_columns(_LISTING.c.multiple).scalar_subquery(),
        ),
        {"listings": values(connection, list(listings))},
    )


def count_unseen(connection: Connection, channel: str, seen_before: datetime) -> tuple[int, int]:
    """How many listings a channel is known to have, and how many of them no pull has brought since then."""
    there = select(func.count()).where(_LISTING.c.channel == channel, _LISTING.c.gone_at.is_(None))
    return (
        connection.execute(there).scalar_one(),
        connection.execute(there.where(_LISTING.c.seen_at < seen_before)).scalar_one(),
    )


def unseen(connection: Connection, channel: str, seen_before: datetime, limit: int) -> list[str]:
    """Ids of listings that a channel is known to have and no pull has brought since then, at most so many."""
    where = (_LISTING.c.channel == channel, _LISTING.c.seen_at < seen_before, _LISTING.c.gone_at.is_(None))
    found = select(_LISTING.c.listing).where(*where).order_by(_LISTING.c.listing).limit(limit)
    return list(connection.execute(found).scalars())


def mark_gone(connection: Connection, channel: str, seen_before: datetime, now: datetime) -> list[StoredListing]:
    """Marks listings that a full pull no longer brought; returns them.

    Their keys are not ours any more, unless another listing of theirs is still there; a pull that brings one back
    makes them ours again, and its first read sets their watermarks.
    """
    where = (_LISTING.c.channel == channel, _LISTING.c.seen_at < seen_before, _LISTING.c.gone_at.is_(None))
    gone = list(connection.execute(select(_LISTING.c.listing).where(*where)).scalars())
    if not gone:
        return []
    connection.execute(update(_LISTING).where(*where).values(gone_at=now))
    there = (
        select(_LINK.c.key)
        .join(_LISTING, (_LINK.c.channel == _LISTING.c.channel) & (_LINK.c.listing == _LISTING.c.listing))
        .where(_LISTING.c.gone_at.is_(None))
    )
    theirs = select(_LINK.c.key).where(
        _LINK.c.channel == channel, among(_LINK.c.listing, "listings", connection.dialect.name)
    )
    connection.execute(
        update(_KEY)
        .where(_KEY.c.id.in_(theirs), _KEY.c.id.not_in(there))
        .values(ours=False, value=None, due_at=None, read_wanted=False),
        {"listings": values(connection, gone)},
    )
    return get_listings(connection, channel=channel, listings=gone)


def get_listings(
    connection: Connection,
    *,
    channel: str = "",
    listings: Sequence[str] | None = None,
    item: str = "",
    only_unmapped: bool = False,
) -> list[StoredListing]:
    """Listings by channel and id, with the keys behind them. Empty arguments do not restrict."""
    statement = (
        select(_LISTING, _LINK.c.key.label("key_id"))
        .join_from(
            _LISTING,
            _LINK,
            (_LINK.c.channel == _LISTING.c.channel) & (_LINK.c.listing == _LISTING.c.listing),
            isouter=True,
        )
        .order_by(_LISTING.c.channel, _LISTING.c.listing, _LINK.c.key)
    )
    parameters: dict[str, object] = {}
    if channel:
        statement = statement.where(_LISTING.c.channel == channel)
    if listings is not None:
        statement = statement.where(among(_LISTING.c.listing, "listings", connection.dialect.name))
        parameters["listings"] = values(connection, list(listings))
    if item:
        statement = statement.where(_LISTING.c.item == item)
    if only_unmapped:
        statement = statement.where(_LISTING.c.item.is_(None), _LISTING.c.gone_at.is_(None))
    found: dict[tuple[str, str], StoredListing] = {}
    for row in connection.execute(statement, parameters):
        name = (row.channel, row.listing)
        before = found.get(name)
        keys = before.keys if before else ()
        found[name] = _stored(row, (*keys, row.key_id) if row.key_id is not None else keys)
    return list(found.values())


def set_meaning(
    connection: Connection, channel: str, listing: str, item: str | None, multiple: int, by: str, now: datetime
) -> None:
    """Says what a listing means and leaves its keys as they are: they mean that already, or other listings decide."""
    connection.execute(
        update(_LISTING)
        .where(_LISTING.c.channel == channel, _LISTING.c.listing == listing)
        .values(item=item, multiple=multiple, mapped_by=by, mapped_at=now)
    )


def set_meanings(connection: Connection, meanings: Sequence[tuple[str, str, str, int]], by: str, now: datetime) -> None:
    """Says what many listings mean: (channel, listing, item, multiple). As `set_meaning`, in one statement for all."""
    if meanings:
        connection.execute(
            update(_LISTING)
            .where(_LISTING.c.channel == bindparam("b_channel"), _LISTING.c.listing == bindparam("b_listing"))
            .values(item=bindparam("b_item"), multiple=bindparam("b_multiple"), mapped_by=by, mapped_at=now),
            [
                {"b_channel": channel, "b_listing": listing, "b_item": item, "b_multiple": multiple}
                for channel, listing, item, multiple in meanings
            ],
        )


def restart_keys(connection: Connection, ids: Sequence[int], item: str | None, multiple: int, now: datetime) -> None:
    """Lets keys mean something else from now on: the next read only sets the watermark, and old questions are void."""
    if ids:
        connection.execute(
            update(_KEY)
            .where(among(_KEY.c.id, "ids", connection.dialect.name))
            .values(item=item, multiple=multiple, value=None, due_at=now, urgency=1)
            .values(**NO_RISE, held="", disputed=0, failures=0, not_before=None)
            .values(read_at=case((_KEY.c.kept, null()), else_=_KEY.c.read_at)),  # counted anew, and soon
            {"ids": values(connection, ids)},
        )


def incoming_units(connection: Connection, items: Iterable[str]) -> dict[PositionKey, int]:
    """Base units on their way, per position."""
    wanted = {"items": values(connection, sorted(set(items)))}
    found = fetch(connection, _select_incoming(connection.dialect.name), wanted)
    return {PositionKey(row.item, row.location): int(row.units) for row in found}


@cache
def _select_incoming(dialect: str) -> Select[Any]:
    return (
        select(_INCOMING.c.item, _INCOMING.c.location, func.sum(_INCOMING.c.units).label("units"))
        .where(among(_INCOMING.c.item, "items", dialect))
        .group_by(_INCOMING.c.item, _INCOMING.c.location)
    )


def _stored(row: Row[Any], keys: tuple[int, ...]) -> StoredListing:
    return StoredListing(
        channel=row.channel,
        listing=row.listing,
        sku=row.sku,
        title=row.title,
        barcode=row.barcode,
        state=row.state,
        reasons=tuple(load(row.reasons) or ()),
        parts=tuple((part, units) for part, units in load(row.parts) or ()),
        tracked=row.tracked,
        sells_below_zero=row.sells_below_zero,
        fulfilled_by_channel=row.fulfilled_by_channel,
        item=row.item,
        multiple=row.multiple,
        mapped_by=row.mapped_by,
        mapped_at=row.mapped_at,
        seen_at=row.seen_at,
        gone_at=row.gone_at,
        keys=keys,
    )
