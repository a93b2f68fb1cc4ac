"""Backups as the configuration says: where they are, and the task of the schedule that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from channelsync.runtime.config import Loaded
from channelsync.sync.agent import Agent
from channelsync.sync.schedule import Task
from channelsync.sync.scheduled_backup import make_scheduled_backup
from channelsync.sync.when import civil_from


def backup_folder(loaded: Loaded) -> Path | None:
    """Where backups are written: beside the configuration file unless it is absolute; None: nowhere by themselves."""
    folder = loaded.config.backup.folder
    return loaded.path.absolute().parent / folder if folder else None


def backup_tasks(agent: Agent, loaded: Loaded) -> Sequence[Task]:
    """The daily backup, where a folder is configured."""
    folder, backup = backup_folder(loaded), loaded.config.backup
    if folder is None:
        return ()
    run = make_scheduled_backup(agent, folder, keep=backup.keep, version=version("channelsync"))
    return [Task(name="backup", when=civil_from(backup.at, loaded.config.seller.time_zone), run=run)]
