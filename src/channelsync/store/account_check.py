"""What a check of a channel's account looks up: the channel's own locations that were seen, and orders still open."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_LISTING_KEY = metadata.tables["listing_key"]
_RESERVATION = metadata.tables["reservation"]


def remote_locations(connection: Connection, channel: str) -> list[str]:
    """The channel's own locations that its listings have numbers at, sorted; "" stands for one number for all.

    Empty where no listing with a number was seen.
    """
    return sorted(
        connection.execute(
            select(_KEY.c.remote)
            .join_from(_LISTING_KEY, _KEY, _KEY.c.id == _LISTING_KEY.c.key)
            .where(_LISTING_KEY.c.channel == channel)
            .distinct()
        ).scalars()
    )


def orders_holding_units(connection: Connection, channels: Sequence[str]) -> set[str]:
    """The ids of these channels' orders that hold units still."""
    return set(
        connection.execute(
            select(_RESERVATION.c.order)
            .where(_RESERVATION.c.channel.in_(channels), _RESERVATION.c.open > 0, _RESERVATION.c.order != "")
            .distinct()
        ).scalars()
    )
