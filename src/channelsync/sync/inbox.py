"""The inbox: genuine webhooks become durable before they are answered, and are followed afterwards.

The receiver only writes here. Whoever holds the channel's account follows what is new: it notes what a delivery names
and marks it done in one transaction, so a crash in between repeats it and loses nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import SecretStr
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.clock import Clock
from channelsync.sdk.tasks import first_of, set_or_after
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import findings, inbox
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError
from channelsync.store.inbox import Arrived, Delivery, Kept
from channelsync.store.texts import told_briefly
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.group_commit import GroupCommit
from channelsync.sync.hints import Noted, follow, note_hints
from channelsync.sync.leasing import Leases
from channelsync.sync.vault import NotUnsealed, Seals

log = structlog.get_logger(__name__)

ARRIVED = "channelsync_inbox"
"""The notification channel that says that something is new in the inbox."""

WAITING_MAX = 2_000
"""Deliveries that may wait to be written at once; a second's worth."""

ATTEMPTS = 5
"""How often a delivery is followed before it is parked."""

KEEP_BODIES, KEEP_DELIVERIES = timedelta(days=7), timedelta(days=30)

_AT_ONCE = 200
_NAME_MAX = 200
_LOOK_EVERY_SECONDS = 2.0
_REST_SECONDS = 0.1
_TOGETHER_SECONDS = 0.2
_PRUNED_AT_ONCE = 500
_PRUNE_PAUSE_SECONDS = 0.02
_DIFFERS = "the same event came before with another body"


def arrived(channel: str, hint: WebhookHint, body: bytes, seals: Seals, now: datetime) -> Arrived:
    """A genuine delivery as it is kept. Its body is sealed; without a key it is not kept, for it tells of buyers."""
    event = _name(hint.event)
    return Arrived(
        channel=channel,
        topic=_name(hint.topic),
        event=event,
        digest=hashlib.sha256(body).hexdigest(),
        received_at=now,
        sent_at=hint.sent_at,
        orders=hint.orders,
        keys=tuple((key.key, key.location) for key in hint.keys),
        body=seals.seal(channel, _sealed_as(event), SecretStr(body.decode("latin-1"))) if seals else None,
    )


def unsealed_body(seals: Seals, delivery: Delivery, sealed: bytes) -> bytes | None:
    """The body of a delivery as it came; None where no key that is configured unseals it."""
    try:
        text, _ = seals.unseal(delivery.channel, _sealed_as(delivery.event), sealed)
    except NotUnsealed:
        return None
    return text.get_secret_value().encode("latin-1")


def _sealed_as(event: str) -> str:
    """The name that a body is sealed under; no secret of a channel has such a name."""
    return f"webhook {event}"


def _name(text: str) -> str:
    """A topic or event as it is kept: a database takes no NUL, and no index row without end."""
    if len(text) <= _NAME_MAX and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Inbox:
    """Writes deliveries for many callers at once. Use as an async context manager; leaving it writes what waits.

    on_kept: called after every transaction that brought something new.
    """

    def __init__(self, database: Database, on_kept: Callable[[], None] = lambda: None) -> None:
        self._on_kept = on_kept
        self._commits: GroupCommit[Arrived, list[Kept], Kept] = GroupCommit(
            database, _keep, lambda kept: kept, name="inbox", on_committed=self._tell, waiting_max=WAITING_MAX
        )

    async def __aenter__(self) -> Inbox:
        await self._commits.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._commits.__aexit__(None, None, None)

    async def keep(self, one: Arrived) -> Kept:
        """Writes one; returns once it is durable. Raises TooMuchWaiting, and what the database raises."""
        return await self._commits.put(one)

    def _tell(self, kept: Sequence[Kept]) -> None:
        if "new" in kept:
            self._on_kept()


def _keep(connection: Connection, some: Sequence[Arrived]) -> list[Kept]:
    kept = inbox.keep_deliveries(connection, some, _DIFFERS)
    odd = {one.channel: one for one, outcome in zip(some, kept, strict=True) if outcome == "quarantined"}
    findings.open_findings(connection, [_quarantined(one) for one in odd.values()], some[0].received_at)
    return kept


def _quarantined(one: Arrived) -> Finding:
    return Finding(
        kind=FindingKind.WEBHOOKS,
        subject=(one.channel, "quarantined"),
        channel=one.channel,
        summary=f"{one.channel}: webhook {one.event} ({one.topic or 'no topic'}) came a second time with another body. "
        "It was signed, and is kept without being followed. See `channelsync inbox list --state quarantined`; "
        "`channelsync inbox replay` follows one, and polls read what is so in any case.",
        evidence={"topic": one.topic, "event": one.event},
    )


# Following


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of new deliveries: how many were noted, and how many were parked."""

    done: int = 0
    parked: int = 0


async def keep_following(agent: Agent, leases: Leases, arrived_here: asyncio.Event) -> None:
    """Follows what is new in the inbox for every open channel of which this worker holds the account, for ever.

    arrived_here: set by this process's own receiver. Of other processes it hears on PostgreSQL, and looks by itself
    every two seconds in any case.
    """
    await first_of(_hear(agent, arrived_here), _look(agent, leases, arrived_here))


async def _look(agent: Agent, leases: Leases, arrived_here: asyncio.Event) -> None:
    """Looks when something has arrived, and by itself, for ever."""
    while True:
        arrived_here.clear()
        for channel in list(agent.channels.values()):
            if leases.held(channel.identity):
                await follow_new(agent, channel)
        await agent.clock.sleep(_REST_SECONDS)  # in a burst, what comes meanwhile is followed in one transaction
        await set_or_after(arrived_here, _LOOK_EVERY_SECONDS)


async def _hear(agent: Agent, arrived_here: asyncio.Event) -> None:
    """Nothing is told on SQLite; there the looking by itself is all."""
    async for _ in agent.database.listen(ARRIVED):
        arrived_here.set()


async def tell_arrivals(database: Database, clock: Clock, something: asyncio.Event) -> None:
    """Tells other processes that the inbox has something new, until it is cancelled; a burst is told once."""
    while True:
        await something.wait()
        something.clear()
        with suppress(DatabaseError):  # they look by themselves too
            await database.notify(ARRIVED)
        await clock.sleep(_TOGETHER_SECONDS)


async def follow_new(agent: Agent, channel: OpenChannel) -> Followed:
    """Follows everything that is new for a channel, each once; raises only what the database as a whole raises."""
    total = Followed()
    failed: set[int] = set()
    while some := await agent.database.query(lambda c: inbox.new_deliveries(c, channel.name, _AT_ONCE, failed)):
        try:
            noted = await agent.database.transact(_following(agent, channel, some))
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - one of them cannot be followed; its neighbours can
            log.warning("inbox.batch_failed", channel=channel.name, deliveries=len(some), reason=told_briefly(error))
            for one in some:
                outcome = await _follow_alone(agent, channel, one)
                total = Followed(total.done + outcome.done, total.parked + outcome.parked)
                if not outcome.done:
                    failed.add(one.id)
            continue
        follow(channel, noted)
        total = Followed(total.done + len(some), total.parked)
    if total.done or total.parked:
        log.info("inbox.followed", channel=channel.name, deliveries=total.done, parked=total.parked)
    return total


async def _follow_alone(agent: Agent, channel: OpenChannel, one: Delivery) -> Followed:
    """One delivery in a transaction of its own; a failure is counted, and the last one parks it."""
    try:
        noted = await agent.database.transact(_following(agent, channel, [one]))
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is this one's own
        why = told_briefly(error)
        now = agent.clock.now()
        parked = await agent.database.transact(lambda c: _failed(c, one, why, now))
        log.warning("inbox.not_followed", channel=channel.name, event_id=one.event, parked=parked, reason=why)
        return Followed(parked=int(parked))
    follow(channel, noted)
    return Followed(done=1)


def _following(agent: Agent, channel: OpenChannel, some: Sequence[Delivery]) -> Callable[[Connection], Noted]:
    """Notes what deliveries name and marks them done, in one transaction."""
    hints = [_hint(one) for one in some]
    ids = [one.id for one in some]
    now = agent.clock.now()

    def unit(connection: Connection) -> Noted:
        noted = note_hints(connection, channel.name, channel.identity, hints, now)
        inbox.mark_done(connection, ids, now)
        return noted

    return unit


def _hint(one: Delivery) -> WebhookHint:
    return WebhookHint(
        topic=one.topic,
        event=one.event,
        sent_at=one.sent_at,
        orders=one.orders,
        keys=tuple(QuantityKey(key, location) for key, location in one.keys),
    )


def _failed(connection: Connection, one: Delivery, why: str, now: datetime) -> bool:
    parked = inbox.mark_failed(connection, one.id, why, now, ATTEMPTS)
    if parked:
        finding = Finding(
            kind=FindingKind.WEBHOOKS,
            subject=(one.channel, "parked"),
            channel=one.channel,
            summary=f"{one.channel}: webhook {one.event} ({one.topic or 'no topic'}) could not be followed, "
            f"{ATTEMPTS} times: {why}. It is kept; polls read what is so in any case. See `channelsync inbox list "
            "--state parked`, and `channelsync inbox replay` once the cause is gone.",
            evidence={"delivery": one.id, "topic": one.topic, "event": one.event},
        )
        findings.open_findings(connection, [finding], now)
    return parked


# By hand


def replay(connection: Connection, ids: Sequence[int], now: datetime) -> list[Delivery]:
    """Puts deliveries back to be followed once more; returns those that there are, as they are now."""
    found = inbox.replay(connection, ids)
    _close(connection, {one.channel for one in found}, now)
    return found


async def prune_inbox(
    database: Database, clock: Clock, keep_bodies: timedelta = KEEP_BODIES, keep_deliveries: timedelta = KEEP_DELIVERIES
) -> tuple[int, int]:
    """Drops bodies and rows that are older than this; returns how many of each.

    In small steps, however much there is: whoever takes webhooks in waits for none of them.
    """
    now = clock.now()
    bodies = rows = 0
    while old := await database.query(lambda c: inbox.old_bodies(c, now - keep_bodies, _PRUNED_AT_ONCE)):
        bodies += await database.transact(lambda c, old=old: inbox.drop_bodies(c, old))  # type: ignore[misc]
        await clock.sleep(_PRUNE_PAUSE_SECONDS)
    while dropped := await database.transact(
        lambda c: inbox.drop_deliveries(c, now - keep_deliveries, _PRUNED_AT_ONCE)
    ):
        rows += dropped
        await clock.sleep(_PRUNE_PAUSE_SECONDS)
    await database.transact(lambda c: _close_pruned(c, now))
    return bodies, rows


def _close_pruned(connection: Connection, now: datetime) -> None:
    _close(connection, {one.channel for one in findings.list_findings(connection, kinds=[FindingKind.WEBHOOKS])}, now)


def _close(connection: Connection, channels: set[str], now: datetime) -> None:
    """Closes the findings of channels of which nothing is set aside any more."""
    left = inbox.waiting(connection)
    over = [
        fingerprint(FindingKind.WEBHOOKS, channel, state)
        for channel in channels
        for state in ("quarantined", "parked")
        if channel not in left or not left[channel].counts.get(state)
    ]
    findings.close_findings(connection, over, "nothing of it is set aside any more", now)
