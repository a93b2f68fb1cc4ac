"""The recorded requests, one after another against one shop of ours, get the answers that the real shop gave."""

import json
from datetime import datetime
from typing import Any

import httpx

from channelsync.lab.marketplace_http import Reply
from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.recorded import Recorded, differences
from vendor_woocommerce.site import open_vendor

# Drawn by lot or counted over all that a real shop has: their types are compared, their values are not.
BY_LOT = frozenset({"related_ids", "order_key", "payment_url", "meta_data.id"})
DATES = frozenset(f"{name}{end}" for name in ("created", "modified", "paid", "completed") for end in ("", "_gmt"))
HEADERS = ("link", "x-wp-total", "x-wp-totalpages", "location", "allow", "content-type")
LEFT_OUT = ("003", "060")  # the list of all routes, and a report of another API


async def _fails(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(500)


async def test_the_recorded_requests_get_the_recorded_answers(recorded: list[Recorded]) -> None:
    rows = [row for row in recorded if not row.name.startswith(LEFT_OUT)]
    assert len(rows) == 64
    clock = ContractClock(rows[0].at)
    options = SiteOptions(address="https://127.0.0.1:4100")
    site = open_vendor("real", clock, options=options)
    plain = open_vendor("plain", clock, options=SiteOptions(https=False, address="http://127.0.0.1:4100"))
    for row in rows:
        await clock.sleep((row.at - clock.now()).total_seconds())
        there = plain if row.name.startswith("002") else site
        key = "ck_of_nobody" if row.name.startswith("001") else there.consumer_key
        if row.name.startswith("204"):
            await _switch_off(site.api.deliveries, site)
        reply = there.api.handle(row.request(key, there.consumer_secret))
        _same(row, reply)


async def _switch_off(deliveries: Any, site: Any) -> None:
    """Seven deliveries to an address that fails, as the real shop made them before the recording."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(_fails)) as client:
        for _ in range(7):
            deliveries.hear("product.updated", 10)
            await deliveries.send(client, site.api.address, all_of_them=True)


def _same(row: Recorded, reply: Reply) -> None:
    body = json.loads(reply.body)
    dates = frozenset(f"date_{name}" for name in DATES)
    assert (row.name, reply.status) == (row.name, row.status)
    assert differences(body, row.body, BY_LOT | dates) == [], row.name
    for name in HEADERS:
        assert reply.headers.get(name) == row.headers.get(name), f"{row.name}: header {name}"
    if "webhook" not in row.name:
        _near(body, row.body, row.name)


def _near(ours: Any, theirs: Any, name: str) -> None:
    """Dates are those of the real shop within the seconds that its own work took."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            if key.startswith("date_") and isinstance(value, str):
                apart = datetime.fromisoformat(ours[key]) - datetime.fromisoformat(value)
                assert abs(apart.total_seconds()) <= 2, f"{name}: {key} {ours[key]} instead of {value}"
            else:
                _near(ours[key], value, name)
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], dict):
        for one, two in zip(ours, theirs, strict=True):
            _near(one, two, name)
