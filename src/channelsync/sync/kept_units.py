"""Units that a channel keeps at a place of its own and ships itself: counted at a location of ours, never written.

The location's truth is the channel. So nothing is booked there but what its numbers say: after each read, on hand is
what lies there, and withheld what of it no buyer may buy (committed to orders, held for another reason), summed over
all keys that mean the item. Who maps a listing anew, or takes a mapping back, is followed with the next read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
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
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Moves, change_positions

log = structlog.get_logger(__name__)

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

    Raises what the channel raises; what was read until then is counted. Opens a finding where the seller must act.
    """
    if not channel.setup.kept:
        return 0
    read: dict[int, str] = {}
    try:
        while unread := await _unread(agent, channel, since, read.keys()):
            for some in in_batches(unread, channel.setup.capabilities.reads_per_call):
                answers = await channel.channel.read([QuantityKey(one.key, one.remote) for one in some])
                told = list(zip(some, answers, strict=True))
                await agent.database.transact(lambda c, told=told: _save(c, channel, told, agent.clock.now()))  # type: ignore[misc]
                read |= {one.id: one.item for one in some}
    except NeedsSeller as error:
        await agent.database.transact(lambda c, why=str(error): _tell(c, channel.name, why, agent.clock.now()))  # type: ignore[misc]
        raise
    finally:
        if read:
            await _count(agent, channel, set(read.values()))
    if read:
        await agent.database.transact(lambda c: _tell(c, channel.name, "", agent.clock.now()))
    return len(read)


async def _unread(agent: Agent, channel: OpenChannel, since: datetime, read: Collection[int]) -> list[KeptKey]:
    """Some keys that are to be read, place by place; none twice in one go."""
    remotes, identity = channel.setup.kept, channel.identity
    found = await agent.database.query(
        lambda c: kept_keys.keys_to_count(c, identity, remotes, since, READ_AT_ONCE + len(read))
    )
    left = [one for one in found if one.id not in read]
    return sorted(left[:READ_AT_ONCE], key=lambda one: one.remote)


def _save(
    connection: Connection, channel: OpenChannel, reads: Sequence[tuple[KeptKey, KeyRead]], now: datetime
) -> None:
    """Keeps what was told. One that cannot be read keeps its last units, and a finding says so."""
    asked = min(read.asked for _, read in reads)
    told = {key.id: _units(read) for key, read in reads if not _wrong(read)}
    kept_keys.save_told(connection, told, asked)
    wrong = [(key, why) for key, read in reads if (why := _wrong(read))]
    kept_keys.note_asked(connection, [key.id for key, _ in wrong], asked)
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


def _tell(connection: Connection, channel: str, what_to_do: str, now: datetime) -> None:
    """Opens the finding that the seller must act before what the channel keeps can be read; "" closes it."""
    subject = (channel, "kept units")
    if not what_to_do:
        over = [fingerprint(FindingKind.NEEDS_SELLER, *subject)]
        findings.close_findings(connection, over, "what it keeps could be read", now)
        return
    finding = Finding(
        kind=FindingKind.NEEDS_SELLER,
        subject=subject,
        channel=channel,
        summary=f"{channel}: the units that it keeps itself cannot be read, so they stay counted as they were last: "
        f"{what_to_do}",
    )
    findings.open_findings(connection, [finding], now)


async def _count(agent: Agent, channel: OpenChannel, items: Collection[str]) -> None:
    """Puts the positions of these items right, and those of items that no key means any more."""
    setup, kept, identity = agent.setup, channel.setup.kept, channel.identity
    lost = await agent.database.query(
        lambda c: kept_keys.counted_elsewhere(c, identity, kept.keys(), set(kept.values()))
    )
    parts = {part for item in items for part in parts_of(item, setup)}
    wanted = {PositionKey(part, location) for part in parts for location in kept.values()} | set(lost)
    for some in in_batches(sorted(wanted), COUNTED_AT_ONCE):
        await agent.database.transact(lambda c, some=some: _put_right(c, agent, channel, some))  # type: ignore[misc]


def _put_right(connection: Connection, agent: Agent, channel: OpenChannel, wanted: Sequence[PositionKey]) -> None:
    setup = agent.setup
    by = By(
        actor=f"read:{channel.name}",
        run=agent.run,
        now=agent.clock.now(),
        reason=f"as {channel.name} counts what it keeps",
    )

    def decide(moves: Moves) -> None:
        named = {item for key in wanted for item in setup.shown_by(key.item)}
        keys = kept_keys.keys_of_items(connection, channel.identity, channel.setup.kept.keys(), named)
        lying = counted(keys, channel.setup.kept, setup)
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
