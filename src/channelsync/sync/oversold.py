"""Findings of positions that promise more than is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import findings, items, ledger


def available_as_said(positions: Mapping[PositionKey, Position]) -> dict[PositionKey, int]:
    """What is available, 0 of items of which nobody has said how many units there are: nothing is known to be oversold.

    positions: all of their items.
    """
    stated = _stated(positions)
    return {key: position.available if key.item in stated else 0 for key, position in positions.items()}


def _stated(positions: Mapping[PositionKey, Position]) -> set[str]:
    return {key.item for key, position in positions.items() if position.stated_by}


def short_by(units: int) -> str:
    """How many units are short, in words."""
    if units == 1:
        return "1 unit more is promised than is there"
    return f"{units} units more are promised than are there"


def report_oversold(
    connection: Connection,
    before: Mapping[PositionKey, int],
    positions: Mapping[PositionKey, Position],
    now: datetime,
) -> None:
    """Opens a finding for every position that fell below 0, or further below; makes an open one current where fewer
    units are short; closes it where the position came back.

    One that somebody has closed opens anew where it gets worse, not where it gets better. before: as
    `available_as_said` told it. positions: as they are now, all of their items.
    """
    available = available_as_said(positions)
    fell = {key: units for key, units in available.items() if units < min(0, before.get(key, 0))}
    less = {key: units for key, units in available.items() if before.get(key, 0) < units < 0}
    rose = [key for key, units in available.items() if before.get(key, 0) < 0 <= units]
    found = _found(connection, fell | less)
    findings.open_findings(connection, [one for one in found if one.subject in fell], now)
    findings.make_current(connection, [one for one in found if one.subject in less])
    closed = [fingerprint(FindingKind.OVERSOLD, *key) for key in rose]
    findings.close_findings(connection, closed, "available is 0 or more again", now)


def rename_oversold(connection: Connection, item: str) -> None:
    """Lets open findings of an item say the SKU that it has now."""
    available = available_as_said(ledger.read_positions(connection, [item]))
    findings.make_current(connection, _found(connection, {key: units for key, units in available.items() if units < 0}))


def _found(connection: Connection, short: Mapping[PositionKey, int]) -> list[Finding]:
    """One for each position. short: available, below 0."""
    known = items.items_by_id(connection, {key.item for key in short})
    return [
        Finding(
            kind=FindingKind.OVERSOLD,
            subject=key,
            item=key.item,
            summary=f"{known[key.item].sku} at {key.location}: {short_by(-units)}. Every channel is lowered to 0, "
            "unless a plan holds it; receive units, or cancel orders.",
            evidence={"location": key.location, "available": units},
        )
        for key, units in short.items()
    ]
