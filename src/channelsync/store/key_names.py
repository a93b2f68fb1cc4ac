"""What a channel calls its quantity keys: all that a read needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, select

from channelsync.store.among import among, values
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]


def names_of(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """By row id: (the channel's key, its remote location); an unknown one is left out."""
    rows = connection.execute(_select_names(connection.dialect.name), {"ids": values(connection, ids)})
    return {row.id: (row.key, row.remote) for row in rows}


@cache
def _select_names(dialect: str) -> Select[Any]:
    return select(_KEY.c.id, _KEY.c.key, _KEY.c.remote).where(among(_KEY.c.id, "ids", dialect))
