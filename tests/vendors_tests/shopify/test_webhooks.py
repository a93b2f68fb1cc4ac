"""Webhooks: which addresses are taken, what is sent, how often, and when Shopify gives up."""

import asyncio
import base64
import hashlib
import hmac
import random

import httpx
import orjson
import pytest

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.contract.world import START
from vendor_shopify import open_vendor
from vendor_shopify.access import ALL_SCOPES
from vendor_shopify.webhook_sender import REPEATS, ShopifyWebhookSender
from vendor_shopify.webhooks import Deliveries, topic_path

CREATE = """
mutation Create($topic: WebhookSubscriptionTopic!, $hook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $hook) {
    webhookSubscription { id topic uri format apiVersion { handle } }
    userErrors { field message }
  }
}
"""
LIST = "{ webhookSubscriptions(first: 50) { nodes { id topic uri } } }"


def created(ask, topic="ORDERS_CREATE", **hook):
    return ask.data(CREATE, topic=topic, hook=hook)["webhookSubscriptionCreate"]


def test_a_subscription_is_made_listed_changed_and_deleted(ask):
    made = created(ask, uri="https://receiver.example/hook")["webhookSubscription"]
    assert (made["topic"], made["format"], made["apiVersion"]["handle"]) == ("ORDERS_CREATE", "JSON", "2026-10")
    assert [each["id"] for each in ask.data(LIST)["webhookSubscriptions"]["nodes"]] == [made["id"]]
    change = """mutation($id: ID!, $hook: WebhookSubscriptionInput!) { webhookSubscriptionUpdate(id: $id,
                webhookSubscription: $hook) { webhookSubscription { uri } userErrors { message } } }"""
    done = ask.data(change, id=made["id"], hook={"uri": "https://other.example"})["webhookSubscriptionUpdate"]
    assert done["webhookSubscription"]["uri"] == "https://other.example"
    delete = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id)
                { deletedWebhookSubscriptionId userErrors { message } } }"""
    assert ask.data(delete, id=made["id"])["webhookSubscriptionDelete"]["deletedWebhookSubscriptionId"] == made["id"]
    assert ask.data(LIST)["webhookSubscriptions"]["nodes"] == []
    assert ask.data(delete, id=made["id"])["webhookSubscriptionDelete"]["userErrors"]


def test_plain_http_is_refused(ask):
    done = created(ask, uri="http://receiver.example/hook")
    assert done["webhookSubscription"] is None
    assert done["userErrors"][0]["message"] == "Address protocol http:// is not supported"


def test_the_same_address_for_a_topic_is_taken_once(ask):
    assert created(ask, uri="https://receiver.example")["userErrors"] == []
    assert created(ask, uri="https://receiver.example")["userErrors"]
    assert created(ask, "ORDERS_UPDATED", uri="https://receiver.example")["userErrors"] == []


def test_a_topic_needs_its_scope(opened):
    ask = opened(scopes=[each for each in ALL_SCOPES if each != "read_returns"])
    assert created(ask, "RETURNS_APPROVE", uri="https://receiver.example")["userErrors"]
    assert created(ask, "ORDERS_CREATE", uri="https://receiver.example")["userErrors"] == []
    assert created(ask, "FULFILLMENTS_CREATE", uri="https://receiver.example")["userErrors"], (
        "it needs read_fulfillments"
    )


@pytest.mark.parametrize(
    ("topic", "path"),
    [
        ("ORDERS_CREATE", "orders/create"),
        ("INVENTORY_LEVELS_UPDATE", "inventory_levels/update"),
        ("REFUNDS_CREATE", "refunds/create"),
        ("BULK_OPERATIONS_FINISH", "bulk_operations/finish"),
    ],
)
def test_headers_write_a_topic_as_a_path(topic, path):
    assert topic_path(topic) == path


def test_a_delivery_is_signed_over_its_bytes_and_tells_of_the_order(ask):
    mug = ask.site.shop.catalogue.offer("MUG", 5)
    order = ask.site.marketplace.buy(mug.listing, 2).order
    made = Deliveries(ask.site.shop, ask.site.api.orders).of_order(order, "ORDERS_CREATE")
    digest = hmac.new(ask.site.webhook_secret.encode(), made.body, hashlib.sha256).digest()
    assert made.headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()
    assert made.headers["X-Shopify-Topic"] == "orders/create"
    assert made.headers["X-Shopify-Shop-Domain"] == ask.site.domain
    assert made.headers["X-Shopify-Event-Id"] == made.event
    body = orjson.loads(made.body)
    assert body["admin_graphql_api_id"] == f"gid://shopify/Order/{ask.site.shop.book.number(order)}"
    assert [(each["variant_id"], each["quantity"]) for each in body["line_items"]] == [(int(mug.listing), 2)]


class Receiver(httpx.AsyncBaseTransport):
    """Takes deliveries, or does not."""

    def __init__(self):
        self.got = []
        self.status = 200

    async def handle_async_request(self, request):
        self.got.append(request)
        return httpx.Response(self.status)


def told(contracts, story, *, topics=("ORDERS_CREATE", "ORDERS_UPDATED"), plan=None):
    """Runs a story in virtual time with a sender at work; (receiver, site, sender) afterwards."""

    async def run():
        clock = LabClock()
        site = open_vendor("corner-shop", clock, contracts=contracts)
        for topic in topics:
            site.shop.subscriptions.add(topic, "https://receiver.example/hook", clock.now())
        receiver = Receiver()
        async with httpx.AsyncClient(transport=receiver) as client:
            sender = ShopifyWebhookSender(site.api, client, clock, random.Random(1), plan)
            work = asyncio.create_task(sender.run())
            await story(site, receiver, clock)
            await clock.sleep(6 * 3600)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        return receiver, site, sender

    return run_virtual(run(), start=START)


def test_news_go_to_those_who_want_them(contracts):
    async def story(site, receiver, clock):
        mug = site.shop.catalogue.offer("MUG", 5)
        order = site.marketplace.buy(mug.listing, 2).order
        site.marketplace.cancel(order.id)

    receiver, _, sender = told(
        contracts, story, topics=("ORDERS_CREATE", "ORDERS_CANCELLED", "INVENTORY_LEVELS_UPDATE")
    )
    topics = sorted(each.headers["X-Shopify-Topic"] for each in receiver.got)
    assert topics == ["inventory_levels/update", "inventory_levels/update", "orders/cancelled", "orders/create"]
    assert sender.idle


def test_a_message_that_is_not_taken_is_repeated_eight_times_and_then_the_subscription_is_removed(contracts):
    async def story(site, receiver, clock):
        receiver.status = 500
        mug = site.shop.catalogue.offer("MUG", 5)
        site.marketplace.buy(mug.listing, 2)

    receiver, site, _ = told(contracts, story, topics=("ORDERS_CREATE",))
    assert len(receiver.got) == 1 + len(REPEATS) == 9
    assert len({each.headers["X-Shopify-Event-Id"] for each in receiver.got}) == 1
    assert site.shop.subscriptions.all == {}
    assert [each.topic for each in site.shop.subscriptions.removed] == ["ORDERS_CREATE"]


def test_a_repeat_that_is_taken_ends_the_matter(contracts):
    async def story(site, receiver, clock):
        receiver.status = 500
        mug = site.shop.catalogue.offer("MUG", 5)
        site.marketplace.buy(mug.listing, 2)
        await clock.sleep(60)
        receiver.status = 200

    receiver, site, _ = told(contracts, story, topics=("ORDERS_CREATE",))
    assert len(receiver.got) == 4
    assert [each.failures for each in site.shop.subscriptions.all.values()] == [0]


def test_deliveries_can_be_doubled_with_one_event_id(contracts):
    async def story(site, receiver, clock):
        mug = site.shop.catalogue.offer("MUG", 5)
        site.marketplace.buy(mug.listing, 2)

    receiver, _, _ = told(contracts, story, topics=("ORDERS_CREATE",), plan=WebhookPlan(doubled=1.0))
    assert len({each.headers["X-Shopify-Event-Id"] for each in receiver.got}) == 1
    assert len({each.headers["X-Shopify-Webhook-Id"] for each in receiver.got}) == 2
