"""Opening positions from what a channel shows: read afresh, with its open orders, and disagreements named.

The channel's listings are read once, its orders are polled after that, and everything is written in one transaction.
With `dry_run` the orders are those that are booked already, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.quantities import Position, PositionKey
from channelsync.sdk.values import Listing, QuantityKey
from channelsync.store import agenda, counts, items, ledger, listings, open_orders
from channelsync.store.counts import Promised
from channelsync.store.listings import StoredListing
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.measures import Measures
from channelsync.sync.pull_listings import identify
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.stock import By, Moves, Refused, change_positions, only_location, wrong_location
from channelsync.sync.stock_adopt_plan import AdoptRow, Known, Shown, off_the_number, planned
from channelsync.sync.stock_count import Count, add_counts
from channelsync.sync.take_orders import poll_orders


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToAdopt:
    """dry_run: nothing is written. overwrite: items with entries are counted anew. lowest: where listings disagree, the
    lowest number holds. all_orders: another tool kept every channel's number alike, so it leaves out the open orders of
    all of them. items: only these; None: all."""

    dry_run: bool = False
    overwrite: bool = False
    lowest: bool = False
    all_orders: bool = False
    items: Collection[str] | None = None


@dataclass(slots=True, kw_only=True)
class Adopted:
    """What was adopted, or would be. as_of: when the numbers were asked for. entries: new in the ledger.

    not_mapped: listings that no item has. notes: what to know before believing the numbers. held: plans that wait.
    """

    as_of: datetime
    rows: list[AdoptRow] = field(default_factory=list)
    entries: int = 0
    not_mapped: int = 0
    notes: list[str] = field(default_factory=list)
    held: list[HeldPlan] = field(default_factory=list)


async def adopt(agent: Agent, channel: OpenChannel, location: str, by: By, how: HowToAdopt) -> Adopted:
    """Adopts the numbers of a channel at a location; where none is named, at the only one.

    Raises Refused, and what the channel raises.
    """
    where = location or only_location(agent.setup)
    problem = wrong_location(agent.setup, where)
    if not problem and where not in channel.setup.locations:
        problem = f"{channel.name} does not sell from {where}, but from {', '.join(channel.setup.locations)}."
    if problem:
        raise Refused(problem)
    if channel.identity or not how.dry_run:
        await identify(agent, channel)
    asked = agent.clock.now()
    seen = [listing async for listing in channel.channel.listings()]
    if not how.dry_run:
        taken = await poll_orders(agent, channel)
        if taken.failed:
            raise Refused(f"{channel.name}: its orders cannot be read ({taken.failed}); nothing was adopted.")
    work = _Adopting(
        setup=agent.setup,
        measures=agent.measures,
        channel=channel.setup,
        location=where,
        by=by,
        how=how,
        asked=asked,
        seen=seen,
    )
    return await (agent.database.query(work.plan) if how.dry_run else agent.database.transact(work.write))


@dataclass(slots=True, kw_only=True)
class _Adopting:
    """One adoption, which may be run more than once when the database asks for that."""

    setup: Setup
    measures: Measures
    channel: ChannelSetup
    location: str
    by: By
    how: HowToAdopt
    asked: datetime
    seen: Sequence[Listing]

    @property
    def orders_up_to(self) -> datetime:
        """Orders placed up to then are surely in a number that was asked for."""
        timing = self.channel.capabilities.timing
        return self.asked - timing.staleness - timing.skew

    def plan(self, connection: Connection) -> Adopted:
        """What would become of every item that the channel shows."""
        done = Adopted(as_of=self.asked, notes=self._notes())
        shown = self._shown(connection, done)
        positions = ledger.read_positions(connection, shown)
        self._decide(connection, shown, positions, self._promised(connection, shown), done)
        return done

    def write(self, connection: Connection) -> Adopted:
        """Decides the same under locks, and counts what is to be adopted."""
        done = Adopted(as_of=self.asked, notes=self._notes())
        shown = self._shown(connection, done)
        if not shown:
            return done

        def decide(moves: Moves) -> None:
            promised = self._promised(connection, shown)
            self._decide(connection, shown, moves.positions, promised, done)
            wanted = [self._count(row) for row in done.rows if row.becomes is not None]
            add_counts(connection, moves, wanted, "available", promised=promised)

        wanted = [PositionKey(item, self.location) for item in shown]
        done.entries = change_positions(connection, self.setup, self.by, wanted, decide).entries
        said = Guarded(run=self.by.run, now=self.by.now, items=set(shown))
        done.held = guard_run(connection, self.setup, self.measures, said)
        return done

    def _count(self, row: AdoptRow) -> Count:
        told = f"adopted from {self.channel.name}, which shows {', '.join(row.shown)}; {row.promised} in open orders"
        return Count(
            position=PositionKey(row.item, self.location),
            units=row.units or 0,
            as_of=self.asked,
            orders_up_to=self.orders_up_to,
            reason=told,
        )

    def _notes(self) -> list[str]:
        several = len(self.channel.locations) > 1 and not self.channel.remotes
        told = f"{self.channel.name} keeps one number for {', '.join(self.channel.locations)}: all of it is put at "
        return [f"{told}{self.location}."] if several else []

    def _shown(self, connection: Connection, done: Adopted) -> dict[str, list[Shown]]:
        """What the channel shows at the location, by item."""
        stored = {one.listing: one for one in listings.get_listings(connection, channel=self.channel.name)}
        shown: dict[str, list[Shown]] = {}
        for listing in self.seen:
            mapped = stored.get(listing.listing)
            if mapped is None or mapped.item is None:
                done.not_mapped += 1
            elif listing.tracked and not listing.fulfilled_by_channel and self._wanted(mapped.item):
                here = [self._number(listing, mapped, key) for key in listing.keys if self._here(key)]
                if here:
                    shown.setdefault(mapped.item, []).extend(here)
        return shown

    def _wanted(self, item: str) -> bool:
        return self.how.items is None or item in self.how.items

    def _here(self, key: QuantityKey) -> bool:
        return not self.channel.remotes or self.channel.remotes.get(key.location) == self.location

    def _number(self, listing: Listing, mapped: StoredListing, key: QuantityKey) -> Shown:
        number = listing.shown.get(key)
        cap = self.channel.capabilities.timing.cap
        capped = number is not None and cap is not None and number >= cap
        if number is not None and self.channel.capabilities.meaning == "physical":
            committed = listing.committed.get(key)
            number = None if committed is None else number - committed
        return Shown(self.channel.name, listing.listing, number, mapped.multiple, capped)

    def _promised(self, connection: Connection, wanted: Iterable[str]) -> dict[PositionKey, Promised]:
        """Base units of open orders that are off the numbers already, where they are reserved."""
        if self.how.all_orders:
            return counts.promised_to_orders(connection, wanted, self.orders_up_to)
        asked = set(wanted)
        through_parts = self.channel.capabilities.moves != "own"
        promised: dict[PositionKey, Promised] = {}
        for one in open_orders.orders_holding(connection, asked, self.orders_up_to):
            for line in one.booked.lines if one.booked.channel == self.channel.name else ():
                left = off_the_number(line)
                for leg in line.legs:
                    here = min(left, leg.open)
                    left -= here
                    for item, each in leg.takes if here else ():
                        if item in asked and (through_parts or (line.sold is not None and line.sold.item == item)):
                            _add(promised, PositionKey(item, leg.location), here * each, one.placed_at)
        return promised

    def _decide(
        self,
        connection: Connection,
        shown: Mapping[str, Sequence[Shown]],
        positions: Mapping[PositionKey, Position],
        promised: Mapping[PositionKey, Promised],
        done: Adopted,
    ) -> None:
        known = items.items_by_id(connection, shown)
        told = {key.item for key, position in positions.items() if position.stated_by}
        changed = counts.for_sale_since(connection, shown, self.asked, self.orders_up_to)
        elsewhere = self._elsewhere(connection, shown)
        for item, numbers in shown.items():
            key = PositionKey(item, self.location)
            position = positions.get(key, Position(key=key))
            recipe = self.setup.recipes.get(item)
            of_item = Known(
                sku=known[item].sku,
                item=item,
                on_hand=position.on_hand,
                withheld=position.withheld,
                promised=promised[key].units if key in promised else 0,
                changed=changed.get(key, 0),
                has_entries=item in told,
                virtual=recipe is not None and recipe.kind == "virtual",
            )
            others = elsewhere.get(item, [])
            done.rows.append(planned(of_item, numbers, others, overwrite=self.how.overwrite, lowest=self.how.lowest))
        done.rows.sort(key=lambda row: row.sku)
        for (item, location), units in sorted(promised.items()):
            if location != self.location:
                told_there = f"{units.units} units of open orders are promised at {location}"
                done.notes.append(f"{known[item].sku}: {told_there}; they stay on top.")

    def _elsewhere(self, connection: Connection, wanted: Iterable[str]) -> dict[str, list[Shown]]:
        """What other channels were last seen to show of these items."""
        asked = set(wanted)
        found = [
            (one.item, one)
            for one in listings.get_listings(connection)
            if one.item in asked and one.channel != self.channel.name and one.gone_at is None
        ]
        numbers = agenda.key_numbers(connection, [key for _, one in found for key in one.keys])
        elsewhere: dict[str, list[Shown]] = {}
        for item, one in found:
            for key in one.keys:
                if key in numbers and numbers[key].shown is not None:
                    shown = Shown(one.channel, one.listing, numbers[key].shown, one.multiple)
                    elsewhere.setdefault(item or "", []).append(shown)
        return elsewhere


def _add(promised: dict[PositionKey, Promised], key: PositionKey, units: int, placed_at: datetime) -> None:
    before = promised.get(key)
    since = placed_at if before is None else min(before.since, placed_at)
    promised[key] = Promised(units + (before.units if before else 0), since)
