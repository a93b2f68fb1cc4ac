"""What is wrong, point by point, each with what to do: as far as the database can tell. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from channelsync.store.daemons import ServingProcess
from channelsync.store.inspection import PostgresqlFacts, SqliteFacts
from channelsync.store.standing import Standing
from channelsync.store.stranded import Stranded
from channelsync.store.vault import SealedSecret
from channelsync.sync.readiness import CLOCK_AMBER
from channelsync.sync.setup import Setup
from channelsync.sync.status import ALIVE_WITHIN, Status
from channelsync.sync.vault import NotUnsealed, Seals

Level = Literal["fine", "notice", "wrong"]

GIGABYTE = 1024**3
WAL_LARGE = GIGABYTE
ROOM_SHORT, ROOM_NONE = 2 * GIGABYTE, GIGABYTE // 5
"""Bytes: a write-ahead log of that size is not checkpointed; room on a disk that is little, and too little."""

POSTGRESQL_LEAST = 140000
CONNECTIONS_SHARE = 0.9
LAG_LEAST = timedelta(hours=1)
LAG_POLLS = 10
INBOX_LATE = timedelta(minutes=10)
TASK_LATE = timedelta(minutes=15)
TASK_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at. found: in words. advice: what to do; empty where it is fine."""

    what: str
    level: Level
    found: str
    advice: str = ""


def fine(what: str, found: str) -> Diagnosis:
    """Nothing need be done."""
    return Diagnosis(what=what, level="fine", found=found)


def notice(what: str, found: str, advice: str) -> Diagnosis:
    """To be known; nothing is broken."""
    return Diagnosis(what=what, level="notice", found=found, advice=advice)


def wrong(what: str, found: str, advice: str) -> Diagnosis:
    """Something does not work, or will not."""
    return Diagnosis(what=what, level="wrong", found=found, advice=advice)


def sqlite_points(facts: SqliteFacts, session: dict[str, int] | None) -> Iterator[Diagnosis]:
    """A SQLite file, and a connection of ours to it; None: it could not be opened as ours are."""
    if facts.journal_mode != "wal":
        yield wrong(
            "database",
            f"journal_mode is {facts.journal_mode}",
            "Start the daemon once: it sets wal. On a share, move it.",
        )
    if session is not None and (session["synchronous"] != 2 or session["foreign_keys"] != 1):
        yield wrong("database", f"a connection has {session}", "This is an error of channelsync: report it.")
    if facts.problems:
        yield wrong(
            "integrity",
            "; ".join(facts.problems),
            "Stop the daemon and restore the last backup: `channelsync backup restore`.",
        )
    elif facts.checked:
        yield fine("integrity", f"{facts.size / GIGABYTE:.2f} GB, sound")
    else:
        yield notice(
            "integrity", f"{facts.size / GIGABYTE:.2f} GB, not looked at", "Look with `channelsync doctor --full`."
        )
    if facts.wal_size > WAL_LARGE:
        yield notice(
            "database",
            f"its write-ahead log has {facts.wal_size / GIGABYTE:.1f} GB",
            "Some program reads the file for long: end it, or restart the daemon.",
        )


def postgresql_points(facts: PostgresqlFacts, now: datetime) -> Iterator[Diagnosis]:
    """A PostgreSQL server. now: our clock, when it was asked."""
    if facts.version < POSTGRESQL_LEAST:
        yield wrong("database", f"PostgreSQL {facts.version // 10000}", "Use PostgreSQL 14 or newer.")
    off = [
        name
        for name, value in (
            ("fsync", facts.fsync),
            ("full_page_writes", facts.full_page_writes),
            ("synchronous_commit", facts.synchronous_commit),
        )
        if value == "off"
    ]
    if off:
        yield wrong(
            "database",
            f"{', '.join(off)} off: what we answered for may be lost with the machine",
            "Switch it on in postgresql.conf.",
        )
    if facts.recovering:
        yield wrong("database", "this server is a replica", "Name the primary in [database] url.")
    if facts.connections >= facts.connections_max * CONNECTIONS_SHARE:
        yield notice(
            "database",
            f"{facts.connections} of {facts.connections_max} connections are in use",
            "Raise max_connections, or run fewer programs on this server.",
        )
    apart = abs((facts.now - now).total_seconds())
    if apart > CLOCK_AMBER.total_seconds():
        yield wrong("clock", f"the database server's clock is {apart:.0f} s from ours", "Let NTP set both clocks.")
    if not off and not facts.recovering:
        major, minor = divmod(facts.version, 10000)
        yield fine("database", f"PostgreSQL {major}.{minor}, durable; {facts.connections} connections")


def room_point(where: str, free: int) -> Diagnosis:
    """The room that is left on a disk. where: what lies there."""
    said = f"{free / GIGABYTE:.1f} GB free for {where}"
    if free < ROOM_NONE:
        return wrong("disk", said, "Make room: without it no order is booked and no webhook taken.")
    if free < ROOM_SHORT:
        return notice("disk", said, "Make room soon.")
    return fine("disk", said)


def process_points(serving: Sequence[ServingProcess]) -> Iterator[Diagnosis]:
    """The daemons and receivers."""
    alive = [one for one in serving if one.silent <= ALIVE_WITHIN]
    if not any(one.command != "webhooks" for one in alive):
        yield notice("daemon", "none runs", "Start `channelsync run`.")
    for one in serving:
        name, late = f"{one.command} on {one.host}, process {one.pid}", one.told.get("late") or []
        if one not in alive:
            yield notice(
                "daemon",
                f"{name}: silent for {one.silent.total_seconds():.0f} s",
                "It was killed or hangs; if it still runs, restart it.",
            )
        elif late:
            yield wrong("daemon", f"{name}: late are {', '.join(late)}", "Look into its log, and restart it.")
        else:
            yield fine("daemon", f"{name}: alive since {one.started_at:%Y-%m-%d %H:%M} UTC")
        if one.told.get("lost_lines"):
            yield notice("log", f"{name} lost {one.told['lost_lines']} lines", "See where its standard error goes.")


def channel_points(found: Status, setup: Setup) -> Iterator[Diagnosis]:
    """The channels that are used."""
    for one in found.channels:
        if one.mode == "off":
            continue
        what, silent = f"channel {one.channel}", not found.alive
        least = max(LAG_LEAST, setup.channels[one.channel].poll * LAG_POLLS).total_seconds()
        if one.trouble:
            yield wrong(what, one.trouble, f"Run `channelsync channels check {one.channel}`.")
        elif one.orders_lag_seconds is None:
            yield notice(
                what, "its orders were never read", "Start the daemon, or look at `channelsync channels check`."
            )
        elif one.orders_lag_seconds > least and not silent:
            hours = one.orders_lag_seconds / 3600
            yield wrong(what, f"orders are {hours:.1f} h behind", f"Run `channelsync channels check {one.channel}`.")
        else:
            yield fine(what, f"{one.mode}; {one.numbers} numbers, {one.due} due, {one.drift} drifting")
        if one.parked:
            yield notice(
                what, f"{one.parked} webhooks could not be followed", "See `channelsync inbox list --state parked`."
            )
        if one.audit_missing:
            yield wrong(
                what,
                f"{one.audit_missing} orders of the last audited day were missing",
                f"Run `channelsync channels check {one.channel} --repair`.",
            )
        if one.plans_held:
            yield notice(what, f"{one.plans_held} plans wait for approval", "See `channelsync approvals list`.")


def clock_points(serving: Sequence[ServingProcess]) -> Iterator[Diagnosis]:
    """Our clock against the channels', as the running daemons have it from their answers."""
    told = {
        name: float(channel["clock_ahead"])
        for one in serving
        if one.silent <= ALIVE_WITHIN
        for name, channel in one.told.get("channels", {}).items()
        if channel.get("clock_ahead") is not None
    }
    if not told:
        yield notice("clock", "no running daemon has heard a channel's", "Run `channelsync channels check`.")
        return
    off = {name: ahead for name, ahead in told.items() if abs(ahead) > CLOCK_AMBER.total_seconds()}
    for name, ahead in off.items():
        way = "ahead of" if ahead > 0 else "behind"
        yield wrong("clock", f"{name}'s is {abs(ahead):.0f} s {way} ours", "Let NTP set this machine's clock.")
    if not off:
        yield fine("clock", f"agrees with {', '.join(sorted(told))}")


def standing_points(stand: Standing, now: datetime, *, daemon_runs: bool) -> Iterator[Diagnosis]:
    """Leases, tasks, webhooks and messages that are stuck. daemon_runs: so nothing should be late."""
    for lease in stand.leases:
        if daemon_runs and lease.owner and lease.until < now - ALIVE_WITHIN:
            yield wrong(
                "lease",
                f"{lease.identity}: its holder ended at {lease.until:%H:%M:%S} UTC, and nobody took it",
                "See that a daemon has this account's channel configured and not off.",
            )
    for task in stand.tasks:
        late = now - task.next_run_at
        if task.failures >= TASK_FAILURES:
            yield wrong(
                "schedule",
                f"{task.name} failed {task.failures} times in a row: {task.told}",
                f"Mend what it says, then `channelsync schedule run {task.name}`.",
            )
        elif task.owner and task.lease_until is not None and task.lease_until < now - ALIVE_WITHIN:
            yield notice("schedule", f"{task.name}: its worker ended before it", "The next daemon that looks runs it.")
        elif daemon_runs and late > TASK_LATE and not task.owner:
            yield notice(
                "schedule",
                f"{task.name} should have run {late.total_seconds() / 60:.0f} minutes ago",
                "A task of a channel waits until the channel is open and its account held.",
            )
    for name, found in stand.inbox.items():
        if found.oldest_new is not None and now - found.oldest_new > INBOX_LATE:
            waited = (now - found.oldest_new).total_seconds() / 60
            yield wrong("inbox", f"a webhook of {name} waits for {waited:.0f} minutes", "See that its channel is open.")
    if stand.oversold:
        yield notice(
            "oversold",
            f"{stand.oversold} units at {stand.oversold_positions} positions",
            "See `channelsync findings list`.",
        )
    if stand.findings:
        many = sum(stand.findings.values())
        yield notice("findings", f"{many} are open", "See `channelsync findings list`.")


def stranded_points(stranded: Sequence[Stranded]) -> Iterator[Diagnosis]:
    """Units at locations that are not configured."""
    for one in stranded:
        yield wrong("locations", one.found, one.advice)


def sealed_points(sealed: Sequence[SealedSecret], seals: Seals, channels: Sequence[str]) -> Iterator[Diagnosis]:
    """Secrets of the vault that none of the keys opens. channels: the configured ones."""
    ours = [one for one in sealed if one.channel in channels]
    bad = []
    for one in ours:
        try:
            seals.unseal(one.channel, one.name, one.sealed)
        except NotUnsealed:
            bad.append(f"{one.channel}.{one.name}")
    if bad:
        yield wrong(
            "secrets",
            f"cannot be unsealed: {', '.join(bad)}",
            "Put the key that sealed them below [secrets], or run `channelsync channels connect` anew.",
        )
    elif ours:
        yield fine("secrets", f"all {len(ours)} can be unsealed")
