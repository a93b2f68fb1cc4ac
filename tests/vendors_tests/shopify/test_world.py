"""The world of the contract tests does what it promises, seen through the shop's own answers."""

import httpx
import pytest

from channelsync.sdk.contract.world import Fault, Nonsense
from channelsync.sdk.values import QuantityKey
from vendor_shopify.api import GRAPHQL
from vendor_shopify.world import open_world


@pytest.fixture
def world(clock, contracts):
    return open_world(clock, contracts)


async def asked(world, query):
    """The answer to a query over the world's transport."""
    headers = {"X-Shopify-Access-Token": world.site.shop.access.lasting_token()}
    async with httpx.AsyncClient(transport=world.transport, base_url=f"https://{world.site.domain}") as client:
        return await client.post(GRAPHQL, json={"query": query}, headers=headers)


async def test_an_offer_is_a_variant_with_a_plain_key(world):
    offered = await world.offer("MUG", 5)
    assert all(part.isdecimal() for part in (offered.listing, offered.key.key, offered.key.location))
    assert await world.number(offered.key) == 5
    assert await world.number(QuantityKey("1", "1")) is None
    await world.set_number(offered.key, 3)
    assert await world.number(offered.key) == 3


async def test_an_order_is_bought_unpaid_and_lives(world):
    offered = await world.offer("MUG", 5)
    order = await world.buy((offered, 3))
    assert order.isdecimal()
    assert await world.number(offered.key) == 2
    await world.pay(order)
    await world.edit(order, 2)
    await world.ship(order, 2)
    await world.take_back(order, 1)
    assert await world.number(offered.key) == 4
    answer = (await asked(world, f'{{ order(id: "gid://shopify/Order/{order}") {{ displayFinancialStatus }} }}')).json()
    assert answer["data"]["order"]["displayFinancialStatus"] == "PARTIALLY_REFUNDED"


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNAUTHORISED, Fault.FORBIDDEN, Fault.SERVER_ERROR])
@pytest.mark.parametrize("by_server", [False, True])
async def test_calls_fail_until_they_are_healed(clock, contracts, fault, by_server):
    world = open_world(clock, contracts, by_server=by_server)
    await world.fail(fault, retry_after=30)
    assert (await asked(world, "{ shop { name } }")).status_code >= 400
    await world.heal()
    assert (await asked(world, "{ shop { name } }")).status_code == 200


async def test_a_refused_item_fails_writes(world):
    offered = await world.offer("MUG", 5)
    await world.refuse(offered, "under review")
    assert offered.key.key in world.site.shop.catalogue.fixed


async def test_a_delivery_names_its_event(world):
    order = await world.buy((await world.offer("MUG", 5), 1))
    made = await world.delivery(order)
    assert made.headers["X-Shopify-Event-Id"] == made.event
    assert order.encode() in made.body


async def test_half_a_unit_cannot_be_told(world):
    with pytest.raises(pytest.skip.Exception):
        await world.buy_nonsense(Nonsense.FRACTION)
