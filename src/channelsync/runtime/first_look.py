"""What a daemon does before it publishes anything: it must not take for granted that it was never away."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog
from sqlalchemy import Connection

from channelsync.store import place
from channelsync.sync.agent import Agent
from channelsync.sync.catch_up import mark_restored
from channelsync.sync.review import Review, review_configuration

log = structlog.get_logger(__name__)


async def look_before_publishing(agent: Agent, file: Path | None) -> None:
    """Raises wait from now on until orders were read; what another configuration would move too much of is held.

    file: of the SQLite database; None on PostgreSQL. A database that was put back from a copy is treated as restored.
    """
    now = agent.clock.now()
    agent.setup = replace(agent.setup, orders_since=now)
    mark = None if file is None else place.mark_of(file)

    def restored(connection: Connection) -> list[str]:
        moved = place.was_moved(connection) if mark is None else place.older_than(connection, mark)
        return mark_restored(connection, now) if moved else []

    names = await agent.database.transact(restored)
    if names:
        log.warning("database.restored", channels=", ".join(names), reason="it is older than the last daemon")
    if mark is not None:
        with suppress(OSError):  # a folder that nothing can be written to: then nothing is noticed
            place.remember_run(mark, agent.run, now)
    asked = Review(run=agent.run, now=now)
    held = await agent.database.transact(lambda c: review_configuration(c, agent.setup, agent.measures, asked))
    for plan in held:
        log.warning("config.held", channel=plan.channel, plan=plan.id, reasons="; ".join(plan.reasons))
