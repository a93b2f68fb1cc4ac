"""`channelsync schedule list` and `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.store.publisher_lock import single_publisher_lock
from channelsync_memory.shop import Shop

OpenShops = Callable[..., Any]


@pytest.fixture
def shops(open_shops: OpenShops) -> Any:
    return open_shops()


@pytest.fixture
def another_publisher(sqlite_url: str) -> Iterator[None]:
    with single_publisher_lock(Path(sqlite_url.removeprefix("sqlite:///"))):
        yield


def names(shops: Any) -> list[str]:
    return sorted(row["name"] for row in shops.runs("schedule", "list", "--json").rows)


def row(shops: Any, name: str) -> dict[str, Any]:
    (found,) = [row for row in shops.runs("schedule", "list", "--json").rows if row["name"] == name]
    return dict(found)


def test_every_task_of_every_channel_is_listed_before_a_daemon_has_run(shops: Any) -> None:
    each = ("account", "audit", "comparison", "listings")
    expected = [f"{what}:{channel}" for what in each for channel in ("market", "shop")]
    listed = names(shops)
    assert [name for name in listed if ":" in name] == expected
    assert {"database", "housekeeping", "pruning"} <= set(listed)
    assert row(shops, "listings:shop")["state"] == "due"
    assert row(shops, "comparison:shop")["state"] == "waits"
    assert row(shops, "comparison:shop")["runs"] == "daily at 03:30 UTC"


def test_a_task_is_run_here_when_no_daemon_runs(shops: Any) -> None:
    shops.shops["shop"].list_item("MUG", 3)
    ran = shops.runs("schedule", "run", "listings:shop", "--json")
    assert ran.code == 0
    assert (ran.document["outcome"], ran.document["told"]) == ("done", "1 listings, 0 gone")
    listed = row(shops, "listings:shop")
    assert (listed["state"], listed["last"], listed["told"]) == ("waits", "done", "1 listings, 0 gone")


def test_a_comparison_is_run_here_with_the_loops_that_put_right_what_it_finds(shops: Any) -> None:
    listing = shops.sells("MUG", 2, units=5)
    assert shops.number(listing) == 2
    ran = shops.runs("schedule", "run", "comparison:shop", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["told"].startswith("1 numbers, ")
    assert shops.number(listing) == 5


def test_a_task_that_fails_is_told_and_ends_with_1(shops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Shop, *_: object) -> None:
        raise RuntimeError("a bug")

    assert shops.runs("schedule", "run", "listings:shop").code == 0
    monkeypatch.setattr("channelsync.sync.housekeeping.pull_listings", broken)
    ran = shops.runs("schedule", "run", "listings:shop", "--json")
    assert ran.code == 1
    assert (ran.document["outcome"], ran.document["told"]) == ("failed", "RuntimeError: a bug")
    assert row(shops, "listings:shop")["state"] == "tries again"


def test_a_bug_in_the_loops_beside_a_task_ends_the_command_and_is_told(
    shops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug of the loops")

    shops.sells("MUG", 2, units=5)
    monkeypatch.setattr("channelsync.sync.loops.publish_tick", broken)
    ran = shops.runs("schedule", "run", "comparison:shop")
    assert ran.code == ExitCode.BUG
    assert "a bug of the loops" in ran.err


@pytest.mark.usefixtures("another_publisher")
@pytest.mark.fault(51, "a task that somebody wants now is left to the daemon that runs")
def test_beside_a_publisher_a_task_is_asked_for_and_waited_for(shops: Any) -> None:
    ran = shops.runs("schedule", "run", "housekeeping", "--wait", "0")
    assert ran.code == 1
    assert "has not been run within 0 s" in ran.err
    assert row(shops, "housekeeping")["state"] == "asked"


def test_an_unknown_task_is_refused_with_the_nearest_name(shops: Any) -> None:
    ran = shops.runs("schedule", "run", "listing:shop")
    assert ran.code == 2
    assert "did you mean 'listings:shop'?" in ran.err


def test_a_task_of_a_channel_that_is_off_is_refused(open_shops: OpenShops) -> None:
    shops = open_shops('mode = "off"')
    ran = shops.runs("schedule", "run", "audit:shop")
    assert ran.code == 4
    assert "shop is off" in ran.err


def test_a_comparison_can_be_switched_off_and_goes_by_the_channels_time_zone(open_shops: OpenShops) -> None:
    shops = open_shops('time_zone = "Asia/Kathmandu"')
    assert row(shops, "comparison:shop")["runs"] == "daily at 03:30 Asia/Kathmandu"
    shops.config.write_text(shops.config.read_text().replace("[schedule]", '[schedule]\ncomparison = ""'))
    assert not [name for name in names(shops) if name.startswith("comparison")]


def test_a_time_that_is_none_is_refused(shops: Any) -> None:
    shops.config.write_text(shops.config.read_text().replace("[schedule]", '[schedule]\ncomparison = "half past"'))
    ran = shops.runs("schedule", "list")
    assert ran.code == 3
    assert "should be a time of the day" in ran.err


@pytest.mark.postgresql
def test_on_postgresql_too_a_task_is_run_here_with_the_lease_of_its_account(
    open_shops: OpenShops, postgresql_url: str
) -> None:
    shops = open_shops(url=postgresql_url)
    shops.shops["shop"].list_item("MUG", 3)
    assert shops.runs("schedule", "run", "listings:shop", "--json").document["told"] == "1 listings, 0 gone"
    assert shops.runs("schedule", "run", "pruning").code == 0
    assert "database" not in names(shops), "that is SQLite's"
