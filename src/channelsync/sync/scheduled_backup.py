"""The backup that the schedule makes, and how many of them are kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from channelsync.store.archive import BackupDamaged, BackupStopped, Stopped, open_archive
from channelsync.sync.agent import Agent
from channelsync.sync.backup import PREFIX, SUFFIX, UNFINISHED, create_backup, file_name

_OURS = re.compile(rf"{re.escape(PREFIX)}\d{{8}}-\d{{6}}{re.escape(SUFFIX)}")


def make_scheduled_backup(agent: Agent, folder: Path, *, keep: int, version: str) -> Callable[[], Awaitable[str]]:
    """What the schedule runs: makes a backup in the folder, reads it as a whole, and deletes the oldest beyond `keep`.

    It says what it did; it raises what a backup that fails raises, and then deletes nothing. When the agent stops it
    is cancelled, soon, however much there is to write.
    """

    def stopped() -> bool:
        return agent.stopping

    async def make() -> str:
        path = folder / file_name(agent.clock.now())
        try:
            created = await create_backup(agent.database, path, version=version, now=agent.clock.now(), stopped=stopped)
            gone = await asyncio.to_thread(_checked_and_pruned, path, keep, stopped)
        except BackupStopped:
            raise asyncio.CancelledError from None
        told = f"{path.name}: {created.manifest.rows} rows, {created.bytes} bytes"
        return f"{told}; deleted {', '.join(gone)}" if gone else told

    return make


def prune(folder: Path, keep: int, made: str = "") -> list[str]:
    """Deletes the oldest backups of a folder beyond `keep` of them, and returns their names.

    Only files that are named as those of the schedule count; the newest that can be read as a whole always stays.
    made: the one that was just made counts as the newest, also where a wrong clock named others later.
    """
    ours = (one for one in folder.iterdir() if _OURS.fullmatch(one.name))
    newest_first = sorted(ours, key=lambda one: (one.name == made, one.name), reverse=True)
    kept, rest = newest_first[:keep], newest_first[keep:]
    if not rest:
        return []
    sound = next((one for one in (*kept, *rest) if is_sound(one)), None)
    doomed = [one for one in rest if one != sound]
    for one in doomed:
        one.unlink()
    return sorted(one.name for one in doomed)


def is_sound(path: Path) -> bool:
    """Whether a backup can be read as a whole."""
    try:
        with open_archive(path) as archive:
            archive.check()
    except (BackupDamaged, OSError):
        return False
    return True


def _checked_and_pruned(path: Path, keep: int, stopped: Stopped) -> list[str]:
    with open_archive(path) as archive:
        archive.check(stopped)
    for left in path.parent.glob(f".{PREFIX}*{UNFINISHED}"):  # of a process that was killed: nobody else writes here
        with suppress(OSError):
            left.unlink()
    return prune(path.parent, keep, path.name)
