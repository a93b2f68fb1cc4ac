"""Subscriptions: alert address, destination and subscription, made and mended as eBay wants them."""

import httpx
import pytest

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.subscriptions import Subscription, mend
from channelsync_ebay import CONNECTOR

API = "/commerce/notification/v1"
ADDRESS = "https://seller.example/hooks/my-ebay"
TOPIC = {
    "topicId": "ORDER_CONFIRMATION",
    "scope": "USER",
    "supportedPayloads": [
        {"format": ["JSON"], "schemaVersion": "1.0", "deliveryProtocol": "HTTPS", "deprecated": True},
        {"format": ["JSON"], "schemaVersion": "2.0", "deliveryProtocol": "HTTPS", "deprecated": False},
    ],
}
PLACE = {"destinationId": "d-1", "name": "x", "status": "ENABLED", "deliveryConfig": {"endpoint": ADDRESS}}


def subscribed(number: str = "s-1", topic: str = "ORDER_CONFIRMATION", status: str = "ENABLED", place: str = "d-1"):
    return {"subscriptionId": number, "topicId": topic, "status": status, "destinationId": place}


def by_token(seller_s, application_s):
    """Answers the seller and the application differently: the application's token is always the second one."""

    def answer(request: httpx.Request) -> httpx.Response:
        first = request.headers["authorization"].endswith("token-1")
        return httpx.Response(200, json={"total": 1, "subscriptions": application_s if first else seller_s})

    return answer


@pytest.fixture(autouse=True)
def _notifications(ebay) -> None:
    ebay.on("GET", f"{API}/config$", {"alertEmail": "shop@seller.example"})
    ebay.on("GET", f"{API}/topic/ORDER_CONFIRMATION$", TOPIC)
    ebay.on("GET", f"{API}/destination$", {"total": 1, "destinations": [PLACE]})
    ebay.on("GET", f"{API}/subscription$", by_token([subscribed()], []))
    ebay.on(
        "POST", f"{API}/subscription$", httpx.Response(201, headers={"Location": f"https://x{API}/subscription/s-2"})
    )


async def test_all_subscriptions_are_told_with_their_addresses(seller, ebay) -> None:
    other = subscribed("s-9", "MARKETPLACE_ACCOUNT_DELETION", place="gone")
    ebay.on("GET", f"{API}/subscription$", by_token([subscribed()], [other, subscribed()]))
    assert await seller.subscriptions() == [
        Subscription("s-1", "ORDER_CONFIRMATION", ADDRESS),
        Subscription("s-9", "MARKETPLACE_ACCOUNT_DELETION", "", active=False),
    ]


@pytest.mark.parametrize(
    ("status", "place", "active", "trouble"),
    [
        ("ENABLED", "ENABLED", True, False),
        ("DISABLED", "ENABLED", False, False),
        ("ENABLED", "DISABLED", False, False),
        ("ENABLED", "MARKED_DOWN", False, True),
    ],
)
async def test_a_subscription_delivers_where_it_and_its_destination_are_on(
    seller, ebay, status, place, active, trouble
) -> None:
    ebay.on("GET", f"{API}/subscription$", by_token([subscribed(status=status)], []))
    ebay.on("GET", f"{API}/destination$", {"destinations": [PLACE | {"status": place}]})
    (found,) = await seller.subscriptions()
    assert (found.active, bool(found.trouble)) == (active, trouble)


@pytest.mark.parametrize("how", [ADDRESS, f'{{"endpoint": "{ADDRESS}"}}', {"endpoint": ADDRESS}])
async def test_an_address_is_found_however_ebay_writes_it(seller, ebay, how) -> None:
    ebay.on("GET", f"{API}/destination$", {"destinations": [PLACE | {"deliveryConfig": how}]})
    assert [one.address for one in await seller.subscriptions()] == [ADDRESS]


async def test_pages_are_followed(seller, ebay) -> None:
    first = {
        "subscriptions": [subscribed("s-1")],
        "next": f"https://x{API}/subscription?limit=100&continuation_token=abc",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        onward = request.url.params.get("continuation_token")
        return httpx.Response(200, json=first if onward is None else {"subscriptions": [subscribed("s-2")]})

    ebay.on("GET", f"{API}/subscription$", answer)
    assert [one.name for one in await seller.subscriptions()] == ["s-1", "s-2"]


class TestSubscribe:
    async def test_a_known_destination_is_used(self, seller, ebay) -> None:
        await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
        assert ebay.bodies(f"{API}/subscription") == [
            {
                "topicId": "ORDER_CONFIRMATION",
                "status": "ENABLED",
                "destinationId": "d-1",
                "payload": {"format": "JSON", "schemaVersion": "2.0", "deliveryProtocol": "HTTPS"},
            }
        ]
        assert ebay.of(f"{API}/destination", "POST") == []

    async def test_what_is_missing_is_made_in_ebay_s_order(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/config$", httpx.Response(404, json={"errors": [{"errorId": 195026}]}))
        ebay.on("PUT", f"{API}/config$", httpx.Response(204))
        ebay.on("GET", f"{API}/destination$", {"total": 0})
        made = httpx.Response(201, headers={"Location": f"https://api.ebay.com{API}/destination/d-7"})
        ebay.on("POST", f"{API}/destination$", made)
        await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
        changes = [
            (one.method, one.url.path.rpartition("/")[2])
            for one in ebay.asked
            if one.method != "GET" and API in one.url.path
        ]
        assert changes == [("PUT", "config"), ("POST", "destination"), ("POST", "subscription")]
        assert ebay.bodies(f"{API}/destination") == [
            {
                "name": "channelsync",
                "status": "ENABLED",
                "deliveryConfig": {
                    "endpoint": ADDRESS,
                    "verificationToken": "a-verification-token-of-40-letters-long_",
                },
            }
        ]
        assert ebay.bodies(f"{API}/subscription")[0]["destinationId"] == "d-7"

    async def test_a_destination_without_a_location_header_is_looked_up(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/destination$", [{"total": 0}, {"destinations": [PLACE]}])
        ebay.on("POST", f"{API}/destination$", httpx.Response(201, json={}))
        await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
        assert ebay.bodies(f"{API}/subscription")[0]["destinationId"] == "d-1"

    async def test_a_destination_that_ebay_does_not_list_is_an_error(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/destination$", {"total": 0})
        ebay.on("POST", f"{API}/destination$", httpx.Response(201))
        with pytest.raises(ChannelMisbehaved):
            await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)

    async def test_what_is_there_already_is_fine(self, seller, ebay) -> None:
        ebay.on("POST", f"{API}/subscription$", httpx.Response(409, json={"errors": [{"errorId": 195012}]}))
        await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)

    @pytest.mark.parametrize(("scope", "expected"), [("USER", "token-2"), ("APPLICATION", "token-1")])
    async def test_a_topic_s_scope_decides_who_subscribes(self, seller, ebay, scope: str, expected: str) -> None:
        ebay.on("GET", f"{API}/topic/ORDER_CONFIRMATION$", TOPIC | {"scope": scope})
        await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
        (sent,) = ebay.of(f"{API}/subscription", "POST")
        assert sent.headers["authorization"].endswith(expected)

    @pytest.mark.parametrize(
        ("method", "path", "status", "number", "told"),
        [
            ("GET", "/topic/ORDER_CONFIRMATION$", 404, 195023, "out of topics"),
            ("POST", "/subscription$", 403, 195011, "out of topics"),
            ("POST", "/subscription$", 400, 195027, "out of topics"),
            ("POST", "/subscription$", 409, 195003, "alert_email"),
            ("POST", "/subscription$", 409, 195015, "195015"),
            ("POST", "/destination$", 409, 195020, "reachable"),
            ("PUT", "/config$", 400, 195025, "195025"),
        ],
    )
    async def test_a_refusal_says_what_to_do(self, seller, ebay, method, path, status, number, told) -> None:
        ebay.on("GET", f"{API}/destination$", {"total": 0})
        ebay.on("POST", f"{API}/destination$", httpx.Response(201, headers={"Location": "/destination/d-7"}))
        if path == "/config$":
            ebay.on("GET", f"{API}/config$", httpx.Response(404))
        ebay.on(method, API + path, httpx.Response(status, json={"errors": [{"errorId": number, "message": "No."}]}))
        with pytest.raises(NeedsSeller, match=told):
            await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)

    async def test_a_permission_that_a_topic_wants_is_named(self, settings, resources, ebay) -> None:
        wanted = "https://api.ebay.com/oauth/api_scope/sell.orders"
        ebay.on("GET", f"{API}/topic/ORDER_CONFIRMATION$", TOPIC | {"authorizationScopes": [wanted]})
        ebay.on("POST", f"{API}/subscription$", httpx.Response(403, json={"errors": [{"errorId": 195011}]}))
        async with CONNECTOR.open(settings, resources) as seller:
            with pytest.raises(NeedsSeller, match=f"Add {wanted} to extra_scopes"):
                await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
        asking = settings.model_copy(update={"extra_scopes": (wanted,)})
        assert "sell.orders" in CONNECTOR.guide.consent.address(asking, "state")
        async with CONNECTOR.open(asking, resources) as seller:
            with pytest.raises(NeedsSeller, match="out of topics: eBay does not give it to this application"):
                await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)

    async def test_without_an_alert_address_ebay_takes_none(self, settings, resources, ebay) -> None:
        ebay.on("GET", f"{API}/config$", httpx.Response(404))
        bare = settings.model_copy(update={"alert_email": None})
        async with CONNECTOR.open(bare, resources) as seller:
            with pytest.raises(NeedsSeller, match="alert_email"):
                await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)


class TestRepair:
    async def test_a_destination_that_is_marked_down_is_put_right_first(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/destination$", {"destinations": [PLACE | {"status": "MARKED_DOWN"}]})
        ebay.on("PUT", f"{API}/destination/d-1$", httpx.Response(204))
        ebay.on("POST", f"{API}/subscription/s-1/enable$", httpx.Response(204))
        done = await mend(seller, ADDRESS)
        assert [one.name for one in done.off] == ["s-1"]
        changes = [
            one.method + one.url.path.removeprefix(API)
            for one in ebay.asked
            if one.method != "GET" and API in one.url.path
        ]
        assert changes == ["PUT/destination/d-1", "POST/subscription/s-1/enable"]
        assert ebay.bodies(f"{API}/destination/d-1")[0]["status"] == "ENABLED"

    async def test_a_topic_that_nobody_tells_of_is_subscribed_to(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/subscription$", by_token([], []))
        done = await mend(seller, ADDRESS)
        assert done.missing == ("ORDER_CONFIRMATION",)
        assert len(ebay.of(f"{API}/subscription", "POST")) == 1

    async def test_a_second_one_of_a_topic_is_ended(self, seller, ebay) -> None:
        ebay.on("GET", f"{API}/subscription$", by_token([subscribed(), subscribed("s-2")], []))
        ebay.on("DELETE", f"{API}/subscription/s-2$", httpx.Response(204))
        await mend(seller, ADDRESS)
        assert len(ebay.of(f"{API}/subscription/s-2", "DELETE")) == 1

    async def test_when_all_is_well_nothing_is_done(self, seller, ebay) -> None:
        assert not (await mend(seller, ADDRESS)).needed
        assert [one for one in ebay.asked if one.method != "GET" and API in one.url.path] == []

    async def test_without_a_verification_token_nothing_is_wanted(self, settings, resources) -> None:
        async with CONNECTOR.open(settings.model_copy(update={"verification_token": None}), resources) as seller:
            assert list(seller.topics) == []
