"""The proof by simulation: whole days of trading with everything going wrong, and what must hold all the same.

One process, one virtual clock, everything drawn from one seed: a seed that fails is replayed exactly. While calls go
wrong, humans type and our own process is stopped and started anew, the invariants 1, 2 and 4 of the publishing rules
hold, and no channel's budget is ever exceeded; when all of that has ended, invariant 3 does. See docs/simulation.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from channelsync.lab.buyers import send_buyers
from channelsync.lab.invariants import Breach, budget_is_kept, generations_in_order
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.simulation_checks import Judged, at_the_end, findings_opened, of_raises, while_it_runs
from channelsync.lab.simulation_plan import PAYS_LATER, STARTS, USUAL, SimulationPlan, Size, pays_later, plan_simulation
from channelsync.lab.simulation_watch import WatchedChannel, Witness
from channelsync.lab.stage import LOCATION, Stage, StageOptions, open_stage
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.lab.webhook_hints import webhooks
from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.channel import Capabilities
from channelsync.store import proof
from channelsync.store.database import Database, open_database
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent
from channelsync.sync.setup import ChannelSetup, Setup

LOOKED_EVERY = timedelta(minutes=7)
"""Virtual time between two looks at what must hold while the day runs."""

SWEEP = timedelta(minutes=20)
HOUSEKEEPING = timedelta(minutes=5)
_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of an unguessable name is made in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One simulated day. presets: by marketplace. digest: of the whole history; the same for every replay.

    units, oversold: as the marketplaces' own logs tell. keys_read: numbers asked for, in so many read_calls.
    raised_over: units that raises put on sale beyond what was left, each of them sold too shortly before to be known.
    findings: that were opened. seconds: of processor time that it took. breaches: what must never be.
    """

    seed: int
    presets: Mapping[str, str]
    breaches: tuple[Breach, ...]
    orders: int = 0
    units: int = 0
    oversold: int = 0
    calls: int = 0
    read_calls: int = 0
    keys_read: int = 0
    writes: int = 0
    raises: int = 0
    raised_over: int = 0
    findings: int = 0
    restarts: int = 0
    seconds: float = field(default=0.0, compare=False)
    digest: str = ""

    @property
    def holds(self) -> bool:
        """Whether every invariant held."""
        return not self.breaches

    def __str__(self) -> str:
        where = ", ".join(f"{name} ({preset})" for name, preset in self.presets.items())
        return (
            f"seed {self.seed}: {self.orders} orders, {self.units} units, {self.oversold} oversold, "
            f"{self.calls} calls, {self.writes} writes; {where}"
        )


def simulate(seed: int, size: Size = USUAL) -> Outcome:
    """Plays the day of a seed, from nothing to its judgement."""
    return play(plan_simulation(seed, size))


def play(plan: SimulationPlan) -> Outcome:
    """Plays a day that was drawn before."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        outcome = run_virtual(_play(plan, f"sqlite:///{folder}/simulation.db"), start=STARTS)
    return replace(outcome, seconds=time.process_time() - began)


async def _play(plan: SimulationPlan, url: str) -> Outcome:
    async with open_database(url, inline=True) as database:
        await database.transact(metadata.create_all)
        day = _Day(plan, database, LabClock())
        return await day.run()


@dataclass(slots=True)
class _Running:
    """What a day has while it runs. stage: None while our process is down."""

    stage: Stage | None = None
    referee: Referee | None = None
    restarts: int = 0
    breaches: list[Breach] = field(default_factory=list)

    def agent(self) -> Agent | None:
        return self.stage.agent if self.stage else None


class _Day:
    """One day on its way."""

    def __init__(self, plan: SimulationPlan, database: Database, clock: LabClock) -> None:
        self._plan = plan
        self._database = database
        self._clock = clock
        self._witness = Witness()
        self._now = _Running()
        self._sites: dict[str, Site] = {
            name: open_site(name, rules, clock, seed=plan.seed, faults=plan.faults.get(name))
            for name, rules in plan.marketplaces.items()
        }

    async def run(self) -> Outcome:
        """From the first look at the listings to the end of the quiet, and its judgement."""
        ends = STARTS + self._plan.size.lasts
        async with asyncio.TaskGroup() as tasks:
            ours = tasks.create_task(self._keep_running(), name="our process")
            started = tasks.create_task(self._started(), name="start")
            await started
            around = [tasks.create_task(one, name="around us") for one in self._surroundings()]
            await self._clock.sleep((ends - self._clock.now()).total_seconds())
            outcome = await self._judged()
            for task in (ours, *around):
                task.cancel()
        return outcome

    async def _started(self) -> None:
        while self._now.stage is None:
            await self._clock.sleep(1)

    def _surroundings(self) -> list[Coroutine[Any, Any, None]]:
        """Buyers, humans and faults, webhooks, and the one who looks whether everything holds."""
        markets = {name: site.marketplace for name, site in self._sites.items()}
        later = {name for name, rules in self._plan.marketplaces.items() if pays_later(rules)}
        at_once = [order for order in self._plan.orders if order.marketplace not in later]
        on_credit = [order for order in self._plan.orders if order.marketplace in later]
        jobs: list[Coroutine[Any, Any, None]] = [
            send_buyers(at_once, markets, self._clock),
            send_buyers(on_credit, markets, self._clock, fates=PAYS_LATER, seed=self._plan.seed),
            self._look(),
        ]
        for name, site in self._sites.items():
            if name in self._plan.faults:
                jobs.append(self._plan.faults[name].do_deeds(site.marketplace, site.api.tokens, self._clock))
            if name in self._plan.webhooks and site.marketplace.rules.webhooks:
                jobs.append(self._webhooks(name, site))
        return jobs

    def _webhooks(self, name: str, site: Site) -> Coroutine[Any, Any, None]:
        rng = random.Random(f"{self._plan.seed} {name} webhooks")
        unreliable = replace(WebhookPlan.unreliable(), forged=0.03)
        return webhooks(site, self._clock, self._now.agent, unreliable, rng).run()

    async def _keep_running(self) -> None:
        """Our process: started, stopped at any moment, and started again on the same database."""
        stops = list(self._plan.stops)
        while True:
            async with self._open() as stage:
                self._now.stage = stage
                self._now.referee = stage.referee
                try:
                    async with _until(stops.pop(0) if stops else None, self._clock):
                        await stage.run()
                finally:
                    self._now.stage = None
            self._now.restarts += 1
            await self._clock.sleep(random.Random(f"{self._plan.seed} {len(stops)} down").uniform(1, 300))

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Stage]:
        plan = self._plan
        channels = {
            name: ChannelSetup(
                name=name,
                capabilities=Capabilities(),
                locations=(LOCATION,),
                poll=plan.polls[name],
                tick=plan.ticks[name],
                sweep=SWEEP,
            )
            for name in plan.marketplaces
        }
        setup = Setup(channels={}, locations=(LOCATION,), rules=plan.rules, housekeeping=HOUSEKEEPING)
        async with open_stage(
            database=self._database,
            clock=self._clock,
            sites=self._sites,
            wares=plan.wares,
            channels=channels,
            options=StageOptions(seed=plan.seed, referee=self._now.referee, setup=setup),
        ) as stage:
            for name, channel in stage.agent.channels.items():
                channel.channel = WatchedChannel(name, channel.channel, self._witness, self._clock)
            yield stage

    async def _look(self) -> None:
        """Looks again and again at what must hold at any moment."""
        while True:
            await self._clock.sleep(LOOKED_EVERY.total_seconds())
            found = await self._database.query(while_it_runs, snapshot=True)
            self._now.breaches += [replace(one, what=f"{self._clock.now()}: {one.what}") for one in found]

    async def _judged(self) -> Outcome:
        """The whole history against everything that must hold."""
        plan, witness, stage, referee = self._plan, self._witness, self._now.stage, self._now.referee
        if stage is None or referee is None:
            raise RuntimeError(f"seed {plan.seed}: our process did not run when the day ended")
        judged = Judged(
            sites=self._sites,
            wares=plan.wares,
            referee=referee,
            witness=witness,
            setup=stage.agent.setup,
            measures=stage.agent.measures,
            now=self._clock.now(),
        )
        violations = {name: site.api.meter.violations for name, site in self._sites.items()}
        breaches = [*self._now.breaches, *generations_in_order(witness.sent), *budget_is_kept(violations)]
        breaches += await self._database.query(lambda c: at_the_end(c, judged), snapshot=True)
        raises = await self._database.query(lambda c: of_raises(c, judged), snapshot=True)
        if plan.truthful:
            breaches += raises.breaches
        return Outcome(
            seed=plan.seed,
            presets=plan.presets,
            breaches=tuple(breaches),
            orders=sum(len(site.marketplace.orders) for site in self._sites.values()),
            units=referee.sold.total(),
            oversold=referee.oversold_units,
            calls=sum(sum(site.api.calls.values()) for site in self._sites.values()),
            read_calls=witness.read_calls,
            keys_read=witness.keys_read,
            writes=len(witness.sent),
            raises=raises.checked,
            raised_over=raises.over,
            findings=await self._database.query(findings_opened),
            restarts=self._now.restarts,
            digest=await self._database.query(self._digest),
        )

    def _digest(self, connection: Connection) -> str:
        """A fingerprint of everything that happened, there and here."""
        whole = hashlib.sha256()
        for name, site in sorted(self._sites.items()):
            for entry in (*site.marketplace.log, *site.marketplace.changes):
                whole.update(f"{name} {entry}\n".encode())
        for key, position in sorted(proof.all_positions(connection).items()):
            whole.update(f"{key} {position.head}\n".encode())
        return whole.hexdigest()[:16]


@contextlib.asynccontextmanager
async def _until(moment: datetime | None, clock: LabClock) -> AsyncIterator[None]:
    """Ends the block at a moment, wherever it is then; None: never."""
    if moment is None:
        yield
        return
    wait = max(0.0, (moment - clock.now()).total_seconds())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait):
            yield
