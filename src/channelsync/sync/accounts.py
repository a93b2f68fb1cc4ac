"""Configured channels of one account: they hear of the same orders, and each order is booked once.

An account is whose a channel is, as `check` finds it (its identity). Two configured channels of one account have
listings of their own, but their orders are those of the account: a line is looked up among the listings of all of
them, and an order keeps the name of the channel under which it was first booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.booked import BookedOrder
from channelsync.domain.orders import OrderLine
from channelsync.domain.sourcing import SoldAs
from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.store import channels, items, orders
from channelsync.store.account_orders import booked_of_account
from channelsync.store.channels import ChannelState
from channelsync.store.orders import MappedListing
from channelsync.sync.agent import OpenChannel
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.switches import mode_now


def refuse_another(channel: OpenChannel, found: Identity) -> None:
    """Raises ChannelMisbehaved where a channel's credentials are of another account than before.

    Its listings, numbers and orders are of the account that it was: nothing of another may be taken for them.
    """
    if channel.identity and found.name != channel.identity:
        raise ChannelMisbehaved(
            f"{channel.name}: the credentials are those of {found.name}, and this channel has been {channel.identity} "
            f"until now. Run `channelsync channels connect {channel.name}` with those of {channel.identity}; for the "
            "other account configure a channel of its own."
        )


def channels_of(connection: Connection, channel: ChannelSetup) -> tuple[str, ...]:
    """The names of all channels of this one's account, its own among them, sorted; configured still or not any more."""
    return (channel.name,) if channel.by_sku else channels.of_one_account(connection, channel.name)


def books_as(setup: Setup, account: Sequence[str], heard: str) -> str:
    """The channel under which a new order of the account is booked, whichever of them heard of it.

    It is the first by name that is configured and not off, so that two that hear of it at the same moment agree.
    """
    used = (name for name in account if name in setup.channels and setup.channels[name].mode != "off")
    return next(used, heard)


def booked_before(
    connection: Connection, channel: ChannelSetup, wanted: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, BookedOrder]]:
    """`channels_of`, and what is booked of these orders under any of them, locked; what was never seen is left out."""
    if channel.by_sku:
        return (channel.name,), orders.booked_orders(connection, channel.name, wanted)
    return booked_of_account(connection, channel.name, wanted)


def meanings(
    connection: Connection, channel: ChannelSetup, account: Sequence[str], lines: Iterable[OrderLine]
) -> tuple[dict[str, MappedListing], dict[str, MappedListing]]:
    """What order lines of a channel mean: by listing, and, for lines that name none, by SKU. What is missing waits."""
    told = list(lines)
    skus = {line.sku for line in told if line.listing is None and line.sku}
    if channel.by_sku:
        known = items.items_by_sku(connection, skus)
        return {}, {sku: MappedListing("", sku, SoldAs(item.id), (), ()) for sku, item in known.items()}
    listed = {line.listing for line in told if line.listing is not None}
    by_listing, by_sku = orders.mapped_listings(connection, account, listed, skus)
    if channel.capabilities.moves != "own":
        parts = [part for listing in by_listing.values() for part, _ in listing.channel_parts]
        by_listing |= orders.mapped_listings(connection, account, parts, ())[0]
    return by_listing, by_sku


def orders_read(
    setup: Setup, states: Mapping[str, ChannelState], channel: str
) -> tuple[datetime | None, datetime | None]:
    """How far the account's orders were read: (covered up to, asked at), by the channel of it that is furthest behind.

    Only one of its channels may be shown an order, so what one of them has not read yet may still come. None: one of
    them never read any. Channels that are off read none, and are not waited for.
    """
    own = states.get(channel)
    account = [
        state
        for name, state in states.items()
        if name == channel
        or (
            own is not None
            and own.identity
            and state.identity == own.identity
            and name in setup.channels
            and mode_now(setup.channels[name], state) != "off"
        )
    ]
    return _earliest([one.covered_to for one in account]), _earliest([one.orders_asked_at for one in account])


def _earliest(times: Sequence[datetime | None]) -> datetime | None:
    known = [one for one in times if one is not None]
    return min(known) if known and len(known) == len(times) else None
