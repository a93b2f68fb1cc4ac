"""The lab's faults, buyers and fronts work with the shop as with any marketplace."""

import asyncio
from datetime import timedelta

import httpx
import orjson
import pytest

from channelsync.lab.buyers import MIXED, Demand, poisson, send_buyers
from channelsync.lab.faults import ORDER_ENDPOINTS, Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_referee import judged
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.contract.world import START
from vendor_shopify import open_vendor
from vendor_shopify.api import GRAPHQL

SHOP = orjson.dumps({"query": "{ shop { name } }"})


@pytest.fixture
def spoilt(ask):
    """A shop of which every call meets this fault."""

    def spoil(kind, **more):
        now = ask.clock.now()
        ask.site.api.faults.faults = (Fault(kind=kind, starts=now, ends=now + timedelta(days=1), **more),)
        return ask

    return spoil


def test_throttling_is_told_in_the_answer_or_by_status_with_a_time(spoilt):
    ask = spoilt(FaultKind.TOO_MANY)
    reply = ask.raw(SHOP)
    assert reply.status == 200
    told = orjson.loads(reply.body)
    assert told["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert told["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 0
    spoilt(FaultKind.TOO_MANY, retry_after=7.0)
    reply = ask.raw(SHOP)
    assert (reply.status, reply.headers["retry-after"]) == (429, "7.0")


@pytest.mark.parametrize(
    ("kind", "status", "fate"),
    [
        (FaultKind.SERVER_ERROR, 503, "arrives"),
        (FaultKind.HTML, 200, "arrives"),
        (FaultKind.OUTAGE, 0, "is refused"),
        (FaultKind.NO_ANSWER, 0, "is never sent"),
    ],
)
def test_a_fault_before_a_call_changes_nothing(spoilt, kind, status, fate):
    ask = spoilt(kind)
    mug = ask.site.shop.catalogue.offer("MUG", 5)
    reply = ask.raw(_push(ask, mug))
    assert (reply.status, reply.fate) == (status, fate)
    assert ask.site.marketplace.number(mug.keys[0]) == 5


@pytest.mark.parametrize(
    ("kind", "status", "fate"),
    [
        (FaultKind.NO_ANSWER_AFTER, 200, "is never sent"),
        (FaultKind.TRUNCATED_AFTER, 200, "is cut short"),
        (FaultKind.SERVER_ERROR_AFTER, 503, "arrives"),
        (FaultKind.HTML_AFTER, 200, "arrives"),
        (FaultKind.EMPTY_AFTER, 200, "arrives"),
    ],
)
def test_a_fault_after_a_call_has_done_it_and_spoils_the_answer(spoilt, kind, status, fate):
    ask = spoilt(kind)
    mug = ask.site.shop.catalogue.offer("MUG", 5)
    reply = ask.raw(_push(ask, mug))
    assert (reply.status, reply.fate) == (status, fate)
    assert ask.site.marketplace.number(mug.keys[0]) == 9
    if fate == "arrives":
        assert not reply.body.startswith(b"{")


def _push(ask, offer):
    row = ask.row(offer) | {"quantity": 9, "changeFromQuantity": 5}
    asked = {"name": "available", "reason": "correction", "quantities": [row]}
    query = """mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) @idempotent(key: "k")
               { userErrors { code } } }"""
    return orjson.dumps({"query": query, "variables": {"i": asked}})


def test_the_orders_interface_can_be_down_alone(spoilt):
    ask = spoilt(FaultKind.SERVER_ERROR, endpoints=ORDER_ENDPOINTS)
    for query, variables, status in (
        ("{ orders(first: 1) { nodes { id } } }", {}, 503),
        ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["gid://shopify/Order/1"]}, 503),
        ("{ productVariants(first: 1) { nodes { id } } }", {}, 200),
    ):
        assert ask.raw(orjson.dumps({"query": query, "variables": variables})).status == status


def test_pages_can_hold_rows_twice_or_lead_back(spoilt):
    ask = spoilt(FaultKind.ROWS_TWICE)
    for number in range(3):
        ask.site.shop.catalogue.offer(f"MUG-{number}", 1)
    query = """query($a: String) { productVariants(first: 2, after: $a)
               { nodes { sku } pageInfo { endCursor hasNextPage } } }"""
    assert len(ask.data(query)["productVariants"]["nodes"]) == 4
    spoilt(FaultKind.SAME_CURSOR)
    first = ask.data(query)["productVariants"]["pageInfo"]["endCursor"]
    again = ask.data(query, a=first)["productVariants"]["pageInfo"]
    assert (again["endCursor"], again["hasNextPage"]) == (first, True)


def test_every_exchange_is_kept(ask):
    ask.raw(SHOP)
    (seen,) = ask.site.api.seen
    assert (seen.endpoint, seen.reply.status, seen.content["query"]) == ("account", 200, "{ shop { name } }")


def test_the_labs_buyers_and_referee_work_with_the_shop(contracts):
    async def run():
        clock = LabClock()
        site = open_vendor("corner-shop", clock, contracts=contracts, faults=FaultPlan())
        mug = site.shop.catalogue.offer("MUG", 40)
        demand = [Demand(0.5, {"corner-shop": mug.listing}, {"corner-shop": 1.0}, (1, 2))]
        orders = poisson(demand, starts=clock.now(), lasts=timedelta(hours=3), seed=1, fates=MIXED)
        await send_buyers(orders, {"corner-shop": site.marketplace}, clock, fates=MIXED, seed=1)
        await clock.sleep(10)
        token = site.shop.access.lasting_token()
        query = """query($a: String) { orders(first: 50, after: $a, sortKey: UPDATED_AT) { nodes { id
                   lineItems(first: 5) { nodes { quantity currentQuantity unfulfilledQuantity } }
                   refunds { refundLineItems(first: 5) { nodes { restockType quantity } } }
                   returns(first: 5) { nodes { totalQuantity } } } pageInfo { hasNextPage endCursor } } }"""
        async with httpx.AsyncClient(transport=site.transport, base_url=f"https://{site.domain}") as client:
            found, after = [], None
            while True:
                content = {"query": query, "variables": {"a": after}}
                answer = await client.post(GRAPHQL, json=content, headers={"X-Shopify-Access-Token": token})
                page = answer.json()["data"]["orders"]
                found += page["nodes"]
                after = page["pageInfo"]["endCursor"]
                if not page["pageInfo"]["hasNextPage"]:
                    return site, found

    site, found = run_virtual(run(), start=START)
    assert len({each["id"] for each in found}) == len(site.marketplace.orders) > 10
    assert site.api.problems == []
    referee = judged([site.marketplace.log], {"MUG": 40})
    assert referee.oversold == {}
    restocked = sum(
        row["quantity"]
        for order in found
        for refund in order["refunds"]
        for row in refund["refundLineItems"]["nodes"]
        if row["restockType"] != "NO_RESTOCK"
    )
    gone = sum(line.ordered for order in site.marketplace.orders.values() for line in order.lines)
    assert site.marketplace.number(next(iter(site.marketplace.quantity_keys()))) == 40 - gone + restocked


def test_the_transport_makes_errors_of_what_happens_to_connections(ask):
    async def call():
        async with httpx.AsyncClient(transport=ask.site.transport, base_url=f"https://{ask.site.domain}") as client:
            await client.post(GRAPHQL, content=SHOP)

    now = ask.clock.now()
    ask.site.api.faults.faults = (Fault(kind=FaultKind.OUTAGE, starts=now, ends=now + timedelta(days=1)),)
    with pytest.raises(httpx.ConnectError):
        asyncio.run(call())


def test_the_same_seed_gives_the_same_shop(contracts, clock):
    shops = [open_vendor("a", clock, contracts=contracts, seed=seed) for seed in (1, 1, 2)]
    assert shops[0].client_secret == shops[1].client_secret != shops[2].client_secret
