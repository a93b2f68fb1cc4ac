"""Raises that must wait for other numbers: for fresh reads of them, or until they were lowered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from channelsync.domain.watermark import expected_now
from channelsync.store import channels, keys
from channelsync.store.channels import ChannelState
from channelsync.store.keys import KeyRecord
from channelsync.store.sharing import keys_sharing
from channelsync.sync.agent import Agent
from channelsync.sync.decide_writes import next_steps
from channelsync.sync.switches import mode_now
from channelsync.sync.targets import Target, compute_targets

_WHENEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Raises that must wait. ask: the channels whose numbers they wait for and that were not asked before."""

    raises: frozenset[int]
    ask: frozenset[str]


def raises_waiting_for_reads(
    connection: Connection, agent: Agent, raises: Iterable[int], fresh_since: datetime
) -> Waiting:
    """Of these raises those that must wait, because a key that shares a position was not read since `fresh_since`.

    A raise is computed from reads, of the same round, of every key that shares a component position. The missing
    reads are asked for. A raise that depends on a lowering elsewhere waits until that lowering was seen, even where
    it has not left yet. A channel that cannot be read now holds nobody up: one bad channel harms only itself.
    """
    records = keys.load_keys(connection, raises)
    sharing = {key: agent.setup.shown_by_parts_of(record.item or "") for key, record in records.items()}
    everyone = keys.load_keys(connection, keys_sharing(connection, {i for items in sharing.values() for i in items}))
    states = channels.channel_states(connection)
    readable = {
        name: mode_now(setup, states.get(name)) == "live"
        and (name not in states or states[name].unreadable_since is None)
        for name, setup in agent.setup.channels.items()
    }
    by_item: dict[str, list[KeyRecord]] = {}
    for other in everyone.values():
        tells = not other.unreadable or other.id in sharing  # another one that does not is as good as a bad channel
        if other.item is not None and readable.get(other.channel) and tells:
            by_item.setdefault(other.item, []).append(other)
    lowered = _to_be_lowered(connection, agent, everyone, states)
    waiting: set[int] = set()
    missing: dict[int, KeyRecord] = {}
    this_round = fresh_since + (agent.clock.now() - fresh_since) / 2
    for key, items in sharing.items():
        others = [other for item in sorted(items) for other in by_item.get(item, ())]
        if not all(_read_since(other, fresh_since) for other in others):
            waiting.add(key)
            # All of one round: were only the oldest read, the others would be too old by the time that it is there.
            missing |= {other.id: other for other in others if not _read_since(other, this_round)}
        elif any(_is_being_lowered(other) or other.id in lowered for other in others if other.id != key):
            waiting.add(key)
    # Those that nobody looks after, or the raises would wait for ever. Whoever is on the agenda already is not woken
    # again: it can do nothing before its time, and would wake us in turn, without end.
    forgotten = {key for key, at in lowered.items() if (due := everyone[key].due_at) is None or due > at}
    keys.lock_keys(connection, missing.keys() | forgotten)  # all at once: in one order, as everybody does
    keys.want_reads(connection, missing)
    keys.mark_keys_due(connection, forgotten, agent.clock.now())
    asked_anew = {other.channel for other in missing.values() if not other.read_wanted}
    return Waiting(frozenset(waiting), frozenset(asked_anew | {everyone[key].channel for key in forgotten}))


def _to_be_lowered(
    connection: Connection, agent: Agent, wanted: Iterable[int], states: Mapping[str, ChannelState]
) -> dict[int, datetime]:
    """Of these keys those that must still give up units which rules let another channel show instead.

    With the time by which its publisher must have looked at it: now; the end of time where what it waits for (that a
    write is seen) has a time of its own. One whose lowering is not allowed, or was refused and is held back, is not
    among them: it holds nobody up.
    """
    if not agent.setup.rule_book.ties_channels:
        return {}
    now = agent.clock.now()
    found: dict[int, datetime] = {}
    targets = compute_targets(connection, agent.setup, agent.measures, wanted)
    tied = {key: target for key, target in targets.items() if _ties(target, now)}
    for key, decision in next_steps(connection, agent.setup, tied, states, now).items():
        target, record = tied[key], tied[key].key
        timing = agent.setup.channels[record.channel].capabilities.timing
        high = max((one.high for one in expected_now(record.state, timing)), default=0)
        if decision.action in ("lower", "read first") and high > target.number:
            found[key] = now if decision.action == "lower" else _WHENEVER
    return found


def _ties(target: Target, now: datetime) -> bool:
    """Whether rules let another channel show what it gives up; one that was refused is held back and ties nobody."""
    not_before = target.key.not_before
    return target.offer.tied and (not_before is None or not_before <= now)


def _read_since(record: KeyRecord, moment: datetime) -> bool:
    """Whether its number was read since then. One that has none any more (its listing ended) sells nothing."""
    watermark = record.state.watermark
    asked = watermark.asked if watermark else record.read_at
    return asked is not None and asked >= moment


def _is_being_lowered(record: KeyRecord) -> bool:
    watermark, writes = record.state.watermark, record.state.writes
    return watermark is not None and bool(writes) and writes[-1].value < watermark.value
