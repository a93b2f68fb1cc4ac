"""Leases: who may write to one seller's account now, or serves a hook. The token grows with every holder and fences
the old one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from channelsync.store.sessions import end_sessions
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_LEASE = metadata.tables["lease"]
_HOOK = "hook "


class LeaseLost(Exception):
    """Another worker has taken the account over; what this one was about to send must not leave."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"{identity}: another worker has taken this account over; nothing was sent.")


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. token: larger than that of every holder before."""

    identity: str
    owner: str
    token: int


def database_now(connection: Connection, local: datetime) -> datetime:
    """The time that leases are measured by: the database's, so that workers with wrong clocks agree on it.

    On SQLite there is one machine and one publisher, whose own clock serves.
    """
    if connection.dialect.name != "postgresql":
        return local
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def hook_lease(hook: str) -> str:
    """The name of the lease of a hook, beside those of accounts."""
    return f"{_HOOK}{hook}"


def of_accounts() -> ColumnElement[bool]:
    """Which rows are those of accounts."""
    return ~_LEASE.c.identity.startswith(_HOOK, autoescape=True)


def take_lease(
    connection: Connection, identity: str, owner: str, local: datetime, lasts: timedelta, *, ends_sessions: bool = True
) -> Lease | None:
    """Takes or renews the lease of an account; None while another holds it.

    Whose lease has run out may be asleep inside a transaction, with this very row locked: its sessions are ended first,
    unless this lease is not worth that. On SQLite one that ends later than any could is of before the clock went back.
    """
    now = database_now(connection, local)
    connection.execute(
        insert_ignoring(_LEASE, connection.dialect.name),
        [{"identity": identity, "owner": "", "token": 0, "until": now}],
    )
    found = select(_LEASE).where(_LEASE.c.identity == identity)
    last = connection.execute(found).one()
    if ends_sessions and last.owner not in ("", owner) and last.until <= now:
        end_sessions(connection, last.owner)
    row = connection.execute(found.with_for_update()).one()
    mine = row.owner == owner and row.until > now
    of_the_future = connection.dialect.name == "sqlite" and row.until > now + lasts * 2
    if row.owner not in ("", owner) and row.until > now and not of_the_future:
        return None
    token = row.token if mine else row.token + 1
    connection.execute(
        update(_LEASE).where(_LEASE.c.identity == identity).values(owner=owner, token=token, until=now + lasts)
    )
    return Lease(identity, owner, token)


def check_lease(connection: Connection, lease: Lease, local: datetime) -> None:
    """Raises LeaseLost unless the lease is still held; the row stays locked until the transaction ends."""
    row = connection.execute(
        select(_LEASE).where(_LEASE.c.identity == lease.identity).with_for_update(read=True)
    ).first()
    if row is None or row.token != lease.token or row.until <= database_now(connection, local):
        raise LeaseLost(lease.identity)


def give_up_lease(connection: Connection, lease: Lease, local: datetime) -> None:
    """Ends the lease, so that another worker need not wait for it to run out."""
    connection.execute(
        update(_LEASE)
        .where(_LEASE.c.identity == lease.identity, _LEASE.c.token == lease.token)
        .values(owner="", until=database_now(connection, local))
    )


def live_owners(connection: Connection, local: datetime) -> list[str]:
    """The workers that hold an account now."""
    now = database_now(connection, local)
    held = select(_LEASE.c.owner).where(_LEASE.c.owner != "", _LEASE.c.until > now).distinct()
    return list(connection.scalars(held.order_by(_LEASE.c.owner)))


def holders(connection: Connection, local: datetime) -> dict[str, str]:
    """Who holds each account, by account; empty: it was given up. One whose lease ran out is left out; so are hooks."""
    now = database_now(connection, local)
    found = connection.execute(select(_LEASE.c.identity, _LEASE.c.owner, _LEASE.c.until).where(of_accounts()))
    return {row.identity: row.owner for row in found if not row.owner or row.until > now}


def end_all_leases(connection: Connection) -> None:
    """Ends every lease, of a database that nobody publishes from: its holders are those of another time."""
    connection.execute(update(_LEASE).values(owner=""))
