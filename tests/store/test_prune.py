"""What is old and not needed goes, in small steps; what anything still needs stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from channelsync.store import prune
from channelsync.store.database import Database
from channelsync.store.tables import metadata

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=100), NOW - timedelta(days=1)
BEFORE = NOW - timedelta(days=90)


def add(connection: Connection, table: str, *rows: dict[str, Any]) -> None:
    for row in rows:
        connection.execute(metadata.tables[table].insert().values(**row))


def key(number: int, **fields: Any) -> dict[str, Any]:
    named = {"id": number, "identity": "shop", "key": f"K{number}", "channel": "shop", "listing": f"L{number}"}
    defaults = {"remote": "", "page": "", "multiple": 1, "ours": True, "sells_below_zero": False, "verified": True}
    zeroes = dict.fromkeys(("generation", "confirmed", "rise", "repairs", "channel_held", "failures"), 0)
    return named | defaults | zeroes | {"held": "", "urgency": 1, "read_wanted": False, "hot": False} | fields


def read(name: str, number: int, at: datetime) -> dict[str, Any]:
    times = {"asked_at": at, "answered_at": at}
    return {"id": name, "key": number, "value": 1, "meaning": "as expected", "units": 0, "low": 0, "high": 0} | times


def write(number: int, generation: int, at: datetime, **fields: Any) -> dict[str, Any]:
    said = {"key": number, "generation": generation, "value": 1, "run": "r", "sent_at": at, "closed_at": at}
    return said | {"outcome": "accepted", "reason": "", "why": b""} | fields


async def left(database: Database, table: str, *columns: str) -> list[tuple[Any, ...]]:
    rows = await database.query(
        lambda c: c.execute(text(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2")).all()
    )
    return [tuple(row) for row in rows]


@pytest.fixture
async def keys(database: Database) -> None:
    await database.transact(lambda c: add(c, "quantity_key", key(1, confirmed=3, generation=4), key(2, confirmed=9)))


@pytest.mark.usefixtures("keys")
async def test_of_every_key_the_newest_old_read_stays_which_tells_what_held_since(database: Database) -> None:
    rows = [read("a", 1, OLD), read("b", 1, OLD + timedelta(hours=1)), read("c", 2, OLD), read("d", 2, YOUNG)]
    await database.transact(lambda c: add(c, "quantity_read", *rows))
    gone = await database.transact(lambda c: prune.prune_history(c, "quantity_read", [1, 2], BEFORE))
    assert gone == 1
    assert await left(database, "quantity_read", "id", "key") == [("b", 1), ("c", 2), ("d", 2)]


@pytest.mark.usefixtures("keys")
async def test_only_keys_that_were_named_are_touched(database: Database) -> None:
    rows = [read("c", 2, OLD), read("d", 2, OLD + timedelta(hours=1))]
    await database.transact(lambda c: add(c, "quantity_read", *rows))
    assert await database.transact(lambda c: prune.prune_history(c, "quantity_read", [1], BEFORE)) == 0


@pytest.mark.usefixtures("keys")
async def test_writes_stay_that_are_open_newest_young_or_not_confirmed(database: Database) -> None:
    rows = [
        write(1, 1, OLD),
        write(1, 2, OLD, closed_at=None, outcome="unknown"),
        write(1, 3, OLD),
        write(1, 4, OLD),
        write(2, 6, OLD),
        write(2, 7, OLD),
        write(2, 8, YOUNG),
    ]
    await database.transact(lambda c: add(c, "quantity_write", *rows))
    gone = await database.transact(lambda c: prune.prune_history(c, "quantity_write", [1, 2], BEFORE))
    assert gone == 2
    assert await left(database, "quantity_write", "key", "generation") == [(1, 2), (1, 3), (1, 4), (2, 7), (2, 8)]


@pytest.mark.usefixtures("keys")
async def test_of_predictions_the_one_that_held_last_stays(database: Database) -> None:
    times = {"a": OLD, "b": OLD + timedelta(hours=1), "c": YOUNG}
    rows = [{"id": n, "key": 1, "channel": "shop", "target": 1, "at": at, "why": b""} for n, at in times.items()]
    await database.transact(lambda c: add(c, "prediction", *rows))
    await database.transact(lambda c: prune.prune_history(c, "prediction", [1], BEFORE))
    assert await left(database, "prediction", "id", "key") == [("b", 1), ("c", 1)]


@pytest.mark.usefixtures("keys")
async def test_what_has_ended_goes_and_what_is_open_stays(database: Database) -> None:
    def effect(name: str, settled: str, at: datetime | None) -> dict[str, Any]:
        times = {"earliest": OLD, "latest": OLD, "booked_at": OLD, "settled_at": at}
        return {"id": name, "key": 1, "channel": "shop", "order": "o", "delta": -1, "settled": settled} | times

    def provisional(name: str, units: int, at: datetime | None) -> dict[str, Any]:
        times = {"window_from": OLD, "window_to": OLD, "found_at": OLD, "closed_at": at}
        rest = {"key": 1, "channel": "shop", "location": "main", "takes": b"", "units": 2, "open": units}
        return {"id": name, **rest, "plausible": 1, "named": False, "closed_by": "", **times}

    def finding(name: str, at: datetime | None) -> dict[str, Any]:
        rest = {"kind": "drift", "channel": "", "item": "", "summary": "", "evidence": b"{}", "closed_why": ""}
        return {"fingerprint": name, "opened_at": OLD, "closed_at": at, **rest}

    def unit(connection: Connection) -> None:
        settled = [
            effect("a", "in W", OLD),
            effect("b", "in W", YOUNG),
            effect("c", "", None),
            effect("d", "shown", OLD),
        ]
        add(connection, "effect", *settled)
        add(connection, "provisional", provisional("a", 0, OLD), provisional("b", 1, None), provisional("c", 0, YOUNG))
        add(connection, "finding", finding("a", OLD), finding("b", None), finding("c", YOUNG))

    await database.transact(unit)
    for table in prune.ENDED:
        assert await database.transact(lambda c, table=table: prune.prune_ended(c, table, BEFORE)) == 1  # type: ignore[misc]
        assert await database.transact(lambda c, table=table: prune.prune_ended(c, table, BEFORE)) == 0  # type: ignore[misc]
    assert [row[0] for row in await left(database, "effect", "id", "key")] == ["b", "c", "d"]
    assert [row[0] for row in await left(database, "provisional", "id", "key")] == ["b", "c"]
    assert [row[0] for row in await left(database, "finding", "fingerprint", "id")] == ["b", "c"]


async def test_bodies_of_unreadable_orders_go_and_that_they_came_stays(database: Database) -> None:
    def order(name: str, at: datetime) -> dict[str, Any]:
        return {"channel": "shop", "order": name, "reason": "no lines", "raw": "{}", "seen_at": at}

    await database.transact(lambda c: add(c, "unreadable_order", order("a", OLD), order("b", YOUNG)))
    assert await database.transact(lambda c: prune.forget_bodies(c, BEFORE)) == 1
    assert await left(database, "unreadable_order", "reason", "raw") == [("no lines", ""), ("no lines", "{}")]


async def test_keys_come_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "KEYS_AT_ONCE", 2)
    await database.transact(lambda c: add(c, "quantity_key", *(key(number) for number in range(1, 6))))
    pages, after = [], 0
    while page := await database.query(lambda c, after=after: prune.keys_after(c, after)):  # type: ignore[misc]
        pages.append(page)
        after = page[-1]
    assert pages == [[1, 2], [3, 4], [5]]


async def test_sqlites_log_is_emptied(sqlite_database: Database) -> None:
    await sqlite_database.transact(lambda c: add(c, "quantity_key", key(1)))
    log = sqlite_database.path.with_name(f"{sqlite_database.path.name}-wal")  # type: ignore[attr-defined]
    assert log.stat().st_size > 0
    await sqlite_database.transact(prune.tidy)
    assert await sqlite_database.query(prune.shorten_log)
    assert log.stat().st_size == 0
