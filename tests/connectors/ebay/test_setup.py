"""The account: who it is, what can be set wrongly at eBay, what is left of a day's calls."""

from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import SecretStr

from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync_ebay import CONNECTOR
from channelsync_ebay.access import REFRESH_TOKEN_UNTIL

TOKEN = "/identity/v1/oauth2/token"
LIMITS = "/developer/analytics/v1_beta/rate_limit/$"
ORDER = "/sell/fulfillment/v1/order$"


def rate(context: str, api: str, remaining: int, *, limit: int = 1000, reset: str = "2017-06-01T10:00:00.000Z"):
    rates = [{"limit": limit, "remaining": remaining, "reset": reset, "timeWindow": 86400}]
    return {"apiContext": context, "apiName": api, "resources": [{"name": f"{context}.{api}", "rates": rates}]}


@pytest.fixture(autouse=True)
def _account(ebay, words) -> None:
    ebay.on("GET", "/commerce/identity/v1/user/$", {"userId": "immutable-1", "username": "best-mugs"})
    ebay.on("GET", ORDER, words.orders())
    ebay.on("GET", "/inventory_item$", words.items())
    ebay.on("GET", "/sell/account/v1/privilege$", {"sellerRegistrationCompleted": True})
    enabled = {"merchantLocationKey": "berlin", "merchantLocationStatus": "ENABLED"}
    ebay.on("GET", "/sell/inventory/v1/location$", {"total": 1, "locations": [enabled]})


async def found(seller, what: str):
    (point,) = [one for one in await seller.inspect() if one.what == what]
    return point


class TestCheck:
    async def test_it_says_whose_account_it_is(self, seller, ebay) -> None:
        assert await seller.check() == Identity("production:immutable-1", "best-mugs")
        (asked,) = ebay.of("/commerce/identity")
        assert asked.url.host == "apiz.ebay.com"

    @pytest.mark.parametrize("path", ["/commerce/identity", ORDER, "/inventory_item$"])
    async def test_a_permission_that_is_missing_needs_the_seller(self, seller, ebay, path: str) -> None:
        ebay.on("GET", path, httpx.Response(403, json={"errors": [{"errorId": 1100}]}))
        with pytest.raises(NeedsSeller):
            await seller.check()

    async def test_it_works_where_the_limits_are_not_told(self, seller, ebay) -> None:
        ebay.on("GET", LIMITS, httpx.Response(404))
        assert (await seller.check()).name == "production:immutable-1"


class TestLimits:
    async def test_what_is_used_up_is_waited_for(self, seller, ebay, resources) -> None:
        ebay.on("GET", LIMITS, {"rateLimits": [rate("sell", "inventory", 0), rate("sell", "fulfillment", 900)]})
        await seller.check()
        assert resources.limiter.would_wait(bucket="inventory") == pytest.approx(3600)
        assert resources.limiter.would_wait(bucket="fulfillment") == 0

    async def test_little_that_is_left_is_believed(self, seller, ebay, resources) -> None:
        ebay.on("GET", LIMITS, {"rateLimits": [rate("tradingapi", "TradingAPI", 3)]})
        await seller.check()
        assert resources.limiter.available(bucket="trading") == 3

    async def test_they_are_asked_for_after_ebay_said_too_many_and_once_an_hour(self, seller, ebay, clock) -> None:
        ebay.on("GET", LIMITS, {"rateLimits": [rate("sell", "fulfillment", 900)]})
        ebay.on("GET", ORDER, httpx.Response(429))
        for _ in range(3):
            with pytest.raises(TryLater):
                await seller.orders_by_id(["1-1"])
        assert len(ebay.of("/rate_limit/")) == 1
        await clock.sleep(3600)
        with pytest.raises(TryLater):
            await seller.orders_by_id(["1-1"])
        assert len(ebay.of("/rate_limit/")) == 2

    async def test_a_day_that_is_used_up_is_waited_for_from_then_on(self, seller, ebay) -> None:
        ebay.on("GET", LIMITS, {"rateLimits": [rate("sell", "fulfillment", 0)]})
        ebay.on("GET", ORDER, httpx.Response(429))
        with pytest.raises(TryLater):
            await seller.orders_by_id(["1-1"])
        asked = len(ebay.of("/order"))
        with pytest.raises(TryLater) as caught:
            await seller.orders_by_id(["1-1"])
        assert caught.value.retry_after > 3000
        assert len(ebay.of("/order")) == asked, "it was asked for again although the day is used up"

    async def test_limits_that_cannot_be_read_hide_no_error(self, seller, ebay) -> None:
        ebay.on("GET", LIMITS, httpx.Response(500))
        ebay.on("GET", ORDER, httpx.Response(429, headers={"Retry-After": "37"}))
        with pytest.raises(TryLater, match="429") as caught:
            await seller.orders_by_id(["1-1"])
        assert caught.value.retry_after == 37


class TestInspect:
    async def test_all_is_well(self, seller) -> None:
        points = await seller.inspect()
        assert [one.what for one in points] == ["permissions", "seller", "locations", "daily limits"]
        assert all(one.fine for one in points)

    async def test_missing_permissions_are_named(self, seller, ebay) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            scope = dict(parse_qsl(request.content.decode())).get("scope", "")
            if "sell.inventory" in scope or "notification" in scope:
                return httpx.Response(400, json={"error": "invalid_scope"})
            return httpx.Response(200, json={"access_token": "x", "expires_in": 7200})

        ebay.on("POST", TOKEN, answer)
        point = await found(seller, "permissions")
        assert "sell.inventory" in point.found
        assert "sell.fulfillment.readonly" not in point.found
        assert "anew" in point.advice

    async def test_only_notifications_may_do_without_theirs(self, seller, ebay) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if "notification" in dict(parse_qsl(request.content.decode())).get("scope", ""):
                return httpx.Response(400, json={"error": "invalid_scope"})
            return httpx.Response(200, json={"access_token": "x", "expires_in": 7200})

        ebay.on("POST", TOKEN, answer)
        point = await found(seller, "permissions")
        assert point.fine
        assert "commerce.notification.subscription" in point.found

    async def test_a_consent_that_is_taken_back_needs_the_seller(self, seller, ebay) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if b"refresh_token" in request.content and b"scope" in request.content:
                return httpx.Response(400, json={"error": "invalid_grant"})
            return httpx.Response(200, json={"access_token": "x", "expires_in": 7200})

        ebay.on("POST", TOKEN, answer)
        with pytest.raises(NeedsSeller, match="18 months"):
            await seller.inspect()

    @pytest.mark.parametrize(
        ("until", "fine"), [("2017-07-01T00:00:00+00:00", False), ("2018-07-01T00:00:00+00:00", True)]
    )
    async def test_the_end_of_the_consent_is_told_in_time(self, seller, resources, until: str, fine: bool) -> None:
        await resources.vault.put(REFRESH_TOKEN_UNTIL, SecretStr(until))
        point = await found(seller, "consent")
        assert (point.fine, until[:10] in point.found) == (fine, True)

    async def test_a_seller_who_is_not_registered_is_told(self, seller, ebay) -> None:
        ebay.on("GET", "/sell/account/v1/privilege$", {"sellerRegistrationCompleted": False})
        assert "Complete it" in (await found(seller, "seller")).advice

    async def test_the_selling_limit_is_told(self, seller, ebay) -> None:
        said = {"sellerRegistrationCompleted": True, "sellingLimit": {"quantity": 500}}
        ebay.on("GET", "/sell/account/v1/privilege$", said)
        assert "500 units a month" in (await found(seller, "seller")).found

    async def test_no_location_is_told(self, seller, ebay) -> None:
        ebay.on("GET", "/sell/inventory/v1/location$", {"total": 0})
        assert not (await found(seller, "locations")).fine

    async def test_a_limit_that_is_used_up_is_told(self, seller, ebay) -> None:
        ebay.on("GET", LIMITS, {"rateLimits": [rate("sell", "inventory", 0), rate("sell", "inventory", 9)]})
        point = await found(seller, "daily limits")
        assert "inventory 0 of 1000" in point.found
        assert point.advice

    @pytest.mark.parametrize(("told", "fine"), [("true", True), ("false", False)])
    async def test_out_of_stock_control_matters_for_listings_that_are_not_migrated(
        self, settings, resources, ebay, told: str, fine: bool
    ) -> None:
        ebay.on_trading("GetUserPreferences", f"<OutOfStockControlPreference>{told}</OutOfStockControlPreference>")
        both = settings.model_copy(update={"legacy_listings": True})
        async with CONNECTOR.open(both, resources) as seller:
            assert (await found(seller, "out-of-stock control")).fine is fine


async def test_a_permission_that_only_notifications_need_stops_nothing_else(seller, ebay) -> None:
    ebay.on("GET", "/commerce/notification/v1/", httpx.Response(403))
    ebay.on("GET", LIMITS, httpx.Response(403))
    with pytest.raises(NeedsSeller):
        await seller.subscriptions()
    assert (await seller.check()).name == "production:immutable-1"
    assert await seller.orders_by_id(["1-1"]) == []
