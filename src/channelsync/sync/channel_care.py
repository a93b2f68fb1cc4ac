"""What is looked after at a channel's account: that its credentials live, and that it tells us what happens there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.subscriptions import Repair, Subscribes, repair_of
from channelsync.store import findings
from channelsync.sync.accounts import refuse_another
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.check_channels import BackFill, back_fill, mend_webhooks, webhook_points
from channelsync.sync.needs_seller import waits_for_seller, works_again


async def check_account(agent: Agent, name: str) -> str:
    """Asks the channel whose account it is: tokens that die when they are not used live on, and revoked ones are found.

    Where the seller must act, the channel's breaker refuses all further calls by itself until the account is connected
    anew; here that becomes a finding. Raises what the channel raises, and ChannelMisbehaved for another account.
    """
    channel = agent.channels[name]
    try:
        found = await channel.channel.check()
    except NeedsSeller as error:
        summary = f"{name} is not called any more until you have acted: {error.what_to_do}"
        await agent.database.transact(lambda c: waits_for_seller(c, name, "account", summary, agent.clock.now()))
        raise
    now = agent.clock.now()
    await agent.database.transact(lambda c: works_again(c, name, "account", "the credentials are good", now))
    refuse_another(channel, found)
    return f"the credentials of {found.title or found.name} are good"


async def check_webhooks(agent: Agent, name: str, address: str) -> str:
    """Registers what is missing, switches on what is off, ends what is doubled; then reads what was not told of.

    address: where the channel's deliveries go. Only subscriptions to that very address are ours to change; what
    cannot be mended by itself, or goes elsewhere, is a finding. Nothing is changed while the channel is only observed.
    Raises what the channel raises.
    """
    channel = agent.channels[name]
    found = channel.channel
    if not isinstance(found, Subscribes) or not found.topics:
        return "this account sends no webhooks that could be registered"
    repair = repair_of(found.topics, await found.subscriptions(), address)
    mended: Repair | None = None
    if repair.needed and not channel.setup.only_observe and channel.setup.mode == "live":
        mended = await mend_webhooks(channel, address)
    filled = await back_fill(agent, channel) if mended is not None and (mended.missing or mended.off) else None
    points = webhook_points(name, found.topics, await found.subscriptions(), address)
    left = [point for point in points if not point.fine]
    await agent.database.transact(lambda c: _find_webhooks(c, agent, channel, left))
    return _told(mended, filled, left, len(found.topics))


def _told(mended: Repair | None, filled: BackFill | None, left: Sequence[CheckPoint], topics: int) -> str:
    told = []
    if mended is not None:
        verbs = (("registered", mended.missing), ("switched on", [one.topic for one in mended.off]))
        told += [f"{verb} {', '.join(names)}" for verb, names in verbs if names]
        told += [f"ended {len(mended.doubled)} doubled"] if mended.doubled else []
    if filled is not None and filled.since is not None:
        told.append(f"{filled.orders} orders since {filled.since} are read anew")
    told += [point.found for point in left]
    return "; ".join(told) or f"all {topics} topics are told to us"


def _find_webhooks(connection: Connection, agent: Agent, channel: OpenChannel, left: Sequence[CheckPoint]) -> None:
    now = agent.clock.now()
    if not left:
        closed = [fingerprint(FindingKind.WEBHOOKS, channel.name, "subscriptions")]
        findings.close_findings(connection, closed, "all topics are told to us", now)
        return
    summary = " ".join(f"{point.found}. {point.advice}" for point in left)
    found = Finding(
        kind=FindingKind.WEBHOOKS,
        subject=(channel.name, "subscriptions"),
        channel=channel.name,
        summary=f"Webhooks of {channel.name}: {summary} Orders are found by polling meanwhile.",
    )
    findings.open_findings(connection, [found], now)
