"""INSERT ... ON CONFLICT for both databases; unchanged rows write nothing.

`dialect` is `connection.dialect.name`. Statements are built once for each set of arguments, so they may be asked
for on a hot path. Execute them with a list of rows that name the same columns each.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table, or_, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert


def upsert(
    table: Table,
    dialect: str,
    *,
    keys: Sequence[str],
    update: Sequence[str] = (),
    add: Sequence[str] = (),
    unique_where: str = "",
) -> Insert:
    """Inserts rows; one that is there already, by the unique columns `keys`, is changed where it differs.

    update: columns that get the row's value. add: columns to whose number the row's is added. unique_where: the
    condition of the index that makes `keys` unique; empty: it has none. A row that would change nothing writes
    nothing, not even a dead version in PostgreSQL.
    """
    return _upsert(table, dialect, tuple(keys), tuple(update), tuple(add), unique_where)


@cache
def insert(table: Table, dialect: str) -> Insert:
    """Inserts rows; one that any unique constraint of the table forbids is an IntegrityError."""
    statement: Insert = _insert(table, dialect)
    return statement


@cache
def insert_ignoring(table: Table, dialect: str) -> Insert:
    """Inserts rows and leaves out those that any unique constraint of the table forbids."""
    statement: Insert = _insert(table, dialect).on_conflict_do_nothing()
    return statement


@cache
def _upsert(
    table: Table,
    dialect: str,
    keys: tuple[str, ...],
    update: tuple[str, ...],
    add: tuple[str, ...],
    unique_where: str,
) -> Insert:
    statement = _insert(table, dialect)
    excluded = statement.excluded
    changes = {name: excluded[name] for name in update} | {name: table.c[name] + excluded[name] for name in add}
    differs = or_(
        *(table.c[name].is_distinct_from(excluded[name]) for name in update), *(excluded[name] != 0 for name in add)
    )
    among = text(unique_where) if unique_where else None
    changing: Insert = statement.on_conflict_do_update(
        index_elements=list(keys), index_where=among, set_=changes, where=differs
    )
    return changing


def _insert(table: Table, dialect: str) -> Any:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
