"""From what was recorded to messages: a look behind everything that is booked, which costs booking nothing.

Entries and findings are found by the time of their recording. A transaction may become visible some time after that,
so each look goes back a while, and what was told already is known by its version. Only the newest state is told: of
many changes of one position between two looks there is one message, and a message that still waits is renewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.store import outgoing
from channelsync.store.outgoing import Message, StoredHook
from channelsync.sync.outgoing_events import Event, EventType, HookSetup, payload_of

LOOK_BACK = timedelta(minutes=10)
"""Nothing takes longer from the time that it is recorded with to the end of its transaction, repetitions included; and
clocks of workers that differ by more are a finding."""

WAITING_MAX = 50_000
"""Messages that wait for one hook. When there is no room, nothing is made: what changes meanwhile is told later."""

MADE_AT_ONCE = 2_000

Known = Set[tuple[str, str, str]]
"""Type, subject and version of messages."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Messages to be made for a hook. told_to: up to when all that was recorded has become messages then."""

    messages: tuple[Message, ...]
    told_to: datetime
    all_of_it: bool


def begin_of(stored: StoredHook, now: datetime) -> datetime:
    """From when on a look must look through what was recorded; a clock may have gone back."""
    return min(stored.told_to, now) - LOOK_BACK


def fresh_messages(connection: Connection, hook: HookSetup, stored: StoredHook, now: datetime) -> Fresh:
    """What the hook has not heard of yet, the oldest change first, as much as there is room for."""
    room = min(MADE_AT_ONCE, WAITING_MAX - outgoing.count_waiting(connection, hook.name))
    if room <= 0:
        return Fresh((), stored.told_to, all_of_it=False)
    since = begin_of(stored, now)
    known = outgoing.versions_since(connection, hook.name, since - LOOK_BACK)
    # One more of each kind than there is room for: then it is seen that there is not room for all.
    events = sorted(_events(connection, hook, since, known, room + 1), key=lambda one: one.at)
    taken = events[:room]
    messages = tuple(_message(hook, one, now) for one in taken)
    if len(taken) == len(events):
        return Fresh(messages, now, all_of_it=True)
    return Fresh(messages, max(stored.told_to, taken[-1].at), all_of_it=False)


def keep_messages(connection: Connection, hook: str, fresh: Fresh) -> None:
    """Keeps the messages, and how far the hook has been told, together."""
    outgoing.save_messages(connection, hook, fresh.messages)
    outgoing.change_hook(connection, hook, told_to=fresh.told_to)


def _message(hook: HookSetup, event: Event, now: datetime) -> Message:
    name = entry_id("message", hook.name, event.type, event.subject, event.version, now)
    return Message(
        hook=hook.name,
        message=f"msg_{name}",
        type=event.type,
        subject=event.subject,
        version=event.version,
        payload=payload_of(event.type, event.data, now),
        made_at=now,
    )


def _events(connection: Connection, hook: HookSetup, since: datetime, known: Known, limit: int) -> Iterator[Event]:
    if "position.changed" in hook.events:
        yield from _positions(connection, since, _of(known, "position.changed"), limit)
    if "order.changed" in hook.events:
        yield from _orders(connection, since, _of(known, "order.changed"), limit)
    if "finding.opened" in hook.events or "finding.closed" in hook.events:
        found = (one for one in _findings(connection, since) if one.type in hook.events)
        yield from (one for one in found if (one.type, one.subject, one.version) not in known)


def _of(known: Known, kind: EventType) -> set[tuple[str, str]]:
    return {(subject, version) for one, subject, version in known if one == kind}


def _positions(connection: Connection, since: datetime, told: outgoing.Told, limit: int) -> Iterator[Event]:
    for one in outgoing.changed_positions(connection, since, told, limit):
        yield Event(
            type="position.changed",
            subject=outgoing.position_subject(one.item, one.location),
            version=str(one.entries),
            at=one.at,
            data={
                "sku": one.sku,
                "location": one.location,
                "on_hand": one.on_hand,
                "reserved": one.reserved,
                "withheld": one.withheld,
                "available": one.on_hand - one.reserved - one.withheld,
                "version": one.entries,
            },
        )


def _orders(connection: Connection, since: datetime, told: outgoing.Told, limit: int) -> Iterator[Event]:
    for one in outgoing.changed_orders(connection, since, told, limit):
        yield Event(
            type="order.changed",
            subject=outgoing.order_subject(one.channel, one.order),
            version=str(one.entries),
            at=one.at,
            data={
                "channel": one.channel,
                "order": one.order,
                "status": one.status,
                "placed_at": one.placed_at,
                "version": one.entries,
            },
        )


def _findings(connection: Connection, since: datetime) -> Iterator[Event]:
    for one in outgoing.changed_findings(connection, since):
        data = {
            "id": one.id,
            "kind": one.kind,
            "channel": one.channel or None,
            "sku": one.sku or None,
            "summary": one.summary,
            "opened_at": one.opened_at,
        }
        if one.opened_at >= since:
            yield Event(type="finding.opened", subject=str(one.id), version="1", at=one.opened_at, data=data)
        if one.closed_at is not None and one.closed_at >= since:
            more = {"closed_at": one.closed_at, "closed_why": one.closed_why}
            data = {**data, **more}
            yield Event(type="finding.closed", subject=str(one.id), version="1", at=one.closed_at, data=data)
