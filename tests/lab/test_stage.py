"""The stage: everything is in place before the loops run, and the loops keep it right."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from channelsync.domain.bundles import Part, Recipe
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.stage import LOCATION, Stage, StagedListing, StageOptions, Wares, drift_left, open_stage
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.channel import Capabilities
from channelsync.store import keys, ledger, sharing
from channelsync.store.database import open_database
from channelsync.store.items import item_id
from channelsync.sync.setup import ChannelSetup

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
WARES = Wares(
    opening={"tea": 10, "cup": 5},
    listings=[
        StagedListing(marketplace="agora", listing="agora-tea", sku="tea"),
        StagedListing(marketplace="agora", listing="agora-tea-x3", sku="tea", multiple=3),
        StagedListing(marketplace="bazaar", listing="bazaar-tea", sku="tea"),
        StagedListing(marketplace="bazaar", listing="bazaar-set", sku="set"),
    ],
    recipes={"set": Recipe("set", "virtual", (Part("tea", 2), Part("cup", 1)))},
)
RIGHT_AFTER_A_SALE_OF_4 = [
    ("agora", "agora-tea", 6),
    ("agora", "agora-tea-x3", 2),
    ("bazaar", "bazaar-tea", 6),
    ("bazaar", "bazaar-set", 3),
]


@asynccontextmanager
async def staged(url: str, options: StageOptions | None = None) -> AsyncIterator[Stage]:
    clock = LabClock()
    sites = {
        name: open_site(name, PRESETS[rules], clock)
        for name, rules in (("agora", "compare-and-set"), ("bazaar", "plain"))
    }
    channels = {name: ChannelSetup(name=name, capabilities=Capabilities(), locations=(LOCATION,)) for name in sites}
    async with (
        open_database(url, inline=True) as database,
        open_stage(
            database=database, clock=clock, sites=sites, wares=WARES, channels=channels, options=options
        ) as stage,
    ):
        yield stage


def play(url: str, story: Callable[[Stage], Awaitable[None]], options: StageOptions | None = None) -> None:
    async def main() -> None:
        async with staged(url, options) as stage:
            await story(stage)

    run_virtual(main(), start=NOON)


async def run_for(stage: Stage, minutes: float) -> None:
    loops = asyncio.create_task(stage.run())
    ended, _ = await asyncio.wait([loops], timeout=timedelta(minutes=minutes).total_seconds())
    assert not ended, "the loops never end by themselves"
    loops.cancel()
    await asyncio.gather(loops, return_exceptions=True)


def test_wares_know_what_a_listing_takes_and_may_show() -> None:
    assert WARES.takes("set", 2) == (("cup", 2), ("tea", 4))
    pack, sets = WARES.listings[1], WARES.listings[3]
    assert WARES.shown(pack, WARES.opening) == 3
    assert WARES.shown(sets, {"tea": 5, "cup": 9}) == 2
    assert WARES.shown(sets, {"tea": -5, "cup": 9}) == 0


def test_positions_listings_and_numbers_are_in_place_before_the_loops_run(sqlite_url: str) -> None:
    async def story(stage: Stage) -> None:
        def look(connection: Connection) -> tuple[dict[str, int], dict[str, tuple[str | None, int, int | None]]]:
            positions = ledger.read_positions(connection, [item_id("tea"), item_id("cup")])
            known = keys.load_keys(connection, sharing.keys_sharing(connection, [item_id("tea"), item_id("set")]))
            return (
                {key.item: position.available for key, position in positions.items()},
                {
                    one.key: (one.item, one.multiple, one.state.watermark.value if one.state.watermark else None)
                    for one in known.values()
                },
            )

        available, numbers = await stage.agent.database.query(look)
        assert available == {item_id("tea"): 10, item_id("cup"): 5}
        assert numbers == {
            "agora-tea": (item_id("tea"), 1, 10),
            "agora-tea-x3": (item_id("tea"), 3, 3),
            "bazaar-tea": (item_id("tea"), 1, 10),
            "bazaar-set": (item_id("set"), 1, 5),
        }

    play(sqlite_url, story)


@pytest.mark.parametrize("pull", [True, False])
def test_the_loops_bring_every_number_to_where_it_should_be(sqlite_url: str, pull: bool) -> None:
    async def story(stage: Stage) -> None:
        await run_for(stage, 15)
        stage.sites["agora"].marketplace.buy("agora-tea", 4)
        assert len(drift_left(stage, RIGHT_AFTER_A_SALE_OF_4)) == 3, "only its own number knows of the sale"
        await run_for(stage, 15)
        assert drift_left(stage, RIGHT_AFTER_A_SALE_OF_4) == []
        assert stage.referee.left == {"tea": 6, "cup": 5}
        assert stage.referee.oversold_units == 0

    play(sqlite_url, story, StageOptions(pull=pull))
