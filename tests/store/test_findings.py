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


async def test_a_problem_that_is_reported_again_says_what_it_says_now_and_stays_opened_when_it_was(
    database: Database,
) -> None:
    later = NOON + timedelta(hours=1)

    def reported(summary: str) -> list[Finding]:
        problem = Finding(kind=FindingKind.DRIFT, subject=("1",), summary=summary, evidence={"told": summary})
        return [Finding(kind=FindingKind.DRIFT, subject=("2",), summary="another"), problem]

    def unit(connection: Connection) -> None:
        findings.open_findings(connection, reported("first"), NOON)
        findings.open_findings(connection, reported("second"), later)

    await database.transact(unit)
    another, found = sorted(await database.query(findings.list_findings), key=lambda one: one.fingerprint, reverse=True)
    assert (found.summary, found.evidence, found.opened_at) == ("second", {"told": "second"}, NOON)
    assert another.summary == "another"


async def test_what_is_made_current_is_open_already_and_opens_nothing(database: Database) -> None:
    one = Finding(kind=FindingKind.DRIFT, subject=("1",), summary="now")

    def unit(connection: Connection) -> None:
        findings.make_current(connection, [one])
        findings.open_findings(connection, [Finding(kind=FindingKind.DRIFT, subject=("2",), summary="then")], NOON)
        findings.close_findings(connection, ["drift|2"], "it is over", NOON)
        findings.make_current(connection, [Finding(kind=FindingKind.DRIFT, subject=("2",), summary="now")])

    await database.transact(unit)
    (closed,) = await database.query(lambda c: findings.list_findings(c, only_open=False))
    assert closed.summary == "then"
