import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from sqlalchemy import Connection, Inspector, inspect, text

from channelsync.store import migrations
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import SchemaTooNew, SchemaTooOld
from channelsync.store.migrations import __main__ as writing
from channelsync.store.migrations import check_schema, current, differences, downgrade, upgrade
from channelsync.store.tables import metadata

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    async with open_database(empty_url) as database:
        yield database


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a later version, which adds a column."""
    folder = tmp_path / "later"
    shutil.copytree(migrations.FOLDER, folder)
    (newest,) = [path.stem for path in sorted((folder / "versions").glob("0*.py"))[-1:]]
    (folder / "versions" / "9999_later.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = '{newest[:4]}'\n"
        "def upgrade():\n    op.add_column('lease', sa.Column('note', sa.Text()))\n"
        "def downgrade():\n    op.drop_column('lease', 'note')\n"
    )
    return folder


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def everything(connection: Connection) -> dict[str, Any]:
    """All that the database itself knows of its tables, in no particular order."""
    inspector = inspect(connection)
    return {table: shape(inspector, table) for table in inspector.get_table_names() if table != "alembic_version"}


def shape(inspector: Inspector, table: str) -> dict[str, Any]:
    checks = inspector.get_check_constraints(table)
    indexes = inspector.get_indexes(table)
    return {
        "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)},
        "key": inspector.get_pk_constraint(table),
        "points to": sorted(str(key) for key in inspector.get_foreign_keys(table)),
        "unique": sorted(str(unique) for unique in inspector.get_unique_constraints(table)),
        "checks": sorted((str(c["name"]), re.sub(r"\s+", " ", c["sqltext"])) for c in checks),
        "indexes": sorted((str(i["name"]), str(i["column_names"]), bool(i["unique"]), where(i)) for i in indexes),
    }


def where(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


async def test_upgrading_leaves_no_difference_and_downgrading_leaves_nothing(empty: Database) -> None:
    await upgrade(empty)
    await check_schema(empty)
    assert await differences(empty) == []
    assert await empty.query(tables) == set(metadata.tables) | {"alembic_version"}
    await downgrade(empty, "base")
    assert await empty.query(tables) == {"alembic_version"}
    assert await current(empty) is None


async def test_the_migrations_make_the_very_tables_of_the_code_checks_and_partial_indexes_too(empty: Database) -> None:
    await upgrade(empty)
    migrated = await empty.query(everything)
    await downgrade(empty, "base")
    await empty.transact(metadata.create_all)
    assert migrated == await empty.query(everything)


async def test_upgrading_again_changes_nothing(empty: Database) -> None:
    await upgrade(empty)
    before = await empty.query(everything)
    await upgrade(empty)
    assert await empty.query(everything) == before


async def test_two_that_upgrade_at_once_do_it_one_after_the_other(empty: Database, empty_url: str) -> None:
    async with open_database(empty_url) as other:
        await asyncio.gather(upgrade(empty), upgrade(other))
    await check_schema(empty)


async def test_an_empty_database_is_too_old_and_the_command_is_named(empty: Database) -> None:
    with pytest.raises(SchemaTooOld, match=r"run `channelsync db upgrade`.*is at revision none, the code at 0"):
        await check_schema(empty)


@pytest.mark.fault(58, "a newer schema is refused and left alone")
async def test_a_database_of_a_later_version_is_refused_and_left_alone(database: Database, later: Path) -> None:
    await upgrade(database, folder=later)
    before = await database.query(everything)
    for use in (check_schema(database), upgrade(database), downgrade(database, "base")):
        with pytest.raises(SchemaTooNew, match="is at revision 9999, of which this version knows 0"):
            await use
    assert await database.query(everything) == before
    await downgrade(database, "-1", folder=later)
    with pytest.raises(SchemaTooOld, match="is at revision 0"):
        await check_schema(database, folder=later)
    await check_schema(database)


@pytest.mark.fault(58, "all or nothing")
async def test_a_migration_that_fails_half_way_changes_nothing(database: Database, later: Path) -> None:
    path = later / "versions" / "9999_later.py"
    path.write_text(path.read_text().replace("sa.Text()))\n", "sa.Text()))\n    raise LookupError\n", 1))
    before = await database.query(everything)
    with pytest.raises(LookupError):
        await upgrade(database, folder=later)
    assert await database.query(everything) == before
    await check_schema(database)


async def test_a_table_that_is_rebuilt_on_sqlite_keeps_the_rows_that_point_to_it(
    sqlite_database: Database, later: Path
) -> None:
    path = later / "versions" / "9999_later.py"
    path.write_text(
        path.read_text().replace(
            "op.add_column('lease', sa.Column('note', sa.Text()))",
            "with op.batch_alter_table('item', recreate='always') as item:\n"
            "        item.add_column(sa.Column('note', sa.Text()))",
        )
    )
    await sqlite_database.transact(
        lambda c: [
            c.execute(
                text("INSERT INTO item (id, sku, title, sku_class, created_at) VALUES ('1', 'MUG', '', '', 'x')")
            ),
            c.execute(text("INSERT INTO item_alias (sku, item, run) VALUES ('CUP', '1', 'r')")),
        ]
    )
    await upgrade(sqlite_database, folder=later)
    assert await sqlite_database.query(lambda c: c.execute(text("SELECT item FROM item_alias")).scalars().all()) == [
        "1"
    ]


async def test_a_change_of_the_tables_is_written_as_the_next_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder)
    for path in (folder / "versions").glob("*.py"):
        path.unlink()
    first = await writing.write("first", folder)
    assert first.name == "0001_first.py"
    assert "op.batch_alter_table" in first.read_text()
    assert "please adjust" not in first.read_text()
    second = await writing.write("nothing new", folder)
    assert second.name == "0002_nothing_new.py"
    assert 'down_revision: str | None = "0001"' in second.read_text()


def test_the_wheel_carries_the_migrations(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    carried = tmp_path / "unpacked" / "channelsync" / "store" / "migrations"
    names = {str(path.relative_to(migrations.FOLDER)) for path in migrations.FOLDER.rglob("*") if path.is_file()}
    wanted = {name for name in names if "__pycache__" not in name}
    assert {"env.py", "script.py.mako"} < wanted
    assert wanted <= {str(path.relative_to(carried)) for path in carried.rglob("*")}
