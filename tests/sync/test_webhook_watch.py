"""Watching over webhooks: silent topics, and channels all whose deliveries are refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import inbox
from channelsync.sync.inbox import arrived
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.vault import Seals
from channelsync.sync.webhook_watch import REFUSED_MIN, REFUSED_WITHIN, Refusals, watch_silence

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def come(seller: Any, *events: str, topic: str = "orders/create", channel: str = "shop") -> None:
    """Deliveries come, an hour apart."""
    for event in events:
        hint = WebhookHint(topic=topic, event=event, sent_at=seller.clock.now())
        one = arrived(channel, hint, b"", Seals(), seller.clock.now())
        await seller.database.transact(lambda c, one=one: inbox.keep_deliveries(c, [one], ""))
        seller.clock.at += timedelta(hours=1)


async def sell(seller: Any, mug: str, times: int) -> None:
    """Orders are placed, and found by a poll."""
    shop = seller.shop()
    for _ in range(times):
        shop.buy((shop.items[mug], 1))
    await poll_orders(seller.agent, seller.channel())


@pytest.mark.fault(6, "polls find the orders, and a finding says that the topic has fallen silent")
async def test_a_topic_that_falls_silent_while_orders_come_is_a_finding_until_it_is_heard_again(seller: Any) -> None:
    mug = await seller.sells("MUG", 50)
    await come(seller, *(f"e-{number}" for number in range(12)))
    seller.clock.at += timedelta(hours=5)
    await sell(seller, mug, 2)
    assert await watch_silence(seller.agent) == []
    await sell(seller, mug, 1)
    assert await watch_silence(seller.agent) == ["shop orders/create"]
    (finding,) = [one for one in await seller.findings() if one.kind == FindingKind.WEBHOOKS]
    assert "no webhook orders/create has come since" in finding.summary
    assert "3 orders were placed since" in finding.summary
    assert "longest pause was 1 hours" in finding.summary

    await come(seller, "again")
    assert await watch_silence(seller.agent) == []
    assert FindingKind.WEBHOOKS not in await seller.kinds()


async def test_a_topic_of_a_channel_that_is_configured_no_more_is_not_missed(seller: Any) -> None:
    await come(seller, *(f"e-{number}" for number in range(12)), channel="gone")
    seller.clock.at += timedelta(days=9)
    assert await watch_silence(seller.agent) == []


# Refusals


def opened(refusals: Refusals, seen: Sequence[tuple[int, int]], *, minutes: float = 1) -> list[str]:
    """What is told at each look, some minutes apart: "opened", "closed", or nothing."""
    told = []
    for number, one in enumerate(seen):
        news = refusals.news({"shop": one}, START + timedelta(minutes=minutes * number))
        told.append("opened" if news.opened else "closed" if news.closed else "")
    return told


@pytest.mark.fault(12, "after the window 401, and a finding says that a secret is used that is not configured")
@pytest.mark.fault(13, "all are refused, and a finding says so and names the clock")
def test_a_channel_all_whose_deliveries_are_refused_is_told_once_and_again_when_they_are_taken() -> None:
    looks = [(0, 0), (REFUSED_MIN - 1, 0), (REFUSED_MIN, 0), (50, 0), (50, 1), (50, 2), (51, 2)]
    assert opened(Refusals(), looks) == ["", "", "opened", "", "closed", "", ""]
    news = Refusals().news({"shop": (REFUSED_MIN, 0)}, START)
    assert "signed with a secret that is not configured" in news.opened[0].summary
    assert "clock" in news.opened[0].summary


def test_forgeries_among_genuine_deliveries_are_no_news() -> None:
    told = opened(Refusals(), [(0, 1), (500, 2), (1_000, 3)])
    assert told == ["closed", "", ""], "what an earlier process found is over"


def test_forgeries_are_counted_within_an_hour() -> None:
    looks = [(number, 0) for number in range(20)]
    minutes = REFUSED_WITHIN.total_seconds() / 60 / (REFUSED_MIN - 2)
    assert "opened" not in opened(Refusals(), looks, minutes=minutes)
    assert "opened" in opened(Refusals(), looks, minutes=1)


def test_what_was_taken_long_ago_does_not_hide_that_all_are_refused_now() -> None:
    told = opened(Refusals(), [(0, 10), (0, 10), (10, 10), (20, 10)], minutes=61)
    assert told == ["closed", "", "opened", ""]
