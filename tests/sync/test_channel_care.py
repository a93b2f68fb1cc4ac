"""Looking after accounts: credentials, and that the channel tells us of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.subscriptions import Subscription
from channelsync.sync.channel_care import check_account, check_webhooks

OURS = "https://agent.example.com/webhooks/shop"
OLD = "https://old.example.com/webhooks/shop"


class Telling:
    """A channel with webhooks, laid over the one that is there."""

    topics: Sequence[str] = ("orders", "stock")

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.told: list[Subscription] = []
        self.listed: list[date] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def subscriptions(self) -> Sequence[Subscription]:
        return tuple(self.told)

    async def subscribe(self, topic: str, address: str) -> None:
        self.told.append(Subscription(f"s-{len(self.told)}", topic, address))

    async def reactivate(self, subscription: Subscription) -> None:
        self.told[self.told.index(subscription)] = replace(subscription, active=True)

    async def unsubscribe(self, subscription: Subscription) -> None:
        self.told.remove(subscription)

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        self.listed.append(day)
        async for one in self._inner.order_ids(day):
            yield one


@pytest.fixture
async def telling(seller: Any) -> Telling:
    """The channel "shop", whose orders were read up to now."""
    from channelsync.sync.take_orders import poll_orders

    await seller.pull()
    await poll_orders(seller.agent, seller.channel())
    channel = Telling(seller.channel().channel)
    seller.channel().channel = channel
    return channel


@pytest.mark.fault(22, "a subscription that is gone is registered again, and the orders since are read anew")
async def test_what_is_missing_is_registered_and_the_orders_since_are_read_anew(seller: Any, telling: Telling) -> None:
    told = await check_webhooks(seller.agent, "shop", OURS)
    assert told.startswith("registered orders, stock; 0 orders since 2026-02-28 are read anew")
    assert [(one.topic, one.address) for one in telling.told] == [("orders", OURS), ("stock", OURS)]
    assert telling.listed, "the orders of the days since were looked up"
    assert await check_webhooks(seller.agent, "shop", OURS) == "all 2 topics are told to us"
    telling.told.pop()
    assert (await check_webhooks(seller.agent, "shop", OURS)).startswith("registered stock; ")


async def test_what_the_channel_switched_off_is_switched_on(seller: Any, telling: Telling) -> None:
    telling.told = [Subscription("a", "orders", OURS, active=False), Subscription("b", "stock", OURS)]
    assert (await check_webhooks(seller.agent, "shop", OURS)).startswith("switched on orders; ")
    assert all(one.active for one in telling.told)


async def test_a_second_subscription_is_ended_and_nothing_is_read_anew(seller: Any, telling: Telling) -> None:
    telling.told = [Subscription(str(n), topic, OURS) for n, topic in enumerate(("orders", "stock", "stock"))]
    assert await check_webhooks(seller.agent, "shop", OURS) == "ended 1 doubled"
    assert telling.listed == []


async def test_what_others_are_told_is_not_touched_and_what_troubles_ours_is_found(
    seller: Any, telling: Telling
) -> None:
    telling.told = [
        Subscription("a", "orders", OURS, trouble="19 deliveries failed"),
        Subscription("b", "stock", OURS),
        Subscription("c", "orders", OLD),
    ]
    before = list(telling.told)
    assert "19 deliveries failed" in await check_webhooks(seller.agent, "shop", OURS)
    assert telling.told == before
    assert await seller.kinds() == ["webhooks"]
    telling.told[0] = replace(telling.told[0], trouble="")
    await check_webhooks(seller.agent, "shop", OURS)
    assert await seller.kinds() == []


@pytest.mark.parametrize("fields", [{"mode": "observe"}, {"only_observe": True}])
async def test_nothing_is_changed_at_a_channel_that_is_only_observed(
    seller: Any, telling: Telling, fields: dict[str, Any]
) -> None:
    seller.channel().setup = replace(seller.channel().setup, **fields)
    assert "missing: orders, stock" in await check_webhooks(seller.agent, "shop", OURS)
    assert telling.told == []
    assert await seller.kinds() == ["webhooks"]


async def test_a_channel_without_webhooks_has_none_to_look_after(seller: Any) -> None:
    assert "sends no webhooks" in await check_webhooks(seller.agent, "shop", OURS)


@asynccontextmanager
async def checked(seller: Any, answer: Identity | Exception) -> AsyncIterator[None]:
    """The channel answers so when it is asked whose account it is."""

    class Answering(Telling):
        async def check(self) -> Identity:
            if isinstance(answer, Exception):
                raise answer
            return answer

    inner = seller.channel().channel
    seller.channel().channel = Answering(inner)
    yield
    seller.channel().channel = inner


async def test_good_credentials_are_told(seller: Any) -> None:
    await seller.pull()
    assert (await check_account(seller.agent, "shop")).endswith("are good")


@pytest.mark.fault(36, "revoked credentials are found by the daily check; the finding ends when they are good again")
async def test_revoked_credentials_are_found_until_they_are_good_again(seller: Any) -> None:
    await seller.pull()
    async with checked(seller, NeedsSeller("connect the account anew")):
        with pytest.raises(NeedsSeller):
            await check_account(seller.agent, "shop")
    (found,) = await seller.findings()
    assert (found.kind, found.channel) == ("needs the seller", "shop")
    assert "connect the account anew" in found.summary
    await check_account(seller.agent, "shop")
    assert await seller.findings() == []


async def test_credentials_of_another_account_are_an_error(seller: Any) -> None:
    await seller.pull()
    async with checked(seller, Identity("somebody-else")):
        with pytest.raises(ChannelMisbehaved, match="somebody-else"):
            await check_account(seller.agent, "shop")
