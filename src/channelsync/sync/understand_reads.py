"""What reads of numbers mean and what follows: watermarks move, effects settle, drops are held at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.effects import Effect
from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, entry_id
from channelsync.domain.provisional import Provisional, Release, end_holds, end_named_since, holds_moved, open_for_drop
from channelsync.domain.publishing import available_number
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import AvailableAt, SoldAs, pick, reachable
from channelsync.domain.watermark import Meaning, Read, Timing, Understood, understand
from channelsync.sdk.values import KeyRead
from channelsync.store import agenda, channels, findings, key_writes, keys, ledger, provisionals, sharing
from channelsync.store.agenda import KeyNumber
from channelsync.store.channels import ChannelState
from channelsync.store.keys import KeyRecord
from channelsync.sync import read_findings
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.switches import mode_now
from channelsync.sync.take_over import begin_movement, end_movements, end_taken_over
from channelsync.sync.unseen import rests

# Accepted and never shown so often in a row: a finding.
_LOST_MAX = 2
# So long after the last repair of a number that stays ours, another writer is not at work any more.
CALM = timedelta(hours=1)
_NONE = timedelta(0)


@dataclass(slots=True)
class ReadsUnderstood:
    """What a batch of reads meant. ask_orders: drops or rises that only an order read can explain.

    changed: available changed, so other channels must be lowered or raised.
    """

    meanings: dict[int, Meaning] = field(default_factory=dict)
    ask_orders: bool = False
    changed: bool = False


def understand_reads(
    connection: Connection,
    agent: Agent,
    channel: OpenChannel,
    reads: Sequence[tuple[int, KeyRead]],
    answers: Mapping[int, int] | None = None,
) -> ReadsUnderstood:
    """Takes reads of keys (key id, read) in, in one transaction; see the publishing rules, sections 3 and 4.

    answers: of the keys whose number was stated by the answer to a write: the generation of that write.
    """
    work = _Reading(connection=connection, agent=agent, channel=channel, now=agent.clock.now(), answers=answers or {})
    work.lock([key for key, _ in reads])
    for key, read in reads:
        if key in work.records:
            work.take(work.records[key], read)
    work.save()
    return work.done


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One batch of reads on its way."""

    connection: Connection
    agent: Agent
    channel: OpenChannel
    now: datetime
    answers: Mapping[int, int]
    done: ReadsUnderstood = field(default_factory=ReadsUnderstood)
    records: dict[int, KeyRecord] = field(default_factory=dict)
    held: dict[int, list[Provisional]] = field(default_factory=dict)
    states: Mapping[str, ChannelState] = field(default_factory=dict)
    numbers: Mapping[int, KeyNumber] = field(default_factory=dict)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    before: dict[PositionKey, int] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    look_again: set[int] = field(default_factory=set)
    anew: set[str] = field(default_factory=set)
    changes: dict[int, dict[str, object]] = field(default_factory=dict)
    writes: list[tuple[tuple[int, int], dict[str, object]]] = field(default_factory=list)
    settled: list[tuple[str, str]] = field(default_factory=list)
    remembered: list[dict[str, object]] = field(default_factory=list)

    @property
    def timing(self) -> Timing:
        return self.channel.setup.capabilities.timing

    def lock(self, wanted: Iterable[int]) -> None:
        """Positions first, then keys, then provisional rows: the one order of locks."""
        ids = sorted(set(wanted))
        shown = sharing.items_shown(self.connection, ids)
        items = {part for item in shown for part in reachable(item, self.agent.setup.recipes)}
        self.positions = ledger.lock_positions(self.connection, items)
        self.before = available_as_said(self.positions)
        self.records = keys.load_keys(self.connection, ids, lock=True)
        self.held = provisionals.open_provisionals(self.connection, self.records)
        self.states = channels.channel_states(self.connection)
        observed = [record.id for record in self.records.values() if self._observed(record)]
        self.numbers = agenda.key_numbers(self.connection, observed) if observed else {}

    def take(self, record: KeyRecord, read: KeyRead) -> None:
        """One read: what it means, and what follows for the key and its position."""
        if not record.ours:  # the channel's own units, or none that are counted: its number says nothing of ours
            return
        number = self._told(record, read)
        if number is None:
            return
        seen = Read(number, read.asked, read.answered, self.answers.get(record.id))
        if self._observed(record):
            self._observe(record, read, seen)
            return
        timing = replace(self.timing, never_negative=False) if record.sells_below_zero else self.timing
        meant = understand(record.state, seen, timing)
        self.done.meanings[record.id] = meant.meaning
        self._remember(record, seen, meant)
        if meant.meaning in (Meaning.TOO_SOON, Meaning.NOT_VISIBLE_YET):
            self._change(record, read_at=read.asked)
            return
        if rests(record, meant, timing) and not self.held.get(record.id):
            self._change(record, due_at=None)
        elif meant.meaning is not Meaning.AS_EXPECTED or meant.visible is not None or record.due_at is not None:
            self.look_again.add(record.id)  # the read may have made room for a write that waited
        if meant.meaning is Meaning.FIRST and record.item is not None:
            self.anew |= self.agent.setup.shown_by(record.item)  # rules may share units out anew
        self._move_watermark(record, read, meant)
        self._take_over(record, meant.contained)
        drop, rise = self._without_holds(record, read, seen, meant)
        if drop:
            self._hold(record, seen, drop)
        if rise:
            self._rise(record, seen, rise)
        if meant.meaning is Meaning.PUSH_LOST:
            self._lost(record, meant)
        elif meant.meaning is Meaning.AS_EXPECTED and meant.visible is not None:
            closed = [fingerprint(FindingKind.PUSH_LOST, str(record.id))]
            findings.close_findings(self.connection, closed, "a write was seen in force", self.now)

    def _told(self, record: KeyRecord, read: KeyRead) -> int | None:
        """The number of a read, in units that a buyer may buy. None: it tells none, and all that follows is done."""
        if read.unreadable:  # what is known stays; it is read again by the sweep, or when somebody wants it
            self._change(record, read_at=read.asked, read_wanted=False, unreadable=read.unreadable)
            self.found.append(read_findings.unreadable(record, read.unreadable))
            return None
        if record.unreadable:
            closed = [fingerprint(FindingKind.UNREADABLE_NUMBER, str(record.id))]
            findings.close_findings(self.connection, closed, "the number could be read", self.now)
            self._change(record, unreadable="")
        if read.value is None:  # its listing ended; should it come back, the first read of it sets the watermark anew
            self.done.ask_orders = self.done.ask_orders or record.state.watermark is not None
            self._change(record, value=None, read_at=read.asked, read_wanted=False, due_at=None)
            return None
        number = self._number(record, read.value, read.committed)
        if number is None:
            self._change(record, read_at=read.asked, read_wanted=False)
        return number

    def _observed(self, record: KeyRecord) -> bool:
        setup = self.agent.setup.channels.get(record.channel, self.channel.setup)
        return mode_now(setup, self.states.get(record.channel)) != "live"

    def _observe(self, record: KeyRecord, read: KeyRead, seen: Read) -> None:
        """Another tool writes to this key, so its number is seen and explains nothing: no drop, no rise.

        It is kept without the time it was asked, so that it is no watermark: whenever the channel goes live, however
        that is said, its first read sets one and books nothing.
        """
        meant = understand(replace(record.state, watermark=None), seen, self.timing)
        self.done.meanings[record.id] = meant.meaning
        before = self.numbers.get(record.id)
        if before is None or before.shown != seen.value:
            self._remember(record, seen, meant)
            self.look_again.add(record.id)
        self._move_watermark(record, read, meant)
        self._take_over(record, meant.contained)
        self._change(record, asked_at=None)
        if record.state.watermark is not None:
            self._change(record, target=None)  # so that the first prediction is recorded
            self.look_again.add(record.id)

    def save(self) -> None:
        """Writes what the reads changed, puts it on the agenda, and reports what was found."""
        keys.save_keys(self.connection, self.changes)
        key_writes.change_writes(self.connection, self.writes)
        keys.settle_effects(self.connection, self.settled, self.now)
        keys.record_read(self.connection, self.remembered)
        changed = {entry.movement.position.item for entry in self.entries}
        if changed:
            shown = {name for item in changed for name in self.agent.setup.shown_by(item)}
            keys.mark_due(self.connection, shown, self.now, urgency=0)
            report_oversold(self.connection, self.before, self.positions, self.now)
            self.done.changed = True
        keys.mark_keys_due(self.connection, self.look_again, self.now)
        keys.mark_due(self.connection, self.anew, self.now)
        findings.open_findings(self.connection, self.found, self.now)

    def _number(self, record: KeyRecord, told: int, committed: int | None) -> int | None:
        """The read in units that a buyer may buy; None where the channel failed to tell it. A blind one as told."""
        capabilities = self.channel.setup.capabilities
        if not capabilities.blind:
            return available_number(told, committed, physical=capabilities.meaning == "physical")
        if record.state.watermark is None:
            self.found.append(read_findings.blind(record))
        return told

    def _remember(self, record: KeyRecord, seen: Read, meant: Understood) -> None:
        dull = meant.meaning in (Meaning.AS_EXPECTED, Meaning.TOO_SOON) and meant.visible is None
        if dull and record.state.watermark and record.state.watermark.value == seen.value:
            return  # a read that says what was known already explains nothing later
        row: dict[str, object] = {
            "id": _read_id(record.id, seen),
            "key": record.id,
            "value": seen.value,
            "asked_at": seen.asked,
            "answered_at": seen.answered,
            "meaning": meant.meaning.value,
            "units": meant.units,
            "low": meant.low,
            "high": meant.high,
        }
        self.remembered.append(row)

    def _move_watermark(self, record: KeyRecord, read: KeyRead, meant: Understood) -> None:
        watermark = meant.state.watermark
        if watermark is None:
            return
        self._change(
            record,
            value=watermark.value,
            asked_at=watermark.asked,
            answered_at=watermark.answered,
            committed=read.committed,
            verified=meant.state.verified,
            confirmed=meant.state.confirmed,
            read_at=read.asked,
            read_wanted=False,
        )
        if meant.visible is not None and record.failures:  # only now: an accepted write may be lost again and again
            self._change(record, failures=0)
        if record.repairs and meant.visible is None and self._calm_again(record, meant):
            self._change(record, repairs=0)
        self.settled += [(effect.id, "arrived") for effect in meant.arrived]
        self.settled += [(effect, "shown") for effect in sorted(meant.state.shown - record.state.shown)]
        open_now = {write.generation for write in meant.state.writes}
        lost = {write.generation for write in meant.lost}
        for write in record.state.writes:
            if write.generation not in open_now:
                fields: dict[str, object] = {"closed_at": self.now}
                if meant.visible is not None and write.generation == meant.visible.generation:
                    fields["visible_at"] = read.answered
                if write.generation in lost:
                    fields["outcome"] = "lost"
                self.writes.append(((record.id, write.generation), fields))

    def _calm_again(self, record: KeyRecord, meant: Understood) -> bool:
        """Whether the number has stayed as we want it for long enough since the last repair.

        Just before a repair a read shows the other writer's number; soon after it ours, until it is written over again.
        """
        seen = meant.state.watermark
        if meant.meaning is not Meaning.AS_EXPECTED or seen is None or record.target is None:
            return False
        if seen.value != self.timing.written(record.target):
            return False
        last = findings.last_opened(self.connection, FindingKind.DRIFT, str(record.id))
        return last is None or self.now - last >= CALM

    def _change(self, record: KeyRecord, **fields: object) -> None:
        self.changes.setdefault(record.id, {}).update(fields)

    def _take_over(self, record: KeyRecord, contained: Sequence[Effect]) -> None:
        """Settles these effects. While a rise or a drop waits for its cause, those that took nothing over may be it."""
        rows, took = self.held.get(record.id, []), set[str]()
        waits = record.rise > 0 or any(not row.named for row in rows)
        if rows and any(effect.delta < 0 for effect in contained):
            entries, took = end_taken_over(
                self.connection, record.channel, contained, rows, self.positions, now=self.now, run=self.agent.run
            )
            self.entries += entries
            self._held_now(record)
        open_ones = {e.id for e in contained if waits or (record.risen and e.delta > 0)} - took
        self.settled += [(effect.id, "contained") for effect in contained if effect.id not in open_ones]

    def _held_now(self, record: KeyRecord) -> None:
        self.held[record.id] = provisionals.open_provisionals(self.connection, [record.id]).get(record.id, [])

    def _without_holds(self, record: KeyRecord, read: KeyRead, seen: Read, meant: Understood) -> tuple[int, int]:
        """The unexplained (drop, rise) of a read, once what the channel names as held is held or given back for it."""
        drop = meant.units if meant.meaning is Meaning.DROP else 0
        rise = meant.units if meant.meaning is Meaning.RISE else 0
        rows = self.held.get(record.id, [])
        if meant.meaning is Meaning.FIRST:  # what it holds already is no more ours than the rest that it shows
            self._change(record, channel_held=read.held or 0)
            self._release(record, end_holds(rows))
        elif read.held is not None and read.held != record.channel_held:
            self._change(record, channel_held=read.held)
            moved = holds_moved(read.held - record.channel_held, drop, rise)
            self._release(record, [*end_holds(rows, moved.ended), *end_named_since(rows, max(0, moved.rise - rise))])
            if moved.named:
                self._hold(record, seen, moved.named, named=True)
            drop, rise = moved.drop, min(rise, moved.rise)
        return drop, rise

    def _release(self, record: KeyRecord, releases: Sequence[Release]) -> None:
        """Ends units of the key's provisional rows."""
        if not releases:
            return
        rows = {row.id: row for row in self.held[record.id]}
        movements = []
        for one in releases:
            actor = f"read:{record.channel}"
            cause = Cause(actor=actor, run=self.agent.run, reason=one.reason, channel=record.channel)
            row = rows[one.row]
            movements += end_movements(row, one.units, EntryKind.RELEASE, cause, f"{row.open}", self.now)
        self._write(movements)
        provisionals.close_units(self.connection, {one.row: (one.units, one.reason) for one in releases}, self.now)
        self._held_now(record)

    def _hold(self, record: KeyRecord, seen: Read, units: int, *, named: bool = False) -> None:
        """A drop that nothing explains: an order that we have not seen. The units are held on this channel at once.

        named: the channel says what holds them.
        """
        before = record.state.watermark
        self.done.ask_orders = self.done.ask_orders or not named
        if record.item is None or before is None:
            return
        setup = self.agent.setup
        at: AvailableAt = {}
        for key, position in self.positions.items():
            at.setdefault(key.location, {})[key.item] = position.available
        locations = self.channel.setup.locations
        remote = self.channel.setup.remotes.get(record.remote)
        picks = pick(SoldAs(record.item, record.multiple), units, (remote,) if remote else locations, at, setup.recipes)
        measures, since = self.agent.measures, max(seen.answered - before.asked, _NONE)
        plausible = max(measures.plausible(record.channel, one.takes, since) for one in picks)
        plausible = units if named else min(units, plausible)
        if self.channel.setup.capabilities.blind:  # it may have been a shipment: only raises of this key wait
            picks = tuple(replace(one, takes=()) for one in picks)
        rows = open_for_drop(record.id, picks, plausible, before, seen, self.timing, self.now, named=named)
        provisionals.add_provisionals(self.connection, record.channel, rows)
        if record.target is not None and any(row.excess and row.takes for row in rows):
            self.found.append(read_findings.implausible(record, rows, self.channel.setup.drift))
        movements = [
            begin_movement(row, record, item, each, self.now, self.agent.run)
            for row in rows
            for item, each in row.takes
        ]
        self._write(movements)

    def _write(self, movements: Sequence[Movement]) -> None:
        missing = {m.position for m in movements} - self.positions.keys()
        ledger.open_positions(self.connection, missing)
        self.positions |= ledger.lock_positions(self.connection, {key.item for key in missing})
        self.entries += ledger.write(self.connection, movements, self.positions, self.now)

    def _rise(self, record: KeyRecord, seen: Read, units: int) -> None:
        before = record.state.watermark
        self.done.ask_orders = True
        since = before.asked - self.timing.staleness - self.timing.skew if before else seen.asked
        self._change(
            record,
            rise=record.rise + units,
            rise_from=record.rise_from or since,
            rise_to=seen.answered + self.timing.skew,
        )

    def _lost(self, record: KeyRecord, meant: Understood) -> None:
        self._change(record, failures=record.failures + 1)
        if record.failures + 1 >= _LOST_MAX:
            self.found.append(read_findings.lost(record, meant))


def _read_id(key: int, seen: Read) -> str:
    return entry_id("read", key, seen.asked, seen.answered)
