"""Channels as they are shown: mode, switches, how far their orders were read, and what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.store import channels
from channelsync.store.channels_view import ChannelNumbers, channel_numbers
from channelsync.sync.setup import BY_HAND, Setup
from channelsync.sync.switches import mode_by, mode_now, stop_now


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOnView:
    """One channel as it is now. connector: its code. mode_by: "run --observe" where that keeps a live channel from
    being written to. stopped: "", "raises" or "all".

    The rest as in `ChannelState` and `ChannelNumbers`.
    """

    name: str
    connector: str
    identity: str
    mode: str
    mode_by: str
    stopped: str
    stopped_by: str
    on_holiday: bool
    orders_asked_at: datetime | None
    covered_to: datetime | None
    orders_failed: str
    unreadable_since: datetime | None
    unreadable_why: str
    numbers: int
    waiting: int
    hot: int
    questions: int
    held_units: int


def view_channels(connection: Connection, setup: Setup) -> list[ChannelOnView]:
    """Every configured channel, in the order of the configuration."""
    states, numbers = channels.channel_states(connection), channel_numbers(connection)
    views = []
    for one in setup.channels.values():
        if one.name == BY_HAND:
            continue
        state, counted = states.get(one.name), numbers.get(one.name, ChannelNumbers())
        stopped, by = stop_now(one, state)
        views.append(
            ChannelOnView(
                name=one.name,
                connector=one.connector,
                identity=state.identity if state else "",
                mode=mode_now(one, state),
                mode_by=mode_by(one, state),
                stopped=stopped,
                stopped_by=by,
                on_holiday=bool(state and state.zeroed),
                orders_asked_at=state.orders_asked_at if state else None,
                covered_to=state.covered_to if state else None,
                orders_failed=state.orders_failed if state else "",
                unreadable_since=state.unreadable_since if state else None,
                unreadable_why=state.unreadable_why if state else "",
                numbers=counted.numbers,
                waiting=counted.waiting,
                hot=counted.hot,
                questions=counted.questions,
                held_units=counted.held_units,
            )
        )
    return views
