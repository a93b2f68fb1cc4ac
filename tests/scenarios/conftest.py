"""The stage of the stories: marketplaces, the real agent, and a clock that stands still until the story moves it.

A story is a test that is marked with what takes its rule out:

    @pytest.mark.fails_without("domain.watermark.relation", lambda effect, read, timing: "in")
    async def test_a_cancel_of_an_older_order_is_no_rise(open_world): ...

It then runs twice: as it is, and with the name replaced; the second run passes only if the story fails there by an
assertion. `around=` instead of the replacement is given what it replaces. Several marks are several runs.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.lab.faults import Fault, FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey
from channelsync.lab.simulation_checks import while_it_runs
from channelsync.lab.stage import LOCATION, Stage, StagedListing, StageOptions, Wares, open_stage
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey, QuantityUpdate
from channelsync.store import agenda, findings, keys, ledger, proof
from channelsync.store.database import open_database
from channelsync.store.findings import StoredFinding
from channelsync.store.items import item_id, items_by_id
from channelsync.store.keys import KeyRecord
from channelsync.sync.agent import OpenChannel
from channelsync.sync.explain import Explanation, explain_now, explain_then
from channelsync.sync.publish import Published, publish_tick
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.setup import ChannelSetup, Setup
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
    """A channel as the agent has it, with all calls for numbers noted, and what happens just before and after them.

    before_push, after_push, before_read: called once each, then forgotten: what a buyer does at the worst moment.
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

    async def pulls(self, name: str) -> None:
        """The listings of a marketplace are pulled."""
        await pull_listings(self.agent, self.channel(name))

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

    def rule(self, *, channel: str | None = None, sku: str | None = None, **values: Any) -> None:
        """A rule holds from now on; see `RuleValues`."""
        rules = self.agent.setup.rules
        scope = RuleScope(channel=channel, item=item_id(sku) if sku else None)
        one = Rule(f"#{len(rules) + 1}", scope, RuleValues(**values), "the story")
        self.agent.setup = replace(self.agent.setup, rules=(*rules, one))

    async def judged(self) -> None:
        """Whatever the story was about: reserved units are explained, and all that is cached follows the ledger."""
        breaches = await self.agent.database.query(while_it_runs, snapshot=True)
        assert [str(one) for one in breaches] == []
        assert (await self.agent.database.query(verify, snapshot=True)).problems == []


OpenWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def open_world(story_url: str, taken_out: object) -> AsyncIterator[OpenWorld]:
    """Opens a world: open_world({"shop": MarketplaceRules(), "market": ...}, 10, faults={...}, channel={...}, ...).

    units: of "tea", or by SKU. Every marketplace lists every SKU and bundle, unless `listings` says which do.
    recipes: virtual bundles, by SKU. channel: fields of every ChannelSetup. rules: (scope, values) pairs, with SKUs
    for items. The rest goes to Setup. At the end of an unbroken story the database is proved.
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
            channel: Mapping[str, Any] | None = None,
            rules: Sequence[tuple[RuleScope, RuleValues]] = (),
            **setup: Any,
        ) -> World:
            clock = HandClock()
            how = markets if isinstance(markets, Mapping) else {name: MarketplaceRules() for name in markets}
            sites: dict[str, Site] = {
                name: open_site(name, each, clock, faults=FaultPlan((faults or {}).get(name, ())))
                for name, each in how.items()
            }
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
                    options=StageOptions(
                        setup=Setup(
                            **{"channels": {}, "locations": (LOCATION,)}
                            | {"rules": _rules(rules)}
                            | setup
                        )
                    ),
                )
            )
            wires = {}
            for name, one in stage.agent.channels.items():
                one.channel = wires[name] = Wire(one.channel)
            world = World(stage, clock, wires)
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
        StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku) for name in names for sku in (*opening, *bundles)
    ]
    return Wares(opening=opening, listings=everywhere if listings is None else listings, recipes=bundles)


def _rules(said: Sequence[tuple[RuleScope, RuleValues]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(f"#{number}", replace(scope, item=item_id(scope.item) if scope.item else None), values, "the story")
        for number, (scope, values) in enumerate(said, 1)
    )


@pytest.fixture
def story_url(request: pytest.FixtureRequest) -> str:
    """Where a story's data are: SQLite, or PostgreSQL where the story is marked so."""
    on_postgresql = request.node.get_closest_marker("postgresql") is not None
    url: str = request.getfixturevalue("postgresql_url" if on_postgresql else "sqlite_url")
    return url


# What takes a rule out


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A name below `channelsync` and what stands there instead. around: makes that of what was there."""

    name: str
    instead: object = None
    around: Callable[[Any], Any] | None = None

    def apply(self, patch: pytest.MonkeyPatch) -> None:
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
    config.addinivalue_line("markers", "fails_without(name, instead, around=None): what the story fails without")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = [TakenOut(*mark.args, **mark.kwargs) for mark in metafunc.definition.iter_markers("fails_without")]
    if marks:
        ids = ["as it is", *(f"without {one.name}" for one in marks)]
        metafunc.parametrize("taken_out", [None, *marks], ids=ids, indirect=True)


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
