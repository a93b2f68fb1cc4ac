"""The stage of the stories: marketplaces, the real agent, and a clock that stands still until the story moves it.

A story is a test that is marked with what takes its rule out:

    @pytest.mark.fails_without("domain.watermark.relation", lambda effect, read, timing: "in")
    async def test_a_cancel_of_an_older_order_is_no_rise(open_world): ...

It then runs twice: as it is, and with the name replaced; the second run passes only if the story fails there by an
assertion. `around=` instead of the replacement is given what it replaces. `declares={"staleness_s": 0}` takes a rule
out by letting the marketplaces declare what is not so. Several marks are several runs.
"""

from __future__ import annotations

import importlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.lab.faults import Fault, FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_accounts import Seller
from channelsync.lab.marketplace_fronts import InProcessTransport
from channelsync.lab.marketplace_http import MarketplaceApi
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.lab.simulation_checks import while_it_runs
from channelsync.lab.stage import LOCATION, Stage, StagedListing, StageOptions, Wares, open_stage
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey, QuantityUpdate
from channelsync.store import agenda, findings, keys, ledger, proof, runs
from channelsync.store.database import open_database
from channelsync.store.findings import StoredFinding
from channelsync.store.incoming import Incoming, save_incoming
from channelsync.store.items import item_id, items_by_id
from channelsync.store.keys import KeyRecord
from channelsync.sync.agent import OpenChannel
from channelsync.sync.explain import Explanation, explain_now, explain_then
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.read_numbers import Published
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.stock import By
from channelsync.sync.take_orders import Taken, poll_orders
from channelsync.sync.verify import verify

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class HandClock:
    """Stands still until somebody moves it; whoever sleeps on it moves it."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Wire:
    """A channel as the agent has it, with all calls for numbers noted, and what happens just before them.

    before_push, before_read: called once each, then forgotten: what a buyer does at the worst moment.
    """

    inner: Any
    pushed: list[list[QuantityUpdate]] = field(default_factory=list)
    results: list[list[PushResult]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    before_push: Callable[[], object] | None = None
    before_read: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def read(self, wanted: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        happens, self.before_read = self.before_read, None
        if happens:
            happens()
        if wanted:
            self.asked.append([key.key for key in wanted])
        return await self.inner.read(wanted)

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        happens, self.before_push = self.before_push, None
        if happens:
            happens()
        self.pushed.append(list(updates))
        results = await self.inner.push(updates)
        self.results.append(list(results))
        return results

    @property
    def values(self) -> list[int]:
        """Every number that was pushed, in order."""
        return [update.value for batch in self.pushed for update in batch]


@dataclass
class Troubled:
    """The calls of a channel, each of them noted, with an error in the place of those that a test picks.

    read, push: the error for these keys, or these updates; None: it goes on. A push that is answered is in `sent` with
    its time and what was written, each try of one in `tries`, with its rows; a read that is answered in `read_at`.
    """

    inner: Any
    clock: HandClock
    read_fails: Callable[[Sequence[QuantityKey]], ChannelError | None]
    push_fails: Callable[[Sequence[QuantityUpdate]], ChannelError | None]
    tries: list[int] = field(default_factory=list)
    sent: list[tuple[datetime, dict[str, int]]] = field(default_factory=list)
    read_at: list[datetime] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def read(self, wanted: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        if (error := self.read_fails(wanted)) is not None:
            raise error
        reads = await self.inner.read(wanted)
        self.read_at.append(self.clock.now())
        return list(reads)

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        self.tries.append(len(updates))
        if (error := self.push_fails(updates)) is not None:
            raise error
        results = await self.inner.push(updates)
        self.sent.append((self.clock.now(), {one.listing: one.value for one in updates}))
        return list(results)

    def sent_at(self, listing: str, value: int) -> datetime:
        """When a number was first written to a listing; it was."""
        times = [at for at, written in self.sent if written.get(listing) == value]
        assert times, f"{value} was never written to {listing}"
        return times[0]


def no_trouble(_: object) -> None:
    """A call goes on."""


class Scripted(random.Random):
    """Draws what the story says, then the least there is."""

    def __init__(self, drawn: Sequence[float]) -> None:
        super().__init__(0)
        self._drawn = list(drawn)

    def uniform(self, a: float, b: float) -> float:
        return self._drawn.pop(0) if self._drawn else a


@dataclass(slots=True)
class World:
    """A seller on some marketplaces. Listings are called MARKETPLACE-SKU; the usual SKU is "tea"."""

    stage: Stage
    clock: HandClock
    wires: dict[str, Wire]

    @property
    def agent(self) -> Any:
        return self.stage.agent

    @property
    def oversold(self) -> int:
        """Units that the marketplaces sold and that were not there, as the referee counts."""
        return self.stage.referee.oversold_units

    def market(self, name: str) -> Marketplace:
        return self.stage.sites[name].marketplace

    def channel(self, name: str) -> OpenChannel:
        return self.agent.channels[name]

    def shows(self, name: str, sku: str = "tea") -> int:
        """The number that is truly in force."""
        return self.market(name).number(self.key(name, sku))

    def shown(self, sku: str = "tea") -> list[int]:
        """The numbers in force on all marketplaces, in their order."""
        return [self.shows(name, sku) for name in self.stage.sites]

    def key(self, name: str, sku: str = "tea") -> NumberKey:
        return self.market(name).offers[f"{name}-{sku}"].keys[0]

    def sells(self, name: str, units: int = 1, sku: str = "tea", *, paid: bool = True) -> str:
        """A buyer orders; returns the order's id."""
        sale = self.market(name).buy(f"{name}-{sku}", units, partial=False, paid=paid)
        assert sale.order is not None, "the buyer was turned away"
        return sale.order.id

    def edits(self, name: str, number: int, sku: str = "tea") -> None:
        """A human sets a number at the marketplace."""
        self.market(name).edit_number(self.key(name, sku), number)

    def passes(self, *, seconds: float = 0, minutes: float = 0) -> None:
        """Time passes, and nobody of ours does anything."""
        self.clock.at += timedelta(seconds=seconds, minutes=minutes)

    async def poll(self, *names: str) -> Taken:
        """The orders of these marketplaces (none named: of all) are taken; returns what the last one brought."""
        taken = Taken()
        for name in names or self.agent.channels:
            taken = await poll_orders(self.agent, self.channel(name))
        return taken

    async def tick(self, *names: str) -> Published:
        """The publisher of these channels (none named: of all) looks once; returns what the last one did."""
        done = Published()
        for name in names or self.agent.channels:
            done = await publish_tick(self.agent, self.channel(name))
        return done

    async def sweeps(self, *names: str) -> None:
        """Every number of these marketplaces is read, as the sweep does, and what follows is published by them."""
        for name in names or self.agent.channels:
            ids = await self.agent.database.query(lambda c, name=name: agenda.chosen_keys(c, channels=[name]))
            await self.agent.database.transact(lambda c, ids=ids: keys.want_reads(c, ids))
            await publish_tick(self.agent, self.channel(name))

    async def lives(self, minutes: int, *, poll: bool = True, tick: bool = True) -> None:
        """The loops of so many minutes: each one every channel ticks, and asks for orders when due or woken."""
        for minute in range(minutes):
            self.passes(minutes=1)
            for name, channel in self.agent.channels.items():
                due = minute % 10 == 9 or channel.wake_orders.is_set()
                channel.wake_orders.clear()
                if poll and due:
                    await self.poll(name)
            for name in self.agent.channels if tick else ():
                await self.tick(name)

    async def is_written_over(self, name: str, number: int, *, rounds: int) -> None:
        """Another program writes this number again and again, whatever we do."""
        for _ in range(rounds):
            self.edits(name, number)
            self.passes(minutes=1)
            await self.sweeps(name)
            await self.lives(5)
            await self.sweeps(name)

    async def pulls(self, name: str) -> None:
        """The listings of a marketplace are pulled."""
        await pull_listings(self.agent, self.channel(name))

    async def lists(self, name: str, offer: Offer, number: int | None = None, *, means: str, multiple: int = 1) -> None:
        """A listing appears at a marketplace, is pulled, and mapped to a SKU."""
        self.market(name).open_listing(offer, number)
        await self.pulls(name)
        await self.maps(name, offer.listing, means, multiple)

    async def maps(self, name: str, listing: str, sku: str, multiple: int = 1) -> None:
        """Says what a listing means."""
        agent, now = self.agent, self.clock.now()
        wanted = [Wanted(name, listing, item_id(sku), multiple)]
        await agent.database.transact(
            lambda c: map_listings(c, agent.setup, wanted, by="story", run=agent.run, now=now)
        )

    async def expects(self, units: int, sku: str = "tea") -> None:
        """Units are on their way."""
        coming = Incoming(position=PositionKey(item_id(sku), LOCATION), reference="story", units=units)
        await self.agent.database.transact(lambda c: save_incoming(c, coming, self.agent.run))

    def by(self, run: str) -> By:
        """The seller, in this run."""
        return By(actor="user:seller", run=run, now=self.clock.now())

    async def as_run(self, run: str, work: Callable[[Any], Any]) -> Any:
        """The seller does something as a run of its own, in one transaction."""

        def unit(connection: Any) -> Any:
            runs.begin_run(connection, run, "a story's command", "user:seller", {}, self.clock.now())
            return work(connection)

        self.passes(seconds=10)
        done = await self.agent.database.transact(unit)
        self.agent.wake_publishers()
        return done

    async def receives(self, units: int, sku: str = "tea", location: str = LOCATION) -> None:
        """Units come in, or (negative) were fewer than we thought; with 0 the numbers are only looked at anew."""
        agent, now, key = self.agent, self.clock.now(), PositionKey(item_id(sku), location)
        self.stage.referee.receive(sku, units)

        def unit(connection: Any) -> None:
            ledger.open_positions(connection, [key])
            positions = ledger.lock_positions(connection, [key.item])
            movement = Movement(
                id=entry_id("story", key.item, positions[key].entries),
                position=key,
                kind=EntryKind.ADJUST,
                on_hand=units,
                at=now,
                cause=Cause(actor="story", run=agent.run, reason="counted"),
            )
            ledger.write(connection, [movement] if units else [], positions, now)
            ledger.state(connection, [key], positions, agent.run)
            keys.mark_due(connection, agent.setup.shown_by(key.item), now)

        await agent.database.transact(unit)

    def trouble(
        self,
        name: str,
        *,
        read: Callable[[Sequence[QuantityKey]], ChannelError | None] = no_trouble,
        push: Callable[[Sequence[QuantityUpdate]], ChannelError | None] = no_trouble,
    ) -> Troubled:
        """From now on these calls of a channel fail, until `trouble` is said anew; all are noted."""
        wire = self.wires[name]
        inner = wire.inner.inner if isinstance(wire.inner, Troubled) else wire.inner
        troubled = wire.inner = Troubled(inner, self.clock, read, push)
        return troubled

    def delays(self, name: str, *seconds: float) -> None:
        """The next writes that this marketplace accepts are applied after so many seconds each."""
        numbers = self.market(name)._shelf.numbers
        numbers._rng = Scripted(seconds)

    def has_left(self, name: str, units: float) -> None:
        """So much is left of a marketplace's budget of calls, and we know it."""
        meter = self.stage.sites[name].api.meter
        meter._left, meter._at = units, self.clock.now()
        self.channel(name).limiter.observe(units)

    async def available(self, sku: str = "tea", location: str = LOCATION) -> int:
        key = PositionKey(item_id(sku), location)
        found = await self.agent.database.query(lambda c: ledger.read_positions(c, [key.item]))
        return found[key].available if key in found else 0

    async def held(self) -> list[int]:
        """The open units of every provisional row, oldest first."""
        rows = await self.agent.database.query(lambda c: list(proof.open_provisional_rows(c)))
        return [row.open for row in sorted(rows, key=lambda row: row.found_at) if row.open]

    async def row(self, name: str, sku: str = "tea") -> KeyRecord:
        """What we know of a number."""
        key = self.key(name, sku)
        identity = self.channel(name).identity
        query = self.agent.database.query
        ids = await query(lambda c: keys.ids_of(c, identity, [(key.key, key.location)]))
        return (await query(lambda c: keys.load_keys(c, ids.values())))[ids[key.key, key.location]]

    async def found(self, *, only_open: bool = True) -> list[StoredFinding]:
        return await self.agent.database.query(lambda c: findings.list_findings(c, only_open=only_open))

    async def kinds(self) -> list[str]:
        """The kinds of all findings ever opened, sorted."""
        return sorted(one.kind for one in await self.found(only_open=False))

    async def explained(self, at: datetime | None = None, sku: str = "tea") -> Explanation:
        """What `channelsync explain` tells; at: of a past time."""
        agent, now = self.agent, self.clock.now()
        item = (await agent.database.query(lambda c: items_by_id(c, [item_id(sku)])))[item_id(sku)]
        if at is not None:
            return await agent.database.query(lambda c: explain_then(c, agent.setup, item, None, at))
        return await agent.database.query(lambda c: explain_now(c, agent.setup, agent.measures, item, None, now))

    async def sql(self, statement: str, **values: object) -> list[Any]:
        """Rows of a query, for what no part of the agent tells."""
        return await self.agent.database.query(lambda c: c.execute(text(statement), values).all())

    def rule(self, scope: RuleScope | None = None, *, channel: str | None = None, **values: Any) -> None:
        """A rule holds from now on, for a scope or a channel; see `RuleValues`."""
        rules = self.agent.setup.rules
        scope = scope or RuleScope(channel=channel)
        one = Rule(f"#{len(rules) + 1}", scope, RuleValues(**values), "the story")
        self.agent.setup = replace(self.agent.setup, rules=(*rules, one))

    async def judged(self) -> None:
        """Whatever the story was about: reserved units are explained, and all that is cached follows the ledger."""
        breaches = await self.agent.database.query(while_it_runs, snapshot=True)
        assert [str(one) for one in breaches] == []
        assert (await self.agent.database.query(verify, snapshot=True)).problems == []


OpenWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def open_world(story_url: str, taken_out: TakenOut | None) -> AsyncIterator[OpenWorld]:
    """Opens a world: open_world({"shop": MarketplaceRules(), "market": ...}, 10, faults={...}, channel={...}, ...).

    units: of "tea", or by SKU. Every marketplace lists every SKU and bundle, unless `listings` says which do.
    recipes: virtual bundles, by SKU. twins: channels that are a second access to the marketplace of another.
    channel: fields of every ChannelSetup. The rest goes to Setup. At the end of an unbroken story the database is
    proved.
    """
    worlds: list[World] = []
    async with AsyncExitStack() as stack:

        async def opened(
            markets: Mapping[str, MarketplaceRules] | Sequence[str],
            units: int | Mapping[str, int] = 10,
            *,
            listings: Sequence[StagedListing] | None = None,
            recipes: Mapping[str, Mapping[str, int]] | None = None,
            faults: Mapping[str, Sequence[Fault]] | None = None,
            twins: Mapping[str, str] | None = None,
            channel: Mapping[str, Any] | None = None,
            **setup: Any,
        ) -> World:
            clock = HandClock()
            how = dict(markets) if isinstance(markets, Mapping) else {name: MarketplaceRules() for name in markets}
            if taken_out is not None and taken_out.declares:
                how = {name: replace(each, understates=taken_out.declares) for name, each in how.items()}
            sites: dict[str, Site] = {
                name: open_site(name, each, clock, faults=FaultPlan((faults or {}).get(name, ())))
                for name, each in how.items()
            }
            for name, of in (twins or {}).items():
                sites |= _twins(name, sites[of], clock)
            inline = story_url.startswith("sqlite")
            database = await stack.enter_async_context(open_database(story_url, inline=inline))
            stage = await stack.enter_async_context(
                open_stage(
                    database=database,
                    clock=clock,
                    sites=sites,
                    wares=_wares(list(how), units, listings, recipes),
                    channels={
                        name: ChannelSetup(
                            **{"name": name, "capabilities": Capabilities(), "locations": (LOCATION,)}
                            | dict(channel or {})
                        )
                        for name in how
                    },
                    options=StageOptions(setup=Setup(**{"channels": {}, "locations": (LOCATION,)} | setup)),
                )
            )
            wires = {}
            for name, one in stage.agent.channels.items():
                one.channel = wires[name] = Wire(one.channel)
            world = World(stage, clock, wires)
            for name, of in (twins or {}).items():
                world.market(of).on_log.pop()  # the referee hears of each sale once
                await _part_sites(world, name, of)
            worlds.append(world)
            world.passes(minutes=10)
            await world.poll()
            await world.tick()
            world.passes(minutes=1)
            await world.tick()
            for wire in wires.values():
                wire.pushed.clear()
                wire.asked.clear()
            return world

        yield opened
        if taken_out is None:
            for world in worlds:
                await world.judged()


def _twins(name: str, site: Site, clock: HandClock) -> dict[str, Site]:
    """One marketplace with a site for each of two configured channels, by these."""
    first, second = (replace(site.account, site=each) for each in (site.marketplace.name, name))
    second = replace(second, name=name, refresh_token=f"rt-{name}")
    api = MarketplaceApi(site.marketplace, [first, second], random.Random(0), seller=Seller("seller"))
    way = InProcessTransport(api, clock, random.Random(0))
    return {one.site: Site(site.marketplace, api, one, way, site.app) for one in (first, second)}


async def _part_sites(world: World, name: str, of: str) -> None:
    """Every listing is on its own site, and both are listings of one number."""
    for sku in world.stage.wares.opening:
        offer = world.market(of).offers[f"{of}-{sku}"]
        offer.site = of
        await world.pulls(of)
        await world.lists(name, replace(offer, listing=f"{name}-{sku}", site=name), means=sku)


def _wares(
    names: Sequence[str],
    units: int | Mapping[str, int],
    listings: Sequence[StagedListing] | None,
    recipes: Mapping[str, Mapping[str, int]] | None,
) -> Wares:
    opening = {"tea": units} if isinstance(units, int) else dict(units)
    bundles = {
        sku: Recipe(sku, "virtual", tuple(Part(part, each) for part, each in parts.items()))
        for sku, parts in (recipes or {}).items()
    }
    everywhere = [
        StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku)
        for name in names
        for sku in (*opening, *bundles)
    ]
    return Wares(opening=opening, listings=everywhere if listings is None else listings, recipes=bundles)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Only warnings are logged: what every call did is told by the story."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)


@pytest.fixture
def story_url(request: pytest.FixtureRequest) -> str:
    """Where a story's data are: SQLite, and PostgreSQL as well where the story is marked `on_both_databases`."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


# What takes a rule out


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A name below `channelsync` and what stands there instead. around: makes that of what was there.

    declares: what every marketplace declares instead of the truth; then there is no name.
    """

    name: str = ""
    instead: object = None
    around: Callable[[Any], Any] | None = None
    declares: Mapping[str, object] | None = None

    def __str__(self) -> str:
        return f"without {self.name or ', '.join(self.declares or ())}"

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        if not self.name:
            return
        where, attribute = self._found()
        patch.setattr(where, attribute, self.around(getattr(where, attribute)) if self.around else self.instead)

    def _found(self) -> tuple[Any, str]:
        parts = f"channelsync.{self.name}".split(".")
        for length in range(len(parts) - 1, 0, -1):
            try:
                where: Any = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:-1]:
                where = getattr(where, part)
            return where, parts[-1]
        raise AssertionError(f"nothing is called {self.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_both_databases: the story runs on SQLite and on PostgreSQL")
    config.addinivalue_line("markers", "fails_without(name, instead, around=, declares=): what the story fails without")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = [TakenOut(*mark.args, **mark.kwargs) for mark in metafunc.definition.iter_markers("fails_without")]
    if marks:
        ids = ["as it is", *map(str, marks)]
        metafunc.parametrize("taken_out", [None, *marks], ids=ids, indirect=True)
    if metafunc.definition.get_closest_marker("on_both_databases"):
        engines = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
        metafunc.parametrize("story_url", engines, indirect=True)


@pytest.fixture
def taken_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TakenOut | None:
    """The rule that is taken out for this run; None: none is."""
    one: TakenOut | None = getattr(request, "param", None)
    if one is not None:
        one.apply(monkeypatch)
    return one


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A story with its rule taken out must fail, and by an assertion."""
    if pyfuncitem.funcargs.get("taken_out") is None:
        return (yield)
    with pytest.raises(AssertionError):
        yield
    return True
