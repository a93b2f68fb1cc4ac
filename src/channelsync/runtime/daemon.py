"""The daemon: the loops of every channel and what they share, until it is told to stop.

Every part is kept going by itself. An error that nobody foresaw ends one part; it is logged, becomes a finding, and
the part begins again after a pause, while the others go on. A channel follows its mode: one that is switched off is
closed, one that is switched on is opened, without a restart.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from pydantic import SecretStr

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.runtime.config import Loaded, environment, load
from channelsync.runtime.config_models import ChannelConfig
from channelsync.runtime.first_look import look_before_publishing
from channelsync.runtime.hooks import keep_hooks
from channelsync.runtime.logging import bound, lost_lines
from channelsync.runtime.pauses import first_of_all, pause_after
from channelsync.runtime.receiver import refuse_bad_secrets
from channelsync.runtime.reload import ChannelParts, Reloader
from channelsync.runtime.reload_wishes import Reread
from channelsync.runtime.signals import on_signals
from channelsync.runtime.taken_out import look_at_taken_out
from channelsync.runtime.tasks import tasks_kept
from channelsync.runtime.ticker import keep_schedule
from channelsync.runtime.vitals import daemon_life, keep_beating, keep_showing, publishing_workers, serve_metrics
from channelsync.runtime.web import Web, daemon_routes, listener_of
from channelsync.runtime.wiring import database_file, open_agent, opened_channel, worker_name
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.observing import observing_calls
from channelsync.sdk.redaction import redact_text
from channelsync.sdk.tasks import ended, first_of
from channelsync.store import channels, findings
from channelsync.store.channels import ChannelState
from channelsync.store.database_errors import DatabaseError
from channelsync.store.sqlite_check import refuse_damaged
from channelsync.sync.agent import Agent
from channelsync.sync.inbox import keep_following
from channelsync.sync.leasing import Leases
from channelsync.sync.loops import forget_beats, keep_measures, run_channel
from channelsync.sync.schedule import Schedule, held_by
from channelsync.sync.setup import ChannelSetup, Mode
from channelsync.sync.switches import mode_now
from channelsync.sync.wake_ups import hear_others, tell_others
from channelsync.web.metrics import Meter

log = structlog.get_logger(__name__)

STEADY_AFTER = 300.0
"""Seconds after which a part that was begun again counts as well: its finding is closed."""

_LOOK_EVERY = 3.0
"""Seconds between two looks at a channel's mode, and at what was found."""

_TOLD_MAX = 50
"""Findings told in the log at once; all of them stand in the database."""


async def run_daemon(
    loaded: Loaded,
    *,
    only_observe: bool = False,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    catalogue: Catalogue | None = None,
    reread: Reread | None = None,
    keeps_level: bool = False,
) -> None:
    """Runs every channel until SIGTERM, SIGINT or `stop`; then finishes what is under way and gives up its leases.

    only_observe: nothing is written to any channel. reread: reads the configuration anew, on SIGHUP; None: from the
    same file, with this process's environment. keeps_level: what is logged is not the configuration's to say.

    Raises PublisherRunning (SQLite: another daemon runs), DatabaseDamaged (SQLite: a page of the file is broken),
    CannotListen (the port of [web] is taken) and whatever opening the database raises; once it runs, nothing ends it
    but being told to stop.
    """
    catalogue = catalogue or installed()
    stopped = stop or asyncio.Event()
    if (file := database_file(loaded.config)) is not None:
        await asyncio.to_thread(refuse_damaged, file)
    async with (
        AsyncExitStack() as stack,
        open_agent(
            loaded,
            "run --observe" if only_observe else "run",
            actor="daemon",
            channels=(),
            clock=clock,
            catalogue=catalogue,
            publisher=True,
            only_observe=only_observe,
        ) as agent,
    ):
        with bound(run=agent.run):
            refuse_bad_secrets(loaded, catalogue, agent.clock)
            listener = stack.enter_context(listener_of(loaded.config))
            daemon = Daemon(
                agent=agent, loaded=loaded, catalogue=catalogue, listener=listener, only_observe=only_observe
            )
            daemon.reloader = Reloader(
                agent=agent,
                loaded=loaded,
                reread=reread or partial(load, loaded.path, environment(), catalogue=catalogue),
                catalogue=catalogue,
                parts=ChannelParts(close=daemon.close_channels, open=daemon.open_channels),
                taken=daemon.take,
                only_observe=only_observe,
                keeps_level=keeps_level,
            )
            stop_it, reload = stopped.set, daemon.reloader.wishes.ask
            stack.enter_context(on_signals({signal.SIGTERM: stop_it, signal.SIGINT: stop_it, signal.SIGHUP: reload}))
            await daemon.forget()
            await daemon.say_started()
            await look_before_publishing(agent, database_file(loaded.config))
            await daemon.work(stopped)
            log.info("daemon.stopped")


@dataclass(slots=True, kw_only=True)
class Daemon:
    """The parts of one daemon and how they are kept going.

    loaded: the configuration in use; a reload puts another there. listener: of its server; None: it has none.
    only_observe: it was started with --observe.
    reloader: reads the configuration anew; None: nothing does. running: the parts that keep channels, by channel.
    """

    agent: Agent
    loaded: Loaded
    catalogue: Catalogue
    listener: socket.socket | None = None
    only_observe: bool = False
    reloader: Reloader | None = None
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    begin: Callable[[ChannelConfig], asyncio.Task[None]] | None = None

    async def forget(self) -> None:
        """Looks at what was taken out of the configuration while no daemon ran."""
        now = self.agent.clock.now()
        await self.agent.database.transact(lambda c: look_at_taken_out(c, self.loaded.config, now))

    async def say_started(self) -> None:
        """The first line of the log: what runs here, on which database, with which channels in which mode."""
        modes = {one.name: await self._mode(one.name) for one in self.loaded.config.channels}
        log.info(
            "daemon.started",
            database=self.agent.database.name,
            channels=", ".join(f"{name} {mode}" for name, mode in modes.items()) or "none",
            locations=", ".join(self.agent.setup.locations),
        )

    async def work(self, stopped: asyncio.Event) -> None:
        """Runs until `stopped` is set. Channels end first, the leases after them: no other worker comes in between."""
        agent = self.agent
        leases = Leases(agent, worker_name(agent.run), self.loaded.config.limits.lease, publishing_workers)
        agent.held = leases.accounts
        schedule = self._schedule(leases)
        web = Web(
            database=agent.database,
            clock=agent.clock,
            loaded=lambda: self.loaded,
            catalogue=self.catalogue,
            listener=self.listener,
            routes=daemon_routes(agent, lambda: self.loaded),
        )
        meter = Meter(agent, lost_lines, web.counters)
        with observing_calls(meter):  # by all that is begun in here
            shared = self._shared(leases, schedule, web, meter, stopped)
            self.begin = lambda one: self._kept(
                one.name, partial(self._keep_channel, one, leases, schedule), channel=one.name
            )
            self.open_channels([one.name for one in self.loaded.config.channels])
        try:
            await stopped.wait()
            log.info("daemon.stopping")
        finally:
            agent.stopping = True
            await ended(list(self.running.values()))
            await ended(shared)

    def _shared(
        self, leases: Leases, schedule: Schedule, web: Web, meter: Meter, stopped: asyncio.Event
    ) -> list[asyncio.Task[None]]:
        """The parts that all channels share, begun."""
        agent, metrics = self.agent, self.loaded.config.web.metrics
        shared = [
            self._kept("leases", leases.keep),
            self._kept("measures", lambda: keep_measures(agent)),
            self._kept("schedule", lambda: keep_schedule(agent.clock, schedule)),
            self._kept("tell", lambda: tell_others(agent)),
            self._kept("hear", lambda: hear_others(agent)),
            self._kept("findings", self._tell_findings),
            self._kept("web", lambda: web.serve(stopped)),
            self._kept("hooks", lambda: keep_hooks(agent, lambda: self.loaded)),
            self._kept("inbox", lambda: keep_following(agent, leases, web.arrived)),
            self._kept("beat", lambda: keep_beating(agent.beats, agent.clock)),
            self._kept("life", lambda: keep_showing(daemon_life(agent, self._facts(), self._file), self._wish)),
            self._kept("metrics", lambda: serve_metrics(agent, meter, metrics, stopped)),
        ]
        if self.reloader is not None:
            shared.append(self._kept("reload", self.reloader.keep))
        return shared

    def _facts(self) -> dict[str, object]:
        return {
            "config": str(self.loaded.path.resolve()),
            "listen": self.loaded.config.web.listen,
            "only_observe": self.only_observe,
        }

    @property
    def _file(self) -> Path | None:
        return database_file(self.loaded.config)

    def _wish(self, run: str) -> None:
        if self.reloader is not None:
            self.reloader.wishes.ask(run)

    def take(self, loaded: Loaded) -> None:
        """From now on this configuration is in use."""
        self.loaded = loaded

    def open_channels(self, names: Sequence[str]) -> None:
        """Begins to keep these configured channels."""
        for one in self.loaded.config.channels:
            if one.name in names and self.begin is not None:
                self.running[one.name] = self.begin(one)

    async def close_channels(self, names: Sequence[str]) -> None:
        """Stops keeping these channels; a push that is under way may end first."""
        for name in names:
            if name in self.agent.channels:
                self.agent.channels[name].closing = True
        await ended([self.running.pop(name) for name in names if name in self.running])

    def _kept(self, name: str, part: Callable[[], Awaitable[None]], channel: str = "") -> asyncio.Task[None]:
        return asyncio.create_task(self._keep_going(name, part, channel), name=name)

    async def _keep_going(self, name: str, part: Callable[[], Awaitable[None]], channel: str) -> None:
        """Runs a part again and again until it ends by itself or is cancelled."""
        failures = 0
        while True:
            steady = asyncio.create_task(self._steady(name))
            began = self.agent.clock.monotonic()
            try:
                error = await _failure_of(part)
            finally:
                steady.cancel()
            if error is None:
                return
            failures = 1 if self.agent.clock.monotonic() - began >= STEADY_AFTER else failures + 1
            pause = pause_after(failures, first_of_all(error))
            log.error("part.failed", part=name, reason=self._reason(error), again_in=pause, exc_info=error)
            await self._report(name, channel, error)
            await self.agent.clock.sleep(pause)

    async def _steady(self, name: str) -> None:
        """Closes the finding of a part that runs well again, be it one that an earlier process opened."""
        await self.agent.clock.sleep(STEADY_AFTER)
        await self._write_findings([], [fingerprint(FindingKind.TASK_FAILED, name)])

    async def _report(self, name: str, channel: str, error: Exception) -> None:
        what = f"The daemon's part {name!r} stopped by an error that it does not know: {self._reason(error)}. "
        follows = "It is begun again after a pause; look into the log, and report it if it comes back."
        finding = Finding(kind=FindingKind.TASK_FAILED, subject=(name,), channel=channel, summary=what + follows)
        await self._write_findings([finding], [])

    async def _write_findings(self, opened: Sequence[Finding], closed: Sequence[str]) -> None:
        """Without a database there is nowhere to write them; the log has it."""
        now = self.agent.clock.now()
        with suppress(DatabaseError):
            await self.agent.database.transact(lambda c: findings.open_findings(c, opened, now))
            await self.agent.database.transact(lambda c: findings.close_findings(c, closed, "it runs well again", now))

    def _reason(self, error: BaseException) -> str:
        first = first_of_all(error)
        secrets = tuple(SecretStr(one) for one in self.loaded.secrets)
        return redact_text(f"{type(first).__name__}: {first}", secrets)

    def _schedule(self, leases: Leases) -> Schedule:
        return Schedule(
            agent=self.agent,
            tasks=tasks_kept(self.agent, lambda: self.loaded),
            owner=worker_name(self.agent.run),
            held=held_by(self.agent, leases),
            reason=self._reason,
        )

    async def _keep_channel(self, config: ChannelConfig, leases: Leases, schedule: Schedule) -> None:
        """One channel, open and running whenever it is not off, and opened anew when its account was connected."""
        while True:
            await self._until(config.name, lambda state: mode_now(self._setup(config.name), state) != "off")
            before = (await self.agent.database.query(channels.channel_states)).get(config.name)
            try:
                await self._run_open(config, leases, schedule)
            except NeedsSeller as error:  # of the opening: what runs keeps its own
                await self._needs_seller(config.name, error)
                await self._until(config.name, partial(_connected_since, before))

    async def _run_open(self, config: ChannelConfig, leases: Leases, schedule: Schedule) -> None:
        """One channel until it is off or its account was connected anew. Raises what opening it raises."""
        async with opened_channel(self.agent, self.loaded, config, self.catalogue) as channel:
            channel.setup = self._setup(config.name)  # a reload may have come in between
            self.agent.add_channel(channel)
            with bound(channel=config.name):
                log.info("channel.opened", mode=await self._mode(config.name))
            await self._write_findings([], [fingerprint(FindingKind.NEEDS_SELLER, config.name, "open")])

            def closed(state: ChannelState | None) -> bool:
                connected = state.connected_at if state is not None else None
                return mode_now(channel.setup, state) == "off" or connected != channel.connected_at

            try:
                await first_of(run_channel(self.agent, channel, leases), self._until(config.name, closed))
            finally:
                del self.agent.channels[config.name]
                forget_beats(self.agent, channel)
                await schedule.end(config.name)
        log.info("channel.closed", channel=config.name, mode=await self._mode(config.name))

    async def _needs_seller(self, name: str, error: NeedsSeller) -> None:
        log.warning("channel.needs_seller", channel=name, reason=self._reason(error))
        finding = Finding(
            kind=FindingKind.NEEDS_SELLER,
            subject=(name, "open"),
            channel=name,
            summary=f"{name} cannot be opened: {self._reason(error).partition(': ')[2]}",
        )
        await self._write_findings([finding], [])

    async def _until(self, name: str, holds: Callable[[ChannelState | None], bool]) -> None:
        """Returns once something holds of a channel's row."""
        while not holds((await self.agent.database.query(channels.channel_states)).get(name)):
            await self.agent.clock.sleep(_LOOK_EVERY)

    def _setup(self, name: str) -> ChannelSetup:
        return self.agent.setup.channels[name]

    async def _mode(self, name: str) -> Mode:
        states = await self.agent.database.query(channels.channel_states)
        return mode_now(self._setup(name), states.get(name))

    async def _tell_findings(self) -> None:
        """Tells in the log what is found from now on."""
        newest = max([one.id for one in await self._findings(limit=1)], default=0)
        while True:
            await self.agent.clock.sleep(_LOOK_EVERY)
            fresh = [one for one in await self._findings(limit=_TOLD_MAX) if one.id > newest]
            for one in sorted(fresh, key=lambda one: one.id):
                newest = one.id
                log.warning("finding.opened", kind=one.kind, channel=one.channel, summary=one.summary)

    async def _findings(self, limit: int) -> list[findings.StoredFinding]:
        return await self.agent.database.query(lambda c: findings.list_findings(c, only_open=False, limit=limit))


def _connected_since(before: ChannelState | None, now: ChannelState | None) -> bool:
    return now is not None and now.connected_at != (before.connected_at if before is not None else None)


async def _failure_of(part: Callable[[], Awaitable[None]]) -> Exception | None:
    """What ended a part; None: it ended by itself."""
    try:
        await part()
    except Exception as error:  # noqa: BLE001 - one part that fails must not stop the others
        return error
    return None
