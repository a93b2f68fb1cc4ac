"""Reading the configuration anew without a restart: on SIGHUP, and when `channelsync config reload` asks for it.

A configuration that is wrong is refused as a whole and the old one holds on. A right one takes effect at once, save
for what needs a restart, which the log names. It is a run like any other, so what it moves can be seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy import Connection

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import Config
from channelsync.runtime.logging import set_level
from channelsync.runtime.reload_plan import Reload, reload_of
from channelsync.runtime.reload_wishes import (
    Answer,
    ReloadRefused,
    Reread,
    Wishes,
    read_anew,
    refused,
    say_reloaded,
    told,
)
from channelsync.runtime.taken_out import look_at_taken_out
from channelsync.runtime.wiring import setup_of
from channelsync.sdk.discovery import Catalogue
from channelsync.store import channels, runs
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.agent import Agent
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.measures import measure
from channelsync.sync.run_ids import new_run_id
from channelsync.sync.setup import Setup
from channelsync.sync.setup_changes import Affected, affected_by, mark_changed

log = structlog.get_logger(__name__)

COMMAND = "reload"

_AGAIN_AFTER = 5.0
"""Seconds before what must be written is tried again: the new set-up is in use already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParts:
    """How the daemon closes and opens channels while it runs: by their names."""

    close: Callable[[Sequence[str]], Awaitable[None]]
    open: Callable[[Sequence[str]], None]


@dataclass(slots=True, kw_only=True)
class Reloader:
    """Reads the configuration anew whenever it is asked to.

    loaded: the one in use. reread: reads the file. taken: is told a new one as it comes into use. only_observe: as for
    `setup_of`. keeps_level: the command line decides what is logged, not the configuration.
    """

    agent: Agent
    loaded: Loaded
    reread: Reread
    catalogue: Catalogue
    parts: ChannelParts
    taken: Callable[[Loaded], None]
    only_observe: bool = False
    keeps_level: bool = False
    wishes: Wishes = field(init=False)

    def __post_init__(self) -> None:
        self.wishes = Wishes(database=self.agent.database, run=self.agent.run)

    async def keep(self) -> None:
        """Reloads whenever it is asked to, until it is cancelled."""
        await self.wishes.keep(self.reload)

    async def reload(self) -> Answer:
        """Reads the configuration and takes it, or refuses it as a whole; returns what to tell whoever asked."""
        try:
            return await self._reloaded(read_anew(self.reread, self.catalogue, self.agent.clock))
        except ReloadRefused as error:
            return refused(self.loaded.path, error)

    async def _reloaded(self, new: Loaded) -> Answer:
        """Takes it, where it differs. Raises ReloadRefused."""
        plan = reload_of(self.loaded, new)
        if plan.waiting:
            log.warning("config.needs_restart", settings=", ".join(plan.waiting))
        if plan.nothing:
            log.info("config.unchanged", file=str(self.loaded.path))
            return told("unchanged", plan)
        try:
            begun = await self._begun(plan)
        except DatabaseError as error:
            raise ReloadRefused([(f"the database cannot be used, so nothing was changed: {error}", None)]) from error
        await self._take(plan, begun.after)
        for one in begun.held:
            log.warning("plan.held", plan=one.id, channel=one.channel, summary=str(one))
        await self._written(begun)
        return {**told("reloaded", plan), "held": [str(one) for one in begun.held]}

    async def _begun(self, plan: Reload) -> _Begun:
        """The run, and what it would move; what is too much of that is held before any publisher sees the new set-up.

        Nothing else is changed yet, but that SKUs which the configuration names become items.
        """
        agent = self.agent
        now = agent.clock.now()
        run = new_run_id(now)
        arguments = {name: value for name, value in told(COMMAND, plan).items() if name != "outcome"}

        def unit(connection: Connection) -> _Begun:
            runs.begin_run(connection, run, COMMAND, "daemon", arguments, now)
            after = setup_of(connection, plan.loaded, self.catalogue, now=now, only_observe=self.only_observe)
            before = agent.setup
            after = replace(after, orders_since=before.orders_since)
            affected = affected_by(before, after, channels.channel_states(connection))
            held: list[HeldPlan] = []
            if not affected.nothing:
                guarded = Guarded(run=run, now=now, items=None, before=before)
                both = replace(after, channels={**before.channels, **after.channels})
                held = guard_run(connection, after, measure(connection, both, now), guarded)
            return _Begun(run, before, after, affected, held)

        return await agent.database.transact(unit)

    async def _take(self, plan: Reload, after: Setup) -> None:
        """Closes what is gone or changed, takes the new set-up, opens what is new. A push under way may end first."""
        agent = self.agent
        await self.parts.close([*plan.removed, *plan.reopened])
        self.loaded = plan.loaded
        self.taken(plan.loaded)
        agent.setup = after
        for name, channel in agent.channels.items():
            channel.setup = after.channels[name]
            channel.wake_orders.set()
        if not self.keeps_level:
            set_level(plan.loaded.config.log.level)
        self.parts.open([*plan.reopened, *plan.added])
        say_reloaded(plan)

    async def _written(self, begun: _Begun) -> None:
        """Puts on the agenda what the new set-up may change, however long the database does not answer."""
        agent = self.agent
        while True:
            now = agent.clock.now()
            try:
                agent.measures = await agent.database.query(lambda c, now=now: measure(c, begun.after, now))  # type: ignore[misc]
                await agent.database.transact(lambda c, now=now: _end(c, begun, self.loaded.config, now))  # type: ignore[misc]
                break
            except DatabaseError as error:
                log.warning("config.not_marked", reason=str(error), again_in=_AGAIN_AFTER)
                await agent.clock.sleep(_AGAIN_AFTER)
        agent.wake_publishers()


@dataclass(frozen=True, slots=True)
class _Begun:
    """A reload that has begun: its run, the set-up in use and the one that follows, what it affects, what is held."""

    run: str
    before: Setup
    after: Setup
    affected: Affected
    held: list[HeldPlan]


def _end(connection: Connection, begun: _Begun, config: Config, now: datetime) -> None:
    mark_changed(connection, begun.before, begun.after, begun.affected, now)
    look_at_taken_out(connection, config, now)
    runs.end_run(connection, begun.run, "done", now)
