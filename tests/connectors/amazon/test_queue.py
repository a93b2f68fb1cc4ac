"""The queue at AWS, on a server that checks signatures: what is received, given back, and kept out."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_fronts import MarketplaceApp
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.contract import CANARY, ContractClock
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.polled_hints import PollsHints
from channelsync.sdk.resources import unused
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync_amazon import CONNECTOR
from channelsync_amazon.channel import AmazonChannel
from channelsync_amazon.queue import HIDDEN_S, region_of
from channelsync_amazon.settings import AmazonSettings
from vendor_amazon.queues import Queue
from vendor_amazon.sqs import AccessKey, SqsApi

SELLER = "A3TH9S8BH6GOGM"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@dataclass
class Stand:
    """A queue on a socket, and what opens a channel that reads it."""

    queue: Queue
    api: SqsApi
    clock: ContractClock

    def settings(self, **different: Any) -> AmazonSettings:
        queue = {"url": self.api.url, "access_key": "AKIA1", "secret_key": SECRET} | different
        return AmazonSettings(
            seller_id=SELLER,
            region="eu",
            marketplaces=("A1PA6795UKMFR9",),
            client_id="x",
            client_secret="y",
            refresh_token="z",
            queue=queue,
        )

    @asynccontextmanager
    async def channel(self, **different: Any) -> AsyncIterator[AmazonChannel]:
        settings = self.settings(**different)
        resources = unused("amazon-eu", CONNECTOR.budgets(settings), SystemClock())
        async with CONNECTOR.open(settings, resources) as opened:
            assert isinstance(opened, PollsHints)
            assert isinstance(opened, AmazonChannel)
            assert opened.polls_hints
            yield opened


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    clock = ContractClock()
    queue = Queue("arn:1", clock.now, random.Random(1))
    market = Marketplace("aws", MarketplaceRules(), clock, random.Random(1))
    api = SqsApi(market, queue, "", AccessKey("AKIA1", SECRET), SystemClock().now)
    async with loopback_server(MarketplaceApp(api, clock, random.Random(1))) as base:
        api.url = f"{base}/123456789012/channelsync"
        yield Stand(queue, api, clock)


def order_change(order: str, *, seller: str = SELLER, event: str = "n-1") -> str:
    told = {
        "NotificationType": "ORDER_CHANGE",
        "EventTime": "2017-06-01T09:00:00Z",
        "Payload": {"OrderChangeNotification": {"SellerId": seller, "AmazonOrderId": order, "Buyer": CANARY[0]}},
        "NotificationMetadata": {"NotificationId": event, "PublishTime": "2017-06-01T09:00:01Z"},
    }
    return orjson.dumps(told).decode()


def quantity_change(sku: str) -> str:
    told = {
        "notificationType": "LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
        "eventTime": "2017-06-01T09:00:00Z",
        "payload": {"sellerId": SELLER, "sku": sku, "quantity": 3},
        "notificationMetadata": {"notificationId": "n-2", "publishTime": "2017-06-01T09:00:01Z"},
    }
    return orjson.dumps(told).decode()


async def test_messages_become_hints_and_are_gone_when_they_are_acknowledged(stand: Stand) -> None:
    stand.queue.send(order_change("250-1"))
    stand.queue.send(quantity_change("MUG"))
    async with stand.channel() as channel:
        found = await channel.hints()
        told = [one.hint for one in found]
        assert all(isinstance(one, WebhookHint) for one in told)
        assert [(one.orders, one.keys) for one in told if isinstance(one, WebhookHint)] == [
            (("250-1",), ()),
            ((), (QuantityKey("MUG"),)),
        ]
        assert CANARY[0] not in repr(found)
        assert await channel.hints() == [], "nobody gets them meanwhile"
        await channel.acknowledge(found)
    assert len(stand.queue) == 0


async def test_what_was_not_acknowledged_comes_back(stand: Stand) -> None:
    stand.queue.send(order_change("250-1"))
    async with stand.channel() as channel:
        first = await channel.hints()  # the process ends here
    await stand.clock.sleep(HIDDEN_S + 1)
    async with stand.channel() as channel:
        again = await channel.hints()
        assert [one.hint for one in again] == [one.hint for one in first]
        await channel.acknowledge(again)
        await stand.clock.sleep(HIDDEN_S + 1)
        assert await channel.hints() == []


async def test_what_aws_gives_twice_and_in_any_order_is_acknowledged_each_time(stand: Stand) -> None:
    stand.queue.duplicates, stand.queue.disorder = 1.0, True
    for number in range(23):
        stand.queue.send(order_change(f"250-{number}", event=f"n-{number}"))
    seen: list[tuple[str, ...]] = []
    async with stand.channel() as channel:
        while found := await channel.hints():
            assert len(found) <= 10
            seen += [one.hint.orders for one in found if isinstance(one.hint, WebhookHint)]
            await channel.acknowledge(found)
    assert sorted(seen) == sorted([(f"250-{number}",) for number in range(23)] * 2)
    assert len(stand.queue) == 0


MALFORMED = [
    "",
    "not JSON",
    "[]",
    "{}",
    order_change("250-1", seller="ANOTHER"),
    '{"NotificationType": "ORDER_CHANGE"}',
]


async def test_malformed_messages_are_told_from_others_and_can_be_taken_out(stand: Stand) -> None:
    for body in MALFORMED:
        stand.queue.send(body)
    stand.queue.send(order_change("250-2"))
    stand.queue.send(order_change("250-3").replace("ORDER_CHANGE", "PRICING_HEALTH"))
    async with stand.channel() as channel:
        found = await channel.hints()
        assert [one.hint is None for one in found] == [True] * len(MALFORMED) + [False, False]
        assert isinstance(found[-1].hint, Harmless)
        await channel.acknowledge(found)
    assert len(stand.queue) == 0


async def test_a_message_that_was_changed_on_its_way_is_not_believed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.queue.send(order_change("250-1"))
    handled = stand.api._receive

    def changed(body: dict[str, Any]) -> dict[str, Any]:
        told = handled(body)
        told["Messages"][0]["Body"] = order_change("250-9")
        return told

    monkeypatch.setattr(stand.api, "_receive", changed)
    async with stand.channel() as channel:
        (found,) = await channel.hints()
    assert found.hint is None


@pytest.mark.parametrize(
    "different",
    [{"secret_key": "another"}, {"access_key": "AKIA2"}, {"url": "there is no such queue"}],
    ids=["secret", "key", "queue"],
)
async def test_a_key_or_a_queue_that_is_wrong_needs_the_seller(stand: Stand, different: dict[str, Any]) -> None:
    if "url" in different:
        different = {"url": f"{stand.api.url}-gone"}
    async with stand.channel(**different) as channel:
        with pytest.raises(NeedsSeller) as caught:
            await channel.hints()
    assert "sqs:ReceiveMessage" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert stand.api.calls.get("DeleteMessageBatch") is None


async def test_an_outage_of_aws_is_asked_again_later_and_harms_the_channel_no_further(stand: Stand) -> None:
    stand.api.down = True
    async with stand.channel() as channel:
        with pytest.raises(TryLater):
            await channel.hints()


async def test_the_check_says_whether_the_queue_can_be_read(stand: Stand) -> None:
    stand.queue.send(order_change("250-1"))
    async with stand.channel() as channel, stand.channel(secret_key="another") as wrong:
        assert channel._queue is not None
        assert wrong._queue is not None
        assert await channel._queue.waiting() == 1
        with pytest.raises(NeedsSeller, match="GetQueueAttributes"):
            await wrong._queue.waiting()


async def test_a_channel_without_a_queue_polls_nothing(stand: Stand) -> None:
    settings = stand.settings().model_copy(update={"queue": None})
    async with CONNECTOR.open(settings, unused("amazon-eu", CONNECTOR.budgets(settings), SystemClock())) as channel:
        assert isinstance(channel, AmazonChannel)
        assert not channel.polls_hints
        assert await channel.hints() == []
    assert stand.api.calls == {}


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("http://127.0.0.1:4566/000000000000/q", "us-east-1"),
    ],
)
def test_the_region_is_in_the_queues_address(url: str, region: str) -> None:
    assert region_of(url) == region


def test_the_secret_of_the_queue_does_not_travel_over_plain_http() -> None:
    queue = {"url": "http://sqs.eu-west-1.amazonaws.com/1/q", "access_key": "A", "secret_key": SECRET}
    with pytest.raises(ValidationError) as caught:
        AmazonSettings(
            seller_id=SELLER,
            region="eu",
            marketplaces=("A1",),
            client_id="x",
            client_secret="y",
            refresh_token="z",
            queue=queue,
        )
    assert SECRET not in str(caught.value)
