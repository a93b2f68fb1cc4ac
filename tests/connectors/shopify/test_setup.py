"""The webhooks that bring deliveries, and what of the account is looked at."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from channelsync.sdk.channel import Channel
from channelsync.sdk.connecting import Inspects
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
from channelsync.sdk.subscriptions import Subscribes, Subscription, mend
from channelsync_shopify import CONNECTOR
from channelsync_shopify.setup import SCOPES
from channelsync_shopify.webhooks import TOPICS

OURS = "https://seller.example/webhooks/shop-uk"


def webhook(number: int, topic: str = "orders/create", uri: str = OURS, **more: Any) -> dict[str, Any]:
    """A subscription as Shopify tells it: one of ours, as it should be."""
    return {
        "id": f"gid://shopify/WebhookSubscription/{number}",
        "topic": topic.replace("/", "_").upper(),
        "uri": uri,
        "format": "JSON",
        "filter": "",
        "includeFields": list(TOPICS.get(topic, ())),
        **more,
    }


ALL = [webhook(number, topic) for number, topic in enumerate(TOPICS, 1)]


def refusal(message: str, *field: str) -> dict[str, Any]:
    return {"field": list(field) or None, "message": message}


@pytest.fixture
async def opened(settings, resources) -> Any:
    async with CONNECTOR.open(settings, resources) as channel:
        yield channel


@pytest.fixture
def play(shop, words) -> Callable[..., None]:
    """The shop with these subscriptions, on pages of five; every change is made."""

    def played(*rows: Any) -> None:
        some = [rows[place : place + 5] for place in range(0, len(rows), 5)] or [[]]
        pages = [words.page(*few, after=None if few is some[-1] else f"page-{n}") for n, few in enumerate(some, 2)]
        shop.on("Webhooks", *(words.answer({"webhookSubscriptions": one}) for one in pages))
        for operation, root in (
            ("WebhookAdd", "webhookSubscriptionCreate"),
            ("WebhookChange", "webhookSubscriptionUpdate"),
            ("WebhookEnd", "webhookSubscriptionDelete"),
        ):
            shop.on(operation, words.answer({root: {"userErrors": []}}))

    return played


def test_the_channel_has_webhooks_and_can_be_looked_at(settings, resources) -> None:
    assert CONNECTOR.guide.consent is None
    assert any("{receiver}" in step for step in CONNECTOR.guide.steps)
    assert [scope for scope in SCOPES if not any(scope in step for step in CONNECTOR.guide.steps)] == []


async def test_the_channel_keeps_the_optional_protocols(opened: Channel) -> None:
    assert isinstance(opened, Subscribes)
    assert isinstance(opened, Inspects)


# Webhooks


@pytest.mark.parametrize(
    ("rows", "missing", "off", "doubled"),
    [
        (ALL, [], [], []),
        ([], list(TOPICS), [], []),
        (ALL[1:], ["orders/create"], [], []),
        ([*ALL, webhook(90, "orders/create", "https://others.example")], [], [], []),
        ([*ALL, webhook(90, "app/uninstalled")], [], [], []),
        ([webhook(1, includeFields=[]), *ALL[1:]], [], [], []),
        ([webhook(1, includeFields=["id", "name"]), *ALL[1:]], [], [], []),
        ([webhook(1, includeFields=["name"]), *ALL[1:]], [], ["orders/create"], []),
        ([webhook(1, "returns/process", includeFields=["id"])], [one for one in TOPICS if one != "returns/process"],
         ["returns/process"], []),
        ([webhook(1, format="XML"), *ALL[1:]], [], ["orders/create"], []),
        ([webhook(1, filter="id:5"), *ALL[1:]], [], ["orders/create"], []),
        ([webhook(1, filter=None), *ALL[1:]], [], [], []),
        ([*ALL, webhook(90, format="XML")], [], [], ["gid://shopify/WebhookSubscription/90"]),
    ],
)  # fmt: skip
async def test_what_is_missing_or_tells_too_little_is_mended(
    opened, play, shop, rows: list[Any], missing: list[str], off: list[str], doubled: list[str]
) -> None:
    play(*rows)
    done = await mend(opened, OURS)
    assert (list(done.missing), [one.topic for one in done.off]) == (missing, off)
    assert [one["topic"] for one in shop.variables("WebhookAdd")] == [one.replace("/", "_").upper() for one in missing]
    wanted = [one["webhookSubscription"] for one in shop.variables("WebhookAdd") + shop.variables("WebhookChange")]
    assert wanted == [
        {"uri": OURS, "format": "JSON", "filter": "", "includeFields": list(TOPICS[one])} for one in (*missing, *off)
    ]
    assert [one["id"] for one in shop.variables("WebhookEnd")] == doubled


async def test_all_pages_of_subscriptions_are_read(opened, play, shop) -> None:
    play(*ALL)
    found = await opened.subscriptions()
    assert [one.topic for one in found] == list(TOPICS)
    assert [one["after"] for one in shop.variables("Webhooks")] == [None, "page-2", "page-3"]


async def test_no_subscription_for_an_order_asks_for_the_buyer(opened, play, shop) -> None:
    play()
    await mend(opened, OURS)
    about_orders = [one for one in shop.variables("WebhookAdd") if one["topic"] in ("ORDERS_CREATE", "ORDERS_UPDATED")]
    assert [one["webhookSubscription"]["includeFields"] for one in about_orders] == [["id"], ["id"]]


@pytest.mark.parametrize("address", ["http://seller.example/w", "pubsub://x:y", ""])
async def test_an_address_without_https_is_never_sent(opened, play, shop, address: str) -> None:
    play()
    with pytest.raises(NeedsSeller, match="https"):
        await opened.subscribe("orders/create", address)
    assert shop.asked == []


async def test_a_subscription_that_is_there_already_is_no_error_and_another_refusal_is(
    opened, play, shop, words
) -> None:
    play()

    def refuse(*errors: dict[str, Any]) -> None:
        shop.on("WebhookAdd", words.answer({"webhookSubscriptionCreate": {"userErrors": list(errors)}}))

    at = ("webhookSubscription", "callbackUrl")
    refuse(refusal("Address for this topic has already been taken", *at))
    await opened.subscribe("orders/create", OURS)
    refuse(refusal("Address cannot be a Shopify or an internal domain", *at))
    with pytest.raises(NeedsSeller, match="internal domain"):
        await opened.subscribe("orders/create", OURS)


async def test_a_subscription_that_is_gone_already_is_ended(opened, play, shop, words) -> None:
    gone = refusal("Webhook subscription does not exist", "id")
    shop.on("WebhookEnd", words.answer({"webhookSubscriptionDelete": {"userErrors": [gone]}}))
    one = Subscription("gid://shopify/WebhookSubscription/1", "orders/create", OURS)
    await opened.unsubscribe(one)
    shop.on("WebhookEnd", words.answer({"webhookSubscriptionDelete": {"userErrors": [refusal("No.")]}}))
    with pytest.raises(NeedsSeller, match=r"No\."):
        await opened.unsubscribe(one)


async def test_a_subscription_that_cannot_be_read_is_an_error_and_not_one_more(opened, play) -> None:
    play({"id": "?"})
    with pytest.raises(AnswerUnreadable):
        await mend(opened, OURS)


async def test_the_captured_refusals_of_addresses_are_told(opened, play, shop, capture) -> None:
    for case in ("createDuplicateRejected", "createXmlOnJsonOnlyTopicRejected"):
        captured = capture("webhook-subscription-topic-format-name-validation")["validation"][case]
        payload = captured["response"]["payload"]
        shop.on("WebhookAdd", httpx.Response(200, json=payload))
        if case == "createDuplicateRejected":
            await opened.subscribe("orders/create", OURS)
            continue
        with pytest.raises(NeedsSeller, match="Allowed formats: json"):
            await opened.subscribe("orders/create", OURS)


async def test_the_captured_life_of_a_subscription_is_read(opened, shop, words, capture) -> None:
    lifecycle = capture("webhook-subscription-conformance")["lifecycle"]
    row = lifecycle["detailAfterCreate"]["response"]["payload"]["data"]["webhookSubscription"]
    uri = row["endpoint"]["callbackUrl"]
    shop.on("Webhooks", words.answer({"webhookSubscriptions": words.page({**row, "uri": uri})}))
    (found,) = await opened.subscriptions()
    assert (found.name, found.topic, found.address, found.active) == (row["id"], "SHOP_UPDATE", uri, False)
    shop.on("WebhookChange", httpx.Response(200, json=lifecycle["update"]["response"]["payload"]))
    await opened.reactivate(Subscription(row["id"], "orders/create", OURS))
    shop.on("WebhookEnd", httpx.Response(200, json=lifecycle["delete"]["response"]["payload"]))
    await opened.unsubscribe(found)


# What is looked at


def place(number: int, **more: Any) -> dict[str, Any]:
    at = {"id": f"gid://shopify/Location/{number}", "name": f"Place {number}"}
    return {**at, "isActive": True, "isFulfillmentService": False, "fulfillsOnlineOrders": True, **more}


@pytest.fixture
def account(shop, words) -> Callable[..., None]:
    """What the account tells: permissions, locations on pages of two, the version that answers."""

    def told(*places: Any, scopes: tuple[str, ...] = SCOPES, version: str = "2026-10") -> None:
        app = {"webhookApiVersion": "2026-07"}
        installation = {"accessScopes": [{"handle": one} for one in scopes], "app": app}
        identity = {"id": "gid://shopify/Shop/77", "name": "Mugs", "myshopifyDomain": "example.myshopify.com"}
        checked = words.answer({"shop": identity, "currentAppInstallation": installation})
        checked.headers["X-Shopify-API-Version"] = version
        shop.on("Check", checked)
        some = [places[n : n + 2] for n in range(0, len(places), 2)] or [[]]
        pages = [words.page(*few, after=None if few is some[-1] else f"page-{n}") for n, few in enumerate(some, 2)]
        shop.on("Locations", *(words.answer({"locations": one}) for one in pages))

    return told


async def test_an_account_that_is_set_right_needs_nothing(opened, account) -> None:
    account(place(7), scopes=(*SCOPES, "read_all_orders"))
    points = await opened.inspect()
    assert [point.what for point in points] == ["permissions", "older orders", "API version", "locations"]
    assert all(point.fine for point in points)
    assert all(scope in points[0].found for scope in SCOPES)
    assert points[2].found == "Shopify answers by 2026-10 and writes deliveries by 2026-07."
    assert "7 (Place 7)" in points[3].found


async def test_missing_permissions_are_named_and_a_write_scope_holds_its_read_scope(opened, account) -> None:
    account(place(7), scopes=("write_orders", "write_products", "read_returns", "read_locations"))
    permissions, older, *_ = await opened.inspect()
    assert not permissions.fine
    lacking = ["read_merchant_managed_fulfillment_orders", "read_publications", "read_inventory", "write_inventory"]
    assert f"lacks {', '.join(lacking)}." in permissions.found
    assert older.fine
    assert "60 days" in older.found


async def test_locations_that_have_no_numbers_are_told_with_the_reason(opened, account, shop) -> None:
    theirs = place(8, isFulfillmentService=True, name="Far Away Ltd")
    closed = place(9, isActive=False)
    silent = place(10, fulfillsOnlineOrders=False)
    account(place(7), theirs, closed, silent, place(11, isActive=False, isFulfillmentService=True))
    found = {point.found for point in await opened.inspect() if point.what == "locations"}
    assert found == {
        "2 of 5 are active and the seller's own: 7 (Place 7), 10 (Place 10).",
        "Other companies keep these, so nothing is written: 8 (Far Away Ltd), 11 (Place 11).",
        "Deactivated, so nothing is kept there: 9 (Place 9).",
        "Online orders are not shipped from: 10 (Place 10).",
    }
    assert [one["after"] for one in shop.variables("Locations")] == [None, "page-2", "page-3"]


@pytest.mark.parametrize("places", [(), (place(7, isActive=False),), (place(7, isFulfillmentService=True),)])
async def test_without_a_location_of_the_sellers_own_there_is_something_to_do(opened, account, places: Any) -> None:
    account(*places)
    advice = [point.advice for point in await opened.inspect() if not point.fine]
    assert len(advice) == 1
    assert "Activate a location" in advice[0]


@pytest.mark.fault(45, "told as the end of the version, never as a listing that is gone")
async def test_an_answer_by_another_version_says_that_ours_has_ended(opened, account) -> None:
    account(place(7), version="2027-01")
    (point,) = [one for one in await opened.inspect() if one.what == "API version"]
    assert not point.fine
    assert "2027-01" in point.found
