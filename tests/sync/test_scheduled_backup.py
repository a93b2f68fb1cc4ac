"""The daily backup, and which of the old ones go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channelsync.store.archive import BackupStopped, until_stopped
from channelsync.store.database import Database
from channelsync.sync import backup
from channelsync.sync.scheduled_backup import is_sound, make_scheduled_backup, prune

BEGAN = datetime(2026, 11, 22, 2, tzinfo=UTC)


class Days:
    """An agent's clock that stands at 02:00 of some day."""

    def __init__(self) -> None:
        self.at = BEGAN

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def agent(database: Database) -> Any:
    return SimpleNamespace(database=database, clock=Days(), stopping=False)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


async def test_a_backup_is_made_each_day_and_the_oldest_go(agent: Any, kept: Path) -> None:
    make = make_scheduled_backup(agent, kept, keep=3, version="9.9")
    told = []
    for day in range(5):
        agent.clock.at = BEGAN + timedelta(days=day)
        told.append(await make())
    assert names(kept) == [f"channelsync-202611{day}-020000.zip" for day in (24, 25, 26)]
    assert told[0].startswith("channelsync-20261122-020000.zip: ")
    assert told[-1].endswith("; deleted channelsync-20261123-020000.zip")
    assert is_sound(kept / "channelsync-20261126-020000.zip")


async def test_a_backup_that_fails_deletes_nothing_and_says_why(
    agent: Any, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = make_scheduled_backup(agent, kept, keep=1, version="9.9")
    await make()

    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.backup, "export", full)
    agent.clock.at += timedelta(days=1)
    with pytest.raises(OSError, match="No space left"):
        await make()
    assert names(kept) == ["channelsync-20261122-020000.zip"]


async def test_what_is_not_a_backup_of_the_schedule_is_left_alone_and_what_a_killed_process_left_goes(
    agent: Any, kept: Path
) -> None:
    for name in ("before-restore-20200101-000000.zip", "channelsync-mine.zip", "notes.txt"):
        (kept / name).write_text("mine")
    (kept / ".channelsync-20261121-020000.zip.abc.part").write_text("half")
    make = make_scheduled_backup(agent, kept, keep=1, version="9.9")
    await make()
    agent.clock.at += timedelta(days=1)
    await make()
    assert names(kept) == [
        "before-restore-20200101-000000.zip",
        "channelsync-20261123-020000.zip",
        "channelsync-mine.zip",
        "notes.txt",
    ]


async def test_the_newest_backup_that_is_whole_stays_however_old_it_is(agent: Any, kept: Path) -> None:
    make = make_scheduled_backup(agent, kept, keep=99, version="9.9")
    for day in range(6):
        agent.clock.at = BEGAN + timedelta(days=day)
        await make()
    for spoilt in names(kept)[2:]:
        (kept / spoilt).write_bytes(b"no backup")
    assert prune(kept, 2) == [f"channelsync-202611{day}-020000.zip" for day in (22, 24, 25)]
    assert names(kept) == [f"channelsync-202611{day}-020000.zip" for day in (23, 26, 27)]


async def test_what_was_just_made_stays_though_a_wrong_clock_named_others_later(agent: Any, kept: Path) -> None:
    make = make_scheduled_backup(agent, kept, keep=2, version="9.9")
    for ahead in (365, 366, 0, 1):
        agent.clock.at = BEGAN + timedelta(days=ahead)
        await make()
    assert names(kept) == ["channelsync-20261123-020000.zip", "channelsync-20271123-020000.zip"]


async def test_a_backup_under_way_ends_when_the_agent_stops(agent: Any, kept: Path) -> None:
    """As if it was cancelled: it did not fail, and is due as before."""
    make = make_scheduled_backup(agent, kept, keep=2, version="9.9")
    await make()
    agent.clock.at += timedelta(days=1)
    agent.stopping = True
    with pytest.raises(asyncio.CancelledError):
        await make()
    assert names(kept) == ["channelsync-20261122-020000.zip"], "nothing half is left"


def test_whoever_is_stopped_in_the_midst_of_many_rows_reads_no_more() -> None:
    read: list[int] = []

    def rows() -> Iterator[int]:
        for number in range(100_000):
            read.append(number)
            yield number

    with pytest.raises(BackupStopped):
        for _ in until_stopped(rows(), lambda: len(read) > 5_000):
            pass
    assert len(read) < 10_000
