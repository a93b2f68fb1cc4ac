"""The vendor's own client for Python talks to the shop on a socket: a second judge of the server."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.site import open_vendor

woocommerce = pytest.importorskip("woocommerce", reason="the vendor's client is not installed: pip install woocommerce")


@pytest.mark.parametrize("how", ["basic", "query", "oauth"])
async def test_the_vendor_s_client_reads_and_writes(how: str) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the client signs with the time of this machine
    site = open_vendor("client", ContractClock(now), options=SiteOptions(https=how != "oauth"))
    async with loopback_server(site.app) as url:
        api = woocommerce.API(url, site.consumer_key, site.consumer_secret, version="wc/v3")
        # The socket has no TLS: the shop says that it is reached over it, and the client is told the same.
        api.is_ssl = how != "oauth"
        api.query_string_auth = how == "query"
        told = await asyncio.to_thread(_a_day, api)
    assert told == [201, 7, [7, 400], "processing", 5, "1", 200, 200]


def _a_day(api: Any) -> list[Any]:
    body = {"name": "Mug ü", "regular_price": "9.90", "manage_stock": True, "stock_quantity": 10}
    made = api.post("products", body)
    mug = made.json()["id"]
    written = api.put(f"products/{mug}", {"stock_quantity": 7}).json()["stock_quantity"]
    rows = [{"id": mug, "stock_quantity": 7}, {"id": 4711, "stock_quantity": 1}]
    first, second = api.post("products/batch", {"update": rows}).json()["update"]
    order = api.post("orders", {"line_items": [{"product_id": mug, "quantity": 2}], "set_paid": True}).json()
    params = {"modified_after": "2017-01-01T00:00:00", "dates_are_gmt": "true", "per_page": 100, "search": "Mug ü"}
    found = api.get("orders", params=params)
    left = api.get(f"products/{mug}", params={"_fields": "id,stock_quantity"}).json()["stock_quantity"]
    return [
        made.status_code,
        written,
        [first["stock_quantity"], second["error"]["data"]["status"]],
        order["status"],
        left,
        found.headers["x-wp-total"],
        found.status_code,
        api.delete(f"orders/{order['id']}", params={"force": True}).status_code,
    ]
