"""Watching over webhooks: topics that have fallen silent, and channels all whose deliveries are refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.silence import Silence, silence_of
from channelsync.store import findings, inbox
from channelsync.sync.agent import Agent

ARRIVALS = 500
"""Latest deliveries of a topic that its habit is told from."""

REFUSED_MIN = 5
REFUSED_WITHIN = timedelta(hours=1)
"""So many refused deliveries within this time, and none taken, are no stranger knocking now and then."""


@dataclass(frozen=True, slots=True)
class News:
    """Findings to open and to close."""

    opened: tuple[Finding, ...]
    closed: tuple[str, ...]
    why: str
    now: datetime

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.opened or self.closed)

    def write(self, connection: Connection) -> None:
        """In the caller's transaction."""
        findings.open_findings(connection, self.opened, self.now)
        findings.close_findings(connection, self.closed, self.why, self.now)


# Silence


async def watch_silence(agent: Agent) -> list[str]:
    """Opens a finding for every topic that has fallen silent and closes those that speak again; returns the former.

    For the schedule, about once an hour.
    """
    now = agent.clock.now()
    # The whole inbox is looked through: nobody who writes to the database waits for that.
    news = await agent.database.query(lambda c: _silences(c, list(agent.setup.channels), now))
    if news:
        await agent.database.transact(news.write)
    return [f"{one.channel} {one.evidence['topic']}" for one in news.opened]


def _silences(connection: Connection, channels: Sequence[str], now: datetime) -> News:
    opened, closed = [], []
    for channel, topic in inbox.last_events(connection):
        if channel not in channels:
            continue
        found = _silence(connection, channel, topic, now)
        if found is None:
            closed.append(fingerprint(FindingKind.WEBHOOKS, channel, "silent", topic))
        else:
            opened.append(_silent(channel, topic, found))
    return News(tuple(opened), tuple(closed), "deliveries come as usual", now)


def _silence(connection: Connection, channel: str, topic: str, now: datetime) -> Silence | None:
    came = inbox.arrivals(connection, channel, topic, ARRIVALS)
    return silence_of(came, inbox.orders_placed_since(connection, channel, came[-1]), now) if came else None


def _silent(channel: str, topic: str, silence: Silence) -> Finding:
    hours = round(silence.usual.total_seconds() / 3600, 1)
    return Finding(
        kind=FindingKind.WEBHOOKS,
        subject=(channel, "silent", topic),
        channel=channel,
        summary=f"{channel}: no webhook {topic} has come since {silence.since:%Y-%m-%d %H:%M} UTC, though "
        f"{silence.orders} orders were placed since; before, the longest pause was {hours:g} hours. Orders are found "
        f"by polling, later. Run `channelsync channels check {channel} --repair`, and see whether its deliveries reach "
        "this address.",
        evidence={"topic": topic, "since": silence.since.isoformat(), "orders": silence.orders},
    )


# Refusals

Seen = tuple[int, int]
"""Deliveries that were refused as forged, and that were accepted, since the process began."""


@dataclass(slots=True)
class Refusals:
    """Tells from counters which channels have all their deliveries refused. It costs no write for each of them."""

    _looks: dict[str, deque[tuple[datetime, Seen]]] = field(default_factory=dict)
    _well: dict[str, bool] = field(default_factory=dict)

    def news(self, seen: Mapping[str, Seen], now: datetime) -> News:
        """What is to be told since it was last asked. seen: the counters, by channel."""
        opened, closed = [], []
        for channel, counted in seen.items():
            looks = self._looks.setdefault(channel, deque([(now, (0, 0))]))
            if looks[-1][1] != counted:
                looks.append((now, counted))
            while len(looks) > 1 and now - looks[1][0] >= REFUSED_WITHIN:
                looks.popleft()
            refused, accepted = (counted[part] - looks[0][1][part] for part in (0, 1))
            if accepted and not self._well.get(channel):
                self._well[channel] = True
                closed.append(fingerprint(FindingKind.WEBHOOKS, channel, "refused"))
            elif refused >= REFUSED_MIN and not accepted and self._well.get(channel, True):
                self._well[channel] = False
                opened.append(_refused(channel, refused))
        return News(tuple(opened), tuple(closed), "genuine deliveries come again", now)


def _refused(channel: str, number: int) -> Finding:
    return Finding(
        kind=FindingKind.WEBHOOKS,
        subject=(channel, "refused"),
        channel=channel,
        summary=f"{channel}: {number} webhooks in a row were refused as not genuine, and none was taken. Either "
        "somebody forges them, or they are signed with a secret that is not configured (any more), or this machine's "
        f"clock is wrong: see `channelsync doctor`, and `channelsync channels check {channel}`. Meanwhile orders are "
        "found by polling.",
        evidence={"refused": number},
    )
