"""A seller on a stage: simulated marketplaces on one side, the real agent with its database on the other.

The agent's loops, store and connectors are those of a running daemon; only clock and transport are the lab's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
from sqlalchemy import Connection

from channelsync.domain.bundles import Recipe, Recipes, capacity
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_values import NumberKey, Takes
from channelsync.lab.stall import Stall, settings_of
from channelsync.sdk.clock import Clock
from channelsync.store import items, ledger, listings, runs
from channelsync.store.database import Database
from channelsync.store.items import Item, item_id
from channelsync.store.listings import SeenListing
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.housekeeping import usual_tasks
from channelsync.sync.leasing import Leases
from channelsync.sync.loops import keep_measures, run_channel
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.schedule import Schedule, held_by
from channelsync.sync.setup import ChannelSetup, Setup

LOCATION = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedListing:
    """A listing that a marketplace offers: so many (`multiple`) of a SKU, which may be a bundle's."""

    marketplace: str
    listing: str
    sku: str
    multiple: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wares:
    """What the seller has and offers. opening: units by SKU. recipes: bundles, by SKU."""

    opening: Mapping[str, int]
    listings: Sequence[StagedListing]
    recipes: Recipes = field(default_factory=dict)

    def takes(self, sku: str, multiple: int) -> Takes:
        """The SKUs with units of their own that one listing unit takes."""
        return tuple(sorted(_takes(sku, multiple, self.recipes).items()))

    def shown(self, listing: StagedListing, available: Mapping[str, int]) -> int:
        """What a listing may show when these units are available, by SKU; no rules, never below 0."""
        return max(0, capacity(listing.sku, available, self.recipes) // listing.multiple)


def _takes(sku: str, units: int, recipes: Recipes) -> dict[str, int]:
    recipe = recipes.get(sku)
    if recipe is None or recipe.kind == "prebuilt":
        return {sku: units}
    total: dict[str, int] = {}
    for part in recipe.parts:
        for name, each in _takes(part.item, part.units * units, recipes).items():
            total[name] = total.get(name, 0) + each
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """How a stage is set up where the usual way will not do.

    seed: of the retries' jitter and the run's name. transports: by marketplace; None: in process. addresses: base
    URLs of marketplaces that are servers. referee: of a stage that is opened again on the same marketplaces and
    database; everything is in place then. setup: locations, rules and the like; channels and recipes are filled in.
    pull: bring the listings before the loops run; False leaves that to the loops, who do it first of all.
    """

    seed: int = 0
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    referee: Referee | None = None
    setup: Setup | None = None
    pull: bool = True

    def transport(self, name: str, site: Stall) -> httpx.AsyncBaseTransport | None:
        """The way to a marketplace; None: the network."""
        return site.transport if self.transports is None else self.transports.get(name)


@dataclass(slots=True, kw_only=True)
class Stage:
    """The agent, the marketplaces it sells on, and the referee who knows what is physically there."""

    agent: Agent
    sites: Mapping[str, Stall]
    wares: Wares
    referee: Referee

    async def run(self, *, worker: str = "lab") -> None:
        """The agent's loops, until cancelled: what `channelsync run` runs."""
        leases = Leases(self.agent, worker)
        schedule = schedule_of(self.agent, worker, leases)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leases.keep(), name="leases")
            tasks.create_task(keep_measures(self.agent), name="measures")
            tasks.create_task(schedule.keep(), name="schedule")
            for channel in self.agent.channels.values():
                tasks.create_task(run_channel(self.agent, channel, leases), name=channel.name)


def schedule_of(agent: Agent, worker: str, leases: Leases) -> Schedule:
    """The usual tasks of an agent of the lab. A bug in one of them ends the run instead of being found."""
    return Schedule(
        agent=agent,
        tasks=lambda: usual_tasks(agent),
        owner=worker,
        held=held_by(agent, leases),
        raising=True,
    )


def open_offers(sites: Mapping[str, Stall], wares: Wares) -> Referee:
    """Puts every listing on its marketplace with the number that the opening units allow; returns the referee."""
    for listing in wares.listings:
        site = sites[listing.marketplace]
        sku = listing.sku if listing.multiple == 1 else f"{listing.sku} x{listing.multiple}"
        offer = site.offer(listing.listing, sku, listing.sku, wares.takes(listing.sku, listing.multiple))
        site.marketplace.open_listing(offer, wares.shown(listing, wares.opening))
    referee = Referee(wares.opening)
    for site in sites.values():
        site.marketplace.on_log.append(referee.tell)
    return referee


@asynccontextmanager
async def open_stage(
    *,
    database: Database,
    clock: Clock,
    sites: Mapping[str, Stall],
    wares: Wares,
    channels: Mapping[str, ChannelSetup],
    options: StageOptions | None = None,
) -> AsyncIterator[Stage]:
    """A seller whose positions, listings and mappings are in place; the loops do not run yet (see `Stage.run`).

    channels: how each is set up; capabilities are taken from its connector.
    """
    chosen = options or StageOptions()
    connectors = {name: site.connector for name, site in sites.items()}
    settings = {name: settings_of(site, chosen.addresses.get(name, "")) for name, site in sites.items()}
    base = chosen.setup or Setup(channels={}, locations=(LOCATION,))
    setup = replace(
        base,
        channels={
            name: replace(channels[name], capabilities=connector.capabilities(settings[name]))
            for name, connector in connectors.items()
        },
        recipes=recipes_by_item(wares.recipes),
    )
    run = f"lab-{chosen.seed}"
    referee = chosen.referee or open_offers(sites, wares)
    if chosen.referee is None:
        await database.transact(lambda c: _stock_up(c, wares, run, clock))
    measures = await database.query(lambda c: measure(c, setup, clock.now()))
    agent = Agent(database=database, clock=clock, setup=setup, run=run, measures=measures)
    async with AsyncExitStack() as stack:
        for name, site in sites.items():
            opened = open_channel(
                setup.channels[name],
                connectors[name],
                settings[name],
                database=database,
                clock=clock,
                rng=random.Random(f"{chosen.seed} {name}"),
                transport=chosen.transport(name, site),
            )
            agent.add_channel(await stack.enter_async_context(opened))
        if chosen.pull and chosen.referee is None:
            async with asyncio.TaskGroup() as tasks:
                for channel in agent.channels.values():
                    tasks.create_task(_connect(agent, channel))
        yield Stage(agent=agent, sites=sites, wares=wares, referee=referee)


async def _connect(agent: Agent, channel: OpenChannel) -> None:
    """The first time: whose account it is, and every listing with its number, which starts the watermarks."""
    await identify(agent, channel)
    await pull_listings(agent, channel)


def _stock_up(connection: Connection, wares: Wares, run: str, clock: Clock) -> None:
    now = clock.now()
    runs.begin_run(connection, run, "lab", "lab", {}, now)
    skus = {*wares.opening, *wares.recipes, *(part.item for r in wares.recipes.values() for part in r.parts)}
    items.add_items(connection, [Item(id=item_id(sku), sku=sku, title=sku) for sku in sorted(skus)], now)
    keys = [PositionKey(item_id(sku), LOCATION) for sku in sorted(wares.opening)]
    ledger.open_positions(connection, keys)
    positions = ledger.lock_positions(connection, [key.item for key in keys])
    cause = Cause(actor="lab", run=run, reason="opening units")
    movements = [
        Movement(
            id=entry_id("opening", sku),
            position=PositionKey(item_id(sku), LOCATION),
            kind=EntryKind.RECEIPT,
            on_hand=units,
            at=now,
            cause=cause,
        )
        for sku, units in sorted(wares.opening.items())
        if units > 0
    ]
    ledger.write(connection, movements, positions, now)
    ledger.state(connection, keys, positions, run)
    _map(connection, wares, run, clock)


def _map(connection: Connection, wares: Wares, run: str, clock: Clock) -> None:
    """Says what every listing means before it is pulled, so that no number has to be read twice."""
    now = clock.now()
    for name in sorted({listing.marketplace for listing in wares.listings}):
        mine = [listing for listing in wares.listings if listing.marketplace == name]
        listings.save_listings(connection, name, "", [_unseen(listing) for listing in mine], now)
        meanings = [(name, listing.listing, item_id(listing.sku), listing.multiple) for listing in mine]
        listings.set_meanings(connection, meanings, run, now)


def _unseen(listing: StagedListing) -> SeenListing:
    """A listing that is known by its id only."""
    return SeenListing(
        listing=listing.listing,
        sku=None,
        title="",
        barcode=None,
        state="inactive",
        reasons=(),
        keys=(),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )


def recipes_by_item(recipes: Recipes) -> Recipes:
    """The same recipes by the ids of the items instead of their SKUs."""
    return {
        item_id(sku): Recipe(
            item_id(sku), recipe.kind, tuple(type(part)(item_id(part.item), part.units) for part in recipe.parts)
        )
        for sku, recipe in recipes.items()
    }


def drift_left(stage: Stage, targets: Iterable[tuple[str, str, int]]) -> list[tuple[str, str, int, int]]:
    """Keys whose number at the marketplace is not what it should be: (marketplace, key, shown, should)."""
    found = []
    for name, key, target in targets:
        marketplace = stage.sites[name].marketplace
        marketplace.now()
        shown = marketplace.number(NumberKey(key))
        if shown != target:
            found.append((name, key, shown, target))
    return found
