"""What the contract does not ask: a shop's own ways, on a server that was held to a real shop's answers."""

import base64
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.resources import unused
from channelsync.sdk.subscriptions import mend
from channelsync.sdk.values import OrderSnapshot, OrderStatus, QuantityKey, QuantityUpdate
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.channel import WooChannel
from channelsync_woocommerce.settings import WooSettings
from channelsync_woocommerce.webhooks import TOPICS, WooWebhooks
from vendor_woocommerce.options import ApiKey, SiteOptions
from vendor_woocommerce.world import WooWorld

OURS = "https://seller.example/webhooks/my-shop"


class Seller:
    """What the seller and other programs of the shop do over its API."""

    def __init__(self, world: WooWorld) -> None:
        self._world = world

    async def __call__(self, method: str, path: str, body: object = None) -> Any:
        site = self._world.site
        pair = base64.b64encode(f"{site.consumer_key}:{site.consumer_secret}".encode()).decode()
        async with httpx.AsyncClient(transport=site.transport, base_url=self._world.base_url) as client:
            found = await client.request(
                method, f"/wp-json/wc/v3{path}", json=body, headers={"Authorization": f"Basic {pair}"}
            )
        return found.raise_for_status().json()


@pytest.fixture
def options() -> SiteOptions:
    """The shop's; override it for another one."""
    return SiteOptions()


@pytest.fixture
def world(clock: ContractClock, options: SiteOptions) -> WooWorld:
    return WooWorld(clock, options=options)


@pytest.fixture
def seller(world: WooWorld) -> Seller:
    return Seller(world)


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture
def opened(world: WooWorld, clock: ContractClock, vault: MemoryVault):
    """Opens the channel of the shop with the settings of its seller; what is given differs from them."""

    @asynccontextmanager
    async def open_channel(**different: Any) -> AsyncIterator[WooChannel]:
        settings = settings_of(world, **different)
        resources = unused("my-shop", CONNECTOR.budgets(settings), clock, vault=vault, transport=world.site.transport)
        async with CONNECTOR.open(settings, resources) as channel:
            yield channel

    return open_channel


def settings_of(world: WooWorld, **different: Any) -> WooSettings:
    site = world.site
    given = {"base_url": world.base_url, "consumer_key": site.consumer_key, "consumer_secret": site.consumer_secret}
    return WooSettings(**given | different)


async def polled(channel: WooChannel, cursor: str | None) -> tuple[dict[str, OrderSnapshot], str]:
    """What a round of the poll brings, and where the next goes on."""
    found: dict[str, OrderSnapshot] = {}
    last = cursor or ""
    async for page in channel.orders(cursor=cursor):
        assert not page.unreadable
        found |= {one.order: one for one in page.orders}
        last = page.cursor
    return found, last


# The account


async def test_a_shop_has_one_name_whatever_it_sells_and_whichever_way_it_is_reached(world, opened) -> None:
    names = set()
    for sku in ("A", "B", "C"):  # from the second product on, the next page's address takes the place of the shop's
        async with opened() as channel:
            names.add((await channel.check()).name)
        await world.offer(sku, 1)
        await world.buy((await world.offer(f"{sku}-2", 5), 1))
    async with opened() as channel:
        names.add((await channel.check()).name)
    assert names == {"contract.example"}


class TestWhereTheShopNamesItselfOtherwise:
    @pytest.fixture
    def options(self) -> SiteOptions:
        return SiteOptions(address="https://www.shop.example")

    async def test_its_own_name_counts(self, world, opened) -> None:
        await world.offer("A", 1)
        await world.offer("B", 1)
        async with opened(base_url="https://shop.example") as channel:
            assert (await channel.check()).name == "www.shop.example"


@pytest.mark.parametrize(
    ("permissions", "told"), [("read", "Read/Write"), ("write", "Read/Write"), ("read_write", None)]
)
async def test_the_check_finds_out_what_the_key_may_not(world, opened, permissions: str, told: str | None) -> None:
    world.site.api.gate.keys.append(ApiKey("ck_other", "cs_other", permissions))
    async with opened(consumer_key="ck_other", consumer_secret="cs_other") as channel:
        if told is None:
            await channel.check()
            return
        with pytest.raises(NeedsSeller, match=told):
            await channel.check()


class TestBehindAHostThatDropsTheHeader:
    @pytest.fixture
    def options(self) -> SiteOptions:
        return SiteOptions(strips_authorization=True)

    async def test_the_error_says_which_setting_helps_and_it_does(self, opened) -> None:
        async with opened() as channel:
            with pytest.raises(NeedsSeller, match='auth = "query"'):
                await channel.check()
        async with opened(auth="query") as channel:
            assert (await channel.check()).name == "contract.example"


class TestBehindAPluginThatWritesANotice:
    @pytest.fixture(params=["\ufeff", "<br />\n<b>Notice</b>: Undefined index in plugin.php on line 7<br />\n"])
    def options(self, request) -> SiteOptions:
        return SiteOptions(notice=request.param)

    async def test_nothing_is_read_into_its_answers(self, world, opened) -> None:
        mug = await world.offer("MUG", 10)
        async with opened() as channel:
            with pytest.raises(ChannelMisbehaved, match="JSON"):
                await channel.check()
            with pytest.raises(ChannelMisbehaved, match="JSON"):
                await channel.read([mug.key])
            with pytest.raises(ChannelMisbehaved, match="JSON"):
                await channel.push([QuantityUpdate(key=mug.key, value=5, listing=mug.listing)])


@pytest.mark.parametrize(
    ("minutes", "advised"), [(None, []), (60, []), (90, ["Set hold_stock_minutes = 90 in [channel.settings]."])]
)
async def test_how_long_the_shop_holds_units_is_compared(clock, vault, minutes, advised) -> None:
    world = WooWorld(clock, options=SiteOptions(hold_minutes=minutes))
    settings = settings_of(world)
    resources = unused("my-shop", CONNECTOR.budgets(settings), clock, vault=vault, transport=world.site.transport)
    async with CONNECTOR.open(settings, resources) as channel:
        points = await channel.inspect()
    assert [point.advice for point in points if not point.fine] == advised


# Numbers


async def test_a_write_that_the_shop_ignores_is_refused(world, opened, seller) -> None:
    loose = await seller("POST", "/products", {"name": "Loose", "sku": "LOOSE", "regular_price": "1"})
    shared = await world.offer_variation("SHIRT-S", 7, by_parent=True)
    mug = await world.offer("MUG", 10)
    keys = [QuantityKey(str(loose["id"])), QuantityKey(shared.listing), mug.key]
    async with opened() as channel:
        results = await channel.push([QuantityUpdate(key=key, value=3, listing=key.key) for key in keys])
        assert [one.state for one in results] == ["refused", "refused", "accepted"]
        assert "Track stock quantity" in results[0].reason
        assert "parent" in results[1].reason
        assert [one.value for one in await channel.read(keys)] == [None, None, 3]
    assert await world.number(shared.key) == 7


async def test_an_unmanaged_listing_is_listed_and_not_tracked(world, opened, seller) -> None:
    await seller("POST", "/products", {"name": "Loose", "sku": "LOOSE", "regular_price": "1"})
    shared = await world.offer_variation("SHIRT-S", 7, by_parent=True)
    async with opened() as channel:
        listings = {one.sku: one async for one in channel.listings()}
    assert (listings["LOOSE"].tracked, listings["LOOSE"].shown) == (False, {})
    assert (listings["SHIRT-S"].tracked, listings["SHIRT-S"].shown) == (True, {shared.key: 7})


# Orders


@pytest.mark.parametrize(("statuses", "after"), [([], OrderStatus.CANCELLED), (["completed"], OrderStatus.CLOSED)])
async def test_an_order_that_goes_to_the_trash_comes_with_the_next_poll(world, opened, seller, statuses, after) -> None:
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 2))
    for status in statuses:
        await seller("PUT", f"/orders/{order}", {"status": status})
    async with opened() as channel:
        _, cursor = await polled(channel, None)
        await world.advance(CONNECTOR.capabilities(settings_of(world)).order_overlap * 3)
        _, cursor = await polled(channel, cursor)
        await seller("DELETE", f"/orders/{order}")
        found, _ = await polled(channel, cursor)
    assert found[order].status is after


STEPS = ("pending", "on-hold", "processing", "completed", "cancelled", "failed", "refunded", "trash", "edit", "refund")


async def step(seller: Seller, order: str, kind: str, draw: random.Random) -> None:
    """One thing that a seller does to an order; nothing where the shop does not let it."""
    shown = await seller("GET", f"/orders/{order}")
    lines = shown["line_items"]
    if kind == "trash":
        await seller("DELETE", f"/orders/{order}")
    elif kind == "edit":
        row = {"id": draw.choice(lines)["id"], "quantity": draw.randint(1, 4)}
        await seller("PUT", f"/orders/{order}", {"line_items": [row]})
    elif kind == "refund":
        refunds = await seller("GET", f"/orders/{order}/refunds")
        left = lines[0]["quantity"] + sum(row["quantity"] for refund in refunds for row in refund["line_items"])
        money = float(shown["total"]) - sum(float(refund["amount"]) for refund in refunds)
        if left > 0 and money > 0:
            units = draw.randint(1, left)
            row = {"id": lines[0]["id"], "quantity": units, "refund_total": "0.01"}
            restock = draw.random() < 0.5
            body = {"amount": "0.01", "api_refund": False, "api_restock": restock, "line_items": [row]}
            await seller("POST", f"/orders/{order}/refunds", body)
    else:
        await seller("PUT", f"/orders/{order}", {"status": kind})


def stories(number: int) -> Iterator[list[str]]:
    """Some ways that an order may go. The trash ends each; what was cancelled is not edited any more."""
    for turn in range(number):
        draw = random.Random(turn)
        kinds = [draw.choice(STEPS) for _ in range(draw.randint(1, 6))]
        kinds = kinds[: kinds.index("trash") + 1] if "trash" in kinds else kinds
        yield [kind for at, kind in enumerate(kinds) if kind != "edit" or "cancelled" not in kinds[:at]]


@pytest.mark.parametrize("story", [" ".join(each) for each in dict.fromkeys(map(tuple, stories(60)))])
async def test_what_a_poll_tells_explains_the_number(world, opened, seller, moved, story: str) -> None:
    mug = await world.offer("MUG", 100)
    order = await world.buy((mug, 3))
    seen: list[OrderSnapshot] = []
    async with opened() as channel:
        for kind in ["", *story.split()]:
            await world.advance(CONNECTOR.capabilities(settings_of(world)).order_overlap / 60)
            if kind:
                await step(seller, order, kind, random.Random(story))
            (found,) = await channel.orders_by_id([order])
            assert isinstance(found, OrderSnapshot)
            seen.append(found)
            assert 100 + moved(*seen).get(mug.listing, 0) == await world.number(mug.key), kind


@pytest.mark.parametrize("restock", [True, False])
@pytest.mark.parametrize("shipped", [True, False])
@pytest.mark.parametrize("refunds", [(1,), (1, 2), (3,)])
async def test_what_a_poll_tells_of_refunds_explains_the_number(
    world, opened, seller, moved, restock: bool, shipped: bool, refunds: tuple[int, ...]
) -> None:
    mug = await world.offer("MUG", 100)
    order = await world.buy((mug, 3))
    await seller("PUT", f"/orders/{order}", {"status": "completed" if shipped else "processing"})
    (line,) = (await seller("GET", f"/orders/{order}"))["line_items"]
    async with opened() as channel:
        seen = list(await channel.orders_by_id([order]))
        for units in refunds:
            await world.advance(CONNECTOR.capabilities(settings_of(world)).order_overlap)
            row = {"id": line["id"], "quantity": units, "refund_total": f"{units}.00"}
            body = {"amount": f"{units}.00", "api_refund": False, "api_restock": restock, "line_items": [row]}
            await seller("POST", f"/orders/{order}/refunds", body)
            seen += await channel.orders_by_id([order])
            assert 100 + moved(*seen).get(mug.listing, 0) == await world.number(mug.key)
    gone = seen[-1].lines[0]
    told = (gone.returned if shipped else gone.cancelled) if restock else (() if shipped else gone.lost)
    assert [one.units for one in told] == (list(refunds) if restock or not shipped else [])


# Webhooks


class Receiver:
    """Takes what the shop delivers."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[httpx.Request] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        return httpx.Response(self.status)

    async def all_of(self, world: WooWorld) -> list[httpx.Request]:
        """Lets everything that waits go out, and gives what came of it."""
        before = len(self.got)
        await world.site.api.deliveries.send(self.client, world.base_url, all_of_them=True)
        return self.got[before:]


async def test_webhooks_are_registered_once_with_a_secret_that_their_deliveries_pass_by(
    world, opened, vault, clock
) -> None:
    receiver, scheme = Receiver(), WooWebhooks((), vault)
    async with opened() as channel:
        assert set((await mend(channel, OURS)).missing) == set(TOPICS)
        assert not (await mend(channel, OURS)).needed
    pings = [await scheme.verify(one.headers, one.content, clock.now()) for one in await receiver.all_of(world)]
    assert len(pings) == len(TOPICS)
    assert all(isinstance(one, Harmless) for one in pings)
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 1))
    await world.set_number(mug.key, 4)
    hints = [await scheme.verify(one.headers, one.content, clock.now()) for one in await receiver.all_of(world)]
    assert all(isinstance(hint, WebhookHint) for hint in hints)
    assert {(hint.topic, hint.orders, hint.keys) for hint in hints} == {
        ("order.created", (order,), ()),
        ("order.updated", (order,), ()),
        ("product.updated", (), (mug.key,)),
    }


async def test_a_webhook_that_the_shop_has_switched_off_is_switched_on_again(world, opened) -> None:
    receiver = Receiver(status=500)
    async with opened() as channel:
        await mend(channel, OURS)
        await receiver.all_of(world)
        mug = await world.offer("MUG", 100)
        for _ in range(7):
            await world.buy((mug, 1))
            await receiver.all_of(world)
        off = {one.topic for one in await channel.subscriptions() if not one.active}
        assert off == {"order.created", "order.updated"}
        assert {one.topic for one in (await mend(channel, OURS)).off} == off
        assert all(one.active for one in await channel.subscriptions())
        for one in await channel.subscriptions():
            await channel.unsubscribe(one)
        assert await channel.subscriptions() == []
