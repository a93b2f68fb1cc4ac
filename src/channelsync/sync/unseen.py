"""Writes that are not seen in force yet: when their numbers are read again, and whether anything is left to do then.

Of most keys that are due after a write nothing else is to be decided: nobody has put them on the agenda meanwhile
(`key_writes.UNSEEN`). They are read without a look at what they should show; and when a read shows just what was
written, they are off the agenda.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.watermark import Meaning, Timing, Understood, expected_now, sole
from channelsync.store import keys
from channelsync.store.channels import ChannelState
from channelsync.store.key_writes import UNSEEN
from channelsync.store.keys import KeyRecord
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.switches import mode_now


@dataclass(frozen=True, slots=True)
class Unseen:
    """Keys of which only a write is to be seen. reads: those to read now. later: those of which a read would tell
    nothing new yet, with when it will."""

    reads: frozenset[int]
    later: Mapping[int, datetime]


def look_for_writes(
    connection: Connection, setup: Setup, wanted: Collection[int], states: Mapping[str, ChannelState], now: datetime
) -> Unseen:
    """Those of these keys of which still nothing but a write is to be seen, at channels that are live."""
    reads, later = set[int](), dict[int, datetime]()
    for record in keys.load_keys(connection, wanted).values():
        channel = setup.channels.get(record.channel)
        if channel is None or record.urgency != UNSEEN or not record.state.writes or record.held:
            continue
        if mode_now(channel, states.get(record.channel)) != "live":
            continue
        until = tells_more_from(channel, record, now)
        if until > now:
            later[record.id] = until
        else:
            reads.add(record.id)
    return Unseen(frozenset(reads), later)


def tells_more_from(channel: ChannelSetup, record: KeyRecord, now: datetime, *, any_doubt: bool = False) -> datetime:
    """When a read of the key tells more than what is known: `now`, or later.

    any_doubt: also while its newest write cannot be expected to be seen, since something else is to be settled.
    """
    timing, half_a_tick = channel.capabilities.timing, channel.tick * 0.5
    quiet_until = [now]
    if record.read_at is not None:
        quiet_until.append(record.read_at + max(half_a_tick, timing.staleness))
    if record.state.writes and not any_doubt:
        newest = record.state.writes[-1]
        quiet_until.append((newest.answered or newest.sent) + min(timing.grace, half_a_tick))
    return max(quiet_until)


def rests(record: KeyRecord, meant: Understood, timing: Timing) -> bool:
    """Whether a key is off the agenda with a read that shows its newest write in force.

    Only that was left to see, and its number can be nothing but what was written. record: as it was before the read.
    """
    seen = meant.visible
    return (
        record.urgency == UNSEEN
        and meant.meaning is Meaning.AS_EXPECTED
        and seen is not None
        and seen.generation == record.generation
        and meant.state.verified
        and not (meant.state.writes or record.rise or record.held)
        and sole(expected_now(meant.state, timing)) == seen.value
    )
