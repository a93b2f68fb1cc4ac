"""The guard in the transaction of every guarded run: what it would change too much of is held, channel by channel.

It stands at the end of the transaction that made the changes, for a publisher may look as soon as that has ended. The
ledger, the rules and the other channels go on; only the numbers that the run would move on that channel stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.guard import Extent, GuardLimits, Hold, beyond
from channelsync.domain.ledger import entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.sdk.paging import in_batches
from channelsync.store import channels, findings, guarded_keys, keys, ledger, plans, rules
from channelsync.store.guarded_keys import GuardedKey
from channelsync.store.plans import KeyState, PlanKey, StoredPlan
from channelsync.sync.guard_numbers import Numbers, Offered
from channelsync.sync.holds import HeldNow, Wanted, held_now
from channelsync.sync.measures import Measures, measure
from channelsync.sync.setup import Setup
from channelsync.sync.switches import mode_now
from channelsync.sync.targets import rules_for

ITEMS_AT_ONCE = 1_000
KEYS_AT_ONCE = 500
"""Keys that are let go or asked about in one statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What a run changed. run, now: as its entries and changes say.

    items: those that it speaks of, beside those whose entries it made; None: everything may have changed (rules).
    relative: it adds and takes units and says nothing of how many there are: numbers that another plan holds stay in
    that plan. before: the set-up before it; None: the same. shown: of a run that mapped listings, the number that each
    key showed before. gather: one of several transactions of the run; all is held until `conclude` judges the whole.
    """

    run: str
    now: datetime
    items: Collection[str] | None = ()
    relative: bool = False
    before: Setup | None = None
    shown: Mapping[int, int] | None = None
    gather: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlan:
    """A plan that was made. reasons: which limits it is beyond. listings, zeroed, units: what it would move."""

    id: str
    run: str
    channel: str
    reasons: tuple[str, ...]
    listings: int
    zeroed: int
    units: int

    def __str__(self) -> str:
        return (
            f"{self.channel}: held for approval ({'; '.join(self.reasons) or 'until its run has ended'}). Look at "
            f"`channelsync approvals show {self.id}`, then approve or reject it."
        )


class Move(NamedTuple):
    """One key that a run would move. held: the plan that held it until now; None: none did."""

    key: GuardedKey
    hold: Hold
    held: PlanKey | None = None


def with_stored_rules(connection: Connection, setup: Setup) -> Setup:
    """The set-up with the stored rules as they are in this transaction."""
    stored = rules.stored_rules(connection)
    return setup if stored == setup.stored_rules else replace(setup, stored_rules=stored)


def guard_run(connection: Connection, setup: Setup, measures: Measures, done: Guarded) -> list[HeldPlan]:
    """Judges what a run did in this transaction; returns the plans that are held, none where it is within limits.

    setup: as it is after the run. Call it last in the transaction that made the changes.
    """
    limits = guarded_channels(connection, setup)
    if not limits:
        return []
    work = Judging(connection=connection, setup=setup, run=done.run, now=done.now, limits=limits)
    Looking(work=work, measures=measures, done=done).look()
    return work.judge(gather=done.gather)


def guard_rules(connection: Connection, before: Setup, *, run: str, now: datetime) -> list[HeldPlan]:
    """Judges a change of stored rules, as `guard_run` does; before: the set-up without it."""
    after = with_stored_rules(connection, before)
    if not guarded_channels(connection, after) or after is before:
        return []
    return guard_run(
        connection, after, measure(connection, after, now), Guarded(run=run, now=now, items=None, before=before)
    )


def guarded_channels(connection: Connection, setup: Setup) -> dict[str, GuardLimits]:
    """The channels that something is written to and that have limits."""
    states = channels.channel_states(connection)
    return {
        name: one.guard
        for name, one in setup.channels.items()
        if one.guard is not None and mode_now(one, states.get(name)) == "live"
    }


@dataclass(slots=True, kw_only=True)
class Looking:
    """Finds out which numbers a run moves. less: what it made available itself, by position."""

    work: Judging
    measures: Measures
    done: Guarded
    less: dict[PositionKey, int] = field(default_factory=dict)

    def look(self) -> None:
        """Adds the moves to the work, item by item."""
        connection, setup, done = self.work.connection, self.work.setup, self.done
        self.less = plans.changed_by(connection, done.run, done.now)
        changed = {name for place in self.less for name in setup.shown_by(place.item)}
        everything = done.items is None
        spoken = {name for item in done.items or () for name in setup.shown_by(item)}
        if done.shown is not None:
            everything_of = guarded_keys.keys_by_id(connection, sorted(done.shown))
            spoken |= {key.item for key in everything_of.values()}
        wanted = guarded_keys.items_shown(connection) if everything else sorted(changed | spoken)
        before = Numbers(connection=connection, setup=done.before or setup, measures=self.measures, less=self.less)
        after = Numbers(connection=connection, setup=setup, measures=self.measures)
        for some in in_batches(wanted, ITEMS_AT_ONCE):
            self._look_at(guarded_keys.keys_of_items(connection, some), changed, before, after)

    def _look_at(self, found: Sequence[GuardedKey], changed: Collection[str], before: Numbers, after: Numbers) -> None:
        guarded = [key for key in found if key.channel in self.work.limits]
        held = self.work.held(guarded)
        moved = {key.item for key in guarded if self.done.items is None or key.item in changed or key.id in held}
        moved |= {key.item for key in guarded if self.done.shown is not None and key.id in self.done.shown}
        moved |= {key.item for key in guarded if key.target is None}  # it may have said that there are none
        mine = [key for key in guarded if key.item in moved]
        if not mine:
            return
        every = [key for key in found if key.item in moved]
        now, then = after.of(every), before.of(every)
        stays = self.work.shown_while_held(mine, held, now, self.less)
        for key in mine:
            if key.id not in now:
                continue
            if key.id in stays:
                if not self.done.relative:
                    self.work.again(key, stays[key.id])
                continue
            was = self._before(key, then)
            if was is not None and was.units != now[key.id].units:
                hold = Hold(before=was.units, planned=now[key.id].units, room=was.room)
                self.work.moves.setdefault(key.channel, []).append(Move(key, hold))

    def _before(self, key: GuardedKey, then: Mapping[int, Offered]) -> Offered | None:
        """What a key should have shown without the run. One that has no number of ours shows the channel's."""
        if self.done.shown is not None and key.id in self.done.shown:
            return Offered(self.done.shown[key.id], self.done.shown[key.id])
        if key.target is None:
            return None if key.shown is None else Offered(key.shown, key.shown)
        return then.get(key.id)


@dataclass(slots=True, kw_only=True)
class Judging:
    """Moves of one run, by channel, and what becomes of them. ended: what plans hold no more, how it ended, and why."""

    connection: Connection
    setup: Setup
    run: str
    now: datetime
    limits: Mapping[str, GuardLimits]
    moves: dict[str, list[Move]] = field(default_factory=dict)
    ended: list[tuple[PlanKey, KeyState, str]] = field(default_factory=list)
    costs: dict[str, tuple[Decimal, str]] | None = None

    def held(self, wanted: Iterable[GuardedKey]) -> dict[int, PlanKey]:
        """Of these keys those that a plan holds; the plans are locked."""
        by_id = {key.id: key for key in wanted}
        found = plans.holding(self.connection, sorted(by_id))
        if found:
            plans.lock_plans(self.connection, {one.plan for one in found.values()})
            found = plans.holding(self.connection, sorted(found))
        return {key: one for key, one in found.items() if one.item == by_id[key].item}

    def shown_while_held(
        self,
        wanted: Sequence[GuardedKey],
        held: Mapping[int, PlanKey],
        now: Mapping[int, Offered],
        less: Mapping[PositionKey, int] | None = None,
    ) -> dict[int, HeldNow]:
        """What those among these that are held show meanwhile. less: what the run itself made available."""
        by_id = {key.id: key for key in wanted if key.id in held and key.id in now}
        if not by_id:
            return {}
        records = keys.load_keys(self.connection, by_id)

        def told(key: int) -> Wanted:
            feeding = rules_for(records[key], by_id[key].item, self.setup)[1]
            return Wanted(item=by_id[key].item, multiple=by_id[key].multiple, feeding=feeding, target=now[key].units)

        return held_now(self.connection, self.setup.recipes, by_id, told, less)

    def again(self, key: GuardedKey, stays: HeldNow) -> None:
        """A key that a plan holds and of which the run says anew how many there are: it is judged with this run."""
        if stays.target == stays.shows:
            self.ended.append((stays.of, "ended", f"run {self.run}: what it shows is what it should show"))
        else:
            hold = Hold(before=stays.shows, planned=stays.target, room=stays.shows)
            self.moves.setdefault(key.channel, []).append(Move(key, hold, stays.of))

    def judge(self, *, gather: bool = False) -> list[HeldPlan]:
        """Holds what is beyond the limits and lets the rest go; returns the plans."""
        made: list[HeldPlan] = []
        first = min((move.key.id for moves in self.moves.values() for move in moves), default=0)
        mark = entry_id("mark", self.run, self.now, first)
        held: list[PlanKey] = []
        for channel, moves in sorted(self.moves.items()):
            moved, whole = self._extent(channel, moves)
            reasons = beyond(self.limits[channel], moved, whole)
            if reasons or gather:
                plan = self._plan(channel, moved, whole, reasons, gather=gather)
                made.append(plan)
                held += [_holding(plan, move, mark) for move in moves]
            state: KeyState = "overtaken"
            self.ended += [
                (move.held, state, f"run {self.run} says anew what it should show") for move in moves if move.held
            ]
        self._let_go()
        if held:
            plans.mark_positions(self.connection, mark, self._marked({one.item for one in held}))
            plans.hold_keys(self.connection, held)
        return made

    def _extent(self, channel: str, moves: Sequence[Move]) -> tuple[Extent, Extent]:
        """What is moved, and the whole of the channel. Money only where there is a limit of it that could bite."""
        limits = self.limits[channel]
        moved = Extent(
            listings=len({move.key.listing for move in moves}),
            zeroed=len({move.key.listing for move in moves if move.hold.planned == 0 < move.hold.before}),
            units=sum(abs(move.hold.planned - move.hold.before) for move in moves),
        )
        listings, units = guarded_keys.size_of(self.connection, channel)
        whole = Extent(listings=listings, units=units)
        if limits.value is None or moved.listings < limits.least:
            return moved, whole
        if self.costs is None:
            self.costs = guarded_keys.unit_costs(self.connection)
        if not self.costs:
            return moved, whole
        worth = [(move.key.item, abs(move.hold.planned - move.hold.before) * move.key.multiple) for move in moves]
        shown = [(one.item, one.base_units) for one in guarded_keys.shown_items(self.connection, channel)]
        return (
            Extent(listings=moved.listings, zeroed=moved.zeroed, units=moved.units, value=self._value(worth)),
            Extent(listings=listings, units=units, value=self._value(shown)),
        )

    def _value(self, units: Iterable[tuple[str, int]]) -> dict[str, Decimal]:
        value: dict[str, Decimal] = {}
        for item, number in units:
            if item in (self.costs or {}):
                cost, currency = (self.costs or {})[item]
                value[currency] = value.get(currency, Decimal(0)) + cost * number
        return value

    def _plan(self, channel: str, moved: Extent, whole: Extent, reasons: tuple[str, ...], *, gather: bool) -> HeldPlan:
        """A new plan, with its finding; where the run gathers, one for all of its transactions."""
        counts = _counts(moved, whole)
        before = plans.list_plans(self.connection, run=self.run, channel=channel)
        going_on = next((one for one in before if gather and one.state == "open"), None)
        if going_on is not None:
            return _told(going_on)
        plan = StoredPlan(
            id=f"p-{entry_id('plan', self.run, channel, len(before))[:8]}",
            run=self.run,
            channel=channel,
            kind="quantities",
            state="open",
            reasons=reasons,
            counts=counts,
            made_at=self.now,
            decided_at=None,
            decided_by="",
            decided_run="",
            note="",
        )
        plans.save_plan(self.connection, plan)
        findings.open_findings(self.connection, [finding_of(plan)], self.now)
        return _told(plan)

    def weigh(self, plan: StoredPlan, moves: Sequence[Move]) -> HeldPlan | None:
        """A plan that holds these keys already, as a whole; None: it is within the limits."""
        moved, whole = self._extent(plan.channel, moves)
        reasons = beyond(self.limits[plan.channel], moved, whole)
        if not reasons:
            return None
        weighed = replace(plan, reasons=reasons, counts=_counts(moved, whole))
        plans.change_counts(self.connection, plan.id, weighed.counts, reasons)
        finding = finding_of(weighed)
        findings.close_findings(self.connection, [finding.fingerprint], "its run has ended", self.now)
        findings.open_findings(self.connection, [finding], self.now)
        return _told(weighed)

    def _let_go(self) -> None:
        """Ends what was held before; a plan that holds nothing any more is settled."""
        if not self.ended:
            return
        plans.end_keys(self.connection, self.ended)
        keys.mark_keys_due(self.connection, [one.key for one, _, _ in self.ended], self.now)
        settle_plans(self.connection, {one.plan for one, _, _ in self.ended}, self.now)

    def _marked(self, items: Collection[str]) -> dict[PositionKey, tuple[int, int]]:
        """The positions of these items and their parts, at every location that may feed them."""
        parts = sorted({part for item in items for part in reachable(item, self.setup.recipes)})
        less = plans.changed_by(self.connection, self.run, self.now)
        marked: dict[PositionKey, tuple[int, int]] = {
            PositionKey(part, location): (0, 0) for part in parts for location in self.setup.locations
        }
        for some in in_batches(parts, ITEMS_AT_ONCE):
            for place, one in ledger.read_positions(self.connection, some).items():
                marked[place] = (one.available - less.get(place, 0), one.entries)
        return marked


def _counts(moved: Extent, whole: Extent) -> dict[str, object]:
    return {
        "listings": moved.listings,
        "zeroed": moved.zeroed,
        "units": moved.units,
        "of_listings": whole.listings,
        "of_units": whole.units,
        "value": {currency: str(money) for currency, money in moved.value.items()},
    }


def _told(plan: StoredPlan) -> HeldPlan:
    counts = plan.counts
    return HeldPlan(
        id=plan.id,
        run=plan.run,
        channel=plan.channel,
        reasons=plan.reasons,
        listings=counts["listings"],
        zeroed=counts["zeroed"],
        units=counts["units"],
    )


def _holding(plan: HeldPlan, move: Move, mark: str) -> PlanKey:
    return PlanKey(
        plan=plan.id,
        run=plan.run,
        key=move.key.id,
        item=move.key.item,
        mark=mark,
        hold=move.hold,
        state="held",
        why="",
    )


def finding_of(plan: StoredPlan) -> Finding:
    """The finding that is open as long as a plan waits."""
    why = "; ".join(plan.reasons) or "until its run has ended"
    return Finding(
        kind=FindingKind.HELD_FOR_APPROVAL,
        subject=(plan.id,),
        channel=plan.channel,
        summary=f"{plan.channel}: what run {plan.run} would change there waits for approval ({why}). Look at "
        f"`channelsync approvals show {plan.id}`, then approve or reject it.",
        evidence={"plan": plan.id, "run": plan.run, **plan.counts},
    )


def settle_plans(connection: Connection, ids: Collection[str], now: datetime) -> None:
    """Closes those of these plans that hold nothing any more and that nobody has decided about."""
    for name in plans.emptied(connection, ids):
        plans.claim_plan(connection, name, "settled", {"open", "rejected"}, decided_at=now)
        findings.close_findings(
            connection, [fingerprint(FindingKind.HELD_FOR_APPROVAL, name)], "nothing of it is left to decide", now
        )
