"""Findings of positions that promise more than is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import findings, items


def report_oversold(
    connection: Connection,
    before: Mapping[PositionKey, int],
    positions: Mapping[PositionKey, Position],
    now: datetime,
) -> None:
    """Opens a finding for every position that went below 0, and closes it where it came back."""
    fell = [key for key, position in positions.items() if position.available < 0 <= before.get(key, 0)]
    rose = [key for key, position in positions.items() if before.get(key, 0) < 0 <= position.available]
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
