"""Rates, faults and answers: what every call meets."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.sdk.contract.world import START
from vendor_amazon import AmazonHabits, Rate, open_vendor
from vendor_amazon.rates import Buckets, rate_of

ORDERS = "/orders/2026-01-01/orders"
EARLY = "2017-06-01T08:00:00Z"


async def test_a_bucket_empties_and_fills_by_the_rate_of_the_models(call, site):
    for _ in range(20):
        call.ok("GET", ORDERS, lastUpdatedAfter=EARLY)
        assert call.headers["x-amzn-ratelimit-limit"] == "0.0056"
    assert call.code("GET", ORDERS, lastUpdatedAfter=EARLY) == (429, "QuotaExceeded")
    assert "retry-after" not in call.headers
    assert "x-amzn-ratelimit-limit" not in call.headers
    assert call.headers["x-amzn-requestid"]
    assert [each.endpoint for each in site.api.buckets.violations] == ["searchOrders"]
    call.ok("GET", "/sellers/v1/marketplaceParticipations")
    await call.wait(seconds=178)
    assert call("GET", ORDERS, lastUpdatedAfter=EARLY)[0] == 429
    await call.wait(seconds=1)
    call.ok("GET", ORDERS, lastUpdatedAfter=EARLY)


def test_a_seller_of_size_has_other_rates_and_the_header_may_be_missing(open_site, caller_of):
    habits = AmazonHabits(rates={"searchOrders": Rate(1.0, 2)}, rate_header_share=0.5)
    call = caller_of(open_site(habits=habits))
    told = set()
    for _ in range(2):
        call.ok("GET", ORDERS, lastUpdatedAfter=EARLY)
    assert call("GET", ORDERS, lastUpdatedAfter=EARLY)[0] == 429
    for _ in range(10):
        call.ok("GET", "/sellers/v1/marketplaceParticipations")
        told.add(call.headers.get("x-amzn-ratelimit-limit"))
    assert told == {None, "0.016"}


def test_every_operation_of_this_server_has_a_rate(site):
    operations = {each.id: each for each in site.api.contract.operations}
    assert [name for name in site.api._operations if rate_of(operations[name]) is None] == []


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [(FaultKind.TOO_MANY, 429, "QuotaExceeded"), (FaultKind.SERVER_ERROR, 503, "ServiceUnavailable")],
)
def test_a_fault_is_told_as_amazon_tells_it(open_site, caller_of, kind, status, code):
    fault = Fault(kind=kind, starts=START, ends=START + timedelta(hours=1), endpoints=frozenset({"orders"}))
    site = open_site(faults=FaultPlan([fault]))
    call = caller_of(site)
    assert call.code("GET", ORDERS, lastUpdatedAfter=EARLY) == (status, code)
    call.ok("GET", ORDERS, createdAfter=EARLY)
    call.ok("GET", "/sellers/v1/marketplaceParticipations")
    assert [(each.what, each.where) for each in site.api.faults.log] == [(kind.value, "orders")]


async def test_a_write_whose_answer_is_lost_is_carried_out(open_site, caller_of):
    fault = Fault(kind=FaultKind.NO_ANSWER_AFTER, starts=START, ends=START + timedelta(hours=1), endpoints={"push"})
    site = open_site(faults=FaultPlan([fault]))
    call = caller_of(site)
    item = site.catalogue.list_item("MUG", 7)
    body = {
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 3}],
            }
        ],
    }
    call("PATCH", f"/listings/2021-08-01/items/{site.seller_id}/MUG", body, marketplaceIds="A1F83G8C2ARO7P")
    await call.wait(minutes=10)
    assert site.catalogue.quantity(item) == 3


def test_pages_may_hold_a_row_twice_or_lead_nowhere(open_site, caller_of):
    ends = START + timedelta(hours=1)
    for kind in (FaultKind.ROWS_TWICE, FaultKind.SAME_CURSOR):
        site = open_site(faults=FaultPlan([Fault(kind=kind, starts=START, ends=ends)]))
        for number in range(4):
            site.catalogue.list_item(f"SKU-{number}", 1)
        call = caller_of(site)
        path = f"/listings/2021-08-01/items/{site.seller_id}"
        query = {"marketplaceIds": "A1F83G8C2ARO7P", "pageSize": 2}
        first = call.ok("GET", path, **query)
        second = call.ok("GET", path, **query, pageToken=first["pagination"]["nextToken"])
        if kind is FaultKind.ROWS_TWICE:
            assert len(first["items"]) == 3
        else:
            assert second["items"] == first["items"]


def test_an_answer_that_the_models_forbid_is_noted(contracts, clock, caller_of):
    site = open_vendor("amazon", clock, contracts=contracts)
    site.catalogue.list_item("MUG", 7).issues.append({"code": "1", "message": "It lacks the rest."})
    call = caller_of(site)
    path = f"/listings/2021-08-01/items/{site.seller_id}/MUG"
    call.ok("GET", path, marketplaceIds="A1F83G8C2ARO7P", includedData="issues")
    assert {each.operation for each in site.api.problems} == {"getListingsItem"}
    assert "severity" in str(site.api.problems)


def test_the_same_seed_gives_the_same_history(open_site, caller_of):
    told = []
    for _ in range(2):
        site = open_site(seed=5)
        site.catalogue.list_item("MUG", 7)
        order = site.marketplace.buy("MUG", 1).order.id
        told.append((order, caller_of(site).login()[1]["access_token"]))
    assert told[0] == told[1]


PATHS = (
    ORDERS,
    f"{ORDERS}/203-1234567-1234567",
    "/listings/2021-08-01/items/A3EXAMPLESELLER",
    "/listings/2021-08-01/items/A3EXAMPLESELLER/MUG",
    "/feeds/2021-06-30/feeds",
    "/feeds/2021-06-30/documents",
    "/reports/2021-06-30/reports",
    "/fba/inventory/v1/summaries",
    "/notifications/v1/destinations",
    "/notifications/v1/subscriptions/ORDER_CHANGE",
    "/auth/o2/token",
    "/tortuga-documents/x",
)
NAMES = [
    "marketplaceIds",
    "createdAfter",
    "createdBefore",
    "lastUpdatedAfter",
    "lastUpdatedBefore",
    "paginationToken",
    "pageToken",
    "nextToken",
    "maxResultsPerPage",
    "pageSize",
    "includedData",
    "identifiers",
    "identifiersType",
    "mode",
    "feedTypes",
    "reportTypes",
    "granularityId",
    "granularityType",
    "startDateTime",
    "X-Amz-Signature",
]
VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["A1F83G8C2ARO7P", EARLY, "9" * 5_000, "-1", "NaN", "Marketplace", "SKU", "5", "e30", "2017-06-01T09:00:60Z"]
    ),
)
BODIES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"NaN", b"[]", b"null", b'{"productType":1,"patches":{}}', b'{"feedType":"x","marketplaceIds":[1]}']
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["productType", "patches", "op", "path", "value", "reportType", "marketplaceIds", "sqs"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "TRACE"]),
    st.sampled_from(PATHS) | st.text(max_size=20),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
    BODIES,
)
def test_nothing_that_a_request_may_hold_makes_it_raise(call, site, method, path, query, body):
    if not call.token:
        call.token = call.login()[1]["access_token"]
        site.catalogue.list_item("MUG", 3)
    kind = {"content_type": "application/json"}
    raw = urlencode(query, errors="surrogatepass").encode()
    site.api.buckets = Buckets({})
    status, _ = call.send(method, path, body, raw, x_amz_access_token=call.token, **kind)
    assert 200 <= status < 500
