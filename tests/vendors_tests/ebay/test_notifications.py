"""Notifications of the eBay test server: what comes before a subscription, the challenge, signatures, failures."""

import asyncio
import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from channelsync.lab.marketplace import Wanted
from vendor_ebay import EbayBehaviour
from vendor_ebay.deliveries import Feed

API = "/commerce/notification/v1"
TOKEN = "t" * 40
ENDPOINT = "https://seller.example/hooks/ebay"


def destination(**changed):
    config = {"endpoint": ENDPOINT, "verificationToken": TOKEN} | changed.pop("config", {})
    return {"name": "shop", "status": "ENABLED", "deliveryConfig": config} | changed


def subscription(there, **changed):
    payload = {"format": "JSON", "schemaVersion": "1.0", "deliveryProtocol": "HTTPS"} | changed.pop("payload", {})
    asked = {"topicId": "ORDER_CONFIRMATION", "status": "ENABLED", "payload": payload, "destinationId": there}
    return asked | changed


def registered(ebay):
    """A destination with a subscription; gives the destination's id."""
    ebay("PUT", f"{API}/config", {"alertEmail": "alerts@seller.example"})
    assert ebay("POST", f"{API}/destination", destination())[0] == 201
    there = ebay.headers["location"].rpartition("/")[2]
    assert ebay("POST", f"{API}/subscription", subscription(there))[0] == 201
    return there


def verified(pem, header, body):
    """eBay's own check, as its SDKs describe it."""
    told = json.loads(base64.b64decode(header))
    key = load_pem_public_key(
        pem.replace("-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\n")
        .replace("-----END PUBLIC KEY-----", "\n-----END PUBLIC KEY-----")
        .encode()
    )
    key.verify(base64.b64decode(told["signature"]), body, ec.ECDSA(hashes.SHA1()))  # noqa: S303
    return told


def test_nothing_is_registered_before_the_configuration(ebay):
    assert ebay.error("GET", f"{API}/config") == (404, 195026)
    assert ebay.error("POST", f"{API}/destination", destination()) == (409, 195003)
    assert ebay.error("PUT", f"{API}/config", {"alertEmail": "nobody"}) == (400, 195025)
    there = registered(ebay)
    assert ebay("GET", f"{API}/config")[1] == {"alertEmail": "alerts@seller.example"}
    assert ebay("GET", f"{API}/destination/{there}")[1]["deliveryConfig"]["endpoint"] == ENDPOINT
    assert ebay("GET", f"{API}/subscription")[1]["subscriptions"][0]["destinationId"] == there


@pytest.mark.parametrize(
    ("asked", "status", "number"),
    [
        (destination(name="x" * 65), 400, 195016),
        (destination(config={"endpoint": "http://seller.example"}), 400, 195017),
        (destination(config={"endpoint": "https://localhost/x"}), 400, 195017),
        (destination(status="MARKED_DOWN"), 400, 195018),
        (destination(config={"verificationToken": "short"}), 400, 195019),
        (destination(), 409, 195021),
    ],
)
def test_a_bad_destination_is_refused(ebay, asked, status, number):
    registered(ebay)
    assert ebay.error("POST", f"{API}/destination", asked) == (status, number)


@pytest.mark.parametrize(
    ("changed", "status", "number"),
    [
        ({"status": "ON"}, 400, 195006),
        ({"destinationId": "none"}, 400, 195007),
        ({"payload": {"schemaVersion": "9"}}, 400, 195008),
        ({"payload": {"format": "XML"}}, 400, 195009),
        ({"payload": {"deliveryProtocol": "SMTP"}}, 400, 195010),
        ({"topicId": "MARKETPLACE_ACCOUNT_DELETION"}, 403, 195011),
        ({}, 409, 195012),
        ({"topicId": "WEATHER"}, 400, 195027),
    ],
)
def test_a_bad_subscription_is_refused(ebay, changed, status, number):
    there = registered(ebay)
    assert ebay.error("POST", f"{API}/subscription", subscription(there, **changed)) == (status, number)


def test_an_endpoint_must_answer_the_challenge_with_code_token_and_address_hashed(opened):
    asked = []

    def answering(order):
        def answer(address):
            asked.append(address)
            code = parse_qs(urlsplit(address).query)["challenge_code"][0]
            parts = {"code": code, "token": TOKEN, "endpoint": ENDPOINT}
            told = hashlib.sha256("".join(parts[name] for name in order).encode()).hexdigest()
            return 200, json.dumps({"challengeResponse": told}).encode()

        return answer

    for challenge, status in (
        (answering(("code", "token", "endpoint")), 201),
        (answering(("token", "code", "endpoint")), 409),
        (lambda _: (200, b"<html>"), 409),
        (lambda _: (0, b""), 409),
    ):
        ebay = opened(challenge=challenge)
        ebay("PUT", f"{API}/config", {"alertEmail": "alerts@seller.example"})
        got, told = ebay("POST", f"{API}/destination", destination())
        assert got == status
        assert got == 201 or told["errors"][0]["errorId"] == 195020
    assert asked[0].startswith(f"{ENDPOINT}?challenge_code=")


def test_whether_orders_are_a_topic_is_a_switch(ebay, opened):
    names = [topic["topicId"] for topic in ebay("GET", f"{API}/topic")[1]["topics"]]
    assert "ORDER_CONFIRMATION" in names
    without = opened(behaviour=EbayBehaviour(order_topic=False))
    assert without.error("GET", f"{API}/topic/ORDER_CONFIRMATION") == (404, 195002)
    assert without.error("GET", f"{API}/topic", limit=5) == (400, 195004)


@pytest.mark.parametrize("scope", ["sell.fulfillment", "sell.fulfillment.readonly"])
def test_a_topic_tells_which_permission_it_asks_for_and_nobody_else_gets_it(opened, scope):
    ebay = opened(behaviour=EbayBehaviour(order_scope=scope))
    there = registered(ebay)
    wanted = f"https://api.ebay.com/oauth/api_scope/{scope}"
    assert ebay("GET", f"{API}/topic/ORDER_CONFIRMATION")[1]["authorizationScopes"] == [wanted]
    name = ebay("GET", f"{API}/subscription")[1]["subscriptions"][0]["subscriptionId"]
    ebay("DELETE", f"{API}/subscription/{name}")
    held = {
        f"https://api.ebay.com/oauth/api_scope/{one}"
        for one in ("sell.inventory", "commerce.notification.subscription")
    }
    site = ebay.site
    refresh = site.api.oauth.seller_token(site.marketplace.time(), frozenset(held))
    ebay.token = ebay.token_for(grant_type="refresh_token", refresh_token=refresh)[1]["access_token"]
    assert ebay.error("POST", f"{API}/subscription", subscription(there)) == (403, 195011)


def test_deliveries_are_signed_one_for_each_line(ebay):
    for sku in ("MUG-1", "MUG-2"):
        ebay.site.api.shop.sell_item(sku, 5)
    order = ebay.site.marketplace.place([Wanted("MUG-1", 1), Wanted("MUG-2", 1)]).order
    sent = ebay.site.api.deliveries.of_order(order, ebay.site.marketplace.time())
    key = ebay("GET", f"{API}/public_key/{ebay.site.public_key_id}")[1]
    assert (key["algorithm"], key["digest"], key["key"]) == ("ECDSA", "SHA1", ebay.site.public_key)
    assert len({each.event for each in sent}) == 2
    for each in sent:
        told = verified(key["key"], each.headers["X-EBAY-SIGNATURE"], each.body)
        assert (told["alg"], told["kid"], told["digest"]) == ("ecdsa", ebay.site.public_key_id, "SHA1")
        body = json.loads(each.body)
        assert body["metadata"]["topic"] == "ORDER_CONFIRMATION"
        assert body["notification"]["notificationId"] == each.event
        assert body["notification"]["data"]["orderId"] == order.id
        with pytest.raises(InvalidSignature):
            verified(key["key"], each.headers["X-EBAY-SIGNATURE"], each.body + b" ")
    assert ebay.error("GET", f"{API}/public_key/other") == (404, 195001)


async def test_a_delivery_is_tried_three_times_and_failures_mark_the_destination_down(ebay):
    there = registered(ebay)
    ebay.site.api.shop.sell_item("MUG-1", 50)
    status, bodies = [200], []

    def receive(request):
        bodies.append(json.loads(request.content))
        return httpx.Response(status[0])

    async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:

        async def sent():
            order = ebay.site.marketplace.place([Wanted("MUG-1", 1)]).order
            return await ebay.site.api.deliveries.send(order, client)

        assert await sent() == [200]
        status[0] = 500
        assert await sent() == [500, 500, 500]
        assert [each["notification"]["publishAttemptCount"] for each in bodies] == [1, 1, 2, 3]
        assert await sent() == [500, 500]
        assert ebay("GET", f"{API}/destination/{there}")[1]["status"] == "MARKED_DOWN"
        assert await sent() == []
        subscribed = ebay("GET", f"{API}/subscription")[1]["subscriptions"][0]["subscriptionId"]
        assert ebay.error("POST", f"{API}/subscription/{subscribed}/enable", {}) == (409, 195015)
        assert ebay("PUT", f"{API}/destination/{there}", destination())[0] == 204
        status[0] = 204
        assert await sent() == [204]


async def test_the_feed_tells_of_an_order_once_it_is_paid(ebay):
    registered(ebay)
    ebay.site.api.shop.sell_item("MUG-1", 50)
    feed, told = Feed(ebay.site.api.deliveries, ebay.site.api.shop), asyncio.Queue()

    def receive(request):
        told.put_nowait(json.loads(request.content)["notification"]["data"]["orderId"])
        return httpx.Response(204)

    async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:
        sending = asyncio.create_task(feed.run(client))
        first = ebay.site.marketplace.place([Wanted("MUG-1", 1)], paid=False).order.id
        second = ebay.site.marketplace.place([Wanted("MUG-1", 1)]).order.id
        assert await told.get() == second
        ebay.site.marketplace.pay(first)
        assert await told.get() == first
        ebay.site.marketplace.ship(first)
        third = ebay.site.marketplace.place([Wanted("MUG-1", 1)]).order.id
        assert await told.get() == third, "a shipment is no confirmation"
        sending.cancel()


def test_a_subscription_is_switched_and_removed_before_its_destination(ebay):
    there = registered(ebay)
    subscribed = ebay("GET", f"{API}/subscription")[1]["subscriptions"][0]["subscriptionId"]
    path = f"{API}/subscription/{subscribed}"
    assert ebay("POST", f"{path}/disable", {})[0] == 204
    assert ebay("GET", path)[1]["status"] == "DISABLED"
    again = {name: value for name, value in subscription(there).items() if name != "topicId"}
    assert ebay("PUT", path, again) == (204, None)
    assert ebay("GET", path)[1]["status"] == "ENABLED"
    assert ebay("POST", f"{path}/enable", {})[0] == 204
    assert ebay.error("DELETE", f"{API}/destination/{there}") == (409, 195024)
    assert ebay("DELETE", path) == (204, None)
    assert ebay.error("GET", path) == (404, 195013)
    assert ebay("DELETE", f"{API}/destination/{there}") == (204, None)
    assert ebay.error("GET", f"{API}/destination/{there}") == (404, 195022)
