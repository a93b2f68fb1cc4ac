"""`column IN (many values)` as one constant statement, so that neither database nor SQLAlchemy compiles it twice.

Statements with it are built once per dialect, by a cached function, and executed with `values`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ARRAY, BigInteger, Column, ColumnElement, Connection, Text, any_, bindparam, cast, func, select


def among(column: Column[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """A condition on `column` whose values are given at execution, by the parameter `name`; see `values`."""
    number = column.type.python_type is int
    if dialect == "postgresql":
        kind = ARRAY(BigInteger if number else Text)
        return column == any_(cast(bindparam(name, type_=kind), kind))
    listed = func.json_each(bindparam(name, type_=Text)).table_valued("value")
    return column.in_(select(listed.c.value))


def values(connection: Connection, wanted: Sequence[str] | Sequence[int]) -> object:
    """The parameter for `among`."""
    if connection.dialect.name == "postgresql":
        return list(wanted)
    return orjson.dumps(list(wanted)).decode()
