"""Rows of several tables in one round trip.

PostgreSQL takes them as JSON in one statement, each table a part of its WITH clause: that costs a fraction of a
statement for each table and a message for each row. SQLite has no round trips: each table is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Select, Table, Text, Update, bindparam, cast, func, literal_column, select

from channelsync.store.prepared import run
from channelsync.store.upsert import insert, insert_ignoring, upsert

Row = Mapping[str, object]

ROWS_AT_ONCE = 1_000
"""Rows of one table that go in one statement: what is parsed at once stays below a megabyte."""


@dataclass(frozen=True, slots=True)
class Into:
    """How rows go into a table: as `upsert` does with its keys; without keys, one that is there is an IntegrityError.

    ignore: one that is there stays as it is.
    """

    table: Table
    keys: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    ignore: bool = False

    def statement(self, dialect: str) -> Any:
        """The INSERT of one row."""
        if self.ignore:
            return insert_ignoring(self.table, dialect)
        if self.keys:
            return upsert(self.table, dialect, keys=self.keys, update=self.update, add=self.add)
        return insert(self.table, dialect)


Rows = tuple[Into, Sequence[Row]]
"""Rows that go into one table in one way; all of them name the same columns."""

Change = tuple[Update, Mapping[str, object]]
"""An UPDATE that is built once, with its parameters; no two that go together share a parameter's name."""


def write_together(connection: Connection, rows: Sequence[Rows], changes: Sequence[Change] = ()) -> None:
    """Writes rows and makes changes. None of them may need to see what another one writes; in any order."""
    given = [(into, some) for into, some in rows if some]
    if connection.dialect.name == "sqlite":
        for into, some in given:
            run(connection, into.statement("sqlite"), some)
        for statement, parameters in changes:
            run(connection, statement, [parameters])
        return
    while any(len(some) > ROWS_AT_ONCE for _, some in given):
        _write_once(connection, [(into, some[:ROWS_AT_ONCE]) for into, some in given], ())
        given = [(into, rest) for into, some in given if (rest := some[ROWS_AT_ONCE:])]
    if given or changes:
        _write_once(connection, given, changes)


def _write_once(connection: Connection, given: Sequence[Rows], changes: Sequence[Change]) -> None:
    shape = tuple((into, tuple(some[0])) for into, some in given)
    parameters: dict[str, object] = {_name(part): _json(some) for part, (_, some) in enumerate(given)}
    for _, its_own in changes:
        parameters |= its_own
    run(connection, _in_one(shape, tuple(statement for statement, _ in changes)), [parameters])


@cache
def _in_one(shape: tuple[tuple[Into, tuple[str, ...]], ...], changes: tuple[Update, ...]) -> Select[Any]:
    """The one statement for PostgreSQL. shape: of each part the columns that its rows name."""
    parts = [_from_json(number, into, columns) for number, (into, columns) in enumerate(shape)]
    named = [part.cte(f"part_{number}") for number, part in enumerate((*parts, *changes))]
    return select(literal_column("1").label("done")).add_cte(*named)


def _from_json(part: int, into: Into, columns: tuple[str, ...]) -> Any:
    rows = cast(bindparam(_name(part), type_=Text), JSON)
    given = func.json_to_recordset(rows).table_valued(*(into.table.c[name] for name in columns), name=f"given_{part}")
    named = given.render_derived(with_types=True)
    return into.statement("postgresql").from_select(columns, select(*(named.c[name] for name in columns)))


def _name(part: int) -> str:
    return f"rows_{part}"


def _json(rows: Sequence[Row]) -> str:
    return orjson.dumps(rows, default=_in_hexadecimal).decode()


def _in_hexadecimal(value: object) -> str:
    """Bytes as PostgreSQL reads them from a text."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"a column cannot hold {type(value).__name__}")
