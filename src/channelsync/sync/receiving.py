"""Receiving webhooks: what becomes of one delivery. Nothing is believed, and nothing written, before it is verified."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from channelsync.sdk.channel import Challenged, WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError, TryLater
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.store.database_errors import DatabaseError
from channelsync.store.inbox import Arrived
from channelsync.sync.group_commit import TooMuchWaiting
from channelsync.sync.inbox import Inbox, arrived
from channelsync.sync.vault import Seals

log = structlog.get_logger(__name__)

VERIFIED_WITHIN = 5.0
"""Seconds that a scheme has, where it must fetch a key first."""

KEPT_WITHIN = 4.0
"""Seconds that a delivery waits to be durable. Channels give up after five; they come again."""

RETRY_SOON, RETRY_CLOSED = 5.0, 60.0
_RETRY_MAX = 3600.0


class Outcome(StrEnum):
    """What became of a delivery."""

    TAKEN = "taken"
    COPY = "copy"
    QUARANTINED = "quarantined"
    HARMLESS = "harmless"
    NO_RECEIVER = "no receiver"
    FORGED = "forged"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the deliveries of one channel come in. address: as the channel knows it; empty: nobody told it.

    scheme None: the channel has no receiver, or it is closed. closed: why its deliveries cannot be verified now.
    """

    channel: str
    scheme: WebhookScheme | None
    address: str = ""
    closed: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one delivery. topic: of a genuine one. retry_after: seconds until it should come again.

    names_nothing: it does not tell what to read, as it is about something that we do not know.
    """

    outcome: Outcome
    topic: str = ""
    retry_after: float | None = None
    names_nothing: bool = False


class Receiver:
    """Takes deliveries in. doors: by channel; may be exchanged while it runs. seals: what seals bodies."""

    def __init__(self, doors: Mapping[str, Door], inbox: Inbox, clock: Clock, seals: Seals) -> None:
        self.doors = doors
        self._inbox = inbox
        self._clock = clock
        self._seals = seals

    async def take(self, channel: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Verifies a delivery and makes it durable; only then it counts as taken. body: the raw bytes as they came."""
        door = self.doors.get(channel)
        if door is None or (door.scheme is None and not door.closed):
            return Received(Outcome.NO_RECEIVER)
        if door.scheme is None:
            return Received(Outcome.UNAVAILABLE, retry_after=RETRY_CLOSED)
        now = self._clock.now()
        verified = await self._verified(channel, door.scheme, headers, body, now)
        if isinstance(verified, Received):
            return verified
        return await self._kept(verified.topic, arrived(channel, verified, body, self._seals, now))

    async def _verified(
        self, channel: str, scheme: WebhookScheme, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> WebhookHint | Received:
        """What a genuine delivery hints at, or what became of it that needs no keeping."""
        try:
            async with asyncio.timeout(VERIFIED_WITHIN):
                hint = await scheme.verify(headers, body, now)
        except (ChannelError, TimeoutError) as error:
            log.warning("webhook.not_verified", channel=channel, reason=str(error) or "its key did not come in time")
            wait = error.retry_after if isinstance(error, TryLater) else None
            return Received(Outcome.UNAVAILABLE, retry_after=min(wait or RETRY_SOON, _RETRY_MAX))
        if hint is None:
            return Received(Outcome.FORGED)
        return Received(Outcome.HARMLESS) if isinstance(hint, Harmless) else hint

    async def _kept(self, topic: str, one: Arrived) -> Received:
        """Returns once it is durable, or cannot be made so in time."""
        try:
            async with asyncio.timeout(KEPT_WITHIN):
                kept = await self._inbox.keep(one)
        except TooMuchWaiting:
            return Received(Outcome.BUSY, topic, RETRY_SOON)
        except (DatabaseError, TimeoutError) as error:
            reason = str(error) or "the database did not answer in time"
            log.warning("webhook.not_kept", channel=one.channel, reason=reason)
            return Received(Outcome.UNAVAILABLE, topic, RETRY_SOON)
        return Received(_KEPT[kept], topic, names_nothing=not (one.orders or one.keys))

    def challenge(self, channel: str, query: Mapping[str, str]) -> bytes | None:
        """The JSON body that a channel wants to hear before it delivers to our address; None: it asks nothing."""
        door = self.doors.get(channel)
        if door is None or door.scheme is None or not isinstance(door.scheme, Challenged) or not door.address:
            return None
        return door.scheme.answer(query, door.address)


_KEPT = {"new": Outcome.TAKEN, "copy": Outcome.COPY, "quarantined": Outcome.QUARANTINED}
