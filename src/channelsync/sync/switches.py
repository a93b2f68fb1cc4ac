"""What the seller has switched: writes stopped, a channel on holiday, only observed or off.

The switches are in the channel's row, so they survive a restart and hold at once for a running daemon, which looks
at them in every transaction that decides. Every change is recorded, so that it can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Connection

from channelsync.store import agenda, channels, runs
from channelsync.store.channels import ChannelState
from channelsync.store.runs import Change
from channelsync.sync.setup import ChannelSetup, Mode

CHANNEL = "channel"
"""The kind of a `Change` of switches. subject: the channel; before, after: switches as `change_channel` takes them."""

Stop = Literal["", "raises", "all"]

STOPS: Sequence[object] = get_args(Stop)
_MODES: Sequence[object] = ("", "live", "observe", "off")
"""The strictest comes last."""

_VALUES: Mapping[str, tuple[object, ...]] = {
    "stop": tuple(STOPS),
    "zeroed": (False, True),
    "mode": ("", *get_args(Mode)),
}


def mode_now(setup: ChannelSetup, state: ChannelState | None) -> Mode:
    """How a channel is used now: its row overrides the configuration, and `run --observe` both: nothing is written."""
    return "observe" if mode_by(setup, state) else _own_mode(setup, state)


def mode_by(setup: ChannelSetup, state: ChannelState | None) -> str:
    """What keeps a channel that is live from being written to, as it was typed; empty: nothing, the mode is its own."""
    return "run --observe" if setup.only_observe and _own_mode(setup, state) == "live" else ""


def _own_mode(setup: ChannelSetup, state: ChannelState | None) -> Mode:
    said = state.mode if state is not None else ""
    return said if said in ("live", "observe", "off") else setup.mode  # type: ignore[return-value]


def stop_now(setup: ChannelSetup, state: ChannelState | None) -> tuple[Stop, str]:
    """What is not written to a channel now, and who says so."""
    if state is not None and state.stop == "all":
        return "all", "`channelsync stop --all-writes` was given"
    if state is not None and state.stop == "raises":
        return "raises", "`channelsync stop` was given"
    return ("raises", "paused = true in the configuration") if setup.paused else ("", "")


def switches_of(states: Iterable[ChannelState]) -> dict[str, object]:
    """What is switched at any of these channels, the strictest of it; empty: all is as configured."""
    said: dict[str, object] = {}
    for state in states:
        if STOPS.index(state.stop) > STOPS.index(said.get("stop", "")):
            said["stop"] = state.stop
        if state.zeroed:
            said["zeroed"] = True
        if state.mode and _MODES.index(state.mode) > _MODES.index(said.get("mode", "")):
            said["mode"] = state.mode
    return said


def stricter(said: Mapping[str, object], configured: Mode) -> dict[str, object]:
    """These switches without a mode that is laxer than the configured one."""
    laxer = _MODES.index(said.get("mode", "")) < _MODES.index(configured)
    return {name: value for name, value in said.items() if not (name == "mode" and laxer)}


def change_channel(
    connection: Connection, name: str, switches: Mapping[str, object], *, run: str, now: datetime
) -> bool:
    """Sets switches of a channel and puts its keys on the agenda; returns whether any of them was another before.

    switches: of "stop" ("", "raises", "all"), "zeroed" (whether it shows 0 for everything), "mode" ("": as
    configured, else the mode). Undoing a change is the same with the values it had before. A channel whose mode
    changes is read anew before anything else, for another tool may have written there. Raises ValueError.
    """
    for switch, value in switches.items():
        if value not in _VALUES.get(switch, ()):
            raise ValueError(f"{name}: {switch} cannot be {value!r}")
    state = channels.channel_state(connection, name)
    before = {switch: getattr(state, switch) for switch in switches}
    after = dict(switches)
    if before == after:
        return False
    channels.save_channel(connection, name, **after)
    if before.get("mode") != after.get("mode"):
        agenda.forget_rises(connection, name)
        agenda.ask_for(connection, agenda.chosen_keys(connection, channels=[name]), now)
    if before.get("zeroed") != after.get("zeroed"):  # rules leave to the others what a channel on holiday does not show
        agenda.mark_all_due(connection, now)
    else:
        agenda.mark_channel_due(connection, name, now)
    runs.record_change(connection, Change(run=run, kind=CHANNEL, subject=name, before=before, after=after, at=now))
    return True
