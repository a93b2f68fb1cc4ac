"""Channels that let a listing be written so often a day: what is left of that, and who waits for more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.publishing import Decision, WriteLimit, within_limit
from channelsync.store import findings, sent_writes
from channelsync.store.keys import KeyRecord
from channelsync.store.sent_writes import Counted, counted_as
from channelsync.sync.setup import Setup
from channelsync.sync.targets import Target

Times = dict[Counted, list[datetime]]


@dataclass(frozen=True, slots=True)
class Rations:
    """What some keys may still be written. sent: when the writes left that count, oldest first.

    names: by key, under which the channel counts its writes; of a key that is missing none count.
    """

    setup: Setup
    sent: Times
    now: datetime
    names: Mapping[int, Sequence[Counted]] = field(default_factory=dict)

    def within(self, record: KeyRecord, decision: Decision) -> Decision:
        """The decision, or to wait, where its channel takes no more writes of the listing for now."""
        limit = _limit_of(self.setup, record)
        if limit is None:
            return decision
        for name in self.names.get(record.id, ()):
            if decision.value is None:
                break
            decision = within_limit(decision, limit, self.sent.get(name, ()), self.now)
        return decision

    def count(self, record: KeyRecord) -> None:
        """A write of this key leaves now."""
        if _limit_of(self.setup, record) is not None:
            for name in self.names.get(record.id, ()):
                self.sent.setdefault(name, []).append(self.now)


def load_rations(connection: Connection, setup: Setup, records: Iterable[KeyRecord], now: datetime) -> Rations:
    """What has left of the listings of these keys. Channels without a limit cost nothing."""

    def left(some: Sequence[KeyRecord], limit: WriteLimit) -> Times:
        return sent_writes.sent_since(connection, some, now - limit.span, limit.most)

    return _rations(connection, setup, records, now, left)


def observed_rations(connection: Connection, setup: Setup, records: Iterable[KeyRecord], now: datetime) -> Rations:
    """What would have left of the listings of these observed keys."""

    def predicted(some: Sequence[KeyRecord], limit: WriteLimit) -> Times:
        return sent_writes.predicted_since(connection, some, now - limit.span)

    return _rations(connection, setup, records, now, predicted)


def _rations(
    connection: Connection,
    setup: Setup,
    records: Iterable[KeyRecord],
    now: datetime,
    times: Callable[[Sequence[KeyRecord], WriteLimit], Times],
) -> Rations:
    by_limit: dict[WriteLimit, list[KeyRecord]] = {}
    for record in records:
        limit = _limit_of(setup, record)
        if limit is not None:
            by_limit.setdefault(limit, []).append(record)
    sent: Times = {}
    names: dict[int, tuple[Counted, ...]] = {}
    for limit, some in by_limit.items():
        sent |= times(some, limit)
        names |= counted_as(connection, some)
    return Rations(setup, sent, now, names)


def _limit_of(setup: Setup, record: KeyRecord) -> WriteLimit | None:
    return setup.channels[record.channel].capabilities.writes_per_day


def tell_blocked(
    connection: Connection,
    setup: Setup,
    surveyed: Iterable[int],
    blocked: Sequence[tuple[Target, datetime]],
    now: datetime,
) -> None:
    """Opens a finding for each key whose lowering waits, with the time until which it does; closes the others'."""
    findings.open_findings(connection, [_blocked(setup, target, until) for target, until in blocked], now)
    over = set(surveyed) - {target.key.id for target, _ in blocked}
    closed = [fingerprint(FindingKind.WRITES_SPENT, str(key)) for key in over]
    findings.close_findings(connection, closed, "it may be lowered again, or needs no lowering any more", now)


def _blocked(setup: Setup, target: Target, until: datetime) -> Finding:
    record = target.key
    limit = _limit_of(setup, record)
    return Finding(
        kind=FindingKind.WRITES_SPENT,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.page or record.listing} cannot be lowered until "
        f"{until:%Y-%m-%d %H:%M} UTC: the channel takes {limit}, and they have left. {record.listing} should show "
        f"{target.units} and shows more: end or hide it at the channel if it must not oversell. `channelsync explain` "
        "tells what changed it so often.",
        evidence={"key": record.id, "page": record.page, "should": target.units, "until": until.isoformat()},
    )
