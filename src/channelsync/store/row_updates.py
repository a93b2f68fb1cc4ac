"""Updating many rows, each in columns of its own, with few statements that are built once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from sqlalchemy import Connection, Table, Update, bindparam, update

from channelsync.store.prepared import run

Key = tuple[object, ...]


def update_rows(
    connection: Connection, table: Table, keys: tuple[str, ...], changes: Iterable[tuple[Key, Mapping[str, object]]]
) -> None:
    """Writes columns of rows that are there. keys: the columns that find a row; changes: (their values, the columns).

    Rows that change the same columns go in one statement; rows are written in the order of their keys.
    """
    grouped: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for key, fields in sorted(changes, key=lambda change: change[0]):
        if fields:
            row = {f"k_{name}": value for name, value in zip(keys, key, strict=True)}
            row |= {f"v_{name}": value for name, value in fields.items()}
            grouped.setdefault(tuple(sorted(fields)), []).append(row)
    for columns, rows in sorted(grouped.items()):
        run(connection, _statement(table, keys, columns), rows)


@cache
def _statement(table: Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> Update:
    found = [table.c[name] == bindparam(f"k_{name}") for name in keys]
    return update(table).where(*found).values({name: bindparam(f"v_{name}") for name in columns})
