"""Files of whole orders, as tills, phones and wholesale systems export them: read, checked, every bad row named.

CSV has one row a line of an order; rows of one order belong together wherever they stand. JSON lines has one order a
row. Required are order, sku and units. What is left blank is not said: a file without a status says nothing about it.
An order with one bad row is refused as a whole, for half an order must never be booked.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from channelsync.domain.orders import UNITS_MAX, OrderStatus
from channelsync.sync.orders_told import shown, wrong_name

LINE_COLUMNS = ("sku", "units", "line", "location", "shipped", "cancelled")
ORDER_COLUMNS = ("order", "status", "placed_at", "changed_at")
COLUMNS = (*ORDER_COLUMNS, *LINE_COLUMNS)
REQUIRED = ("order", "sku", "units")
REFUSED_COLUMNS = ("refused_row", "refused_because")
"""What a file of refused rows says beside them; left out when it is read again."""

_WHOLE = re.compile(r"[0-9]{1,30}")


class FileRefused(Exception):
    """A file of orders that cannot be read at all; nothing of it was taken in."""


class _Wrong(Exception):
    """What is wrong with a row."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is refused. row: its number in the file, from 1. text: the row as it stands."""

    row: int
    why: str
    text: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInFile:
    """One line of an order. None: not said. Units are sums so far."""

    line: str
    sku: str
    units: int
    location: str | None = None
    shipped: int | None = None
    cancelled: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInFile:
    """One order. rows: the numbers of its rows in the file. None: not said.

    changed_at: the caller's time of its last change; an older one than what is booked is ignored.
    """

    order: str
    rows: tuple[int, ...]
    lines: tuple[LineInFile, ...]
    status: OrderStatus | None = None
    placed_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(slots=True)
class OrdersFile:
    """What a file says. texts: every row as it stands, by number. header, delimiter: of a CSV file, else empty."""

    orders: list[OrderInFile] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    header: str = ""
    delimiter: str = ""

    def refuse(self, order: OrderInFile, why: str) -> None:
        """Takes an order out, with all of its rows."""
        self.orders.remove(order)
        self.bad = sorted((*self.bad, *(BadRow(row, why, self.texts[row]) for row in order.rows)), key=_by_row)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row, not understood yet. fields: by column. wrong: why it cannot be; empty: nothing is known against it."""

    number: int
    fields: Mapping[str, Any]
    wrong: str = ""


def read_orders(data: bytes, *, json_lines: bool, locations: Collection[str], encoding: str = "utf-8") -> OrdersFile:
    """The orders of a file, and the rows that are refused. Raises FileRefused where no row can be read at all.

    locations: those that a row may name.
    """
    text = _decoded(data, encoding)
    if not text.strip():
        raise FileRefused("it is empty")
    file = OrdersFile()
    by_order: dict[str, list[_Row]] = {}
    for row in _json_rows(text, file) if json_lines else _csv_rows(text, file):
        try:
            by_order.setdefault(_name(row), []).append(row)
        except _Wrong as wrong:
            file.bad.append(BadRow(row.number, row.wrong or str(wrong), file.texts[row.number]))
    for name, rows in by_order.items():
        _take(file, name, rows, locations, whole_orders=json_lines)
    file.bad.sort(key=_by_row)
    return file


def refused_rows(file: OrdersFile, bad: Sequence[BadRow]) -> str:
    """The text of a file of these rows, to be mended and imported again."""
    if not file.delimiter:
        return "".join(f"{_with_reason(one)}\n" for one in bad)
    head = file.delimiter.join((file.header, *REFUSED_COLUMNS))
    rows = (f"{one.text}{file.delimiter}{_as_csv((str(one.row), one.why), file.delimiter)}" for one in bad)
    return "".join(f"{row}\n" for row in (head, *rows))


def _with_reason(bad: BadRow) -> str:
    try:
        said = json.loads(bad.text)
    except ValueError:
        return bad.text
    reason = {REFUSED_COLUMNS[0]: bad.row, REFUSED_COLUMNS[1]: bad.why}
    return json.dumps({**said, **reason}, ensure_ascii=False) if isinstance(said, dict) else bad.text


def _by_row(bad: BadRow) -> int:
    return bad.row


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except LookupError as error:
        raise FileRefused(f"there is no encoding {encoding!r}; say for example windows-1252") from error
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise FileRefused(
            f"row {row} is not {encoding} (byte {data[error.start]:#04x}); save the file as UTF-8, or say how it is "
            "written, for example --encoding windows-1252"
        ) from error
    if "\0" in text:
        raise FileRefused("it holds bytes that are no text; if it is UTF-16, say --encoding utf-16")
    return text


def _csv_rows(text: str, file: OrdersFile) -> Iterator[_Row]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    records = _records(text, delimiter)
    _, cells, broken = next(records)
    if broken:
        raise FileRefused(f"its first row cannot be read ({broken})")
    header = [name.strip().casefold() for name in cells]
    kept = [place for place, name in enumerate(header) if name not in REFUSED_COLUMNS]
    file.header, file.delimiter = _as_csv([header[place] for place in kept], delimiter), delimiter
    _check_header(header)
    for number, cells, broken in records:
        if not broken and not any(cell.strip() for cell in cells):
            continue
        file.texts[number] = _as_csv([cells[place] for place in kept if place < len(cells)], delimiter)
        fields = {name: cell.strip() or None for name, cell in zip(header, cells, strict=False)}
        yield _Row(number, fields, broken or _csv_fault(cells, header))


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """Every record with the number of its first line, and why it cannot be trusted; the last is read with care."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    broken = ""
    number = 1
    try:
        for cells in reader:
            found.append((number, cells))
            number = reader.line_num + 1
    except csv.Error as error:
        found.append((number, []))
        broken = f"cannot be read ({error}); is the file whole?"
    if not broken and not text.endswith(("\n", "\r")):
        broken = "has no line break behind it, so it may be cut off; if the file is whole, add one"
    for number, cells in found[:-1]:
        yield number, cells, ""
    yield *found[-1], broken


def _csv_fault(cells: Sequence[str], header: Sequence[str]) -> str:
    if len(cells) != len(header):
        return f"has {len(cells)} cells where the header has {len(header)}; is the file whole?"
    for name, cell in zip(header, cells, strict=True):
        if name in ("order", "sku", "line") and (wrong := wrong_name(name, cell)):
            return wrong
    return ""


def _check_header(header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in (*COLUMNS, *REFUSED_COLUMNS)]
    missing = [name for name in REQUIRED if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    columns = ", ".join(COLUMNS)
    if missing:
        raise FileRefused(f"its first row lacks {', '.join(missing)}; it names the columns: {columns}")
    if unknown:
        raise FileRefused(f"its first row names {', '.join(map(shown, unknown))}; columns can be {columns}")
    if twice:
        raise FileRefused(f"its first row names {', '.join(twice)} twice")


def _as_csv(cells: Sequence[str], delimiter: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="").writerow(cells)
    return written.getvalue()


def _json_rows(text: str, file: OrdersFile) -> Iterator[_Row]:
    for number, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        file.texts[number] = row.strip()
        try:
            fields = json.loads(row)
        except (ValueError, RecursionError) as error:
            yield _Row(number, {}, f"is no JSON ({error}); is the file whole?")
            continue
        if isinstance(fields, dict):
            yield _Row(number, fields, _json_fault(fields))
        else:
            yield _Row(number, {}, 'is no order; one looks like {"order": "1", "lines": [{"sku": "MUG", "units": 2}]}')


def _json_fault(fields: Mapping[str, Any]) -> str:
    unknown = sorted(set(fields) - {*ORDER_COLUMNS, *REFUSED_COLUMNS, "lines"})
    if unknown:
        return f"names {', '.join(map(shown, unknown))}; an order can have {', '.join(ORDER_COLUMNS)} and lines"
    lines = fields.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return 'its lines are no list of lines; write "lines": [{"sku": "MUG", "units": 2}]'
    unknown = sorted({name for line in lines for name in line} - set(LINE_COLUMNS))
    if unknown:
        return f"names {', '.join(map(shown, unknown))}; a line can have {', '.join(LINE_COLUMNS)}"
    return "" if lines else "has no lines; an order has at least one"


def _take(file: OrdersFile, name: str, rows: Sequence[_Row], locations: Collection[str], *, whole_orders: bool) -> None:
    """Makes one order of its rows; or refuses all of them, each for its own fault or for its neighbour's."""
    wrong: dict[int, str] = {row.number: row.wrong for row in rows if row.wrong}
    lines: dict[str, tuple[int, LineInFile]] = {}
    head: dict[str, Any] = {}
    for row in (row for row in rows if not row.wrong):
        if whole_orders and row is not rows[0]:
            wrong[row.number] = f"order {name} stands in row {rows[0].number} already; remove one"
            continue
        try:
            _take_row(name, row, locations, lines, head)
        except _Wrong as fault:
            wrong[row.number] = str(fault)
    numbers = tuple(row.number for row in rows)
    if not wrong:
        told = tuple(line for _, line in lines.values())
        try:
            order = _order(name, numbers, told, head)
        except _Wrong as fault:
            wrong[numbers[0]] = str(fault)
        else:
            file.orders.append(order)
            return
    first = min(wrong)
    for number in numbers:
        why = wrong.get(number, f"order {name} is refused as a whole, because of row {first}")
        file.bad.append(BadRow(number, why, file.texts[number]))


def _take_row(
    name: str, row: _Row, locations: Collection[str], lines: dict[str, tuple[int, LineInFile]], head: dict[str, Any]
) -> None:
    """Takes what one row says into the order's lines and head."""
    for fields in row.fields.get("lines", [row.fields]):
        line = _line(fields, locations)
        if line.line in lines:
            raise _Wrong(
                f"order {name} has {line.line} in row {lines[line.line][0]} already; remove one, add them up, or give "
                "each an id of its own in `line`"
            )
        lines[line.line] = (row.number, line)
    for column in ORDER_COLUMNS[1:]:
        said = row.fields.get(column)
        if said is None:
            continue
        value = _status(said) if column == "status" else _time(column, said)
        if head.setdefault(column, value) != value:
            raise _Wrong(f"order {name} has another {column} in a row above; write one of them in all rows")


def _line(fields: Mapping[str, Any], locations: Collection[str]) -> LineInFile:
    sku = _text("sku", fields.get("sku"))
    location = fields.get("location")
    if location is not None and location not in locations:
        raise _Wrong(f"there is no location {shown(location)}; there is {', '.join(locations)}")
    units = _units("units", fields.get("units"))
    if units is None:
        raise _Wrong(f"units of {sku} are blank; write how many")
    return LineInFile(
        line=_text("line", fields["line"]) if fields.get("line") is not None else sku,
        sku=sku,
        units=units,
        location=location,
        shipped=_units("shipped", fields.get("shipped")),
        cancelled=_units("cancelled", fields.get("cancelled")),
    )


def _order(name: str, rows: tuple[int, ...], lines: tuple[LineInFile, ...], head: Mapping[str, Any]) -> OrderInFile:
    """The order, if its numbers agree with one another."""
    for line in lines:
        done = (line.shipped or 0) + (line.cancelled or 0)
        if done > line.units:
            raise _Wrong(f"{line.sku}: {done} units are shipped or cancelled of {line.units} that were ordered")
        if head.get("status") is OrderStatus.CLOSED and line.shipped is not None and done < line.units:
            raise _Wrong(f"it is closed, but {line.units - done} of {line.sku} are neither shipped nor cancelled")
    return OrderInFile(order=name, rows=rows, lines=lines, **head)


def _name(row: _Row) -> str:
    return _text("order", row.fields.get("order"))


def _text(name: str, value: Any) -> str:
    if value is None or value == "":
        raise _Wrong(f"{name} is blank")
    if not isinstance(value, str):
        raise _Wrong(f"{name} {shown(value)} is no text; write it in quotes")
    if wrong := wrong_name(name, value):
        raise _Wrong(wrong)
    return value


def _units(name: str, value: Any) -> int | None:
    """Units; None: blank. A whole number from 0 on."""
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    units = value if whole else int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else None
    if units is None or units < 0:
        raise _Wrong(f"{name} {shown(value)} is not a whole number from 0 on; give base units")
    if units > UNITS_MAX:
        raise _Wrong(f"{name} {shown(value)} is more than any order can mean ({UNITS_MAX})")
    return int(units)


def _status(value: Any) -> OrderStatus:
    try:
        return OrderStatus(value.casefold() if isinstance(value, str) else value)
    except ValueError as error:
        known = ", ".join(status.value for status in OrderStatus)
        raise _Wrong(f"status {shown(value)} means nothing; it can be {known}") from error


def _time(name: str, value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _Wrong(f"{name} {shown(value)} is no time such as 2026-03-01T09:00:00Z") from error
    if at.tzinfo is None:
        raise _Wrong(f"{name} {shown(value)} has no time zone; write it as 2026-03-01T09:00:00Z")
    return at
