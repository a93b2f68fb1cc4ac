"""`channelsync channels`, `stop` and `start`: switches that hold at once and survive."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync.store import daemons
from channelsync.store.daemons import ServingProcess
from channelsync.store.database import open_database

Shopkeeper = Any


def test_channels_are_listed_with_mode_switches_and_numbers(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    shop, market = shopkeeper.runs("channels", "list", "--json").rows

    assert (shop["name"], shop["connector"], shop["identity"]) == ("shop", "memory", "two-shop")
    assert (shop["mode"], shop["stopped"], shop["on_holiday"], shop["numbers"]) == ("live", "", False, 1)
    assert (market["name"], market["numbers"]) == ("market", 0)
    assert "shop" in shopkeeper.runs("channels", "list").out


def test_one_channel_is_shown(shopkeeper: Shopkeeper) -> None:
    assert shopkeeper.runs("channels", "show", "market", "--json").document["name"] == "market"
    assert "on holiday" in shopkeeper.runs("channels", "show", "market").out


@pytest.mark.parametrize(
    ("command", "switch", "value", "undo", "back"),
    [
        (("channels", "pause", "shop"), "stopped", "raises", ("channels", "resume", "shop"), ""),
        (("stop", "--channel", "shop"), "stopped", "raises", ("start", "--channel", "shop"), ""),
        (("stop", "--all-writes", "--channel", "shop"), "stopped", "all", ("start", "--channel", "shop"), ""),
        (("channels", "zero", "shop"), "on_holiday", True, ("channels", "unzero", "shop"), False),
        (
            ("channels", "mode", "shop", "observe"),
            "mode",
            "observe",
            ("channels", "mode", "shop", "configured"),
            "live",
        ),
        (("channels", "mode", "shop", "off"), "mode", "off", ("channels", "mode", "shop", "live"), "live"),
    ],
)
def test_a_switch_is_set_for_the_named_channel_and_taken_back(
    shopkeeper: Shopkeeper, command: tuple[str, ...], switch: str, value: object, undo: tuple[str, ...], back: object
) -> None:
    def state() -> list[object]:
        return [row[switch] for row in shopkeeper.runs("channels", "list", "--json").rows]

    before = state()
    assert shopkeeper.runs(*command).code == 0
    assert state() == [value, before[1]]
    assert shopkeeper.runs(*undo).code == 0
    assert state() == [back, before[1]]


def test_stop_without_a_name_stops_them_all(shopkeeper: Shopkeeper) -> None:
    ran = shopkeeper.runs("stop")

    assert ran.err.splitlines()[0] == "shop, market: nothing is raised any more, lowerings go on."
    assert [row["stopped"] for row in shopkeeper.runs("channels", "list", "--json").rows] == ["raises", "raises"]


def test_stop_does_not_loosen_a_stricter_stop(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("stop", "--all-writes", "--channel", "shop")
    ran = shopkeeper.runs("stop")

    assert ran.err.splitlines()[:2] == [
        "market: nothing is raised any more, lowerings go on.",
        "shop: writing was stopped already.",
    ]
    assert [row["stopped"] for row in shopkeeper.runs("channels", "list", "--json").rows] == ["all", "raises"]


def test_start_says_where_the_configuration_still_pauses(open_shops: Any) -> None:
    shopkeeper = open_shops("paused = true")
    shopkeeper.runs("stop")
    ran = shopkeeper.runs("start")

    done, _, still = ran.err.splitlines()
    assert done == "shop, market: quantities are written again."
    assert still == "shop: nothing is raised still, for the configuration says paused = true."
    assert shopkeeper.runs("channels", "show", "shop", "--json").document["stopped_by"].startswith("paused = true")


@pytest.mark.parametrize(
    "command", [("stop", "--channel", "shpo"), ("channels", "zero", "shpo"), ("channels", "mode", "shpo", "live")]
)
def test_an_unknown_channel_is_refused_with_the_nearest_name(shopkeeper: Shopkeeper, command: tuple[str, ...]) -> None:
    ran = shopkeeper.runs(*command)

    assert ran.code == ExitCode.REFUSED
    assert ran.err.startswith("error: there is no channel 'shpo' in ")
    assert "did you mean 'shop'?" in ran.err


def test_a_mode_that_is_none_is_a_wrong_command_line(shopkeeper: Shopkeeper) -> None:
    assert shopkeeper.runs("channels", "mode", "shop", "loud").code == ExitCode.USAGE


def modes(shopkeeper: Shopkeeper) -> list[str]:
    return [row["mode"] for row in shopkeeper.runs("channels", "list", "--json").rows]


def test_several_channels_or_all_of_them_change_their_mode_at_once(shopkeeper: Shopkeeper) -> None:
    assert shopkeeper.runs("channels", "mode", "shop", "market", "off").code == 0
    assert modes(shopkeeper) == ["off", "off"]
    assert shopkeeper.runs("channels", "mode", "--all", "observe").code == 0
    assert modes(shopkeeper) == ["observe", "observe"]
    assert shopkeeper.runs("channels", "mode", "market", "live").code == 0
    assert modes(shopkeeper) == ["observe", "live"]


@pytest.mark.parametrize("names", [(), ("shop", "--all")])
def test_a_mode_is_for_channels_that_are_named_or_for_all(shopkeeper: Shopkeeper, names: tuple[str, ...]) -> None:
    ran = shopkeeper.runs("channels", "mode", *names, "observe")

    assert (ran.code, modes(shopkeeper)) == (ExitCode.USAGE, ["live", "live"])
    assert "Name channels, or say --all" in ran.err


def daemon_runs(shopkeeper: Shopkeeper, **told: object) -> None:
    """A daemon gives a sign of life, and says this of itself."""
    now = SystemClock().now()
    one = ServingProcess(run="r", command="run", host="h", pid=3, version="1", started_at=now, beat_at=now, told=told)

    async def work() -> None:
        async with open_database(f"sqlite:///{shopkeeper.config.parent / 'channelsync.db'}") as database:
            await database.transact(lambda c: daemons.begin_serving(c, one, now))

    asyncio.run(work())


def test_under_a_daemon_that_only_observes_no_channel_is_called_live(shopkeeper: Shopkeeper) -> None:
    daemon_runs(shopkeeper, only_observe=True)
    assert modes(shopkeeper) == ["observe", "observe"]
    assert "observe (run --observe)" in shopkeeper.runs("channels", "list").out
    assert "observe (run --observe)" in shopkeeper.runs("status").out
    (shop, _) = shopkeeper.runs("status", "--json").document["channels"]
    assert (shop["mode"], shop["mode_by"]) == ("observe", "run --observe")

    assert shopkeeper.runs("channels", "mode", "shop", "off").err.count("warning") == 0
    ran = shopkeeper.runs("channels", "mode", "shop", "live")
    assert "warning: nothing is written to shop: the daemon that runs was started with --observe." in ran.err


def test_under_a_daemon_that_writes_a_channel_is_live(shopkeeper: Shopkeeper) -> None:
    daemon_runs(shopkeeper, only_observe=False)

    assert modes(shopkeeper) == ["live", "live"]
    assert "warning" not in shopkeeper.runs("channels", "mode", "shop", "live").err


@pytest.mark.parametrize(
    "command",
    [
        ("stop",),
        ("channels", "pause", "shop"),
        ("channels", "zero", "shop"),
        ("channels", "mode", "shop", "observe"),
    ],
)
def test_a_switch_says_its_run_by_which_it_is_taken_back(shopkeeper: Shopkeeper, command: tuple[str, ...]) -> None:
    def states() -> list[Any]:
        return [
            (one["mode"], one["stopped"], one["on_holiday"])
            for one in shopkeeper.runs("channels", "list", "--json").rows
        ]

    before = states()
    ran = shopkeeper.runs(*command, "--json").document
    assert (ran["changed"][0], ran["same"]) == ("shop", [])
    assert states() != before
    assert shopkeeper.runs("undo", ran["run"]).code == 0
    assert states() == before
    assert "`channelsync undo " in shopkeeper.runs(*command).err
    again = shopkeeper.runs(*command)
    assert "already" in again.err
    assert "undo" not in again.err


def test_every_switch_is_a_run_with_its_change(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("channels", "zero", "shop")
    shopkeeper.runs("channels", "zero", "shop")

    with sqlite3.connect(shopkeeper.config.parent / "channelsync.db") as connection:
        runs = connection.execute("SELECT id, command, outcome FROM run ORDER BY id").fetchall()
        changes = connection.execute("SELECT run, kind, subject FROM change").fetchall()
    connection.close()
    assert [(command, outcome) for _, command, outcome in runs] == [("channels zero", "done")] * 2
    assert [(kind, subject) for _, kind, subject in changes] == [("channel", "shop")]


def test_a_stopped_channel_is_not_raised_and_is_raised_once_it_is_started(shopkeeper: Shopkeeper) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    shopkeeper.runs("stop")
    assert shopkeeper.runs("reconcile").code == 0
    assert shopkeeper.number(listing) == 5
    shopkeeper.runs("start")
    assert shopkeeper.runs("reconcile").code == 0
    assert shopkeeper.number(listing) == 9
