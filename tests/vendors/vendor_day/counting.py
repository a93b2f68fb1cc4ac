"""Counting on the way: what every publishing tick wrote, with how many calls, and what was oversold where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from unittest.mock import patch

from channelsync.lab.marketplace_values import LogEntry
from channelsync.lab.stage import Stage
from channelsync.sdk.channel import Channel
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync.store.leases import Lease
from channelsync.sync import loops
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.publish import publish_tick
from channelsync.sync.read_numbers import Published
from vendor_day.stalls import VendorStall


@dataclass(frozen=True, slots=True)
class Tick:
    """One publishing tick in which a number was to be written.

    calls: that reached the server, those again after a failure among them. fewest: ceil(due keys / batch size).
    """

    channel: str
    began: datetime
    numbers: int
    calls: int
    fewest: int


class Noting:
    """A channel that notes what it is asked to write, and is the channel otherwise.

    pushes: of this tick, for the keys that no push before had, whether their number is raised above 0. keys: all.
    """

    def __init__(self, inner: Channel) -> None:
        self._inner = inner
        self.pushes: list[list[bool]] = []
        self.keys: set[QuantityKey] = set()

    def begin(self) -> None:
        """A tick begins."""
        self.pushes.clear()
        self.keys.clear()

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """Notes and passes on."""
        fresh = [update for update in updates if update.key not in self.keys]
        self.pushes.append([update.value > 0 and not update.lowering for update in fresh])
        self.keys |= {update.key for update in updates}
        return await self._inner.push(updates)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass(slots=True)
class Counts:
    """Of a whole day. oversold: units, by the channel that sold them."""

    ticks: list[Tick] = field(default_factory=list)
    oversold: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def of_stage(self, stage: Stage, stalls: Mapping[str, VendorStall]) -> Iterator[None]:
        """Inside, all that happens is counted."""
        noting = {name: Noting(channel.channel) for name, channel in stage.agent.channels.items()}
        for name, channel in stage.agent.channels.items():
            channel.channel = cast(Channel, noting[name])
            self._listen(stage, stalls[name])

        async def tick(agent: Agent, channel: OpenChannel, lease: Lease | None) -> Published:
            stall, noted = stalls[channel.name], noting[channel.name]
            noted.begin()
            began, before = agent.clock.now(), stall.calls.get("push", 0)
            done = await publish_tick(agent, channel, lease)
            if noted.keys:
                calls = stall.calls.get("push", 0) - before
                # One that became due only by what the tick read is among those that it wrote.
                fewest = stall.fewest(noted.pushes, max(done.due_keys, len(noted.keys)))
                self.ticks.append(Tick(channel.name, began, len(noted.keys), calls, fewest))
            return done

        with patch.object(loops, "publish_tick", tick):
            yield

    def _listen(self, stage: Stage, stall: VendorStall) -> None:
        """The referee of the stage hears of every sale before this does."""

        def hear(_entry: LogEntry) -> None:
            self.oversold[stall.name] += stage.referee.oversold_units - self.oversold.total()

        stall.marketplace.on_log.append(hear)
