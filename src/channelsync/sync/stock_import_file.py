"""From the bytes of a file to rows of text: CSV with any common delimiter, or JSON lines. Pure.

What is wrong with the file as a whole is a BadFile: it is not text, its header is wrong, it is empty, it was cut off.
What is wrong with one row is that row's business, see `stock_import_rows`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from channelsync.sync.stock import Refused

Form = Literal["csv", "jsonl"]

COLUMNS = ("sku", "location", "units", "lot", "unit_cost", "currency", "reason", "as_of", "orders_counted_up_to")
"""What a row may say; `sku` and `units` always, `location` unless the command names one."""

REFUSED_ROW, REFUSED_BECAUSE = "refused_row", "refused_because"
"""Columns of a file of refused rows. They are left out when it is read again."""

BYTES_MAX = 100_000_000
_DELIMITERS = (",", ";", "\t", "|")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class BadFile(Refused):
    """A file that cannot be imported at all."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row as it stands in the file. number: of its first line, from 1.

    fields: by column; None where the row cannot be told apart into columns, and `problem` says why.
    """

    number: int
    cells: tuple[str, ...]
    fields: dict[str, str] | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOfRows:
    """A file as read. digest: of its bytes. columns: as the cells of each row follow one another.

    no_line_end: its last line does not end; where it was cut off, the last number may be too small.
    """

    name: str
    digest: str
    columns: tuple[str, ...]
    rows: tuple[FileRow, ...]
    no_line_end: bool


def read_file(
    name: str, raw: bytes, *, encoding: str = "", form: Form | None = None, ignore: Collection[str] = ()
) -> FileOfRows:
    """Reads a file. encoding: empty for UTF-8, with or without a mark at its beginning. form: None tells by its first
    character. ignore: columns that may be there and say nothing. Raises BadFile.
    """
    if len(raw) > BYTES_MAX:
        raise BadFile(f"{name} has {len(raw)} bytes; {BYTES_MAX} are the most. Split it.")
    text = _decoded(name, raw, encoding)
    if not text.strip():
        raise BadFile(f"{name} is empty.")
    no_line_end = not text.endswith(("\n", "\r"))
    digest = hashlib.sha256(raw).hexdigest()
    left_out = {_column(one) for one in ignore} | {REFUSED_ROW, REFUSED_BECAUSE}
    as_json = form == "jsonl" or (form is None and text.lstrip().startswith("{"))
    if as_json:
        columns: tuple[str, ...] = COLUMNS
        rows = tuple(_json_rows(name, text, left_out, no_line_end=no_line_end))
    else:
        columns, rows = _csv(name, text, left_out, no_line_end=no_line_end)
    if not rows:
        raise BadFile(f"{name} has a header and no rows.")
    return FileOfRows(name=name, digest=digest, columns=columns, rows=rows, no_line_end=no_line_end)


def _decoded(name: str, raw: bytes, encoding: str) -> str:
    if not encoding and raw.startswith(_UTF_16):
        raise BadFile(f"{name} is UTF-16, not UTF-8. Save it as UTF-8, or say --encoding utf-16.")
    try:
        text = raw.decode(encoding or "utf-8-sig")
    except LookupError as error:
        raise BadFile(f"There is no encoding {encoding!r}; say for example windows-1252.") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        if error.reason == "unexpected end of data":
            raise BadFile(
                f"{name} ends in the middle of a character, on line {line}: it was cut off. Get it again."
            ) from error
        raise BadFile(
            f"Line {line} of {name} is not {encoding or 'UTF-8'} (byte {raw[error.start]:#04x}). Was it saved by a "
            "Windows program? Save it as `CSV UTF-8`, or say --encoding windows-1252."
        ) from error
    if "\0" in text:
        raise BadFile(f"{name} is no text: it contains NUL characters.")
    return text


def _csv(
    name: str, text: str, left_out: Collection[str], *, no_line_end: bool
) -> tuple[tuple[str, ...], tuple[FileRow, ...]]:
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(_DELIMITERS, key=lambda one: len(set(_header(first, one)) & set(COLUMNS)))
    columns = _checked_header(name, _header(first, delimiter), left_out)
    rows: list[FileRow] = []
    for number, cells in _records(name, text, delimiter):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == len(columns):
            fields = {
                column: cell.strip() for column, cell in zip(columns, cells, strict=True) if column not in left_out
            }
            rows.append(FileRow(number, tuple(cells), fields))
        else:
            problem = f"it has {len(cells)} fields, the header has {len(columns)}"
            rows.append(FileRow(number, tuple(cells), None, problem))
    if no_line_end and rows and rows[-1].fields is None:
        raise _cut_off(name, rows[-1].number)
    return columns, tuple(rows)


def _records(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records behind the header, each with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header_seen, line = False, 0
    try:
        for cells in reader:
            number, line = line + 1, reader.line_num
            if header_seen:
                yield number, cells
            elif any(cell.strip() for cell in cells):
                header_seen = True
    except csv.Error as error:
        if str(error) == "unexpected end of data":
            raise _cut_off(name, line + 1) from error
        raise BadFile(f"Line {reader.line_num} of {name} is no CSV: {error}.") from error


def _header(line: str, delimiter: str) -> list[str]:
    return [_column(one) for one in next(csv.reader([line], delimiter=delimiter))]


def _column(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", " ").split())


def _checked_header(name: str, columns: Sequence[str], left_out: Collection[str]) -> tuple[str, ...]:
    problems = [f"no column {one}" for one in ("sku", "units") if one not in columns]
    unknown = [one or "one without a name" for one in columns if one not in COLUMNS and one not in left_out]
    problems += [f"the unknown column {one}" for one in unknown]
    problems += [f"the column {one} twice" for one in sorted(set(columns)) if columns.count(one) > 1]
    if problems:
        raise BadFile(
            f"{name} has {', '.join(problems)}. Its first line must name its columns, of {', '.join(COLUMNS)}; others "
            "are left out with --ignore-column."
        )
    return tuple(columns)


def _json_rows(name: str, text: str, left_out: Collection[str], *, no_line_end: bool) -> Iterator[FileRow]:
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if no_line_end and number == len(lines):
                raise _cut_off(name, number) from error
            yield FileRow(number, (), None, f"it is no JSON: {error}")
            continue
        yield _json_row(number, said, left_out)


def _json_row(number: int, said: Any, left_out: Collection[str]) -> FileRow:
    if not isinstance(said, dict):
        return FileRow(number, (), None, "it is no JSON object")
    wanted = {_column(name): value for name, value in said.items() if value is not None}
    cells = tuple("" if wanted.get(name) is None else str(wanted[name]) for name in COLUMNS)
    problems = []
    for name, value in wanted.items():
        if name not in COLUMNS and name not in left_out:
            problems.append(f"{name} is unknown")
        elif name == "units" and (isinstance(value, bool) or not isinstance(value, int)):
            problems.append(f"units is {orjson.dumps(value).decode()}, not a whole number")
        elif name in COLUMNS and name != "units" and not isinstance(value, str):
            problems.append(f"{name} is {orjson.dumps(value).decode()}, not a text: put it in quotes")
    if problems:
        return FileRow(number, cells, None, "; ".join(problems))
    return FileRow(number, cells, {name: str(value).strip() for name, value in wanted.items() if name in COLUMNS})


def _cut_off(name: str, line: int) -> BadFile:
    return BadFile(f"{name} ends in the middle of line {line}: it was cut off. Get it again, whole.")
