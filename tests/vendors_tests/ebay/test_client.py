"""Two clients that others wrote for eBay's APIs talk to the server on a socket: second judges of it."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.clock import SystemClock
from vendor_ebay import EBAY_RULES, EbaySite, open_vendor

bidkit = pytest.importorskip("bidkit.client", reason="bidkit is not installed: `make judges` installs it")
trading = pytest.importorskip("ebaysdk.trading", reason="ebaysdk is not installed: `make judges` installs it")

_SCOPES = ("sell.inventory", "sell.fulfillment", "sell.account", "commerce.identity.readonly")
_SCOPE = "https://api.ebay.com/oauth/api_scope"


@pytest.fixture
def site(contracts: Path) -> EbaySite:
    """Three items with offers and a listing that is not migrated, at the time of this machine."""
    site = open_vendor("ebay", SystemClock(), contracts=contracts, rules=replace(EBAY_RULES, visibility=(0, 0)))
    for number in range(3):
        site.api.shop.sell_item(f"MUG-{number}", 10)
    return site


def _rest(url: str, site: EbaySite, order: str, offer: str) -> list[Any]:
    client = bidkit.EbayClient(
        {
            "app_id": site.client_id,
            "cert_id": site.client_secret,
            "ru_name": site.ru_name,
            "refresh_token": site.refresh_token,
            "base_url_override": url,
            "scopes": (_SCOPE, *(f"{_SCOPE}/{one}" for one in _SCOPES)),
            "max_retries": 0,
        }
    )
    items, orders = client.sell.inventory, client.sell.fulfillment
    page = items.get_inventory_items(limit=2, offset=0)
    rows = [
        {
            "sku": "MUG-0",
            "shipToLocationAvailability": {"quantity": 4},
            "offers": [{"offerId": offer, "availableQuantity": 4}],
        },
        {"sku": "X", "shipToLocationAvailability": {"quantity": 4}},
    ]
    written = items.bulk_update_price_quantity(body={"requests": rows})
    since = datetime.now(UTC) - timedelta(days=1)  # noqa: TID251 - the server lives at the time of this machine
    found = orders.get_orders(filter=f"lastmodifieddate:[{since:%Y-%m-%dT%H:%M:%S}.000Z..]", limit=50)
    told = [
        (page.total, len(page.inventory_items)),
        [(one.sku, one.status_code) for one in written.responses],
        items.get_inventory_item("MUG-0").availability.ship_to_location_availability.quantity,
        [one.order_id == order for one in found.orders],
        orders.get_order(order).order_id == order,
    ]
    client.close()
    return told


async def test_a_client_of_the_rest_apis_reads_and_writes(site: EbaySite) -> None:
    sale = site.marketplace.place([Wanted("MUG-1", 2)]).order
    assert sale is not None
    offer = site.api.shop.sale_of("MUG-0").id
    async with loopback_server(site.app) as url:
        told = await asyncio.to_thread(_rest, url, site, sale.id, offer)
    assert told[0] == (3, 2)
    assert {("MUG-0", 200), ("X", 404)} <= {(sku, status) for sku, status in told[1] if sku}
    assert told[2:] == [4, [True], True]
    assert site.api.answer_problems == []


def _xml(url: str, site: EbaySite, item: str) -> list[Any]:
    pair = base64.b64encode(f"{site.client_id}:{site.client_secret}".encode()).decode()
    form = {"grant_type": "refresh_token", "refresh_token": site.refresh_token}
    answer = httpx.post(f"{url}/identity/v1/oauth2/token", data=form, headers={"Authorization": f"Basic {pair}"})
    api = trading.Connection(
        domain=url.partition("//")[2],
        https=False,
        config_file=None,
        iaf_token=answer.raise_for_status().json()["access_token"],
        appid=site.client_id,
        certid=site.client_secret,
        devid="d",
        siteid="0",
        compatibility="1193",
    )
    api.config.set("https", False, force=True)
    rows = [{"ItemID": item, "SKU": "RED", "Quantity": 9}, {"ItemID": item, "SKU": "BLUE", "Quantity": 8}]
    revised = api.execute("ReviseInventoryStatus", {"InventoryStatus": rows}).reply
    found = api.execute("GetItem", {"ItemID": item}).reply.Item.Variations.Variation
    api.session.close()
    return [
        revised.Ack,
        sorted((one.SKU, int(one.Quantity) - int(one.SellingStatus.QuantitySold)) for one in found),
    ]


async def test_a_client_of_the_trading_api_reads_and_writes(site: EbaySite) -> None:
    old = site.api.shop.sell_legacy({"RED": 3, "BLUE": 4})
    async with loopback_server(site.app) as url:
        told = await asyncio.to_thread(_xml, url, site, old.item)
    assert told == ["Success", [("BLUE", 8), ("RED", 9)]]
    assert site.api.answer_problems == []
