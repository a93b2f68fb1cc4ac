"""kill -9 of `channelsync db upgrade` in the middle of a database of an older version: run again, it is done."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from channelsync.store.database import Database, open_database
from channelsync.store.migrations import check_schema, current
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

LoadReleased = Callable[[Database, str], Awaitable[None]]

HANG_GUARD = 300.0
OLD = "0001"
COMMAND = """\
import os, signal, sys
from sqlalchemy import Engine, event
from channelsync.runtime.cli import main

moment = sys.argv.pop(1)
changes = 0

@event.listens_for(Engine, "after_cursor_execute")
def look(connection, cursor, statement, *more):
    global changes
    changes += statement.split()[0].upper() in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")
    if moment == str(changes) or statement.startswith(moment):
        os.kill(os.getpid(), signal.SIGKILL)

sys.exit(main())
"""
"""A command, killed right after a statement: the so-many-th that changes something, or one that begins so."""

MOMENTS = ("20", "UPDATE alembic_version")
"""The last one is the last statement before the commit."""

CONFIG = '[database]\nurl = "{url}"\n[[location]]\nname = "main"\n'


def everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    names = sorted(inspect(connection).get_table_names())
    return {name: sorted(map(tuple, connection.execute(text(f'SELECT * FROM "{name}"'))), key=repr) for name in names}


async def ran(config: Path, *arguments: str, killed_after: str = "never") -> subprocess.CompletedProcess[str]:
    """A command, and how it ended."""
    command = [sys.executable, "-c", COMMAND, killed_after, "--config", str(config), *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=HANG_GUARD
    )


@pytest.mark.fault(58, "killed in the middle or before its commit: all is as it was, no daemon starts; it is run again")
async def test_an_upgrade_that_is_killed_in_the_middle_leaves_everything_as_it_was_and_is_simply_run_again(
    empty_url: str, load_released: LoadReleased, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(url=empty_url))
    async with open_database(empty_url) as database:
        await load_released(database, OLD)
        before = await database.query(everything)
        for moment in MOMENTS:
            killed = await ran(config, "db", "upgrade", killed_after=moment)
            assert killed.returncode == -signal.SIGKILL, moment
            assert await database.query(everything) == before
            assert await current(database) == OLD
        refused = await ran(config, "run")
        assert (refused.returncode, "channelsync db upgrade" in refused.stderr) == (6, True)
        assert (await ran(config, "db", "upgrade")).returncode == 0
        await check_schema(database)
        assert (await database.query(verify, snapshot=True)).problems == []
