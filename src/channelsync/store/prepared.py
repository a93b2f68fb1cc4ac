"""Statements of the hot paths: compiled once by SQLAlchemy, then run on the driver's own cursor.

For each execution SQLAlchemy looks the compiled form up, makes a context and makes a result. That is a quarter of what
booking an order on SQLite costs, and none of it differs from one order to the next. What is kept of it: the types'
conversions, defaults of columns, and how errors are told.

A statement that comes here is built once (at import, or by a cached function): its compiled form is kept for good.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NoReturn

from sqlalchemy import Column, Connection, Dialect, Executable, Float
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

Parameters = Mapping[str, object]
Convert = Callable[[Any], Any]


REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as the driver takes it.

    parameters: in their order, by name, with what stands for one that is not given (REQUIRED: it must be), and how
    its value is converted.
    row: makes what is returned of the values of a row; None: the statement returns no rows.
    """

    sql: str
    parameters: tuple[tuple[str, object, Convert | None], ...]
    row: Convert | None

    def bound(self, given: Parameters) -> list[object]:
        """The values of one execution, as the driver takes them."""
        values: list[object] = []
        for name, missing, convert in self.parameters:
            value = given.get(name, missing)
            if value is REQUIRED:
                raise ValueError(f"a value is required for {name}; given are {', '.join(given)}")
            values.append(value if convert is None else convert(value))
        return values


def fetch(connection: Connection, statement: Executable, given: Parameters) -> list[Any]:
    """All rows of a query, each with its columns by name and in their order. Raises what `execute` would."""
    prepared = _prepare(connection, statement, given)
    if prepared.row is None:
        raise ValueError(f"it returns no rows: {prepared.sql}")
    cursor = _cursor(connection)
    try:
        cursor.execute(prepared.sql, prepared.bound(given))
        found = cursor.fetchall()
    except BaseException as error:  # noqa: BLE001 - raised again
        _raise(connection, prepared, cursor, error)
    finally:
        cursor.close()
    return [prepared.row(row) for row in found]


def run(connection: Connection, statement: Executable, rows: Sequence[Parameters]) -> None:
    """Executes a statement once for each of the rows, which name the same columns. Raises what `execute` would."""
    prepared = _prepare(connection, statement, rows[0])
    cursor = _cursor(connection)
    try:
        if len(rows) == 1:
            cursor.execute(prepared.sql, prepared.bound(rows[0]))
        else:
            cursor.executemany(prepared.sql, [prepared.bound(row) for row in rows])
    except BaseException as error:  # noqa: BLE001 - raised again
        _raise(connection, prepared, cursor, error)
    finally:
        cursor.close()


def _cursor(connection: Connection) -> Any:
    """One of the driver's, in the connection's transaction, which begins with its first statement as with `execute`."""
    if not connection.in_transaction():
        connection.begin()
    cursor: Any = connection.connection.cursor()
    outdated = getattr(connection.dialect, "_invalidate_schema_cache_asof", None)
    if outdated is not None:  # asyncpg's: statements prepared before then are prepared anew
        cursor._invalidate_schema_cache_asof = outdated
    return cursor


_KNOWN: dict[tuple[Executable, tuple[str, ...], str], Prepared] = {}
"""By statement, the parameters that are given, and the kind of database. All connections to one kind take the same."""


def _prepare(connection: Connection, statement: Executable, given: Parameters) -> Prepared:
    key = (statement, tuple(given), connection.dialect.name)
    known = _KNOWN.get(key)
    if known is None:
        known = _KNOWN[key] = _compiled(statement, key[1], connection.dialect)
    return known


def _compiled(statement: Executable, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    changing = bool(getattr(statement, "is_dml", False))
    compiled: SQLCompiler = statement.compile(  # type: ignore[attr-defined]
        dialect=dialect, column_keys=list(names) if changing else None, for_executemany=changing
    )
    if compiled.update_prefetch:
        raise ValueError(f"columns that change by themselves are not known here: {compiled.update_prefetch}")
    missing = compiled.params | {column.key: _default(column) for column in compiled.insert_prefetch}
    parameters = []
    for name in compiled.positiontup or ():
        bind = compiled.binds[name]
        parameters.append((name, REQUIRED if bind.required else missing[name], _to_driver(bind.type, dialect)))
    row = None if changing else _row(statement, dialect)
    return Prepared(sql=str(compiled), parameters=tuple(parameters), row=row)


def _default(column: Column[Any]) -> object:
    if column.default is None or not column.default.is_scalar:
        raise ValueError(f"the default of {column} differs from row to row: name the column")
    return column.default.arg  # type: ignore[attr-defined]


def _row(statement: Any, dialect: Dialect) -> Convert:
    """Makes a named tuple of a row; columns whose type needs it are converted."""
    columns = list(statement.selected_columns)
    named: Convert = _named(tuple(column.key for column in columns))._make  # type: ignore[attr-defined]
    types = [_from_driver(column.type, dialect) for column in columns]
    converted = [(place, convert) for place, convert in enumerate(types) if convert is not None]
    if not converted:
        return named

    def row(found: Sequence[Any]) -> Any:
        values = list(found)
        for place, convert in converted:
            values[place] = convert(values[place])
        return named(values)

    return row


@cache
def _named(columns: tuple[str, ...]) -> type:
    return namedtuple("Row", columns)


def _from_driver(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(kind, Float):
        return None  # a float already; SQLAlchemy's conversion asks for the driver's own name of the type
    if isinstance(kind, UTCDateTime) and dialect.name == "sqlite":
        return _time_of_text
    convert: Convert | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return convert


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(kind, UTCDateTime) and dialect.name == "sqlite":
        return _time_as_text
    convert: Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _time_as_text(at: datetime | None) -> str | None:
    """As SQLAlchemy writes times into SQLite, in a quarter of the time: an order has a dozen of them."""
    if at is None:
        return None
    if at.utcoffset() is None:
        raise ValueError(f"the time {at} has no time zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=8_192)
def _time_of_text(text: str | None) -> datetime | None:
    """The opposite of `_time_as_text`. Rows that were written together have the same times."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _raise(connection: Connection, prepared: Prepared, cursor: Any, error: BaseException) -> NoReturn:
    """Raises the error as `Connection.execute` would, by the same code of SQLAlchemy's, which has no public name.

    It gives up a connection that broke or was left in the midst of a statement, and when one broke, all that were
    opened before it: a server that was restarted has ended them all.
    """
    driver: Any = connection.dialect.loaded_dbapi
    if isinstance(error, _outdated(driver)):
        connection.dialect._invalidate_schema_cache()  # type: ignore[attr-defined]
    sql = prepared.sql if isinstance(error, driver.Error) else None
    connection._handle_dbapi_exception(error, sql, None, cursor, None)


def _outdated(driver: Any) -> tuple[type[BaseException], ...]:
    """What the driver raises for a statement prepared before the schema changed; SQLite's prepares it anew itself."""
    return tuple(
        getattr(driver, name)
        for name in ("InvalidCachedStatementError", "InternalServerError")
        if hasattr(driver, name)
    )
