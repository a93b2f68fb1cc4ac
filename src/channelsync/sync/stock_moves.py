"""What happens to units by hand: received, adjusted, written off, set aside, moved, made into bundles.

A statement of what is so (received, adjusted, written off) is believed; only more than is there cannot leave. What
is ours to decide (setting aside, moving, making bundles) is refused where units are promised already, because orders
would then be short of them; `force` does it knowingly, and available goes negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.bundles import explode_all
from channelsync.domain.ledger import EntryKind
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.store import items
from channelsync.sync.setup import Setup
from channelsync.sync.stock import (
    By,
    Moves,
    Place,
    Refused,
    StockChanged,
    Worth,
    change_positions,
    happened,
    once,
    whole_units,
)
from channelsync.sync.stock_count import refuse_if_counted_later
from channelsync.sync.stock_incoming import close_incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Units that arrived. at: when; None: now. withheld: they are not for sale (yet).

    reference: under which they were expected; empty: they were not. complete: nothing more comes under it.
    """

    place: Place
    units: int
    at: datetime | None = None
    withheld: bool = False
    worth: Worth = field(default_factory=Worth)
    reference: str = ""
    complete: bool = False


def receive(connection: Connection, setup: Setup, by: By, receipt: Receipt) -> StockChanged:
    """Books units that arrived. Raises Refused: no number of units, a time to come, an unknown reference."""
    place = receipt.place
    units = whole_units(receipt.units, f"{place} receives")
    at = happened(receipt.at, by)
    aside = " to withheld" if receipt.withheld else ""
    said = f"receive {units} of {place}{aside} {receipt.worth.lot} {receipt.reference}".rstrip()
    repeated = once(connection, by, said, [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        refuse_if_counted_later(connection, [place], at)
        withheld = units if receipt.withheld else 0
        reason = f"received under {receipt.reference}" if receipt.reference else "received"
        moves.add(place.key, EntryKind.RECEIPT, reason, at=at, worth=receipt.worth, on_hand=units, withheld=withheld)

    changed = change_positions(connection, setup, by, [place.key], decide)
    if receipt.reference:
        close_incoming(connection, setup, by, place, receipt.reference, units, complete=receipt.complete)
    return changed


def adjust(
    connection: Connection, setup: Setup, by: By, place: Place, units: int, *, at: datetime | None = None
) -> StockChanged:
    """Corrects on hand by so many units, up or down. Raises Refused where fewer than none would be on hand."""
    whole_units(abs(units), f"{place} is adjusted by")
    when = happened(at, by)
    repeated = once(connection, by, f"adjust {place} by {units}", [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        refuse_if_counted_later(connection, [place], when)
        _must_be_there(moves, place, -units, "cannot be taken off")
        moves.add(place.key, EntryKind.ADJUST, "adjusted", at=when, on_hand=units)

    return change_positions(connection, setup, by, [place.key], decide)


def write_off(
    connection: Connection, setup: Setup, by: By, place: Place, units: int, *, from_withheld: bool = False
) -> StockChanged:
    """Units that are gone for good. from_withheld: of those that were set aside. Raises Refused where fewer are."""
    whole_units(units, f"{place} is written off by")
    aside = " of withheld" if from_withheld else ""
    repeated = once(connection, by, f"write off {units} of {place}{aside}", [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        if from_withheld:
            _must_be_withheld(moves, place, units)
        _must_be_there(moves, place, units, "cannot be written off")
        withheld = -units if from_withheld else 0
        moves.add(place.key, EntryKind.WRITE_OFF, "written off", on_hand=-units, withheld=withheld)

    return change_positions(connection, setup, by, [place.key], decide)


def withhold(
    connection: Connection, setup: Setup, by: By, place: Place, units: int, *, force: bool = False
) -> StockChanged:
    """Sets units aside: on hand, but not for sale. Raises Refused where fewer are available, save with `force`."""
    whole_units(units, f"{place} sets aside")
    repeated = once(connection, by, f"withhold {units} of {place}", [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        _must_be_available(moves, place, units, "cannot be set aside", force=force)
        moves.add(place.key, EntryKind.WITHHOLD, "set aside", withheld=units)

    return change_positions(connection, setup, by, [place.key], decide)


def unwithhold(connection: Connection, setup: Setup, by: By, place: Place, units: int) -> StockChanged:
    """Units that were set aside are for sale again. Raises Refused where fewer are set aside."""
    whole_units(units, f"{place} puts back")
    repeated = once(connection, by, f"unwithhold {units} of {place}", [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        _must_be_withheld(moves, place, units)
        moves.add(place.key, EntryKind.UNWITHHOLD, "for sale again", withheld=-units)

    return change_positions(connection, setup, by, [place.key], decide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Units of one item that go from one location to another. lot: which; empty: nobody looks."""

    source: Place
    target: Place
    units: int
    at: datetime | None = None
    lot: str = ""
    force: bool = False


def transfer(connection: Connection, setup: Setup, by: By, wanted: Transfer) -> StockChanged:
    """Moves units between locations, out of one and into the other at once. Raises Refused where fewer are available
    at the first, save with `force`."""
    source, target, units = wanted.source, wanted.target, wanted.units
    whole_units(units, f"{source} gives away")
    if source.key == target.key:
        raise Refused(f"{source}: units go from one location to another one; nothing was changed.")
    at = happened(wanted.at, by)
    touched = [source.key, target.key]
    repeated = once(connection, by, f"transfer {units} of {source} to {target.key.location}", touched)
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        refuse_if_counted_later(connection, [source, target], at)
        _must_be_available(moves, source, units, "cannot leave", force=wanted.force)
        reason = f"from {source.key.location} to {target.key.location}"
        worth = Worth(lot=wanted.lot)
        moves.add(source.key, EntryKind.TRANSFER, reason, at=at, worth=worth, on_hand=-units)
        moves.add(target.key, EntryKind.TRANSFER, reason, at=at, worth=worth, on_hand=units)
        moves.stated.add(target.key)

    return change_positions(connection, setup, by, touched, decide)


def produce(
    connection: Connection, setup: Setup, by: By, place: Place, units: int, *, force: bool = False
) -> StockChanged:
    """Packs bundles ahead: consumes their parts and puts the bundles on hand, at one location.

    A part that is a bundle itself gives packed ones first and is packed from its own parts otherwise; a pre-built
    one gives its own. Raises Refused: no recipe, a virtual bundle, fewer parts available (save with `force`).
    """
    whole_units(units, f"{place} makes")
    parts = _parts(setup, place)
    repeated = once(connection, by, f"produce {units} of {place}", [place.key])
    if repeated is not None:
        return repeated
    location = place.key.location
    named = {item: each * units for item, each in parts.items()}
    reached = {part for item in named for part in reachable(item, setup.recipes) if not _virtual(setup, part)}
    skus = {item: found.sku for item, found in items.items_by_id(connection, reached).items()}
    touched = [place.key, *(PositionKey(item, location) for item in sorted(reached))]

    def decide(moves: Moves) -> None:
        available = {item: moves.at(PositionKey(item, location)).available for item in reached}
        for item, needed in explode_all(named, available, setup.recipes).items():
            part = Place(skus[item], PositionKey(item, location))
            _must_be_available(moves, part, needed, f"are needed to make {units} of {place.sku}", force=force)
            moves.add(part.key, EntryKind.CONSUME, f"made into {units} of {place.sku}", on_hand=-needed)
        moves.add(place.key, EntryKind.PRODUCE, "made of its parts", on_hand=units)

    return change_positions(connection, setup, by, touched, decide)


def _parts(setup: Setup, place: Place) -> Mapping[str, int]:
    """Base units of each part that one bundle takes."""
    recipe = setup.recipes.get(place.key.item)
    if recipe is None or recipe.kind == "virtual":
        raise Refused(
            f"{place.sku} is not packed ahead: the configuration has no [[bundle]] of kind prebuilt or both for it."
        )
    parts: dict[str, int] = {}
    for part in recipe.parts:
        parts[part.item] = parts.get(part.item, 0) + part.units
    return parts


def _virtual(setup: Setup, item: str) -> bool:
    recipe = setup.recipes.get(item)
    return recipe is not None and recipe.kind == "virtual"


def _must_be_available(moves: Moves, place: Place, units: int, what: str, *, force: bool) -> None:
    available = moves.at(place.key).available
    if units > available and not force:
        raise Refused(
            f"{place}: {units} units {what}, {available} are available and the rest is promised to orders or set "
            "aside; nothing was changed. Take fewer, or say --force: available then goes below 0, and every channel "
            "is lowered."
        )


def _must_be_withheld(moves: Moves, place: Place, units: int) -> None:
    withheld = moves.at(place.key).withheld
    if units > withheld:
        raise Refused(f"{place}: {units} units are named, but {withheld} are set aside; nothing was changed.")


def _must_be_there(moves: Moves, place: Place, units: int, what: str) -> None:
    on_hand = moves.at(place.key).on_hand
    if units > max(0, on_hand):
        raise Refused(
            f"{place}: {units} units {what}, {on_hand} are on hand; nothing was changed. Take fewer, or count the "
            "place with `channelsync stock count`."
        )
