"""Taking over: an order whose sale a read had already shown takes the place of the provisional reservation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.effects import Effect
from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, entry_id
from channelsync.domain.provisional import Provisional, take_over
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.watermark import Timing, relation
from channelsync.store import keys, ledger, provisionals
from channelsync.store.keys import KeyRecord


def take_over_contained(
    connection: Connection,
    channel: str,
    effects: Sequence[Effect],
    timing: Timing,
    positions: dict[PositionKey, Position],
    *,
    now: datetime,
    run: str,
) -> tuple[list[tuple[Effect, str]], list[LedgerEntry]]:
    """Lets new effects that the watermark already contains end the provisional reservations they explain.

    positions: locked by the caller, changed in place. Returns every effect with how it is settled ("" where that
    cannot be told yet, or where it took nothing over: it may explain a rise, or late what is held) and the ledger
    entries written.
    """
    held = provisionals.open_provisionals(connection, {e.key for e in effects if e.delta < 0})
    if not held:
        return [(effect, "") for effect in effects], []
    states = keys.load_keys(connection, held)
    contained = {
        effect.id
        for effect in effects
        if effect.key in states
        and (watermark := states[effect.key].state.watermark) is not None
        and relation(effect, watermark, timing) == "in"
    }
    entries, took = end_taken_over(
        connection,
        channel,
        [e for e in effects if e.id in contained],
        [row for rows in held.values() for row in rows],
        positions,
        now=now,
        run=run,
    )
    return [(effect, "contained" if effect.id in took else "") for effect in effects], entries


def end_taken_over(
    connection: Connection,
    channel: str,
    contained: Sequence[Effect],
    held: Sequence[Provisional],
    positions: dict[PositionKey, Position],
    *,
    now: datetime,
    run: str,
) -> tuple[list[LedgerEntry], set[str]]:
    """Ends the provisional units that these effects explain; their orders have reserved the units themselves.

    Returns the ledger entries written, and the ids of the effects that took units over.
    """
    orders = {effect.id: effect.order for effect in contained}
    rows = {row.id: row for row in held}
    movements: list[Movement] = []
    ended: dict[str, tuple[int, str]] = {}
    took: list[str] = []
    for taken in take_over(contained, held):
        took.append(taken.effect)
        cause = order_came(channel, orders[taken.effect], run)
        movements += end_movements(rows[taken.row], taken.units, EntryKind.TAKE_OVER, cause, taken.effect, now)
        before = ended.get(taken.row, (0, ""))[0]
        ended[taken.row] = (before + taken.units, f"order {orders[taken.effect]}")
    missing = {m.position.item for m in movements} - {key.item for key in positions}
    positions |= ledger.lock_positions(connection, missing)
    provisionals.close_units(connection, ended, now)
    return ledger.write(connection, movements, positions, now), set(took)


def order_came(channel: str, order: str, run: str) -> Cause:
    """Why units end that an order takes over."""
    reason = "the order that explains the drop was booked"
    return Cause(actor=f"order:{channel}", run=run, reason=reason, channel=channel, order=order)


def end_movements(
    row: Provisional, units: int, kind: EntryKind, cause: Cause, tag: str, now: datetime
) -> list[Movement]:
    """The movements that end units of a provisional reservation. tag: what ended them; part of the entries' ids."""
    return [
        Movement(
            id=entry_id(row.id, kind, item, tag),
            position=PositionKey(item, row.location),
            kind=kind,
            reserved=-units * each,
            at=now,
            cause=cause,
            reservation=entry_id(row.id, item),
        )
        for item, each in row.takes
    ]


def begin_movement(row: Provisional, record: KeyRecord, item: str, each: int, now: datetime, run: str) -> Movement:
    """The movement that reserves an item's units of a provisional row. each: units of it in one of the listing."""
    fewer = f"{record.channel} shows {row.units} fewer of listing {record.listing} than booked orders explain"
    return Movement(
        id=entry_id(row.id, EntryKind.PROVISIONAL, item),
        position=PositionKey(item, row.location),
        kind=EntryKind.PROVISIONAL,
        reserved=row.units * each,
        at=now,
        cause=Cause(
            actor=f"read:{record.channel}",
            run=run,
            reason=f"{record.channel} holds {row.units} of listing {record.listing}" if row.named else fewer,
            channel=record.channel,
        ),
        reservation=entry_id(row.id, item),
    )
