"""Listings: pulled as buyers see them, and the numbers behind them read on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from channelsync.sdk.values import KeyRead, Listing, QuantityKey
from channelsync.store import channels, keys, listings
from channelsync.store.listings import SeenListing
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.understand_reads import understand_reads

# Listings written in one transaction.
SAVED_AT_ONCE = 500


@dataclass(slots=True)
class Pulled:
    """What a pull brought. gone: listings that the channel no longer has."""

    listings: int = 0
    gone: int = 0
    states: dict[str, int] = field(default_factory=dict)


async def identify(agent: Agent, channel: OpenChannel) -> None:
    """Asks whose account it is, once per process. Raises what the channel raises."""
    identity = await channel.channel.check()
    channel.identity = identity.name
    await agent.database.transact(lambda c: channels.save_channel(c, channel.name, identity=identity.name))


async def pull_listings(agent: Agent, channel: OpenChannel) -> Pulled:
    """Brings every listing with its state, and takes the numbers they show as reads. Raises what the channel raises.

    A number on a listing page was read some time between the first and the last request of the pull: it counts as
    asked when the pull began, so that nothing newer is ever held against it.
    """
    pulled = Pulled()
    began = agent.clock.now()
    waiting: list[Listing] = []
    async for listing in channel.channel.listings():
        waiting.append(listing)
        pulled.listings += 1
        pulled.states[listing.state.value] = pulled.states.get(listing.state.value, 0) + 1
        if len(waiting) >= SAVED_AT_ONCE:
            await _save(agent, channel, waiting, began)
            waiting = []
    await _save(agent, channel, waiting, began)
    now = agent.clock.now()
    pulled.gone = await agent.database.transact(lambda c: listings.mark_gone(c, channel.name, began, now))
    return pulled


async def _save(agent: Agent, channel: OpenChannel, seen: Sequence[Listing], began: datetime) -> None:
    """One transaction: the listings, their keys, and what their numbers mean.

    The number of a key that is not ours says nothing: what the channel sells of its own units is no drop of ours.
    """
    if not seen:
        return
    now = agent.clock.now()
    ours = (listing for listing in seen if listing.tracked and not listing.fulfilled_by_channel)
    asked = {key: listing for listing in ours for key in listing.keys}

    def unit(connection: Connection) -> None:
        listings.save_listings(connection, channel.name, channel.identity, [_seen(one) for one in seen], now)
        ids = keys.ids_of(connection, channel.identity, [(key.key, key.location) for key in asked])
        reads = [
            (ids[key.key, key.location], _read(listing, key, began, now))
            for key, listing in asked.items()
            if (key.key, key.location) in ids and key in listing.shown
        ]
        understand_reads(connection, agent, channel, reads)

    await agent.database.transact(unit)


def _read(listing: Listing, key: QuantityKey, asked: datetime, answered: datetime) -> KeyRead:
    return KeyRead(
        key=key, value=listing.shown[key], asked=asked, answered=answered, committed=listing.committed.get(key)
    )


def _seen(listing: Listing) -> SeenListing:
    return SeenListing(
        listing=listing.listing,
        sku=listing.sku,
        title=listing.title,
        barcode=listing.barcode,
        state=listing.state.value,
        reasons=listing.reasons,
        keys=tuple((key.key, key.location) for key in listing.keys),
        parts=listing.parts,
        tracked=listing.tracked,
        sells_below_zero=listing.sells_below_zero,
        fulfilled_by_channel=listing.fulfilled_by_channel,
    )
