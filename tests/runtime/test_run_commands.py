"""`channelsync run --observe` and `channelsync observe report` on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.run_commands import bounds
from channelsync.sdk.clock import SystemClock
from channelsync.store.publisher_lock import single_publisher_lock

Shopkeeper = Any


def test_a_day_that_was_not_observed_says_how_to_begin(shopkeeper: Shopkeeper) -> None:
    ran = shopkeeper.runs("observe", "report")

    assert ran.code == 0
    assert "Start `channelsync run --observe`" in ran.err


def test_an_observed_day_is_reported_for_people_and_as_json(open_shops: Any) -> None:
    shopkeeper = open_shops('mode = "observe"')
    listing = shopkeeper.sells("MUG", 5)
    assert shopkeeper.runs("reconcile").code == 0
    shopkeeper.runs("rules", "set", "--channel", "shop", "maximum_shown=3")
    assert shopkeeper.runs("reconcile").code == 0
    found = shopkeeper.runs("observe", "report", "--json").document

    (channel,) = found["channels"]
    assert (channel["channel"], channel["numbers"], channel["would_push"], channel["lowerings"]) == ("shop", 1, 1, 1)
    (push,) = found["pushes"]
    assert (push["sku"], push["shown"], push["should"]) == ("MUG", 5, 3)
    assert "maximum shown 3" in push["why"]
    assert shopkeeper.number(listing) == 5
    printed = shopkeeper.runs("observe", "report")
    assert "It would have pushed" in printed.out
    assert "Oversells that it would have prevented: none" in printed.out
    assert "known from reads only" in printed.err


@pytest.mark.parametrize(("day", "said"), [("yesterday", "is no day"), ("2999-01-01", "has not begun yet")])
def test_a_day_that_is_none_is_a_wrong_command_line(shopkeeper: Shopkeeper, day: str, said: str) -> None:
    ran = shopkeeper.runs("observe", "report", "--day", day)

    assert ran.code == ExitCode.USAGE
    assert said in ran.err


def test_a_day_begins_and_ends_by_the_sellers_time_zone() -> None:
    assert bounds(date(2026, 3, 1), "UTC") == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    begin, end = bounds(date(2026, 3, 29), "Europe/London")
    assert (begin, end) == (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 23, tzinfo=UTC))


def test_today_is_the_default_day(shopkeeper: Shopkeeper) -> None:
    today = SystemClock().now().date()
    assert f"Nothing was observed on {today}" in shopkeeper.runs("observe", "report").err


def test_a_second_daemon_on_a_sqlite_file_refuses_to_start(shopkeeper: Shopkeeper) -> None:
    with single_publisher_lock(shopkeeper.config.parent / "channelsync.db"):
        ran = shopkeeper.runs("run")

    assert ran.code == ExitCode.LOCKED
    assert ran.err.startswith("error: Another process publishes from this database file; SQLite allows one.")
