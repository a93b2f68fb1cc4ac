"""The key and the buyer appear in no log line, exception, repr or value."""

import traceback
from typing import Any

import httpx
import pytest
import respx
from structlog.testing import capture_logs

from channelsync.sdk.contract import CANARY
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_woocommerce.settings import WooSettings

SECRETS = ("ck_0123456789", "cs_9876543210", "lab-webhook-secret", "Y2tfMDEyMzQ1Njc4OTpjc185ODc2NTQzMjEw")
NAME, MAIL, PHONE, STREET = CANARY
BUYER = {"first_name": NAME, "email": MAIL, "phone": PHONE, "address_1": STREET}
ORDER = {
    "id": 7,
    "status": "processing",
    "date_created_gmt": "2017-06-01T08:00:00",
    "date_modified_gmt": "2017-06-01T08:30:00",
    "billing": BUYER,
    "shipping": BUYER,
    "customer_note": f"Please ring {NAME}",
    "meta_data": [{"key": "_billing_vat", "value": MAIL}],
    "line_items": [
        {
            "id": 70,
            "name": f"Mug for {NAME}",
            "product_id": 15,
            "quantity": 1,
            "meta_data": [{"key": "engraving", "value": NAME}, {"key": "_reduced_stock", "value": MAIL}],
        }
    ],
    "refunds": [{"id": 24, "reason": f"{NAME} moved"}],
}
REFUND = {"id": 24, "reason": f"{NAME} moved", "line_items": [], "refunded_by": 1}
BROKEN = ORDER | {"id": 8, "line_items": [{"id": 80, "quantity": MAIL, "name": NAME}]}


async def everything(found: Any) -> list[Any]:
    return [one async for one in found]


CALLS = {
    "check": lambda channel: channel.check(),
    "orders": lambda channel: everything(channel.orders(cursor=None)),
    "orders_by_id": lambda channel: channel.orders_by_id(["7", "8"]),
    "listings": lambda channel: everything(channel.listings()),
    "read": lambda channel: channel.read([QuantityKey("10")]),
    "push": lambda channel: channel.push([QuantityUpdate(key=QuantityKey("10"), value=5, listing="10")]),
}


class WithEachWayIn:
    """Every call of a channel, whose requests carry the key in one of three ways."""

    @pytest.fixture(params=["basic", "query", "oauth"])
    def settings(self, request: pytest.FixtureRequest, settings: WooSettings) -> WooSettings:
        base = "http://shop.example" if request.param == "oauth" else "https://shop.example"
        return settings.model_copy(update={"base_url": base, "auth": request.param})


class TestSecrets(WithEachWayIn):
    @respx.mock
    @pytest.mark.parametrize("call", list(CALLS))
    @pytest.mark.parametrize("status", [200, 401, 404, 418, 429, 500])
    async def test_no_secret_is_written_anywhere(self, shop, settings, call: str, status: int) -> None:
        def echo(request: httpx.Request) -> httpx.Response:
            told = f"{request.url} {request.headers.get('authorization', '')}"
            return httpx.Response(status, text=f"you sent {told}", headers={"Location": str(request.url)})

        respx.route(host="shop.example").mock(side_effect=echo)
        with capture_logs() as logs, pytest.raises(ChannelError) as caught:
            await CALLS[call](shop)
        texts = [*traceback.format_exception(caught.value), repr(caught.value), repr(logs), repr(settings), repr(shop)]
        texts += [repr(caught.value.__cause__), repr(caught.value.__context__)]
        assert not [secret for secret in SECRETS for text in texts if secret in text]

    @respx.mock
    async def test_no_secret_is_in_what_the_network_says(self, shop) -> None:
        def fail(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout(f"no answer from {request.url}", request=request)

        respx.route(host="shop.example").mock(side_effect=fail)
        with pytest.raises(ChannelError) as caught:
            await shop.listings_by_id(["7"])
        written = "".join(traceback.format_exception(caught.value))
        assert not [secret for secret in SECRETS if secret in written]


@respx.mock
@pytest.mark.parametrize("call", ["orders", "orders_by_id"])
async def test_nothing_about_the_buyer_is_in_any_value_or_log_line(shop, call: str) -> None:
    respx.get(url__regex=r".*/orders/\d+/refunds").respond(json=[REFUND])
    respx.get(url__regex=r".*/orders\?.*status=trash.*").respond(json=[])
    respx.get(url__regex=r".*/orders\?.*").respond(json=[ORDER, BROKEN])
    with capture_logs() as logs:
        found = await CALLS[call](shop)
    told = repr(found) + repr(logs)
    assert "order='7'" in told
    assert "order='8'" in told
    assert not [text for text in CANARY if text in told]


@respx.mock
async def test_nothing_about_the_buyer_is_in_an_error(shop) -> None:
    respx.get(url__regex=r".*/orders\?.*").respond(json={"orders": [ORDER]})
    with pytest.raises(ChannelError) as caught:
        await CALLS["orders"](shop)
    written = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    assert not [text for text in CANARY if text in written]
