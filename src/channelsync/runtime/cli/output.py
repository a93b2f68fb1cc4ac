"""What a command prints: JSON for programs, tables for people.

Standard output carries the data and nothing else; what is said about it (next steps, warnings, errors) goes
to standard error. JSON: stable keys, times as ISO 8601 in UTC ending in Z, quantities as numbers, money as
text. A list is printed as JSON lines, one object a line; a single thing as one document.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from pathlib import Path
from typing import Any, TextIO

import orjson
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from channelsync.sdk.redaction import HIDDEN

_UNBROKEN = 10_000
"""Columns of a table that goes to a file or a pipe: no line is ever folded there."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Output:
    """Prints for one command. `as_json` is what its --json option said."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out if out is not None else sys.stdout
        self._err = err if err is not None else sys.stderr

    def rows(self, rows: Iterable[Any], columns: Sequence[str] = (), *, title: str = "") -> None:
        """A list of things that are alike: mappings, dataclasses or models.

        columns: which keys a table shows, in this order; empty means those of the first row. JSON always has
        all of them. An empty list prints nothing as JSON, and says so as a table.
        """
        plain = [_plain(row) for row in rows]
        if self.as_json:
            for row in plain:
                self._write(_dumped(row))
            return
        if not plain:
            self._console(self._out).print(Text(f"{title}: none" if title else "none"))
            return
        shown = columns or tuple(plain[0])
        table = Table(title=Text(title) if title else None, title_justify="left")
        for name in shown:
            numeric = all(_is_number(row.get(name)) for row in plain)
            table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
        for row in plain:
            table.add_row(*(Text(cell(row.get(name))) for name in shown))
        self._console(self._out).print(table)

    def document(self, data: Any, *, title: str = "") -> None:
        """One thing: a mapping, a dataclass or a model. As a table: one row a key."""
        plain = _plain(data)
        if self.as_json:
            self._write(_dumped(plain))
            return
        table = Table(title=Text(title) if title else None, title_justify="left", show_header=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for key, value in plain.items():
            table.add_row(Text(str(key).replace("_", " ")), Text(cell(value)))
        self._console(self._out).print(table)

    def say(self, text: str) -> None:
        """A sentence for people, on standard error, so that it never mixes with the data."""
        self._console(self._err).print(Text(safe(text)))

    def fail(self, text: str) -> None:
        """What went wrong and what to do, on standard error."""
        line = Text("error: ", style="bold red")
        line.append(Text(safe(text), style="default not bold"))
        self._console(self._err).print(line)

    def _console(self, stream: TextIO) -> Console:
        """A new one each time, for it keeps the size and kind of the terminal it was made for."""
        return Console(
            file=stream,
            width=None if stream.isatty() else _UNBROKEN,
            highlight=False,
            soft_wrap=False,
            emoji=False,
            markup=False,
        )

    def _write(self, text: str) -> None:
        self._out.write(f"{text}\n")


def safe(text: str) -> str:
    """The text without control characters: what a channel wrote must not steer the seller's terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def with_cause(value: str, cause: str) -> str:
    """A value for people, with what made it so where something else did: observe (run --observe)."""
    return f"{value} ({cause})" if cause else value


def cell(value: Any) -> str:
    """A plain value as a table shows it. Nothing is shown for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return safe(", ".join(f"{key}={cell(held)}" for key, held in value.items()))
    if isinstance(value, list):
        return safe(", ".join(map(cell, value)))
    return safe(str(value))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _dumped(plain: Any) -> str:
    return orjson.dumps(plain, option=orjson.OPT_NON_STR_KEYS).decode()


@singledispatch
def _plain(value: Any) -> Any:
    """What JSON can say, of what our values are made of. Secrets never pass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Iterable):
        return [_plain(held) for held in value]
    raise TypeError(f"nothing says how to print a {type(value).__name__}")


@_plain.register(type(None))
@_plain.register(bool)
@_plain.register(int)
@_plain.register(float)
def _(value: Any) -> Any:
    return value


@_plain.register
def _(value: str) -> str:
    return str.__str__(value)  # the bare text, of members of text enumerations too


@_plain.register(Decimal)
@_plain.register(Path)
def _(value: Any) -> str:
    return str(value)


@_plain.register
def _(value: SecretStr) -> str:
    return HIDDEN


@_plain.register
def _(value: Enum) -> Any:
    return _plain(value.value)


@_plain.register
def _(value: datetime) -> str:
    return as_iso(value)


@_plain.register
def _(value: date) -> str:
    return value.isoformat()


@_plain.register
def _(value: timedelta) -> float:
    return value.total_seconds()


@_plain.register
def _(value: BaseModel) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in type(value).model_fields}


@_plain.register(Mapping)
def _(value: Any) -> dict[str, Any]:
    return {str(key): _plain(held) for key, held in value.items()}


@_plain.register(set)
@_plain.register(frozenset)
def _(value: Any) -> list[Any]:
    return sorted(map(_plain, value))


def as_iso(moment: datetime) -> str:
    """The moment in UTC, to the microsecond where it has one: 2024-01-31T10:15:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
