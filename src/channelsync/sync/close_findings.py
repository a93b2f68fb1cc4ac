"""Findings closed by hand, because somebody has settled what they are about."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from channelsync.store import findings, runs
from channelsync.store.findings import StoredFinding
from channelsync.store.runs import Change
from channelsync.sync.stock import By, Refused

CLOSED_BY_HAND = "finding"
"""The kind of a `Change` that closes a finding by hand. subject: its number. before: None. after: {"why"}."""


def close_by_hand(connection: Connection, by: By, numbers: Sequence[int], why: str) -> list[StoredFinding]:
    """Closes these findings, all of them or none; returns those that were open. Raises Refused: one is not there."""
    found = findings.get_findings(connection, numbers)
    unknown = [str(number) for number in numbers if number not in found]
    if unknown:
        raise Refused(f"there is no finding {', '.join(unknown)}; nothing was closed")
    wanted = [one for one in found.values() if one.closed_at is None]
    findings.close_findings(connection, [one.fingerprint for one in wanted], why, by.now)
    for one in wanted:
        change = Change(
            run=by.run, kind=CLOSED_BY_HAND, subject=str(one.id), before=None, after={"why": why}, at=by.now
        )
        runs.record_change(connection, change)
    return wanted
