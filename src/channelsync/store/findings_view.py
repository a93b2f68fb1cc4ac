"""Findings looked at, with the SKUs of their items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.store import items
from channelsync.store.findings import StoredFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingOnView:
    """A finding as it is shown. sku: of its item; empty where it is about none. closed_at None: it is open."""

    id: int
    kind: str
    channel: str
    sku: str
    summary: str
    evidence: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str


def view_findings(connection: Connection, found: Iterable[StoredFinding]) -> list[FindingOnView]:
    """Findings as they are shown, in the same order."""
    wanted = list(found)
    skus = {name: item.sku for name, item in items.items_by_id(connection, {one.item for one in wanted}).items()}
    return [
        FindingOnView(
            id=one.id,
            kind=one.kind,
            channel=one.channel,
            sku=skus.get(one.item, one.item),
            summary=one.summary,
            evidence=one.evidence,
            opened_at=one.opened_at,
            closed_at=one.closed_at,
            closed_why=one.closed_why,
        )
        for one in wanted
    ]
