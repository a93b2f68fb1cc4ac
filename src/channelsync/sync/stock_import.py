"""Importing a file of positions: all of it or nothing, every row that cannot be imported named; or all but those.

A file that was imported changes nothing when it is imported again: it is known by its bytes, what was declared of it,
and the caller's key. Undo the run to import it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.ledger import EntryKind, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.store import imported_files, incoming, items
from channelsync.store.imported_files import TakenIn
from channelsync.store.items import Item
from channelsync.sync.items_new import add_new_items
from channelsync.sync.setup import Setup
from channelsync.sync.stock import (
    By,
    Moves,
    Place,
    Refused,
    change_positions,
    only_location,
    unknown_sku,
    wrong_item,
    wrong_location,
)
from channelsync.sync.stock_count import Count, CountBasis, add_counts, counted_later
from channelsync.sync.stock_import_file import FileOfRows
from channelsync.sync.stock_import_rows import BadRow, Declared, StockRow, understood
from channelsync.sync.stock_incoming import close_incoming


@dataclass(frozen=True, slots=True)
class Wished:
    """How whoever imports says what is done with rows that are not understood; for what an import that fails says."""

    create_items: str
    skip_bad_rows: str


BY_OPTIONS = Wished("--create-items", "--skip-bad-rows REFUSED")
BY_CONFIGURATION = Wished("create_items = true in the configuration", 'bad_rows = "skip" in the configuration')


class BadRows(Refused):
    """Rows of a file cannot be imported, so that nothing was."""

    def __init__(self, file: FileOfRows, bad: Sequence[BadRow], wished: Wished) -> None:
        self.bad = tuple(sorted(bad, key=lambda one: one.row))
        first = self.bad[0]
        super().__init__(
            f"{file.name}: {len(self.bad)} of {len(file.rows)} rows cannot be imported, and nothing was. The first is "
            f"row {first.row} (SKU {first.sku or 'blank'}): {first.reason.removesuffix('.')}. Mend them, or "
            f"leave them out ({wished.skip_bad_rows})."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a file is imported. create_items: an unknown SKU becomes an item. skip_bad_rows: the others are imported.

    wished: how these two are asked for.
    """

    declared: Declared
    create_items: bool = False
    skip_bad_rows: bool = False
    wished: Wished = BY_OPTIONS


@dataclass(slots=True, kw_only=True)
class Imported:
    """What an import did. rows: imported ones. entries: new in the ledger. unchanged: rows that said what was so.

    new_items: SKUs that became items. bad: rows that were left out. oversold: (SKU, location, available) where fewer
    units are there now than are promised. repeated: the run that had imported the file before; empty: none had.
    """

    rows: int = 0
    entries: int = 0
    unchanged: int = 0
    new_items: list[str] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    oversold: list[tuple[str, str, int]] = field(default_factory=list)
    repeated: str = ""


def import_rows(
    connection: Connection, setup: Setup, by: By, file: FileOfRows, how: How, spoken_of: set[str] | None = None
) -> Imported:
    """Imports a file in the caller's transaction, which the guard ends. Raises BadRows with every row that cannot be
    imported, unless they are skipped.

    spoken_of: the items of all rows that are imported are added to it, those whose row says what is so already too.
    """
    declared = how.declared
    earlier = imported_files.claim(
        connection,
        TakenIn(
            digest=_digest(file, declared, by.key),
            name=file.name,
            kind="stock",
            run=by.run,
            rows=len(file.rows),
            at=by.now,
        ),
    )
    if earlier is not None:
        return Imported(repeated=earlier.run)
    named = set[str]() if spoken_of is None else spoken_of
    work = _Import(connection=connection, setup=setup, by=by, file=file, how=how, spoken_of=named)
    good, bad = understood(file, declared, by, only_location(setup))
    work.done.bad += bad
    work.run(good)
    return work.done


def _digest(file: FileOfRows, declared: Declared, key: str) -> str:
    """What makes an import the same one. Changes without a time of their own are the same whenever they are told."""
    moments = (declared.as_of, declared.orders_up_to)
    return entry_id("stock import", file.digest, declared.basis, declared.location, *moments, key)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A row with the position it speaks of."""

    row: StockRow
    position: PositionKey


@dataclass(slots=True, kw_only=True)
class _Import:
    """One import on its way."""

    connection: Connection
    setup: Setup
    by: By
    file: FileOfRows
    how: How
    spoken_of: set[str]
    done: Imported = field(default_factory=Imported)

    def run(self, rows: Sequence[StockRow]) -> None:
        known = self._items(rows)
        placed = self._unique(self._placed(rows, known))
        if self.done.bad and not self.how.skip_bad_rows:
            raise BadRows(self.file, self.done.bad, self.how.wished)
        if not placed:
            return
        decide = self._move if self.how.declared.moves else self._count
        wanted = [one.position for one in placed]
        self.spoken_of |= {key.item for key in wanted}
        changed = change_positions(self.connection, self.setup, self.by, wanted, lambda moves: decide(moves, placed))
        self._arrived(placed)
        skus = {one.position: one.row.sku for one in placed}
        self.done.entries = changed.entries
        self.done.oversold = [
            (skus[one.key], one.key.location, one.available) for one in changed.positions if one.available < 0
        ]

    def _items(self, rows: Sequence[StockRow]) -> dict[str, Item]:
        known = items.items_by_sku(self.connection, (row.sku for row in rows))
        unknown = sorted({row.sku for row in rows} - known.keys())
        if unknown and self.how.create_items:
            wanted = {row.sku for row in rows if not wrong_location(self.setup, row.location)}
            known |= add_new_items(self.connection, self.by, [sku for sku in unknown if sku in wanted])
            self.done.new_items = [sku for sku in unknown if sku in wanted]
        return known

    def _placed(self, rows: Iterable[StockRow], known: dict[str, Item]) -> list[_Placed]:
        placed = []
        for row in rows:
            item = known.get(row.sku)
            problems = [wrong_location(self.setup, row.location)]
            new = self.how.wished.create_items
            problems.append(unknown_sku(row.sku, new) if item is None else wrong_item(self.setup, row.sku, item.id))
            problems.append(self._wrong_times(row))
            reason = "; ".join(problem for problem in problems if problem).replace(".; ", "; ")
            if item is None or reason:
                self._refuse(row, reason)
            else:
                placed.append(_Placed(row, PositionKey(item.id, row.location)))
        return placed

    def _wrong_times(self, row: StockRow) -> str:
        declared = self.how.declared
        as_of = row.as_of or declared.as_of
        up_to = row.orders_up_to or declared.orders_up_to
        if declared.moves:
            return ""
        if as_of is None:
            return "neither the row (as_of) nor --as-of says as of when the number is"
        if up_to is not None and up_to > as_of:
            return (
                f"orders cannot be counted up to {up_to.isoformat()}, later than the number, as of {as_of.isoformat()}"
            )
        return ""

    def _unique(self, placed: Sequence[_Placed]) -> list[_Placed]:
        """A position is named once, by whichever of its SKUs; movements once for each lot and reference."""
        moves = self.how.declared.moves
        first: dict[tuple[PositionKey, str, str], _Placed] = {}
        doubled: dict[tuple[PositionKey, str, str], list[_Placed]] = {}
        for one in placed:
            name = (one.position, one.row.worth.lot if moves else "", one.row.reference if moves else "")
            if name in first:
                doubled.setdefault(name, [first[name]]).append(one)
            first.setdefault(name, one)
        for alike in doubled.values():
            for one in alike:
                others = ", ".join(str(other.row.row) for other in alike if other is not one)
                self._refuse(one.row, f"row {others} is for the same item and location, so which one holds is unknown")
        refused = {one.row.row for alike in doubled.values() for one in alike}
        return [one for one in placed if one.row.row not in refused]

    def _count(self, moves: Moves, placed: Sequence[_Placed]) -> None:
        """Numbers that say what is there, or what is not promised."""
        declared = self.how.declared
        told = [_count(one, declared) for one in placed]
        later = counted_later(self.connection, [(one.position, one.as_of) for one in told])
        self._keep([(one.row, reason) for one, reason in zip(placed, later, strict=True) if reason])
        taken = [one for one, reason in zip(told, later, strict=True) if not reason]
        basis: CountBasis = "physical" if declared.basis == "physical" else "available"
        right = add_counts(self.connection, moves, taken, basis)
        self.done.rows, self.done.unchanged = len(taken), len(right)

    def _move(self, moves: Moves, placed: Sequence[_Placed]) -> None:
        """Numbers that change what is there."""
        moments = [one.row.as_of or self.how.declared.as_of or self.by.now for one in placed]
        told = [(one.position, at) for one, at in zip(placed, moments, strict=True)]
        left = {one.position: moves.at(one.position).on_hand for one in placed}
        refused: list[tuple[StockRow, str]] = []
        for one, at, later in zip(placed, moments, counted_later(self.connection, told), strict=True):
            row, has = one.row, left[one.position]
            if later:
                refused.append((row, later))
            elif row.units < 0 and has + row.units < 0:
                refused.append((row, f"{-row.units} units cannot be taken off, {has} are on hand"))
            else:
                left[one.position] += row.units
                self._change(moves, one, at)
        self._keep(refused)

    def _change(self, moves: Moves, one: _Placed, at: datetime) -> None:
        self.done.rows += 1
        row = one.row
        if row.units == 0:
            self.done.unchanged += 1
            return
        arrived = self.how.declared.basis == "receipt"
        kind, said = (EntryKind.RECEIPT, "received") if arrived else (EntryKind.ADJUST, "changed")
        if row.reference:
            said += f" under {row.reference}"
        cause = replace(moves.by, reason=row.reason or moves.by.reason or said).cause()
        moves.add(one.position, kind, at=at, worth=row.worth, on_hand=row.units, cause=cause)

    def _arrived(self, placed: Sequence[_Placed]) -> None:
        """Takes what arrived off what is on its way, where it was announced under that reference."""
        if self.how.declared.basis != "receipt":
            return
        refused = {bad.row for bad in self.done.bad}
        for one in placed:
            row = one.row
            if not row.reference or row.row in refused:
                continue
            if incoming.find_incoming(self.connection, one.position, row.reference) is not None:
                place = Place(row.sku, one.position)
                close_incoming(self.connection, self.setup, self.by, place, row.reference, row.units, complete=False)

    def _keep(self, refused: Sequence[tuple[StockRow, str]]) -> None:
        """Takes down rows that only the locked positions showed to be bad."""
        for row, reason in refused:
            self._refuse(row, reason)
        if refused and not self.how.skip_bad_rows:
            raise BadRows(self.file, self.done.bad, self.how.wished)

    def _refuse(self, row: StockRow, reason: str) -> None:
        self.done.bad.append(BadRow(row.row, row.sku, reason))
        self.done.bad.sort(key=lambda one: one.row)


def _count(one: _Placed, declared: Declared) -> Count:
    as_of = one.row.as_of or declared.as_of
    if as_of is None:
        raise ValueError(f"row {one.row.row} has no moment; rows without one are refused before")
    return Count(
        position=one.position,
        units=one.row.units,
        as_of=as_of,
        orders_up_to=one.row.orders_up_to or declared.orders_up_to or as_of,
        reason=one.row.reason,
        worth=one.row.worth,
    )
