"""Every table, one class a row kind.

Table classes do not validate (that is SQLModel's rule), so what must never be is forbidden here by CHECK and UNIQUE
constraints. Hot paths use `Table` objects in SQLAlchemy Core; the classes exist for names, types and migrations.
Times are aware UTC. JSON columns hold the plain forms that `store/codec.py` writes and reads.
"""

from channelsync.store.tables import (
    api,
    channels,
    daemons,
    feeds,
    guard,
    inbox,
    orders,
    outgoing,
    publishing,
    records,
    schedule,
    secrets,
    units,
)
from channelsync.store.tables.base import metadata

__all__ = [
    "api",
    "channels",
    "daemons",
    "feeds",
    "guard",
    "inbox",
    "metadata",
    "orders",
    "outgoing",
    "publishing",
    "records",
    "schedule",
    "secrets",
    "units",
]
