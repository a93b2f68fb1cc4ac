"""How things stand, in few cheap queries: for whoever watches (metrics, status, readiness). Nothing here is locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select, text

from channelsync.domain.watermark import Timing
from channelsync.store.drifting import drifting
from channelsync.store.inbox import Waiting, last_events, waiting
from channelsync.store.leases import of_accounts
from channelsync.store.tables import metadata
from channelsync.store.tables.units import OVERSOLD

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]
_ORDER = metadata.tables["sales_order"]
_AUDIT = metadata.tables["audited_day"]
_PROVISIONAL = metadata.tables["provisional"]
_FINDING = metadata.tables["finding"]
_POSITION = metadata.tables["position"]
_LEASE = metadata.tables["lease"]
_OUTGOING = metadata.tables["outgoing"]
_SCHEDULE = metadata.tables["schedule"]
_PLAN = metadata.tables["guard_plan"]

_LEFT_ALONE = and_(_KEY.c.value.is_not(None), _KEY.c.target.is_(None), _KEY.c.due_at.is_(None))
"""Of a number: it was read and looked at, and there is none that it should be."""

OPEN_WRITES: Mapping[str, str] = {
    "": "unanswered",
    "accepted": "accepted, not seen yet",
    "unknown": "outcome unknown",
}
"""What the outcome of a write means as long as it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersStanding:
    """The numbers of one channel that are ours and mapped.

    due: on the publisher's agenda. hot: read every tick. questions: nothing is raised until the seller answers.
    drift: the channel shows another number than it should, and nothing explains it; see `drifting`. unread: never read.
    unstated: left as they are, because nobody has said how many units there are.
    """

    numbers: int = 0
    due: int = 0
    hot: int = 0
    questions: int = 0
    drift: int = 0
    unread: int = 0
    unstated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStanding:
    """The last day of a channel's orders that was compared with ours."""

    day: date
    theirs: int
    missing: int
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStanding:
    """Who holds an account. owner empty: nobody."""

    identity: str
    owner: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStanding:
    """A task of the schedule. ended_at None, outcome empty: it never ran. failures: in a row. seconds: its last run."""

    name: str
    next_run_at: datetime
    owner: str
    lease_until: datetime | None
    ended_at: datetime | None
    outcome: str
    told: str
    failures: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand. Whatever is by channel leaves out those of which there is nothing to tell.

    newest_order: when the newest booked order was placed. events: when the last webhook of a topic came, by (channel,
    topic). inbox: webhooks kept, by channel. outgoing: messages that wait, by hook. pushed_today: writes that left
    since the day began. open_writes: by (channel, outcome); see OPEN_WRITES. provisional: key units held because no
    order explains a drop yet. findings: open ones by kind. plans: that wait for approval, by channel. oversold: units
    that are promised and not there.
    """

    numbers: Mapping[str, NumbersStanding] = field(default_factory=dict)
    newest_order: Mapping[str, datetime] = field(default_factory=dict)
    events: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    inbox: Mapping[str, Waiting] = field(default_factory=dict)
    outgoing: Mapping[str, int] = field(default_factory=dict)
    hints: Mapping[str, int] = field(default_factory=dict)
    unmapped_orders: Mapping[str, int] = field(default_factory=dict)
    unreadable_orders: Mapping[str, int] = field(default_factory=dict)
    pushed_today: Mapping[str, int] = field(default_factory=dict)
    open_writes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    provisional: Mapping[str, int] = field(default_factory=dict)
    audits: Mapping[str, AuditStanding] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)
    plans: Mapping[str, int] = field(default_factory=dict)
    leases: tuple[LeaseStanding, ...] = ()
    tasks: tuple[TaskStanding, ...] = ()
    oversold: int = 0
    oversold_positions: int = 0


def standing(connection: Connection, timings: Mapping[str, Timing], day_began: datetime) -> Standing:
    """How things stand now. timings: of the channels; day_began: since when a push counts as one of today."""
    units, positions = _oversold(connection)
    return Standing(
        numbers=_numbers(connection, timings),
        newest_order=_newest_orders(connection),
        events=last_events(connection),
        inbox=waiting(connection),
        outgoing=_outgoing(connection),
        hints=_counted(connection, metadata.tables["order_hint"]),
        unmapped_orders=_counted(connection, _ORDER, _ORDER.c.unmapped > 0),
        unreadable_orders=_counted(connection, metadata.tables["unreadable_order"]),
        pushed_today=pushed_since(connection, day_began),
        open_writes=_open_writes(connection),
        provisional=_provisional(connection),
        audits=_audits(connection),
        findings=open_findings_by_kind(connection),
        plans=_counted(connection, _PLAN, _PLAN.c.state == "open"),
        leases=leases_standing(connection),
        tasks=tasks_standing(connection),
        oversold=units,
        oversold_positions=positions,
    )


def pushed_since(connection: Connection, since: datetime) -> dict[str, int]:
    """How many writes have left since then, by channel."""
    found = connection.execute(
        select(_KEY.c.channel, func.count().label("many"))
        .join_from(_WRITE, _KEY, _KEY.c.id == _WRITE.c.key)
        .where(_WRITE.c.sent_at >= since)
        .group_by(_KEY.c.channel)
    )
    return {row.channel: row.many for row in found}


def open_findings_by_kind(connection: Connection) -> dict[str, int]:
    """How many findings are open, by kind."""
    found = connection.execute(
        select(_FINDING.c.kind, func.count().label("many"))
        .where(_FINDING.c.closed_at.is_(None))
        .group_by(_FINDING.c.kind)
        .order_by(_FINDING.c.kind)
    )
    return {row.kind: row.many for row in found}


def _numbers(connection: Connection, timings: Mapping[str, Timing]) -> dict[str, NumbersStanding]:
    def many(name: str, condition: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.sum(case((condition, 1), else_=0)).label(name)

    found = connection.execute(
        select(
            _KEY.c.channel,
            func.count().label("numbers"),
            many("due", _KEY.c.due_at.is_not(None)),
            many("hot", _KEY.c.hot.is_(True)),
            many("questions", _KEY.c.held != ""),
            many("unread", _KEY.c.value.is_(None)),
            many("unstated", _LEFT_ALONE),
        )
        .where(_KEY.c.ours.is_(True), _KEY.c.item.is_not(None))
        .group_by(_KEY.c.channel)
    )
    drift = drifting(connection, timings)
    return {
        row["channel"]: NumbersStanding(
            drift=drift[row["channel"]], **{name: int(row[name]) for name in row if name != "channel"}
        )
        for row in found.mappings()
    }


def _newest_orders(connection: Connection) -> dict[str, datetime]:
    channel = metadata.tables["channel"]
    newest = (
        select(func.max(_ORDER.c.placed_at)).where(_ORDER.c.channel == channel.c.name).scalar_subquery().label("newest")
    )
    return {row.name: row.newest for row in connection.execute(select(channel.c.name, newest)) if row.newest}


def _outgoing(connection: Connection) -> dict[str, int]:
    found = connection.execute(
        select(_OUTGOING.c.hook, func.count().label("many"))
        .where(_OUTGOING.c.delivered_at.is_(None))
        .group_by(_OUTGOING.c.hook)
    )
    return {row.hook: row.many for row in found}


def _counted(connection: Connection, table: Table, *which: ColumnElement[bool]) -> dict[str, int]:
    found = connection.execute(
        select(table.c.channel, func.count().label("many")).where(*which).group_by(table.c.channel)
    )
    return {row.channel: row.many for row in found}


def _open_writes(connection: Connection) -> dict[tuple[str, str], int]:
    found = connection.execute(
        select(_KEY.c.channel, _WRITE.c.outcome, func.count().label("many"))
        .join_from(_WRITE, _KEY, _KEY.c.id == _WRITE.c.key)
        .where(_WRITE.c.closed_at.is_(None))
        .group_by(_KEY.c.channel, _WRITE.c.outcome)
    )
    return {(row.channel, row.outcome): row.many for row in found}


def _provisional(connection: Connection) -> dict[str, int]:
    found = connection.execute(
        select(_PROVISIONAL.c.channel, func.sum(_PROVISIONAL.c.open).label("units"))
        .where(_PROVISIONAL.c.open > 0)
        .group_by(_PROVISIONAL.c.channel)
    )
    return {row.channel: int(row.units) for row in found}


def _audits(connection: Connection) -> dict[str, AuditStanding]:
    last = select(_AUDIT.c.channel, func.max(_AUDIT.c.day).label("day")).group_by(_AUDIT.c.channel).subquery()
    found = connection.execute(
        select(_AUDIT.c.channel, _AUDIT.c.day, _AUDIT.c.theirs, _AUDIT.c.missing, _AUDIT.c.checked_at).join(
            last, and_(last.c.channel == _AUDIT.c.channel, last.c.day == _AUDIT.c.day)
        )
    )
    return {
        row["channel"]: AuditStanding(**{name: row[name] for name in ("day", "theirs", "missing", "checked_at")})
        for row in found.mappings()
    }


def leases_standing(connection: Connection) -> tuple[LeaseStanding, ...]:
    """Who holds which account, by account."""
    columns = (_LEASE.c.identity, _LEASE.c.owner, _LEASE.c.until)
    found = connection.execute(select(*columns).where(of_accounts()).order_by(_LEASE.c.identity)).mappings()
    return tuple(LeaseStanding(**row) for row in found)


def tasks_standing(connection: Connection) -> tuple[TaskStanding, ...]:
    """The tasks of the schedule, by name."""
    columns = [_SCHEDULE.c[one.name] for one in fields(TaskStanding)]
    found = connection.execute(select(*columns).order_by(_SCHEDULE.c.name)).mappings()
    return tuple(TaskStanding(**row) for row in found)


def _oversold(connection: Connection) -> tuple[int, int]:
    """Of items of which nobody has said how many units there are nothing is known to be oversold."""
    short = _POSITION.c.reserved + _POSITION.c.withheld - _POSITION.c.on_hand
    other = _POSITION.alias("other")
    stated = select(other.c.item).where(other.c.item == _POSITION.c.item, other.c.stated_by != "").exists()
    sums = select(func.sum(short).label("units"), func.count().label("many"))
    found = connection.execute(sums.where(text(OVERSOLD), stated)).one()
    return int(found.units or 0), found.many
