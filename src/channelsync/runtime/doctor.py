"""`channelsync doctor`: looks at everything that can be wrong, whether a daemon runs or not, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from channelsync.domain.rule_conflicts import conflicts
from channelsync.runtime.config import SECRETS_FOLDER, Loaded
from channelsync.runtime.config_domain import rules_of
from channelsync.runtime.logging import SHORTEST_SECRET
from channelsync.runtime.wiring import database_file, receiver_of, setup_of
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import Catalogue
from channelsync.store import daemons
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import DatabaseError
from channelsync.store.inspection import inspect_postgresql, inspect_sqlite, sqlite_session
from channelsync.store.migrations import check_schema
from channelsync.store.standing import standing
from channelsync.store.stranded import stranded_units
from channelsync.store.vault import sealed_secrets
from channelsync.sync import doctor
from channelsync.sync.doctor import Diagnosis
from channelsync.sync.status import status
from channelsync.sync.vault import Seals

LARGE = 4 * doctor.GIGABYTE
"""Bytes beyond which a SQLite file is read whole only when that is asked for."""

SECRET_FILE = "secret file "  # noqa: S105 - how the configuration names where a value came from


async def diagnose(loaded: Loaded, catalogue: Catalogue, clock: Clock, *, full: bool = False) -> list[Diagnosis]:
    """Everything that was looked at. full: reads a SQLite file whole. Raises nothing that the database does."""
    points = [*_configuration(loaded), *_files(loaded), *_room(loaded)]
    path = database_file(loaded.config)
    if path is not None:
        if not path.is_file():
            return [*points, doctor.wrong("database", f"there is no {path}", "Run `channelsync db upgrade`.")]
        try:
            facts = await asyncio.to_thread(
                inspect_sqlite, path, thorough=full, check=full or path.stat().st_size <= LARGE
            )
        except (sqlite3.Error, OSError) as error:
            said = f"{path} cannot be read: {error}"
            return [*points, doctor.wrong("database", said, "Check its rights; else restore the last backup.")]
        if facts.journal_mode != "wal" or facts.problems:
            return [*points, *doctor.sqlite_points(facts, None)]  # opening it as the daemon does would write
    try:
        async with open_database(loaded.config.database.url) as database:
            if path is not None:
                points += doctor.sqlite_points(facts, await database.query(sqlite_session))
            else:
                points += doctor.postgresql_points(await database.query(inspect_postgresql), clock.now())
            points += await _inside(loaded, catalogue, clock, database)
    except DatabaseError as error:
        points.append(doctor.wrong("database", str(error), "See that it runs and that [database] url is right."))
    return points


async def _inside(loaded: Loaded, catalogue: Catalogue, clock: Clock, database: Database) -> list[Diagnosis]:
    try:
        await check_schema(database)
    except DatabaseError as error:
        return [doctor.wrong("schema", str(error), "Run `channelsync db upgrade`, or install the version it names.")]
    return await database.query(lambda c: _told(c, loaded, catalogue, clock), snapshot=True)


def _told(connection: Connection, loaded: Loaded, catalogue: Catalogue, clock: Clock) -> list[Diagnosis]:
    now = clock.now()
    setup = setup_of(connection, loaded, catalogue)
    found, serving = status(connection, setup, now), daemons.serving(connection, now)
    stand = standing(connection, setup.timings, now)
    names = [one.name for one in loaded.config.channels]
    return [
        doctor.fine("schema", "the tables are those of this version"),
        *doctor.process_points(serving),
        *doctor.clock_points(serving),
        *doctor.channel_points(found, setup),
        *_webhooks(loaded, catalogue, stand.events),
        *doctor.stranded_points(stranded_units(connection, {one.name for one in loaded.config.locations})),
        *doctor.standing_points(stand, now, daemon_runs=found.alive),
        *doctor.sealed_points(sealed_secrets(connection), Seals(loaded.config.secrets.keys), names),
    ]


def _webhooks(loaded: Loaded, catalogue: Catalogue, events: object) -> Iterator[Diagnosis]:
    """Channels that could send webhooks and have sent none."""
    heard = {channel for channel, _ in events} if isinstance(events, dict) else set()
    for one in loaded.config.channels:
        if catalogue.connector(one.connector).webhooks is None or one.mode == "off":
            continue
        if receiver_of(loaded.config, one.name) is None:
            said = f"{one.name}: none, for there is no [web] public_url; orders are polled"
            yield doctor.notice("webhooks", said, "Set public_url to hear of orders at once.")
        elif one.name not in heard:
            said = f"{one.name}: none has ever come"
            yield doctor.notice("webhooks", said, f"Run `channelsync channels check {one.name} --repair`.")
        else:
            yield doctor.fine("webhooks", f"{one.name}: they come")


def _configuration(loaded: Loaded) -> Iterator[Diagnosis]:
    found = [one.text for one in conflicts(rules_of(loaded.config, loaded.origins))]
    for text in found:
        yield doctor.notice("configuration", text, "Make one of the rules more specific, or take it away.")
    if not found:
        yield doctor.fine("configuration", f"{loaded.path} is valid")
    if loaded.config.web.listen.startswith(("0.0.0.0:", "[::]:")) and not loaded.config.web.trusted_proxies:
        said = f"[web] listen = {loaded.config.web.listen} takes connections from everywhere"
        yield doctor.notice("configuration", said, "Put a proxy that speaks HTTPS in front, and name it trusted.")


def _files(loaded: Loaded) -> Iterator[Diagnosis]:
    """Files with secrets that others on this machine may read. Those that an engine mounts are not ours to change."""
    named = {
        loaded.path.parent / origin.removeprefix(SECRET_FILE).partition(", named at ")[0]
        for origin in loaded.origins.values()
        if origin.startswith(SECRET_FILE)
    }
    if _holds_secrets(loaded):
        named.add(loaded.path)
    path = database_file(loaded.config)
    if path is not None and _all_may_read(path):
        yield doctor.notice("files", f"everybody on this machine may read {path}", f"Run `chmod o-rwx {path}`.")
    open_to_all = [str(one) for one in sorted(named) if _all_may_read(one)]
    if open_to_all:
        many = " ".join(open_to_all)
        yield doctor.wrong("files", f"everybody on this machine may read {many}", f"Run `chmod o-rwx {many}`.")
    else:
        yield doctor.fine("files", f"{len(named)} with secrets, none open to everybody")


def _holds_secrets(loaded: Loaded) -> bool:
    """Whether a secret is written in the configuration file itself."""
    try:
        said = loaded.path.read_text(encoding="utf-8")
    except OSError:
        return False
    return any(len(one) >= SHORTEST_SECRET and one in said for one in loaded.secrets)


def _all_may_read(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IROTH) and SECRETS_FOLDER not in path.resolve().parents


def _room(loaded: Loaded) -> Iterator[Diagnosis]:
    path = database_file(loaded.config)
    if path is not None and path.parent.is_dir():
        yield doctor.room_point(f"the database in {path.parent}", shutil.disk_usage(path.parent).free)
        if not os.access(path.parent, os.W_OK):
            yield doctor.wrong("disk", f"{path.parent} cannot be written", "Give its user the right to write there.")
