"""Units on their way: expected under a reference, closed by what is received under it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sqlalchemy import Connection

from channelsync.domain.quantities import PositionKey
from channelsync.store import incoming, keys, runs
from channelsync.store.incoming import Incoming
from channelsync.store.runs import Change
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Place, Refused, StockChanged, once, whole_units

INCOMING = "incoming"
"""The kind of a `Change` of units on their way. subject: item, location and reference, one a line; before, after:
None where there were none, else {"units", "due"}."""


def expect(
    connection: Connection, setup: Setup, by: By, place: Place, units: int, *, reference: str, due: date | None = None
) -> StockChanged:
    """Says how many units are on their way under a reference, all in all; 0: none any more.

    The same reference again replaces what was said of it. Pre-orders may count the units; nothing is on hand yet.
    """
    whole_units(units, f"{place} expects", least=0)
    if not reference:
        raise Refused(f"{place}: units on their way need a reference, such as the number of the purchase order.")
    repeated = once(connection, by, f"expect {units} of {place} under {reference} due {due}", [place.key])
    if repeated is not None:
        return repeated
    save(connection, setup, by, Incoming(position=place.key, reference=reference, units=units, due=due))
    return StockChanged()


def close_incoming(
    connection: Connection, setup: Setup, by: By, place: Place, reference: str, units: int, *, complete: bool
) -> None:
    """Takes received units off those on their way. complete: nothing more comes. Raises Refused: none were."""
    expected = incoming.find_incoming(connection, place.key, reference)
    if expected is None:
        known = ", ".join(incoming.references_of(connection, place.key)) or "nothing"
        raise Refused(
            f"{place}: nothing is on its way under {reference}, but under: {known}. Correct the reference, or leave "
            "it out; nothing was changed."
        )
    left = 0 if complete else max(0, expected.units - units)
    save(connection, setup, by, replace(expected, units=left))


def save(connection: Connection, setup: Setup, by: By, wanted: Incoming) -> None:
    """Writes what is on its way under a reference, remembers what was said before, and has its numbers looked at."""
    before = incoming.find_incoming(connection, wanted.position, wanted.reference)
    if _plain(before) == _plain(wanted):
        return
    incoming.save_incoming(connection, wanted, by.run)
    keys.mark_due(connection, setup.shown_by(wanted.position.item), by.now)
    runs.record_change(
        connection,
        Change(
            run=by.run,
            kind=INCOMING,
            subject="\n".join((*wanted.position, wanted.reference)),
            before=_plain(before),
            after=_plain(wanted),
            at=by.now,
        ),
    )


def restore(connection: Connection, setup: Setup, by: By, change: Change) -> bool:
    """Says again what was said of units on their way before a change; False where it was changed since."""
    item, location, reference = change.subject.split("\n")
    position = PositionKey(item, location)
    if _plain(incoming.find_incoming(connection, position, reference)) != change.after:
        return False
    told = change.before or {"units": 0, "due": None}
    due = date.fromisoformat(told["due"]) if told["due"] else None
    save(connection, setup, by, Incoming(position=position, reference=reference, units=told["units"], due=due))
    return True


def _plain(known: Incoming | None) -> dict[str, object] | None:
    if known is None or known.units == 0:
        return None
    return {"units": known.units, "due": known.due.isoformat() if known.due else None}
