"""Gathers the facts of a simulated day, from our database and the marketplaces, and puts them to the invariants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from channelsync.domain.ledger import EntryKind, entry_id
from channelsync.lab.invariants import (
    Breach,
    Shown,
    reserved_is_explained,
    rows_within_limit,
    shows_what_it_should,
    units_are_true,
)
from channelsync.lab.invariants_raises import Booking, Day, Raises, Tolerance, check_raises
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import ENDED, NumberKey, Takes
from channelsync.lab.simulation_plan import behaves
from channelsync.lab.simulation_watch import Name, Witness
from channelsync.lab.stage import Wares
from channelsync.sdk.values import Applies, Deducts
from channelsync.store import channels, keys, proof
from channelsync.store.codec import load
from channelsync.store.tables import metadata
from channelsync.sync.decide_writes import next_steps
from channelsync.sync.explained import REPAIRS_MAX
from channelsync.sync.measures import Measures
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.targets import Target, compute_targets
from channelsync.sync.verify import verify

_FINDING = metadata.tables["finding"]
_KEY = metadata.tables["quantity_key"]
_ENTRY = metadata.tables["ledger_entry"]
_PROVISIONAL = metadata.tables["provisional"]

SPENT = "revisions_spent"
_EXCESS = "more than the channel may have sold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a day is judged by. sites: by marketplace. setup, measures: of our last process."""

    sites: Mapping[str, Site]
    wares: Wares
    referee: Referee
    witness: Witness
    setup: Setup
    measures: Measures
    now: datetime


def while_it_runs(connection: Connection) -> list[Breach]:
    """What must hold between any two transactions: every reserved unit is explained (invariant 1)."""
    reserved = {key: position.reserved for key, position in proof.all_positions(connection).items()}
    orders = [one.booked for page in proof.booked_orders_by_page(connection) for one in page if one.booked]
    return reserved_is_explained(reserved, orders, proof.open_provisional_rows(connection))


def at_the_end(connection: Connection, day: Judged) -> list[Breach]:
    """What must hold once all is quiet (invariant 3), and that everything cached follows from the ledger."""
    verified = verify(connection)
    breaches = [Breach("1", f"verify: {one.about} {one.subject}: {one.what}") for one in verified.problems]
    breaches += while_it_runs(connection)
    # A change of an order that is found later than the channel declares is never read: no poll goes back so far.
    if not any(site.marketplace.rules.late_share for site in day.sites.values()):
        breaches += units_are_true(_available(connection), day.referee.left)
    breaches += shows_what_it_should(_shown(connection, day))
    breaches += [
        Breach("budget", f"{name} was revised more often than its marketplace allows a day")
        for name, reason in day.witness.refused.items()
        if reason.startswith(SPENT)
    ]
    rows = list(proof.open_provisional_rows(connection))
    records = keys.load_keys(connection, [row.key for row in rows])
    limits = {
        key: day.measures.order_limit[record.channel] + day.setup.channels[record.channel].poll * 2
        for key, record in records.items()
    }
    return breaches + rows_within_limit(rows, day.now, limits)


def findings_opened(connection: Connection) -> int:
    """How many problems were found that day, those closed since included."""
    return connection.execute(select(func.count()).select_from(_FINDING)).scalar_one()


def of_raises(connection: Connection, day: Judged) -> Raises:
    """Every raise of the day against what was left (invariant 4)."""
    return check_raises(
        Day(
            opening=day.wares.opening,
            logs={name: site.marketplace.log for name, site in day.sites.items()},
            changes={name: site.marketplace.changes for name, site in day.sites.items()},
            tolerances={name: tolerance_of(channel) for name, channel in day.setup.channels.items()},
            takes=_takes(day.sites),
            bookings=_bookings(connection),
            witness=day.witness,
            excess=excess_released(connection),
        )
    )


def tolerance_of(channel: ChannelSetup) -> Tolerance:
    """What cannot be known of a channel, by what it declares and how often it is looked at.

    A raise waits for reads that are at most one and a half ticks old, or twice the staleness.
    """
    capabilities = channel.capabilities
    timing = capabilities.timing
    later = timing.applies is not Applies.AT_ONCE
    return Tolerance(
        window=max(channel.tick * 1.5, timing.staleness * 2) + timing.staleness + timing.skew * 2,
        settles=timing.grace + timing.staleness if later else timedelta(0),
        doubt=timing.grace + timing.staleness + channel.tick,
        blur=timing.staleness + timing.skew,
        cap=timing.cap,
        step=timing.step,
        physical=capabilities.meaning == "physical",
        moves_at_once=capabilities.read_behaviour.deducts is Deducts.AT_ORDER,
    )


def _takes(sites: Mapping[str, Site]) -> dict[Name, Takes]:
    return {
        Name(name, *key): offer.takes
        for name, site in sites.items()
        for offer in site.marketplace.offers.values()
        for key in offer.keys
    }


def _available(connection: Connection) -> dict[str, int]:
    skus = proof.sku_by_item(connection)
    available: dict[str, int] = {}
    for key, position in proof.all_positions(connection).items():
        available[skus[key.item]] = available.get(skus[key.item], 0) + position.available
    return available


def _shown(connection: Connection, day: Judged) -> list[Shown]:
    """Every key of ours: what its marketplace shows, and its target as the marketplace can show it."""
    ids = connection.execute(select(_KEY.c.id).where(_KEY.c.item.is_not(None)).order_by(_KEY.c.id)).scalars()
    targets = compute_targets(connection, day.setup, day.measures, list(ids))
    steps = next_steps(connection, day.setup, targets, channels.channel_states(connection), day.now)
    return [_shown_of(target, day, spent=steps[key].until is not None) for key, target in targets.items()]


def _shown_of(target: Target, day: Judged, *, spent: bool) -> Shown:
    record = target.key
    name = Name(record.channel, record.key, record.remote)
    site = day.sites[record.channel]
    marketplace = site.marketplace
    key = NumberKey(record.key, record.remote)
    capabilities = day.setup.channels[record.channel].capabilities
    reading = marketplace.number(key)
    offered = marketplace.can_buy(record.listing) if capabilities.meaning == "physical" else reading
    number = reading if offered is None else offered
    typed = sum(change.why == "human edit" for change in marketplace.changes if change.key == key)
    # A key is held when another writer raises it again and again. Nobody else does here, but for the humans.
    excused = record.held if typed > REPAIRS_MAX or not behaves(marketplace.rules) else ""
    if marketplace.offers[record.listing].state.value == ENDED:
        excused = "the listing has ended"
    elif spent:
        excused = "it may not be revised again today"
    return Shown(
        key=name,
        shown=capabilities.timing.shown(number) if marketplace.rules.clamps == "on read" else number,
        should=max(0, capabilities.timing.written(target.units)),
        excused=excused,
    )


def _bookings(connection: Connection) -> list[Booking]:
    items = proof.sku_by_item(connection)
    columns = (_ENTRY.c.channel, _ENTRY.c.order, _ENTRY.c.item, _ENTRY.c.recorded_at, _ENTRY.c.reserved)
    found = connection.execute(select(*columns).where(_ENTRY.c.kind == "reserve"))
    return [Booking(row.channel, row.order, items[row.item], row.recorded_at, row.reserved) for row in found]


def excess_released(connection: Connection) -> dict[Name, list[tuple[datetime, int]]]:
    """Units that ended as more than plausible, by key, with the time, whatever ended the rest of such a row."""
    rows = connection.execute(
        select(_PROVISIONAL.c.id, _PROVISIONAL.c.takes, _KEY.c.channel, _KEY.c.key, _KEY.c.remote).join(
            _KEY, _KEY.c.id == _PROVISIONAL.c.key
        )
    )
    of_reservation: dict[str, tuple[Name, int]] = {}
    for row in rows:
        for item, each in load(row.takes)[:1]:  # one that holds several items has an entry for each; some hold nothing
            of_reservation[entry_id(row.id, item)] = (Name(row.channel, row.key, row.remote), each)
    entries = connection.execute(
        select(_ENTRY.c.reservation, _ENTRY.c.recorded_at, _ENTRY.c.reserved).where(
            _ENTRY.c.kind == EntryKind.EXPIRE, _ENTRY.c.reason.startswith(_EXCESS)
        )
    )
    released: dict[Name, list[tuple[datetime, int]]] = {}
    for entry in entries:
        if entry.reservation in of_reservation:
            name, each = of_reservation[entry.reservation]
            released.setdefault(name, []).append((entry.recorded_at, -entry.reserved // each))
    return released
