"""`channelsync webhooks`: the receiver alone, beside the daemon or on another machine."""

from __future__ import annotations

import asyncio
import signal

import structlog

from channelsync.runtime.config import Loaded
from channelsync.runtime.logging import bound
from channelsync.runtime.receiver import refuse_bad_secrets
from channelsync.runtime.signals import on_signals
from channelsync.runtime.vitals import keep_beating
from channelsync.runtime.web import Web, listener_of
from channelsync.runtime.wiring import open_run
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sync.beats import Beats
from channelsync.sync.readiness import receiver_readiness
from channelsync.web.health import health_routes

log = structlog.get_logger(__name__)


async def run_webhooks(
    loaded: Loaded, *, stop: asyncio.Event | None = None, catalogue: Catalogue | None = None
) -> None:
    """Takes webhooks until SIGTERM, SIGINT or `stop`; requests under way are finished.

    It writes the inbox and nothing else; on SQLite it runs beside the daemon. Raises CannotListen, BadWebhookSecret
    and whatever opening the database raises. An address to listen on must be configured.
    """
    catalogue = catalogue or installed()
    stopped = stop or asyncio.Event()
    refuse_bad_secrets(loaded, catalogue, SystemClock())
    with listener_of(loaded.config) as listener:
        async with open_run(loaded, "webhooks", actor="daemon") as run:
            with (
                bound(run=run.run),
                on_signals({signal.SIGTERM: stopped.set, signal.SIGINT: stopped.set}),
            ):
                log.info("webhooks.started", database=run.database.name)
                beats = Beats(run.clock)
                beating = asyncio.create_task(keep_beating(beats, run.clock), name="beat")
                try:
                    await Web(
                        database=run.database,
                        clock=run.clock,
                        loaded=lambda: loaded,
                        catalogue=catalogue,
                        listener=listener,
                        routes=health_routes(beats, lambda: receiver_readiness(run.database)),
                    ).serve(stopped)
                finally:
                    beating.cancel()
                log.info("webhooks.stopped")
