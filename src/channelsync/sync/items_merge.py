"""Merging two items that are one: the second one goes on with everything that the first one had.

Moved are: units on hand and set aside, by transfers within each location; units that open orders and provisional rows
hold, by pairs of take-over entries; what booked orders say they take, so that every later shipment, cancel and return
finds the units; listings and their quantity keys, which keep their watermarks, for the channel's number is the same;
further SKUs; units on their way. The merged item keeps its id, its SKU (which stands for the other one now) and its
history. Lots and costs stay told in that history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, entry_id
from channelsync.domain.provisional import Provisional
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import counts, incoming, item_moves, items, keys, ledger, open_orders, runs
from channelsync.store.incoming import Incoming
from channelsync.store.items import Item
from channelsync.store.runs import Change
from channelsync.sync.items_redirect import HeldUnits, OldLine, Redirected, redirected, taken_back, taking
from channelsync.sync.oversold import available_as_said
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Moves, Refused, after_change

MERGE = "merge"
"""The kind of a `Change` that merges an item. subject: its id; before, after: None for an item of its own, else what
was moved, as `_Merge.record` has it."""


@dataclass(slots=True, kw_only=True)
class Merged:
    """What a merge moved. units: on hand; orders: those that name the item. rules: stored rules that spoke of the
    merged item alone, and speak of nothing any more."""

    units: int = 0
    entries: int = 0
    listings: int = 0
    orders: int = 0
    rules: list[str] = field(default_factory=list)


def merge(connection: Connection, setup: Setup, by: By, source: Item, target: Item) -> Merged:
    """Lets one item become another, in the caller's transaction. Merging the same again moves what came late.

    Raises Refused: an item with itself, merged into a third one, bundles and parts of bundles of the configuration,
    orders whose lines could not be told apart afterwards, units held by something that cannot be moved.
    """
    _check(connection, setup, source, target)
    work = _Merge(connection=connection, setup=setup, by=by, source=source, target=target)
    work.lock()
    work.move_held()
    work.move_units()
    work.point()
    return work.save()


def _check(connection: Connection, setup: Setup, source: Item, target: Item) -> None:
    problem = ""
    became = items.items_by_id(connection, [source.merged_into]).get(source.merged_into or "")
    recipe = setup.recipes.get(target.id)
    bundles = sorted(name for name, one in setup.recipes.items() if source.id in {part.item for part in one.parts})
    if source.id == target.id:
        problem = f"{source.sku} is that item already."
    elif became is not None and became.id != target.id:
        problem = f"{source.sku} was merged into {became.sku}; undo that first."
    elif source.id in setup.recipes:
        problem = f"{source.sku} is a bundle of the configuration; take its [[bundle]] out first."
    elif bundles:
        skus = ", ".join(one.sku for one in items.items_by_id(connection, bundles).values())
        problem = (
            f"{source.sku} is a part of {skus}: name {target.sku} there, in the configuration, and restart the daemon "
            "first, or it would go on counting the wrong one."
        )
    elif recipe is not None and recipe.kind == "virtual":
        problem = f"{target.sku} is a virtual bundle and has no units of its own."
    if problem:
        raise Refused(f"{problem} Nothing was changed.")


@dataclass(slots=True, kw_only=True)
class _Merge:
    """One merge on its way. Locked are positions, keys, orders and provisional rows, in this order."""

    connection: Connection
    setup: Setup
    by: By
    source: Item
    target: Item
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    before: dict[PositionKey, int] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)
    orders: list[Redirected] = field(default_factory=list)
    rows: list[tuple[str, Provisional]] = field(default_factory=list)
    moves: Moves = field(init=False)
    done: Merged = field(default_factory=Merged)
    record: dict[str, Any] = field(default_factory=dict)

    def lock(self) -> None:
        both = (self.source.id, self.target.id)
        known = ledger.read_positions(self.connection, both)
        ledger.open_positions(self.connection, (PositionKey(self.target.id, key.location) for key in known))
        self.positions = ledger.lock_positions(self.connection, both)
        self.before = available_as_said(self.positions)
        self.moves = Moves(by=self.by, positions=dict(self.positions))
        self.keys = item_moves.keys_of(self.connection, self.source.id)
        keys.load_keys(self.connection, self.keys, lock=True)
        named = open_orders.lock_orders_naming(self.connection, self.source.id)
        self.orders = [redirected(order, self.source.id, self.target.id) for order in named]
        for one in self.orders:
            if one.doubled:
                raise Refused(
                    f"Order {one.order.order} on {one.order.channel} takes {self.source.sku} and {self.target.sku} "
                    f"for one line ({', '.join(one.doubled)}); ship or cancel it first. Nothing was changed."
                )
        open_rows = item_moves.open_rows(self.connection)
        self.rows = [(channel, row) for channel, row in open_rows if self.source.id in dict(row.takes)]

    def move_held(self) -> None:
        """Units that orders and provisional rows hold."""
        reason = f"{self.source.sku} was merged into {self.target.sku}"
        held = [one for order in self.orders for one in order.held]
        move_held(self.moves, held, self.source.id, self.target.id, reason)
        move_rows(self.moves, self.rows, self.source.id, self.target.id, reason)
        for key, position in self.positions.items():
            moved = -sum(one.reserved for one in self.moves.made if one.position == key)
            if key.item == self.source.id and moved != position.reserved:
                raise Refused(
                    f"{self.source.sku} at {key.location}: {position.reserved - moved} units are reserved by something "
                    "that cannot be moved; release them first. Nothing was changed."
                )

    def move_units(self) -> None:
        """Units that are there, and which of them are set aside."""
        reason = f"{self.source.sku} was merged into {self.target.sku}"
        counted = {}
        for key, position in sorted(self.positions.items()):
            if key.item != self.source.id:
                continue
            there = PositionKey(self.target.id, key.location)
            if position.withheld:
                self.moves.add(key, EntryKind.UNWITHHOLD, reason, withheld=-position.withheld)
            if position.on_hand:
                self.moves.add(key, EntryKind.TRANSFER, reason, on_hand=-position.on_hand)
                self.moves.add(there, EntryKind.TRANSFER, reason, on_hand=position.on_hand)
            if position.withheld:
                self.moves.add(there, EntryKind.WITHHOLD, reason, withheld=position.withheld)
            self.done.units += position.on_hand
            was, now = self.moves.at(there).counted_up_to, _counted(position, self.moves.at(there))
            if was != now:
                counted[there] = (was, now)
        counts.set_counted_up_to(self.connection, {key: now for key, (_, now) in counted.items()})
        self.record["counted"] = [[key.location, was, now] for key, (was, now) in counted.items()]

    def point(self) -> None:
        """Everything else that names the item."""
        source, target = self.source.id, self.target.id
        listings = item_moves.listings_of(self.connection, source)
        aliases = items.aliases_of(self.connection, source)
        became = item_moves.merged_into(self.connection, source)
        expected = incoming.incoming_of_item(self.connection, source)
        item_moves.point_listings(self.connection, listings, source, target)
        item_moves.point_keys(self.connection, self.keys, source, target)
        item_moves.point_aliases(self.connection, aliases, source, target)
        item_moves.set_merged(self.connection, [source, *became], target)
        move_incoming(self.connection, expected, target, self.by.run)
        open_orders.rewrite_booked(self.connection, (one.order for one in self.orders))
        takes = {row.id: taking(row.takes, source, target) for _, row in self.rows}
        item_moves.rewrite_takes(self.connection, takes)
        self.done.listings, self.done.orders = len(listings), len(self.orders)
        self.done.rules = item_moves.rules_naming(self.connection, source)
        self.record |= {
            "into": target,
            "listings": [list(one) for one in listings],
            "keys": self.keys,
            "aliases": aliases,
            "merged": became,
            "incoming": [[one.position.location, one.reference, one.units, one.due] for one in expected],
            "orders": [[one.order.channel, one.order.order, _plain(one.was)] for one in self.orders],
            "rows": [[row.id, row.takes] for _, row in self.rows],
        }

    def save(self) -> Merged:
        entries = ledger.write(self.connection, self.moves.made, self.positions, self.by.now)
        told = [key.location for key, one in self.positions.items() if key.item == self.source.id and one.stated_by]
        stated = [PositionKey(self.target.id, location) for location in told]
        ledger.state(self.connection, stated, self.positions, self.by.run)
        after_change(self.connection, self.setup, entries, self.before, self.positions, self.by.now)
        shown = {name for item in (self.source.id, self.target.id) for name in self.setup.shown_by(item)}
        keys.mark_due(self.connection, shown, self.by.now)
        self.done.entries = len(entries)
        change = Change(
            run=self.by.run, kind=MERGE, subject=self.source.id, before=None, after=self.record, at=self.by.now
        )
        runs.record_change(self.connection, change)
        return self.done


def unmerge(connection: Connection, setup: Setup, by: By, source: str, record: Mapping[str, Any]) -> None:
    """Takes a merge back, save for the units on hand, whose transfers are taken back as ledger entries: what still is
    as the merge left it names the first item again."""
    target = record["into"]
    positions = ledger.lock_positions(connection, [source, target])
    before = available_as_said(positions)
    moves = Moves(by=by, positions=dict(positions))
    keys.load_keys(connection, record["keys"], lock=True)
    was = {(channel, order): _old_lines(lines) for channel, order, lines in record["orders"]}
    locked = open_orders.lock_orders(connection, was)
    changed = [taken_back(order, was[name], source, target) for name, order in sorted(locked.items())]
    rows = {name: tuple((item, each) for item, each in takes) for name, takes in record["rows"]}
    held_rows = [
        (channel, replace(row, takes=rows[row.id]))
        for channel, row in item_moves.open_rows(connection)
        if row.id in rows and row.takes == taking(rows[row.id], source, target)
    ]
    reason = "the merge was undone"
    move_held(moves, [_turned(one) for order in changed for one in order.held], target, source, reason)
    move_rows(moves, held_rows, target, source, reason, each_of=source)
    entries = ledger.write(connection, moves.made, positions, by.now)
    after_change(connection, setup, entries, before, positions, by.now)
    open_orders.rewrite_booked(connection, (one.order for one in changed))
    item_moves.rewrite_takes(connection, {row.id: row.takes for _, row in held_rows})
    item_moves.point_listings(connection, [(channel, name) for channel, name in record["listings"]], target, source)
    item_moves.point_keys(connection, record["keys"], target, source)
    item_moves.point_aliases(connection, record["aliases"], target, source)
    item_moves.set_merged(connection, record["merged"], source)
    item_moves.set_merged(connection, [source], None)
    _give_back_incoming(connection, by, source, target, record["incoming"])
    _restore_counted(connection, positions, target, record["counted"])
    keys.mark_due(connection, {name for item in (source, target) for name in setup.shown_by(item)}, by.now)


def move_held(moves: Moves, held: Iterable[HeldUnits], source: str, target: str, reason: str) -> None:
    """Moves units between the reservations of orders: off those of one item, on to those of the other."""
    for one in held:
        cause = Cause(
            actor=moves.by.actor,
            run=moves.by.run,
            reason=moves.by.reason or reason,
            channel=one.channel,
            order=one.order,
            line=one.line,
        )
        off, on = PositionKey(source, one.location), PositionKey(target, one.location)
        moves.add(off, EntryKind.TAKE_OVER, reserved=-one.units, reservation=one.source, cause=cause)
        moves.add(on, EntryKind.TAKE_OVER, reserved=one.units, reservation=one.target, cause=cause)


def move_rows(
    moves: Moves,
    rows: Sequence[tuple[str, Provisional]],
    source: str,
    target: str,
    reason: str,
    *,
    each_of: str = "",
) -> None:
    """Moves units that provisional rows hold. each_of: the item of which a row says how many it takes; else source."""
    for channel, row in rows:
        cause = Cause(actor=moves.by.actor, run=moves.by.run, reason=moves.by.reason or reason, channel=channel)
        units = row.open * dict(row.takes)[each_of or source]
        for item, kind, sign in ((source, EntryKind.TAKE_OVER, -1), (target, EntryKind.PROVISIONAL, 1)):
            key = PositionKey(item, row.location)
            moves.add(key, kind, reserved=sign * units, reservation=entry_id(row.id, item), cause=cause)


def move_incoming(connection: Connection, expected: Iterable[Incoming], target: str, run: str) -> None:
    """Units on their way go to another item; those of one reference add up."""
    for one in expected:
        there = PositionKey(target, one.position.location)
        known = incoming.find_incoming(connection, there, one.reference)
        units = one.units + (known.units if known else 0)
        incoming.save_incoming(connection, replace(one, units=0), run)
        incoming.save_incoming(connection, replace(one, position=there, units=units), run)


def _give_back_incoming(connection: Connection, by: By, source: str, target: str, told: Iterable[Any]) -> None:
    for location, reference, units, _ in told:
        known = incoming.find_incoming(connection, PositionKey(target, location), reference)
        back = min(units, known.units if known else 0)
        if known is not None and back:
            incoming.save_incoming(connection, replace(known, units=known.units - back), by.run)
            mine = replace(known, position=PositionKey(source, location), units=back)
            incoming.save_incoming(connection, mine, by.run)


def _restore_counted(
    connection: Connection, positions: Mapping[PositionKey, Position], target: str, told: Iterable[Any]
) -> None:
    restored = {}
    for location, was, became in told:
        key = PositionKey(target, location)
        if key in positions and positions[key].counted_up_to == _time(became):
            restored[key] = _time(was)
    counts.set_counted_up_to(connection, restored)


def _counted(source: Position, target: Position) -> datetime | None:
    """Up to when shipments are in on hand of both: the earlier moment, so that none is left out; a position that was
    never used has no say."""
    if not target.entries:
        return source.counted_up_to
    if not source.entries:
        return target.counted_up_to
    moments = (source.counted_up_to, target.counted_up_to)
    return None if moments[0] is None or moments[1] is None else min(moments[0], moments[1])


def _turned(one: HeldUnits) -> HeldUnits:
    return replace(one, source=one.target, target=one.source)


def _plain(was: Mapping[str, OldLine]) -> dict[str, object]:
    return {line: [old.sold, {str(number): takes for number, takes in old.legs.items()}] for line, old in was.items()}


def _old_lines(plain: Mapping[str, Any]) -> dict[str, OldLine]:
    return {
        line: OldLine(
            sold, {int(number): tuple((item, each) for item, each in takes) for number, takes in legs.items()}
        )
        for line, (sold, legs) in plain.items()
    }


def _time(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
