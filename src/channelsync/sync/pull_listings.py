"""Listings: pulled as buyers see them, and the numbers behind them read on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind, fingerprint
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import KeyRead, Listing, ListingState, QuantityKey
from channelsync.store import channels, findings, keys, listings
from channelsync.store.former import former_channels, go_on, name_anew
from channelsync.store.listings import SeenListing
from channelsync.sync.accounts import refuse_another
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.kept_units import count_kept, count_lost
from channelsync.sync.listings_gone import Missing, hold_catalogue, listings_are_gone, settle_catalogue
from channelsync.sync.setup import Setup
from channelsync.sync.switches import stricter, switches_of
from channelsync.sync.understand_reads import ReadsUnderstood, understand_reads

log = structlog.get_logger(__name__)

# Listings written in one transaction.
SAVED_AT_ONCE = 500
# Where so many were known and less than this part was brought, the answer is taken not to have been whole.
SHRINKS_FROM = 10
SHRINKS_TO = 0.1
# Listings that were not brought and are asked for by their ids. More than so many no shifting page leaves out.
LOOKED_FOR_MAX = 200


@dataclass(slots=True)
class Pulled:
    """What a pull brought. gone: listings that the channel no longer has.

    missing: listings that were not brought and are not taken as gone, because there are far too many of them.
    plan: the plan that waits for somebody to say whether they are; empty: none does.
    went_on: numbers that stood under a channel of the account which is not configured any more, and are this one's now.
    kept: numbers that were read of units which the channel keeps itself. not_counted: why not all were; empty: all.
    """

    listings: int = 0
    gone: int = 0
    missing: int = 0
    plan: str = ""
    went_on: int = 0
    kept: int = 0
    not_counted: str = ""
    states: dict[str, int] = field(default_factory=dict)

    def count(self, listing: Listing) -> None:
        """One that was brought."""
        self.listings += 1
        self.states[listing.state.value] = self.states.get(listing.state.value, 0) + 1


async def identify(agent: Agent, channel: OpenChannel) -> None:
    """Asks whose account it is, and keeps that of a channel that was never asked.

    Raises what the channel raises, and ChannelMisbehaved for another account than before.
    """
    found = await channel.channel.check()
    refuse_another(channel, found)
    if not channel.identity:
        await agent.database.transact(lambda c: _is_known(c, agent.setup, channel.name, found.name))
        channel.identity = found.name
        agent.share_budget(channel)


def _is_known(connection: Connection, setup: Setup, name: str, identity: str) -> None:
    """Whose account the channel is. What was said of it under a name that is not configured any more still holds, but
    for a mode that is laxer than what the configuration says of the new one."""
    channels.save_channel(connection, name, identity=identity)
    states = channels.channel_states(connection)
    former = [states[one] for one in former_channels(connection, name, setup.channels)]
    said = stricter(switches_of(former), setup.channels[name].mode) if name in setup.channels else {}
    if said and not switches_of([states[name]]):
        log.warning("channel.goes_on", channel=name, former=[one.name for one in former], **said)
        channels.save_channel(connection, name, **said)


async def pull_listings(agent: Agent, channel: OpenChannel, *, accept_fewer: bool = False) -> Pulled:
    """Brings every listing with its state, and takes the numbers they show as reads. Raises what the channel raises.

    A pull that brings far fewer listings than are known ends none of them, unless accept_fewer: half an answer, or an
    account that is locked for an hour, would stop the writes of a whole shop. A few that were not brought are asked
    for by their ids before they are gone: pages shift while they are read, and to a listing that is gone nothing is
    written.

    A number on a listing page was read some time between the first and the last request of the pull: it counts as
    asked when the pull began, so that nothing newer is ever held against it.

    Then what the channel keeps itself is read and counted; where that fails, the pull says so and is good otherwise.
    """
    pulled = Pulled()
    began = agent.clock.now()
    waiting: list[Listing] = []
    async for listing in channel.channel.listings():
        waiting.append(listing)
        pulled.count(listing)
        if len(waiting) >= SAVED_AT_ONCE:
            await _save(agent, channel, waiting, began, pulled)
            waiting = []
    await _save(agent, channel, waiting, began, pulled)
    await _look_for_missing(agent, channel, began, pulled)
    await agent.database.transact(lambda c: _end_pull(c, agent, channel.name, began, pulled, accept_fewer=accept_fewer))
    channel.wake_publisher.set()  # a number that was read may be wrong, or have been waited for
    try:
        pulled.kept = await count_kept(agent, channel, began)
        if not pulled.kept:  # else it is done
            await count_lost(agent, channel)
    except ChannelError as error:  # the listings were pulled all the same
        pulled.not_counted = str(error)
        log.warning("kept_units.not_counted", channel=channel.name, reason=pulled.not_counted)
    return pulled


async def _look_for_missing(agent: Agent, channel: OpenChannel, began: datetime, pulled: Pulled) -> None:
    """Asks for the listings by their ids that the pages did not have; those that there are were seen after all."""
    missing = await agent.database.query(lambda c: listings.unseen(c, channel.name, began, LOOKED_FOR_MAX + 1))
    if not missing or len(missing) > LOOKED_FOR_MAX:
        return
    asked = agent.clock.now()
    found = await channel.channel.listings_by_id(missing)
    there = [one for one in found if one.state is not ListingState.ENDED]
    await _save(agent, channel, there, asked, pulled)
    for listing in there:
        pulled.count(listing)


def _end_pull(
    connection: Connection, agent: Agent, channel: str, began: datetime, pulled: Pulled, *, accept_fewer: bool
) -> None:
    """What was not brought is gone, unless it is so much that the answer cannot have been whole."""
    now = agent.clock.now()
    known, missing = listings.count_unseen(connection, channel, began)
    if _shrank(known, missing) and not accept_fewer:
        pulled.missing = missing
        pulled.plan = hold_catalogue(connection, agent.run, channel, began, Missing(known, missing), now)
        return
    pulled.gone = listings_are_gone(connection, agent.setup, channel, began, now)
    settle_catalogue(connection, channel, now)


def _shrank(known: int, missing: int) -> bool:
    brought = known - missing
    return missing > 0 and (brought == 0 or (known >= SHRINKS_FROM and brought < known * SHRINKS_TO))


async def _save(agent: Agent, channel: OpenChannel, seen: Sequence[Listing], began: datetime, pulled: Pulled) -> None:
    """One transaction: the listings, their keys, and what their numbers mean.

    The number of a key that is not ours says nothing: what the channel sells of its own units is no drop of ours.
    """
    if not seen:
        return
    now = agent.clock.now()
    ours = (listing for listing in seen if listing.tracked and not listing.fulfilled_by_channel)
    asked = {key: listing for listing in ours for key in listing.keys}

    def unit(connection: Connection) -> tuple[ReadsUnderstood, int]:
        former = former_channels(connection, channel.name, agent.setup.channels)
        went_on = go_on(connection, channel.name, former, [one.listing for one in seen], now)
        told = [_seen(one) for one in seen]
        changed_hands = listings.save_listings(connection, channel.name, channel.identity, told, now)
        if went_on:
            name_anew(connection, channel.name, [one.listing for one in seen])
        back = [fingerprint(FindingKind.LISTING_GONE, channel.name, one.listing) for one in seen]
        findings.close_findings(connection, back, "the channel lists it again", now)
        ids = keys.ids_of(connection, channel.identity, [(key.key, key.location) for key in asked])
        reads = [
            (ids[key.key, key.location], _read(listing, key, began, now))
            for key, listing in asked.items()
            if (key.key, key.location) in ids and key in listing.shown
        ]
        understood = understand_reads(connection, agent, channel, reads)
        keys.mark_due(connection, {name for item in changed_hands for name in agent.setup.shown_by(item)}, now)
        return understood, went_on

    understood, went_on = await agent.database.transact(unit)
    pulled.went_on += went_on
    if understood.ask_orders:
        agent.wake_orders(channel.identity)
    if understood.changed:
        agent.wake_publishers()


def _read(listing: Listing, key: QuantityKey, asked: datetime, answered: datetime) -> KeyRead:
    return KeyRead(
        key=key,
        value=listing.shown[key],
        asked=asked,
        answered=answered,
        committed=listing.committed.get(key),
        held=listing.held.get(key),
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
        kept=tuple((key.key, key.location) for key in listing.kept),
        parts=listing.parts,
        tracked=listing.tracked,
        sells_below_zero=listing.sells_below_zero,
        fulfilled_by_channel=listing.fulfilled_by_channel,
        page=listing.page,
        further_pages=listing.further_pages,
    )
