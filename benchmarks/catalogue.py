"""A large catalogue for the reconcile plan: so many SKUs, each on four channels, most of them shown as they should be.

It is written with hand-written SQL, for it is not what is measured.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.sdk.channel import Capabilities
from channelsync.store.database import open_database
from channelsync.store.sqlite import connect
from channelsync.store.tables import metadata
from channelsync.sync.setup import ChannelSetup, Setup

CHANNELS = ("agora", "bazaar", "corso", "depot")
LOCATION = "main"
NOW = datetime(2026, 3, 1, tzinfo=UTC)

WRONG = 0.02
"""The share of keys that show another number than they should: orders of the last minutes, and some drift."""

IN_MOTION = 0.005
"""The share of keys with a write that was not seen yet, or an order's effect that is not settled."""

_TIME = "2026-02-28 23:00:00.000000"
_KEY = (
    "id, identity, key, remote, channel, listing, item, multiple, ours, sells_below_zero, value, asked_at, answered_at,"
    " verified, target, generation, confirmed, rise, repairs, held, channel_held, urgency, read_at, read_wanted, hot,"
    " failures, page"
)


def setup() -> Setup:
    """Four channels; one holds two units back, one never shows more than twenty."""
    channels = {name: ChannelSetup(name=name, capabilities=Capabilities(), locations=(LOCATION,)) for name in CHANNELS}
    rules = (
        Rule("buffer", RuleScope(channel="bazaar"), RuleValues(buffer=Fixed(2)), "bench"),
        Rule("most", RuleScope(channel="corso"), RuleValues(maximum_shown=20), "bench"),
    )
    return Setup(channels=channels, locations=(LOCATION,), rules=rules)


def _shown(channel: str, available: int) -> int:
    """What these rules come to; only so that the catalogue begins as a seller's does: right."""
    return {"bazaar": max(0, available - 2), "corso": min(available, 20)}.get(channel, available)


async def lay_out(path: Path, skus: int) -> None:
    """Makes the database file."""
    async with open_database(f"sqlite:///{path}") as database:
        await database.transact(metadata.create_all)
    connection = connect(path, foreign_keys=False)
    connection.execute("BEGIN")
    dice = random.Random(skus)
    available = [int(dice.expovariate(1 / 60)) for _ in range(skus)]
    connection.executemany(
        "INSERT INTO item (id, sku, title, sku_class, created_at) VALUES (?, ?, '', '', ?)",
        ((_item(n), f"SKU-{n}", _TIME) for n in range(skus)),
    )
    connection.executemany(
        "INSERT INTO position (item, location, on_hand, reserved, withheld, entries, head)"
        " VALUES (?, ?, ?, 2, 0, 1, '')",
        ((_item(n), LOCATION, units + 2) for n, units in enumerate(available)),
    )
    marks = ", ".join("?" * _KEY.count(",")) + ", ?"
    connection.executemany(f"INSERT INTO quantity_key ({_KEY}) VALUES ({marks})", _keys(available, dice))
    _move(connection, len(available) * len(CHANNELS), dice)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _item(number: int) -> str:
    return f"i-{number:08}"


def _keys(available: list[int], dice: random.Random) -> Iterator[tuple[object, ...]]:
    for n, units in enumerate(available):
        for place, channel in enumerate(CHANNELS):
            value = _shown(channel, units) + (dice.randint(1, 3) if dice.random() < WRONG else 0)
            yield (
                *(n * len(CHANNELS) + place + 1, channel, f"L{n}", "", channel, f"L{n}", _item(n), 1, True, False),
                *(value, _TIME, _TIME, True, value, 3, 3, 0, 0, "", 0, 1, _TIME, False, False, 0, ""),
            )


def _move(connection: sqlite3.Connection, keys: int, dice: random.Random) -> None:
    moving = sorted(dice.sample(range(1, keys + 1), int(keys * IN_MOTION)))
    connection.executemany(
        "INSERT INTO quantity_write (key, generation, value, run, sent_at, outcome, reason, why)"
        " VALUES (?, 4, 5, 'bench', ?, '', '', '{}')",
        ((key, _TIME) for key in moving[::2]),
    )
    connection.executemany(
        'INSERT INTO effect (id, key, channel, "order", delta, earliest, latest, booked_at, settled)'
        " VALUES (?, ?, '', ?, -1, ?, ?, ?, '')",
        ((f"effect-{key}", key, f"order-{key}", _TIME, _TIME, _TIME) for key in moving[1::2]),
    )
