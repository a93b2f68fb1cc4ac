"""The doctor calls wrong what does not work, and says what to do; what is fine it leaves in peace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channelsync.sdk.channel import Capabilities
from channelsync.store.daemons import ServingProcess
from channelsync.store.inbox import Waiting
from channelsync.store.inspection import PostgresqlFacts, SqliteFacts
from channelsync.store.standing import LeaseStanding, Standing, TaskStanding
from channelsync.store.vault import SealedSecret
from channelsync.sync import doctor
from channelsync.sync.doctor import GIGABYTE, Diagnosis
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.status import ChannelStatus, ProcessStatus, Status
from channelsync.sync.vault import Seals, new_key

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
FILE = SqliteFacts(journal_mode="wal", size=GIGABYTE, wal_size=0, checked=True, problems=())
SERVER = PostgresqlFacts(
    version=180003,
    fsync="on",
    full_page_writes="on",
    synchronous_commit="on",
    recovering=False,
    connections=5,
    connections_max=100,
    size=1,
    now=NOW,
)
SOUND = {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
DAEMON = ServingProcess(run="r", command="run", host="h", pid=1, version="1", started_at=NOW, beat_at=NOW)
TASK = TaskStanding(
    name="backup", next_run_at=NOW, owner="", lease_until=None, ended_at=NOW, outcome="", told="", failures=0, seconds=1
)
LEASE = LeaseStanding(identity="shop 1", owner="w", until=NOW - timedelta(hours=1))


def levels(points: Iterable[Diagnosis]) -> list[str]:
    found = list(points)
    assert all(bool(one.advice) == (one.level != "fine") for one in found), "whoever hears of it must know what to do"
    return sorted(one.level for one in found)


@pytest.mark.parametrize(
    ("facts", "session", "found"),
    [
        (FILE, SOUND, ["fine"]),
        (replace(FILE, journal_mode="delete"), None, ["fine", "wrong"]),
        (FILE, {**SOUND, "synchronous": 1}, ["fine", "wrong"]),
        (replace(FILE, problems=("page 3 is torn",)), None, ["wrong"]),
        (replace(FILE, wal_size=2 * GIGABYTE), SOUND, ["fine", "notice"]),
        (replace(FILE, checked=False), SOUND, ["notice"]),
    ],
)
def test_a_file_is_judged_by_its_settings_and_its_integrity(facts: Any, session: Any, found: list[str]) -> None:
    assert levels(doctor.sqlite_points(facts, session)) == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ["fine"]),
        ({"fsync": "off"}, ["wrong"]),
        ({"synchronous_commit": "off"}, ["wrong"]),
        ({"recovering": True}, ["wrong"]),
        ({"version": 130001}, ["fine", "wrong"]),
        ({"connections": 95}, ["fine", "notice"]),
        ({"now": NOW + timedelta(minutes=2)}, ["fine", "wrong"]),
    ],
)
def test_a_server_is_judged_by_what_it_would_lose(fields: dict[str, Any], found: list[str]) -> None:
    assert levels(doctor.postgresql_points(replace(SERVER, **fields), NOW)) == found


@pytest.mark.parametrize(("free", "level"), [(50, "fine"), (1, "notice"), (0.1, "wrong")])
def test_a_disk_is_judged_by_the_room_that_is_left(free: float, level: str) -> None:
    assert doctor.room_point("the database", int(free * GIGABYTE)).level == level


@pytest.mark.parametrize(
    ("serving", "found"),
    [
        ([DAEMON], ["fine"]),
        ([], ["notice"]),
        ([replace(DAEMON, silent=timedelta(hours=1))], ["notice", "notice"]),
        ([replace(DAEMON, told={"late": ["shop: orders"]})], ["wrong"]),
        ([replace(DAEMON, told={"lost_lines": 3})], ["fine", "notice"]),
        ([replace(DAEMON, command="webhooks")], ["fine", "notice"]),
    ],
)
def test_processes_are_judged_by_their_signs_of_life(serving: list[ServingProcess], found: list[str]) -> None:
    assert levels(doctor.process_points(serving)) == found


@pytest.mark.parametrize(("ahead", "found"), [(0.0, ["fine"]), (-45.0, ["wrong"]), (None, ["notice"])])
def test_our_clock_is_judged_by_what_channels_told_the_daemon(ahead: float | None, found: list[str]) -> None:
    told = {"channels": {"shop": {"clock_ahead": ahead}}}
    assert levels(doctor.clock_points([replace(DAEMON, told=told)])) == found


def status_of(**fields: Any) -> Status:
    names = ("numbers", "due", "drift", "hot", "unstated", "pushed_today", "provisional")
    plain: dict[str, Any] = dict.fromkeys(names, 0)
    plain |= {"channel": "shop", "mode": "live", "stopped": "", "polled_at": NOW, "orders_lag_seconds": 60.0}
    plain |= {"newest_order_at": NOW, "inbox": 0, "parked": 0, "plans_held": 0, "audit_missing": 0, "budget": {}}
    plain["mode_by"] = ""
    one = ChannelStatus(**{**plain, "trouble": "", **fields})
    alive = ProcessStatus(
        command="run",
        host="h",
        pid=1,
        version="1",
        since=NOW,
        alive=True,
        silent_seconds=0,
        late=(),
        memory=None,
        run="r",
    )
    return Status(
        at=NOW,
        processes=(alive,),
        channels=(one,),
        oversold_units=0,
        oversold_positions=0,
        findings={},
        plans_held=0,
        outgoing=0,
        failing_tasks=(),
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ["fine"]),
        ({"mode": "off", "trouble": "x"}, []),
        ({"trouble": "waits for you: renew it"}, ["wrong"]),
        ({"orders_lag_seconds": None}, ["notice"]),
        ({"orders_lag_seconds": 7200.0}, ["wrong"]),
        ({"parked": 2}, ["fine", "notice"]),
        ({"audit_missing": 1}, ["fine", "wrong"]),
        ({"plans_held": 1}, ["fine", "notice"]),
    ],
)
def test_a_channel_is_judged_by_what_troubles_it(fields: dict[str, Any], found: list[str]) -> None:
    shop = ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main",), poll=timedelta(minutes=1))
    setup = Setup(channels={"shop": shop}, locations=("main",))
    assert levels(doctor.channel_points(status_of(**fields), setup)) == found


@pytest.mark.parametrize(
    ("stand", "found"),
    [
        (Standing(), []),
        (Standing(leases=(LEASE,)), ["wrong"]),
        (Standing(leases=(replace(LEASE, owner=""),)), []),
        (Standing(tasks=(replace(TASK, failures=3),)), ["wrong"]),
        (Standing(tasks=(replace(TASK, owner="w", lease_until=NOW - timedelta(hours=1)),)), ["notice"]),
        (Standing(tasks=(replace(TASK, next_run_at=NOW - timedelta(hours=1)),)), ["notice"]),
        (Standing(inbox={"shop": Waiting(counts={"new": 1}, oldest_new=NOW - timedelta(hours=1))}), ["wrong"]),
        (Standing(oversold=2, oversold_positions=1, findings={"oversold": 1}), ["notice", "notice"]),
    ],
)
def test_what_is_stuck_is_told(stand: Standing, found: list[str]) -> None:
    assert levels(doctor.standing_points(stand, NOW, daemon_runs=True)) == found


def test_a_secret_that_no_key_opens_is_wrong_unless_its_channel_is_gone() -> None:
    key, other = new_key(), new_key()
    sealed = Seals([SecretStr(key)]).seal("shop", "token", SecretStr("x"))
    rows = [SealedSecret(channel="shop", name="token", sealed=sealed, saved_at=NOW)]
    assert levels(doctor.sealed_points(rows, Seals([SecretStr(key)]), ["shop"])) == ["fine"]
    assert levels(doctor.sealed_points(rows, Seals([SecretStr(other)]), ["shop"])) == ["wrong"]
    assert levels(doctor.sealed_points(rows, Seals([SecretStr(other)]), ["market"])) == []
