"""The agent at a system that tells no numbers: each is written once, 0 too, and an order changes the next."""

import random
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.values import QuantityKey
from channelsync.store import findings, ledger, runs
from channelsync.store.items import Item, add_items, item_id
from channelsync.sync.agent import Agent
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.verify import verify
from channelsync_files import CONNECTOR
from channelsync_files.settings import FilesSettings

AVAILABLE = {"MUG": 5, "CUP": 0}
ORDERS = "Order,SKU,Units,Placed,Changed\n1,MUG,2,2017-06-01T09:00Z,2017-06-01T09:00Z\n"


def settings_of(base: Path, **more: object) -> FilesSettings:
    columns = {"order": "Order", "sku": "SKU", "units": "Units", "placed_at": "Placed", "changed_at": "Changed"}
    return FilesSettings.model_validate(
        {
            "place": str(base),
            "grace_s": 600,
            "orders": {"path": "orders", "columns": columns},
            "listings": {"path": "items", "columns": {"sku": "SKU"}},
            "quantities": {"path": "out", "columns": {"sku": "SKU", "units": "Units"}},
            **more,
        }
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    base = tmp_path / "board"
    for name in ("orders", "items", "out", "replies"):
        (base / name).mkdir(parents=True)
    (base / "items" / "items.csv").write_text("SKU\nMUG\nCUP\n")
    return base


@pytest.fixture
def opened(sqlite_database, clock, place: Path):
    """Opens the agent as after a restart: the database and the folder are all that is kept."""

    def receive(connection) -> None:
        runs.begin_run(connection, "test", "test", "test", {}, clock.now())
        add_items(connection, [Item(id=item_id(sku), sku=sku) for sku in AVAILABLE], clock.now())
        keys = [PositionKey(item_id(sku), "main") for sku in AVAILABLE]
        ledger.open_positions(connection, keys)
        positions = ledger.lock_positions(connection, [key.item for key in keys])
        moves = [
            Movement(
                id=entry_id("receipt", key.item),
                position=key,
                kind=EntryKind.RECEIPT,
                on_hand=units,
                at=clock.now(),
                cause=Cause(actor="test", run="test", reason="received"),
            )
            for key, units in zip(keys, AVAILABLE.values(), strict=True)
            if units
        ]
        ledger.write(connection, moves, positions, clock.now())
        ledger.state(connection, keys, positions, "test")

    @asynccontextmanager
    async def open_agent(settings: FilesSettings, *, begin: bool = False):
        told = CONNECTOR.capabilities(settings)
        setup = Setup(
            channels={"board": ChannelSetup(name="board", capabilities=told, locations=("main",))}, locations=("main",)
        )
        if begin:
            await sqlite_database.transact(receive)
        measures = await sqlite_database.query(lambda c: measure(c, setup, clock.now()))
        agent = Agent(database=sqlite_database, clock=clock, setup=setup, run="test", measures=measures)
        opening = open_channel(
            setup.channels["board"], CONNECTOR, settings, database=sqlite_database, clock=clock, rng=random.Random(1)
        )
        async with opening as channel:
            agent.channels["board"] = channel
            await identify(agent, channel)
            await pull_listings(agent, channel)
            if begin:
                wanted = [Wanted("board", sku, item_id(sku), 1) for sku in AVAILABLE]
                await sqlite_database.transact(
                    lambda c: map_listings(c, setup, wanted, by="test", run="test", now=clock.now())
                )
            yield agent, channel
        assert (await sqlite_database.query(verify, snapshot=True)).problems == []

    return open_agent


async def ticks(agent, channel, clock, number: int = 3) -> None:
    for _ in range(number):
        done = await publish_tick(agent, channel)
        assert done.failed == ""
        await clock.sleep(60)


def written(place: Path) -> list[list[str]]:
    return [sorted(path.read_text().splitlines()[1:]) for path in sorted((place / "out").glob("quantities-*.csv"))]


async def kinds(agent) -> list[str]:
    return [one.kind for one in await agent.database.query(findings.list_findings)]


async def test_without_replies_each_number_is_written_once_and_what_orders_change(opened, place: Path, clock) -> None:
    settings = settings_of(place)
    async with opened(settings, begin=True) as (agent, channel):
        await ticks(agent, channel, clock)
        assert sorted(row for rows in written(place) for row in rows) == ["CUP,0", "MUG,5"]
        (place / "orders" / "o.csv").write_text(ORDERS)
        assert (await poll_orders(agent, channel)).booked == 1
        await ticks(agent, channel, clock)
        assert written(place)[-1] == ["MUG,3"]
    before = written(place)
    async with opened(settings) as (agent, channel):  # after a restart nothing is sent again
        await ticks(agent, channel, clock)
        assert written(place) == before
        assert await kinds(agent) == []


async def test_a_number_that_is_never_acknowledged_is_sent_again_and_found(opened, place: Path, clock) -> None:
    replies = {"path": "replies", "columns": {"key": "SKU", "status": "Result"}}
    async with opened(settings_of(place, acknowledgements=replies), begin=True) as (agent, channel):
        await ticks(agent, channel, clock)
        first = len(written(place))
        await clock.sleep(timedelta(minutes=20).total_seconds())
        await ticks(agent, channel, clock)
        assert len(written(place)) > first
        (place / "replies" / "r.csv").write_text("SKU,Result\nMUG,ok\nCUP,ok\n")
        await ticks(agent, channel, clock, 12)
        reads = await channel.channel.read([QuantityKey("MUG"), QuantityKey("CUP")])
        assert [one.value for one in reads] == [5, 0]
        quiet = len(written(place))
        await ticks(agent, channel, clock, 12)
        assert len(written(place)) == quiet


async def test_a_refusal_is_kept_and_its_neighbour_goes_on(opened, place: Path, clock) -> None:
    replies = {"path": "replies", "columns": {"key": "SKU", "status": "Result", "reason": "Why"}}
    answer = "SKU,Result,Why\nMUG,error,locked\nCUP,ok,\n"
    clock.work.append(lambda: (place / "replies" / "r.csv").write_text(answer))
    async with opened(settings_of(place, acknowledgements=replies), begin=True) as (agent, channel):
        await ticks(agent, channel, clock, 30)
        reads = await channel.channel.read([QuantityKey("MUG"), QuantityKey("CUP")])
        assert [one.value for one in reads] == [-1, 0]
        assert "push refused" in await kinds(agent)
