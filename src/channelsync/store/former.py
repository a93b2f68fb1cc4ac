"""What stands under a channel that is not configured any more, and how another channel of its account goes on with it.

A channel that was given another name is such a one. Its orders stay under the name they were booked by, which orders of
an account are looked up by anyway; its listings and numbers belong to whoever lists them now, or nobody would write
them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, bindparam, func, or_, select, update

from channelsync.store import channels
from channelsync.store.among import among, values
from channelsync.store.keys import more_urgent
from channelsync.store.prepared import fetch, run
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_LINK = metadata.tables["listing_key"]
_LISTING = metadata.tables["listing"]


def former_channels(connection: Connection, channel: str, configured: Collection[str]) -> list[str]:
    """The channels of this one's account that are not configured any more, sorted."""
    return [name for name in channels.of_one_account(connection, channel) if name not in configured]


def left_behind(connection: Connection, former: Sequence[str]) -> int:
    """How many numbers still stand under channels that are not configured any more: nobody writes them."""
    there = {"names": values(connection, former)}
    return fetch(connection, _count_keys(connection.dialect.name), there)[0].many if former else 0


def go_on(connection: Connection, channel: str, former: Sequence[str], listings: Sequence[str], now: datetime) -> int:
    """Listings of former channels and the numbers behind them are this channel's from now on; returns how many numbers.

    Call it before the listings, which the channel has just brought, are saved. They keep what they mean and all that
    is known of their numbers. A listing that the channel has already stays as it is; the numbers behind it come over
    all the same.
    """
    moved = 0
    for name in former:
        given = {"b_former": name, "b_channel": channel, "listings": values(connection, listings)}
        moved += connection.execute(_move_keys(connection.dialect.name), given | {"b_now": now}).rowcount
        run(connection, _move_links(connection.dialect.name), [given])
        run(connection, _move_listings(connection.dialect.name), [given])
    return moved


def name_anew(connection: Connection, channel: str, listings: Sequence[str]) -> None:
    """Numbers behind these listings that name one which the channel does not list name one of these; the first by name.

    Call it after listings were saved of a channel that went on: the former one may have listed the same numbers by
    other names.
    """
    given = {"b_channel": channel, "listings": values(connection, listings)}
    run(connection, _name_anew(connection.dialect.name), [given])


@cache
def _name_anew(dialect: str) -> Update:
    here = and_(_LINK.c.key == _KEY.c.id, _LINK.c.channel == bindparam("b_channel"))
    named = select(_LINK.c.key).where(here, _LINK.c.listing == _KEY.c.listing).correlate(_KEY)
    linked = select(_LINK.c.key).where(
        _LINK.c.channel == bindparam("b_channel"), among(_LINK.c.listing, "listings", dialect)
    )
    first = select(func.min(_LINK.c.listing)).where(here).correlate(_KEY).scalar_subquery()
    return update(_KEY).where(_KEY.c.id.in_(linked), ~named.exists()).values(listing=first)


@cache
def _count_keys(dialect: str) -> Select[Any]:
    return select(func.count().label("many")).where(among(_KEY.c.channel, "names", dialect))


@cache
def _move_keys(dialect: str) -> Update:
    either = or_(_LINK.c.channel == bindparam("b_former"), _LINK.c.channel == bindparam("b_channel"))
    linked = select(_LINK.c.key).where(either, among(_LINK.c.listing, "listings", dialect))
    return (
        update(_KEY)
        .where(_KEY.c.channel == bindparam("b_former"), _KEY.c.id.in_(linked))
        .values(channel=bindparam("b_channel"), due_at=bindparam("b_now"), urgency=more_urgent(1))
    )


@cache
def _move_links(dialect: str) -> Update:
    had = _LINK.alias("had")
    has = select(had.c.key).where(
        had.c.channel == bindparam("b_channel"), had.c.listing == _LINK.c.listing, had.c.key == _LINK.c.key
    )
    these = and_(_LINK.c.channel == bindparam("b_former"), among(_LINK.c.listing, "listings", dialect))
    return update(_LINK).where(these, ~has.exists()).values(channel=bindparam("b_channel"))


@cache
def _move_listings(dialect: str) -> Update:
    had = _LISTING.alias("had")
    has = select(had.c.listing).where(had.c.channel == bindparam("b_channel"), had.c.listing == _LISTING.c.listing)
    these = and_(_LISTING.c.channel == bindparam("b_former"), among(_LISTING.c.listing, "listings", dialect))
    return update(_LISTING).where(these, ~has.exists()).values(channel=bindparam("b_channel"))
