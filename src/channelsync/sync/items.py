"""What a seller does with items: other names, further names, one item made into two. Their ids and history stay.

A SKU is a text that leads to an item: its own, or a further one (an alias). Every text leads to one item at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from channelsync.domain.ledger import EntryKind
from channelsync.domain.quantities import PositionKey
from channelsync.store import item_moves, items, keys, ledger, runs
from channelsync.store.items import Item
from channelsync.store.listings import get_listings
from channelsync.store.runs import Change
from channelsync.sync.items_new import ITEM, add_new_items
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.oversold import rename_oversold
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Moves, Refused, change_positions, unknown_sku, whole_units, wrong_location

ALIAS = "alias"
"""The kind of a `Change` of a further SKU. subject: the text; before, after: the item's id, None for no item."""

SKU_LENGTH_MAX = 200


def item_named(connection: Connection, sku: str) -> Item:
    """The item that a SKU or alias leads to; a merged item is the one that it became. Raises Refused."""
    found = items.items_by_sku(connection, [sku]).get(sku)
    if found is None:
        raise Refused(unknown_sku(sku))
    return found


def item_itself(connection: Connection, sku: str) -> Item:
    """The item that a SKU or alias leads to, itself even when it was merged. Raises Refused."""
    found = item_moves.item_by_name(connection, sku)
    if found is None:
        raise Refused(unknown_sku(sku))
    return found


def rename(connection: Connection, setup: Setup, by: By, item: Item, sku: str) -> bool:
    """Gives an item another SKU; the one it had becomes a further one, so that nothing that names it is lost.

    Returns whether it was another one. Raises Refused where the text leads to another item, or is none.
    """
    _checked(sku)
    if sku == item.sku:
        return False
    if item_moves.alias_of(connection, sku) == item.id:
        drop_alias(connection, by, sku)
    _must_be_free(connection, sku)
    items.change_item(connection, item.id, sku=sku)
    change = Change(run=by.run, kind=ITEM, subject=item.id, before={"sku": item.sku}, after={"sku": sku}, at=by.now)
    runs.record_change(connection, change)
    _give(connection, by, item.sku, item.id)
    rename_oversold(connection, item.id)
    keys.mark_due(connection, setup.shown_by(item.id), by.now)
    return True


def add_alias(connection: Connection, by: By, item: Item, sku: str) -> bool:
    """Lets a further SKU lead to an item; returns whether it did not yet. Raises Refused: it leads to another one."""
    _checked(sku)
    if item.sku == sku or item_moves.alias_of(connection, sku) == item.id:
        return False
    _must_be_free(connection, sku)
    _give(connection, by, sku, item.id)
    return True


def remove_alias(connection: Connection, by: By, item: Item, sku: str) -> None:
    """Lets a further SKU lead to no item any more. Raises Refused where it does not lead to this one."""
    if item.sku == sku:
        raise Refused(f"{sku} is the item's own SKU; give it another one with `channelsync items rename`.")
    if item_moves.alias_of(connection, sku) != item.id:
        raise Refused(f"{sku} is no further SKU of {item.sku}; nothing was changed.")
    drop_alias(connection, by, sku)


def drop_alias(connection: Connection, by: By, sku: str) -> None:
    """Forgets a further SKU, and remembers whose it was."""
    was = item_moves.alias_of(connection, sku)
    items.remove_alias(connection, sku)
    runs.record_change(connection, Change(run=by.run, kind=ALIAS, subject=sku, before=was, after=None, at=by.now))


def _give(connection: Connection, by: By, sku: str, item: str) -> None:
    items.add_alias(connection, sku, item, by.run)
    runs.record_change(connection, Change(run=by.run, kind=ALIAS, subject=sku, before=None, after=item, at=by.now))


def _checked(sku: str) -> None:
    if not sku or sku != sku.strip() or not sku.isprintable() or len(sku) > SKU_LENGTH_MAX:
        raise Refused(
            f"{sku!r} cannot be a SKU: it needs 1 to {SKU_LENGTH_MAX} characters that can be seen, and no blanks at "
            "its ends."
        )


def _must_be_free(connection: Connection, sku: str) -> None:
    other = item_moves.item_by_name(connection, sku)
    if other is not None:
        whose = f"of {other.sku}" if other.sku != sku else "of an item"
        raise Refused(
            f"{sku} is a SKU {whose} already; nothing was changed. Choose another one, or make the two items one with "
            "`channelsync items merge`."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOff:
    """What goes to a new item. listings: (channel, listing), mapped to the old one; units: base units by location.

    force: more units than are available may go.
    """

    sku: str
    listings: Sequence[tuple[str, str]] = ()
    units: Mapping[str, int] = field(default_factory=dict)
    force: bool = False


@dataclass(slots=True, kw_only=True)
class Split:
    """The new item, and what went to it."""

    item: Item
    entries: int
    listings: int


def split(connection: Connection, setup: Setup, by: By, item: Item, wanted: SplitOff) -> Split:
    """Makes a new item of some listings and units of one.

    Orders that are booked stay with the old item, which they hold units of; later ones of these listings take the new
    one. Where somebody said how many units of the old item there are, that is said of the new one too: those that are
    named, and no others.

    Raises Refused: a SKU that is taken, listings that mean something else, units that are not available, nothing to
    split off; and BadListing where a listing shares its number with one that stays.
    """
    _checked(wanted.sku)
    _must_be_free(connection, wanted.sku)
    if not wanted.listings and not wanted.units:
        raise Refused("Name listings or units that go to the new item; nothing was changed.")
    multiples = _multiples(connection, item, wanted.listings)
    for location, units in wanted.units.items():
        whole_units(units, f"{wanted.sku} at {location} gets")
        problem = wrong_location(setup, location)
        if problem:
            raise Refused(problem)
    new = add_new_items(connection, by, [wanted.sku])[wanted.sku]
    targets = [Wanted(channel, name, new.id, multiple) for (channel, name), multiple in multiples.items()]
    mapped = map_listings(connection, setup, targets, by=by.actor.removeprefix("user:"), run=by.run, now=by.now)
    pairs = [(PositionKey(item.id, name), PositionKey(new.id, name), units) for name, units in wanted.units.items()]
    known = ledger.read_positions(connection, [item.id])
    stated = [PositionKey(new.id, key.location) for key, position in known.items() if position.stated_by]

    def decide(moves: Moves) -> None:
        moves.stated.update(stated, (fresh for _, fresh, _ in pairs))
        for old, fresh, units in pairs:
            available = moves.at(old).available
            if units > available and not wanted.force:
                raise Refused(
                    f"{item.sku} at {old.location}: {units} units cannot go to {wanted.sku}, {available} are "
                    "available; nothing was changed. Name fewer, or say --force."
                )
            reason = f"{wanted.sku} was split off {item.sku}"
            moves.add(old, EntryKind.TRANSFER, reason, on_hand=-units)
            moves.add(fresh, EntryKind.TRANSFER, reason, on_hand=units)

    touched = [*stated, *(key for old, fresh, _ in pairs for key in (old, fresh))]
    entries = change_positions(connection, setup, by, touched, decide).entries if touched else 0
    return Split(item=new, entries=entries, listings=len(mapped.changed))


def _multiples(connection: Connection, item: Item, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The multiple of each of these listings of an item."""
    known = {(one.channel, one.listing): one.multiple for one in get_listings(connection, item=item.id)}
    for channel, name in wanted:
        if (channel, name) not in known:
            raise Refused(f"{channel} listing {name} is not mapped to {item.sku}; nothing was changed.")
    return {one: known[one] for one in wanted}
