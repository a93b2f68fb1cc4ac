"""Order completeness: the channel's order ids of a day against ours; "0 of 412 missing"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.paging import in_batches
from channelsync.store import audits, findings
from channelsync.sync import accounts
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.orders_by_id import IDS_PER_CALL, take_by_id


@dataclass(frozen=True, slots=True)
class Completeness:
    """One day of one channel. missing: ids that we do not have even after asking for them by id."""

    channel: str
    day: date
    theirs: int
    fetched: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.channel} {self.day}: {len(self.missing)} of {self.theirs} missing"


async def audit_day(agent: Agent, channel: OpenChannel, day: date) -> Completeness:
    """Compares a UTC day, books by id what we lack, and records the result. Raises what the channel raises."""
    theirs = {order async for order in channel.channel.order_ids(day)}
    lacking = sorted(theirs - await _known(agent, channel, theirs))
    for some in in_batches(lacking, IDS_PER_CALL):
        await take_by_id(agent, channel, some)
    missing = tuple(sorted(theirs - await _known(agent, channel, theirs)))
    result = Completeness(channel.name, day, len(theirs), len(lacking) - len(missing), missing)
    await agent.database.transact(lambda c: _record(c, agent, result))
    return result


async def _known(agent: Agent, channel: OpenChannel, orders: set[str]) -> set[str]:
    """Of these orders those that we have, whichever channel of the account heard of them."""
    return await agent.database.query(lambda c: audits.known_orders(c, accounts.channels_of(c, channel.setup), orders))


def _record(connection: Connection, agent: Agent, result: Completeness) -> None:
    now = agent.clock.now()
    audits.save_audit(connection, result.channel, result.day, result.theirs, result.missing, now)
    subject = (result.channel, result.day.isoformat())
    if result.missing:
        finding = Finding(
            kind=FindingKind.ORDER_MISSING,
            subject=subject,
            channel=result.channel,
            summary=f"{result}: the channel lists these orders but does not show them when asked: "
            f"{', '.join(result.missing[:5])}. Look at them at the channel.",
            evidence={"missing": list(result.missing)},
        )
        findings.open_findings(connection, [finding], now)
    else:
        closed = [fingerprint(FindingKind.ORDER_MISSING, *subject)]
        findings.close_findings(connection, closed, "all orders of the day are booked", now)
