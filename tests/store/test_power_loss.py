"""Power loss on SQLite: what was never told to stay on disk is gone, and what we answered for is still there.

A process commits and says so; strace writes down every write and every fsync of its files. From that the disk is made
again as it would be when power failed at each of those moments: of every file only what was there at its last fsync,
or that and any part of what was written since.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def strace_works() -> bool:
    """Containers may forbid it."""
    found = shutil.which("strace")
    return found is not None and subprocess.run([found, "-o", "/dev/null", "true"], check=False).returncode == 0


pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not strace_works(), reason="strace is not installed, or may not be used here"),
]

COMMITS = 150
SCRIPT = """
import asyncio, os, sys
from sqlalchemy import text
from channelsync.store import sqlite
from channelsync.store.database import open_database

async def work(url, commits):
    async with open_database(url) as database:
        await database.transact(lambda c: c.execute(text("CREATE TABLE note (number INTEGER PRIMARY KEY, said TEXT)")))
        for number in range(commits):
            row = {"number": number, "said": "x" * 500}
            await database.transact(lambda c: c.execute(text("INSERT INTO note VALUES (:number, :said)"), row))
            os.write(1, b"acknowledged %d\\n" % number)
            if number == commits // 2:
                await database.transact(lambda c: c.execute(text("UPDATE note SET said = 'y' || said")))

real = sqlite.connect
def connect(path, **settings):
    connection = real(path, **settings)
    connection.execute("PRAGMA wal_autocheckpoint = 40")  # several checkpoints in a short life
    if sys.argv[3] != "as we set it":
        connection.execute(f"PRAGMA synchronous = {sys.argv[3]}")
    return connection
sqlite.connect = connect
asyncio.run(work(sys.argv[1], int(sys.argv[2])))
"""
CALL = re.compile(
    r"^\d+ +(?P<name>\w+)\((?P<fd>\d+)<(?P<path>[^>]*)>(?:, (?P<rest>.*))?\) += (?P<result>-?\d+)", re.DOTALL
)


@dataclass(slots=True)
class File:
    """One file: as its last fsync left it, and the writes and cuts since: (where, bytes; None: cut there)."""

    durable: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def synced(self) -> None:
        self.durable = self.after(self.since)
        self.since = []

    def after(self, changes: list[tuple[int, bytes | None]]) -> bytearray:
        """What is on disk where these changes got there."""
        found = bytearray(self.durable)
        for where, written in changes:
            if written is None:
                del found[where:]
                continue
            found.extend(b"\0" * (where - len(found)))
            found[where : where + len(written)] = written
        return found


def unescaped(quoted: str) -> bytes:
    return bytes.fromhex(quoted.strip('"').replace("\\x", ""))


def traced(folder: Path, synchronous: str) -> Iterator[str]:
    """The calls of a process that commits, whole lines."""
    log, database = folder / "calls", folder / "trace" / "x.db"
    database.parent.mkdir()
    calls = "trace=pwrite64,write,fsync,fdatasync,ftruncate"
    strace = ["strace", "-f", "-y", "-xx", "-s", "100000", "-e", calls, "-o", str(log)]
    command = [sys.executable, "-c", SCRIPT, f"sqlite:///{database}", str(COMMITS), synchronous]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # noqa: TID251
    subprocess.run([*strace, *command], check=True, stdout=subprocess.DEVNULL, timeout=300, env=environment)
    waiting: dict[str, str] = {}
    for line in log.read_text().splitlines():
        thread = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            waiting[thread] = line.removesuffix("<unfinished ...>")
        elif " resumed>" in line:
            yield waiting.pop(thread) + line.partition(" resumed>")[2]
        else:
            yield line


def moments(folder: Path, synchronous: str) -> Iterator[tuple[int, dict[str, File]]]:
    """After every call: how many commits were acknowledged by then, and the files, by the end of their names."""
    files = {"x.db": File(), "x.db-wal": File()}
    acknowledged = 0
    for line in traced(folder, synchronous):
        found = CALL.match(line)
        if found is None:
            continue
        name, rest = Path(decoded(found["path"])).name, found["rest"] or ""
        if found["name"] == "write" and found["fd"] == "1":
            acknowledged += 1
        elif name not in files:
            continue
        elif found["name"] in ("fsync", "fdatasync"):
            files[name].synced()
        elif found["name"] == "ftruncate":
            files[name].since.append((int(rest), None))
        else:
            written, _, place = rest.rpartition(", ")
            files[name].since.append((int(place), unescaped(written.rpartition(", ")[0])))
        yield acknowledged, files


def decoded(path: str) -> str:
    return unescaped(path).decode() if "\\x" in path else path


def notes_after(folder: Path, disk: dict[str, bytearray]) -> list[int]:
    """The rows that SQLite finds on a disk as it was left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in disk.items():
        (folder / name).write_bytes(content)
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'note'").fetchall():
            return []
        return [number for (number,) in connection.execute("SELECT number FROM note ORDER BY 1")]


def lost(folder: Path, synchronous: str, dice: random.Random) -> int:
    """At how many moments a power failure would have taken an acknowledged commit with it."""
    short = 0
    before = -1
    for acknowledged, files in moments(folder, synchronous):
        if acknowledged == before and dice.random() > 0.02:
            continue  # some moments inside commits and checkpoints too
        before = acknowledged
        bare = {name: file.after([]) for name, file in files.items()}
        some = {name: file.after([one for one in file.since if dice.random() < 0.5]) for name, file in files.items()}
        for disk in (bare, some):
            found = notes_after(folder / "disk", disk)
            assert found == list(range(len(found))), "what is found has a hole in it"
            short += len(found) < acknowledged
    assert before == COMMITS
    return short


@pytest.mark.fault(59, "with every unsynced write dropped or any part of them kept, each acknowledged commit is there")
def test_power_that_fails_at_any_moment_takes_no_acknowledged_commit_with_it(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    assert lost(tmp_path, "as we set it", random.Random(seed)) == 0


def test_the_power_failure_of_this_test_does_take_what_a_lesser_setting_leaves_unsynced(tmp_path: Path) -> None:
    assert lost(tmp_path, "NORMAL", random.Random(1)) > COMMITS / 2
