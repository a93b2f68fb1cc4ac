"""Webhooks: made and changed over the API, delivered late, signed, once, until the seventh failure."""

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest

from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.deliveries import delivery_id, signature
from vendor_woocommerce.recorded import shape


class Receiver:
    """Takes deliveries; answers with `status`, or not at all when it is None."""

    def __init__(self, status: int | None = 200) -> None:
        self.status = status
        self.got: list[httpx.Request] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))

    async def _take(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        if self.status is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(self.status)

    async def all_of(self, ask) -> list[httpx.Request]:
        """Lets everything that waits go out, and gives what came of it."""
        before = len(self.got)
        await ask.site.api.deliveries.send(self.client, "https://shop.example", all_of_them=True)
        return self.got[before:]


def _hook(ask, topic: str = "order.updated", **more: object) -> int:
    body = {"name": "ours", "topic": topic, "delivery_url": "https://we.example/hook", "secret": "s3cr3t", **more}
    told = ask("POST", "/webhooks", body)
    assert (told.status, told.body["status"], "secret" in told.body) == (201, "active", False)
    return int(told.body["id"])


async def test_a_new_webhook_is_pinged_with_an_unsigned_form(ask) -> None:
    receiver = Receiver()
    hook = _hook(ask)
    (ping,) = await receiver.all_of(ask)
    assert (ping.content, ping.headers["content-type"]) == (
        f"webhook_id={hook}".encode(),
        "application/x-www-form-urlencoded",
    )
    assert not [name for name in ping.headers if name.startswith("x-wc-")]


async def test_a_delivery_is_signed_over_its_bytes_and_says_what_it_is(ask, clock: ContractClock) -> None:
    receiver = Receiver()
    hook = _hook(ask, secret="s&amp;3")
    mug = ask.simple(number=10)
    order = ask.order(mug, 2, set_paid=True)
    *_, got = await receiver.all_of(ask)
    expected = base64.b64encode(hmac.new(b"s&3", got.content, hashlib.sha256).digest()).decode()
    assert got.headers["x-wc-webhook-signature"] == expected
    assert {name: value for name, value in got.headers.items() if name.startswith("x-wc-")} == {
        "x-wc-webhook-source": "https://shop.example/",
        "x-wc-webhook-topic": "order.updated",
        "x-wc-webhook-resource": "order",
        "x-wc-webhook-event": "updated",
        "x-wc-webhook-signature": expected,
        "x-wc-webhook-id": str(hook),
        "x-wc-webhook-delivery-id": delivery_id(hook, clock.now()),
    }
    assert json.loads(got.content)["id"] == order


async def test_several_changes_are_one_delivery_of_the_last_state(ask) -> None:
    receiver = Receiver()
    _hook(ask)
    mug = ask.simple(number=10)
    order = ask.order(mug, 2)
    await receiver.all_of(ask)
    for status in ("on-hold", "processing", "completed"):
        ask("PUT", f"/orders/{order}", {"status": status})
    assert [json.loads(got.content)["status"] for got in await receiver.all_of(ask)] == ["completed"]
    assert await receiver.all_of(ask) == []


async def test_deliveries_of_one_second_share_their_id(ask, clock: ContractClock) -> None:
    receiver = Receiver()
    _hook(ask)
    mug = ask.simple(number=10)
    orders = [ask.order(mug, 1, set_paid=True) for _ in range(3)]
    got = [each for each in await receiver.all_of(ask) if "x-wc-webhook-id" in each.headers]
    assert sorted(json.loads(each.content)["id"] for each in got) == orders
    assert len({each.headers["x-wc-webhook-delivery-id"] for each in got}) == 1
    assert delivery_id(1, clock.now()) != delivery_id(2, clock.now())


async def test_nothing_is_sent_again_and_the_seventh_failure_in_a_row_switches_off(ask) -> None:
    receiver = Receiver(500)
    hook = _hook(ask)
    mug = ask.simple(number=10)
    await receiver.all_of(ask)
    order = ask.order(mug, 1)
    await receiver.all_of(ask)
    assert await receiver.all_of(ask) == [], "a failed delivery is gone"
    for failures in range(2, 8):
        receiver.status = None if failures == 4 else 500
        assert ask("GET", f"/webhooks/{hook}").body["status"] == "active"
        ask("PUT", f"/orders/{order}", {"customer_note": str(failures)})
        assert len(await receiver.all_of(ask)) == 1
    assert ask("GET", f"/webhooks/{hook}").body["status"] == "disabled"
    ask("PUT", f"/orders/{order}", {"status": "on-hold"})
    assert await receiver.all_of(ask) == []
    assert ask("PUT", f"/webhooks/{hook}", {"status": "active"}).body["status"] == "active"
    ask("PUT", f"/orders/{order}", {"status": "processing"})
    assert len(await receiver.all_of(ask)) == 1


@pytest.mark.parametrize("status", [200, 204, 302])
async def test_a_success_forgives_the_failures_before(ask, status: int) -> None:
    receiver = Receiver(500)
    hook = _hook(ask)
    mug = ask.simple(number=10)
    order = ask.order(mug, 1)
    for turn in range(12):
        receiver.status = status if turn == 5 else 500
        ask("PUT", f"/orders/{order}", {"customer_note": str(turn)})
        await receiver.all_of(ask)
    assert ask("GET", f"/webhooks/{hook}").body["status"] == "active"


async def test_the_cron_comes_round_within_a_minute(ask, clock: ContractClock) -> None:
    receiver = Receiver()
    _hook(ask, "product.updated")
    mug = ask.simple(number=10)
    await receiver.all_of(ask)
    ask.site.marketplace.buy(str(mug), 1)
    deliveries = ask.site.api.deliveries
    await deliveries.send(receiver.client, "https://shop.example")
    assert (len(receiver.got), deliveries.waiting) == (1, 1), "the ping only: a new product is told as created"
    await clock.sleep(62)
    await deliveries.send(receiver.client, "https://shop.example")
    assert json.loads(receiver.got[-1].content)["stock_quantity"] == 9


async def test_it_delivers_by_itself_for_as_long_as_it_runs(ask) -> None:
    receiver = Receiver()
    running = asyncio.create_task(ask.site.api.deliveries.run(receiver.client, "https://shop.example"))
    _hook(ask)
    order = ask.order(ask.simple(number=10))
    for _ in range(200):
        await asyncio.sleep(0)
    ask("PUT", f"/orders/{order}", {"status": "on-hold"})
    for _ in range(200):
        await asyncio.sleep(0)
    running.cancel()
    told = [json.loads(got.content)["status"] for got in receiver.got[1:]]
    assert told == ["pending", "on-hold"]
    assert [sent.status for sent in ask.site.api.deliveries.log] == [200, 200, 200]


async def test_the_trash_tells_an_id_and_a_deletion_for_good_tells_nothing(ask) -> None:
    receiver = Receiver()
    _hook(ask, "order.deleted")
    mug = ask.simple(number=10)
    first, second = ask.order(mug), ask.order(mug)
    await receiver.all_of(ask)
    ask("DELETE", f"/orders/{first}")
    ask("DELETE", f"/orders/{second}", query="force=true")
    assert [json.loads(got.content) for got in await receiver.all_of(ask)] == [{"id": first}]


async def test_an_identical_write_of_a_product_is_told_too(ask) -> None:
    receiver = Receiver()
    _hook(ask, "product.updated")
    mug = ask.simple(number=10)
    await receiver.all_of(ask)
    ask("PUT", f"/products/{mug}", {"stock_quantity": 10})
    assert len(await receiver.all_of(ask)) == 1


def test_webhooks_that_cannot_be_made_say_why(ask) -> None:
    for body, code in (
        ({"topic": "order.lost", "delivery_url": "https://we.example"}, "invalid_topic"),
        ({"topic": "order.updated", "delivery_url": "we.example"}, "invalid_delivery_url"),
    ):
        told = ask("POST", "/webhooks", body)
        assert (told.status, told.body["code"]) == (400, f"woocommerce_rest_shop_webhook_{code}")
    hook = _hook(ask)
    assert ask("DELETE", f"/webhooks/{hook}").status == 501
    assert ask("DELETE", f"/webhooks/{hook}", query="force=true").status == 200
    assert ask("GET", f"/webhooks/{hook}").status == 404
    assert ask("PUT", f"/webhooks/{hook}", {"status": "active"}).status == 400
    assert ask("GET", "/webhooks").body == []


def test_a_batch_of_webhooks_answers_each_row(ask) -> None:
    old = _hook(ask)
    rows = {
        "create": [{"topic": "order.created", "delivery_url": "https://we.example"}, {"topic": "nothing"}],
        "update": [{"id": old, "status": "paused"}, {"id": 4711, "status": "paused"}],
        "delete": [old],
    }
    told = ask("POST", "/webhooks/batch", rows).body
    assert told["create"][0]["topic"] == "order.created"
    assert told["create"][1]["error"]["code"] == "woocommerce_rest_shop_webhook_invalid_topic"
    assert told["update"][0]["status"] == "paused"
    assert told["update"][1]["error"]["data"]["status"] == 400
    assert [each["id"] for each in told["delete"]] == [old]
    assert [each["topic"] for each in ask("GET", "/webhooks").body] == ["order.created"]


def test_a_ping_can_be_had_too(ask, recordings_folder: Path) -> None:
    real = json.loads((recordings_folder / "webhook_deliveries" / "ping_1.json").read_text())
    ours = ask.site.ping("https://we.example")
    theirs = {name.lower(): value for name, value in real["headers"]}
    assert ours.body.decode() == real["body"]
    told = {name.lower(): value for name, value in ours.headers.items()}
    assert told == {name: value for name, value in theirs.items() if name not in ("host", "content-length")}


def test_the_delivery_of_an_order_can_be_had_at_any_moment(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 1)
    made = ask.site.delivery(str(order))
    assert made.headers["X-WC-Webhook-Signature"] == signature(ask.site.webhook_secret, made.body)
    assert json.loads(made.body)["id"] == order
    assert ask.site.delivery(str(order), secret="another").headers != made.headers


def test_deliveries_are_as_a_real_shop_s(ask, recordings_folder: Path) -> None:
    real = json.loads((recordings_folder / "webhook_deliveries" / "order_created_1.json").read_text())
    assert signature(real["secret"], real["body"].encode()) == dict(real["headers"])["X-WC-Webhook-Signature"]
    mug = ask.simple(number=10)
    ours = ask.site.delivery(str(ask.order(mug, 2)), "order.created")
    theirs = dict(real["headers"])
    assert {name.lower() for name in ours.headers} == {name.lower() for name in theirs} - {"host", "content-length"}
    assert set(shape(json.loads(ours.body))) == set(shape(json.loads(real["body"])))
