"""Between the rows of files and our words: pure, so that every odd row can be tried in a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from channelsync.sdk.values import (
    BadOrder,
    Listing,
    ListingState,
    Moved,
    OrderLine,
    OrderSnapshot,
    OrderStatus,
    QuantityKey,
    UnreadableOrder,
)
from channelsync_files.sections_numbers import ListingsIn
from channelsync_files.sections_orders import Happens, OrdersIn
from channelsync_files.wire import Row

NEVER_TOLD = -1
"""The number of a listing that nobody has told yet, where numbers cannot be read: below every number that can be
wanted, so that each of them is written, 0 too."""

_RAW_CHARACTERS_MAX = 10_000
_UNITS_DIGITS_MAX = 9
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_MOVES = ("cancelled", "lost", "shipped", "returned", "withheld")


class BadCell(Exception):
    """A cell that cannot be understood. The message names its row and its field."""


# Cells


def units_of(text: str, decimal: str) -> int | None:
    """A whole number; None for a blank cell. Raises BadCell for anything else, a fraction and thousands' signs too."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadCell("is no number")
    whole, sign, rest = text.partition("," if "," in text else ".")
    if (sign and text[len(whole)] != decimal) or len(whole) > _UNITS_DIGITS_MAX:
        raise BadCell(f"{text!r} is no number of units; a fraction begins with {decimal!r} here")
    if rest.strip("0"):
        raise BadCell(f"{text!r} is no whole number")
    return int(whole)


def time_of(text: str, how: OrdersIn) -> datetime | None:
    """A time in UTC; None for a blank cell. Raises BadCell for one that is not written as the settings say."""
    if not text:
        return None
    try:
        if how.time_format == "unix":
            return datetime.fromtimestamp(float(text), UTC)
        iso = how.time_format == "iso"
        # `strptime` may give a time without a zone, and `fromisoformat` too: the settings tell it.
        at = datetime.fromisoformat(text) if iso else datetime.strptime(text, how.time_format)  # noqa: DTZ007
        return (at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(how.time_zone))).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise BadCell(f"is no time written as {how.time_format!r}") from None


# Orders


def orders_of(rows: Sequence[Row], how: OrdersIn, file: str, taken: datetime) -> list[OrderSnapshot | UnreadableOrder]:
    """The orders of a file, in the order in which they first appear.

    taken: when the file came, for files that do not tell when an order changed.
    """
    by_order: dict[str, list[Row]] = {}
    for row in rows:
        by_order.setdefault(row.cells.get("order", "") or f"({file} {row.where})", []).append(row)
    return [_order_of(order, some, how, file, taken) for order, some in by_order.items()]


def _order_of(
    order: str, rows: Sequence[Row], how: OrdersIn, file: str, taken: datetime
) -> OrderSnapshot | UnreadableOrder:
    problem = next((row.problem for row in rows if row.problem), "")
    if not problem and not rows[0].cells.get("order"):
        problem = f"{rows[0].where}: the order's id is blank"
    try:
        if not problem:
            return _snapshot(order, rows, how, taken)
    except (BadCell, BadOrder) as error:
        problem = str(error)
    raw = json.dumps([dict(row.cells) for row in rows if not row.problem])
    return UnreadableOrder(order=order, reason=f"{file}: {problem}", raw=raw[:_RAW_CHARACTERS_MAX])


def _snapshot(order: str, rows: Sequence[Row], how: OrdersIn, taken: datetime) -> OrderSnapshot:
    placed = _times(rows, how, "placed_at")
    if not placed:
        raise BadCell(f"{rows[0].where}: placed_at is blank")
    changed = _times(rows, how, "changed_at")
    if how.version == "changed_at" and not changed:
        raise BadCell(f"{rows[0].where}: changed_at is blank")
    lines = _lines(rows, how)
    words = [word for _, word in lines]
    deducted, cancelled = _times(rows, how, "deducted_at"), _times(rows, how, "cancelled_at")
    return OrderSnapshot(
        order=order,
        version=max(changed) if how.version == "changed_at" else taken,
        placed_at=min(placed),
        status=_status([line for line, _ in lines], words),
        lines=tuple(line for line, _ in lines),
        deducted_at=min(deducted, default=None),
        cancelled_at=max(cancelled, default=None),
    )


def _status(lines: Sequence[OrderLine], words: Sequence[Happens]) -> OrderStatus:
    if any(line.to_ship for line in lines):
        waiting = any(word == "wait" for line, word in zip(lines, words, strict=True) if line.to_ship)
        return OrderStatus.PENDING if waiting else OrderStatus.OPEN
    called_off = [line for line in lines if line.cancelled] and not any(line.shipped for line in lines)
    return OrderStatus.CANCELLED if called_off else OrderStatus.CLOSED


def _times(rows: Iterable[Row], how: OrdersIn, field: str) -> list[datetime]:
    """Every time that the rows of an order tell in a field."""
    found = []
    for row in rows:
        try:
            at = time_of(row.cells.get(field, ""), how)
        except BadCell as error:
            raise BadCell(f"{row.where}: {field} {error}") from None
        if at is not None:
            found.append(at)
    return found


def _lines(rows: Sequence[Row], how: OrdersIn) -> list[tuple[OrderLine, Happens]]:
    """The lines with the word for each. A row that stands twice counts once, where lines have ids of their own."""
    found: dict[str, tuple[Row, OrderLine, Happens]] = {}
    for row in rows:
        if not any(row.cells.get(name) for name in ("listing", "sku", "units", "line")):
            continue  # a row about the order alone
        line, word = _line(row, how)
        name = line.line
        if name in found and how.columns.line is not None:
            if found[name][0].cells != row.cells:
                raise BadCell(f"{row.where}: line {name} stood at {found[name][0].where} already, and said otherwise")
            continue
        times = 1
        while name in found:
            times += 1
            name = f"{line.line}#{times}"
        found[name] = (row, _line(row, how, name)[0], word)
    return [(line, word) for _, line, word in found.values()]


def _line(row: Row, how: OrdersIn, name: str = "") -> tuple[OrderLine, Happens]:
    cells = row.cells
    told = {field: _units(row, field, how) for field in ("units", *_MOVES)}
    ordered = told["units"]
    if ordered is None:
        raise BadCell(f"{row.where}: units is blank")
    listing, sku = cells.get("listing") or None, cells.get("sku") or None
    if listing is None and sku is None:
        raise BadCell(f"{row.where}: neither listing nor SKU")
    word = _word(row, how)
    moved = _moved(word, ordered, {field: told[field] or 0 for field in _MOVES})
    location = cells.get("location") or None
    line = OrderLine(
        line=name or cells.get("line") or listing or sku or "",
        listing=listing,
        sku=sku,
        ordered=ordered,
        location=location,
        **{field: (Moved(units=units, location=location),) if units else () for field, units in moved.items()},
    )
    return line, word


def _units(row: Row, field: str, how: OrdersIn) -> int | None:
    try:
        units = units_of(row.cells.get(field, ""), how.decimal)
    except BadCell as error:
        raise BadCell(f"{row.where}: {field} {error}") from None
    if units is not None and units < 0:
        raise BadCell(f"{row.where}: {field} is negative")
    return units


def _word(row: Row, how: OrdersIn) -> Happens:
    if not how.statuses:
        return "reserve"
    told = row.cells.get("line_status") or row.cells.get("status", "")
    found = how.statuses.get(told.casefold())
    if found is None:
        raise BadCell(f"{row.where}: the status word {told[:40]!r} is not in `statuses`")
    return found


def _moved(word: Happens, ordered: int, told: Mapping[str, int]) -> dict[str, int]:
    """What has happened to the units of a line: what its columns tell, and what its word says of the rest."""
    moved = dict(told)
    rest = max(0, ordered - told["cancelled"] - told["lost"] - told["shipped"])
    if word == "cancel":
        moved["cancelled"] += rest
    elif word in ("ship", "return", "write off"):
        moved["shipped"] += rest
    back = "returned" if word == "return" else "withheld"
    if word in ("return", "write off") and not (told["returned"] or told["withheld"]):
        moved[back] = moved["shipped"]
    return moved


# Listings and numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A row of `listings`. number: what it shows; None: it tells none. problem: why it could not be understood."""

    listing: str
    sku: str | None
    title: str = ""
    barcode: str | None = None
    state: ListingState = ListingState.ACTIVE
    reason: str = ""
    number: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A row of `numbers`. number None: nothing is counted. problem: why it could not be understood."""

    key: QuantityKey
    number: int | None
    committed: int | None = None
    problem: str = ""


def offered_of(rows: Iterable[Row], how: ListingsIn) -> dict[str, Offered]:
    """The listings of a file, by their ids. Rows without an id, and two that differ about one, are problems."""
    found: dict[str, Offered] = {}
    for row in rows:
        cells = row.cells
        name = cells.get("listing" if how.columns.listing else "sku", "")
        problem, number = row.problem or ("" if name else f"{row.where}: the listing is blank"), None
        try:
            number = units_of(cells.get("number", ""), how.decimal)
        except BadCell as error:
            problem = problem or f"{row.where}: number {error}"
        word = cells.get("state", "")
        state = how.states.get(word.casefold(), "inactive") if how.columns.state else "active"
        one = Offered(
            listing=name or f"({row.where})",
            sku=cells.get("sku") or None,
            title=cells.get("title", ""),
            barcode=cells.get("barcode") or None,
            state=ListingState(state),
            reason=word if state != "active" else "",
            number=number,
            problem=problem,
        )
        if one.listing in found and found[one.listing] != one:
            one = Offered(listing=name, sku=None, problem=f"{row.where}: {name} stood before, and said otherwise")
        found[one.listing] = one
    return found


def numbers_of(rows: Iterable[Row], decimal: str) -> dict[QuantityKey, Number]:
    """The numbers of a file, by their keys. Rows without a key, and two that differ about one, are problems."""
    found: dict[QuantityKey, Number] = {}
    for row in rows:
        cells = row.cells
        key = QuantityKey(cells.get("key", "") or f"({row.where})", cells.get("location", ""))
        problem, number, committed = row.problem or ("" if cells.get("key") else f"{row.where}: no key"), None, None
        try:
            number = units_of(cells.get("number", ""), decimal)
            committed = units_of(cells.get("committed", ""), decimal)
        except BadCell as error:
            problem = problem or f"{row.where}: {error}"
        one = Number(key=key, number=number, committed=committed, problem=problem)
        if key in found and found[key] != one:
            one = Number(key=key, number=None, problem=f"{row.where}: {key.key} stood before, and said otherwise")
        found[key] = one
    return found


def listing_of(offered: Offered, numbers: Sequence[Number]) -> Listing:
    """A listing with the numbers it shows. numbers: those of its keys; none where nobody tells them."""
    return Listing(
        listing=offered.listing,
        sku=offered.sku,
        title=offered.title,
        barcode=offered.barcode,
        state=offered.state,
        reasons=(offered.reason,) if offered.reason else (),
        keys=tuple(one.key for one in numbers) or (QuantityKey(offered.listing),),
        shown={one.key: one.number for one in numbers if one.number is not None},
        committed={one.key: one.committed for one in numbers if one.committed is not None},
        # An empty number says that nothing is counted; a missing row, that nobody tells.
        tracked=not numbers or any(one.number is not None for one in numbers),
    )
