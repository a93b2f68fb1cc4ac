"""Amazon as a world for connectors' tests, in process and behind a socket, and as a site for the lab's buyers."""

import random
from datetime import timedelta

import httpx
import pytest

from channelsync.lab.marketplace_fronts import InProcessTransport
from channelsync.lab.marketplace_values import Offer
from channelsync.lab.virtual_time import LabClock, loopback_server, run_virtual
from channelsync.sdk.contract import CANARY, Fault, HttpFaults, Nonsense
from channelsync.sdk.contract.world import START
from vendor_amazon import AmazonHabits, open_vendor
from vendor_amazon.sandbox import SandboxApi
from vendor_amazon.world import ORDERS_PER_PAGE, AmazonWorld

ORDERS = "/orders/2026-01-01/orders"


@pytest.fixture
def habits():
    return AmazonHabits(page_max=ORDERS_PER_PAGE)


@pytest.fixture
def wire(site):
    return HttpFaults(site.transport)


@pytest.fixture
def world(site, wire, clock):
    return AmazonWorld(site, wire, clock)


async def login(client, site):
    form = {
        "grant_type": "refresh_token",
        "refresh_token": site.refresh_token,
        "client_id": site.client_id,
        "client_secret": site.client_secret,
    }
    return (await client.post("/auth/o2/token", data=form)).json()["access_token"]


async def test_the_world_sells_ships_and_cancels(world, call, site):
    blue, red = await world.offer("MUG-BLUE", 10), await world.offer("MUG-RED", 10)
    assert (blue.listing, blue.sku, blue.key.key) == ("MUG-BLUE", "MUG-BLUE", "MUG-BLUE")
    order = await world.buy((blue, 3), (red, 1))
    assert (await world.number(blue.key), await world.number(red.key)) == (7, 9)

    def told():
        found = call.ok("GET", f"{ORDERS}/{order}", includedData="FULFILLMENT")["order"]
        return found["fulfillment"]["fulfillmentStatus"], found["orderItems"][0]["fulfillment"]["quantityUnfulfilled"]

    assert told() == ("PENDING", 3)
    await world.pay(order)
    await world.edit(order, 2)
    assert told() == ("UNSHIPPED", 2)
    assert await world.number(blue.key) == 8
    await world.ship(order, 1)
    assert told() == ("PARTIALLY_SHIPPED", 1)
    await world.cancel(await world.buy((red, 2)))
    assert await world.number(red.key) == 9
    await world.set_number(red.key, 4)
    assert await world.number(red.key) == 4
    with pytest.raises(pytest.skip.Exception, match="reports"):
        await world.take_back(order, 1)


async def test_a_page_holds_no_more_orders_than_the_world_says(world, call):
    offered = await world.offer("MUG", 100)
    for _ in range(2 * world.orders_per_page):
        await world.buy((offered, 1))
    await world.advance(timedelta(minutes=10))
    page = call.ok("GET", ORDERS, lastUpdatedAfter="2017-06-01T09:00:00Z", maxResultsPerPage=100)
    assert len(page["orders"]) == world.orders_per_page <= 5


@pytest.mark.parametrize("nonsense", list(Nonsense))
async def test_nonsense_comes_as_an_order_that_nobody_can_ship(world, call, nonsense):
    order = await world.buy_nonsense(nonsense)
    items = call.ok("GET", f"{ORDERS}/{order}")["order"]["orderItems"]
    assert [item["quantityOrdered"] for item in items] == {
        Nonsense.NO_LINES: [],
        Nonsense.FRACTION: [0.5],
        Nonsense.NEGATIVE: [-1],
    }[nonsense]


async def test_the_world_fails_and_heals_on_either_side_of_the_wire(site, wire, clock, world):
    async with httpx.AsyncClient(transport=wire, base_url="http://amazon.example") as client:
        for one in (world, AmazonWorld(site, wire, clock, by_server=True)):
            await one.fail(Fault.THROTTLED, retry_after=7)
            answer = await client.post("/auth/o2/token")
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
            await one.heal()
            assert await login(client, site) in one.secrets


async def test_a_canary_sings_where_buyers_are_told_and_where_they_wrote_themselves(world, call):
    order = await world.buy((await world.offer("MUG", 9), 1))
    assert not [text for text in world.canaries if text in str(call.ok("GET", f"{ORDERS}/{order}"))]
    assert CANARY[0] in str(call.ok("GET", f"{ORDERS}/{order}", includedData="FULFILLMENT"))


@pytest.mark.processes
def test_it_answers_behind_a_socket_in_simulated_time(contracts):
    async def story():
        clock = LabClock()
        site = open_vendor("amazon", clock, contracts=contracts)
        site.catalogue.list_item("A/B", 3)
        async with loopback_server(site.app) as address, httpx.AsyncClient(base_url=address) as client:
            headers = {"x-amz-access-token": await login(client, site)}
            path = f"/listings/2021-08-01/items/{site.seller_id}/A%2FB"
            query = {"marketplaceIds": site.marketplace_ids[0]}
            answer = await client.get(path, params=query, headers=headers)
            opened = await client.post(
                "/feeds/2021-06-30/documents", json={"contentType": "text/plain"}, headers=headers
            )
            put = await client.put(opened.json()["url"], content=b"{}", headers={"content-type": "text/plain"})
            return answer.json()["sku"], opened.json()["url"].startswith(address), put.status_code, site.api.problems

    assert run_virtual(story(), start=START) == ("A/B", True, 200, [])


async def test_the_sandbox_stands_behind_the_same_fronts(site, clock):
    transport = InProcessTransport(SandboxApi(site), clock, random.Random(1))
    async with httpx.AsyncClient(transport=transport, base_url="http://amazon.example") as client:
        headers = {"x-amz-access-token": await login(client, site)}
        answer = await client.get(f"{ORDERS}/TEST_CASE_400", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "InvalidInput")


def test_listings_are_named_by_their_sku(site):
    with pytest.raises(ValueError, match="seller SKU"):
        site.marketplace.open_listing(Offer(listing="L-1", sku="MUG"), 3)
    site.marketplace.open_listing(Offer(listing="MUG", sku="MUG"), 3)
    assert site.catalogue.item("MUG").marketplace_ids == (site.marketplace_ids[0],)
    assert [key.key for key in site.marketplace.quantity_keys()] == ["MUG"]
