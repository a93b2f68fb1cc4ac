"""Processes that serve, one row each: their signs of life, what they say of themselves, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from channelsync.store.codec import dump, load
from channelsync.store.leases import database_now
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_DAEMON = metadata.tables["daemon"]

FORGOTTEN_AFTER = timedelta(days=1)
"""How long the row of a process that was killed is kept, for whoever asks what ran here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingProcess:
    """A process that serves. run: its run. command: "run" or "webhooks".

    silent: since its last sign of life, by the database's clock. told: plain values, as `show_life` was given them.
    reload_wanted: the run that asked it last to read its configuration anew; empty: none did. reload_done,
    reload_said: the last such run that it answered, and its answer.
    """

    run: str
    command: str
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_at: datetime
    silent: timedelta = timedelta()
    told: Mapping[str, Any] = field(default_factory=dict)
    reload_wanted: str = ""
    reload_done: str = ""
    reload_said: Mapping[str, Any] = field(default_factory=dict)


def begin_serving(connection: Connection, process: ServingProcess, local: datetime) -> None:
    """Adds a process that begins to serve; forgets those that died long ago."""
    now = database_now(connection, local)
    connection.execute(delete(_DAEMON).where(_DAEMON.c.beat_at < now - FORGOTTEN_AFTER))
    row = {
        "run": process.run,
        "command": process.command,
        "host": process.host,
        "pid": process.pid,
        "version": process.version,
        "started_at": process.started_at,
        "beat_at": now,
        "told": dump(dict(process.told)),
        "reload_wanted": "",
        "reload_done": "",
        "reload_said": b"",
    }
    connection.execute(insert_ignoring(_DAEMON, connection.dialect.name), [row])


def show_life(connection: Connection, process: ServingProcess, local: datetime) -> str:
    """A sign of life, with what the process says of itself now; returns the run that wants a reload, or nothing.

    A process that was taken for dead, and its row forgotten, gets it back.
    """
    shown = connection.execute(
        update(_DAEMON)
        .where(_DAEMON.c.run == process.run)
        .values(beat_at=database_now(connection, local), told=dump(dict(process.told)))
    )
    if not shown.rowcount:
        begin_serving(connection, process, local)
    return wanted_reload(connection, process.run)


def wanted_reload(connection: Connection, run: str) -> str:
    """The run that wants this process to read its configuration anew and has no answer yet; empty: none."""
    row = connection.execute(select(_DAEMON.c.reload_wanted, _DAEMON.c.reload_done).where(_DAEMON.c.run == run)).first()
    return "" if row is None or row.reload_wanted == row.reload_done else str(row.reload_wanted)


def end_serving(connection: Connection, run: str) -> None:
    """The process ended as it should: there is nothing to know of it any more."""
    connection.execute(delete(_DAEMON).where(_DAEMON.c.run == run))


def serving(connection: Connection, local: datetime) -> list[ServingProcess]:
    """All processes that serve, or did and died within a day; the one that began first in front."""
    now = database_now(connection, local)
    found = connection.execute(select(_DAEMON).order_by(_DAEMON.c.started_at, _DAEMON.c.run)).mappings()
    return [
        ServingProcess(
            **{
                **row,
                "silent": max(timedelta(), now - row["beat_at"]),
                "told": load(row["told"]) or {},
                "reload_said": load(row["reload_said"]) or {},
            }
        )
        for row in found
    ]


def publishers(connection: Connection, local: datetime, alive_within: timedelta) -> list[str]:
    """The runs of all daemons that gave a sign of life so recently; the one that began first in front."""
    alive = _DAEMON.c.beat_at >= database_now(connection, local) - alive_within
    found = select(_DAEMON.c.run).where(_DAEMON.c.command == "run", alive)
    return list(connection.scalars(found.order_by(_DAEMON.c.started_at, _DAEMON.c.run)))


def ask_to_reload(connection: Connection, wish: str, local: datetime, alive_within: timedelta) -> list[str]:
    """Asks every process that gave a sign of life so recently to read its configuration anew; returns their runs."""
    alive = _DAEMON.c.beat_at >= database_now(connection, local) - alive_within
    asked = list(connection.execute(select(_DAEMON.c.run).where(alive).order_by(_DAEMON.c.run)).scalars())
    connection.execute(update(_DAEMON).where(_DAEMON.c.run.in_(asked)).values(reload_wanted=wish))
    return asked


def answer_reload(connection: Connection, run: str, wish: str, said: Mapping[str, object]) -> None:
    """What became of the reload that somebody asked this process for."""
    connection.execute(
        update(_DAEMON).where(_DAEMON.c.run == run).values(reload_done=wish, reload_said=dump(dict(said)))
    )
