"""Secrets and buyers appear in no log line, exception, repr or value; and no data about buyers is asked for."""

import json
import logging
import traceback
from typing import Any

import httpx
import pytest

from channelsync.sdk.contract import CANARY
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR

SECRETS = ("the-client-secret", "the-refresh-token", "Atza|canary", "signed-away")
BUYER = dict(zip(("buyerName", "buyerEmail", "phone", "addressLine1"), CANARY, strict=True))
MUG = QuantityKey("MUG")
ECHO = "Atza|canary Atzr|the-refresh-token the-client-secret"

FAULTS: dict[str, Any] = {
    "none": None,
    "timeout": httpx.ReadTimeout("nothing came"),
    "throttled": httpx.Response(429, json={"errors": [{"code": "QuotaExceeded", "message": ECHO}]}),
    "unauthorised": httpx.Response(401, json={"errors": [{"code": "Unauthorized", "message": ECHO}]}),
    "forbidden": httpx.Response(403, json={"errors": [{"code": "Unauthorized", "message": "no", "details": "role"}]}),
    "refused": httpx.Response(400, json={"errors": [{"code": "InvalidInput", "message": "no", "details": "no"}]}),
    "down": httpx.Response(503, text=ECHO),
    "html": httpx.Response(200, html="<html>maintenance</html>"),
    "cut": httpx.Response(200, content=json.dumps({"orders": [BUYER]})[:-3].encode()),
    "another shape": httpx.Response(200, json={"envelope": BUYER}),
    "wrong types": httpx.Response(200, json=dict.fromkeys(("orders", "order", "items", "sku", "status"), CANARY[0])),
    "text": httpx.Response(200, json=CANARY[1]),
}
ECHOES = ("throttled", "unauthorised", "down")


def with_buyer(row: Any) -> Any:
    """The row with a buyer at every level, as an Amazon that answers more than it was asked would put one."""
    if isinstance(row, dict):
        return {**{name: with_buyer(value) for name, value in row.items()}, "buyer": BUYER, "recipient": BUYER}
    return [with_buyer(one) for one in row] if isinstance(row, list) else row


def full(row: Any) -> httpx.Response:
    return httpx.Response(200, json=with_buyer(row))


@pytest.fixture(autouse=True)
def answering(amazon, words) -> None:
    """Everything can be asked, and every answer is full of the buyer."""
    amazon.on("token", {"access_token": "Atza|canary", "refresh_token": "Atzr|the-refresh-token", "expires_in": 3600})
    wish = {"cancellationRequest": {"requester": "BUYER", "cancelReason": CANARY[0]}}
    broken = words.order(2) | {"orderItems": [BUYER]}
    orders = words.orders(words.order(1, "UNSHIPPED", words.line(cancellation=wish)), broken)
    amazon.on("searchOrders", full(orders))
    amazon.on("getOrder", full({"order": broken}))
    amazon.on("searchListingsItems", full(words.items(words.item(), {"sku": "B", "summaries": BUYER})))
    amazon.on("getListingsItem", full(words.item()))
    amazon.on("patchListingsItem", full(words.submission()))
    amazon.on("createFeedDocument", {"feedDocumentId": "in", "url": f"{words.files}/in?X-Amz-Signature=signed-away"})
    amazon.on("PUT /in", httpx.Response(200))
    amazon.on("createFeed", {"feedId": "1"})
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("getFeedDocument", words.document("out", "feed"))
    amazon.on("GET /out", words.feed_result(accepted=3))
    amazon.on("getMarketplaceParticipations", full({"payload": [words.participation()]}))


async def _everything(found: Any) -> list[Any]:
    return [one async for one in found]


def update(sku: str) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku), value=1, listing=sku)


ASKS: dict[str, Any] = {
    "check": lambda channel, _clock: channel.check(),
    "inspect": lambda channel, _clock: channel.inspect(),
    "orders": lambda channel, _clock: _everything(channel.orders(cursor=None)),
    "orders_by_id": lambda channel, _clock: channel.orders_by_id(["250-0000000-0000002"]),
    "order_ids": lambda channel, clock: _everything(channel.order_ids(clock.now().date())),
    "listings": lambda channel, _clock: _everything(channel.listings()),
    "listings_by_id": lambda channel, _clock: channel.listings_by_id(["MUG"]),
    "read": lambda channel, _clock: channel.read([MUG]),
    "push": lambda channel, _clock: channel.push([update("MUG")]),
}
OPERATIONS = (
    "searchOrders",
    "getOrder",
    "searchListingsItems",
    "getListingsItem",
    "patchListingsItem",
    "getMarketplaceParticipations",
)


def written(error: BaseException) -> str:
    """All that a log may say of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("where", ["the API", "the token endpoint", "the patch"])
async def test_nothing_secret_and_no_buyer_is_written_anywhere(
    settings, resources, amazon, clock, capsys, caplog, fault: str, where: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = FAULTS[fault]
    if where == "the token endpoint" and fault in ECHOES:  # of what it was sent: a token that it never told is nobody's
        answer = httpx.Response(answer.status_code, text="Atzr|the-refresh-token the-client-secret")
    for name in {"the API": OPERATIONS, "the patch": ("patchListingsItem",), "the token endpoint": ("token",)}[where]:
        if answer is not None:
            amazon.on(name, answer)
    told = [repr(settings), str(settings), settings.model_dump_json(), repr(CONNECTOR)]
    for ask in ASKS.values():
        resources.breaker.reset()
        async with CONNECTOR.open(settings, resources) as channel:
            try:
                told.append(repr(await ask(channel, clock)))
            except ChannelError as error:
                told.append(written(error))
            told += [repr(channel), repr(vars(channel)), repr(vars(channel._client)), repr(vars(channel._writer))]
    captured = capsys.readouterr()
    text = "\n".join([*told, captured.out, captured.err, caplog.text])
    assert "channel.call" in text, "the log was not looked at"
    found = [one for one in (*SECRETS, *CANARY) if one in text]
    assert not [text[max(0, text.find(one) - 200) : text.find(one) + 80] for one in found]


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_what_the_token_endpoint_says_back_is_hidden(settings, resources, amazon, status: int) -> None:
    amazon.on("token", httpx.Response(status, text="given: Atzr|the-refresh-token with the-client-secret"))
    async with CONNECTOR.open(settings, resources) as channel:
        with pytest.raises(ChannelError) as caught:
            await channel.read([MUG])
    assert not [one for one in SECRETS if one in written(caught.value)]


@pytest.mark.parametrize("where", ["PUT /in", "GET /out"])
@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadTimeout("nothing came"),
        httpx.Response(503, text="what you sent: signed-away"),
        httpx.Response(403, text="SignatureDoesNotMatch: signed-away"),
        httpx.Response(418, text="signed-away"),
    ],
)
async def test_the_signature_of_a_documents_address_is_not_written(
    settings, resources, amazon, words, capsys, caplog, where: str, fault: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    amazon.on("searchListingsItems", words.items(*(words.item(sku) for sku in "ABC")))
    amazon.on(where, fault)
    told = []
    async with CONNECTOR.open(settings, resources) as channel:
        try:
            told.append(repr(await channel.push([update(sku) for sku in "ABC"])))
        except ChannelError as error:
            told.append(written(error))
        told.append(repr(vars(channel._writer._feeds)))
    captured = capsys.readouterr()
    text = "\n".join([*told, captured.out, captured.err, caplog.text])
    assert not [one for one in SECRETS if one in text]


async def test_no_data_about_buyers_is_asked_for(channel, amazon, clock) -> None:
    for ask in ASKS.values():
        await ask(channel, clock)
    asked = {one for each in amazon.asked for one in each.params.get("includedData", "").split(",")}
    assert not asked & {"BUYER", "RECIPIENT", "PAYMENT", "TAX", "PROCEEDS"}
    assert "PACKAGES" in asked
    assert not [one for one in amazon.asked if "restrictedDataToken" in one.path]


async def test_a_secret_leaves_in_its_own_place_only(channel, amazon, clock) -> None:
    for ask in ASKS.values():
        await ask(channel, clock)
    for one in amazon.asked:
        headers = {name: value for name, value in one.headers.items() if name != "x-amz-access-token"}
        body = "" if one.operation == "token" else one.body
        assert not [secret for secret in SECRETS if secret in repr((one.path, one.params, headers, body))]
        if one.operation != "token":
            assert one.headers["x-amz-access-token"] == "Atza|canary"
