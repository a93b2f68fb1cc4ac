"""From what was recorded to messages: a look behind everything that is booked, which costs booking nothing.

Entries and findings are found by the time of their recording. A transaction may become visible some time after that,
so each look goes back a while, and what was told already is known by its version. Only the newest state is told: of
many changes of one position between two looks there is one message, and a message that still waits is renewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.store import outgoing
from channelsync.store.outgoing import Message, StoredHook
from channelsync.sync.outgoing_events import Event, HookSetup, payload_of

LOOK_BACK = timedelta(minutes=5)
"""No transaction takes longer from its beginning to its end."""

WAITING_MAX = 50_000
"""Messages that wait for one hook. When there is no room, nothing is made: what changes meanwhile is told later."""

MADE_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Fresh:
    """Messages to be made for a hook. told_to: up to when all that was recorded has become messages then."""

    messages: tuple[Message, ...]
    told_to: datetime
    all_of_it: bool


def fresh_messages(connection: Connection, hook: HookSetup, stored: StoredHook, now: datetime) -> Fresh:
    """What the hook has not heard of yet, the oldest change first, as much as there is room for."""
    room = min(MADE_AT_ONCE, WAITING_MAX - outgoing.count_waiting(connection, hook.name))
    since = min(stored.told_to, now) - LOOK_BACK  # a clock may have gone back
    known = outgoing.versions_since(connection, hook.name, since - LOOK_BACK)
    events = [one for one in _events(connection, hook, since) if (one.type, one.subject, one.version) not in known]
    events.sort(key=lambda one: one.at)
    taken = events[: max(0, room)]
    messages = tuple(_message(hook, one, now) for one in taken)
    if len(taken) == len(events):
        return Fresh(messages, now, all_of_it=True)
    return Fresh(messages, max(stored.told_to, taken[-1].at) if taken else stored.told_to, all_of_it=False)


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


def _events(connection: Connection, hook: HookSetup, since: datetime) -> Iterator[Event]:
    if "position.changed" in hook.events:
        yield from _positions(connection, since)
    if "order.changed" in hook.events:
        yield from _orders(connection, since)
    if "finding.opened" in hook.events or "finding.closed" in hook.events:
        yield from (one for one in _findings(connection, since) if one.type in hook.events)


def _positions(connection: Connection, since: datetime) -> Iterator[Event]:
    for one in outgoing.changed_positions(connection, since):
        yield Event(
            type="position.changed",
            subject=f"{one.item}|{one.location}",
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


def _orders(connection: Connection, since: datetime) -> Iterator[Event]:
    for one in outgoing.changed_orders(connection, since):
        yield Event(
            type="order.changed",
            subject=f"{one.channel}|{one.order}",
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
