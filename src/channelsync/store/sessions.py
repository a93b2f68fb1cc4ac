"""A worker's sessions at PostgreSQL: known by its name, so that whoever takes its accounts over can end them."""

from __future__ import annotations

from sqlalchemy import Connection, text

_END = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = :session AND usename = current_user AND pid <> pg_backend_pid()"
)

_OTHERS = text(
    "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name LIKE 'channelsync _%' AND application_name <> current_setting('application_name')"
)


def session_of(worker: str) -> str:
    """What PostgreSQL calls the sessions of a process that holds leases as `worker`; empty: it holds none."""
    return f"channelsync {worker}".rstrip()


def end_sessions(connection: Connection, worker: str) -> None:
    """Ends the sessions of a worker whose time has passed: their transactions are undone, their locks are free.

    One that was stopped between two messages of a statement would keep its locks for ever: its session counts as
    busy, so no limit on idle ones ends it. Should it go on after all, it connects anew and finds its leases lost.
    Nothing on SQLite, where no two processes publish.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_END, {"session": session_of(worker)})


def other_workers(connection: Connection) -> list[str]:
    """The names of other processes of ours that are connected and may write; on SQLite none is known."""
    if connection.dialect.name != "postgresql":
        return []
    return sorted(name.removeprefix(session_of("")).strip() for name in connection.scalars(_OTHERS))
