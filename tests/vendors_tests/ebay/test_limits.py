"""Limits and faults of the eBay test server, who the seller is, and the fronts that serve it."""

from dataclasses import replace

import httpx
import pytest

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_http import Request
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.contract.world import START
from vendor_ebay import EBAY_RULES, EbayBehaviour

ITEMS = "/sell/inventory/v1/inventory_item"
LIMITS = "/developer/analytics/v1_beta/rate_limit/"


def left(ebay, name):
    told = ebay("GET", LIMITS, api_name=name)[1]["rateLimits"]
    assert len(told) == 1
    return told[0]["resources"][0]["rates"][0]


async def test_calls_of_a_day_are_counted_told_and_limited(opened, clock):
    behaviour = EbayBehaviour()
    ebay = opened(behaviour=replace(behaviour, quotas=dict(behaviour.quotas) | {"sell.inventory": 2}))
    assert [ebay("GET", ITEMS)[0] for _ in range(2)] == [200, 200]
    rate = left(ebay, "inventory")
    assert rate == {"limit": 2, "remaining": 0, "reset": "2017-06-02T08:00:00.000Z", "timeWindow": 86_400}
    assert ebay.error("GET", ITEMS) == (429, 2001)
    assert "retry-after" not in ebay.headers
    assert [each.budget for each in ebay.site.api.meter.violations] == ["day"]
    assert ebay("GET", "/sell/fulfillment/v1/order")[0] == 200
    await clock.sleep(23 * 3_600)
    ebay.login()
    assert ebay("GET", ITEMS)[0] == 200


def test_the_limits_are_filtered_and_nothing_is_no_content(ebay):
    assert len(ebay("GET", LIMITS)[1]["rateLimits"]) == 7
    assert {each["apiContext"] for each in ebay("GET", LIMITS, api_context="sell")[1]["rateLimits"]} == {"sell"}
    assert ebay("GET", LIMITS, api_name="astrology") == (204, None)


def test_a_burst_above_the_budget_is_refused(opened):
    rules = replace(EBAY_RULES, budget_capacity=2.0, budget_per_second=0.5, retry_after="seconds")
    ebay = opened(rules=rules)
    assert [ebay("GET", ITEMS)[0] for _ in range(3)] == [200, 200, 429]
    assert ebay.headers["retry-after"] == "2"
    assert [each.budget for each in ebay.site.api.meter.violations] == ["second"]


def test_who_the_seller_is_and_whether_they_may_sell(ebay):
    for path in ("/commerce/identity/v1/user/", "/commerce/identity/v1/user"):
        assert ebay("GET", path)[1]["username"] == ebay.site.seller
    assert ebay("GET", "/sell/account/v1/privilege")[1]["sellerRegistrationCompleted"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/sell/astrology/v1/star", 404), ("PATCH", ITEMS, 405), ("POST", "/", 404)],
)
def test_what_ebay_does_not_have_is_not_there(ebay, method, path, status):
    assert ebay.error(method, path) == (status, 2002)


@pytest.mark.parametrize(
    ("kind", "status", "fate"),
    [
        (FaultKind.TOO_MANY, 429, "arrives"),
        (FaultKind.SERVER_ERROR, 503, "arrives"),
        (FaultKind.SERVER_ERROR_AFTER, 503, "arrives"),
        (FaultKind.HTML, 200, "arrives"),
        (FaultKind.HTML_AFTER, 200, "arrives"),
        (FaultKind.EMPTY_AFTER, 200, "arrives"),
        (FaultKind.NO_ANSWER, 0, "is never sent"),
        (FaultKind.NO_ANSWER_AFTER, 200, "is never sent"),
        (FaultKind.OUTAGE, 0, "is refused"),
        (FaultKind.RESET_AFTER, 200, "is reset"),
        (FaultKind.TRUNCATED_AFTER, 200, "is cut short"),
        (FaultKind.DRIP, 200, "drips"),
    ],
)
def test_the_labs_faults_spoil_calls_by_the_labs_names(ebay, kind, status, fate):
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    ebay.login()
    ends = START.replace(year=2018)
    fault = Fault(kind=kind, starts=START, ends=ends, endpoints=frozenset({"push"}), retry_after=7)
    ebay.site.api.faults = FaultPlan([fault])
    body = b'{"requests":[{"offers":[{"offerId":"%s","availableQuantity":5}]}]}' % sale.id.encode()
    headers = {"authorization": f"Bearer {ebay.token}", "content-type": "application/json"}
    request = Request("POST", "/sell/inventory/v1/bulk_update_price_quantity", {}, headers, body)
    reply = ebay.site.api.handle(request)
    assert (reply.status, reply.fate) == (status, fate)
    done = kind.value.endswith("after success") or kind is FaultKind.DRIP
    assert ebay.site.marketplace.can_buy("MUG-1") == (5 if done else 1)
    if kind in (FaultKind.TOO_MANY, FaultKind.SERVER_ERROR):
        assert reply.headers["retry-after"] == "7"
    assert ebay("GET", ITEMS)[0] == 200


@pytest.mark.processes
async def test_it_is_served_on_a_socket_and_in_process(ebay):
    ebay.site.api.shop.sell_item("MUG-1", 3)
    headers = {"authorization": f"Bearer {ebay.login()}"}
    async with httpx.AsyncClient(transport=ebay.site.transport, base_url="https://api.ebay.example") as client:
        inside = await client.get(ITEMS, headers=headers)
    async with loopback_server(ebay.site.app) as address, httpx.AsyncClient(base_url=address) as client:
        outside = await client.get(ITEMS, headers=headers)
        form = {"grant_type": "refresh_token", "refresh_token": ebay.site.refresh_token}
        keys = (ebay.site.client_id, ebay.site.client_secret)
        assert (await client.post("/identity/v1/oauth2/token", data=form, auth=keys)).status_code == 200
    assert inside.json() == outside.json()
    assert inside.json()["total"] == 1
