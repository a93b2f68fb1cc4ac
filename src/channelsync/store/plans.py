"""Plans that wait for approval, the keys that they hold, and what was taken from those keys' positions since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, delete, func, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError

from channelsync.domain.guard import Hold
from channelsync.domain.ledger import EntryKind
from channelsync.domain.quantities import PositionKey
from channelsync.store.among import among, values
from channelsync.store.codec import dump, load
from channelsync.store.database_errors import DatabaseConflict
from channelsync.store.prepared import fetch
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata

_PLAN = metadata.tables["guard_plan"]
_HELD = metadata.tables["guard_key"]
_MARKED = metadata.tables["guard_position"]
_ENTRY = metadata.tables["ledger_entry"]
_COLUMNS = tuple(column.name for column in _PLAN.columns)

PlanKind = Literal["quantities", "catalogue"]
PlanState = Literal["open", "approved", "rejected", "settled"]
KeyState = Literal["held", "released", "overtaken", "ended"]

# The text is part of the statement, so that the index of just these rows is used.
_IS_HELD = _HELD.c.state == literal_column("'held'")

# What orders, reads of channels and expiry do is a fact; the rest is what people and files say. A shipment takes
# nothing that its reservation had not taken, and a drift that was adopted is what a channel says.
_FACTS = ("order:%", "read:%", "agent%")
_BY_FACT = and_(
    or_(_ENTRY.c.reserved != 0, *(_ENTRY.c.actor.like(name) for name in _FACTS)),
    _ENTRY.c.kind.not_in([EntryKind.ADJUST.value]),
)
_UNITS = case(
    (_ENTRY.c.kind == EntryKind.SHIP.value, 0), else_=_ENTRY.c.on_hand - _ENTRY.c.reserved - _ENTRY.c.withheld
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan as stored. counts, reasons: plain values. decided_run: the run that approved or rejected it.

    held, keys: how many keys it still holds, and how many it had.
    """

    id: str
    run: str
    channel: str
    kind: PlanKind
    state: PlanState
    reasons: tuple[str, ...]
    counts: dict[str, Any]
    made_at: datetime
    decided_at: datetime | None
    decided_by: str
    decided_run: str
    note: str
    held: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """A key of a plan. mark: under which its positions were marked. run: that made the plan."""

    plan: str
    run: str
    key: int
    item: str
    mark: str
    hold: Hold
    state: KeyState
    why: str


class Taken(NamedTuple):
    """A position since it was marked. available: then. by_orders: units that orders and provisionals took (+) or gave
    back (-); by_others: what runs that were not held took (+) or added (-)."""

    available: int
    by_orders: int
    by_others: int


def save_plan(connection: Connection, plan: StoredPlan) -> None:
    """Keeps a new plan."""
    row: dict[str, object] = {name: getattr(plan, name) for name in _COLUMNS}
    connection.execute(_PLAN.insert(), [row | {"reasons": dump(list(plan.reasons)), "counts": dump(plan.counts)}])


def hold_keys(connection: Connection, held: Sequence[PlanKey]) -> None:
    """Keeps which keys a plan holds.

    Raises DatabaseConflict, so that the unit of work is repeated, where another run has just held one of them: the
    second time it is known.
    """
    rows = [
        {
            "plan": one.plan,
            "key": one.key,
            "mark": one.mark,
            "item": one.item,
            "before": one.hold.before,
            "planned": one.hold.planned,
            "room": one.hold.room,
            "state": one.state,
            "why": one.why,
        }
        for one in held
    ]
    if rows:
        try:
            connection.execute(_HELD.insert(), rows)
        except IntegrityError as error:
            raise DatabaseConflict("two runs would hold the same number at the same time") from error


def mark_positions(connection: Connection, mark: str, positions: Mapping[PositionKey, tuple[int, int]]) -> None:
    """Keeps positions as they are when a plan is made: what was available without the run, and how many entries there
    are with it."""
    rows = [
        {"mark": mark, "item": key.item, "location": key.location, "available": available, "entries": entries}
        for key, (available, entries) in sorted(positions.items())
    ]
    if rows:
        connection.execute(_MARKED.insert(), rows)


def holding(connection: Connection, ids: Sequence[int]) -> dict[int, PlanKey]:
    """Of these keys those that a plan holds."""
    found = fetch(connection, _select_holding(connection.dialect.name), {"ids": values(connection, ids)})
    return {row.key: _plan_key(row) for row in found}


@cache
def _select_holding(dialect: str) -> Select[Any]:
    return _select_plan_keys().where(among(_HELD.c.key, "ids", dialect), _IS_HELD)


def _select_plan_keys() -> Select[Any]:
    return select(_HELD, _PLAN.c.run).join_from(_HELD, _PLAN, _PLAN.c.id == _HELD.c.plan)


def plan_keys(connection: Connection, plan: str, *, only_held: bool = False) -> list[PlanKey]:
    """The keys of a plan."""
    statement = _select_plan_keys().where(_HELD.c.plan == plan).order_by(_HELD.c.key)
    return [_plan_key(row) for row in connection.execute(statement.where(_IS_HELD) if only_held else statement)]


def held_items(connection: Connection) -> set[str]:
    """Items of which a key is held."""
    return set(connection.execute(select(_HELD.c.item).where(_IS_HELD).distinct()).scalars())


def taken_since(
    connection: Connection, marks: Collection[str], items: Collection[str]
) -> dict[tuple[str, PositionKey], Taken]:
    """By mark and position of these items, what became of it."""
    listed = {"marks": values(connection, sorted(marks)), "items": values(connection, sorted(items))}
    found = connection.execute(_select_taken(connection.dialect.name), listed)
    return {
        (row.mark, PositionKey(row.item, row.location)): Taken(row.available, int(row.by_orders), int(row.by_others))
        for row in found
    }


@cache
def _select_taken(dialect: str) -> Select[Any]:
    since = and_(
        _ENTRY.c.item == _MARKED.c.item,
        _ENTRY.c.location == _MARKED.c.location,
        _ENTRY.c.number > _MARKED.c.entries,
    )
    by_orders = func.coalesce(func.sum(case((_BY_FACT, -_UNITS), else_=0)), 0).label("by_orders")
    by_others = func.coalesce(func.sum(case((_BY_FACT, 0), else_=-_UNITS)), 0).label("by_others")
    named = (_MARKED.c.mark, _MARKED.c.item, _MARKED.c.location, _MARKED.c.available)
    return (
        select(*named, by_orders, by_others)
        .join_from(_MARKED, _ENTRY, since, isouter=True)
        .where(among(_MARKED.c.mark, "marks", dialect), among(_MARKED.c.item, "items", dialect))
        .group_by(*named)
    )


def changed_by(connection: Connection, run: str, at: datetime) -> dict[PositionKey, int]:
    """How many units a run itself made available (or, below 0, took) in its transaction of that moment, by position."""
    found = connection.execute(_select_changed(), {"run": run, "at": at})
    return {PositionKey(row.item, row.location): int(row.units) for row in found}


@cache
def _select_changed() -> Select[Any]:
    return (
        select(_ENTRY.c.item, _ENTRY.c.location, func.sum(_UNITS).label("units"))
        .where(
            _ENTRY.c.run == bindparam("run"),
            _ENTRY.c.recorded_at == bindparam("at", type_=_ENTRY.c.recorded_at.type),
            _ENTRY.c.reserved == 0,
        )
        .group_by(_ENTRY.c.item, _ENTRY.c.location)
    )


def end_keys(connection: Connection, ended: Iterable[tuple[PlanKey, KeyState, str]]) -> None:
    """Lets keys go: (which, what became of it, why)."""
    changes = [((one.plan, one.key), {"state": state, "why": why}) for one, state, why in ended]
    update_rows(connection, _HELD, ("plan", "key"), changes)


def change_counts(
    connection: Connection, plan: str, counts: Mapping[str, object], reasons: Sequence[str] | None = None
) -> None:
    """Says anew what a plan would move; reasons None: those stay."""
    said = {} if reasons is None else {"reasons": dump(list(reasons))}
    update_rows(connection, _PLAN, ("id",), [((plan,), {"counts": dump(dict(counts)), **said})])


def claim_plan(connection: Connection, plan: str, state: PlanState, was: Collection[str], **fields: object) -> bool:
    """Moves a plan from one of these states to another; False: it was in none of them. The row is locked by it."""
    statement = update(_PLAN).where(_PLAN.c.id == plan, _PLAN.c.state.in_(sorted(was))).values(state=state, **fields)
    return connection.execute(statement).rowcount == 1


def get_plan(connection: Connection, plan: str) -> StoredPlan | None:
    """A plan; None where there is none of this id."""
    row = connection.execute(_select_plans().where(_PLAN.c.id == plan)).first()
    return None if row is None else _stored(row)


def list_plans(
    connection: Connection,
    *,
    states: Sequence[PlanState] = (),
    channel: str = "",
    kind: str = "",
    run: str = "",
    limit: int = 1000,
) -> list[StoredPlan]:
    """Plans, the newest first. states empty: whichever; the same for channel, kind and run."""
    statement = _select_plans().order_by(_PLAN.c.made_at.desc(), _PLAN.c.id.desc()).limit(limit)
    for column, wanted in ((_PLAN.c.channel, channel), (_PLAN.c.kind, kind), (_PLAN.c.run, run)):
        if wanted:
            statement = statement.where(column == wanted)
    if states:
        statement = statement.where(_PLAN.c.state.in_(states))
    return [_stored(row) for row in connection.execute(statement)]


def _select_plans() -> Select[Any]:
    theirs = _HELD.c.plan == _PLAN.c.id
    held = select(func.count()).where(theirs, _IS_HELD).scalar_subquery().label("held")
    every = select(func.count()).select_from(_HELD).where(theirs).scalar_subquery().label("keys")
    return select(_PLAN, held, every)


def _stored(row: Row[Any]) -> StoredPlan:
    return StoredPlan(**row._asdict() | {"reasons": tuple(load(row.reasons)), "counts": load(row.counts)})


def _plan_key(row: Row[Any]) -> PlanKey:
    return PlanKey(
        plan=row.plan,
        run=row.run,
        key=row.key,
        item=row.item,
        mark=row.mark,
        hold=Hold(before=row.before, planned=row.planned, room=row.room),
        state=row.state,
        why=row.why,
    )


def lock_plans(connection: Connection, ids: Collection[str]) -> None:
    """Holds these plans until the transaction ends, so that two never decide about their keys at once."""
    statement = select(_PLAN.c.id).where(among(_PLAN.c.id, "ids", connection.dialect.name)).order_by(_PLAN.c.id)
    connection.execute(statement.with_for_update(), {"ids": values(connection, sorted(ids))}).all()


def emptied(connection: Connection, ids: Collection[str]) -> list[str]:
    """Of these plans of quantities those that hold nothing any more."""
    held = select(_HELD.c.plan).where(_HELD.c.plan == _PLAN.c.id, _IS_HELD).exists()
    statement = select(_PLAN.c.id).where(
        among(_PLAN.c.id, "ids", connection.dialect.name), _PLAN.c.kind == "quantities", ~held
    )
    return list(connection.execute(statement, {"ids": values(connection, sorted(ids))}).scalars())


def forget_plan(connection: Connection, before: datetime) -> int:
    """Takes away the oldest plan that was decided before then and holds nothing any more; returns how many: 0 or 1."""
    held = select(_HELD.c.plan).where(_HELD.c.plan == _PLAN.c.id, _IS_HELD).exists()
    old = select(_PLAN.c.id).where(_PLAN.c.decided_at < before, _PLAN.c.state != "open", ~held)
    name = connection.execute(old.order_by(_PLAN.c.decided_at).limit(1)).scalar()
    if name is None:
        return 0
    marks = list(connection.execute(select(_HELD.c.mark).where(_HELD.c.plan == name).distinct()).scalars())
    connection.execute(delete(_HELD).where(_HELD.c.plan == name))
    connection.execute(delete(_PLAN).where(_PLAN.c.id == name))
    shared = select(_HELD.c.mark).where(_HELD.c.mark == _MARKED.c.mark).exists()
    connection.execute(delete(_MARKED).where(_MARKED.c.mark.in_(marks), ~shared))
    return 1
