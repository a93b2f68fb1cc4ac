"""Plans that wait for approval: looked at, approved, rejected.

After approval exactly the plan runs, less what the world has overtaken: a key whose number would now be another one
than planned, by more than orders explain, is named and judged again, as a plan of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind, fingerprint
from channelsync.domain.guard import GuardLimits, Hold, as_planned
from channelsync.sdk.paging import in_batches
from channelsync.store import findings, guarded_keys, keys, plans, runs
from channelsync.store.items import items_by_id
from channelsync.store.listings_view import MAPPING
from channelsync.store.plans import KeyState, PlanKey, StoredPlan
from channelsync.sync.guard import ITEMS_AT_ONCE, Guarded, HeldPlan, Judging, Move, guard_run, with_stored_rules
from channelsync.sync.guard_numbers import Numbers, Offered
from channelsync.sync.holds import HeldNow
from channelsync.sync.listings_gone import listings_are_gone
from channelsync.sync.measures import Measures
from channelsync.sync.rule_changes import RULE
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Refused
from channelsync.sync.undo import Undone, undo

NO_LIMITS = GuardLimits(listings=None, zeroed=None, units=None, value=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKey:
    """One number of a plan. before: without the run; shows: meanwhile; planned: as the run would have it; now: as it
    would be today, None: it is not mapped any more. state, why: what became of it."""

    sku: str
    listing: str
    remote: str
    before: int
    planned: int
    shows: int | None
    now: int | None
    state: KeyState
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """A number of an approved plan that did not go out as planned. why: what has come between."""

    sku: str
    listing: str
    planned: int
    now: int | None
    why: str


@dataclass(slots=True, kw_only=True)
class Decided:
    """What a decision did. released: keys that go out as planned. gone: listings that are taken as gone now.

    again: plans that hold what was overtaken and is too much by itself. undone: what undoing the run did.
    """

    plan: str
    run: str
    channel: str
    released: int = 0
    gone: int = 0
    overtaken: list[Overtaken] = field(default_factory=list)
    again: list[HeldPlan] = field(default_factory=list)
    undone: Undone | None = None


def the_plan(connection: Connection, name: str) -> StoredPlan:
    """A plan by its id. Raises Refused where there is none."""
    plan = plans.get_plan(connection, name)
    if plan is None:
        raise Refused(f"There is no plan {name!r}; `channelsync approvals list` shows those that wait.")
    return plan


def planned_keys(connection: Connection, setup: Setup, measures: Measures, name: str) -> list[PlannedKey]:
    """What a plan would change, number by number, those that change most first. Reads only."""
    known = plans.plan_keys(connection, name)
    work = _Deciding(connection=connection, setup=setup, measures=measures, plan=the_plan(connection, name))
    standing = work.standing([one for one in known if one.state == "held"])
    found = guarded_keys.keys_by_id(connection, [one.key for one in known])
    skus = {item: one.sku for item, one in items_by_id(connection, {one.item for one in known}).items()}
    rows = []
    for one in known:
        stays, key = standing.get(one.key), found.get(one.key)
        rows.append(
            PlannedKey(
                sku=skus.get(one.item, ""),
                listing=key.listing if key else "",
                remote=key.remote if key else "",
                before=one.hold.before,
                planned=one.hold.planned,
                shows=stays.shows if stays else None,
                now=stays.target if stays else None,
                state=one.state,
                why=one.why,
            )
        )
    return sorted(rows, key=lambda row: (-abs(row.planned - row.before), row.sku, row.listing, row.remote))


def approve(connection: Connection, setup: Setup, measures: Measures, by: By, name: str) -> Decided:
    """Lets a plan go out, in the caller's transaction. Raises Refused: an unknown plan, one that is over."""
    plan = the_plan(connection, name)
    _claim(connection, by, plan, "approved", ("open", "rejected"))
    done = Decided(plan=plan.id, run=plan.run, channel=plan.channel)
    if plan.kind == "catalogue":
        began = datetime.fromisoformat(plan.counts["began"])
        done.gone = listings_are_gone(connection, setup, plan.channel, began, by.now)
    else:
        _Deciding(connection=connection, setup=setup, measures=measures, plan=plan).let_out(by, done)
    _close(connection, plan, f"approved by {by.actor}", by.now)
    return done


def reject(
    connection: Connection, setup: Setup, measures: Measures, by: By, name: str, *, undoing: bool = False
) -> Decided:
    """Leaves the numbers of a plan as they are. undoing: the run that made it is undone at once.

    Raises Refused: an unknown plan, one that is over, a run that cannot be undone.
    """
    plan = the_plan(connection, name)
    _claim(connection, by, plan, "rejected", ("open", "rejected") if undoing else ("open",))
    done = Decided(plan=plan.id, run=plan.run, channel=plan.channel)
    _close(connection, plan, f"rejected by {by.actor}", by.now)
    if undoing:
        done.undone, done.again = undo_guarded(connection, setup, measures, by, plan.run)
    return done


def undo_guarded(
    connection: Connection, setup: Setup, measures: Measures, by: By, run: str
) -> tuple[Undone, list[HeldPlan]]:
    """Undoes a run, and judges that as any other. Numbers that the run's own plans hold are let go where they show
    what they should. Raises Refused as `undo` does."""
    mapped = [change.subject for change in runs.changes_of(connection, run) if change.kind == MAPPING]
    shown: dict[int, int] = {}
    for subject in mapped:
        channel, _, listing = subject.partition("/")
        shown |= guarded_keys.numbers_shown(connection, channel, [listing])
    ruled = any(change.kind == RULE for change in runs.changes_of(connection, run))
    waiting = {
        one.item
        for plan in plans.list_plans(connection, run=run)
        for one in plans.plan_keys(connection, plan.id, only_held=True)
    }
    done = undo(connection, setup, by, run)
    after = with_stored_rules(connection, setup)
    said = Guarded(run=by.run, now=by.now, items=None if ruled else waiting, before=setup, shown=shown or None)
    return done, guard_run(connection, after, measures, said)


def conclude(connection: Connection, setup: Setup, measures: Measures, run: str, now: datetime) -> list[HeldPlan]:
    """Judges a run that gathered what it did in several transactions; what is within limits goes out."""
    limits = {name: one.guard for name, one in setup.channels.items() if one.guard is not None}
    held: list[HeldPlan] = []
    for plan in plans.list_plans(connection, states=("open",), run=run, kind="quantities"):
        work = _Deciding(connection=connection, setup=setup, measures=measures, plan=plan)
        judged = work.judged(limits.get(plan.channel, NO_LIMITS), now)
        if judged is None:
            _close(connection, plan, "its run is within the limits", now)
        else:
            held.append(judged)
    return held


def _claim(
    connection: Connection, by: By, plan: StoredPlan, state: Literal["approved", "rejected"], was: Sequence[str]
) -> None:
    if not plans.claim_plan(
        connection, plan.id, state, was, decided_at=by.now, decided_by=by.actor, decided_run=by.run, note=by.reason
    ):
        now = the_plan(connection, plan.id)
        who = f" by {now.decided_by}, in run {now.decided_run}" if now.decided_by else ""
        raise Refused(f"Plan {plan.id} is {now.state} already{who}; there is nothing to decide.")


def _close(connection: Connection, plan: StoredPlan, why: str, now: datetime) -> None:
    about = FindingKind.CATALOGUE_SHRANK if plan.kind == "catalogue" else FindingKind.HELD_FOR_APPROVAL
    subject = plan.channel if plan.kind == "catalogue" else plan.id
    findings.close_findings(connection, [fingerprint(about, subject)], why, now)


@dataclass(slots=True, kw_only=True)
class _Deciding:
    """One plan, as its keys stand now."""

    connection: Connection
    setup: Setup
    measures: Measures
    plan: StoredPlan

    def standing(self, held: Sequence[PlanKey]) -> dict[int, HeldNow]:
        """What held keys show and would show now; those that mean something else by now are left out."""
        numbers = Numbers(connection=self.connection, setup=self.setup, measures=self.measures)
        by_item: dict[str, list[PlanKey]] = {}
        for one in held:
            by_item.setdefault(one.item, []).append(one)
        found: dict[int, HeldNow] = {}
        for some in in_batches(sorted(by_item), ITEMS_AT_ONCE):
            every = guarded_keys.keys_of_items(self.connection, some)
            ours = {one.key: one for item in some for one in by_item[item]}
            mine = [key for key in every if key.id in ours and key.item == ours[key.id].item]
            if mine:
                now: Mapping[int, Offered] = numbers.of(every)
                work = Judging(connection=self.connection, setup=self.setup, run="", now=self.plan.made_at, limits={})
                found |= work.shown_while_held(mine, ours, now)
        return found

    def let_out(self, by: By, done: Decided) -> None:
        """Releases what is as planned, and judges the rest anew."""
        held = plans.plan_keys(self.connection, self.plan.id, only_held=True)
        standing = self.standing(held)
        found = guarded_keys.keys_by_id(self.connection, [one.key for one in held])
        skus = {item: one.sku for item, one in items_by_id(self.connection, {one.item for one in held}).items()}
        ended: list[tuple[PlanKey, KeyState, str]] = []
        moves: list[Move] = []
        for one in held:
            stays, key = standing.get(one.key), found.get(one.key)
            if stays is not None and as_planned(one.hold, stays.target, took=stays.took, gave=stays.gave):
                ended.append((one, "released", f"approved by {by.actor}"))
                done.released += 1
                continue
            why = _why_overtaken(one, stays)
            ended.append((one, "overtaken", why))
            if stays is not None and key is not None and stays.target != stays.shows:
                hold = Hold(before=stays.shows, planned=stays.target, room=stays.shows)
                moves.append(Move(key, hold))
            done.overtaken.append(
                Overtaken(
                    sku=skus.get(one.item, ""),
                    listing=key.listing if key else "",
                    planned=one.hold.planned,
                    now=stays.target if stays else None,
                    why=why,
                )
            )
        plans.end_keys(self.connection, ended)
        keys.mark_keys_due(self.connection, [one.key for one in held], by.now)
        done.again = self._judge(moves, by.now)

    def _judge(self, moves: Sequence[Move], now: datetime) -> list[HeldPlan]:
        limits = self.setup.channels[self.plan.channel].guard if self.plan.channel in self.setup.channels else None
        if not moves or limits is None:
            return []
        work = Judging(
            connection=self.connection, setup=self.setup, run=self.plan.run, now=now, limits={self.plan.channel: limits}
        )
        work.moves[self.plan.channel] = list(moves)
        return work.judge()

    def judged(self, limits: GuardLimits, now: datetime) -> HeldPlan | None:
        """A plan that its run has gathered, as a whole; None: it is within limits, and was let go."""
        held = plans.plan_keys(self.connection, self.plan.id, only_held=True)
        found = guarded_keys.keys_by_id(self.connection, [one.key for one in held])
        work = Judging(
            connection=self.connection, setup=self.setup, run=self.plan.run, now=now, limits={self.plan.channel: limits}
        )
        moves = [Move(found[one.key], one.hold, one) for one in held if one.key in found]
        plan = work.weigh(self.plan, moves)
        if plan is None:
            plans.end_keys(self.connection, [(one, "released", "its run is within the limits") for one in held])
            plans.claim_plan(self.connection, self.plan.id, "settled", {"open"}, decided_at=now)
            keys.mark_keys_due(self.connection, [one.key for one in held], now)
        return plan


def _why_overtaken(one: PlanKey, stays: HeldNow | None) -> str:
    if stays is None:
        return "its listing means something else now, or nothing"
    explained = f"; orders explain {stays.took} units less and {stays.gave} more" if stays.took or stays.gave else ""
    return f"planned was {one.hold.planned}, and it should show {stays.target} now{explained}"
