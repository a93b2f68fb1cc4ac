"""Databases of released versions, with rows in every table, brought to this one."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.store import ledger, migrations, orders_view, proof
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import SchemaTooNew
from channelsync.store.items import items_by_sku
from channelsync.store.migrations import check_schema, current, differences, upgrade
from channelsync.sync.verify import verify

RELEASED = sorted(path.stem for path in (Path(__file__).parent / "schemas").glob("*.sql"))
DROPPED = {"webhook"}
"""Tables that a later version has no more, with their rows: no released version wrote any into them."""

LoadReleased = Callable[[Database, str], Awaitable[None]]


def rows(connection: Connection) -> dict[str, int]:
    names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}


def kept(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name not in DROPPED}


def receive_one(connection: Connection) -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    mug = items_by_sku(connection, ["MUG"])["MUG"].id
    movement = Movement(
        id=entry_id("test"),
        position=PositionKey(mug, "main"),
        kind=EntryKind.RECEIPT,
        on_hand=1,
        at=now,
        cause=Cause(actor="user:test", run="r-test", reason="a box arrived"),
    )
    ledger.write(connection, [movement], ledger.lock_positions(connection, [mug]), now)


def test_every_revision_but_the_newest_is_that_of_a_released_version() -> None:
    written = sorted(path.name[:4] for path in (migrations.FOLDER / "versions").glob("0*.py"))
    assert RELEASED[: len(written) - 1] == written[:-1] or written == RELEASED


@pytest.mark.parametrize("revision", RELEASED)
async def test_a_released_database_has_rows_in_every_table_and_keeps_them_all_when_it_is_upgraded(
    empty_url: str, load_released: LoadReleased, revision: str
) -> None:
    async with open_database(empty_url) as database:
        await load_released(database, revision)
        before = await database.query(rows)
        assert set(before) == set(migrations.tables_at(revision))
        assert [name for name, count in before.items() if not count] == []
        await upgrade(database)
        await check_schema(database)
        assert await differences(database) == []
        after = await database.query(rows)
        assert kept({name: after.get(name, 0) for name in before}) == kept(before)


@pytest.mark.parametrize("revision", RELEASED)
async def test_the_ledger_of_a_released_database_is_proven_after_the_upgrade_and_goes_on(
    empty_url: str, load_released: LoadReleased, revision: str
) -> None:
    async with open_database(empty_url) as database:
        await load_released(database, revision)
        await upgrade(database)
        proven = await database.query(verify, snapshot=True)
        assert (proven.problems, proven.entries > 20, proven.orders > 3) == ([], True, True)
        await database.transact(receive_one)
        again = await database.query(verify, snapshot=True)
        assert (again.problems, again.entries) == ([], proven.entries + 1)
        assert sum(one.on_hand for one in (await database.query(proof.all_positions)).values()) > 0


@pytest.mark.parametrize("revision", RELEASED)
async def test_the_orders_of_a_released_database_are_read_as_they_were_told(
    empty_url: str, load_released: LoadReleased, revision: str
) -> None:
    async with open_database(empty_url) as database:
        await load_released(database, revision)
        await upgrade(database)
        found = await database.query(lambda c: orders_view.orders_after(c, orders_view.OrdersWanted(), ("", ""), 100))
        assert len(found) > 3
        assert [one.said.content for one in found] == [one.booked.content for one in found]


def failing(folder: Path, newest: str) -> None:
    """Lets the newest migration break off after it has changed and added things."""
    (path,) = (folder / "versions").glob(f"{newest}_*.py")
    source = path.read_text()
    head, _, tail = source.partition("\n\n\ndef downgrade()")
    path.write_text(f"{head}\n    raise LookupError\n\n\ndef downgrade(){tail}")


@pytest.mark.fault(58, "the old schema stays whole, and the same command finishes it")
@pytest.mark.parametrize("revision", RELEASED)
async def test_an_upgrade_that_breaks_off_leaves_a_released_database_whole_and_is_simply_run_again(
    empty_url: str, load_released: LoadReleased, tmp_path: Path, revision: str
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder)
    newest = max(path.name[:4] for path in (folder / "versions").glob("0*.py"))
    if newest == revision:
        pytest.skip("nothing comes after the newest revision")
    failing(folder, newest)
    async with open_database(empty_url) as database:
        await load_released(database, revision)
        before = await database.query(rows)
        with pytest.raises(LookupError):
            await upgrade(database, folder=folder)
        assert await current(database) == revision
        assert await database.query(rows) == before
        assert (await database.query(lambda c: set(inspect(c).get_table_names()))) == {*before, "alembic_version"}
        await upgrade(database)
        await check_schema(database)
        assert (await database.query(verify, snapshot=True)).problems == []


async def test_two_versions_that_start_at_once_on_a_released_database_upgrade_it_once(
    empty_url: str, load_released: LoadReleased
) -> None:
    async with open_database(empty_url) as database, open_database(empty_url) as other:
        await load_released(database, RELEASED[0])
        await asyncio.gather(upgrade(database), upgrade(other))
        assert (await other.query(verify, snapshot=True)).problems == []


async def test_a_database_of_a_later_version_is_refused_with_all_that_is_in_it(
    empty_url: str, load_released: LoadReleased
) -> None:
    async with open_database(empty_url) as database:
        await load_released(database, RELEASED[0])
        await database.transact(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
        before: Any = await database.query(rows)
        for refused in (check_schema(database), upgrade(database)):
            with pytest.raises(SchemaTooNew, match="9999"):
                await refused
        assert await database.query(rows) == before
