"""The shop as the other side of the connectors' contract, asked over HTTP in process and on a socket."""

import base64
import json
from datetime import timedelta

import httpx
import pytest

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.contract.world import CANARY, ContractClock, Fault, Nonsense, World
from channelsync.sdk.values import QuantityKey
from vendor_woocommerce.deliveries import signature
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.world import PER_PAGE, WooWorld


@pytest.fixture
def world(clock: ContractClock) -> WooWorld:
    return WooWorld(clock)


async def _get(world: WooWorld, path: str, **params: str) -> httpx.Response:
    site = world.site
    auth = httpx.BasicAuth(site.consumer_key, site.consumer_secret)
    async with httpx.AsyncClient(transport=world.transport, base_url=world.base_url, auth=auth) as client:
        return await client.get(f"/wp-json/wc/v3{path}", params=params)


def test_it_is_a_world(world: World) -> None:
    assert world.orders_per_page == PER_PAGE <= 5
    assert set(world.canaries) == set(CANARY)


async def test_a_day_in_the_world_shows_in_the_shop(world: WooWorld) -> None:
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 3))
    assert await world.number(mug.key) == 10
    await world.edit(order, 2)
    await world.pay(order)
    assert await world.number(mug.key) == 8
    await world.ship(order, 2)
    assert (await _get(world, f"/orders/{order}")).json()["status"] == "completed"
    await world.take_back(order, 1)
    assert await world.number(mug.key) == 9
    await world.set_number(mug.key, 4)
    assert (await _get(world, f"/products/{mug.listing}")).json()["stock_quantity"] == 4
    other = await world.buy((mug, 1))
    await world.cancel(other)
    assert (await _get(world, f"/orders/{other}")).json()["status"] == "cancelled"
    assert await world.number(QuantityKey("4711")) is None


@pytest.mark.parametrize("by_parent", [False, True])
async def test_a_variation_is_named_by_its_parent_and_its_number_by_who_manages_it(
    world: WooWorld, *, by_parent: bool
) -> None:
    shirt = await world.offer_variation("SHIRT-S", 5, by_parent=by_parent)
    parent, _, child = shirt.listing.partition(":")
    assert shirt.key == QuantityKey(parent if by_parent else shirt.listing)
    shown = (await _get(world, f"/products/{parent}/variations/{child}")).json()
    assert (shown["stock_quantity"], shown["manage_stock"]) == (5, "parent" if by_parent else True)
    order = await world.buy((shirt, 2))
    await world.pay(order)
    line = (await _get(world, f"/orders/{order}")).json()["line_items"][0]
    assert (line["product_id"], line["variation_id"]) == (int(parent), int(child))
    assert await world.number(shirt.key) == 3


async def test_pages_are_short_whatever_is_asked_for(world: WooWorld) -> None:
    mug = await world.offer("MUG", 100)
    for _ in range(PER_PAGE + 1):
        await world.buy((mug, 1))
    told = await _get(world, "/orders", per_page="100")
    assert (len(told.json()), told.headers["x-wp-totalpages"]) == (PER_PAGE, "2")
    assert len((await _get(world, "/orders", per_page="100", page="2")).json()) == 1


@pytest.mark.parametrize(
    ("nonsense", "quantities"), [(Nonsense.NO_LINES, []), (Nonsense.FRACTION, [0.5]), (Nonsense.NEGATIVE, [-1])]
)
async def test_nonsense_is_what_its_name_says(world: WooWorld, nonsense: Nonsense, quantities: list[float]) -> None:
    order = await world.buy_nonsense(nonsense)
    lines = (await _get(world, f"/orders/{order}")).json()["line_items"]
    assert [line["quantity"] for line in lines] == quantities


async def test_a_part_shipment_is_skipped(world: WooWorld) -> None:
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 3))
    with pytest.raises(pytest.skip.Exception, match="no partial shipment"):
        await world.ship(order, 1)


async def test_refusals_and_faults_are_the_world_s_to_make(world: WooWorld) -> None:
    mug = await world.offer("MUG", 10)
    await world.refuse(mug, "under review")
    site = world.site
    auth = httpx.BasicAuth(site.consumer_key, site.consumer_secret)
    async with httpx.AsyncClient(transport=world.transport, base_url=world.base_url, auth=auth) as client:
        told = await client.put(f"/wp-json/wc/v3/products/{mug.listing}", json={"stock_quantity": 3})
    assert (told.status_code, told.json()["message"]) == (400, "under review")
    await world.fail(Fault.THROTTLED, retry_after=7)
    told = await _get(world, "/orders")
    assert (told.status_code, told.headers["retry-after"]) == (429, "7")
    await world.heal()
    assert (await _get(world, "/orders")).status_code == 200


async def test_a_delivery_tells_of_the_order_and_is_signed(world: WooWorld) -> None:
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 1))
    delivery = await world.delivery(order)
    assert json.loads(delivery.body)["id"] == int(order)
    assert delivery.headers["X-WC-Webhook-Signature"] == signature(world.site.webhook_secret, delivery.body)
    assert delivery.event is None, "the id of a delivery is not its own: see delivery_id"


async def test_time_passes_in_the_shop_too(clock: ContractClock) -> None:
    world = WooWorld(clock, options=SiteOptions(hold_minutes=10))
    mug = await world.offer("MUG", 10)
    order = await world.buy((mug, 1))
    await world.advance(timedelta(minutes=11))
    assert (await _get(world, f"/orders/{order}")).json()["status"] == "cancelled"
    assert world.orders_per_page == PER_PAGE, "the connector is set to ask for so many"


async def test_the_shop_is_reached_on_a_socket_too(world: WooWorld) -> None:
    mug = await world.offer("MUG", 10)
    site = world.site
    token = base64.b64encode(f"{site.consumer_key}:{site.consumer_secret}".encode()).decode()
    async with loopback_server(site.app) as url, httpx.AsyncClient(base_url=url) as client:
        headers = {"authorization": f"Basic {token}"}
        told = await client.get("/wp-json/wc/v3/products", headers=headers, params={"include": mug.listing})
    assert [each["sku"] for each in told.json()] == ["MUG"]
    assert told.json()[0]["permalink"].startswith(f"https://127.0.0.1:{url.rpartition(':')[2]}/")
