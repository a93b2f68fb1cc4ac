"""`channelsync backup`, as the seller uses it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channelsync.runtime.config import load
from channelsync.runtime.daemon import run_daemon
from channelsync.sdk.clock import SystemClock
from channelsync.store.database_errors import DatabaseDamaged
from channelsync.store.publisher_lock import single_publisher_lock

OpenShops = Callable[..., Any]


def a_day(seller: Any) -> None:
    """Two SKUs on both shops, an order of each kind, and what it did is pushed."""
    mug = seller.sells("MUG", 7)
    seller.sells("TRAY", 3, channel="market")
    assert seller.runs("orders", "book", "WEB-1", "MUG=2").code == 0
    shop = seller.shops["shop"]
    shop.buy((shop.items[mug], 1))
    assert seller.runs("reconcile").code == 0


def said(seller: Any) -> list[Any]:
    """What the seller is told of every number: positions, reservations, the proof, and why each number is shown."""
    told = [seller.runs(*line, "--json").out for line in (("stock", "list"), ("orders", "list"), ("verify",))]
    for sku, channel in (("MUG", "shop"), ("TRAY", "market")):
        why = seller.runs("explain", sku, "--channel", channel, "--json")
        assert why.code == 0, why.err
        told.append(why.out)
    return told


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def target_url(request: pytest.FixtureRequest) -> str:
    """Where the backup goes: a database without tables."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


def test_a_restored_backup_gives_the_same_positions_the_same_proof_and_the_same_explanations(
    open_shops: OpenShops, database_url: str, target_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "made.zip"
    seller = open_shops(url=database_url)
    a_day(seller)
    before = said(seller)
    made = seller.runs("backup", "create", str(path), "--json")
    assert (made.code, made.document["path"]) == (0, str(path))
    elsewhere = open_shops(url=target_url)
    done = elsewhere.runs("backup", "restore", str(path), "--json")
    assert done.code == 0, done.err
    after = said(elsewhere)
    assert after[:3] == before[:3]
    assert [numbers(one) for one in after[3:]] == [numbers(one) for one in before[3:]]
    assert elsewhere.runs("reconcile").code == 0
    assert [numbers(one) for one in said(elsewhere)[3:]] == [numbers(one) for one in before[3:]]


def numbers(explained: str) -> Any:
    """What an explanation says beside what the channel last showed, which a restored database has to learn anew."""
    found = json.loads(explained)
    kept = ("sku", "channel", "available", "target", "offer", "positions", "listing", "steps")
    return {name: found[name] for name in kept if name in found}


def test_a_backup_goes_into_the_configured_folder_under_the_time_of_its_making(
    shopkeeper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a_day(shopkeeper)
    with shopkeeper.config.open("a") as file:
        file.write('[backup]\nfolder = "kept"\n')
    made = shopkeeper.runs("backup", "create")
    (path,) = (tmp_path / "kept").iterdir()
    assert path.name.startswith("channelsync-2")
    assert (made.code, "Keep it on another machine" in made.err) == (0, True)
    (tmp_path / "other").mkdir()
    assert shopkeeper.runs("backup", "create", str(tmp_path / "other")).code == 0
    assert len(list((tmp_path / "other").iterdir())) == 1
    again = shopkeeper.runs("backup", "create", str(path))
    assert (again.code, "there already" in again.err) == (4, True)


def test_verifying_a_backup_needs_no_configuration_and_ends_with_1_when_it_is_not_whole(
    shopkeeper: Any, tmp_path: Path
) -> None:
    a_day(shopkeeper)
    path = tmp_path / "one.zip"
    assert shopkeeper.runs("backup", "create", str(path)).code == 0
    shopkeeper.config.unlink()
    proven = shopkeeper.runs("backup", "verify", str(path), "--json")
    assert (proven.code, proven.document["clean"]) == (0, True)
    assert "adds up" in shopkeeper.runs("backup", "verify", str(path)).err
    path.write_bytes(path.read_bytes()[:-50])
    assert shopkeeper.runs("backup", "verify", str(path)).code == 1


@pytest.mark.parametrize("command", ["verify", "restore"])
def test_a_backup_that_is_not_there_is_named(shopkeeper: Any, command: str) -> None:
    ran = shopkeeper.runs("backup", command, "nope.zip")

    assert ran.code != 0
    assert ran.err.startswith("error: There is no file nope.zip.")


def test_a_backup_is_restored_over_a_database_in_use_by_nobody_when_that_is_said_and_what_was_there_is_kept(
    shopkeeper: Any, tmp_path: Path
) -> None:
    a_day(shopkeeper)
    path = tmp_path / "one.zip"
    assert shopkeeper.runs("backup", "create", str(path)).code == 0
    before = shopkeeper.runs("stock", "list", "--json").out
    assert shopkeeper.runs("stock", "receive", "MUG", "5", "--location", "main").code == 0
    refused = shopkeeper.runs("backup", "restore", str(path))
    assert (refused.code, "--replace" in refused.err) == (4, True)
    with single_publisher_lock(tmp_path / "channelsync.db"):
        locked = shopkeeper.runs("backup", "restore", str(path), "--replace")
    assert (locked.code, "another process" in locked.err.lower()) == (7, True)
    done = shopkeeper.runs("backup", "restore", str(path), "--replace")
    assert (done.code, "before-restore-" in done.err) == (0, True)
    assert shopkeeper.runs("stock", "list", "--json").out == before
    (safety,) = tmp_path.glob("before-restore-*.zip")
    assert shopkeeper.runs("backup", "verify", str(safety)).code == 0


def spoil(path: Path) -> None:
    """Writes over pages in the midst of the file."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096 * 3)
        file.write(b"\xa5" * min(4096 * 12, size - 4096 * 4))


@pytest.mark.fault(56, "the daemon refuses a damaged file and names the command that restores a backup")
async def test_a_daemon_refuses_a_damaged_file_and_names_the_command_that_restores_a_backup(
    open_shops: OpenShops, tmp_path: Path
) -> None:
    seller = open_shops()
    await asyncio.to_thread(a_day, seller)
    path = tmp_path / "channelsync.db"
    await asyncio.to_thread(spoil, path)
    before = await asyncio.to_thread(path.read_bytes)
    loaded = load(seller.config, {})
    with pytest.raises(DatabaseDamaged, match=r"channelsync backup restore FILE --replace.*channelsync\.db: "):
        await run_daemon(loaded, clock=SystemClock())
    assert await asyncio.to_thread(path.read_bytes) == before


@pytest.mark.parametrize("harm", ["pages", "everything"])
def test_a_damaged_file_is_put_aside_and_the_backup_takes_its_place(shopkeeper: Any, tmp_path: Path, harm: str) -> None:
    a_day(shopkeeper)
    path, backup = tmp_path / "channelsync.db", tmp_path / "one.zip"
    assert shopkeeper.runs("backup", "create", str(backup)).code == 0
    before = shopkeeper.runs("stock", "list", "--json").out
    spoil(path)
    if harm == "everything":
        path.write_bytes(b"no database" * 1000)
    damaged = path.read_bytes()
    refused = shopkeeper.runs("backup", "restore", str(backup))
    assert (refused.code, "is damaged" in refused.err, path.read_bytes() == damaged) == (4, True, True)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(backup.read_bytes()[:-50])
    assert shopkeeper.runs("backup", "restore", str(broken), "--replace").code == 4
    assert path.read_bytes() == damaged
    done = shopkeeper.runs("backup", "restore", str(backup), "--replace")
    assert done.code == 0, done.err
    (aside,) = tmp_path.glob("channelsync.db.damaged-*")
    assert aside.read_bytes() == damaged
    assert shopkeeper.runs("stock", "list", "--json").out == before
    assert shopkeeper.runs("verify").code == 0
