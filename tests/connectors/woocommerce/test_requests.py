"""Every call of ours is one that a real shop's own list of routes takes: its path, its parameters, the rows of a batch.

WooCommerce publishes no schema; every shop tells its routes with their arguments, and a real one's list was recorded.
The fixture `judged` holds each request of all these tests against it. Here each call is made once, for none to be left
out.
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.client import WooClient

DAY = datetime(2017, 6, 1, tzinfo=UTC)
NO_ROUTE = {"code": "rest_no_route", "message": "No route was found.", "data": {"status": 404}}
UNKNOWN = {"code": "woocommerce_rest_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}
ID, PRODUCT, ORDER = r"(?P<id>[\d]+)", r"(?P<product_id>[\d]+)", r"(?P<order_id>[\d]+)"

CALLS = {
    "GET /wc/v3/orders",
    f"GET /wc/v3/orders/{ID}",
    f"GET /wc/v3/orders/{ORDER}/refunds",
    "GET /wc/v3/products",
    "POST /wc/v3/products/batch",
    f"GET /wc/v3/products/{PRODUCT}/variations",
    f"POST /wc/v3/products/{PRODUCT}/variations/batch",
    "GET /wc/v3/variations",
    "GET /wc/v3/webhooks",
    "POST /wc/v3/webhooks",
    f"PUT /wc/v3/webhooks/{ID}",
    f"DELETE /wc/v3/webhooks/{ID}",
    r"GET /wc/v3/settings/(?P<group_id>[\w-]+)/(?P<id>[\w-]+)",
}


def shop(request: httpx.Request) -> httpx.Response:
    """An old shop, in which there is nothing."""
    path = request.url.path.partition("/wc/v3/")[2]
    if path == "variations":
        return httpx.Response(404, json=NO_ROUTE)
    if path.startswith("settings"):
        return httpx.Response(200, json={"value": "60"})
    if request.method == "GET" and path.split("/")[-1].isdigit():
        return httpx.Response(404, json=UNKNOWN)
    return httpx.Response(200, json=json.loads(b"[]" if request.method == "GET" else b'{"update": []}'))


async def _everything(client: WooClient) -> None:
    await client.probe()
    for besides in ((), (7, 8), range(1, 700)):
        await client.orders(since=DAY, status="any", besides=besides, per_page=100)
        await client.orders(since=None, status="trash", besides=besides, per_page=100)
    await client.orders_by_id([7, 8])
    await client.refunds(7)
    assert [one async for one in client.order_ids(date(2017, 6, 1), 100)] == []
    assert [one async for one in client.products(100)] == []
    await client.products_by_id([7, 8])
    await client.variations_by_id({7: [71], 8: [81]})
    for parent in (0, 7):
        await client.update(parent, {"update": [{"id": 7, "stock_quantity": 3}]})
    await client.webhooks()
    await client.add_webhook("order.updated", "https://seller.example/hook", SecretStr("a-secret"))
    await client.switch_on(7, SecretStr("a-secret"))
    await client.drop_webhook(7)
    await client.option("woocommerce_hold_stock_minutes")


@pytest.mark.parametrize("auth", ["basic", "query", "oauth"])
async def test_every_call_is_one_that_a_real_shop_takes(
    settings: Any, resources: Any, routes: Any, judged: list[str], auth: str
) -> None:
    if routes is None:
        pytest.skip("needs the recorded answers of a shop")
    there = settings.model_copy(update={"auth": auth})
    async with CONNECTOR.open(there, replace(resources, transport=httpx.MockTransport(shop))) as channel:
        await _everything(channel._client)
    assert set(judged) == CALLS
