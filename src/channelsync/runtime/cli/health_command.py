"""`channelsync health`: whether the daemon here lives, for a container's health check."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.sdk.clock import SystemClock

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")]

ANSWERS_WITHIN = 5.0
"""Seconds that a process has to answer."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where others listen, not we


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a process lives. beat_age: seconds since it was heard of; None: it was not. by: how we know."""

    alive: bool
    found: str
    beat_age: float | None
    by: str


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("health")(health)


def health(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this address (http://127.0.0.1:8080), whatever is configured.")
    ] = None,
    max_lag: Annotated[
        float, typer.Option("--max-lag", metavar="SECONDS", min=1.0, help="The oldest sign of life that will do.")
    ] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Whether the daemon on this machine lives: 0 when it does, else 1. Meant for a container's HEALTHCHECK.

    It asks /healthz of the daemon's own server ([web] listen); without one it looks for the sign of life that the
    daemon leaves in the database every ten seconds. A daemon that cannot reach a channel lives: `channelsync status`
    tells of that.
    """
    asked = url
    loaded = None
    if asked is None:
        loaded = invocation(context).load()
        asked = address_of(loaded.config.web.listen)
    found = _by_http(asked, max_lag) if asked else _by_row(loaded, max_lag)
    output = Output(as_json=as_json)
    if as_json:
        output.document(found)
    else:
        output.say(f"{'alive' if found.alive else 'not alive'}: {found.found}")
    if not found.alive:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def address_of(listen: str) -> str:
    """Where this machine reaches a server that listens there; empty: there is none."""
    if not listen:
        return ""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _by_http(address: str, max_lag: float) -> Health:
    """What /healthz says. Raises CommandFailed for an address that is none."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        raise CommandFailed(f"{address!r} is no address such as http://127.0.0.1:8080", ExitCode.USAGE)
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/healthz")
        answer = connection.getresponse()
        told = json.loads(answer.read(65_536))
        age = float(told["beat_age_seconds"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return Health(alive=False, found=f"{address} does not answer: {error!r}", beat_age=None, by=address)
    finally:
        connection.close()
    if answer.status != http.client.OK:
        return Health(alive=False, found=f"{told.get('late')} of its parts are late", beat_age=age, by=address)
    fresh = age <= max_lag
    return Health(alive=fresh, found=f"last sign of life {age:.0f} s ago", beat_age=age, by=address)


def _by_row(loaded: Loaded | None, max_lag: float) -> Health:
    """What the newest daemon of this machine left in the database. Raises DatabaseError."""
    from channelsync.runtime.wiring import open_reading
    from channelsync.store import daemons

    async def read() -> Health:
        if loaded is None:
            raise TypeError("the configuration is read where no address is given")
        now = SystemClock().now()
        async with open_reading(loaded) as database:
            here = [
                one
                for one in await database.query(lambda c: daemons.serving(c, now))
                if one.host == socket.gethostname() and one.command != "webhooks"
            ]
        if not here:
            return Health(
                alive=False, found="no daemon of this machine is in the database", beat_age=None, by="database"
            )
        newest = here[-1]
        age, late = newest.silent.total_seconds(), newest.told.get("late", [])
        found = f"process {newest.pid}: last sign of life {age:.0f} s ago"
        if late:
            found = f"{found}; late: {', '.join(late)}"
        return Health(alive=age <= max_lag and not late, found=found, beat_age=age, by="database")

    return awaited(read())
