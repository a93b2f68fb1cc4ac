"""What every loop is given: the database, the clock, the seller's set-up and the open channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from channelsync.sdk.breaker import Breaker
from channelsync.sdk.channel import Channel
from channelsync.sdk.clock import Clock
from channelsync.sdk.limiter import Limiter
from channelsync.store.database import Database
from channelsync.sync.beats import Beats
from channelsync.sync.clock_watch import ClockWatch
from channelsync.sync.counts import Counts
from channelsync.sync.measures import Measures
from channelsync.sync.setup import ChannelSetup, Setup


@dataclass(slots=True)
class HintsCounted:
    """Messages that came from a channel's queue since the process began. malformed: not to be read, or not ours."""

    taken: int = 0
    harmless: int = 0
    malformed: int = 0


@dataclass(slots=True, kw_only=True)
class OpenChannel:
    """One configured channel, connected. identity: the seller's account; channels of one identity share keys.

    connected_at: when the account had last been connected as this was opened.
    unreadable: the last publishing tick failed, so its numbers are not known to be fresh.
    closing: it is being closed: a push under way may end, and no other is begun.
    wake_orders, wake_publisher: set by whoever knows that there is something to do before the next tick.
    wake_hinted: set by whoever noted orders that are to be read by their ids. hints: see `HintsCounted`.
    orders_urgent: the next poll of orders explains a number, so it may spend what is kept for urgent calls.
    rows_at_most: by key, how many rows the call that writes it may have: the outcome of its last one was unknown.
    blamed: keys for which whole calls were refused since the last call that was taken. refuses_all: so many of them
    that it is the channel's own trouble.
    """

    setup: ChannelSetup
    channel: Channel
    limiter: Limiter
    breaker: Breaker
    identity: str = ""
    connected_at: datetime | None = None
    unreadable: bool = False
    closing: bool = False
    wake_orders: asyncio.Event = field(default_factory=asyncio.Event)
    wake_publisher: asyncio.Event = field(default_factory=asyncio.Event)
    wake_hinted: asyncio.Event = field(default_factory=asyncio.Event)
    hints: HintsCounted = field(default_factory=HintsCounted)
    orders_urgent: bool = False
    rows_at_most: dict[int, int] = field(default_factory=dict)
    blamed: set[int] = field(default_factory=set)
    refuses_all: bool = False

    @property
    def name(self) -> str:
        """As in the configuration."""
        return self.setup.name


@dataclass(slots=True, kw_only=True)
class Agent:
    """One running channelsync. run: the run that its ledger entries name. measures: renewed by the schedule.

    unopened: channels that should be open and wait for their seller, each with why. changed: set with every wake-up,
    for whoever tells other processes. stopping: no new work is begun any more. clock_watch: whether this machine's wall
    clock is believed. wake_schedule: something may be due that was not.
    pushing: by account, held from the decision about a push until its results are recorded: two configured channels may
    be two ways to one account, and an older number must not leave after a newer one.
    beats, counts: which of its parts are alive, and what they did; held: names the accounts that this process may write
    to now, on PostgreSQL. All for whoever watches the process.
    """

    database: Database
    clock: Clock
    setup: Setup
    run: str
    measures: Measures
    channels: dict[str, OpenChannel] = field(default_factory=dict)
    unopened: dict[str, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    clock_watch: ClockWatch = field(default_factory=ClockWatch)
    wake_schedule: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counts = field(default_factory=Counts)
    held: Callable[[], Collection[str]] = tuple
    pushing: dict[str, asyncio.Lock] = field(default_factory=dict)
    beats: Beats = field(init=False)

    def __post_init__(self) -> None:
        self.beats = Beats(self.clock)

    def add_channel(self, channel: OpenChannel) -> None:
        """Takes an open channel in."""
        self.channels[channel.name] = channel
        self.share_budget(channel)

    def share_budget(self, channel: OpenChannel) -> None:
        """Lets a channel whose account is known spend from the one budget that its account has."""
        for other in self.channels.values():
            if channel.identity and other is not channel and other.identity == channel.identity:
                channel.limiter.share(other.limiter)
                return

    def wake_orders(self, identity: str) -> None:
        """A number of this account moved and no order says why: all its channels ask for orders now, urgently."""
        for channel in self.channels.values():
            if channel.identity == identity:
                channel.orders_urgent = True
                channel.wake_orders.set()

    def wake_publishers(self) -> None:
        """Something changed that channels should show: look at once, not at the next tick."""
        self.changed.set()
        for channel in self.channels.values():
            channel.wake_publisher.set()
