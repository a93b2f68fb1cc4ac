"""Where the values of metrics come from: from a `Scene` to samples, each with the values of its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

from channelsync.domain.findings import FindingKind
from channelsync.store.standing import OPEN_WRITES, AuditStanding, NumbersStanding, Standing, TaskStanding
from channelsync.sync.agent import OpenChannel
from channelsync.sync.switches import mode_now, stop_now
from channelsync.web.metrics_scene import Scene

Sample = tuple[tuple[str, ...], float]
Read = Callable[[Scene], Iterable[Sample]]

TOPICS_MAX = 20
"""Webhook topics of a channel that have a metric of their own: a channel may send what nobody asked for."""


def by_channel(found: Callable[[Standing], Mapping[str, float]]) -> Read:
    """A number by channel from the database; every configured channel has one: 0 where there is nothing to tell."""

    def read(scene: Scene) -> Iterator[Sample]:
        if scene.standing is not None:
            told = found(scene.standing)
            for name in _names(scene):
                yield (name,), float(told.get(name, 0))

    return read


def _names(scene: Scene) -> list[str]:
    return sorted(name for name, one in scene.agent.setup.channels.items() if not one.by_sku)


def numbers(of: Callable[[NumbersStanding], int]) -> Read:
    """A figure of each channel's numbers."""
    return by_channel(lambda told: {name: of(one) for name, one in told.numbers.items()})


def audits(of: Callable[[AuditStanding], float]) -> Read:
    """A figure of each channel's last audit."""

    def read(scene: Scene) -> Iterator[Sample]:
        for name, one in (scene.standing.audits if scene.standing else {}).items():
            yield (name,), of(one)

    return read


def tasks(of: Callable[[TaskStanding], float | None]) -> Read:
    """A figure of each task of the schedule."""

    def read(scene: Scene) -> Iterator[Sample]:
        for one in scene.standing.tasks if scene.standing else ():
            value = of(one)
            if value is not None:
                yield (one.name,), value

    return read


def of_open(of: Callable[[OpenChannel], float]) -> Read:
    """A number of each channel that this process has open."""

    def read(scene: Scene) -> Iterator[Sample]:
        for name, channel in sorted(scene.agent.channels.items()):
            yield (name,), of(channel)

    return read


def seconds_of(moment: datetime | None) -> float | None:
    """Seconds since 1970; None for None."""
    return None if moment is None else moment.timestamp()


def modes(scene: Scene) -> Iterator[Sample]:
    """How each channel is used, and what of it is stopped."""
    for name in _names(scene):
        setup, state = scene.agent.setup.channels[name], scene.states.get(name)
        yield (name, mode_now(setup, state), stop_now(setup, state)[0] or "nothing"), 1.0


def newest_orders(scene: Scene) -> Iterator[Sample]:
    """When the newest order of each channel was placed."""
    for name, at in (scene.standing.newest_order if scene.standing else {}).items():
        yield (name,), at.timestamp()


def state_moment(field: Literal["covered_to", "orders_asked_at"]) -> Read:
    """A moment that stands in each channel's row."""

    def read(scene: Scene) -> Iterator[Sample]:
        for name in _names(scene):
            at = seconds_of(getattr(scene.states.get(name), field, None))
            if at is not None:
                yield (name,), at

    return read


def orders_failing(scene: Scene) -> Iterator[Sample]:
    """Whether the last poll of each channel failed."""
    for name in _names(scene):
        state = scene.states.get(name)
        yield (name,), float(bool(state and state.orders_failed))


def unreadable(scene: Scene) -> Iterator[Sample]:
    """Whether the numbers of each channel cannot be read."""
    for name in _names(scene):
        state = scene.states.get(name)
        yield (name,), float(bool(state and state.unreadable_since))


def last_events(scene: Scene) -> Iterator[Sample]:
    """When the last webhook of each topic came; of a channel only those that came last."""
    told: dict[str, int] = {}
    newest = sorted(scene.standing.events.items(), key=lambda one: one[1], reverse=True) if scene.standing else ()
    for (channel, topic), at in newest:
        told[channel] = told.get(channel, 0) + 1
        if told[channel] <= TOPICS_MAX:
            yield (channel, topic), at.timestamp()


def inbox_waiting(scene: Scene) -> Iterator[Sample]:
    """Webhooks of each channel that nobody has followed, by their state."""
    if scene.standing is not None:
        for name in _names(scene):
            found = scene.standing.inbox.get(name)
            for state in ("new", "parked", "quarantined"):
                yield (name, state), float(found.counts.get(state, 0) if found else 0)


def inbox_oldest(scene: Scene) -> Iterator[Sample]:
    """When the oldest webhook of each channel came that nobody has followed; none where none waits."""
    for name, found in sorted(scene.standing.inbox.items() if scene.standing else ()):
        if found.oldest_new is not None:
            yield (name,), found.oldest_new.timestamp()


def outgoing(scene: Scene) -> Iterator[Sample]:
    """Messages that wait to be told to each hook."""
    for hook, many in sorted(scene.standing.outgoing.items() if scene.standing else ()):
        yield (hook,), float(many)


def open_writes(scene: Scene) -> Iterator[Sample]:
    """Writes of each channel that no read has shown, by what is known of them."""
    if scene.standing is not None:
        for name in _names(scene):
            for outcome, words in OPEN_WRITES.items():
                yield (name, words), float(scene.standing.open_writes.get((name, outcome), 0))


def findings(scene: Scene) -> Iterator[Sample]:
    """Open findings of every kind, 0 too."""
    if scene.standing is not None:
        for kind in sorted({one.value for one in FindingKind} | set(scene.standing.findings)):
            yield (kind,), float(scene.standing.findings.get(kind, 0))


def buckets(of: Callable[[OpenChannel, str], float | None]) -> Read:
    """A figure of each bucket of each channel that this process has open."""

    def read(scene: Scene) -> Iterator[Sample]:
        for name, channel in sorted(scene.agent.channels.items()):
            for bucket in sorted(channel.limiter.budgets()):
                value = of(channel, bucket)
                if value is not None:
                    yield (name, bucket), value

    return read


def day_left(channel: OpenChannel, bucket: str) -> float | None:
    """What is left of a bucket's quota of the day; None: there is none."""
    most = channel.limiter.budgets()[bucket].per_day
    return None if most is None else max(0.0, most - channel.limiter.state()[bucket].used_today)


def clock_offset(scene: Scene) -> Iterator[Sample]:
    """How far each channel's clock is ahead of ours, as its last answer told."""
    for name, channel in sorted(scene.agent.channels.items()):
        if channel.breaker.server_time is not None:
            yield (name,), channel.breaker.server_time.ahead.total_seconds()


def accounts_held(scene: Scene) -> Iterator[Sample]:
    """Whether this process may write to each channel's account."""
    alone, held = scene.agent.database.dialect == "sqlite", scene.agent.held()
    for name, channel in sorted(scene.agent.channels.items()):
        yield (name,), float(bool(channel.identity) and (alone or channel.identity in held))


def deliveries(scene: Scene) -> Iterator[Sample]:
    """Webhooks that came, by what became of them; the channel is empty where nobody knows it."""
    seen = scene.receiver
    kinds = {"taken": seen.taken, "copy": seen.duplicates, "quarantined": seen.quarantined, "harmless": seen.harmless}
    for outcome, counted in kinds.items():
        for channel, value in sorted(counted.items()):
            yield (channel, outcome), float(value)
    for (channel, reason), value in sorted(seen.refused.items()):
        yield (channel, f"refused {reason}"), float(value)


def single(of: Callable[[Scene], float | None]) -> Read:
    """A figure without labels; None: nothing is told."""

    def read(scene: Scene) -> Iterator[Sample]:
        value = of(scene)
        if value is not None:
            yield (), float(value)

    return read


def counted(name: Literal["pushes", "orders", "polls", "ticks"]) -> Read:
    """What the process has counted."""

    def read(scene: Scene) -> Iterator[Sample]:
        for labels, value in sorted(getattr(scene.agent.counts, name).items()):
            yield labels, float(value)

    return read


def keys_read(scene: Scene) -> Iterator[Sample]:
    """Numbers that the publisher has read, by channel."""
    for name, value in sorted(scene.agent.counts.reads.items()):
        yield (name,), float(value)
