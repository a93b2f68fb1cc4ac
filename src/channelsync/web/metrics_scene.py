"""What metrics are made from: the agent in memory, and how things stand in the database, looked at now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from channelsync.store import channels, daemons
from channelsync.store.channels import ChannelState
from channelsync.store.daemons import ServingProcess
from channelsync.store.database_errors import DatabaseError
from channelsync.store.standing import Standing, standing
from channelsync.sync.agent import Agent
from channelsync.web.receiver import ReceiverCounters

log = structlog.get_logger(__name__)

LOOKED_AT_WITHIN = 10.0
"""Seconds that the database has to answer, after which its metrics are left out."""

KEPT_SECONDS = 10.0
"""How long an answer of the database is used again, however often somebody scrapes."""

_KEPT_TIMES = 20.0
"""An answer that took long is used for so many times as long: looking never takes more than a twentieth of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known at one moment. standing None: the database did not answer. lost_lines: of the log, since the
    process began.
    """

    agent: Agent
    at: datetime
    standing: Standing | None = None
    states: Mapping[str, ChannelState] = field(default_factory=dict)
    serving: tuple[ServingProcess, ...] = ()
    lost_lines: int = 0
    receiver: ReceiverCounters = field(default_factory=ReceiverCounters)


class SceneReader:
    """Looks at the database for whoever scrapes: at most one look at a time, and none more often than it is worth."""

    def __init__(self, agent: Agent, lost_lines: Callable[[], int], receiver: ReceiverCounters) -> None:
        self._agent = agent
        self._receiver = receiver
        self._lost_lines = lost_lines
        self._looking = asyncio.Lock()
        self._kept: _Look | None = None
        self._until = 0.0

    async def scene(self) -> Scene:
        """Everything as it is now; what is in the database as it was some seconds ago at most. Raises nothing."""
        async with self._looking:
            clock = self._agent.clock
            began = clock.monotonic()
            if self._kept is None or began >= self._until:
                self._kept = await self._look()
                now = clock.monotonic()
                self._until = now + max(KEPT_SECONDS, (now - began) * _KEPT_TIMES)
            found = self._kept
        return Scene(
            agent=self._agent,
            at=clock.now(),
            standing=found.standing,
            states=found.states,
            serving=found.serving,
            lost_lines=self._lost_lines(),
            receiver=self._receiver,
        )

    async def _look(self) -> _Look:
        now = self._agent.clock.now()
        began = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), tzinfo=UTC)

        def work(connection: Connection) -> _Look:
            return _Look(
                standing(connection, self._agent.setup.timings, began),
                channels.channel_states(connection),
                tuple(daemons.serving(connection, now)),
            )

        try:
            async with asyncio.timeout(LOOKED_AT_WITHIN):
                return await self._agent.database.query(work)
        except (DatabaseError, TimeoutError) as error:
            log.warning("metrics.database_not_read", reason=str(error) or f"no answer in {LOOKED_AT_WITHIN:.0f} s")
            return _Look(None, {}, ())


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at the database brought."""

    standing: Standing | None
    states: Mapping[str, ChannelState]
    serving: tuple[ServingProcess, ...]
