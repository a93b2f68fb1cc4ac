"""From a configuration to an agent that can work: database, items, rules, channels. Read it top to bottom."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import classes_of, locations_by_priority, recipes_of, rules_of
from channelsync.runtime.config_models import ChannelConfig, Config
from channelsync.sdk.clock import Clock, SystemClock
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.store import items, rules, runs
from channelsync.store.database import open_database
from channelsync.store.items import Item
from channelsync.store.migrations import check_schema
from channelsync.sync.agent import Agent
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.setup import ChannelSetup, Setup


@asynccontextmanager
async def open_agent(
    loaded: Loaded,
    command: str,
    *,
    actor: str = "user",
    channels: Collection[str] | None = None,
    clock: Clock | None = None,
    catalogue: Catalogue | None = None,
) -> AsyncIterator[Agent]:
    """An agent on the configured database, with these channels open; None: all that are not off.

    command, actor: what the run's ledger entries and changes will name. Raises DatabaseError (a schema that is not
    this version's, an address that cannot be reached) and ConnectorProblem.
    """
    clock = clock or SystemClock()
    catalogue = catalogue or installed()
    config = loaded.config
    run = new_run_id(clock.now())
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(config.database.url))
        await check_schema(database)
        now = clock.now()
        setup = await database.transact(lambda c: _begin(c, loaded, catalogue, run, command, actor, now))
        measures = await database.query(lambda c: measure(c, setup, now))
        agent = Agent(database=database, clock=clock, setup=setup, run=run, measures=measures)
        for channel in config.channels:
            wanted = channel.mode != "off" if channels is None else channel.name in channels
            if wanted:
                agent.channels[channel.name] = await stack.enter_async_context(
                    open_channel(
                        setup.channels[channel.name],
                        catalogue.connector(channel.connector),
                        channel.settings,
                        database=database,
                        clock=clock,
                        rng=random.Random(secrets.randbits(64)),  # noqa: S311 - spreads retries, guards nothing
                    )
                )
        yield agent
        ended = clock.now()
        await database.transact(lambda c: runs.end_run(c, run, "done", ended))


def new_run_id(now: datetime) -> str:
    """The id of a run: its time, readable, and enough chance that two never meet."""
    return f"r-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def database_file(config: Config) -> Path | None:
    """The SQLite file that the publisher's lock belongs to; None on PostgreSQL."""
    return Path(config.database.url.removeprefix("sqlite:///")) if config.database.url.startswith("sqlite:") else None


def _begin(
    connection: Connection,
    loaded: Loaded,
    catalogue: Catalogue,
    run: str,
    command: str,
    actor: str,
    now: datetime,
) -> Setup:
    runs.begin_run(connection, run, command, actor, {}, now)
    return setup_of(connection, loaded, catalogue, now)


def setup_of(connection: Connection, loaded: Loaded, catalogue: Catalogue, now: datetime) -> Setup:
    """The seller as the use cases know it. SKUs that the configuration names become items when they are none yet."""
    config = loaded.config
    item_of = _items_named(connection, config, now)
    skus = classes_of(config)
    return Setup(
        channels={one.name: _channel(one, config, catalogue) for one in config.channels},
        locations=locations_by_priority(config),
        rules=(*rules_of(config, loaded.origins, item_of), *rules.stored_rules(connection)),
        recipes=recipes_of(config, item_of),
        classes={item_of(sku): name for sku, name in skus.items()},
    )


def _channel(channel: ChannelConfig, config: Config, catalogue: Catalogue) -> ChannelSetup:
    schedule = config.schedule
    return ChannelSetup(
        name=channel.name,
        capabilities=catalogue.connector(channel.connector).capabilities(channel.settings),
        locations=channel.locations or locations_by_priority(config),
        remotes=channel.remotes,
        mode=channel.mode,
        drift=channel.drift,
        poll=schedule.order_poll,
        tick=schedule.publish_tick,
        sweep=schedule.quantity_sweep,
        listings=schedule.listing_pull,
        hot_reads=config.limits.hot_read_share > 0,
        read_share=config.limits.hot_read_share,
    )


def _items_named(connection: Connection, config: Config, now: datetime) -> Callable[[str], str]:
    """Looks items up by the SKUs that the configuration names; unknown ones are added."""
    named = {one.sku for one in config.bundles} | {part.sku for one in config.bundles for part in one.parts}
    named |= {rule.sku for rule in config.rules if rule.sku is not None} | set(classes_of(config))
    known = items.items_by_sku(connection, named)
    new = [Item(id=items.item_id(sku), sku=sku) for sku in sorted(named - known.keys())]
    items.add_items(connection, new, now)
    ids: Mapping[str, str] = {sku: item.id for sku, item in known.items()} | {item.sku: item.id for item in new}
    return ids.__getitem__


def worker_name(run: str) -> str:
    """The name by which this process holds leases."""
    return entry_id("worker", run)[:12]
