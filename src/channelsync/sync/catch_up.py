"""The catch-up gate: after a restore nothing is pushed before the orders since the backup were read completely.

A database that was restored does not know what was sold since. Whoever restores one says so (`mark_restored`); the
daemon notices others where it can. Beyond that, in a daemon that has just started no number is raised before orders
were read completely once, for it cannot know for how long nobody has looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.store import channels, findings, restoring
from channelsync.store.channels import ChannelState
from channelsync.sync.setup import BY_HAND, Setup
from channelsync.sync.switches import Stop, mode_now

OTHERS_WAIT = timedelta(minutes=1)
"""Raises wait so long at most for another channel's first orders after a start: one that fails harms only itself.
After a restore they wait as long as it takes: what it sold is known to be missing."""


def mark_restored(connection: Connection, now: datetime) -> list[str]:
    """The database was restored: every channel catches up. Returns their names.

    What it believes that the channels show is forgotten, so that our own writes since the backup are no drops and no
    rises. Idempotency keys need nothing: they carry the run, so a generation that is counted anew is another request.
    """
    restoring.forget_numbers(connection, now)
    names = restoring.let_catch_up(connection, BY_HAND, now)
    findings.open_findings(
        connection,
        [
            Finding(
                kind=FindingKind.CATCHING_UP,
                subject=(name,),
                channel=name,
                summary=f"{name}: the database was restored, so nothing is written there before its orders were read "
                "completely, and nothing is raised elsewhere. If they never can be read, switch it off with "
                f"`channelsync channels mode {name} off`.",
            )
            for name in names
        ],
        now,
    )
    return names


def behind(setup: Setup, states: Mapping[str, ChannelState], channel: str, now: datetime) -> tuple[Stop, str]:
    """What must not be written to a channel because orders are missing, and which; ("", ""): nothing is missing."""
    state = states.get(channel)
    if state is not None and state.catch_up_since is not None:
        return "all", f"the database was restored at {_told(state.catch_up_since)}, and orders since are not read yet"
    for name, other in _reading(setup, states).items():
        if other.catch_up_since is not None:
            return "raises", f"the database was restored, and the orders of {name} since are not read yet"
    if setup.orders_since is None:
        return "", ""
    if state is None or not _read_since(state, setup.orders_since):
        return "raises", "its orders were not read completely since the start"
    if now < setup.orders_since + OTHERS_WAIT:
        for name, other in _reading(setup, states).items():
            if not other.orders_failed and not _read_since(other, setup.orders_since):
                return "raises", f"the orders of {name} were not read completely since the start"
    return "", ""


def _reading(setup: Setup, states: Mapping[str, ChannelState]) -> dict[str, ChannelState]:
    """The channels whose orders are read."""
    return {
        name: states[name]
        for name, one in setup.channels.items()
        if not one.by_sku and name in states and mode_now(one, states[name]) != "off"
    }


def _read_since(state: ChannelState, since: datetime) -> bool:
    return state.orders_asked_at is not None and state.orders_asked_at >= since


def after_poll(connection: Connection, setup: Setup, before: ChannelState, asked: datetime, now: datetime) -> bool:
    """An order read that began at `asked` has ended. before: the channel's row as it was when it began.

    Returns whether writes waited for it; they are looked at at once then. A read that was not complete ends no waiting.
    """
    state = channels.channel_state(connection, before.name)
    if state.orders_asked_at != asked:
        return False
    caught_up = state.catch_up_since is not None and asked >= state.catch_up_since
    if caught_up:
        channels.save_channel(connection, state.name, catch_up_since=None)
        closed = [fingerprint(FindingKind.CATCHING_UP, state.name)]
        findings.close_findings(connection, closed, "its orders were read completely", now)
    since = setup.orders_since
    first = since is not None and asked >= since and not _read_since(before, since)
    if caught_up or first:
        restoring.look_at_once(connection, now)
    return caught_up or first


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
