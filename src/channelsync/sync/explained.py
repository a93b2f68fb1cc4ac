"""After a complete order read: what provisional reservations and rises were about, now that the orders are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.bundles import explode
from channelsync.domain.effects import Effect
from channelsync.domain.findings import Finding, FindingKind
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.provisional import (
    Provisional,
    Release,
    TakeOver,
    close_for_rise,
    explained_late,
    to_release,
    unsure,
)
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rises import Rise, explain_rises, is_judged
from channelsync.domain.sourcing import reachable
from channelsync.domain.watermark import Relation, relation
from channelsync.store import agenda, channels, findings, keys, ledger, order_hints, provisionals
from channelsync.store.codec import dump_risen
from channelsync.store.keys import KeyRecord
from channelsync.sync.accounts import channels_of, orders_read
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.setup import DriftPolicy
from channelsync.sync.switches import mode_now
from channelsync.sync.take_over import end_movements, order_came

# So many repairs of one key that no order explains, and another writer is at work: a finding instead of a fight.
REPAIRS_MAX = 3


def after_orders_read(connection: Connection, agent: Agent, channel: OpenChannel) -> bool:
    """Ends what the orders read so far show to be unexplained; returns whether any available changed."""
    held, risen = agenda.unexplained_keys(connection, channel.identity)
    if not held and not risen:
        return False
    work = _Explaining(connection=connection, agent=agent, channel=channel, now=agent.clock.now())
    return work.run(held, risen)


@dataclass(slots=True, kw_only=True)
class _Explaining:
    """One pass over the keys of one account. live: we write there; else nothing is concluded from what is left.

    covered_to, asked: how far its orders were read, and when that was asked. limit: how late they become visible.
    unsettled: keys of which a sale or a cancel that is booked may be the cause, and only their next read tells.
    """

    connection: Connection
    agent: Agent
    channel: OpenChannel
    now: datetime
    live: bool = True
    covered_to: datetime | None = None
    asked: datetime | None = None
    limit: timedelta = timedelta(0)
    movements: list[Movement] = field(default_factory=list)
    ended: dict[str, tuple[int, str]] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    disputed: Counter[int] = field(default_factory=Counter)
    unsettled: set[int] = field(default_factory=set)

    def run(self, held: list[int], risen: list[int]) -> bool:
        setup = self.agent.setup
        states = channels.channel_states(self.connection)
        self.covered_to, self.asked = orders_read(setup, states, self.channel.name)
        self.limit = self.agent.measures.order_limit[self.channel.name]
        self.live = mode_now(self.channel.setup, states.get(self.channel.name)) == "live"
        unlocked = keys.load_keys(self.connection, {*held, *risen})
        items = {part for r in unlocked.values() if r.item for part in reachable(r.item, setup.recipes)}
        positions = ledger.lock_positions(self.connection, items)
        records = keys.load_keys(self.connection, unlocked, lock=True)
        rows = provisionals.open_provisionals(self.connection, records)
        since = self._not_taken_in()
        for key in risen:  # first: what a rise takes back needs no other explanation
            if self.live:
                self._resolve_rises(records[key], rows.get(key, []))
            else:
                keys.save_key(self.connection, key, rise=0, rise_from=None, rise_to=None, risen="")
        for key, open_rows in rows.items():
            still = _as_shown(records[key], [row for row in self._still_open(open_rows) if row.open])
            doubtful = unsure(still, self._effects(records[key], "unsettled"))
            if doubtful:
                self.unsettled.add(key)
            # Where it is not our number that repairs it, an order that comes late would count twice.
            early = self.channel.setup.drift == "repair"
            may_be = [row for row in still if since is None or row.window_from > since]
            released = to_release(may_be, self.covered_to, self.asked, self.limit, early=early)
            self._end_covered(records[key], open_rows, [one for one in released if one.row not in doubtful])
        before = available_as_said(positions)
        entries = ledger.write(self.connection, self.movements, positions, self.now)
        report_oversold(self.connection, before, positions, self.now)
        provisionals.close_units(self.connection, self.ended, self.now)
        changed = {e.movement.position.item for e in entries}
        shown = {name for item in changed for name in setup.shown_by(item)}
        keys.mark_due(self.connection, shown, self.now)
        ended = {row.key for some in rows.values() for row in some if row.id in self.ended}
        keys.mark_keys_due(self.connection, ended, self.now)  # of a blind one no unit moved, but its raises waited
        keys.want_reads(self.connection, self.unsettled)  # one that shows 0 as it must is read for nothing else
        findings.open_findings(self.connection, self.found, self.now)
        return bool(entries)

    def _not_taken_in(self) -> datetime | None:
        """When an order became known last that could not be taken in: it may explain all that was found before. None:
        there is none, or the seller has closed what was found of them."""
        account = channels_of(self.connection, self.channel.setup)
        kinds = [FindingKind.UNREADABLE_ORDER]
        known = [
            one.opened_at
            for name in account
            for one in findings.list_findings(self.connection, kinds=kinds, channel=name, limit=1)
        ]
        failed = order_hints.failed_hints(self.connection, account)
        return max([*known, *([failed] if failed else [])], default=None)

    def _still_open(self, rows: Iterable[Provisional]) -> list[Provisional]:
        """The rows as this pass has left them so far."""
        return [replace(row, open=row.open - self.ended.get(row.id, (0, ""))[0]) for row in rows]

    def _end_covered(self, record: KeyRecord, rows: Sequence[Provisional], ended: Sequence[Release]) -> None:
        """All orders that could explain these units were read: one does after all, or none does."""
        named = {row.id for row in rows if row.named}
        taken = explained_late([one for one in ended if one.row not in named], rows, self._effects(record, "in"))
        self._take_over_late(record, rows, taken)
        late = Counter[str]()
        for one in taken:
            late[one.row] += one.units
        rest = [replace(one, units=one.units - late[one.row]) for one in ended if one.units > late[one.row]]
        self._end(rows, rest, EntryKind.EXPIRE)
        unexplained = [one for one in rest if one.row not in named]
        if unexplained and self.live and record.target is not None:
            self._unexplained_drop(record, rows, unexplained)

    def _effects(self, record: KeyRecord, how: Relation) -> list[Effect]:
        """The key's effects that explained nothing yet, by what its number tells of them. One not read contains all."""
        timing, watermark, shown = self.channel.setup.capabilities.timing, record.state.watermark, record.state.shown
        if watermark is None or not record.ours:
            return list(record.state.effects) if how == "in" else []
        return [e for e in record.state.effects if e.id not in shown and relation(e, watermark, timing) == how]

    def _take_over_late(self, record: KeyRecord, rows: Sequence[Provisional], taken: Iterable[TakeOver]) -> None:
        by_id = {row.id: row for row in rows}
        left = {effect.id: -effect.delta for effect in record.state.effects}
        orders = {effect.id: effect.order for effect in record.state.effects}
        for one in taken:
            order, before = orders[one.effect], self.ended.get(one.row, (0, ""))[0]
            cause = order_came(self.channel.name, order, self.agent.run)
            tag = f"{one.effect} {by_id[one.row].open - before}"
            self.movements += end_movements(by_id[one.row], one.units, EntryKind.TAKE_OVER, cause, tag, self.now)
            self.ended[one.row] = (before + one.units, f"order {order}")
            left[one.effect] -= one.units
            if not left[one.effect]:
                keys.settle_effects(self.connection, [(one.effect, "contained")], self.now)

    def _end(self, rows: Sequence[Provisional], releases: Iterable[Release], kind: EntryKind) -> None:
        by_id = {row.id: row for row in rows}
        for release in releases:
            cause = Cause(actor="agent", run=self.agent.run, reason=release.reason, channel=self.channel.name)
            row = by_id[release.row]
            before = self.ended.get(row.id, (0, ""))[0]
            tag = f"{row.open - before}"
            self.movements += end_movements(row, release.units, kind, cause, tag, self.now)
            self.ended[row.id] = (before + release.units, release.reason)

    def _unexplained_drop(self, record: KeyRecord, rows: Sequence[Provisional], released: Sequence[Release]) -> None:
        """By policy: the raise that follows repairs it; or on hand is adjusted; or the seller is asked."""
        units = sum(release.units for release in released)
        policy = self.channel.setup.drift
        orders = "order that is listed by now" if any(release.early for release in released) else "order"
        if policy == "adopt":
            by_id = {row.id: row for row in rows}
            for release in released:
                self._adjust(record, by_id[release.row].location, by_id[release.row].takes, -release.units, release.row)
        asks = policy == "ask" or (policy == "repair" and bool(record.held))
        if asks:
            self._ask(record, -units, record.held if policy == "repair" else "")
        self.found.append(
            Finding(
                kind=FindingKind.UNEXPLAINED_DROP,
                subject=(str(record.id), self.now.isoformat()),
                channel=record.channel,
                item=record.item or "",
                summary=f"{record.channel} listing {record.listing}: its number fell by {units} and no {orders} "
                f"explains it. {_FOLLOWS['ask' if asks else policy]}",
                evidence={
                    "key": record.id,
                    "units": -units,
                    "rows": [row.id for row in rows],
                    "question": asks,
                },
            )
        )

    def _resolve_rises(self, record: KeyRecord, rows: Sequence[Provisional]) -> None:
        """What the orders read by now say of a number that rose: of what was noticed last, and of what waits."""
        read_past = bool(record.rise and record.rise_to and self.asked and self.asked > record.rise_to)
        since, until = record.rise_from or self.now, record.rise_to or self.now
        newest = (Rise(record.rise, since, until),) if read_past else ()
        contained = [e for e in self._effects(record, "in") if e.delta > 0] if record.state.watermark else []
        left, used = explain_rises((*record.risen, *newest), contained)
        keys.settle_effects(self.connection, [(effect, "contained") for effect in sorted(used)], self.now)
        waiting = list(left[: len(record.risen)])
        fields: dict[str, object] = {}
        if newest:
            fields = self._rise_was_read(record, left[-1], rows, waiting)
        judged = [one for one in waiting if one.units and self._is_judged(record, one)]
        if judged:
            self._drifted(record, sum(one.units for one in judged), "repair")
        fields["risen"] = dump_risen([one for one in waiting if one.units and one not in judged])
        keys.save_key(self.connection, record.id, **fields)
        if newest or judged:
            keys.mark_keys_due(self.connection, [record.id], self.now, urgency=0)

    def _rise_was_read(
        self, record: KeyRecord, rise: Rise, rows: Sequence[Provisional], waiting: list[Rise]
    ) -> dict[str, object]:
        """The columns that follow for a rise past which the orders were read: it gives back what is held, and the rest
        is written over at once and waits to be judged; or it waits as it is, until the seller's policy is applied.

        It also waits as it is after so many repairs that one more may be a fight.
        """
        released, units = close_for_rise(self._still_open(rows), rise)
        self._end(rows, released, EntryKind.RELEASE)
        rest, policy = replace(rise, units=units), self.channel.setup.drift
        if policy == "repair" and record.repairs + len(waiting) < REPAIRS_MAX:
            waiting.append(rest)
        elif units and not self._is_judged(record, rest):
            return {"rise": units}
        elif units:
            self._drifted(record, units, policy)
        return {"rise": 0, "rise_from": None, "rise_to": None}

    def _is_judged(self, record: KeyRecord, rise: Rise) -> bool:
        if not is_judged(rise, self.covered_to, self.limit, ()):
            return False
        judged = is_judged(rise, self.covered_to, self.limit, self._effects(record, "unsettled"))
        if not judged:
            self.unsettled.add(record.id)
        return judged

    def _ask(self, record: KeyRecord, units: int, why: str = "") -> None:
        """Opens a question, or widens one that is open, by so many units, signed. why: empty: it says how many."""
        self.disputed[record.id] += units
        total = record.disputed + self.disputed[record.id]
        changed = f"{abs(total)} units were {'raised' if total > 0 else 'lowered'} at the channel by no order"
        question = why or (changed if total else "it was changed at the channel and changed back, by no order")
        keys.save_key(self.connection, record.id, held=question, disputed=total)

    def _drifted(self, record: KeyRecord, units: int, policy: DriftPolicy) -> None:
        """By policy, as for a drop. Of units that were repaired the seller is never asked; those are no more shown."""
        if record.target is None:  # nobody has said what it should be
            return
        repairs = record.repairs + 1
        if policy == "repair" and repairs > REPAIRS_MAX:
            self._ask(record, units, "another writer raises it again and again")
            kind, follows = FindingKind.ANOTHER_WRITER, _FOLLOWS["ask"]
        else:
            kind, follows = FindingKind.DRIFT, _FOLLOWS[policy]
            keys.save_key(self.connection, record.id, repairs=repairs)
        if policy == "ask":
            self._ask(record, units)
        if policy == "adopt" and record.item:
            setup = self.channel.setup
            location = setup.remotes.get(record.remote) or setup.locations[0]
            takes = explode(record.item, record.multiple, self.agent.setup.recipes).items()
            self._adjust(record, location, takes, units, self.now.isoformat())
        self.found.append(
            Finding(
                kind=kind,
                subject=(str(record.id), self.now.isoformat()),
                channel=record.channel,
                item=record.item or "",
                summary=f"{record.channel} listing {record.listing}: its number rose by {units} and no order explains "
                f"it. {follows}",
                evidence={"key": record.id, "units": units, "question": follows == _FOLLOWS["ask"]},
            )
        )

    def _adjust(self, record: KeyRecord, location: str, takes: Iterable[tuple[str, int]], units: int, tag: str) -> None:
        """The channel's number was right: a human counted there."""
        cause = Cause(
            actor=f"read:{record.channel}",
            run=self.agent.run,
            reason="adopted from the channel",
            channel=record.channel,
        )
        self.movements += [
            Movement(
                id=entry_id("adopt", record.id, tag, item),
                position=PositionKey(item, location),
                kind=EntryKind.ADJUST,
                on_hand=units * each,
                at=self.now,
                cause=cause,
            )
            for item, each in takes
        ]


def _as_shown(record: KeyRecord, rows: Sequence[Provisional]) -> Sequence[Provisional]:
    """Of a number that is not read any more nothing tells when the holds end that the channel named: as others do."""
    read = record.ours and record.state.watermark is not None
    return rows if read else [replace(row, named=False) for row in rows]


_FOLLOWS = {
    "repair": "Our number is written again.",
    "adopt": "On hand was adjusted to it.",
    "ask": "It is only lowered until you decide: `channelsync reconcile --repair` or `--adopt`.",
}
