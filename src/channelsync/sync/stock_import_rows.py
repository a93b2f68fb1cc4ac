"""From rows of text to what they say of positions; every row that cannot be believed is named with its reason. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Literal

from channelsync.domain.ledger import COST_DECIMALS, COST_MAX
from channelsync.domain.orders import UNITS_MAX
from channelsync.sync.stock import By, Refused, Worth, happened
from channelsync.sync.stock_import_file import REFUSED_BECAUSE, REFUSED_ROW, FileOfRows, FileRow

Basis = Literal["physical", "available", "delta", "receipt"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_COST = re.compile(rf"[0-9]{{1,12}}(\.[0-9]{{1,{COST_DECIMALS}}})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be imported. row: its line in the file, from 1. sku: empty where it names none."""

    row: int
    sku: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow:
    """What a row says. as_of, orders_up_to None: the whole file's. location: where it names none, the command's.

    reference: of a delivery; empty: none is named.
    """

    row: int
    sku: str
    location: str
    units: int
    worth: Worth
    reference: str
    reason: str
    as_of: datetime | None
    orders_up_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the command says of the whole file.

    basis: what its numbers mean: units that are there, units that are not promised yet, changes of on hand, or units
    that arrived. as_of: the moment they speak of; None: each row says it (changes and receipts: now). orders_up_to:
    orders up to then are in the numbers; None: up to `as_of`. location, currency: where a row names none. zone: of
    times in rows that name none; None: such a time is refused.
    """

    basis: Basis
    as_of: datetime | None = None
    orders_up_to: datetime | None = None
    location: str = ""
    currency: str = ""
    zone: tzinfo | None = None

    @property
    def moves(self) -> bool:
        """Whether its numbers are movements, and not what is there at a moment."""
        return self.basis in ("delta", "receipt")


def understood(
    file: FileOfRows, declared: Declared, by: By, only_location: str = ""
) -> tuple[list[StockRow], list[BadRow]]:
    """What the rows say, and those that say nothing that could be believed, each with all that is wrong with it.

    only_location: where a row is of, where neither it nor what is declared names one; empty: such a row is bad.
    """
    good: list[StockRow] = []
    bad: list[BadRow] = []
    for row in file.rows:
        one = _understood(row, declared, by, only_location)
        if isinstance(one, StockRow):
            good.append(one)
        else:
            bad.append(one)
    return good, bad


def _understood(row: FileRow, declared: Declared, by: By, only_location: str) -> StockRow | BadRow:
    if row.fields is None:
        return BadRow(row.number, row.cells[0].strip() if row.cells else "", row.problem)
    reading = _Reading(row.fields, declared, by)
    sku = reading.sku()
    read = StockRow(
        row=row.number,
        sku=sku,
        location=reading.location(only_location),
        units=reading.units(),
        worth=reading.worth(),
        reference=row.fields.get("reference", ""),
        reason=row.fields.get("reason", ""),
        as_of=reading.time("as_of"),
        orders_up_to=reading.time("orders_counted_up_to"),
    )
    return BadRow(row.number, sku, "; ".join(reading.problems)) if reading.problems else read


class _Reading:
    """Reads the fields of one row and takes down what is wrong with them."""

    def __init__(self, fields: dict[str, str], declared: Declared, by: By) -> None:
        self._fields = fields
        self._declared = declared
        self._by = by
        self.problems: list[str] = []

    def sku(self) -> str:
        sku = self._fields.get("sku", "")
        if not sku:
            self.problems.append("the SKU is blank")
        elif not sku.isprintable() or len(sku) > 200:
            self.problems.append("the SKU has characters that cannot be seen, or more than 200")
        return sku

    def location(self, only_location: str) -> str:
        location = self._fields.get("location") or self._declared.location or only_location
        if not location:
            self.problems.append("no location is named, neither by the row nor with --location")
        return location

    def units(self) -> int:
        told = self._fields.get("units", "")
        if not _WHOLE.fullmatch(told):
            self.problems.append(f"units is {told!r}, not a whole number" if told else "units is blank")
            return 0
        units = int(told)
        if abs(units) > UNITS_MAX:
            self.problems.append(f"{units} units are more than {UNITS_MAX}")
        elif units < 1 and self._declared.basis == "receipt":
            self.problems.append(f"units is {units}: 1 or more arrive")
        elif units < 0 and self._declared.basis != "delta":
            self.problems.append(f"units is {units}: a number that is {self._declared.basis} cannot be below 0")
        return units

    def worth(self) -> Worth:
        told = self._fields.get("unit_cost", "")
        currency = self._fields.get("currency") or self._declared.currency
        cost = Decimal(told) if _COST.fullmatch(told) else None
        if told and (cost is None or cost >= COST_MAX):
            self.problems.append(
                f"unit_cost is {told!r}, not a number below {COST_MAX} with at most {COST_DECIMALS} decimals"
            )
        if told and not _CURRENCY.fullmatch(currency):
            self.problems.append(f"currency is {currency!r}, not a code such as EUR; a cost needs one")
        return Worth(lot=self._fields.get("lot", ""), unit_cost=cost, currency=currency if told else "")

    def time(self, name: str) -> datetime | None:
        told = self._fields.get(name, "")
        if not told:
            return None
        try:
            at = datetime.fromisoformat(told)
            return happened(at if at.tzinfo else at.replace(tzinfo=self._declared.zone), self._by)
        except ValueError:
            self.problems.append(f"{name} is {told!r}, not a time such as 2026-03-01T09:30:00Z")
        except Refused as error:
            self.problems.append(f"{name}: {error}")
        return None


def refused_rows(file: FileOfRows, bad: Iterable[BadRow]) -> str:
    """A CSV file of the rows that were refused, with the reasons; once they are mended it can be imported."""
    reasons = {one.row: one.reason for one in bad}
    written = io.StringIO(newline="")
    columns = [name for name in file.columns if name not in (REFUSED_ROW, REFUSED_BECAUSE)]
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([*columns, REFUSED_ROW, REFUSED_BECAUSE])
    for row in file.rows:
        if row.number in reasons:
            writer.writerow([*_cells(file.columns, columns, row.cells), row.number, reasons[row.number]])
    return written.getvalue()


def _cells(columns: Sequence[str], wanted: Sequence[str], cells: Sequence[str]) -> list[str]:
    by_column = dict(zip(columns, cells, strict=False))
    return [by_column.get(name, "") for name in wanted]
