"""Which keys are written next, and with what: targets and states to decisions, in one transaction each.

`survey` looks at due keys and says what each needs: nothing, a read, a write, or to wait. `prepare` decides once more
when the call has been granted and the lease was checked, and records the writes before their request leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from channelsync.domain.publishing import Decision, Switches, decide, overtakes, told_number
from channelsync.domain.risk import DueKey, by_urgency
from channelsync.domain.watermark import expected_now
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync.store import channels, key_writes, keys, leases
from channelsync.store.channels import ChannelState
from channelsync.store.codec import dump
from channelsync.store.database_errors import DatabaseConflict
from channelsync.store.keys import KeyRecord
from channelsync.store.leases import Lease
from channelsync.sync.accounts import orders_read
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.catch_up import behind
from channelsync.sync.observe import predict
from channelsync.sync.setup import Setup
from channelsync.sync.steps import plain_steps
from channelsync.sync.switches import STOPS, mode_now, stop_now
from channelsync.sync.targets import Target, compute_targets
from channelsync.sync.unseen import look_for_writes, tells_more_from
from channelsync.sync.write_limits import load_rations, observed_rations, tell_blocked

# After so long without an order read a rise is repaired: its cause may be one that no order will ever explain.
RISE_WAITS_MAX = timedelta(minutes=15)

UNSTATED = "nobody has said how many units there are, so it is left as it is; `listings lint` says how to say it"


@dataclass(slots=True)
class Survey:
    """What the due keys of an account need. writes: in the order in which they go out, lowerings first.

    lowerings: of the writes, those that lower. reads: keys to read first. waiting: keys looked at again later.
    blocked: those whose lowering the channel takes no write for, with the time until which that is so.
    observed: of channels to which nothing is written.
    """

    writes: list[int] = field(default_factory=list)
    lowerings: set[int] = field(default_factory=set)
    reads: list[int] = field(default_factory=list)
    waiting: int = 0
    settled: int = 0
    decisions: dict[int, Decision] = field(default_factory=dict)
    targets: dict[int, Target] = field(default_factory=dict)
    blocked: list[tuple[Target, datetime]] = field(default_factory=list)
    observed: list[Target] = field(default_factory=list)
    changes: dict[int, dict[str, object]] = field(default_factory=dict)

    def change(self, key: int, **fields: object) -> None:
        """Columns of a key to write when the survey ends."""
        self.changes.setdefault(key, {}).update(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A write that is recorded and may leave now."""

    key: int
    generation: int
    update: QuantityUpdate


def survey(
    connection: Connection,
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[int],
    unseen: Collection[int] = (),
    *,
    crowded: bool = False,
) -> Survey:
    """Decides about these keys and takes those that need nothing off the agenda.

    Their positions and they are locked meanwhile, so that whatever changes them later puts the keys back on.
    unseen: of these, those of which only a write may be left to see; of them as long as that is so nothing is locked.
    crowded: more may be due than these. What is to be written then stands behind all that became due before now, so
    that nothing which cannot leave is surveyed again and again in the place of what could.
    """
    now = agent.clock.now()
    found = Survey()
    looks = look_for_writes(connection, agent.setup, unseen, channels.channel_states(connection), now)
    found.reads, found.waiting = sorted(looks.reads), len(looks.later)
    wanted = [key for key in wanted if not (key in looks.reads or key in looks.later)]
    targets = _locked_targets(connection, agent, wanted)
    states = channels.channel_states(connection)  # now that the keys are locked: whoever switches a channel marks them
    decisions = next_steps(connection, agent.setup, targets, states, now)
    due: list[DueKey] = []
    for key in wanted:
        target = targets.get(key)
        if target is None:  # not mapped, or not ours any more
            found.change(key, due_at=None, read_wanted=False)
            continue
        decision = rested(decisions[key], target.key, now)
        found.decisions[key] = decision
        found.targets[key] = target
        if mode_now(agent.setup.channels[target.key.channel], states.get(target.key.channel)) != "live":
            found.observed.append(target)
            continue
        if target.key.target != target.recorded or target.key.hot != target.hot:
            found.change(key, target=target.recorded, hot=target.hot)
        if decision.action in ("lower", "raise"):
            reference = expected_now(target.key.state, channel.setup.capabilities.timing)[-1]
            due.append(DueKey(str(key), reference.high, target.units, target.hot, target.key.due_at or now))
            if decision.action == "lower":
                found.lowerings.add(key)
            if crowded:
                found.change(key, due_at=now, urgency=keys.URGENT if decision.action == "lower" else 1)
        elif decision.action == "wait" and not (decision.until and target.key.state.writes):
            found.waiting += 1
            found.change(key, due_at=decision.until or now + channel.setup.tick)
        else:
            _read_or_rest(channel, target.key, decision, found, now)
        if decision.blocked and decision.until:
            found.blocked.append((target, decision.until))
    limited = wanted if channel.setup.capabilities.writes_per_day else ()
    tell_blocked(connection, agent.setup, limited, found.blocked, now)
    _observe(connection, agent, channel, found, now)
    keys.save_keys(connection, found.changes)
    key_writes.look_later(connection, looks.later)
    found.writes = [int(one.key) for one in by_urgency(due)]
    return found


def _observe(connection: Connection, agent: Agent, channel: OpenChannel, found: Survey, now: datetime) -> None:
    """Keys to which nothing is written: what would be is recorded, beside a number that was just read.

    What would wait for the channel to take more writes of its listing is recorded when it would leave.
    """
    quiet = max(channel.setup.tick * 0.5, channel.setup.capabilities.timing.staleness)
    predicted = []
    changed = [target.key for target in found.observed if _changed(target).value is not None]
    rations = observed_rations(connection, agent.setup, changed, now)
    for target in found.observed:
        record = target.key
        if target.unstated:
            found.settled += 1
            found.change(record.id, target=None, hot=target.hot, due_at=None, read_wanted=False)
            continue
        if record.target != target.units and (record.read_at is None or record.read_at <= now - quiet):
            found.reads.append(record.id)
            continue
        decision = rations.within(record, _changed(target))
        if decision.until is not None:
            found.waiting += 1
            found.change(record.id, hot=target.hot, due_at=decision.until, read_wanted=False)
            continue
        if record.target != target.units:
            predicted.append(target)
            rations.count(record)
        found.settled += 1
        found.change(record.id, target=target.units, hot=target.hot, due_at=None, read_wanted=False)
    predict(connection, agent.setup, predicted, now)


def _changed(target: Target) -> Decision:
    """What would be done to an observed key, had all that was predicted been written."""
    before = target.key.target
    if before is None or before == target.units:
        return Decision(action="none", why="")
    return Decision(action="lower" if target.units < before else "raise", why="", value=target.units)


def _read_or_rest(channel: OpenChannel, record: KeyRecord, decision: Decision, found: Survey, now: datetime) -> None:
    """A key with nothing to send: it is read where that tells more, looked at again later, or taken off the agenda."""
    if decision.action != "read first" and not record.state.writes:
        found.settled += 1
        found.change(record.id, due_at=None)
        return
    until = tells_more_from(channel.setup, record, now, any_doubt=decision.action == "read first")
    if until > now:
        found.waiting += 1
        found.change(record.id, due_at=until)
    else:
        found.reads.append(record.id)


def prepare(
    connection: Connection,
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[int],
    lease: Lease | None,
    lowerings: Collection[int] = (),
) -> list[Prepared]:
    """Decides once more, now that the call is granted, and records what will be sent. Raises LeaseLost.

    Keys that no longer need a write are left out, and those that the channel takes no more writes for: writes of one
    listing count together, those of this call as well. They stay on the agenda. So do those of the lowerings that would
    be raises by now: what a raise rests on was not read for them.
    """
    now = agent.clock.now()
    if lease is not None:
        leases.check_lease(connection, lease, now)
    states = channels.channel_states(connection)
    targets = _locked_targets(connection, agent, wanted)
    decisions = {key: decision_for(agent.setup, target, states, now) for key, target in targets.items()}
    rations = load_rations(connection, agent.setup, (target.key for target in targets.values()), now)
    prepared: list[Prepared] = []
    rows: list[dict[str, object]] = []
    for key in wanted:
        target = targets.get(key)
        if target is None:
            continue
        decision = rations.within(target.key, decisions[key])
        if decision.value is None or (key in lowerings and decision.action == "raise"):
            continue
        rations.count(target.key)
        generation = target.key.generation + 1
        update = _update(channel, target, decision, generation, agent.run)
        prepared.append(Prepared(key=key, generation=generation, update=update))
        rows.append(_row(target, decision, generation, agent.run, now))
        if overtakes(target.key.state, channel.setup.capabilities.timing):
            keys.save_key(connection, key, verified=False)
        if target.key.target != target.recorded or target.key.hot != target.hot:
            keys.save_key(connection, key, target=target.recorded, hot=target.hot)
    key_writes.begin_writes(connection, rows)
    return prepared


def _locked_targets(connection: Connection, agent: Agent, wanted: Sequence[int]) -> dict[int, Target]:
    """Targets of these keys, which are locked, by the set-up that holds then.

    One that changed while we waited for the locks has put the keys on the agenda already, and would not do so again:
    DatabaseConflict, so that the transaction begins anew.
    """
    setup = agent.setup
    found = compute_targets(connection, setup, agent.measures, wanted, lock=True)
    if agent.setup is not setup:
        raise DatabaseConflict("the set-up changed while we waited for the keys")
    return found


def next_steps(
    connection: Connection,
    setup: Setup,
    targets: Mapping[int, Target],
    states: Mapping[str, ChannelState],
    now: datetime,
) -> dict[int, Decision]:
    """Each key's next step, as far as its channel takes writes of its listing now."""
    decisions = {key: decision_for(setup, target, states, now) for key, target in targets.items()}
    writing = [targets[key].key for key, decision in decisions.items() if decision.value is not None]
    rations = load_rations(connection, setup, writing, now)
    return {key: rations.within(targets[key].key, decision) for key, decision in decisions.items()}


def decision_for(setup: Setup, target: Target, states: Mapping[str, ChannelState], now: datetime) -> Decision:
    """One key's next step, with the switches that hold for it now. Nothing is written to a channel that is not live,
    nor is a number raised where nobody has said how many units there are.

    How often a channel lets a listing be written a day is not looked at; see `next_steps`.
    """
    record, channel = target.key, setup.channels[target.key.channel]
    capabilities, state = channel.capabilities, states.get(record.channel)
    mode = mode_now(channel, state)
    if mode != "live":
        return Decision(action="wait", why=f"{channel.name} is {'only observed' if mode == 'observe' else 'off'}")
    rise = record.rise
    asked = orders_read(setup, states, record.channel)[1] if rise else None
    if rise and record.rise_to and now > record.rise_to + RISE_WAITS_MAX and (asked is None or asked < record.rise_to):
        rise = 0
    decision = decide(
        record.state,
        target.number,
        capabilities.timing,
        _switches(setup, target, states, now),
        compare_and_set=capabilities.compare_and_set,
        rise=rise,
        sells_below_zero=record.sells_below_zero,
        now=now,
    )
    known = bool(record.state.watermark or record.state.writes)
    left = target.unstated and known and decision.action not in ("lower", "read first")
    return Decision(action="none", why=UNSTATED) if left else decision


def rested(decision: Decision, record: KeyRecord, now: datetime) -> Decision:
    """The step, unless it is a raise in the pause after a refusal: that one waits. A lowering waits for no pause."""
    if decision.action != "raise" or record.not_before is None or now >= record.not_before:
        return decision
    return Decision(action="wait", why="the channel refused its last write; a raise waits", until=record.not_before)


def _switches(setup: Setup, target: Target, states: Mapping[str, ChannelState], now: datetime) -> Switches:
    channel = setup.channels[target.key.channel]
    values, given_by = target.rules.values, target.rules.given_by
    forbids = {"do_not_touch": True, "may_lower": False, "may_raise": False}
    rules = {str(given_by[name]) for name, value in forbids.items() if getattr(values, name) is value}
    both = stop_now(channel, states.get(channel.name)), behind(setup, states, channel.name, now)
    stop, said_by = max(both, key=lambda one: STOPS.index(one[0]))
    return Switches(
        may_lower=values.may_lower is not False and not values.do_not_touch,
        may_raise=values.may_raise is not False and not values.do_not_touch,
        stop=stop,
        held=bool(target.key.held),
        disputed=target.key.disputed,
        reason=target.key.held or said_by or "; ".join(sorted(rules)),
    )


def _update(channel: OpenChannel, target: Target, decision: Decision, generation: int, run: str) -> QuantityUpdate:
    """The update in the channel's own meaning of its number.

    Its key has the run in it, for a database that was restored counts generations anew, and a channel would take a
    number of today for the repeat of another one.
    """
    record = target.key
    physical = channel.setup.capabilities.meaning == "physical"
    tell = partial(told_number, committed=record.committed, physical=physical)
    return QuantityUpdate(
        key=QuantityKey(record.key, record.remote),
        value=tell(decision.value or 0),
        listing=record.listing,
        expected=None if decision.expected is None else tell(decision.expected),
        idempotency=f"{record.id}-{run}-{generation}",
        lowering=decision.action == "lower",
    )


def _row(target: Target, decision: Decision, generation: int, run: str, now: datetime) -> dict[str, object]:
    return {
        "key": target.key.id,
        "generation": generation,
        "value": decision.value,
        "expected": decision.expected,
        "run": run,
        "sent_at": now,
        "answered_at": None,
        "outcome": "",
        "reason": decision.why,
        "visible_at": None,
        "closed_at": None,
        "why": dump({"decision": decision.why, "steps": plain_steps(target.offer, target.unsaid)}),
    }
