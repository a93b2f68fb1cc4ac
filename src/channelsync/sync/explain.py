"""Why this number: for one SKU, every position and every number behind its listings, now or at a past time.

Now: what is there and who has reserved it; what parts make of a bundle; per number the target with every step and the
rule that bit, what the channel last showed, what it must be showing, what is on its way, and the next step. At a past
time: the positions replayed from the ledger as it was known then, the write that was in force with the steps that were
stored with it when it was sent, and the reads around it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.ledger import EntryKind, LedgerEntry, replay
from channelsync.domain.publishing import Decision
from channelsync.domain.quantities import Position
from channelsync.domain.sourcing import reachable
from channelsync.domain.watermark import expected_now
from channelsync.store import agenda, channels, explain_view, keys, ledger, listings
from channelsync.store.channels import ChannelState
from channelsync.store.explain_view import (
    FindingAbout,
    ReservedUnits,
    StoredEffect,
    StoredPrediction,
    StoredProvisional,
    StoredRead,
    StoredWrite,
)
from channelsync.store.items import Item
from channelsync.store.keys import KeyRecord
from channelsync.sync.decide_writes import next_steps
from channelsync.sync.explain_bundles import BundleWhy, bundle_at
from channelsync.sync.item_names import named, skus_of
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.steps import PlainStep, plain_steps
from channelsync.sync.switches import mode_now
from channelsync.sync.targets import Target, compute_targets

WRITES_SHOWN = 5
READS_SHOWN = 5
AROUND = 3
"""Reads shown before a past time, and after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionWhy:
    """Where units are, and who has reserved them. counted_up_to: see `Position`; at a past time it is not known."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    withheld: int
    available: int
    counted_up_to: datetime | None
    reserved_by: tuple[ReservedUnits, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWhy:
    """One step from available to shown. rule: the rule that asked for it, with its source; empty: none did.

    before, after: None where nobody has said how many units there are.
    """

    step: str
    before: int | None
    after: int | None
    why: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the channel's number may be now. generation: of the write that brings it; None: none has since the read."""

    low: int
    high: int
    generation: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberWhy:
    """One number of a channel. Units: what a buyer may buy of the listing; `multiple` base units each.

    shown: as read last, None: never. should: as it should be; None: not known (at a past time without a write;
    now where nobody has said how many units there are, and it is not to be lowered). steps: how that came about.
    said_at: at a past time, when that was computed: the write in force was sent then, or the prediction made, so that
    units moved since are not in it. None: now, or there was none.
    expected: what it must be showing, all booked orders having had their effect; now only. action, why: the next
    step; at a past time the write in force and why it was sent. in_force: that write; None: none was.
    reads: newest first; at a past time those around it, oldest first; none
    where it was not read before.
    """

    channel: str
    mode: str
    listing: str
    remote: str
    multiple: int
    shown: int | None
    shown_at: datetime | None
    should: int | None
    steps: tuple[StepWhy, ...]
    said_at: datetime | None
    expected: tuple[Expected, ...]
    action: str
    why: str
    question: str
    due_at: datetime | None
    not_before: datetime | None
    unexplained_rise: int
    in_force: StoredWrite | None
    open_writes: tuple[StoredWrite, ...]
    effects: tuple[StoredEffect, ...]
    provisional: tuple[StoredProvisional, ...]
    writes: tuple[StoredWrite, ...]
    reads: tuple[StoredRead, ...]


@dataclass(frozen=True, slots=True)
class ChannelsOwn:
    """A listing of the item that the channel ships from units it keeps itself: it has no number of ours."""

    channel: str
    listing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an item's numbers are what they are. past: as of an earlier time. in_bundles: SKUs that are made of it.

    channels_own: see `ChannelsOwn`; as they are now, at a past time too. bundle: of a bundle, what its parts make of it
    at each location, by its recipe of now; empty: it is none.
    """

    sku: str
    item: str
    title: str
    at: datetime
    past: bool
    in_bundles: tuple[str, ...]
    positions: tuple[PositionWhy, ...]
    numbers: tuple[NumberWhy, ...]
    channels_own: tuple[ChannelsOwn, ...]
    findings: tuple[FindingAbout, ...]
    bundle: tuple[BundleWhy, ...] = ()


def explain_now(
    connection: Connection,
    setup: Setup,
    measures: Measures,
    item: Item,
    only: Collection[str] | None,
    now: datetime,
) -> Explanation:
    """The item as it is now. only: channels; None: all. Reads only."""
    parts = sorted(reachable(item.id, setup.recipes))
    skus = _skus(connection, setup, item)
    reserved = explain_view.reserved_units(connection, parts)
    positions = ledger.read_positions(connection, parts)
    targets = compute_targets(connection, setup, measures, agenda.chosen_keys(connection, only, [item.id]))
    states = channels.channel_states(connection)
    steps = next_steps(connection, setup, targets, states, now)
    found = _explained(
        connection,
        setup,
        item,
        now,
        past=False,
        positions=[_position(one, skus, reserved) for _, one in sorted(positions.items())],
        numbers=[
            _number_now(connection, setup, target, steps[key], states, skus, now)
            for key, target in sorted(targets.items())
        ],
        only=only,
    )
    return replace(found, bundle=bundle_at(item.id, setup, positions.values(), skus))


def explain_then(
    connection: Connection, setup: Setup, item: Item, only: Collection[str] | None, at: datetime
) -> Explanation:
    """The item as it was at a past time, as far as it was known then. Raises BrokenChain for a ledger altered since."""
    skus = _skus(connection, setup, item)
    entries = explain_view.entries_until(connection, sorted(reachable(item.id, setup.recipes)), at)
    records = keys.load_keys(connection, agenda.chosen_keys(connection, only, [item.id]))
    positions = {key: replay(key, rows) for key, rows in sorted(entries.items())}
    found = _explained(
        connection,
        setup,
        item,
        at,
        past=True,
        positions=[_position(one, skus, _reserved_then(entries[key])) for key, one in positions.items()],
        numbers=[_number_then(connection, setup, record, skus, at) for _, record in sorted(records.items())],
        only=only,
    )
    return replace(found, bundle=bundle_at(item.id, setup, positions.values(), skus))


def _explained(
    connection: Connection,
    setup: Setup,
    item: Item,
    at: datetime,
    *,
    past: bool,
    positions: Sequence[PositionWhy],
    numbers: Sequence[NumberWhy],
    only: Collection[str] | None,
) -> Explanation:
    skus = _skus(connection, setup, item)
    listed = listings.get_listings(connection, item=item.id)
    return Explanation(
        sku=item.sku,
        item=item.id,
        title=item.title,
        at=at,
        past=past,
        in_bundles=tuple(sorted(skus[name] for name in setup.affected.get(item.id, ()) if name in skus)),
        positions=tuple(positions),
        numbers=tuple(sorted(numbers, key=lambda one: (one.channel, one.listing, one.remote))),
        channels_own=tuple(
            ChannelsOwn(one.channel, one.listing)
            for one in listed
            if one.fulfilled_by_channel and one.gone_at is None and (only is None or one.channel in only)
        ),
        findings=tuple(explain_view.findings_about(connection, [item.id], at)),
    )


def _skus(connection: Connection, setup: Setup, item: Item) -> dict[str, str]:
    """The SKUs of the item, of what it is made of, of what is made of it, and of what rules name."""
    return skus_of(connection, setup, reachable(item.id, setup.recipes) | setup.shown_by(item.id))


def _position(position: Position, skus: Mapping[str, str], reserved: Sequence[ReservedUnits]) -> PositionWhy:
    here = [one for one in reserved if (one.item, one.location) == position.key]
    return PositionWhy(
        sku=skus.get(position.key.item, position.key.item),
        location=position.key.location,
        on_hand=position.on_hand,
        reserved=position.reserved,
        withheld=position.withheld,
        available=position.available,
        counted_up_to=position.counted_up_to,
        reserved_by=tuple(here),
    )


def _reserved_then(entries: Sequence[LedgerEntry]) -> list[ReservedUnits]:
    """The reservations that had not ended after these entries of one position, oldest first."""
    units: dict[str, int] = {}
    first: dict[str, LedgerEntry] = {}
    for entry in entries:
        name = entry.movement.reservation
        if name:
            units[name] = units.get(name, 0) + entry.movement.reserved
            first.setdefault(name, entry)
    return [
        ReservedUnits(
            item=entry.movement.position.item,
            location=entry.movement.position.location,
            kind="provisional" if entry.movement.kind is EntryKind.PROVISIONAL else "order",
            channel=entry.movement.cause.channel,
            order=entry.movement.cause.order,
            line=entry.movement.cause.line,
            units=units[name],
            since=entry.movement.at,
        )
        for name, entry in first.items()
        if units[name] > 0
    ]


def _number_now(
    connection: Connection,
    setup: Setup,
    target: Target,
    decision: Decision,
    states: Mapping[str, ChannelState],
    skus: Mapping[str, str],
    now: datetime,
) -> NumberWhy:
    record = target.key
    channel = setup.channels[record.channel]
    timing = channel.capabilities.timing
    seen = agenda.key_numbers(connection, [record.id])[record.id]
    sent = explain_view.writes_until(connection, record.id, now, WRITES_SHOWN)
    return NumberWhy(
        channel=record.channel,
        mode=mode_now(channel, states.get(record.channel)),
        listing=record.listing,
        remote=record.remote,
        multiple=record.multiple,
        shown=seen.shown,
        shown_at=seen.seen_at,
        should=target.should_show(decision, timing),
        steps=_steps(setup, plain_steps(target.offer, target.unsaid), skus),
        said_at=None,
        expected=tuple(
            Expected(low=one.low, high=one.high, generation=one.write.generation if one.write else None)
            for one in expected_now(record.state, timing)
        ),
        action=decision.action,
        why=named(decision.why, skus),
        question=record.held,
        due_at=record.due_at,
        not_before=record.not_before,
        unexplained_rise=record.rise + sum(rise.units for rise in record.risen),
        in_force=_in_force(sent),
        open_writes=tuple(one for one in sent if one.closed_at is None),
        effects=tuple(explain_view.open_effects(connection, record.id, now)),
        provisional=tuple(explain_view.provisionals_of(connection, record.id, now, WRITES_SHOWN)),
        writes=tuple(sent),
        reads=tuple(explain_view.reads_until(connection, record.id, now, READS_SHOWN)),
    )


def _number_then(
    connection: Connection, setup: Setup, record: KeyRecord, skus: Mapping[str, str], at: datetime
) -> NumberWhy:
    """What was stored of a number at a past time. The write in force says why; while observing, the prediction does."""
    before = explain_view.reads_until(connection, record.id, at, AROUND)
    after = explain_view.reads_after(connection, record.id, at, AROUND) if before else []
    sent = explain_view.writes_until(connection, record.id, at, WRITES_SHOWN)
    in_force = _in_force(sent)
    predicted = explain_view.prediction_at(connection, record.id, at)
    observed = predicted is not None and (in_force is None or predicted.at > in_force.sent_at)
    should, steps, said_at = _said_then(in_force, predicted if observed else None)
    action = "predicted" if observed else "written" if in_force is not None else ""
    return NumberWhy(
        channel=record.channel,
        mode="",
        listing=record.listing,
        remote=record.remote,
        multiple=record.multiple,
        shown=before[0].value if before else None,
        shown_at=before[0].answered_at if before else None,
        should=should,
        steps=_steps(setup, steps, skus),
        said_at=said_at,
        expected=(),
        action=action,
        why=named(in_force.why, skus) if in_force is not None and not observed else "",
        question="",
        due_at=None,
        not_before=None,
        unexplained_rise=0,
        in_force=in_force,
        open_writes=tuple(one for one in sent if one.closed_at is None or one.closed_at > at),
        effects=tuple(explain_view.open_effects(connection, record.id, at)),
        provisional=tuple(explain_view.provisionals_of(connection, record.id, at, WRITES_SHOWN)),
        writes=tuple(sent),
        reads=(*reversed(before), *after),
    )


def _said_then(
    written: StoredWrite | None, predicted: StoredPrediction | None
) -> tuple[int | None, tuple[PlainStep, ...], datetime | None]:
    if predicted is not None:
        return predicted.target, predicted.steps, predicted.at
    return (None, (), None) if written is None else (written.value, written.steps, written.sent_at)


def _in_force(sent: Sequence[StoredWrite]) -> StoredWrite | None:
    """The newest write that the channel took, or may have taken."""
    return next((one for one in sent if one.outcome in ("", "accepted", "unknown")), None)


def _steps(setup: Setup, steps: Sequence[PlainStep], skus: Mapping[str, str]) -> tuple[StepWhy, ...]:
    rules = {rule.id: named(str(rule), skus) for rule in setup.rule_book.rules}
    return tuple(
        StepWhy(step=name, before=before, after=after, why=why, rule=rules.get(rule, f"rule {rule}") if rule else "")
        for name, before, after, why, rule in steps
    )
