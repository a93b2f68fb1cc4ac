"""Webhooks of the lab: signed, and lost, doubled, late and out of order as planned."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey, Offer, Topic
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.lab.webhook_sender import REPEATS, WebhookPlan, WebhookSender

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
AT_ONCE = WebhookPlan(delay=(0.0, 0.0))
ALL: tuple[Topic, ...] = ("order.created", "order.updated", "order.cancelled", "number.changed")
Answer = Callable[[httpx.Request, LabClock], Awaitable[httpx.Response]]


async def taken(_request: httpx.Request, _clock: LabClock) -> httpx.Response:
    return httpx.Response(202)


class Day:
    """A marketplace with 100 mugs, a subscriber, and what it received."""

    def __init__(self, answer: Answer, plan: WebhookPlan, rules: MarketplaceRules, topics: tuple[Topic, ...]) -> None:
        self.clock = LabClock()
        self.site: Site = open_site("agora", rules, self.clock)
        self.site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 100)
        self.received: list[tuple[datetime, httpx.Request]] = []
        self.subscription = self.site.api.subscriptions.add("agora", "http://us.example/in", topics)

        async def receive(request: httpx.Request) -> httpx.Response:
            self.received.append((self.clock.now(), request))
            return await answer(request, self.clock)

        client = httpx.AsyncClient(transport=httpx.MockTransport(receive))
        self.sender = WebhookSender(self.site.api, client, self.clock, random.Random(1), plan)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for _, request in self.received]


def lived(
    story: Callable[[Day], Awaitable[None]],
    *,
    answer: Answer = taken,
    plan: WebhookPlan = AT_ONCE,
    rules: MarketplaceRules = PRESETS["plain"],
    topics: tuple[Topic, ...] = ALL,
) -> Day:
    """A day that goes on for an hour after the story."""

    async def main() -> Day:
        day = Day(answer, plan, rules, topics)
        running = asyncio.create_task(day.sender.run())
        await story(day)
        await day.clock.sleep(3_600)
        assert day.sender.idle
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return day

    return run_virtual(main(), start=NOON)


async def ten_orders(day: Day) -> None:
    for _ in range(10):
        day.site.marketplace.buy("mug", 1)
        await day.clock.sleep(1)


async def one_order(day: Day) -> None:
    order = day.site.marketplace.buy("mug", 2).order
    assert order is not None
    await day.clock.sleep(60)
    day.site.marketplace.ship(order.id, {order.lines[0].id: 1})
    day.site.marketplace.cancel(order.id)


def test_subscribers_hear_of_orders_as_they_were_and_of_numbers() -> None:
    day = lived(one_order)
    assert [body["type"] for body in day.bodies] == [
        "number.changed",
        "order.created",
        "order.updated",
        "number.changed",
        "order.cancelled",
    ]
    created, updated, cancelled = (body["data"]["order"] for body in day.bodies if "order" in body["data"])
    assert [order["status"] for order in (created, updated, cancelled)] == ["open", "open", "cancelled"]
    assert created["updated_at"] < updated["updated_at"] < cancelled["updated_at"]
    assert [body["data"]["number"]["number"] for body in day.bodies if "number" in body["data"]] == [98, 99]
    assert day.bodies[0]["data"]["number"]["key"] == "K-mug"
    assert {body["account"] for body in day.bodies} == {"agora"}


def test_a_subscriber_hears_of_its_topics_only_and_of_nothing_once_it_has_left() -> None:
    async def story(day: Day) -> None:
        day.site.marketplace.buy("mug", 1)
        await day.clock.sleep(60)
        day.site.api.subscriptions.remove("agora", day.subscription.id)
        day.site.marketplace.buy("mug", 1)

    assert [body["type"] for body in lived(story, topics=("order.created",)).bodies] == ["order.created"]


def test_every_attempt_is_signed_over_id_time_and_raw_body_by_the_marketplaces_clock() -> None:
    day = lived(one_order, rules=PRESETS["clock 90 s ahead"])
    key = base64.b64decode(day.subscription.secret.removeprefix("whsec_"))
    for at, request in day.received:
        stamp = request.headers["webhook-timestamp"]
        assert int(stamp) == int(at.timestamp()) + 90
        signed = f"{request.headers['webhook-id']}.{stamp}.".encode() + request.content
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{signature}"
    assert len({request.headers["webhook-id"] for _, request in day.received}) == len(day.received)


def test_forged_messages_carry_a_wrong_signature() -> None:
    good, forged = lived(one_order), lived(one_order, plan=WebhookPlan(delay=(0.0, 0.0), forged=1.0))
    pairs = zip(good.received, forged.received, strict=True)
    same = [one.headers["webhook-signature"] == other.headers["webhook-signature"] for (_, one), (_, other) in pairs]
    assert not any(same)
    assert {attempt.outcome for attempt in forged.sender.log} == {"forged"}


def test_a_message_that_is_not_taken_is_repeated_under_its_id_and_then_given_up() -> None:
    async def busy(_request: httpx.Request, _clock: LabClock) -> httpx.Response:
        return httpx.Response(503)

    async def story(day: Day) -> None:
        day.site.marketplace.edit_number(NumberKey("K-mug"), 5)

    day = lived(story, answer=busy)
    waits = [sum(REPEATS[:n]) for n in range(5)]
    assert [(at - NOON).total_seconds() for at, _ in day.received] == waits
    assert len({request.headers["webhook-id"] for _, request in day.received}) == 1
    stamps = [int(request.headers["webhook-timestamp"]) - int(NOON.timestamp()) for _, request in day.received]
    assert stamps == [int(wait) for wait in waits]
    assert [attempt.status for attempt in day.sender.log] == [503] * 5


def test_a_receiver_that_answers_too_late_or_not_at_all_gets_it_again() -> None:
    answers = iter(["late", "reset", "taken"])

    async def answer(request: httpx.Request, clock: LabClock) -> httpx.Response:
        match next(answers):
            case "late":
                await clock.sleep(30)
            case "reset":
                raise httpx.ReadError("reset", request=request)
        return httpx.Response(200)

    async def story(day: Day) -> None:
        day.site.marketplace.edit_number(NumberKey("K-mug"), 5)

    day = lived(story, answer=answer)
    assert [attempt.status for attempt in day.sender.log] == [None, None, 200]


def test_a_slow_receiver_does_not_hold_up_other_messages() -> None:
    async def slow(_request: httpx.Request, clock: LabClock) -> httpx.Response:
        await clock.sleep(9)
        return httpx.Response(200)

    day = lived(ten_orders, answer=slow, topics=("order.created",))
    assert [(at - NOON).total_seconds() for at, _ in day.received] == list(range(10))


def ids(day: Day) -> list[str]:
    return [body["data"]["order"]["id"] for body in day.bodies]


def test_messages_are_lost_doubled_late_and_out_of_order_as_planned() -> None:
    orders = [f"agora-{1001 + n}" for n in range(10)]
    created: tuple[Topic, ...] = ("order.created",)

    def day(plan: WebhookPlan) -> Day:
        return lived(ten_orders, plan=plan, topics=created)

    assert ids(day(AT_ONCE)) == orders
    lost = day(WebhookPlan(lost=1.0))
    assert (lost.received, {attempt.outcome for attempt in lost.sender.log}) == ([], {"lost"})
    doubled = day(WebhookPlan(delay=(0.0, 0.0), doubled=1.0))
    assert sorted(ids(doubled)) == sorted([*orders, *orders])
    assert len({request.headers["webhook-id"] for _, request in doubled.received}) == 10
    assert sum(at - NOON >= timedelta(seconds=60) for at, _ in doubled.received) == 10
    late = day(WebhookPlan(delay=(0.0, 0.0), late_share=1.0, late=(60.0, 600.0)))
    assert all(at - NOON >= timedelta(seconds=60) for at, _ in late.received)
    mixed = ids(day(WebhookPlan(delay=(0.0, 30.0))))
    assert mixed != orders
    assert sorted(mixed) == orders


def test_an_unreliable_plan_does_some_of_everything_and_the_same_each_time() -> None:
    async def many(day: Day) -> None:
        for _ in range(10):
            await ten_orders(day)

    one, two = (lived(many, plan=WebhookPlan.unreliable(), topics=("order.created",)) for _ in range(2))
    assert [request.content for _, request in one.received] == [request.content for _, request in two.received]
    assert 0 < sum(attempt.outcome == "lost" for attempt in one.sender.log) < 30
    assert len(set(ids(one))) < len(ids(one))
