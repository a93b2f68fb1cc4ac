"""Quantity keys: what publishing knows of each number that a channel keeps, loaded and saved as one state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    case,
    literal_column,
    or_,
    select,
    update,
)

from channelsync.domain.effects import Effect
from channelsync.domain.rises import Rise
from channelsync.domain.watermark import KeyState, Read, Write
from channelsync.store.among import among, values
from channelsync.store.codec import load_risen
from channelsync.store.prepared import fetch, run
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata
from channelsync.store.together import Change, Into, Rows
from channelsync.store.upsert import insert_ignoring

_KEY = metadata.tables["quantity_key"]
_EFFECT = metadata.tables["effect"]
_WRITE = metadata.tables["quantity_write"]
_READ = metadata.tables["quantity_read"]

NO_RISE: Final = {"rise": 0, "rise_from": None, "rise_to": None, "risen": "", "repairs": 0}
"""Columns of a key of which no rise is known any more."""

# The empty text is part of the statement, so that the index of just these rows is used; see `provisionals.HOLDING`.
UNSETTLED = _EFFECT.c.settled.in_([literal_column("''"), literal_column("'shown'")])


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One quantity key as stored. Units are the key's. See `QuantityKeyRow` for the fields."""

    id: int
    identity: str
    key: str
    remote: str
    channel: str
    listing: str
    page: str
    item: str | None
    multiple: int
    ours: bool
    sells_below_zero: bool
    state: KeyState
    committed: int | None
    target: int | None
    generation: int
    rise: int
    rise_from: datetime | None
    rise_to: datetime | None
    risen: tuple[Rise, ...]
    repairs: int
    held: str
    disputed: int
    channel_held: int
    due_at: datetime | None
    urgency: int
    read_at: datetime | None
    read_wanted: bool
    hot: bool
    failures: int
    not_before: datetime | None
    unreadable: str = ""


def load_keys(connection: Connection, ids: Iterable[int], *, lock: bool = False) -> dict[int, KeyRecord]:
    """These keys with their open effects and unconfirmed writes. lock: hold the rows until the transaction ends."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    listed = {"ids": values(connection, wanted)}
    rows = fetch(connection, _select_keys(connection.dialect.name, lock), listed)
    effects = _effects(connection, listed)
    writes = _writes(connection, listed)
    return {row.id: _record(row, effects.get(row.id, _NO_EFFECTS), writes.get(row.id, ())) for row in rows}


def lock_keys(connection: Connection, ids: Iterable[int]) -> None:
    """Holds these keys until the transaction ends; what is read of anything afterwards is newer than their last change.

    SQLite has one writer, who holds everything.
    """
    _lock(connection, "id", sorted(set(ids)))


def _lock(connection: Connection, column: Literal["id", "item"], wanted: Sequence[str] | Sequence[int]) -> None:
    if wanted and connection.dialect.name == "postgresql":
        listed = {"wanted": values(connection, wanted)}
        fetch(connection, _select_to_lock(column, connection.dialect.name), listed)


@cache
def _select_to_lock(column: str, dialect: str) -> Select[Any]:
    return select(_KEY.c.id).where(among(_KEY.c[column], "wanted", dialect)).order_by(_KEY.c.id).with_for_update()


@cache
def _select_keys(dialect: str, lock: bool) -> Select[Any]:  # noqa: FBT001 - a cache's key
    statement = select(_KEY).where(among(_KEY.c.id, "ids", dialect)).order_by(_KEY.c.id)
    return statement.with_for_update() if lock else statement


@cache
def _select_effects(dialect: str) -> Select[Any]:
    return (
        select(_EFFECT).where(among(_EFFECT.c.key, "ids", dialect), UNSETTLED).order_by(_EFFECT.c.latest, _EFFECT.c.id)
    )


@cache
def _select_writes(dialect: str) -> Select[Any]:
    return (
        select(_WRITE)
        .where(among(_WRITE.c.key, "ids", dialect), _WRITE.c.closed_at.is_(None))
        .order_by(_WRITE.c.generation)
    )


class _Effects(NamedTuple):
    """The open effects of a key, and the ids of those among them that a read has shown."""

    open: tuple[Effect, ...]
    shown: frozenset[str]


_NO_EFFECTS = _Effects((), frozenset())


def _effects(connection: Connection, listed: dict[str, object]) -> dict[int, _Effects]:
    found = fetch(connection, _select_effects(connection.dialect.name), listed)
    effects: dict[int, _Effects] = {}
    for row in found:
        one = Effect(id=row.id, key=row.key, delta=row.delta, earliest=row.earliest, latest=row.latest, order=row.order)
        before = effects.get(row.key, _NO_EFFECTS)
        shown = before.shown | {row.id} if row.settled else before.shown
        effects[row.key] = _Effects((*before.open, one), shown)
    return effects


def _writes(connection: Connection, listed: dict[str, object]) -> dict[int, tuple[Write, ...]]:
    found = fetch(connection, _select_writes(connection.dialect.name), listed)
    writes: dict[int, tuple[Write, ...]] = {}
    for row in found:
        accepted = row.answered_at if row.outcome == "accepted" else None
        within = None if row.within_s is None else timedelta(seconds=row.within_s)
        one = Write(generation=row.generation, value=row.value, sent=row.sent_at, answered=accepted, within=within)
        writes[row.key] = (*writes.get(row.key, ()), one)
    return writes


def effect_rows(channel: str, effects: Sequence[tuple[Effect, str]], now: datetime) -> Rows:
    """Rows of effects, each with how it is settled ("": that cannot be told yet). One that is known stays as it is."""
    return Into(_EFFECT, ignore=True), [
        {
            "id": effect.id,
            "key": effect.key,
            "channel": channel,
            "order": effect.order,
            "delta": effect.delta,
            "earliest": effect.earliest,
            "latest": effect.latest,
            "booked_at": now,
            "settled": settled,
            "settled_at": now if settled else None,
        }
        for effect, settled in effects
    ]


def settle_effects(connection: Connection, effects: Iterable[tuple[str, str]], now: datetime) -> None:
    """Settles effects: (id, "shown" | "contained" | "arrived")."""
    update_rows(
        connection, _EFFECT, ("id",), [((effect,), {"settled": how, "settled_at": now}) for effect, how in effects]
    )


URGENT: Final = 0
"""Urgency of a key whose number may have to be lowered: it is looked at before all that only rises. Else it is 1."""


def mark_due(
    connection: Connection, items: Iterable[str], now: datetime, *, urgency: int = 1, lowered: Collection[str] = ()
) -> None:
    """Puts every key that shows one of these items on the publisher's agenda.

    lowered: of the items those of which there is less, or less of their parts; their keys are urgent. Keys that are on
    the agenda already for as early and as urgently stay as they are.
    They are locked first: one that a publisher is just taking off the agenda, by what it saw before, goes back on.
    """
    wanted = sorted(set(items))
    if not wanted:
        return
    _lock(connection, "item", wanted)
    urgent = [one for one in wanted if one in lowered]
    for how, these in ((urgency, [one for one in wanted if one not in lowered]), (URGENT, urgent)):
        if these:
            listed = {"items": values(connection, these), "b_now": now}
            run(connection, _mark_due(connection.dialect.name, how), [listed])


def mark_keys_due(connection: Connection, ids: Iterable[int], at: datetime, *, urgency: int = 1) -> None:
    """Puts these keys on the publisher's agenda, for `at`. They are locked first, as `mark_due` does."""
    wanted = sorted(set(ids))
    if wanted:
        _lock(connection, "id", wanted)
        listed = {"ids": values(connection, wanted), "b_now": at}
        run(connection, _mark_keys_due(connection.dialect.name, urgency), [listed])


def due_change(connection: Connection, items: Iterable[str], ids: Iterable[int], now: datetime) -> Change:
    """Puts keys on the agenda, urgently: those that show one of these items, which orders took, and these themselves.

    The caller holds the positions of the items, which a publisher locks before it decides; so no key is locked first.
    """
    shown, themselves = sorted(set(items)), sorted(set(ids))
    listed = {"due_items": values(connection, shown), "due_keys": values(connection, themselves)}
    return _mark_both_due(connection.dialect.name), {**listed, "b_now": now}


@cache
def _mark_both_due(dialect: str) -> Update:
    these = or_(among(_KEY.c.item, "due_items", dialect), among(_KEY.c.id, "due_keys", dialect))
    return update(_KEY).where(these, due_later(URGENT)).values(due_at=bindparam("b_now"), urgency=more_urgent(URGENT))


@cache
def _mark_keys_due(dialect: str, urgency: int) -> Update:
    return (
        update(_KEY)
        .where(among(_KEY.c.id, "ids", dialect), due_later(urgency))
        .values(due_at=bindparam("b_now"), urgency=more_urgent(urgency))
    )


@cache
def _mark_due(dialect: str, urgency: int) -> Update:
    return (
        update(_KEY)
        .where(among(_KEY.c.item, "items", dialect), due_later(urgency))
        .values(due_at=bindparam("b_now"), urgency=more_urgent(urgency))
    )


def due_later(urgency: int) -> ColumnElement[bool]:
    """Keys that are not due at the parameter `b_now` with this urgency: off the agenda, later, or less urgent."""
    return or_(_KEY.c.due_at.is_(None), _KEY.c.due_at > bindparam("b_now"), _KEY.c.urgency > urgency)


def more_urgent(urgency: int) -> ColumnElement[int]:
    """The urgency of a key that is put on the agenda with this one: what it had when it was last on it says nothing."""
    return case((or_(_KEY.c.due_at.is_(None), _KEY.c.urgency > urgency), urgency), else_=_KEY.c.urgency)


def due_keys(connection: Connection, identity: str, now: datetime, limit: int) -> dict[int, int]:
    """The urgency of keys that are due, by their ids; urgent ones first, then the longest waiting."""
    span = {"identity": identity, "now": now, "most": limit}
    return {row.id: row.urgency for row in fetch(connection, _select_due(), span)}


@cache
def _select_due() -> Select[Any]:
    return (
        select(_KEY.c.id, _KEY.c.urgency)
        .where(
            _KEY.c.identity == bindparam("identity"),
            _KEY.c.due_at <= bindparam("now"),
            _KEY.c.ours.is_(True),
        )
        .order_by(_KEY.c.urgency, _KEY.c.due_at, _KEY.c.id)
        .limit(bindparam("most"))
    )


def save_keys(connection: Connection, changes: Mapping[int, Mapping[str, object]]) -> None:
    """Writes columns of many keys' rows."""
    update_rows(connection, _KEY, ("id",), [((key,), fields) for key, fields in changes.items()])


def save_key(connection: Connection, key: int, **fields: object) -> None:
    """Writes single columns of a key's row."""
    save_keys(connection, {key: fields})


def record_read(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Keeps what reads were understood to mean; a read that was kept already stays as it is."""
    if rows:
        run(connection, insert_ignoring(_READ, connection.dialect.name), rows)


def _record(row: Any, effects: _Effects, writes: tuple[Write, ...]) -> KeyRecord:
    known = row.value is not None and row.asked_at is not None
    watermark = Read(row.value, row.asked_at, row.answered_at) if known else None
    return KeyRecord(
        id=row.id,
        identity=row.identity,
        key=row.key,
        remote=row.remote,
        channel=row.channel,
        listing=row.listing,
        page=row.page,
        item=row.item,
        multiple=row.multiple,
        ours=row.ours,
        sells_below_zero=row.sells_below_zero,
        state=KeyState(
            watermark=watermark,
            effects=effects.open,
            writes=writes,
            verified=row.verified,
            confirmed=row.confirmed,
            shown=effects.shown,
        ),
        committed=row.committed,
        target=row.target,
        generation=row.generation,
        rise=row.rise,
        rise_from=row.rise_from,
        rise_to=row.rise_to,
        risen=load_risen(row.risen),
        repairs=row.repairs,
        unreadable=row.unreadable,
        held=row.held,
        disputed=row.disputed,
        channel_held=row.channel_held,
        due_at=row.due_at,
        urgency=row.urgency,
        read_at=row.read_at,
        read_wanted=row.read_wanted,
        hot=row.hot,
        failures=row.failures,
        not_before=row.not_before,
    )


def ids_of(connection: Connection, identity: str, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The row ids of keys by (the channel's key, its remote location); an unknown one is left out."""
    wanted = set(names)
    found = connection.execute(
        select(_KEY.c.id, _KEY.c.key, _KEY.c.remote).where(
            _KEY.c.identity == identity, among(_KEY.c.key, "names", connection.dialect.name)
        ),
        {"names": values(connection, sorted({key for key, _ in wanted}))},
    )
    return {(row.key, row.remote): row.id for row in found if (row.key, row.remote) in wanted}


def without_target(connection: Connection, channel: str, most: int) -> list[int]:
    """Mapped keys of ours on a channel for which there never was a target, at most so many."""
    mapped = select(_KEY.c.id).where(_KEY.c.channel == channel, _KEY.c.ours.is_(True), _KEY.c.item.is_not(None))
    return list(connection.execute(mapped.where(_KEY.c.target.is_(None)).order_by(_KEY.c.id).limit(most)).scalars())


def want_reads(connection: Connection, ids: Iterable[int]) -> None:
    """Something waits for fresh reads of these keys: a raise elsewhere, or what was held for a drop."""
    wanted = sorted(set(ids))
    if wanted:
        run(connection, _want_reads(connection.dialect.name), [{"ids": values(connection, wanted)}])


@cache
def _want_reads(dialect: str) -> Update:
    return update(_KEY).where(among(_KEY.c.id, "ids", dialect)).values(read_wanted=True)
