"""Listings looked at from all sides: for lists, for matching, for lint; and what a change of mapping must know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, tuple_

from channelsync.store.among import among, values
from channelsync.store.codec import load
from channelsync.store.items import items_by_id
from channelsync.store.listings import StoredListing, get_listings
from channelsync.store.tables import metadata

MAPPING = "mapping"
"""The kind of a `Change` that maps or unmaps a listing. subject: channel/listing. before, after: None for not mapped,
else {"item", "multiple", "by", "sku"}; sku: the listing's text when it was mapped."""

_LISTING = metadata.tables["listing"]
_LINK = metadata.tables["listing_key"]
_KEY = metadata.tables["quantity_key"]
_PROVISIONAL = metadata.tables["provisional"]
_ALIAS = metadata.tables["item_alias"]
_POSITION = metadata.tables["position"]
_CHANGE = metadata.tables["change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOnView:
    """A number behind a listing. value: as last read, None: never; target: what it should be, None: not computed.

    kept: of units that the channel keeps itself at `remote`.
    """

    key: int
    remote: str
    value: int | None
    target: int | None
    ours: bool
    kept: bool
    held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingOnView:
    """A listing with the SKU of its item and the numbers behind it. item_sku None: not mapped."""

    stored: StoredListing
    item_sku: str | None
    keys: tuple[KeyOnView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow:
    """A listing in a list. mapped_to: the SKU of its item; multiple: base units in one of it; both None: not mapped.

    mapped_by, mapped_at: as in `StoredListing`.
    shows, should_show: by its keys, in their order; None where it was never read, or is not computed.
    gone_at: since when the channel no longer lists it.
    """

    channel: str
    listing: str
    sku: str | None
    title: str
    barcode: str | None
    state: str
    reasons: list[str]
    tracked: bool
    fulfilled_by_channel: bool
    mapped_to: str | None
    multiple: int | None
    mapped_by: str
    mapped_at: datetime | None
    shows: list[int | None]
    should_show: list[int | None]
    keys: list[int]
    gone_at: datetime | None


def listing_row(one: ListingOnView) -> ListingRow:
    """A listing as it stands in lists."""
    stored = one.stored
    return ListingRow(
        channel=stored.channel,
        listing=stored.listing,
        sku=stored.sku,
        title=stored.title,
        barcode=stored.barcode,
        state=stored.state,
        reasons=list(stored.reasons),
        tracked=stored.tracked,
        fulfilled_by_channel=stored.fulfilled_by_channel,
        mapped_to=one.item_sku,
        multiple=stored.multiple if one.item_sku else None,
        mapped_by=stored.mapped_by,
        mapped_at=stored.mapped_at,
        shows=[key.value for key in one.keys],
        should_show=[key.target for key in one.keys],
        keys=[key.key for key in one.keys],
        gone_at=stored.gone_at,
    )


@dataclass(frozen=True, slots=True)
class Sharer:
    """A listing that stands on a key. item None: it is not mapped."""

    key: int
    channel: str
    listing: str
    item: str | None
    multiple: int


def view_listings(
    connection: Connection, *, channel: str = "", item: str = "", only_unmapped: bool = False
) -> list[ListingOnView]:
    """Listings by channel and id. Empty arguments do not restrict."""
    return _viewed(connection, get_listings(connection, channel=channel, item=item, only_unmapped=only_unmapped))


def listings_page(
    connection: Connection,
    *,
    channels: Sequence[str] = (),
    listing: str = "",
    item: str = "",
    only_unmapped: bool = False,
    after: tuple[str, str] | None = None,
    limit: int,
) -> list[ListingOnView]:
    """Listings as by `view_listings`, at most so many. after: only those behind this (channel, listing)."""
    page = select(_LISTING.c.channel, _LISTING.c.listing).order_by(_LISTING.c.channel, _LISTING.c.listing).limit(limit)
    if channels:
        page = page.where(_LISTING.c.channel.in_(channels))
    if listing:
        page = page.where(_LISTING.c.listing == listing)
    if item:
        page = page.where(_LISTING.c.item == item)
    if only_unmapped:
        page = page.where(_LISTING.c.item.is_(None), _LISTING.c.gone_at.is_(None))
    if after is not None:
        page = page.where(tuple_(_LISTING.c.channel, _LISTING.c.listing) > tuple_(*after))
    names: dict[str, list[str]] = {}
    for row in connection.execute(page):
        names.setdefault(row.channel, []).append(row.listing)
    stored = [one for name, some in names.items() for one in get_listings(connection, channel=name, listings=some)]
    return _viewed(connection, stored)


def _viewed(connection: Connection, stored: Sequence[StoredListing]) -> list[ListingOnView]:
    skus = {name: one.sku for name, one in items_by_id(connection, {one.item for one in stored}).items()}
    numbers = _numbers(connection, [key for one in stored for key in one.keys])
    return [
        ListingOnView(
            stored=one,
            item_sku=skus.get(one.item) if one.item else None,
            keys=tuple(numbers[key] for key in one.keys if key in numbers),
        )
        for one in stored
    ]


def _numbers(connection: Connection, ids: Iterable[int]) -> dict[int, KeyOnView]:
    columns = [_KEY.c[name] for name in ("remote", "value", "target", "ours", "kept", "held")]
    found = connection.execute(
        select(_KEY.c.id.label("key"), *columns).where(among(_KEY.c.id, "ids", connection.dialect.name)),
        {"ids": values(connection, sorted(set(ids)))},
    )
    return {row["key"]: KeyOnView(**row) for row in found.mappings()}


def listings_on_keys(connection: Connection, ids: Iterable[int]) -> list[Sharer]:
    """Every listing, on any channel, that stands on one of these keys and that its channel still lists."""
    found = connection.execute(
        select(_LINK.c.key, _LISTING.c.channel, _LISTING.c.listing, _LISTING.c.item, _LISTING.c.multiple)
        .join_from(_LINK, _LISTING, (_LINK.c.channel == _LISTING.c.channel) & (_LINK.c.listing == _LISTING.c.listing))
        .where(among(_LINK.c.key, "ids", connection.dialect.name), _LISTING.c.gone_at.is_(None))
        .order_by(_LINK.c.key, _LISTING.c.channel, _LISTING.c.listing),
        {"ids": values(connection, sorted(set(ids)))},
    )
    return [Sharer(*row) for row in found]


def items_held(connection: Connection, ids: Sequence[int]) -> set[str]:
    """The items that provisional reservations of these keys hold units of; not locked."""
    found = connection.execute(
        select(_PROVISIONAL.c.takes).where(
            among(_PROVISIONAL.c.key, "ids", connection.dialect.name), _PROVISIONAL.c.open > 0
        ),
        {"ids": values(connection, ids)},
    )
    return {item for takes in found.scalars() for item, _ in load(takes)}


def all_aliases(connection: Connection) -> dict[str, str]:
    """Every further SKU text and its item."""
    return {row.sku: row.item for row in connection.execute(select(_ALIAS.c.sku, _ALIAS.c.item))}


def stated_items(connection: Connection) -> set[str]:
    """The items of which somebody has said how many units there are, at whichever location."""
    return set(connection.execute(select(_POSITION.c.item).where(_POSITION.c.stated_by != "").distinct()).scalars())


def skus_when_mapped(connection: Connection) -> dict[tuple[str, str], str | None]:
    """The SKU text that each mapped listing had when it was last mapped, by (channel, listing), where it is known."""
    found = connection.execute(
        select(_CHANGE.c.subject, _CHANGE.c.after).where(_CHANGE.c.kind == MAPPING).order_by(_CHANGE.c.id)
    )
    skus: dict[tuple[str, str], str | None] = {}
    for row in found:
        channel, _, listing = row.subject.partition("/")
        after = load(row.after)
        skus.pop((channel, listing), None)
        if after is not None:
            skus[channel, listing] = after["sku"]
    return skus
