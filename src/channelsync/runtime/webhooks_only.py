"""`channelsync webhooks`: the receiver alone, beside the daemon or on another machine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from channelsync.runtime.config import Loaded, environment, load
from channelsync.runtime.logging import bound, set_level
from channelsync.runtime.receiver import refuse_bad_secrets
from channelsync.runtime.reload_plan import reload_of
from channelsync.runtime.reload_wishes import (
    Answer,
    ReloadRefused,
    Reread,
    Wishes,
    read_anew,
    refused,
    say_reloaded,
    told,
)
from channelsync.runtime.signals import on_signals
from channelsync.runtime.vitals import Life, keep_beating, keep_showing, process_told
from channelsync.runtime.web import Web, listener_of
from channelsync.runtime.wiring import OpenRun, open_run
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sdk.tasks import ended
from channelsync.sync.beats import Beats
from channelsync.sync.readiness import receiver_readiness
from channelsync.web.health import health_routes

log = structlog.get_logger(__name__)

_AGAIN_AFTER = 10.0
"""Seconds before a part that failed by an error that nobody foresaw is begun again."""


async def run_webhooks(
    loaded: Loaded,
    *,
    stop: asyncio.Event | None = None,
    catalogue: Catalogue | None = None,
    reread: Reread | None = None,
    keeps_level: bool = False,
) -> None:
    """Takes webhooks until SIGTERM, SIGINT or `stop`; requests under way are finished.

    It writes the inbox and its own sign of life, nothing else; on SQLite it runs beside the daemon. reread: reads the
    configuration anew, on SIGHUP; None: from the same file, with this process's environment. keeps_level: what is
    logged is not the configuration's to say. Raises CannotListen, BadWebhookSecret and whatever opening the database
    raises. An address to listen on must be configured.
    """
    catalogue = catalogue or installed()
    stopped = stop or asyncio.Event()
    refuse_bad_secrets(loaded, catalogue, SystemClock())
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listener_of(loaded.config))
        run = await stack.enter_async_context(open_run(loaded, "webhooks", actor="daemon"))
        stack.enter_context(bound(run=run.run))
        process = ReceiverProcess(
            run=run,
            loaded=loaded,
            catalogue=catalogue,
            reread=reread or partial(load, loaded.path, environment(), catalogue=catalogue),
            keeps_level=keeps_level,
        )
        stop_it, reload = stopped.set, process.wishes.ask
        stack.enter_context(on_signals({signal.SIGTERM: stop_it, signal.SIGINT: stop_it, signal.SIGHUP: reload}))
        log.info("webhooks.started", database=run.database.name)
        await stack.enter_async_context(process.parts())
        await Web(
            database=run.database,
            clock=run.clock,
            loaded=lambda: process.loaded,
            catalogue=catalogue,
            listener=listener,
            routes=health_routes(process.beats, lambda: receiver_readiness(run.database)),
        ).serve(stopped)
        log.info("webhooks.stopped")


@dataclass(slots=True, kw_only=True)
class ReceiverProcess:
    """What a receiver is beside its server: its beat, its sign of life, and its configuration, which may be read anew.

    loaded: the one in use. reread, keeps_level: see `run_webhooks`.
    """

    run: OpenRun
    loaded: Loaded
    catalogue: Catalogue
    reread: Reread
    keeps_level: bool = False
    wishes: Wishes = field(init=False)
    beats: Beats = field(init=False)

    def __post_init__(self) -> None:
        self.wishes = Wishes(database=self.run.database, run=self.run.run)
        self.beats = Beats(self.run.clock)

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[None]:
        """Keeps all of it going while the block runs. None of it failing ends what takes webhooks."""
        run = self.run
        life = Life(database=run.database, clock=run.clock, run=run.run, command="webhooks", told=self._told)
        parts = {
            "beat": lambda: keep_beating(self.beats, run.clock),
            "life": lambda: keep_showing(life, self.wishes.ask),
            "reload": lambda: self.wishes.keep(self.reload),
        }
        tasks = [asyncio.create_task(self._keep_going(name, part), name=name) for name, part in parts.items()]
        try:
            yield
        finally:
            await ended(tasks)

    async def reload(self) -> Answer:
        """Reads the configuration and takes it, or refuses it as a whole; returns what to tell whoever asked.

        Its doors are those of the new one within seconds: see `receiver.Doors`. It moves no number, so it is no run.
        """
        try:
            plan = reload_of(self.loaded, read_anew(self.reread, self.catalogue, self.run.clock))
        except ReloadRefused as error:
            return refused(self.loaded.path, error)
        if plan.waiting:
            log.warning("config.needs_restart", settings=", ".join(plan.waiting))
        if plan.nothing:
            log.info("config.unchanged", file=str(self.loaded.path))
            return told("unchanged", plan)
        self.loaded = plan.loaded
        if not self.keeps_level:
            set_level(plan.loaded.config.log.level)
        say_reloaded(plan)
        return told("reloaded", plan)

    def _told(self) -> dict[str, object]:
        listen = self.loaded.config.web.listen
        return {"config": str(self.loaded.path.resolve()), "listen": listen, **process_told(self.beats)}

    async def _keep_going(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Runs a part again and again until it is cancelled."""
        while True:
            try:
                await part()
            except Exception:
                log.exception("part.failed", part=name, again_in=_AGAIN_AFTER)
            await self.run.clock.sleep(_AGAIN_AFTER)
