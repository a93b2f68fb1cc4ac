"""The world that the connector's contract tests drive."""

import json

import httpx
import pytest

from channelsync.lab.faults import Deed, FaultPlan
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.sdk.contract import CANARY, ContractClock, Fault, HttpFaults, Nonsense
from channelsync.sdk.contract.world import START
from channelsync.sdk.values import QuantityKey
from vendor_ebay import EbayWorld, open_vendor

ORDERS = "/sell/fulfillment/v1/order"


@pytest.fixture(params=[False, True], ids=["inventory", "trading"])
def world(ebay, clock, request):
    return EbayWorld(ebay.site, HttpFaults(ebay.site.transport), clock, legacy=request.param)


async def test_a_listing_is_named_by_its_sku_or_its_item_and_its_key_likewise(world, ebay):
    offered = await world.offer("MUG-1", 4)
    item = next(iter(ebay.site.api.shop.legacy), "")
    assert offered.listing == (f"item:{item}" if item else "MUG-1")
    assert (offered.key.key, offered.key.location, offered.sku) == (offered.listing, "", "MUG-1")
    assert await world.number(offered.key) == 4
    await world.set_number(offered.key, 9)
    assert await world.number(offered.key) == 9
    assert await world.number(QuantityKey("none")) is None


async def test_orders_live_their_lives(world, ebay):
    offered = await world.offer("MUG-1", 4)
    order = await world.buy((offered, 2))

    def state():
        told = ebay("GET", f"{ORDERS}/{order}")[1]
        return told["orderPaymentStatus"], told["orderFulfillmentStatus"], told["cancelStatus"]["cancelState"]

    assert state() == ("PENDING", "NOT_STARTED", "NONE_REQUESTED")
    await world.pay(order)
    await world.ship(order, 1)
    assert state() == ("PAID", "IN_PROGRESS", "NONE_REQUESTED")
    await world.cancel(order)
    assert state() == ("FULLY_REFUNDED", "IN_PROGRESS", "CANCELED")
    assert await world.number(offered.key) == 3


async def test_a_refused_listing_refuses_every_write(world, ebay):
    offered = await world.offer("MUG-1", 4)
    await world.refuse(offered, "no more")
    if offered.listing == "MUG-1":
        assert ebay.write({"sku": "MUG-1", "shipToLocationAvailability": {"quantity": 1}})[1][0]["statusCode"] == 400
    else:
        item = offered.listing.removeprefix("item:")
        row = f"<InventoryStatus><ItemID>{item}</ItemID><Quantity>1</Quantity></InventoryStatus>"
        assert "<ErrorCode>240</ErrorCode>" in ebay.trading("ReviseInventoryStatus", row)
    assert await world.number(offered.key) == 4


@pytest.mark.parametrize("nonsense", list(Nonsense))
async def test_nonsense_is_listed_with_the_buyer_in_it(world, ebay, nonsense):
    order = await world.buy_nonsense(nonsense)
    told = ebay("GET", f"{ORDERS}/{order}")[1]
    assert [line["quantity"] for line in told["lineItems"]] in ([], [0.5], [-1])
    assert all(text in json.dumps(told, ensure_ascii=False) for text in CANARY)


async def test_failures_are_made_on_the_way_and_heal(ebay, clock):
    faults = HttpFaults(ebay.site.transport)
    world = EbayWorld(ebay.site, faults, clock)
    assert (await world.offer("MUG-1", 1)).listing == "MUG-1", "listings are of the Inventory API by default"
    headers = {"authorization": f"Bearer {ebay.login()}"}
    async with httpx.AsyncClient(transport=faults, base_url="https://api.ebay.example") as client:
        await world.fail(Fault.THROTTLED, retry_after=3)
        assert (await client.get(ORDERS, headers=headers)).status_code == 429
        await world.heal()
        assert (await client.get(ORDERS, headers=headers)).status_code == 200
    assert ebay.token in world.secrets
    assert world.orders_per_page == 3


async def test_the_same_seed_gives_the_same_history(contracts):
    def history(seed):
        site = open_vendor("ebay", ContractClock(START), seed=seed, contracts=contracts)
        site.api.shop.sell_item("MUG-1", 5)
        site.marketplace.buy("MUG-1", 1)
        return site.client_secret, site.public_key, list(site.marketplace.orders), site.api.shop.lines

    assert history(1) == history(1)
    assert history(1) != history(2)


def test_a_listing_that_the_lab_opens_itself_is_an_item_with_an_offer(ebay):
    ebay.site.marketplace.open_listing(Offer(listing="MUG-1", sku="MUG-1"), 5)
    told = ebay("GET", "/sell/inventory/v1/offer", sku="MUG-1")[1]["offers"][0]
    assert (told["status"], told["availableQuantity"], told["listing"]["listingStatus"]) == ("PUBLISHED", 5, "ACTIVE")
    assert ebay.site.marketplace.buy("MUG-1", 2).units == 2
    six = Offer(listing="MUG-X6", sku="MUG x6", keys=(NumberKey("MUG-X6"),), takes=(("MUG", 6),))
    assert ebay.site.marketplace.open_listing(six, 1).sku == "MUG-X6"
    assert ebay.site.marketplace.buy("MUG-X6", 1).order.lines[0].sku == "MUG-X6"
    for name, key in (("MUG x6", "MUG x6"), ("MUG-2", "K-MUG-2")):
        with pytest.raises(ValueError, match="must be a SKU"):
            ebay.site.marketplace.open_listing(Offer(listing=name, sku=name, keys=(NumberKey(key),)), 5)


async def test_the_labs_deeds_drop_tokens_and_edit_numbers(ebay, clock):
    ebay.site.api.shop.sell_item("MUG-1", 5)
    ebay.login()
    deeds = [Deed(what="tokens dropped", at=START), Deed(what="human edit", at=START, number=2)]
    await FaultPlan(deeds=deeds).do_deeds(ebay.site.marketplace, ebay.site.api.oauth, clock)
    assert ebay.error("GET", ORDERS) == (401, 1001)
    ebay.login()
    told = ebay("GET", "/sell/inventory/v1/inventory_item/MUG-1")[1]
    assert told["availability"]["shipToLocationAvailability"]["quantity"] == 2
