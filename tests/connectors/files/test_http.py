"""Documents over HTTP: what is asked, what is not asked again, and what an answer settles."""

from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.resources import unused
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_files import CONNECTOR
from channelsync_files.access import authorization
from channelsync_files.settings import FilesSettings
from loopback_wire import loopback_wire

pytestmark = pytest.mark.processes


class Desk:
    """The other system over HTTP and the connector at it. changed: answers in place of its own, by address."""

    def __init__(self, world, address: str, settings_at, clock) -> None:
        self.world, self.address, self.settings_at, self.clock = world, address, settings_at, clock
        self.settings = settings_at(address)

    @asynccontextmanager
    async def opened(self):
        async with loopback_wire() as transport:
            budgets = CONNECTOR.budgets(self.settings)
            resources = unused("shop", budgets, self.clock, transport=transport)
            async with CONNECTOR.open(self.settings, resources) as channel:
                yield channel


@pytest.fixture
async def desk(clock, http_world_class, http_settings_at):
    world = http_world_class(clock, None)
    async with loopback_server(world.app) as address:
        yield Desk(world, address, http_settings_at, clock)


def asked(desk: Desk) -> list[tuple[str, str, int]]:
    requests, desk.world.requests = desk.world.requests, []
    return [(method, path.removeprefix("/api"), status) for method, path, status in requests]


async def test_what_has_not_changed_is_not_sent_again(desk: Desk) -> None:
    offered = await desk.world.offer("MUG", 10)
    async with desk.opened() as channel:
        for _ in range(2):
            assert [one.value for one in await channel.read([offered.key])] == [10]
        await desk.world.set_number(offered.key, 4)
        assert [one.value for one in await channel.read([offered.key])] == [4]
    assert asked(desk) == [("GET", "/items", 200), ("GET", "/items", 304), ("GET", "/items", 200)]


async def test_the_next_search_begins_a_little_before_the_last_one(desk: Desk) -> None:
    offered = await desk.world.offer("MUG", 10)
    old = await desk.world.buy((offered, 1))
    await desk.clock.sleep(60)
    async with desk.opened() as channel:
        (page,) = [page async for page in channel.orders(cursor=None)]
        late = await desk.world.buy((offered, 1))
        desk.world.system.sales[late].changed = desk.clock.now().replace(second=50, minute=0)
        (after,) = [page async for page in channel.orders(cursor=page.cursor)]
    assert [one.order for one in page.orders] == [old]
    assert [one.order for one in after.orders] == [late]


async def test_a_push_asks_for_nothing_but_its_outcome(desk: Desk) -> None:
    offered = await desk.world.offer("MUG", 10)
    update = QuantityUpdate(key=offered.key, value=3, listing=offered.listing)
    async with desk.opened() as channel:
        assert [one.listing async for one in channel.listings()] == [offered.listing]
        asked(desk)
        assert [one.state for one in await channel.push([update])] == ["accepted"]
    assert asked(desk) == [("POST", "/quantities", 200)]
    assert desk.world.system.items[offered.listing].number == 3


async def test_a_row_that_the_answer_leaves_out_is_unknown(desk: Desk) -> None:
    mug, cup = await desk.world.offer("MUG", 10), await desk.world.offer("CUP", 10)
    desk.settings = desk.settings_at(
        desk.address,
        acknowledgements={
            "path": "quantities",
            "format": "json",
            "rows": "results",
            "columns": {"key": "id", "status": "result"},
            "accepted": ["fine"],
        },
    )
    updates = [QuantityUpdate(key=one.key, value=3, listing=one.listing) for one in (mug, cup)]
    async with desk.opened() as channel:
        assert [one.state for one in await channel.push(updates)] == ["unknown", "unknown"]


async def test_without_acknowledgements_a_success_is_one(desk: Desk) -> None:
    offered = await desk.world.offer("MUG", 10)
    desk.settings = desk.settings_at(desk.address, acknowledgements=None)
    async with desk.opened() as channel:
        update = QuantityUpdate(key=offered.key, value=3, listing=offered.listing)
        assert [one.state for one in await channel.push([update])] == ["accepted"]


async def test_a_document_of_another_shape_is_no_list_of_none(desk: Desk) -> None:
    await desk.world.offer("MUG", 10)
    listings = {"path": "items", "format": "json", "rows": "articles", "columns": {"sku": "sku", "number": "available"}}
    desk.settings = desk.settings_at(desk.address, listings=listings)
    async with desk.opened() as channel:
        with pytest.raises(AnswerUnreadable, match="no list at 'articles'"):
            [one async for one in channel.listings()]


async def test_a_check_finds_a_wrong_token_by_asking(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"token": SecretStr("wrong")})
    async with desk.opened() as channel:
        with pytest.raises(Exception, match="HTTP 401"):
            await channel.check()


def test_credentials_are_bearer_or_basic() -> None:
    orders = {"path": "o", "columns": {"order": "o", "sku": "s", "units": "u", "placed_at": "p", "changed_at": "c"}}
    place = {"place": "https://shop.example", "orders": orders}
    told = [
        authorization(FilesSettings.model_validate({**place, **more}))
        for more in ({}, {"token": "abc"}, {"username": "till", "password": "pass word"})
    ]
    assert [None if one is None else one.get_secret_value() for one in told] == [
        None,
        "Bearer abc",
        "Basic dGlsbDpwYXNzIHdvcmQ=",
    ]


async def test_an_unknown_key_has_no_value(desk: Desk) -> None:
    await desk.world.offer("MUG", 10)
    async with desk.opened() as channel:
        assert [one.value for one in await channel.read([QuantityKey("A-9")])] == [None]
