"""From a configuration to an agent that can work: database, items, rules, channels. Read it top to bottom."""

from __future__ import annotations

import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import classes_of, locations_by_priority, recipes_of, remotes_of, rules_of
from channelsync.runtime.config_guard import limits_of
from channelsync.runtime.config_models import ChannelConfig, Config
from channelsync.sdk.clock import Clock, SystemClock
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.vault import Vault
from channelsync.store import channels as channel_rows
from channelsync.store import items, rules, runs
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import DatabaseError, DatabaseUnavailable
from channelsync.store.items import Item
from channelsync.store.migrations import check_schema
from channelsync.store.publisher_lock import single_publisher_lock
from channelsync.store.scratch import copy_to_scratch
from channelsync.store.sqlite import sqlite_path
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.run_ids import new_run_id
from channelsync.sync.setup import BY_HAND, ChannelSetup, Setup
from channelsync.sync.status import only_observing
from channelsync.sync.switches import mode_now
from channelsync.sync.vault import Safe, Seals, filled
from channelsync.sync.wake_ups import CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run on the configured database that needs no channel: it only writes what it records and what it changes."""

    database: Database
    clock: Clock
    run: str

    async def wake_others(self) -> None:
        """Tells other processes, before the run ends, that there is something to do."""
        await self.database.notify(CHANGED, self.run)


@asynccontextmanager
async def open_run(
    loaded: Loaded,
    command: str,
    *,
    actor: str = "user",
    arguments: Mapping[str, object] | None = None,
    clock: Clock | None = None,
    publisher: bool = False,
) -> AsyncIterator[OpenRun]:
    """One run, from its first row to its outcome; other processes are woken when it ends.

    command, actor, arguments: what its entries and changes will name. publisher: on SQLite it holds the right to
    publish from the file, alone. Raises DatabaseError: a schema that is not this version's, an address that cannot
    be reached, another publisher.
    """
    clock = clock or SystemClock()
    run = new_run_id(clock.now())
    async with AsyncExitStack() as stack:
        url = address_of(loaded.config)
        database = await stack.enter_async_context(open_database(url, worker=worker_name(run)))
        await check_schema(database)
        if publisher:
            stack.enter_context(publisher_lock(loaded.config))
        now = clock.now()
        await database.transact(lambda c: runs.begin_run(c, run, command, actor, arguments or {}, now))
        outcome = "failed"
        try:
            yield OpenRun(database=database, clock=clock, run=run)
            outcome = "done"
        finally:
            ended = clock.now()
            with suppress(DatabaseError):
                await database.transact(lambda c: runs.end_run(c, run, outcome, ended))
                await database.notify(CHANGED, run)


@contextmanager
def publisher_lock(config: Config) -> Iterator[None]:
    """The right to publish from the SQLite file; nothing on PostgreSQL. Raises PublisherRunning."""
    path = database_file(config)
    if path is None:
        yield
    else:
        with single_publisher_lock(path):
            yield


@asynccontextmanager
async def open_agent(
    loaded: Loaded,
    command: str,
    *,
    actor: str = "user",
    channels: Collection[str] | None = None,
    clock: Clock | None = None,
    catalogue: Catalogue | None = None,
    publisher: bool = False,
    only_observe: bool = False,
) -> AsyncIterator[Agent]:
    """An agent on the configured database, with these channels open; None: all that are not off.

    only_observe: it writes to no channel, whatever their modes are. The rest is as for `open_run`. A channel that
    was never checked has no identity yet: see `pull_listings.identify`. Raises DatabaseError and ConnectorProblem.
    """
    catalogue = catalogue or installed()
    async with (
        open_run(loaded, command, actor=actor, clock=clock, publisher=publisher) as run,
        AsyncExitStack() as stack,
    ):
        now = run.clock.now()
        setup = await run.database.transact(
            lambda c: setup_of(c, loaded, catalogue, now=now, only_observe=only_observe)
        )
        measures = await run.database.query(lambda c: measure(c, setup, now))
        agent = Agent(database=run.database, clock=run.clock, setup=setup, run=run.run, measures=measures)
        await open_channels(stack, agent, loaded, catalogue, channels)
        yield agent


@asynccontextmanager
async def open_trial(
    loaded: Loaded,
    *,
    channels: Collection[str] | None = None,
    clock: Clock | None = None,
    catalogue: Catalogue | None = None,
) -> AsyncIterator[Agent]:
    """An agent on a copy of the database that is thrown away: what a dry run does is seen by nobody.

    It may read the channels; whoever uses it must not push. A token that is renewed meanwhile is kept in the database
    itself. Raises DatabaseError and ConnectorProblem.
    """
    clock = clock or SystemClock()
    catalogue = catalogue or installed()
    now = clock.now()
    run = new_run_id(now)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="channelsync-"))
        database = await stack.enter_async_context(open_database(address_of(loaded.config)))
        await check_schema(database)
        setup = await database.query(lambda c: setup_of(c, loaded, catalogue))
        measures = await database.query(lambda c: measure(c, setup, now))
        copied = await copy_to_scratch(database, Path(folder) / "scratch.db")
        scratch = await stack.enter_async_context(open_database(copied))
        await scratch.transact(lambda c: runs.begin_run(c, run, "dry run", "user", {}, now))
        await scratch.transact(lambda c: setup_of(c, loaded, catalogue, now=now))
        agent = Agent(database=scratch, clock=clock, setup=setup, run=run, measures=measures)
        await open_channels(stack, agent, loaded, catalogue, channels, safe=safe_of(loaded, database, clock))
        yield agent


@asynccontextmanager
async def open_reading(loaded: Loaded) -> AsyncIterator[Database]:
    """The configured database for a command that only reads. Raises DatabaseError."""
    async with open_database(address_of(loaded.config)) as database:
        await check_schema(database)
        yield database


async def open_channels(
    stack: AsyncExitStack,
    agent: Agent,
    loaded: Loaded,
    catalogue: Catalogue,
    names: Collection[str] | None,
    *,
    safe: Safe | None = None,
) -> None:
    """Opens these channels for as long as the stack lasts. safe: see `opened_channel`.

    names None: all that are not off; one that waits for its seller holds up no other, `Agent.unopened` has it then.
    """
    states = await agent.database.query(channel_rows.channel_states)
    for channel in loaded.config.channels:
        setup = agent.setup.channels[channel.name]
        wanted = mode_now(setup, states.get(channel.name)) != "off" if names is None else channel.name in names
        if wanted:
            vault = None if safe is None else safe.vault(channel.name)
            opened = opened_channel(agent, loaded, channel, catalogue, vault=vault)
            try:
                agent.add_channel(await stack.enter_async_context(opened))
            except NeedsSeller as error:
                if names is not None:
                    raise
                agent.unopened[channel.name] = str(error)


@asynccontextmanager
async def opened_channel(
    agent: Agent, loaded: Loaded, channel: ChannelConfig, catalogue: Catalogue, *, vault: Vault | None = None
) -> AsyncIterator[OpenChannel]:
    """One configured channel, connected, with its secrets. vault: None means its own in the agent's database.

    Raises NeedsSeller where a secret that its settings take from the vault is not there.
    """
    vault = vault or safe_of(loaded, agent.database, agent.clock).vault(channel.name)
    async with open_channel(
        agent.setup.channels[channel.name],
        catalogue.connector(channel.connector),
        await filled_settings(loaded, channel, vault),
        database=agent.database,
        clock=agent.clock,
        rng=random.Random(secrets.randbits(64)),  # noqa: S311 - spreads retries, guards nothing
        vault=vault,
    ) as opened:
        yield opened


async def filled_settings(loaded: Loaded, channel: ChannelConfig, vault: Vault, *, partly: bool = False) -> BaseModel:
    """A channel's settings with what they take from the vault; see `sync.vault.filled`. Raises NeedsSeller."""
    stored = loaded.stored.get(channel.name)
    return channel.settings if stored is None else await filled(channel.name, stored, vault, partly=partly)


def receiver_of(config: Config, channel: str) -> str | None:
    """The address of a channel's webhook deliveries; None: nothing is known under which the outside reaches us."""
    base = config.web.public_url
    return f"{base}/webhooks/{channel}" if base else None


def safe_of(loaded: Loaded, database: Database, clock: Clock) -> Safe:
    """The vault of all channels: what comes out of it, or goes in, is hidden in logs and messages from then on."""
    seals = Seals(loaded.config.secrets.keys)
    return Safe(database=database, clock=clock, seals=seals, seen=loaded.secrets.add)


def database_file(config: Config) -> Path | None:
    """The SQLite file that the publisher's lock belongs to; None on PostgreSQL."""
    return sqlite_path(config.database.url) if config.database.url.startswith("sqlite:") else None


def address_of(config: Config) -> str:
    """The address of a database that is there.

    Raises DatabaseUnavailable for a SQLite file that is not: opening it would make an empty one, and behind a mistyped
    address that looks like a fresh start.
    """
    path = database_file(config)
    if path is not None and path.parent.is_dir() and not path.exists():
        raise DatabaseUnavailable(f"there is no file {path}; `channelsync db upgrade` makes one")
    return config.database.url


def setup_of(
    connection: Connection,
    loaded: Loaded,
    catalogue: Catalogue,
    *,
    now: datetime | None = None,
    only_observe: bool = False,
) -> Setup:
    """The seller as the use cases know it.

    now: SKUs that the configuration names and that are no items yet become some; None: nothing is written.
    """
    config = loaded.config
    ids, named = _items_named(connection, config, now)
    item_of, skus = ids.__getitem__, classes_of(config)
    return Setup(
        channels={
            BY_HAND: by_hand(locations_by_priority(config)),
            **{one.name: _channel(one, config, catalogue, only_observe=only_observe) for one in config.channels},
        },
        locations=locations_by_priority(config),
        rules=rules_of(config, loaded.origins, item_of),
        stored_rules=rules.stored_rules(connection),
        recipes=recipes_of(config, item_of),
        classes={item_of(sku): name for sku, name in skus.items()},
        named=named,
        hot_probability=config.limits.hot_probability,
        housekeeping=config.schedule.housekeeping,
    )


def setup_in_use(connection: Connection, loaded: Loaded, catalogue: Catalogue, now: datetime) -> Setup:
    """The seller as `setup_of` knows it, with channels that are only observed where the daemons that run only observe.

    For commands that show what is done; nothing is written.
    """
    return setup_of(connection, loaded, catalogue, only_observe=only_observing(connection, now))


def _channel(channel: ChannelConfig, config: Config, catalogue: Catalogue, *, only_observe: bool) -> ChannelSetup:
    schedule = config.schedule
    fed, kept = remotes_of(channel, config)
    return ChannelSetup(
        name=channel.name,
        capabilities=catalogue.connector(channel.connector).capabilities(channel.settings),
        locations=channel.locations or locations_by_priority(config),
        connector=channel.connector,
        guard=limits_of(config.guard, channel.guard),
        remotes=fed,
        kept=kept,
        mode=channel.mode,
        only_observe=only_observe,
        paused=channel.paused,
        drift=channel.drift,
        poll=schedule.order_poll,
        poll_quiet=schedule.order_poll_quiet,
        tick=schedule.publish_tick,
        sweep=schedule.quantity_sweep,
        listings=schedule.listing_pull,
        audit=schedule.order_audit,
        hot_reads=config.limits.hot_read_share > 0,
        read_share=config.limits.hot_read_share,
    )


def _items_named(
    connection: Connection, config: Config, now: datetime | None
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Item by SKU of those that the configuration names, and SKU by item; unknown ones are added, unless now is None.

    The SKU of an item that goes by another one now is that.
    """
    named = {one.sku for one in config.bundles} | {part.sku for one in config.bundles for part in one.parts}
    named |= {rule.sku for rule in config.rules if rule.sku is not None} | set(classes_of(config))
    known = items.items_by_sku(connection, named)
    new = [Item(id=items.item_id(sku), sku=sku) for sku in sorted(named - known.keys())]
    if now is not None:
        items.add_items(connection, new, now)
    ids: Mapping[str, str] = {sku: item.id for sku, item in known.items()} | {item.sku: item.id for item in new}
    return ids, {item.id: item.sku for item in (*known.values(), *new)}


def worker_name(run: str) -> str:
    """The name by which this process holds leases."""
    return entry_id("worker", run)[:12]
