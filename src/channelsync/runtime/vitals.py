"""The signs of life of a process that serves: its loop's beat, its row in the database, and its port for metrics."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import structlog
from sqlalchemy import Connection

from channelsync.runtime.logging import lost_lines
from channelsync.runtime.process_facts import resident_bytes
from channelsync.runtime.wiring import worker_name
from channelsync.sdk.clock import Clock
from channelsync.store import daemons, place
from channelsync.store.daemons import ServingProcess
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.agent import Agent
from channelsync.sync.beats import LOOP, Beats
from channelsync.sync.readiness import readiness
from channelsync.web.addresses import Listen
from channelsync.web.app import build_app
from channelsync.web.health import health_routes
from channelsync.web.metrics import Meter, metrics_routes
from channelsync.web.server import serve

log = structlog.get_logger(__name__)

LOOP_EVERY = 5.0
LOOP_WITHIN = 30.0
"""Seconds between two beats of the event loop, and after how many it counts as stuck."""

DELAYS_KEPT = 12
"""Beats whose delay is remembered: those of a minute."""

LOOK_EVERY = 2.0
SHOWN_EVERY = 10.0
"""Seconds between two looks whether a reload is wanted, and between two signs of life in the database."""

_ALIVE_WITHIN = timedelta(seconds=2 * SHOWN_EVERY)


async def keep_beating(beats: Beats, clock: Clock) -> None:
    """Beats for the event loop, and measures how late it wakes up, until it is cancelled."""
    delays: deque[float] = deque(maxlen=DELAYS_KEPT)
    while True:
        beats.touch(LOOP, LOOP_WITHIN)
        asked = clock.monotonic()
        await clock.sleep(LOOP_EVERY)
        delays.append(max(0.0, clock.monotonic() - asked - LOOP_EVERY))
        beats.loop_delay = max(delays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A process that serves, as it shows itself in the database.

    run: its run. command: "run" or "webhooks". told: what it says of itself now, in plain values; for `channelsync
    status` and `doctor`, which are other processes. shown: is told the time of every sign of life that is durable.
    """

    database: Database
    clock: Clock
    run: str
    command: str
    told: Callable[[], Mapping[str, object]]
    shown: Callable[[datetime], None] = lambda _at: None


def daemon_life(agent: Agent, lasting: Mapping[str, object], file: Path | None) -> Life:
    """A daemon. lasting: what it says of itself that does not change. file: of the SQLite database: the file beside it
    learns of every sign of life, see `store.place`.
    """

    def told() -> dict[str, object]:
        return {**lasting, **process_told(agent.beats), **_told(agent)}

    def shown(at: datetime) -> None:
        if file is not None:
            with suppress(OSError):  # a folder that nothing can be written to: then nothing is noticed
                place.remember_run(place.mark_of(file), agent.run, at)

    return Life(database=agent.database, clock=agent.clock, run=agent.run, command="run", told=told, shown=shown)


async def keep_showing(life: Life, wish: Callable[[str], None]) -> None:
    """Gives a sign of life in the database now and then, until it is cancelled; then takes the row away.

    wish: is told the run that wants the configuration read anew.
    """
    clock, database = life.clock, life.database
    process = ServingProcess(
        run=life.run,
        command=life.command,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=version("channelsync"),
        started_at=clock.now(),
        beat_at=clock.now(),
    )
    shown = -SHOWN_EVERY
    wished = ""
    try:
        while True:
            try:
                if clock.monotonic() - shown >= SHOWN_EVERY:
                    now, shown = clock.now(), clock.monotonic()
                    alive = replace(process, told=life.told())
                    asked = await database.transact(lambda c: daemons.show_life(c, alive, now))  # noqa: B023
                    life.shown(now)
                else:
                    asked = await database.query(lambda c: daemons.wanted_reload(c, life.run))
            except DatabaseError as error:
                log.warning("life.not_shown", reason=str(error))
                asked = ""
            if asked and asked != wished:
                wished = asked
                wish(asked)
            await clock.sleep(LOOK_EVERY)
    finally:
        await _taken_away(life)


def publishing_workers(connection: Connection, local: datetime) -> list[str]:
    """The daemons that are alive, by the names by which they hold leases: those that share the accounts."""
    return [worker_name(run) for run in daemons.publishers(connection, local, _ALIVE_WITHIN)]


async def _taken_away(life: Life) -> None:
    """Without a database the row stays, and is forgotten after a day."""
    try:
        await life.database.transact(lambda c: daemons.end_serving(c, life.run))
    except DatabaseError as error:
        log.warning("life.not_shown", reason=str(error))


def process_told(beats: Beats) -> dict[str, object]:
    """What every process that serves says of itself."""
    return {
        "late": beats.late(),
        "loop_delay": round(beats.loop_delay, 3),
        "resident_bytes": resident_bytes(),
        "lost_lines": lost_lines(),
    }


def _told(agent: Agent) -> dict[str, object]:
    return {"held": list(agent.held()), "channels": {name: _channel(agent, name) for name in agent.channels}}


def _channel(agent: Agent, name: str) -> dict[str, object]:
    channel = agent.channels[name]
    time = channel.breaker.server_time
    return {
        "held": channel.identity in agent.held() or agent.database.dialect == "sqlite",
        "clock_ahead": None if time is None else time.ahead.total_seconds(),
        "breaker_until": channel.breaker.state.retry_at,
        "needs_seller": channel.breaker.state.needs_seller,
        "budget": {bucket: round(channel.limiter.available(bucket=bucket), 1) for bucket in channel.limiter.budgets()},
    }


async def serve_metrics(agent: Agent, meter: Meter, listen: str, stopped: asyncio.Event) -> None:
    """Serves /metrics, and /healthz and /readyz with all they know, until `stopped` is set. listen empty: nowhere.

    Raises CannotListen.
    """
    if not listen:
        return
    routes = [*metrics_routes(meter), *health_routes(agent.beats, lambda: readiness(agent), details=True)]
    await serve(build_app(routes), Listen.parse(listen), stopped=stopped)
