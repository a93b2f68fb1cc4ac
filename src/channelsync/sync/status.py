"""How everything stands, on one screen: the processes, each channel, and what waits for somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channelsync.store import channels, daemons
from channelsync.store.channels import ChannelState
from channelsync.store.codec import load
from channelsync.store.daemons import ServingProcess
from channelsync.store.standing import NumbersStanding, Standing, standing
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.switches import mode_by, mode_now, stop_now

ALIVE_WITHIN = timedelta(minutes=2)
"""A process that gave no sign of life for longer is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One daemon or receiver. silent_seconds: since its last sign of life. late: parts that are not heard of.

    memory: bytes; None: the system does not tell.
    """

    command: str
    host: str
    pid: int
    version: str
    since: datetime
    alive: bool
    silent_seconds: float
    late: tuple[str, ...]
    memory: int | None
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """One channel. mode_by: "run --observe" where that keeps a live channel from being written to.

    stopped: what is not written. orders_lag_seconds: how long ago orders were read completely last.

    trouble: why it does not work as it should; empty: it does. budget: units left by bucket, as the account's process
    said last. due: numbers on the publisher's agenda; drift: that show something else than they should,
    and nothing explains it. unstated: numbers left as they are, because nobody has said how many units there are.
    pushed_today: writes since midnight UTC. provisional: units held without an order.
    """

    channel: str
    mode: str
    mode_by: str
    stopped: str
    polled_at: datetime | None
    orders_lag_seconds: float | None
    newest_order_at: datetime | None
    numbers: int
    due: int
    drift: int
    hot: int
    unstated: int
    pushed_today: int
    provisional: int
    inbox: int
    parked: int
    plans_held: int
    audit_missing: int | None
    budget: Mapping[str, float]
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything on one screen. oversold: units that are promised and not there. findings: open ones, by kind."""

    at: datetime
    processes: tuple[ProcessStatus, ...]
    channels: tuple[ChannelStatus, ...]
    oversold_units: int
    oversold_positions: int
    findings: Mapping[str, int]
    plans_held: int
    outgoing: int
    failing_tasks: tuple[str, ...]

    @property
    def alive(self) -> bool:
        """Whether a daemon runs."""
        return any(one.alive and one.command != "webhooks" for one in self.processes)


def status(connection: Connection, setup: Setup, now: datetime) -> Status:
    """How everything stands now. Only reads."""
    began = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), tzinfo=UTC)
    stand, states = standing(connection, setup.timings, began), channels.channel_states(connection)
    serving = daemons.serving(connection, now)
    told = _told_of_channels(serving)
    return Status(
        at=now,
        processes=tuple(map(_process, serving)),
        channels=tuple(
            _channel(one, states.get(name), stand, told.get(name, {}), now)
            for name, one in setup.channels.items()
            if not one.by_sku
        ),
        oversold_units=stand.oversold,
        oversold_positions=stand.oversold_positions,
        findings=stand.findings,
        plans_held=sum(stand.plans.values()),
        outgoing=sum(stand.outgoing.values()),
        failing_tasks=tuple(one.name for one in stand.tasks if one.failures),
    )


def only_observing(connection: Connection, now: datetime) -> bool:
    """Whether a daemon runs, and every one that does was started with `--observe`, so that nothing is written."""
    alive = [one for one in daemons.serving(connection, now) if one.silent <= ALIVE_WITHIN and one.command == "run"]
    return bool(alive) and all(one.told.get("only_observe") for one in alive)


def _process(one: ServingProcess) -> ProcessStatus:
    memory = one.told.get("resident_bytes")
    return ProcessStatus(
        command=one.command,
        host=one.host,
        pid=one.pid,
        version=one.version,
        since=one.started_at,
        alive=one.silent <= ALIVE_WITHIN,
        silent_seconds=round(one.silent.total_seconds(), 1),
        late=tuple(one.told.get("late", ())),
        memory=memory if isinstance(memory, int) else None,
        run=one.run,
    )


def _told_of_channels(serving: Sequence[ServingProcess]) -> dict[str, Mapping[str, Any]]:
    """What live processes say of their channels; of one that several have open, the one that holds the account."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in serving:
        if one.silent <= ALIVE_WITHIN:
            for name, told in one.told.get("channels", {}).items():
                if name not in found or told.get("held"):
                    found[name] = told
    return found


def _channel(
    setup: ChannelSetup, state: ChannelState | None, stand: Standing, told: Mapping[str, Any], now: datetime
) -> ChannelStatus:
    name = setup.name
    numbers = stand.numbers.get(name, NumbersStanding())
    covered = state.covered_to if state else None
    inbox = stand.inbox.get(name)
    audit = stand.audits.get(name)
    return ChannelStatus(
        channel=name,
        mode=mode_now(setup, state),
        mode_by=mode_by(setup, state),
        stopped=stop_now(setup, state)[0],
        polled_at=state.orders_asked_at if state else None,
        orders_lag_seconds=round(max(0.0, (now - covered).total_seconds()), 1) if covered else None,
        newest_order_at=stand.newest_order.get(name),
        numbers=numbers.numbers,
        due=numbers.due,
        drift=numbers.drift,
        hot=numbers.hot,
        unstated=numbers.unstated,
        pushed_today=stand.pushed_today.get(name, 0),
        provisional=stand.provisional.get(name, 0),
        inbox=inbox.counts.get("new", 0) if inbox else 0,
        parked=inbox.counts.get("parked", 0) if inbox else 0,
        plans_held=stand.plans.get(name, 0),
        audit_missing=audit.missing if audit else None,
        budget=told.get("budget", {}),
        trouble=_trouble(state, told),
    )


def _trouble(state: ChannelState | None, told: Mapping[str, Any]) -> str:
    """The worst thing first."""
    breaker = (load(state.breaker) if state else None) or {}
    wanted = told.get("needs_seller") if told else breaker.get("needs_seller")
    until = told.get("breaker_until") if told else breaker.get("retry_at")
    if wanted:
        return f"waits for you: {wanted}"
    if until:
        return f"left alone until {str(until)[:19]} UTC after failures"
    if state is not None and state.orders_failed:
        return f"orders: {state.orders_failed}"
    if state is not None and state.unreadable:
        return f"numbers {state.unreadable}"
    return ""
