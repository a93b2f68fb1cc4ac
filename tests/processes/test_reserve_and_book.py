"""32 concurrent callers in four processes: `reserve` never promises a unit twice, `book` loses no order."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, Movement
from channelsync.domain.quantities import PositionKey
from channelsync.domain.risk import Delays
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import SystemClock
from channelsync.store import channels, findings, items, keys, ledger, listings, runs
from channelsync.store.database import open_database
from channelsync.store.items import Item, item_id
from channelsync.store.listings import SeenListing
from channelsync.sync.decide_writes import decision_for
from channelsync.sync.measures import Measures
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.targets import compute_targets
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

WORKER = Path(__file__).with_name("take_units.py")
PROCESSES = 4
CALLERS = 8
ATTEMPTS = 10_000
UNITS = 100
HANG_GUARD = 600
MUG = PositionKey(item_id("MUG"), "main")
NOW = SystemClock().now()
CHANNELS = ("shop", "market")
SETUP = Setup(
    channels={name: ChannelSetup(name=name, capabilities=Capabilities(), locations=("main",)) for name in CHANNELS},
    locations=("main",),
)
DELAYS = Delays(order_visible=timedelta(minutes=10), push_visible=timedelta(minutes=1))
MEASURES = Measures(
    at=NOW,
    prior=SETUP.prior_demand,
    delays=dict.fromkeys(CHANNELS, DELAYS),
    order_limit=dict.fromkeys(CHANNELS, timedelta(0)),
)


def shelve(connection: Connection) -> None:
    """100 mugs at one location, listed once on each channel."""
    now = NOW
    runs.begin_run(connection, "test", "test", "test", {}, now)
    items.add_items(connection, [Item(id=MUG.item, sku="MUG")], now)
    ledger.open_positions(connection, [MUG])
    receipt = Movement(
        id="opening",
        position=MUG,
        kind=EntryKind.RECEIPT,
        on_hand=UNITS,
        at=now,
        cause=Cause(actor="test", run="test", reason="opening"),
    )
    ledger.write(connection, [receipt], ledger.lock_positions(connection, [MUG.item]), now)
    seen = SeenListing(
        listing="mug",
        sku="MUG",
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=(("mug", ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )
    for name in CHANNELS:
        listings.save_listings(connection, name, name, [seen], now)
        listings.set_meaning(connection, name, "mug", MUG.item, 1, "test", now)
        (key,) = keys.ids_of(connection, name, [("mug", "")]).values()
        listings.restart_keys(connection, [key], MUG.item, 1, now)
        shown = {"value": UNITS, "asked_at": now, "answered_at": now, "read_at": now, "due_at": None}
        keys.save_key(connection, key, **shown)


async def in_processes(url: str, what: str) -> int:
    """What four processes of eight callers got together."""

    def one(name: str) -> int:
        command = [sys.executable, str(WORKER), url, what, name, str(CALLERS), str(ATTEMPTS // PROCESSES)]
        got: int = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=HANG_GUARD).stdout)
        return got

    return sum(await asyncio.gather(*(asyncio.to_thread(one, f"p{number}") for number in range(PROCESSES))))


async def test_of_ten_thousand_reservations_of_a_hundred_units_exactly_a_hundred_succeed(database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.transact(shelve)
        assert await in_processes(database_url, "reserve") == UNITS
        position = (await database.query(lambda c: ledger.read_positions(c, [MUG.item])))[MUG]
        assert (position.on_hand, position.reserved, position.available) == (UNITS, UNITS, 0)
        assert (await database.query(verify, snapshot=True)).problems == []


async def test_ten_thousand_orders_for_a_hundred_units_are_all_booked_and_found_once(database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.transact(shelve)
        assert await in_processes(database_url, "book") == ATTEMPTS
        position = (await database.query(lambda c: ledger.read_positions(c, [MUG.item])))[MUG]
        assert position.available == UNITS - ATTEMPTS
        found = await database.query(lambda c: findings.list_findings(c, only_open=False))
        assert [finding.kind for finding in found] == ["oversold"]
        later = NOW + timedelta(days=1)
        # The shop that sold them has lowered its own number; nobody but us lowers the other's.
        for name, wanted in (("shop", (0, "none", None)), ("market", (0, "lower", 0))):
            (due,) = await database.query(lambda c, name=name: keys.due_keys(c, name, later, 10))
            target = (await database.query(lambda c, due=due: compute_targets(c, SETUP, MEASURES, [due])))[due]
            states = await database.query(channels.channel_states)
            step = decision_for(SETUP, target, states, later)
            assert (target.units, step.action, step.value) == wanted, name
        assert (await database.query(verify, snapshot=True)).problems == []
