"""Secrets and buyers appear in no log line, exception, repr or value."""

import json
import logging
import traceback
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from channelsync.sdk.contract import CANARY
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_ebay import CONNECTOR

ACCESS = "v^1.1#an-access-token"
SECRETS = (
    "the-cert-id",
    "v^1.1#refresh-token",
    "a-verification-token-of-40-letters-long_",
    ACCESS,
    "U2VsbGVyLWNoYW5zeW5jLVBSRC0xOnRoZS1jZXJ0LWlk",
)
BUYER = dict(zip(("fullName", "email", "phoneNumber", "addressLine1"), CANARY, strict=True))
UPDATE = QuantityUpdate(key=QuantityKey("MUG-BLUE"), value=1, listing="MUG-BLUE")


async def everything(found: Any) -> list[Any]:
    return [one async for one in found]


CALLS = {
    "check": lambda channel, _clock: channel.check(),
    "inspect": lambda channel, _clock: channel.inspect(),
    "orders": lambda channel, _clock: everything(channel.orders(cursor=None)),
    "orders_by_id": lambda channel, _clock: channel.orders_by_id(["1-1", "1-2"]),
    "order_ids": lambda channel, clock: everything(channel.order_ids(clock.now().date())),
    "listings": lambda channel, _clock: everything(channel.listings()),
    "listings_by_id": lambda channel, _clock: channel.listings_by_id(["MUG-BLUE"]),
    "read": lambda channel, _clock: channel.read([QuantityKey("MUG-BLUE")]),
    "push": lambda channel, _clock: channel.push([UPDATE]),
    "subscriptions": lambda channel, _clock: channel.subscriptions(),
    "subscribe": lambda channel, _clock: channel.subscribe("ORDER_CONFIRMATION", "https://seller.example/hooks/x"),
}


def echo(request: httpx.Request) -> str:
    return f"you sent {request.headers.get('authorization')} and {' '.join(SECRETS)}"


FAULTS: dict[str, Any] = {
    "timeout": httpx.ReadTimeout("nothing came"),
    "throttled": lambda request: httpx.Response(429, text=echo(request)),
    "unauthorised": lambda request: httpx.Response(401, text=echo(request)),
    "forbidden": lambda request: httpx.Response(403, text=echo(request)),
    "not found": lambda request: httpx.Response(404, text=echo(request)),
    "bad request": lambda request: httpx.Response(400, text=echo(request)),
    "down": lambda request: httpx.Response(503, text=echo(request)),
    "moved": lambda request: httpx.Response(302, headers={"Location": f"{request.url}?token={ACCESS}"}),
    "html": lambda request: httpx.Response(200, html=f"<html>{echo(request)}</html>"),
    "cut": httpx.Response(200, content=json.dumps({"orders": [BUYER]})[:-3].encode()),
    "another shape": httpx.Response(200, json={"envelope": {"buyer": BUYER}}),
    "wrong types": httpx.Response(
        200, json=dict.fromkeys(("total", "orders", "responses", "userId", "inventoryItems", "offers"), CANARY[0:1])
    ),
}


@pytest.fixture(autouse=True)
def _token(ebay) -> None:
    ebay.on("POST", "/identity/v1/oauth2/token$", {"access_token": ACCESS, "expires_in": 7200})


@pytest.mark.parametrize("call", list(CALLS))
@pytest.mark.parametrize("fault", list(FAULTS))
async def test_no_failure_tells_a_secret_or_a_buyer(
    seller, ebay, clock, settings, capsys, caplog, call: str, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    ebay.fault = FAULTS[fault]
    written = [repr(settings), str(settings), repr(seller), repr(vars(seller)), repr(CONNECTOR)]
    try:
        written.append(repr(await CALLS[call](seller, clock)))
    except ChannelError as error:
        written += [*traceback.format_exception(error), repr(error), repr(error.__cause__), repr(error.__context__)]
    captured = capsys.readouterr()
    text = "\n".join([*written, captured.out, captured.err, caplog.text])
    assert not [place for place, one in enumerate(SECRETS) if one in text]
    if fault in ("cut", "another shape", "wrong types"):
        assert not [one for one in CANARY if one in text]


@pytest.mark.parametrize("answer", [400, 401, 403, 429, 500, 200])
async def test_what_the_token_s_address_says_is_not_told(seller, ebay, clock, answer: int) -> None:
    ebay.on("POST", "/identity/v1/oauth2/token$", lambda request: httpx.Response(answer, text=echo(request)))
    with capture_logs() as logs, pytest.raises(ChannelError) as caught:
        await seller.orders_by_id(["1-1"])
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__) + repr(logs)
    assert not [place for place, one in enumerate(SECRETS) if one in text and one != ACCESS]


async def test_nothing_about_the_buyer_is_in_any_value_or_log_line(seller, ebay, words) -> None:
    whole = {
        "buyer": {"username": CANARY[0], "buyerRegistrationAddress": BUYER},
        "buyerCheckoutNotes": f"Ring {CANARY[0]}",
        "fulfillmentStartInstructions": [{"shippingStep": {"shipTo": BUYER}}],
        "salesRecordReference": CANARY[1],
    }
    lines = (words.line("1", units=2, giftDetails={"message": CANARY[0], "recipientEmail": CANARY[1]}),)
    good = words.order("1-1", *lines, orderFulfillmentStatus="IN_PROGRESS", **whole)
    bad = words.order("1-2", words.line("1", units=0, title=CANARY[0]), **whole) | {"orderPaymentStatus": CANARY[1]}
    ebay.on("GET", "/sell/fulfillment/v1/order$", words.orders(good, bad, {"orderId": CANARY[0], "note": CANARY[3]}))
    shipment = {"shippedDate": "2017-06-01T08:00:00.000Z", "lineItems": [{"lineItemId": "1", "quantity": 1}]}
    said = {"total": 1, "fulfillments": [shipment | {"shipmentTrackingNumber": CANARY[2]}], "shipTo": BUYER}
    ebay.on("GET", "/shipping_fulfillment$", said)
    with capture_logs() as logs:
        pages = [one async for one in seller.orders(cursor=None)]
        by_id = await seller.orders_by_id(["1-1", "1-2"])
        ids = [one async for one in seller.order_ids(pages[0].orders[0].placed_at.date())]
    told = repr((pages, by_id, logs))
    assert "order='1-1'" in told
    assert "order='1-2'" in told
    assert "1-1" in ids
    assert not [text for text in CANARY if text in told]
