"""Opening a configured channel: its budget and breaker as they were left, and the connector's own connection."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import httpx
from pydantic import BaseModel
from sqlalchemy import Connection

from channelsync.sdk.breaker import Breaker, BreakerState
from channelsync.sdk.channel import Connector
from channelsync.sdk.clock import Clock
from channelsync.sdk.limiter import BucketState, Limiter
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import Vault
from channelsync.store import channels
from channelsync.store.codec import dump, load
from channelsync.store.database import Database
from channelsync.sync.agent import OpenChannel
from channelsync.sync.memory import StoredMemory
from channelsync.sync.setup import ChannelSetup
from channelsync.sync.vault import Safe


@asynccontextmanager
async def open_channel(
    setup: ChannelSetup,
    connector: Connector,
    settings: BaseModel,
    *,
    database: Database,
    clock: Clock,
    rng: random.Random,
    transport: httpx.AsyncBaseTransport | None = None,
    vault: Vault | None = None,
) -> AsyncIterator[OpenChannel]:
    """One channel for as long as the block lasts. settings: filled, see `vault.filled`. rng draws the jitter of
    retries. transport None: the network. vault None: the channel's own in the database, which has no key.

    A restart goes on with the day's quota and the breaker that the last process left.
    """
    state = await database.transact(lambda c: channels.channel_state(c, setup.name))
    limiter = Limiter(connector.budgets(settings), clock, state=_buckets(load(state.budgets)))
    breaker = Breaker(setup.name, clock, state=_breaker(load(state.breaker)))
    resources = Resources(
        vault=vault or Safe(database=database, clock=clock).vault(setup.name),
        memory=StoredMemory(database, clock, setup.name),
        channel=setup.name,
        clock=clock,
        random=rng,
        limiter=limiter,
        breaker=breaker,
        transport=transport,
    )
    async with connector.open(settings, resources) as channel:
        opened = OpenChannel(
            setup=setup,
            channel=channel,
            limiter=limiter,
            breaker=breaker,
            identity=state.identity,
            connected_at=state.connected_at,
            unreadable=state.unreadable_since is not None,
        )
        try:
            yield opened
        finally:
            await save_budgets(database, opened)


async def save_budgets(database: Database, *opened: OpenChannel) -> None:
    """Stores how much of each channel's budget is spent and how its breaker stands, for the next process.

    A breaker that was opened before the account was connected anew is not stored: what it knows is of the past.
    """
    rows = [
        (
            channel,
            dump({name: asdict(state) for name, state in channel.limiter.state().items()}),
            dump(asdict(channel.breaker.state)),
        )
        for channel in sorted(opened, key=lambda one: one.name)
    ]

    def unit(connection: Connection) -> None:
        for channel, budgets, breaker in rows:
            fields: dict[str, object] = {"budgets": budgets}
            if channels.channel_state(connection, channel.name).connected_at == channel.connected_at:
                fields["breaker"] = breaker
            channels.save_channel(connection, channel.name, **fields)

    if rows:
        await database.transact(unit)


def account_connected(connection: Connection, channel: str, now: datetime) -> None:
    """The account was connected anew: old failures are forgotten, and whoever has it open opens it anew."""
    channels.save_channel(connection, channel, connected_at=now, breaker=b"")


def _buckets(stored: dict[str, Any] | None) -> dict[str, BucketState]:
    return {
        name: BucketState(
            level=raw["level"],
            at=datetime.fromisoformat(raw["at"]),
            per_second=raw["per_second"],
            used_today=raw["used_today"],
            resets_at=datetime.fromisoformat(raw["resets_at"]),
            penalised_until=_time(raw["penalised_until"]),
        )
        for name, raw in (stored or {}).items()
    }


def _breaker(stored: dict[str, Any] | None) -> BreakerState | None:
    return None if stored is None else BreakerState(**{**stored, "retry_at": _time(stored["retry_at"])})


def _time(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)
