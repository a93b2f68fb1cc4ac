"""A burst of webhooks at a whole daemon, which follows them: how soon it answers, and when nothing waits any more."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import Connection, func, select

from benchmarks.daemons import open_seller, over
from benchmarks.receiver_events import CHANNEL, SECRET, p99_milliseconds, send, signed_events
from channelsync.lab.figures import Figure
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.store.tables import metadata

SKUS = 100
RULES = MarketplaceRules(idempotency_keys=True, latency=(0.05, 0.05))
_INBOX, _HINT = metadata.tables["inbox"], metadata.tables["order_hint"]


async def backlog(there: Path, connections: int, many: int, seconds: int) -> AsyncIterator[Figure]:
    """Of so many events in so many seconds, each about an order that the marketplace has to be asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    url, settings = f"sqlite:///{there}/backlog.db", {"webhook_secrets": [SECRET]}
    opened = open_seller(there, url, {CHANNEL: RULES}, SKUS, lambda *_: None, listen=listen, settings=settings)
    async with opened as seller:
        process = seller.start()
        try:
            await seller.until(seller.at_rest)
            answers = await send(f"http://{listen}", signed_events(0, many), connections, per_second=many / seconds)
            over_at = time.perf_counter()

            async def drained() -> bool:
                return await seller.database.query(_waiting) == 0

            await seller.until(drained, every=0.1)
            drained_after = time.perf_counter() - over_at
        finally:
            over(process)
    said = f"{many:,} events in {seconds} s at a daemon that follows them, SQLite"
    yield Figure(
        name="receiver_daemon_answered", value=len(answers.seconds) - answers.others, unit="events", aim=f"= {many}"
    )
    yield Figure(name="receiver_daemon_p99", value=p99_milliseconds(answers), unit=f"ms, {said}", aim="<= 1000")
    yield Figure(
        name="receiver_daemon_drained",
        value=round(drained_after, 1),
        unit="s after the last of them until all are followed and every order is read",
    )


def _waiting(connection: Connection) -> int:
    """Deliveries that nobody followed yet, and orders that are named and not read."""
    new = connection.execute(select(func.count()).where(_INBOX.c.state == "new")).scalar_one()
    return int(new + connection.execute(select(func.count()).select_from(_HINT)).scalar_one())
