"""The feeds of a process: each folder is looked at by a task of the schedule, so by one worker at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.vault_owners import with_secrets
from channelsync.sdk.files.place import FolderPlace, Place
from channelsync.sdk.files.sftp import SftpPlace
from channelsync.sync.agent import Agent
from channelsync.sync.feed_files import prune_feed_files
from channelsync.sync.feeds import FolderFeed, Looked, Seen, check_late
from channelsync.sync.schedule import Task
from channelsync.sync.when import Every


@dataclass(slots=True)
class Looks:
    """What this process has seen of its feeds. began: when it first looked, by feed."""

    seen: dict[str, Seen] = field(default_factory=dict)
    began: dict[str, datetime] = field(default_factory=dict)


def feed_tasks(agent: Agent, loaded: Loaded, looks: Looks) -> list[Task]:
    """A look at every folder, and at what is late; old files are forgotten once a day."""
    feeds = loaded.config.feeds
    tasks = [
        Task(name=f"feed:{one.name}", when=Every(one.every), run=partial(_look, agent, loaded, one, looks))
        for one in feeds
    ]
    if feeds:
        tasks.append(Task(name="feed files", when=Every(timedelta(days=1)), run=partial(_forget, agent)))
    return tasks


async def look_at(agent: Agent, loaded: Loaded, feed: FeedConfig, seen: Seen | None = None) -> Looked:
    """One look at a feed's folder; see `FolderFeed.look`. Of a feed over HTTP there is nothing to look at.

    Raises NeedsSeller also where a secret that the feed takes from the vault is not there.
    """
    if feed.kind == "http":
        return Looked()
    async with _place(await with_secrets(loaded, feed, agent.database, agent.clock)) as place:
        return await FolderFeed(agent, feed.setup, place, seen).look()


async def _look(agent: Agent, loaded: Loaded, feed: FeedConfig, looks: Looks) -> str:
    began = looks.began.setdefault(feed.name, agent.clock.now())
    try:
        looked = await look_at(agent, loaded, feed, looks.seen.setdefault(feed.name, {}))
    finally:  # a place that cannot be reached brings nothing either
        late = await check_late(agent, feed.setup, began)
    return ", ".join(filter(None, (str(looked), "no good file for too long" if late else "")))


async def _forget(agent: Agent) -> str:
    forgotten = await prune_feed_files(agent)
    return f"{forgotten} files forgotten" if forgotten else ""


@asynccontextmanager
async def _place(feed: FeedConfig) -> AsyncIterator[Place]:
    owner = f"feed {feed.name}"
    if feed.kind == "folder":
        yield FolderPlace(feed.place, owner, feed.bytes_max)
        return
    place = SftpPlace(feed.server, owner)
    try:
        yield place
    finally:
        await place.aclose()
