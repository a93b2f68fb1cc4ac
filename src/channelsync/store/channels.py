"""What lasts about each configured channel: whose account it is, how far its orders were read, its switches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from channelsync.store.prepared import fetch, run
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_CHANNEL = metadata.tables["channel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """A channel's row. identity: empty until the channel was checked once.

    cursor: where the order poll goes on; None: from the beginning. covered_to: orders that the channel had made
    visible up to then are booked; None: never read. orders_failed: why the last poll failed; empty: it did not.
    unreadable_since: since when its numbers cannot be read or written; None: they can. unreadable_why: what kept them
    from it then.
    stop: "" | "raises" | "all". zeroed: holiday, everything shows 0. mode: "" as configured, else an override.
    connected_at: when its account was last connected, or found well again after the seller had to act: what a process
    learned of failures before does not count any more, and whoever has the channel open opens it anew.
    catch_up_since: when the database was restored, and its orders were not read completely since; None: they were.
    reviewed: a digest of the configuration whose targets were last compared with what it shows; empty: none was.
    """

    name: str
    identity: str
    cursor: str | None
    covered_to: datetime | None
    orders_asked_at: datetime | None
    orders_failed: str
    unreadable_since: datetime | None
    stop: str
    zeroed: bool
    mode: str
    connected_at: datetime | None
    catch_up_since: datetime | None = None
    reviewed: str = ""
    unreadable_why: str = ""
    budgets: bytes
    breaker: bytes

    @property
    def unreadable(self) -> str:
        """That its numbers cannot be read or written, since when and why, to go on after "numbers"; empty: they can."""
        if self.unreadable_since is None:
            return ""
        why = f": {self.unreadable_why}" if self.unreadable_why else ""
        return f"cannot be read or written since {self.unreadable_since:%Y-%m-%d %H:%M} UTC{why}"


def channel_state(connection: Connection, name: str) -> ChannelState:
    """A channel's row; made when it is missing."""
    found = fetch(connection, _select_one(), {"name": name})
    if not found:
        run(connection, insert_ignoring(_CHANNEL, connection.dialect.name), [{"name": name, **_EMPTY}])
        found = fetch(connection, _select_one(), {"name": name})
    return ChannelState(**found[0]._asdict())


@cache
def _select_one() -> Select[Any]:
    return select(_CHANNEL).where(_CHANNEL.c.name == bindparam("name"))


def of_one_account(connection: Connection, name: str) -> tuple[str, ...]:
    """All channels that have this one's identity, its own name among them, sorted; itself alone while it is unknown."""
    return tuple(row.name for row in fetch(connection, _select_account(), {"name": name})) or (name,)


@cache
def _select_account() -> Select[Any]:
    other = _CHANNEL.alias("other")
    return (
        select(other.c.name)
        .join_from(_CHANNEL, other, other.c.identity == _CHANNEL.c.identity)
        .where(_CHANNEL.c.name == bindparam("name"), _CHANNEL.c.identity != "")
        .order_by(other.c.name)
    )


def channel_states(connection: Connection) -> dict[str, ChannelState]:
    """All rows, by name."""
    return {row.name: ChannelState(**row._asdict()) for row in fetch(connection, _select_all(), {})}


@cache
def _select_all() -> Select[Any]:
    return select(_CHANNEL).order_by(_CHANNEL.c.name)


def save_channel(connection: Connection, name: str, **fields: object) -> None:
    """Writes single columns of a channel's row, which is made when it is missing."""
    run(connection, insert_ignoring(_CHANNEL, connection.dialect.name), [{"name": name, **_EMPTY}])
    update_rows(connection, _CHANNEL, ("name",), [((name,), fields)])


def zeroed(connection: Connection) -> frozenset[str]:
    """The channels on holiday: they show 0 for everything."""
    return frozenset(row.name for row in fetch(connection, _select_zeroed(), {}))


@cache
def _select_zeroed() -> Select[Any]:
    return select(_CHANNEL.c.name).where(_CHANNEL.c.zeroed.is_(True))


_EMPTY: dict[str, object] = {
    "identity": "",
    "cursor": None,
    "covered_to": None,
    "orders_asked_at": None,
    "orders_failed": "",
    "unreadable_since": None,
    "unreadable_why": "",
    "stop": "",
    "zeroed": False,
    "mode": "",
    "connected_at": None,
    "catch_up_since": None,
    "reviewed": "",
    "budgets": b"",
    "breaker": b"",
}
