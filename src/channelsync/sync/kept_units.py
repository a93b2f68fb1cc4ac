"""Units that a channel keeps at a place of its own and ships itself: counted at a location of ours, never written.

The location's truth is the channel. So nothing is booked there but what its numbers say: after each read, on hand is
what lies there, and withheld what of it no buyer may buy (committed to orders, held for another reason), summed over
all keys that mean the item. A listing that is mapped anew is read and counted soon; what nothing means any more is
counted out with the next read or pull.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.bundles import explode_all
from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.ledger import EntryKind
from channelsync.domain.orders import UNITS_MAX
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.paging import in_batches
from channelsync.sdk.values import KeyRead, QuantityKey
from channelsync.store import findings, kept_keys
from channelsync.store.kept_keys import KeptKey, ToldUnits
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.needs_seller import waits_for_seller, works_again
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Moves, change_positions

READ_AT_ONCE = 500
COUNTED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Lying:
    """Base units of an item at a place. aside: of them, those that no buyer may buy. told_at: by the newest read."""

    units: int
    aside: int
    told_at: datetime


async def count_kept(agent: Agent, channel: OpenChannel, since: datetime) -> int:
    """Reads what the channel keeps and was not read since then, and counts it; returns how many keys were read.

    What a read told is kept and counted in one transaction. Raises what the channel raises; where the seller must act,
    a finding says so.
    """
    if not channel.setup.kept:
        return 0
    read: set[int] = set()
    try:
        while unread := await _unread(agent, channel, since, read):
            for some in in_batches(unread, channel.setup.capabilities.reads_per_call):
                answers = await channel.channel.read([QuantityKey(one.key, one.remote) for one in some])
                told = list(zip(some, answers, strict=True))
                await agent.database.transact(lambda c, told=told: _take(c, agent, channel, told))  # type: ignore[misc]
                read |= {one.id for one in some}
    except NeedsSeller as error:
        await agent.database.transact(lambda c, error=error: _tell(c, agent, channel, error.what_to_do))  # type: ignore[misc]
        raise
    if read:
        await count_lost(agent, channel)
        await agent.database.transact(lambda c: _tell(c, agent, channel, ""))
    return len(read)


async def count_lost(agent: Agent, channel: OpenChannel) -> None:
    """Counts anew what lies at the channel's places of items that no key means any more."""
    kept, identity = channel.setup.kept, channel.identity
    if not kept:
        return
    lost = await agent.database.query(
        lambda c: kept_keys.counted_elsewhere(c, identity, kept.keys(), set(kept.values()))
    )
    for some in in_batches(lost, COUNTED_AT_ONCE):
        await agent.database.transact(lambda c, some=some: _count(c, agent, channel, some))  # type: ignore[misc]


async def _unread(agent: Agent, channel: OpenChannel, since: datetime, read: Collection[int]) -> list[KeptKey]:
    """Some keys that are to be read, place by place; none twice in one go."""
    remotes, identity = channel.setup.kept, channel.identity
    found = await agent.database.query(
        lambda c: kept_keys.keys_to_count(c, identity, remotes, since, READ_AT_ONCE + len(read))
    )
    left = [one for one in found if one.id not in read]
    return sorted(left[:READ_AT_ONCE], key=lambda one: one.remote)


def _take(connection: Connection, agent: Agent, channel: OpenChannel, reads: Sequence[tuple[KeptKey, KeyRead]]) -> None:
    """Keeps what was told, and counts it. One that cannot be read keeps its last units, and a finding says so."""
    now = agent.clock.now()
    asked = min(read.asked for _, read in reads)
    told = {key.id: _units(read) for key, read in reads if not _wrong(read)}
    wrong = [(key, why) for key, read in reads if (why := _wrong(read))]
    items = {part for key, _ in reads for part in parts_of(key.item, agent.setup)}
    wanted = [PositionKey(item, location) for item in items for location in channel.setup.kept.values()]

    def save() -> None:
        kept_keys.save_told(connection, told, asked)
        kept_keys.note_asked(connection, [key.id for key, _ in wrong], asked)

    _count(connection, agent, channel, wanted, save)
    findings.open_findings(connection, [_unreadable(channel.name, key, why) for key, why in wrong], now)
    fine = [fingerprint(FindingKind.UNREADABLE_NUMBER, str(key)) for key in told]
    findings.close_findings(connection, fine, "the number could be read", now)


def _units(read: KeyRead) -> ToldUnits | None:
    return None if read.value is None else ToldUnits(read.value, read.committed or 0, read.held or 0)


def _wrong(read: KeyRead) -> str:
    """Why the units of a read cannot be counted; empty where they can."""
    below = min(read.value or 0, read.committed or 0, read.held or 0) < 0
    return read.unreadable or ("it tells fewer than none" if below else "")


def _unreadable(channel: str, key: KeptKey, why: str) -> Finding:
    return Finding(
        kind=FindingKind.UNREADABLE_NUMBER,
        subject=(str(key.id),),
        channel=channel,
        item=key.item,
        summary=f"{channel} listing {key.listing}: the units that the channel keeps at {key.remote} cannot be read: "
        f"{why}. They stay counted as they were last; look at them at the channel.",
        evidence={"key": key.id, "why": why},
    )


def _tell(connection: Connection, agent: Agent, channel: OpenChannel, what_to_do: str) -> None:
    """Opens the finding that the seller must act before what the channel keeps can be read; "" closes it."""
    name, now = channel.name, agent.clock.now()
    if not what_to_do:
        works_again(connection, name, "kept units", "what it keeps could be read", now)
        return
    summary = f"{name}: the units that it keeps itself cannot be read, so they stay counted as they were: {what_to_do}"
    waits_for_seller(connection, name, "kept units", summary, now)


def _count(
    connection: Connection,
    agent: Agent,
    channel: OpenChannel,
    wanted: Collection[PositionKey],
    save: Callable[[], None] = lambda: None,
) -> None:
    """Puts these positions right. save: done once they are locked, before they are computed: keys are changed behind
    positions, as everywhere."""
    setup, kept = agent.setup, channel.setup.kept
    reason = f"as {channel.name} counts what it keeps"
    by = By(actor=f"read:{channel.name}", run=agent.run, now=agent.clock.now(), reason=reason)

    def decide(moves: Moves) -> None:
        save()
        named = {item for key in wanted for item in setup.shown_by(key.item)}
        keys = kept_keys.keys_of_items(connection, channel.identity, kept.keys(), named)
        lying = counted(keys, kept, setup)
        for key in wanted:
            found = lying.get(key, Lying(0, 0, by.now))
            if found is not None:
                _move(moves, key, found)

    change_positions(connection, setup, by, wanted, decide)


def _move(moves: Moves, key: PositionKey, found: Lying) -> None:
    """The movements that make a position what lies there."""
    before = moves.at(key)
    units, aside = found.units - before.on_hand, found.aside - before.withheld
    if units:
        moves.add(key, EntryKind.ADJUST, at=found.told_at, on_hand=units)
    if aside:
        kind = EntryKind.WITHHOLD if aside > 0 else EntryKind.UNWITHHOLD
        moves.add(key, kind, at=found.told_at, withheld=aside)


def counted(keys: Iterable[KeptKey], location_of: Mapping[str, str], setup: Setup) -> dict[PositionKey, Lying | None]:
    """What lies at our locations by what these keys told. None: one of them told nothing, so nobody knows.

    Units of a virtual bundle are units of its parts: it was put together before it went there.
    """
    units, aside = Counter[PositionKey](), Counter[PositionKey]()
    newest: dict[PositionKey, datetime] = {}
    unknown: set[PositionKey] = set()
    for one in keys:
        for part, each in parts_of(one.item, setup).items():
            key = PositionKey(part, location_of[one.remote])
            if one.told is None or one.told_at is None:
                unknown.add(key)
                continue
            apart = one.told.committed + one.told.held
            units[key] += (one.told.for_sale + apart) * one.multiple * each
            aside[key] += apart * one.multiple * each
            newest[key] = max(newest.get(key, one.told_at), one.told_at)
    return {key: Lying(units[key], aside[key], at) for key, at in newest.items()} | dict.fromkeys(unknown)


def parts_of(item: str, setup: Setup) -> dict[str, int]:
    """The items that one unit of an item lies there as, with their units: packed ones as they are, else the parts."""
    packed = dict.fromkeys(setup.recipes, UNITS_MAX)
    return explode_all({item: 1}, packed, setup.recipes)
