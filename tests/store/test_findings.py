"""Findings as the store has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind
from channelsync.store import findings
from channelsync.store.database import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def drift(key: int, at: datetime) -> Finding:
    return Finding(kind=FindingKind.DRIFT, subject=(str(key), at.isoformat()), channel="shop", summary="")


async def test_the_last_time_that_a_problem_was_found_is_known_however_many_others_there_are(
    database: Database,
) -> None:
    def unit(connection: Connection) -> None:
        findings.open_findings(connection, [drift(1, NOON)], NOON)
        later = NOON + timedelta(hours=1)
        findings.open_findings(connection, [drift(key, later) for key in range(10, 1_510)], later)
        findings.close_findings(connection, [drift(1, NOON).fingerprint], "it is over", later)

    await database.transact(unit)
    assert await database.query(lambda c: findings.last_opened(c, FindingKind.DRIFT, "1")) == NOON
    assert await database.query(lambda c: findings.last_opened(c, FindingKind.DRIFT, "11")) == NOON + timedelta(hours=1)
    assert await database.query(lambda c: findings.last_opened(c, FindingKind.DRIFT, "2")) is None
