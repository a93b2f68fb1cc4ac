"""Backups: the same positions, the same proof, on both databases and from each into the other."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from channelsync.store import backup as rows_of
from channelsync.store import migrations
from channelsync.store.archive import BackupDamaged, BackupRefused, open_archive
from channelsync.store.channels import channel_states
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import SchemaTooNew, SchemaTooOld
from channelsync.store.migrations import check_schema, upgrade
from channelsync.store.tables import metadata
from channelsync.sync import backup
from channelsync.sync.backup import Restoring, create_backup, restore_backup, verify_backup
from channelsync.sync.verify import verify

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
MADE = NOW - timedelta(days=1)
CHANGED_BY_A_RESTORE = {"run", "lease", "daemon"}
LoadReleased = Callable[[Database, str], Awaitable[None]]
KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture
def how(tmp_path: Path) -> Restoring:
    return Restoring(replace=False, safety=tmp_path / "safety.zip", version="9.9", run="r-restore", actor="user:test")


@pytest.fixture
def unmarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is restored is not told to catch up: every row is as it was."""
    monkeypatch.setattr(backup, "mark_restored", lambda _connection, _now: [])


@pytest.fixture(params=KINDS)
def source_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture(params=KINDS)
def target_url(request: pytest.FixtureRequest) -> str:
    """A database of its own, with the tables of this version and nothing in them."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def backed_up(empty_sqlite_url: str, load_released: LoadReleased, tmp_path: Path) -> Path:
    """A backup of a SQLite database with rows in every table."""
    async with open_database(empty_sqlite_url) as database:
        await load_released(database, "0001")
        await upgrade(database)
        await create_backup(database, tmp_path / "made.zip", version="9.9", now=MADE)
    return tmp_path / "made.zip"


def content(connection: Connection) -> dict[str, list[Any]]:
    """Every row of every table; times with their zone."""
    found: dict[str, list[Any]] = {}
    for table in metadata.sorted_tables:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
        if table.name not in CHANGED_BY_A_RESTORE:
            found[table.name] = sorted(map(repr, (sorted(row.items()) for row in rows)))
    return found


def count(connection: Connection, table: str) -> int:
    return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


@pytest.mark.usefixtures("unmarked")
async def test_a_restored_database_holds_every_row_whichever_database_it_came_from_and_whichever_it_goes_to(
    source_url: str, target_url: str, load_released: LoadReleased, how: Restoring, tmp_path: Path
) -> None:
    async with open_database(source_url) as source:
        await load_released(source, "0001")
        await upgrade(source)
        created = await create_backup(source, tmp_path / "made.zip", version="9.9", now=MADE)
        theirs, proof = await source.query(content), await source.query(verify, snapshot=True)
    assert created.manifest.database == source.dialect
    async with open_database(target_url) as target:
        restored = await restore_backup(target, created.path, how, now=NOW)
        assert (restored.safety, restored.manifest) == (None, created.manifest)
        await check_schema(target)
        assert await target.query(content) == theirs
        again = await target.query(verify, snapshot=True)
        assert (again.problems, again) == ([], proof)
        assert again.entries == created.manifest.ledger.entries > 20


@pytest.mark.usefixtures("unmarked")
async def test_a_backup_of_an_older_version_is_restored_and_brought_to_this_one(
    empty_url: str, target_url: str, load_released: LoadReleased, how: Restoring, tmp_path: Path
) -> None:
    async with open_database(empty_url) as source:
        await load_released(source, "0001")
        created = await create_backup(source, tmp_path / "made.zip", version="0.1.0", now=MADE)
        assert created.manifest.revision == "0001"
        await upgrade(source)
        theirs = await source.query(content)
    async with open_database(target_url) as target:
        await restore_backup(target, created.path, how, now=NOW)
        await check_schema(target)
        assert await target.query(content) == theirs


async def test_rows_that_are_added_after_a_restore_get_numbers_that_no_row_has(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    change = metadata.tables["change"]
    row = {"run": "r-restore", "kind": "k", "subject": "s", "before": b"", "after": b"", "at": NOW}
    highest = await database.query(lambda c: c.execute(select(func.max(change.c.id))).scalar_one())
    await database.transact(lambda c: c.execute(change.insert(), [row]))
    assert await database.query(lambda c: c.execute(select(func.max(change.c.id))).scalar_one()) > highest


@pytest.mark.usefixtures("unmarked")
async def test_a_database_with_anything_in_it_is_not_replaced_unless_that_is_said(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    before = await database.query(content)
    with pytest.raises(BackupRefused, match=r"not empty .*--replace"):
        await restore_backup(database, backed_up, replace(how, run="r-again"), now=NOW)
    assert await database.query(content) == before
    assert not how.safety.exists()


@pytest.mark.usefixtures("unmarked")
async def test_what_a_restore_replaces_is_kept_in_a_backup_that_can_be_restored(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    item = {"id": "i-new", "sku": "NEW", "title": "", "barcode": None, "sku_class": "", "merged_into": None}
    insert = metadata.tables["item"].insert()
    await database.transact(lambda c: c.execute(insert, [{**item, "created_at": NOW}]))
    before = await database.query(content)
    restored = await restore_backup(database, backed_up, replace(how, replace=True, run="r-2"), now=NOW)
    assert restored.safety == how.safety
    assert (await database.query(content)) != before
    back = replace(how, replace=True, safety=how.safety.with_name("second.zip"), run="r-3")
    await restore_backup(database, how.safety, back, now=NOW)
    assert await database.query(content) == before


async def test_a_restore_that_fails_at_its_last_step_leaves_the_database_as_it_was(
    backed_up: Path, database: Database, how: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    before = await database.query(content)

    def broken(_connection: Connection, _now: datetime) -> None:
        raise LookupError

    monkeypatch.setattr(backup, "mark_restored", broken)
    with pytest.raises(LookupError):
        await restore_backup(database, backed_up, replace(how, replace=True, run="r-2"), now=NOW)
    assert await database.query(content) == before
    await check_schema(database)


async def test_a_restored_database_knows_that_it_must_catch_up_and_names_the_restore_among_its_runs(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    states = await database.query(channel_states)
    assert {name: one.catch_up_since for name, one in states.items()} == {"shop": NOW, "market": NOW}
    run = metadata.tables["run"]
    told = await database.query(lambda c: c.execute(select(run).where(run.c.id == "r-restore")).mappings().one())
    assert (told["command"], told["actor"], told["outcome"]) == ("backup restore", "user:test", "done")


async def test_a_token_that_was_renewed_since_the_backup_is_kept_and_a_revoked_one_stays_revoked(
    backed_up: Path, database: Database, how: Restoring, tmp_path: Path
) -> None:
    secret, token = metadata.tables["channel_secret"], metadata.tables["api_token"]
    api = {"name": "erp", "digest": "d", "scope": "read", "created_at": MADE, "expires_at": None, "last_used_at": None}
    await restore_backup(database, backed_up, how, now=NOW)
    await database.transact(lambda c: c.execute(token.insert(), [{**api, "revoked_at": None}]))
    await create_backup(database, tmp_path / "later.zip", version="9.9", now=MADE)
    renewed = {"sealed": b"renewed", "saved_at": NOW}
    await database.transact(lambda c: c.execute(secret.update().values(renewed)))
    await database.transact(lambda c: c.execute(token.update().values(revoked_at=NOW)))
    again = replace(how, replace=True, run="r-2")
    restored = await restore_backup(database, tmp_path / "later.zip", again, now=NOW)
    assert restored.secrets_kept == 1
    assert await database.query(lambda c: c.execute(select(secret.c.sealed)).scalar_one()) == b"renewed"
    assert await database.query(lambda c: c.execute(select(token.c.revoked_at)).scalar_one()) == NOW


async def test_leases_and_signs_of_life_of_the_time_of_the_backup_hold_nobody_up(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    await restore_backup(database, backed_up, how, now=NOW)
    lease = metadata.tables["lease"]
    assert await database.query(lambda c: c.execute(select(lease.c.owner, lease.c.token)).all()) == [("", 4)]
    assert await database.query(lambda c: count(c, "daemon")) == 0


@pytest.mark.postgresql
async def test_no_backup_is_restored_into_a_postgresql_database_that_a_daemon_works_on(
    backed_up: Path, postgresql_url: str, how: Restoring
) -> None:
    async with open_database(postgresql_url, worker="restorer") as database:
        async with open_database(postgresql_url, worker="daemon-7"):
            with pytest.raises(BackupRefused, match=r"1 processes .*daemon-7.*: stop them"):
                await restore_backup(database, backed_up, how, now=NOW)
        await restore_backup(database, backed_up, how, now=NOW)
        held = text("UPDATE lease SET owner = 'w', until = clock_timestamp() + interval '1 hour'")
        await database.transact(lambda c: c.execute(held))
        with pytest.raises(BackupRefused, match="leases"):
            await restore_backup(database, backed_up, replace(how, replace=True, run="r-2"), now=NOW)


async def test_only_its_owner_may_read_a_backup_and_an_existing_file_is_never_overwritten(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "one.zip"
    await create_backup(database, path, version="9.9", now=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(BackupRefused, match="there already"):
        await create_backup(database, path, version="9.9", now=NOW)
    assert (path.read_bytes(), [one.name for one in path.parent.iterdir()]) == (before, ["one.zip"])


async def test_a_backup_that_breaks_off_leaves_no_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows_of, "export", full)
    with pytest.raises(OSError, match="No space"):
        await create_backup(database, tmp_path / "folder" / "one.zip", version="9.9", now=NOW)
    assert list((tmp_path / "folder").iterdir()) == []


async def test_a_backup_is_of_one_moment_though_others_write_meanwhile(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = metadata.tables["item"]
    row = {"title": "", "barcode": None, "sku_class": "", "merged_into": None, "created_at": NOW}
    seen = rows_of.tables_of
    wrote: list[str] = []

    def while_it_reads(connection: Connection, revision: str) -> Any:
        tables = seen(connection, revision)
        connection.execute(select(item)).all()  # the snapshot is taken here at the latest
        import sqlite3

        if database.dialect == "sqlite":
            other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
            other.execute("INSERT INTO item VALUES ('i-9', 'LATE', '', NULL, '', NULL, '2026-11-23 03:00:00.000000')")
            other.close()
            wrote.append("LATE")
        return tables

    monkeypatch.setattr(rows_of, "tables_of", while_it_reads)
    await database.transact(lambda c: c.execute(item.insert(), [{**row, "id": "i-1", "sku": "EARLY"}]))
    created = await create_backup(database, tmp_path / "one.zip", version="9.9", now=NOW)
    told = {one.name: one.rows for one in created.manifest.tables}
    assert told["item"] == 1
    if wrote:
        assert await database.query(lambda c: count(c, "item")) == 2


def spoil(path: Path, harm: str) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes({"cut": content[:-200], "foreign": b"hello", "spoilt": content}[harm])


def rewritten(path: Path, member: str, content: bytes | None) -> Path:
    """The archive with another content of a member; None: without it."""
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
            elif content is not None:
                new.writestr(name, content)
    return changed


async def test_an_archive_whose_rows_were_changed_or_taken_out_is_no_backup(
    backed_up: Path, database: Database, how: Restoring
) -> None:
    with zipfile.ZipFile(backed_up) as archive:
        entries = archive.read("tables/ledger_entry.jsonl")
    half = entries[: len(entries) // 2].rpartition(b"\n")[0] + b"\n"
    for content in (entries.replace(b"main", b"mine", 1), half, None):
        path = rewritten(backed_up, "tables/ledger_entry.jsonl", content)
        with pytest.raises(BackupDamaged, match="ledger_entry"):
            await verify_backup(path)
        with pytest.raises(BackupDamaged, match="ledger_entry"):
            await restore_backup(database, path, how, now=NOW)
    assert await database.query(lambda c: count(c, "item")) == 0


@pytest.mark.parametrize("harm", ["cut", "foreign", "spoilt"])
async def test_a_file_that_was_cut_off_or_spoilt_or_never_was_a_backup_is_refused(
    backed_up: Path, sqlite_database: Database, how: Restoring, harm: str
) -> None:
    spoil(backed_up, harm)
    with pytest.raises(BackupDamaged):
        await restore_backup(sqlite_database, backed_up, how, now=NOW)
    assert await sqlite_database.query(lambda c: count(c, "item")) == 0


async def test_a_backup_of_a_later_version_is_refused(backed_up: Path, database: Database, how: Restoring) -> None:
    with open_archive(backed_up) as archive:
        later = archive.manifest.model_copy(update={"revision": "9999", "version": "12.0"})
    path = rewritten(backed_up, "manifest.json", later.model_dump_json().encode())
    with pytest.raises(SchemaTooNew, match=r"revision 9999, made by 12\.0"):
        await restore_backup(database, path, how, now=NOW)


async def test_verifying_proves_the_ledger_of_a_backup_and_names_what_does_not_add_up(
    empty_sqlite_url: str, load_released: LoadReleased, tmp_path: Path
) -> None:
    async with open_database(empty_sqlite_url) as database:
        await load_released(database, "0001")
        await create_backup(database, tmp_path / "sound.zip", version="9.9", now=MADE)
        wrong_is = "UPDATE position SET on_hand = on_hand + 1 WHERE location = 'main' AND item = "
        wrong = text(wrong_is + "(SELECT id FROM item WHERE sku = 'MUG')")
        await database.transact(lambda c: c.execute(wrong))
        await create_backup(database, tmp_path / "unsound.zip", version="9.9", now=MADE)
    sound = await verify_backup(tmp_path / "sound.zip")
    assert (sound.proof.problems, sound.manifest.revision) == ([], "0001")
    assert sound.revision == max(path.name[:4] for path in (migrations.FOLDER / "versions").glob("0*.py"))
    unsound = await verify_backup(tmp_path / "unsound.zip")
    assert [one.subject for one in unsound.proof.problems] == ["MUG at main"]


async def test_a_database_without_tables_cannot_be_backed_up(empty_url: str, tmp_path: Path) -> None:
    async with open_database(empty_url) as database:
        with pytest.raises(SchemaTooOld):
            await create_backup(database, tmp_path / "one.zip", version="9.9", now=NOW)
    assert not (tmp_path / "one.zip").exists()


async def test_a_backup_is_restored_into_a_database_without_tables(
    backed_up: Path, empty_postgresql_url: str, how: Restoring
) -> None:
    async with open_database(empty_postgresql_url) as database:
        restored = await restore_backup(database, backed_up, how, now=NOW)
        assert restored.safety is None
        await check_schema(database)


def test_names_of_backups_sort_by_their_time() -> None:
    names = [backup.file_name(NOW + timedelta(seconds=step * 3600 * 7)) for step in range(9)]
    assert names == sorted(names)
    assert names[0] == "channelsync-20261123-030000.zip"
