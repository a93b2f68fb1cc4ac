"""Findings of positions that promise more than is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import findings, items


def available_as_said(positions: Mapping[PositionKey, Position]) -> dict[PositionKey, int]:
    """What is available, 0 of items of which nobody has said how many units there are: nothing is known to be oversold.

    positions: all of their items.
    """
    stated = _stated(positions)
    return {key: position.available if key.item in stated else 0 for key, position in positions.items()}


def _stated(positions: Mapping[PositionKey, Position]) -> set[str]:
    return {key.item for key, position in positions.items() if position.stated_by}


def report_oversold(
    connection: Connection,
    before: Mapping[PositionKey, int],
    positions: Mapping[PositionKey, Position],
    now: datetime,
) -> None:
    """Opens a finding for every position that went below 0, and closes it where it came back.

    before: as `available_as_said` told it. positions: as they are now, all of their items.
    """
    now_available = available_as_said(positions)
    fell = [key for key, available in now_available.items() if available < 0 <= before.get(key, 0)]
    rose = [key for key, available in now_available.items() if before.get(key, 0) < 0 <= available]
    skus = {name: item.sku for name, item in items.items_by_id(connection, {key.item for key in fell}).items()}
    opened = [
        Finding(
            kind=FindingKind.OVERSOLD,
            subject=key,
            item=key.item,
            summary=f"{skus[key.item]} at {key.location}: {-positions[key].available} units more are promised than are "
            "there. Every channel is lowered to 0, unless a plan holds it; receive units, or cancel orders.",
            evidence={"location": key.location, "available": positions[key].available},
        )
        for key in fell
    ]
    findings.open_findings(connection, opened, now)
    closed = [fingerprint(FindingKind.OVERSOLD, *key) for key in rose]
    findings.close_findings(connection, closed, "available is 0 or more again", now)
