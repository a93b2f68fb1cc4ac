"""The finding that a part of a channel waits for its seller: opened by whoever met it, closed when the part works."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.store import findings


def waits_for_seller(connection: Connection, channel: str, part: str, summary: str, now: datetime) -> None:
    """Opens it. part: which of the channel's, e.g. `numbers`; each has one finding. summary: what does not work,
    and what the seller does."""
    finding = Finding(kind=FindingKind.NEEDS_SELLER, subject=(channel, part), channel=channel, summary=summary)
    findings.open_findings(connection, [finding], now)


def works_again(connection: Connection, channel: str, part: str, why: str, now: datetime) -> None:
    """Closes it, where it is open."""
    findings.close_findings(connection, [fingerprint(FindingKind.NEEDS_SELLER, channel, part)], why, now)
