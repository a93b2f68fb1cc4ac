"""Access, permissions, locations, webhooks: what `channels connect` and `channels check` do at Shopify."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channelsync.lab.faults import Fault, FaultKind
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.subscriptions import mend
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import WebhookHint
from channelsync_shopify import CONNECTOR
from channelsync_shopify.webhooks import TOPICS
from vendor_shopify.access import ALL_SCOPES
from vendor_shopify.webhooks import Deliveries

OURS = "https://seller.example/webhooks/shop-uk"


# Access


async def test_expiring_access_is_renewed_over_hours_and_restarts(both) -> None:
    first = SecretStr(both.site.shop.access.refresh_token(both.clock.now()))
    for _ in range(5):
        async with both.open(refresh_token=first) as channel:
            for _ in range(4):
                await channel.check()
                await both.clock.sleep(1000)
    async with both.open(refresh_token=first) as channel:
        both.site.shop.access.drop()
        await channel.check()
    again = SecretStr(both.site.shop.access.refresh_token(both.clock.now()))
    await both.clock.sleep(timedelta(days=91).total_seconds())
    async with both.open(refresh_token=first) as channel:
        with pytest.raises(NeedsSeller, match="invalid_grant"):
            await channel.check()
    assert again != first


async def test_a_renewal_whose_answer_is_lost_costs_nothing(both) -> None:
    first = SecretStr(both.site.shop.access.refresh_token(both.clock.now()))
    now = both.clock.now()
    lost = Fault(
        kind=FaultKind.NO_ANSWER_AFTER, starts=now, ends=now + timedelta(seconds=1), endpoints=frozenset({"token"})
    )
    both.site.api.faults.faults = (lost,)
    async with both.open(refresh_token=first) as channel:
        await channel.check()
    assert both.site.api.calls["token"] >= 2


@pytest.mark.parametrize("scope", ["read_orders", "read_returns", "write_inventory", "read_publications"])
async def test_a_permission_that_is_taken_away_is_named(both, scope: str) -> None:
    both.site.shop.access.scopes = frozenset(ALL_SCOPES) - {scope, scope.replace("read_", "write_")}
    async with both.open() as channel:
        with pytest.raises(NeedsSeller, match=scope):
            await channel.check()
        permissions = (await channel.inspect())[0]
    assert scope in permissions.found
    assert not permissions.fine


async def test_orders_that_a_permission_is_missing_for_need_the_seller(both) -> None:
    offer = both.site.shop.catalogue.offer("MUG", 10)
    both.site.marketplace.buy(offer.listing, 1)
    await both.clock.sleep(10)
    both.site.shop.access.scopes = frozenset(ALL_SCOPES) - {"read_returns"}
    async with both.open() as channel:
        with pytest.raises(NeedsSeller, match="read_returns"):
            await anext(channel.orders(cursor=None))


async def test_the_locations_of_the_shop_are_told(both) -> None:
    catalogue = both.site.shop.catalogue
    closed = catalogue.add_location("Closed")
    catalogue.locations[closed].active = False
    async with both.open() as channel:
        points = await channel.inspect()
    assert all(point.fine for point in points)
    told = " ".join(point.found for point in points if point.what == "locations")
    assert f"{catalogue.primary} (Shop location)" in told
    assert f"Deactivated, so nothing is kept there: {closed} (Closed)." in told


# Webhooks


async def test_webhooks_are_registered_mended_and_understood(both) -> None:
    shop = both.site.shop
    async with both.open() as channel:
        assert list((await mend(channel, OURS)).missing) == list(TOPICS)
        assert not (await mend(channel, OURS)).needed
        spoilt, dropped, cut = list(shop.subscriptions.all.values())[:3]
        shop.subscriptions.change(spoilt, {"filter": "id:1", "includeFields": ["name"]}, both.clock.now())
        shop.subscriptions.change(cut, {"includeFields": ["id"]}, both.clock.now())
        del shop.subscriptions.all[dropped.number]
        shop.subscriptions.add("ORDERS_CREATE", "https://others.example", both.clock.now())
        done = await mend(channel, OURS)
        assert (list(done.missing), [one.topic for one in done.off]) == (
            ["orders/updated"],
            ["orders/create", "orders/edited"],
        )
        assert not (await mend(channel, OURS)).needed
        for one in await channel.subscriptions():
            if one.address == OURS:
                await channel.unsubscribe(one)
                await channel.unsubscribe(one)
        assert [one.address for one in await channel.subscriptions()] == ["https://others.example"]


async def test_what_is_delivered_says_what_to_read_and_nothing_of_the_buyer(both) -> None:
    market, shop = both.site.marketplace, both.site.shop
    deliveries = Deliveries(shop, both.site.api.orders)
    told: list[Any] = []
    offer = shop.catalogue.offer("MUG", 10)
    async with both.open() as channel:
        await mend(channel, OURS)
    market.on_news.append(lambda news: told.extend(deliveries.events(news)))
    sale = market.buy(offer.listing, 3)
    assert sale.order is not None
    market.cancel(sale.order.id, {sale.order.lines[0].id: 1})
    market.edit_number(offer.keys[0], 4)
    assert CONNECTOR.webhooks is not None
    scheme = CONNECTOR.webhooks(both.settings, both.resources)
    assert scheme is not None
    orders, keys = set(), set()
    for event in told:
        for subscription in shop.subscriptions.wanting(event.topic):
            made = deliveries.signed(deliveries.cut(event, subscription), name=subscription.name)
            assert b"anary" not in made.body
            hint = await scheme.verify(made.headers, made.body, both.clock.now())
            assert isinstance(hint, WebhookHint)
            assert (hint.event.partition(" ")[0], hint.topic) == (made.event, made.headers["X-Shopify-Topic"])
            orders |= {(hint.topic, one) for one in hint.orders}
            keys |= {*hint.keys}
    number = shop.book.number(market.orders[sale.order.id])
    assert orders >= {("orders/create", number), ("orders/updated", number), ("refunds/create", number)}
    assert keys == {QuantityKey(offer.keys[0].key, offer.keys[0].location)}
