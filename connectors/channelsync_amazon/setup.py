"""What the account must be set to: the marketplaces that the settings name, those where it sells besides, its queue,
and whether the units that Amazon keeps may be read."""

from __future__ import annotations

from collections.abc import Sequence

from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync_amazon import wire
from channelsync_amazon.client import AmazonClient
from channelsync_amazon.queue import NotificationQueue
from channelsync_amazon.settings import AmazonSettings

NO_SKU = "channelsync-check"
"""Asked for to see whether units at Amazon may be read; nobody has it."""


async def inspected(
    settings: AmazonSettings, client: AmazonClient, queue: NotificationQueue | None
) -> Sequence[CheckPoint]:
    """What can be set wrongly at Amazon, and at AWS where notifications come through a queue."""
    besides = [await _pool(client, pool) for pool in settings.fba_pools]
    besides += [] if queue is None else [await _queue(queue)]
    try:
        told = await client.participations()
    except NeedsSeller as error:
        return [CheckPoint("permissions", "the marketplaces of the account cannot be read", str(error)), *besides]
    return [*_marketplaces(settings.marketplaces, told), *besides]


async def _pool(client: AmazonClient, pool: str) -> CheckPoint:
    """Amazon refuses the call for an account that it ships nothing for, too."""
    try:
        await client.at_amazon(pool, [NO_SKU], None)
    except NeedsSeller as error:
        return CheckPoint("units at Amazon", f"those for {pool} cannot be read", str(error))
    except ChannelMisbehaved as error:
        advice = f"Take {pool} out of fba_pools, unless Amazon keeps units of yours for it: {error}"
        return CheckPoint("units at Amazon", f"those for {pool} cannot be read", advice)
    return CheckPoint("units at Amazon", f"those for {pool} can be read")


async def _queue(queue: NotificationQueue) -> CheckPoint:
    try:
        waiting = await queue.waiting()
    except NeedsSeller as error:
        return CheckPoint("notifications", "the queue cannot be read", str(error))
    return CheckPoint("notifications", f"the queue can be read; about {waiting} messages wait there")


def _marketplaces(named: Sequence[str], told: Sequence[wire.MarketplaceParticipation]) -> list[CheckPoint]:
    """What there is to say of the marketplaces that the settings name, and of others where the seller sells."""
    known = {one.marketplace.id: one for one in told}
    points = []
    for name in named:
        found = known.get(name)
        title = name if found is None else f"{found.marketplace.name or name} ({name})"
        if found is None or not found.participation.is_participating:
            advice = f"Take {name} out of marketplaces, or register the account there; check region too."
            points.append(CheckPoint("marketplaces", f"the account does not sell on {title}", advice))
        elif found.participation.has_suspended_listings:
            advice = f"Seller Central > Account Info > Listing Status: make the listings on {title} active again."
            points.append(CheckPoint("marketplaces", f"all listings on {title} are switched off", advice))
        else:
            points.append(CheckPoint("marketplaces", f"the account sells on {title}"))
    more = [one.marketplace for one in told if one.participation.is_participating and one.marketplace.id not in named]
    if more:
        names = ", ".join(f"{one.name or one.id} ({one.id})" for one in more)
        advice = "Add them to marketplaces, unless nothing of yours is listed there. Their orders are read anyway."
        points.append(CheckPoint("marketplaces", f"the account also sells on {names}", advice))
    return points
