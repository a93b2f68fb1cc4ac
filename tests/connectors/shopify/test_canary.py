"""Secrets and buyers appear in no log line, exception, repr or value."""

import json
import logging
import traceback
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from channelsync.sdk.contract import CANARY
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_shopify import CONNECTOR

SECRETS = ("the-client-secret", "an-older-secret", "refresh-zero", "refresh-one", "shpat-canary")
BUYER = dict(zip(("name", "email", "phone", "address1"), CANARY, strict=True))
UPDATE = QuantityUpdate(key=QuantityKey("1", "7"), value=1, listing="1", expected=2, idempotency="1-1")


def with_buyer(row: Any) -> Any:
    """The row with a buyer at every level, as a server that answers more than it was asked would put one."""
    if isinstance(row, dict):
        return {**{name: with_buyer(value) for name, value in row.items()}, "customer": BUYER, "email": BUYER["email"]}
    return [with_buyer(one) for one in row] if isinstance(row, list) else row


FAULTS: dict[str, Any] = {
    "none": None,
    "timeout": httpx.ReadTimeout("nothing came"),
    "throttled": httpx.Response(429, json={"errors": "slow", "told": "refresh-zero"}),
    "unauthorised": httpx.Response(401, json={"errors": "refresh-zero"}),
    "forbidden": httpx.Response(403, json={"errors": "refresh-zero the-client-secret"}),
    "down": httpx.Response(503, text="refresh-zero the-client-secret"),
    "html": httpx.Response(200, html="<html>refresh-zero</html>"),
    "cut": httpx.Response(200, content=json.dumps({"data": {"orders": BUYER}})[:-3].encode()),
    "another shape": httpx.Response(200, json={"envelope": {"customer": BUYER}}),
    "wrong types": httpx.Response(200, json={"data": dict.fromkeys(("orders", "nodes", "shop"), CANARY[0])}),
    "an echo": lambda _asked: httpx.Response(503, text="shpat-canary refresh-one the-client-secret"),
    "data that is text": httpx.Response(200, json={"data": CANARY[1], "extensions": CANARY[0]}),
}


@pytest.fixture
def all_secrets(settings):
    old = (SecretStr("an-older-secret"),)
    return settings.model_copy(update={"refresh_token": SecretStr("refresh-zero"), "previous_client_secrets": old})


@pytest.fixture(autouse=True)
def answering(shop, words) -> None:
    """Everything can be asked, and every answer is full of the buyer."""
    tokens = {"access_token": "shpat-canary", "refresh_token": "refresh-one", "expires_in": 3600}
    shop.on("token", httpx.Response(200, json=tokens))
    page = words.page(with_buyer(words.order()), with_buyer(words.order(2, lines=[])), with_buyer({"id": CANARY[0]}))
    shop.on("Orders", words.answer({"orders": page}))
    shop.on("OrdersById", words.answer({"nodes": page["nodes"]}))
    ids = [{"id": words.gid("Order", 1), "createdAt": "2017-06-01T10:00:00Z", "customer": BUYER}]
    shop.on("OrderIds", words.answer({"orders": words.page(*ids)}))
    shop.on("ListingsCount", words.answer({"productVariantsCount": {"count": 1}}))
    shop.on("Listings", words.answer({"productVariants": words.page(with_buyer(words.variant()))}))
    shop.on("ListingsById", words.answer({"nodes": [with_buyer(words.variant()), with_buyer({"id": "x"})]}))
    shop.on("Numbers", words.answer({"nodes": [with_buyer({"id": words.gid("InventoryItem", 1), "tracked": False})]}))
    shop.on("SetQuantities", words.written())
    place = {"id": words.gid("Location", 7), "isActive": True, "isFulfillmentService": False, "address": BUYER}
    shop.on("Locations", words.answer({"locations": words.page(place)}))
    webhook = {
        "id": words.gid("WebhookSubscription", 1),
        "topic": "ORDERS_CREATE",
        "uri": "https://x",
        "format": "JSON",
    }
    shop.on("Webhooks", words.answer({"webhookSubscriptions": words.page(with_buyer(webhook))}))
    shop.on("WebhookAdd", words.answer({"webhookSubscriptionCreate": with_buyer({"userErrors": []})}))
    identity = {"id": "gid://shopify/Shop/1", "name": "Mugs", "contactEmail": BUYER["email"]}
    shop.on("Check", words.answer({"shop": identity, "currentAppInstallation": {"accessScopes": []}}))


async def _everything(found: Any) -> list[Any]:
    return [one async for one in found]


ASKS: dict[str, Any] = {
    "Check": lambda channel, _clock: channel.check(),
    "Orders": lambda channel, _clock: _everything(channel.orders(cursor=None)),
    "OrdersById": lambda channel, _clock: channel.orders_by_id(["1", "2"]),
    "OrderIds": lambda channel, clock: _everything(channel.order_ids(clock.now().date())),
    "Listings": lambda channel, _clock: _everything(channel.listings()),
    "ListingsById": lambda channel, _clock: channel.listings_by_id(["101"]),
    "Numbers": lambda channel, _clock: channel.read([QuantityKey("1", "7")]),
    "SetQuantities": lambda channel, _clock: channel.push([UPDATE]),
    "Locations": lambda channel, _clock: channel.inspect(),
    "Webhooks": lambda channel, _clock: channel.subscriptions(),
    "WebhookAdd": lambda channel, _clock: channel.subscribe("orders/create", "https://seller.example/webhooks/s"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("where", ["the API", "the token endpoint"])
async def test_nothing_secret_is_written_anywhere(
    all_secrets, resources, shop, clock, capsys, caplog, fault: str, where: str
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault == "an echo" and where == "the token endpoint":
        pytest.skip("nobody knows a token that was never told")
    if FAULTS[fault] is not None:
        for name in ["token"] if where == "the token endpoint" else ASKS:
            shop.on(name, FAULTS[fault])
    written = [repr(all_secrets), str(all_secrets), all_secrets.model_dump_json(), repr(CONNECTOR)]
    for ask in ASKS.values():
        resources.breaker.reset()
        async with CONNECTOR.open(all_secrets, resources) as channel:
            try:
                written.append(repr(await ask(channel, clock)))
            except ChannelError as error:
                written += ["".join(traceback.format_exception(error)), repr(error), repr(error.__context__)]
            written += [repr(channel), repr(vars(channel)), repr(vars(channel._client))]
    captured = capsys.readouterr()
    text = "\n".join([*written, captured.out, captured.err, caplog.text])
    assert "channel.call" in text, "the log was not looked at"
    assert not [text[max(0, text.find(secret) - 300) : text.find(secret) + 80] for secret in SECRETS if secret in text]
    assert not [text[max(0, text.find(one) - 300) : text.find(one) + 80] for one in CANARY if one in text]


async def test_what_leaves_holds_no_secret_but_in_its_place(all_secrets, resources, shop, clock) -> None:
    async with CONNECTOR.open(all_secrets, resources) as channel:
        for name, ask in ASKS.items():
            if name != "Check":
                await ask(channel, clock)
    assert set(shop.tokens) == {"shpat-canary"}
    assert not [secret for secret in SECRETS if secret in repr(shop.asked)]
