"""Observing: beside the seller's present tool we read, book and compute, and write nothing to the channel.

What would have been written is recorded as predictions. The report of a day puts them beside what the channel showed
(as far as reads tell) and beside what was available (as far as we knew it), and counts

- a *would-be push* when the number that should be shown or the one that is shown changed and the two differ; changes
  within one tick of one another are one push, as they would be for a live channel;
- an *oversell that would have been prevented*: a time, longer than a tick, in which the item had nothing available
  for this channel while the channel went on showing more than 0, and the orders that were placed there later than one
  tick into that time. A live channel would have shown 0 by then.

Nothing is said about times before the first prediction for a listing, nor after our first own write to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection

from channelsync.domain.bundles import capacity
from channelsync.domain.ledger import entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.store import agenda, keys, predictions
from channelsync.store.codec import dump
from channelsync.store.items import items_by_id
from channelsync.store.keys import KeyRecord
from channelsync.store.predictions import AvailableChange, Prediction
from channelsync.sync.observed_days import Oversell, Placed, Points, Push, oversells, pushes, together
from channelsync.sync.setup import Setup
from channelsync.sync.steps import plain_steps, told_steps
from channelsync.sync.targets import Target, rules_for


def predict(connection: Connection, setup: Setup, targets: Sequence[Target], now: datetime) -> None:
    """Records what these keys should show from now on, beside what they do show."""
    if not targets:
        return
    numbers = agenda.key_numbers(connection, [target.key.id for target in targets])
    rows: list[dict[str, object]] = [
        {
            "id": entry_id("prediction", target.key.id, now),
            "key": target.key.id,
            "channel": target.key.channel,
            "shown": numbers[target.key.id].shown,
            "target": setup.channels[target.key.channel].capabilities.timing.written(target.units),
            "at": now,
            "why": dump({"steps": plain_steps(target.offer)}),
        }
        for target in targets
    ]
    predictions.record_predictions(connection, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldPush:
    """A push that would have left. shown: what the channel showed instead. why: how the number came about."""

    at: datetime
    channel: str
    listing: str
    sku: str
    shown: int
    should: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreventedOversell:
    """A time in which a channel showed units that were not there. shown: the most that it showed.

    orders: those that a live channel would not have taken; units: base units in them.
    """

    since: datetime
    until: datetime
    channel: str
    listing: str
    sku: str
    shown: int
    orders: tuple[str, ...]
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedChannel:
    """One channel's day. numbers: observed. differing: of them those that were wrong when the day (or what is known
    of it) ended. oversells, orders, units: see `PreventedOversell`. written: numbers that we wrote ourselves on that
    day before they were observed; nothing is known of them, and all else speaks of the others."""

    channel: str
    numbers: int
    would_push: int
    lowerings: int
    raises: int
    differing: int
    oversells: int
    orders: int
    units: int
    written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveReport:
    """One day of all observed channels; begin and end are its bounds."""

    day: date
    begin: datetime
    end: datetime
    channels: tuple[ObservedChannel, ...]
    pushes: tuple[WouldPush, ...]
    oversells: tuple[PreventedOversell, ...]


def observe_report(connection: Connection, setup: Setup, day: date, begin: datetime, end: datetime) -> ObserveReport:
    """The report of a day. begin, end: its bounds, aware UTC; end: no later than now."""
    told = _told(connection, setup, begin, end)
    days = [_key_day(record, setup, told) for _, record in sorted(told.records.items())]
    names = sorted({one.channel for one in days})
    return ObserveReport(
        day=day,
        begin=begin,
        end=end,
        channels=tuple(_channel_day(name, [one for one in days if one.channel == name]) for name in names),
        pushes=tuple(sorted((push for one in days for push in one.pushes), key=lambda push: push.at)),
        oversells=tuple(sorted((one for each in days for one in each.oversells), key=lambda one: one.since)),
    )


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the database tells of a day. orders: by channel and listing."""

    begin: datetime
    end: datetime
    records: dict[int, KeyRecord]
    predicted: dict[int, list[Prediction]]
    skus: Mapping[str, str]
    before: Mapping[PositionKey, int]
    first_write: Mapping[int, datetime]
    shown: dict[int, list[tuple[datetime, int]]] = field(default_factory=dict)
    changes: dict[str, list[AvailableChange]] = field(default_factory=dict)
    orders: dict[tuple[str, str], list[Placed]] = field(default_factory=dict)


def _told(connection: Connection, setup: Setup, begin: datetime, end: datetime) -> _Told:
    predicted: dict[int, list[Prediction]] = {}
    for one in predictions.predictions(connection, begin, end):
        predicted.setdefault(one.key, []).append(one)
    known = keys.load_keys(connection, predicted)
    records = {key: one for key, one in known.items() if one.item and one.channel in setup.channels}
    items = sorted({part for one in records.values() for part in reachable(one.item or "", setup.recipes)})
    told = _Told(
        begin=begin,
        end=end,
        records=records,
        predicted=predicted,
        skus={name: one.sku for name, one in items_by_id(connection, items).items()},
        before=predictions.available_before(connection, items, begin),
        first_write=predictions.first_writes(connection, sorted(records), begin),
    )
    for shown in predictions.shown_numbers(connection, sorted(records), begin, end):
        told.shown.setdefault(shown.key, []).append((shown.at, shown.value))
    for change in predictions.available_changes(connection, items, begin, end):
        told.changes.setdefault(change.position.item, []).append(change)
    for order in predictions.orders_placed(connection, sorted({one.channel for one in records.values()}), begin, end):
        for line in order.said.lines:
            placed = Placed(order.said.order, order.said.placed_at, line.ordered)
            told.orders.setdefault((order.channel, line.listing or ""), []).append(placed)
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyDay:
    channel: str
    pushes: tuple[WouldPush, ...]
    oversells: tuple[PreventedOversell, ...]
    differs: bool
    written: bool


def _key_day(record: KeyRecord, setup: Setup, told: _Told) -> _KeyDay:
    end = min(told.end, told.first_write.get(record.id, told.end))
    tick = setup.channels[record.channel].tick
    predicted = told.predicted[record.id]
    shown = told.shown.get(record.id, [])
    spans = list(together([(one.at, one.target) for one in predicted], shown, end))
    observed_from = max(told.begin, predicted[0].at)
    there = _available(record, setup, told, observed_from)
    sold = told.orders.get((record.channel, record.listing), [])
    return _KeyDay(
        channel=record.channel,
        pushes=tuple(_would_push(record, told, push) for push in pushes(spans, told.begin, tick)),
        oversells=tuple(_prevented(record, told, one) for one in oversells(together(there, shown, end), sold, tick)),
        differs=bool(spans) and spans[-1].one != spans[-1].other,
        written=end <= predicted[0].at,
    )


def _available(record: KeyRecord, setup: Setup, told: _Told, since: datetime) -> Points[int]:
    """What was available to a key, from `since` on: base units of its item over the locations that feed it."""
    item = record.item or ""
    _, feeding = rules_for(record, item, setup)
    parts = reachable(item, setup.recipes)
    at: dict[str, dict[str, int]] = {name: {} for name in feeding}
    for position, units in told.before.items():
        if position.item in parts and position.location in at:
            at[position.location][position.item] = units

    def total() -> int:
        return sum(capacity(item, units, setup.recipes) for units in at.values())

    points = [(told.begin, total())]
    changes = [change for part in parts for change in told.changes.get(part, ()) if change.position.location in at]
    for change in sorted(changes, key=lambda change: change.at):
        here = at[change.position.location]
        here[change.position.item] = here.get(change.position.item, 0) + change.units
        points.append((change.at, total()))
    later = [point for point in points if point[0] > since]
    return [(since, points[len(points) - len(later) - 1][1]), *later]


def _would_push(record: KeyRecord, told: _Told, push: Push) -> WouldPush:
    said = [one for one in told.predicted[record.id] if one.at <= push.at][-1]
    return WouldPush(
        at=push.at,
        channel=record.channel,
        listing=record.listing,
        sku=told.skus.get(record.item or "", ""),
        shown=push.shown,
        should=push.should,
        why=told_steps(said.steps),
    )


def _prevented(record: KeyRecord, told: _Told, one: Oversell) -> PreventedOversell:
    return PreventedOversell(
        since=one.since,
        until=one.until,
        channel=record.channel,
        listing=record.listing,
        sku=told.skus.get(record.item or "", ""),
        shown=one.shown,
        orders=tuple(placed.order for placed in one.taken),
        units=sum(placed.units for placed in one.taken) * record.multiple,
    )


def _channel_day(name: str, days: Sequence[_KeyDay]) -> ObservedChannel:
    sent = [push for one in days for push in one.pushes]
    prevented = [oversell for one in days for oversell in one.oversells]
    return ObservedChannel(
        channel=name,
        numbers=len(days),
        would_push=len(sent),
        lowerings=sum(push.should < push.shown for push in sent),
        raises=sum(push.should > push.shown for push in sent),
        differing=sum(one.differs for one in days),
        oversells=len(prevented),
        orders=len({order for one in prevented for order in one.orders}),
        units=sum(one.units for one in prevented),
        written=sum(one.written for one in days),
    )
