"""Rows of several tables in one round trip.

PostgreSQL takes them as arrays in one statement, each table a part of its WITH clause: that costs a fraction of a
statement for each table and a message for each row. SQLite has no round trips: each table is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, Update, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from channelsync.store.upsert import insert, insert_ignoring, upsert

Row = Mapping[str, object]


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
    """Writes rows and makes changes, in this order. None of them may need to see what another one writes."""
    given = [(into, some) for into, some in rows if some]
    if connection.dialect.name == "sqlite":
        for into, some in given:
            connection.execute(into.statement("sqlite"), some)
        for statement, parameters in changes:
            connection.execute(statement, parameters)
    elif given or changes:
        shape = tuple((into, tuple(some[0])) for into, some in given)
        arrays: dict[str, object] = {
            _name(part, column): [row[column] for row in some]
            for part, (_, some) in enumerate(given)
            for column in some[0]
        }
        for _, parameters in changes:
            arrays |= parameters
        connection.execute(_in_one(shape, tuple(statement for statement, _ in changes)), arrays)


@cache
def _in_one(shape: tuple[tuple[Into, tuple[str, ...]], ...], changes: tuple[Update, ...]) -> Select[Any]:
    """The one statement for PostgreSQL. shape: of each part the columns that its rows name."""
    parts = [_from_arrays(number, into, columns) for number, (into, columns) in enumerate(shape)]
    named = [part.cte(f"part_{number}") for number, part in enumerate((*parts, *changes))]
    return select(literal_column("1")).add_cte(*named)


def _from_arrays(part: int, into: Into, columns: tuple[str, ...]) -> Any:
    kinds = [(column, _Array(into.table.c[column].type)) for column in columns]
    arrays = [cast(bindparam(_name(part, column), type_=kind), kind) for column, kind in kinds]
    given = func.unnest(*arrays).table_valued(*columns, name=f"given_{part}").render_derived()
    return into.statement("postgresql").from_select(columns, select(*(given.c[column] for column in columns)))


def _name(part: int, column: str) -> str:
    return f"part_{part}_{column}"


class _Array(UserDefinedType[Any]):
    """Values as the driver takes them: SQLAlchemy's own arrays look at each of them once more."""

    cache_ok = True

    def __init__(self, kind: TypeEngine[Any]) -> None:
        self.name = f"{kind.compile(dialect=postgresql.dialect())}[]"

    def get_col_spec(self) -> str:
        """As in a CAST."""
        return self.name
