"""Access: the token of Login with Amazon, its renewal, and what a refusal asks the seller to do."""

import asyncio
from dataclasses import replace
from urllib.parse import parse_qs

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.values import QuantityKey
from channelsync_amazon import CONNECTOR
from channelsync_amazon.reports import ALL_LISTINGS, STRANDED, SUPPRESSED

MUG = QuantityKey("MUG")
ENDED = "The access token you provided has expired."


def token(text: str, seconds: float = 3600) -> dict[str, object]:
    return {"access_token": text, "refresh_token": "Atzr|same", "token_type": "bearer", "expires_in": seconds}


@pytest.fixture(autouse=True)
def selling(amazon, words) -> None:
    amazon.on("getListingsItem", words.item())


async def test_a_token_is_made_from_the_refresh_token_and_shown_with_every_call(channel, amazon) -> None:
    await channel.read([MUG])
    asked, call = amazon.asked
    assert asked.path == "/auth/o2/token"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded;charset=UTF-8"
    assert parse_qs(asked.body) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["Atzr|the-refresh-token"],
        "client_id": ["amzn1.application-oa2-client.1"],
        "client_secret": ["the-client-secret"],
    }
    assert call.headers["x-amz-access-token"] == "Atza|one"
    assert "authorization" not in call.headers


async def test_a_token_is_used_until_shortly_before_its_end(channel, amazon, clock) -> None:
    amazon.on("token", token("Atza|one"), token("Atza|two"))
    await channel.read([MUG])
    await clock.sleep(3470)
    await channel.read([MUG])
    await clock.sleep(20)
    await channel.read([MUG])
    assert [one.headers["x-amz-access-token"] for one in amazon.of("getListingsItem")] == [
        "Atza|one",
        "Atza|one",
        "Atza|two",
    ]


class Slow(httpx.MockTransport):
    """Lets others run before it answers, and counts how often it is closed."""

    closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        self.closed += 1


async def test_one_caller_renews_and_the_others_wait(settings, resources, amazon) -> None:
    slow = replace(resources, transport=Slow(amazon.handle))
    async with CONNECTOR.open(settings, slow) as channel:
        await asyncio.gather(*(channel.read([MUG]) for _ in range(5)))
    assert len(amazon.of("token")) == 1


async def test_a_transport_that_was_handed_in_is_closed_once_at_the_end(settings, resources, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items(words.item(), results=1000), words.items())
    amazon.on("createReport", {"reportId": "7"})
    amazon.on("getReport", words.report("DONE", "all"))
    amazon.on("getReportDocument", words.document("all"))
    amazon.on("GET /all", httpx.Response(200, text="seller-sku\n"))
    given = Slow(amazon.handle)
    async with CONNECTOR.open(settings, replace(resources, transport=given)) as channel:
        assert [one async for one in channel.listings()] == []
        assert given.closed == 0, "documents are loaded through it, and more is to come"
    assert given.closed == 1


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(401, json={"errors": []}),
        httpx.Response(403, json={"errors": [{"code": "Unauthorized", "message": "Denied.", "details": ENDED}]}),
    ],
)
async def test_a_token_that_ended_early_is_replaced_once(channel, amazon, words, refusal) -> None:
    amazon.on("token", token("Atza|one"), token("Atza|two"))
    amazon.on("getListingsItem", refusal, words.item("MUG", 7))
    (read,) = await channel.read([MUG])
    assert read.value == 7
    assert [one.headers["x-amz-access-token"] for one in amazon.of("getListingsItem")] == ["Atza|one", "Atza|two"]


async def test_two_refused_tokens_need_the_seller(channel, amazon, words) -> None:
    amazon.on("getListingsItem", words.error(403, "Unauthorized", "Denied.", ENDED))
    with pytest.raises(NeedsSeller, match="Product Listing"):
        await channel.read([MUG])
    assert len(amazon.of("token")) == 2


@pytest.mark.fault(37, "the role that is missing is named")
async def test_a_role_that_is_missing_is_named_and_no_token_is_wasted(channel, amazon, words) -> None:
    amazon.on("getOrder", words.error(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(NeedsSeller, match=r"role Inventory and Order Tracking.*A3TH9S8BH6GOGM"):
        await channel.orders_by_id(["250-0000000-0000001"])
    assert len(amazon.of("token")) == 1


@pytest.mark.parametrize(
    ("report", "role"),
    [
        (ALL_LISTINGS, "Product Listing"),
        (SUPPRESSED, "Product Listing"),
        (STRANDED, "Amazon Fulfillment"),
    ],
)
async def test_the_role_of_a_report_is_named_as_the_readme_says(channel, amazon, words, report: str, role: str) -> None:
    amazon.on("createReport", words.error(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(NeedsSeller, match=f"role {role}, "):
        await channel._client.create_report(report, "ATVPDKIKX0DER")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalid_grant"), (401, "invalid_client"), (400, "unauthorized_client"), (403, "access_denied")],
)
async def test_a_refresh_token_that_is_not_accepted_needs_the_seller(channel, amazon, status: int, code: str) -> None:
    amazon.on("token", httpx.Response(status, json={"error": code, "error_description": "The request has failed"}))
    with pytest.raises(NeedsSeller, match=rf"refresh_token.*{code}"):
        await channel.read([MUG])


async def test_a_refusal_without_a_code_is_named_by_its_status(channel, amazon) -> None:
    amazon.on("token", httpx.Response(400, text="<html>no</html>"))
    with pytest.raises(NeedsSeller, match="HTTP 400"):
        await channel.read([MUG])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(503, text="down"), TryLater),
        (httpx.Response(200, text="<html>"), ChannelMisbehaved),
        (httpx.Response(200, json={"token_type": "bearer"}), AnswerUnreadable),
    ],
)
async def test_no_token_for_now_is_tried_later(channel, amazon, answer, error: type[Exception]) -> None:
    amazon.on("token", answer)
    with pytest.raises(error):
        await channel.read([MUG])


async def test_a_restart_makes_a_new_token(settings, resources, amazon) -> None:
    for _ in range(2):
        async with CONNECTOR.open(settings, resources) as channel:
            await channel.read([MUG])
    assert len(amazon.of("token")) == 2
