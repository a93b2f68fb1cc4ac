"""How files are written: bytes to rows of the columns that are mapped, and rows to bytes. Nothing else is kept of them.

A message names a row by its line (in a JSON document: by its number in the list), never by what is in it: where cells
have slipped, a buyer's name may stand anywhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channelsync_files.sections import Incoming, Section
from channelsync_files.sections_orders import LINE_FIELDS, OrdersIn

MISSING: Any = object()
"""What is at a path that is not there; null is there, and blank."""


class BadFile(Exception):
    """A file that cannot be read at all. The message says why, and nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Row:
    """The mapped cells of one row, by field; a blank cell is an empty text.

    where: `line 3` or `row 3`. problem: why its cells cannot be trusted; empty: they can. Then all but the order's id
    are left out.
    """

    where: str
    cells: Mapping[str, str] = field(repr=False)
    problem: str = ""


def columns_of(model: Any) -> dict[str, str]:
    """Field to column, of those that are mapped."""
    return {name: column for name, column in model.model_dump().items() if column is not None}


def parse(content: bytes, how: Incoming, columns: Mapping[str, str], required: Iterable[str]) -> list[Row]:
    """All rows of a file. Raises BadFile where it is not what `how` says, or a column is missing.

    required: fields of which JSON must bring at least the name; a CSV header must have every mapped column.
    """
    try:
        text = content.decode("utf-8-sig" if how.encoding == "utf-8" else how.encoding)
    except UnicodeDecodeError as error:
        raise BadFile(f"byte {error.start + 1} is not {how.encoding}: set `encoding`") from None
    if how.complete == "trailer":
        text = _without_trailer(text, how.trailer)
    if how.format == "csv":
        return _csv_rows(text, how, columns)
    if how.format == "jsonl":
        return _jsonl_rows(text, how, columns, frozenset(required))
    return _json_rows(_json(text, "the document"), how, columns, frozenset(required))


def ends_with_trailer(content: bytes, how: Incoming) -> bool:
    """Whether the last line that is not blank begins with the trailer."""
    text = content.decode(how.encoding, "replace").rstrip()
    return text.rpartition("\n")[2].startswith(how.trailer)


def _without_trailer(text: str, trailer: str) -> str:
    before, _, last = text.rstrip().rpartition("\n")
    if not last.startswith(trailer):
        raise BadFile("its last line is not the trailer")
    return before + "\n"


def _csv_rows(text: str, how: Incoming, columns: Mapping[str, str]) -> list[Row]:
    if not text.strip():
        raise BadFile("it is empty; a file without rows has its header still")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=how.delimiter, quotechar=how.quote, strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip() for name in next(reader)]
        places = _places(header, columns)
        for cells in reader:
            if cells and any(cells):
                rows.append(_csv_row(cells, len(header), places, f"line {reader.line_num}"))
    except csv.Error as error:
        raise BadFile(f"line {reader.line_num} is not CSV: {error}") from None
    except StopIteration:
        raise BadFile("it has no header") from None
    return rows


def _places(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    missing = sorted({column for column in columns.values() if column not in header})
    if missing:
        raise BadFile(f"its header lacks {', '.join(map(repr, missing))}: put the mapping or the delimiter right")
    twice = sorted({column for column in columns.values() if header.count(column) > 1})
    if twice:
        raise BadFile(f"its header has {', '.join(map(repr, twice))} twice")
    return {name: header.index(column) for name, column in columns.items()}


def _csv_row(cells: Sequence[str], wide: int, places: Mapping[str, int], where: str) -> Row:
    if len(cells) == wide:
        return Row(where, {name: cells[place].strip() for name, place in places.items()})
    known = {name: cells[place].strip() for name, place in places.items() if name == "order" and place < len(cells)}
    return Row(where, known, f"{where} has {len(cells)} cells where the header has {wide}")


def _json(text: str, what: str) -> Any:
    try:
        # Numbers stay as they are written: an order's id must not be rounded, nor half a unit be lost.
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_number)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise BadFile(f"{what} is not JSON: {reason}") from None


def _no_number(_word: str) -> Any:
    raise BadFile("NaN and Infinity are no numbers in JSON")


def _jsonl_rows(text: str, how: Incoming, columns: Mapping[str, str], required: frozenset[str]) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows += _flat(_json(line, "it"), how, columns, required, f"line {number}")
            except BadFile as error:
                rows.append(Row(f"line {number}", {}, f"line {number}: {error}"))
    if rows and all(row.problem for row in rows):
        raise BadFile(f"no line of it can be read; {rows[0].problem}")
    return rows


def _json_rows(document: Any, how: Incoming, columns: Mapping[str, str], required: frozenset[str]) -> list[Row]:
    found = document
    for step in how.rows.split(".") if how.rows else ():
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise BadFile(f"there is no list {f'at {how.rows!r}' if how.rows else 'in it'}: set `rows`")
    return [row for number, one in enumerate(found, 1) for row in _flat(one, how, columns, required, f"row {number}")]


def _flat(one: Any, how: Incoming, columns: Mapping[str, str], required: frozenset[str], where: str) -> list[Row]:
    """The rows of one JSON object: one, or one a line of an order that has its lines in a list."""
    if not isinstance(one, dict):
        return [Row(where, {}, f"{where} is no object")]
    nested = how.lines if isinstance(how, OrdersIn) else ""
    if not nested:
        return [_json_row([(one, columns)], required, where)]
    outer = {name: column for name, column in columns.items() if name not in LINE_FIELDS}
    inner = {name: column for name, column in columns.items() if name in LINE_FIELDS}
    lines = _at(one, nested)
    if not isinstance(lines, list):
        lines = [None]
    if not lines:
        return [_json_row([(one, outer)], required - LINE_FIELDS, where)]
    return [_json_row([(one, outer), (line, inner)], required, where) for line in lines]


def _json_row(parts: Iterable[tuple[Any, Mapping[str, str]]], required: frozenset[str], where: str) -> Row:
    cells: dict[str, str] = {}
    problem = ""
    for held, columns in parts:
        if not isinstance(held, dict):
            problem = problem or f"{where}: its lines are no list of objects"
            continue
        for name, column in columns.items():
            value = _at(held, column)
            if value is MISSING and name in required:
                problem = problem or f"{where} lacks {column!r}"
            elif isinstance(value, dict | list):
                problem = problem or f"{where}: {column!r} is no single value"
            elif value is not None and value is not MISSING:
                cells[name] = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if problem:
        return Row(where, {name: text for name, text in cells.items() if name == "order"}, problem)
    return Row(where, cells)


def _at(held: Any, path: str) -> Any:
    """What is at a path, or MISSING; a name that itself has a point in it is found first."""
    if not isinstance(held, dict):
        return MISSING
    if path in held:
        return held[path]
    first, _, rest = path.partition(".")
    return _at(held.get(first), rest) if rest else MISSING


def write(rows: Sequence[Mapping[str, str | int]], names: Sequence[str], how: Section) -> bytes:
    """A file of ours. names: the columns in their order. Raises BadFile where the encoding has not every letter."""
    if how.format == "csv":
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=how.delimiter, quotechar=how.quote, lineterminator="\r\n")
        writer.writerow(names)
        writer.writerows([row.get(name, "") for name in names] for row in rows)
        text = out.getvalue()
    elif how.format == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        text = json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n"
    try:
        return text.encode(how.encoding)
    except UnicodeEncodeError:
        raise BadFile(f"a letter in it cannot be written in {how.encoding}") from None
