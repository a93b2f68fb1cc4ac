"""From the bytes of a file to rows of text: CSV with any common delimiter, JSON lines, or a JSON list. Pure.

What is wrong with the file as a whole is a BadFile: it is not text, its header is wrong, it is empty, it was cut off.
What is wrong with one row is that row's business, see `stock_import_rows`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from channelsync.sync.stock import Refused

Form = Literal["csv", "jsonl", "json"]

COLUMNS = (
    "sku",
    "location",
    "units",
    "lot",
    "unit_cost",
    "currency",
    "reference",
    "reason",
    "as_of",
    "orders_counted_up_to",
)
"""What a row may say; `sku` and `units` always, `location` unless the command names one."""

REFUSED_ROW, REFUSED_BECAUSE = "refused_row", "refused_because"
"""Columns of a file of refused rows. They are left out when it is read again."""

BYTES_MAX = 100_000_000
_DELIMITERS = (",", ";", "\t", "|")
_NOT_MAPPED = "-"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is written.

    encoding: empty for UTF-8, with or without a mark at its beginning. form: None tells by its first character.
    delimiter: empty tells by the header. ignore: columns that may be there and say nothing. columns: by ours, the
    names that the file has for them; then all others say nothing. Empty: the file has our names.
    """

    encoding: str = ""
    form: Form | None = None
    delimiter: str = ""
    ignore: Collection[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    def ours(self, name: str) -> str:
        """Our name of a column of the file."""
        plain = _column(name)
        if not self.columns:
            return plain
        return next((own for own, theirs in self.columns.items() if _column(theirs) == plain), _NOT_MAPPED)

    def theirs(self, name: str) -> str:
        """What the file calls one of our columns."""
        return self.columns.get(name, name)

    def left_out(self) -> set[str]:
        """Columns whose cells are not looked at."""
        return {_column(one) for one in self.ignore} | {REFUSED_ROW, REFUSED_BECAUSE, _NOT_MAPPED}


def read_file(
    name: str,
    raw: bytes,
    *,
    encoding: str = "",
    form: Form | None = None,
    ignore: Collection[str] = (),
    layout: Layout | None = None,
) -> FileOfRows:
    """Reads a file. layout: how it is written, in the place of the three settings before. Raises BadFile."""
    how = layout or Layout(encoding=encoding, form=form, ignore=ignore)
    if len(raw) > BYTES_MAX:
        raise BadFile(f"{name} has {len(raw)} bytes; {BYTES_MAX} are the most. Split it.")
    text = _decoded(name, raw, how.encoding)
    if not text.strip():
        raise BadFile(f"{name} is empty.")
    form = how.form or _form_of(text)
    no_line_end = not text.endswith(("\n", "\r")) and form != "json"
    columns: tuple[str, ...] = COLUMNS
    if form == "json":
        rows = tuple(_json_list(name, text, how))
    elif form == "jsonl":
        rows = tuple(_json_rows(name, text, how, no_line_end=no_line_end))
    else:
        columns, rows = _csv(name, text, how, no_line_end=no_line_end)
    if not rows:
        raise BadFile(f"{name} has {'no' if form == 'json' else 'a header and no'} rows.")
    digest = hashlib.sha256(raw).hexdigest()
    return FileOfRows(name=name, digest=digest, columns=columns, rows=rows, no_line_end=no_line_end)


def _form_of(text: str) -> Form:
    """What a file is by its first character."""
    first = text.lstrip()[0]
    return "json" if first == "[" else "jsonl" if first == "{" else "csv"


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
    return text.removeprefix("\ufeff")


def _csv(name: str, text: str, how: Layout, *, no_line_end: bool) -> tuple[tuple[str, ...], tuple[FileRow, ...]]:
    first = next(line for line in text.splitlines() if line.strip())
    known = set(COLUMNS)
    delimiter = how.delimiter or max(_DELIMITERS, key=lambda one: len(set(_header(first, one, how)) & known))
    columns = _checked_header(name, _header(first, delimiter, how), how)
    left_out = how.left_out()
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


def _header(line: str, delimiter: str, how: Layout) -> list[str]:
    return [how.ours(one) for one in next(csv.reader([line], delimiter=delimiter))]


def _column(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", " ").split())


def _checked_header(name: str, columns: Sequence[str], how: Layout) -> tuple[str, ...]:
    left_out = how.left_out()
    problems = [f"no column {how.theirs(one)}" for one in how.columns or ("sku", "units") if one not in columns]
    unknown = [one or "one without a name" for one in columns if one not in COLUMNS and one not in left_out]
    problems += [f"the unknown column {one}" for one in unknown]
    twice = sorted({one for one in columns if one != _NOT_MAPPED and columns.count(one) > 1})
    problems += [f"the column {how.theirs(one)} twice" for one in twice]
    if problems and how.columns:
        raise BadFile(f"{name} has {', '.join(problems)}. Put the mapping, the delimiter or the file right.")
    if problems:
        raise BadFile(
            f"{name} has {', '.join(problems)}. Its first line must name its columns, of {', '.join(COLUMNS)}; others "
            "are left out with --ignore-column."
        )
    return tuple(columns)


def _json_rows(name: str, text: str, how: Layout, *, no_line_end: bool) -> Iterator[FileRow]:
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
        yield _json_row(number, said, how)


def _json_list(name: str, text: str, how: Layout) -> Iterator[FileRow]:
    """The objects of a list; a row's number is its place in it, from 1."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFile(f"{name} is no JSON: {error}. If it was cut off, get it again.") from error
    if not isinstance(said, list):
        raise BadFile(f"{name} is no JSON list of objects.")
    for number, one in enumerate(said, 1):
        yield _json_row(number, one, how)


def _json_row(number: int, said: Any, how: Layout) -> FileRow:
    if not isinstance(said, dict):
        return FileRow(number, (), None, "it is no JSON object")
    left_out = how.left_out()
    wanted = {how.ours(name): value for name, value in said.items() if value is not None}
    cells = tuple("" if wanted.get(name) is None else str(wanted[name]) for name in COLUMNS)
    problems = []
    for name, value in wanted.items():
        if name not in COLUMNS and name not in left_out:
            problems.append(f"{name} is unknown")
        elif name == "units" and (isinstance(value, bool) or not isinstance(value, int | str)):
            problems.append(f"units is {orjson.dumps(value).decode()}, not a whole number")
        elif name in COLUMNS and name != "units" and not isinstance(value, str):
            problems.append(f"{name} is {orjson.dumps(value).decode()}, not a text: put it in quotes")
    if problems:
        return FileRow(number, cells, None, "; ".join(problems))
    return FileRow(number, cells, {name: str(value).strip() for name, value in wanted.items() if name in COLUMNS})


def _cut_off(name: str, line: int) -> BadFile:
    return BadFile(f"{name} ends in the middle of line {line}: it was cut off. Get it again, whole.")
