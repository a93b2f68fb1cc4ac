"""Tokens: renewed before they end, by one caller at a time; what a refusal means; the consent of a seller."""

import asyncio
import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, TryLater
from channelsync_ebay import CONNECTOR
from channelsync_ebay.access import REFRESH_TOKEN, REFRESH_TOKEN_UNTIL, SCOPES, Access
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import EbaySettings

TOKEN = "/identity/v1/oauth2/token"
ORDER = "/sell/fulfillment/v1/order$"


@pytest.fixture
def access(settings, resources) -> Access:
    return Access(Hosts(settings, resources), settings, resources.clock, resources.vault)


def form_of(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode()))


async def test_a_seller_s_token_is_renewed_with_the_refresh_token(access, ebay) -> None:
    assert (await access.seller.token()).get_secret_value() == "v^1.1#token-1"
    (sent,) = ebay.of(TOKEN)
    assert form_of(sent) == {"grant_type": "refresh_token", "refresh_token": "v^1.1#refresh-token"}
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    pair = base64.b64decode(sent.headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "Seller-chansync-PRD-1:the-cert-id"


async def test_the_application_s_own_token_is_another(access, ebay) -> None:
    await access.application.token()
    await access.application.token()
    (sent,) = ebay.of(TOKEN)
    assert form_of(sent)["grant_type"] == "client_credentials"
    assert form_of(sent)["scope"] == "https://api.ebay.com/oauth/api_scope"


async def test_a_token_is_kept_until_shortly_before_its_end(access, ebay, clock) -> None:
    await access.seller.token()
    await clock.sleep(7200 - 121)
    await access.seller.token()
    assert len(ebay.of(TOKEN)) == 1
    await clock.sleep(2)
    await access.seller.token()
    assert len(ebay.of(TOKEN)) == 2


async def test_many_callers_renew_it_once(access, ebay) -> None:
    await asyncio.gather(*(access.seller.token() for _ in range(20)))
    assert len(ebay.of(TOKEN)) == 1


async def test_a_token_that_ebay_does_not_take_is_renewed_once_for_all_callers(access, ebay) -> None:
    refused = await access.seller.token()
    await asyncio.gather(*(access.seller.token(refused=refused) for _ in range(5)))
    assert len(ebay.of(TOKEN)) == 2


async def test_the_refresh_token_may_come_from_the_vault(settings, resources, ebay) -> None:
    bare = settings.model_copy(update={"refresh_token": None})
    access = Access(Hosts(bare, resources), bare, resources.clock, resources.vault)
    with pytest.raises(NeedsSeller, match="Connect the eBay account"):
        await access.seller.token()
    await resources.vault.put(REFRESH_TOKEN, SecretStr("from-the-vault"))
    await access.seller.token()
    assert form_of(ebay.of(TOKEN)[0])["refresh_token"] == "from-the-vault"


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), NeedsSeller, "18 months"),
        (httpx.Response(401, json={"error": "invalid_client"}), NeedsSeller, "client_secret"),
        (httpx.Response(400, json={"error": "unsupported_grant_type"}), NeedsSeller, "client_secret"),
        (httpx.Response(403, text="<html>"), NeedsSeller, "HTTP 403"),
        (httpx.Response(429), TryLater, "429"),
        (httpx.Response(500), TryLater, "500"),
        (httpx.Response(200, json={"access_token": ""}), ChannelMisbehaved, "access_token"),
        (httpx.Response(200, json={"access_token": "x", "expires_in": 0}), ChannelMisbehaved, "expires_in"),
        (httpx.Response(200, text=""), ChannelMisbehaved, "empty"),
    ],
)
async def test_a_refusal_says_what_to_do(access, ebay, answer, error, told) -> None:
    ebay.on("POST", TOKEN, answer)
    with pytest.raises(error, match=told):
        await access.seller.token()


async def test_a_call_is_asked_again_with_a_new_token_and_only_once(seller, ebay, words) -> None:
    ebay.on("GET", ORDER, [httpx.Response(401, json={"errors": [{"errorId": 1001}]}), words.orders()])
    assert await seller.orders_by_id(["1-1"]) == []
    assert [one.headers["authorization"] for one in ebay.of("/order")] == [
        "Bearer v^1.1#token-1",
        "Bearer v^1.1#token-2",
    ]
    ebay.on("GET", ORDER, httpx.Response(401, json={"errors": [{"errorId": 1001, "message": "Invalid access token"}]}))
    with pytest.raises(NeedsSeller, match="1001: Invalid access token"):
        await seller.orders_by_id(["1-1"])


async def test_the_sandbox_and_ebay_itself_have_hosts_of_their_own() -> None:
    live = EbaySettings(client_id="x", client_secret="y")
    assert (live.api, live.identity) == ("https://api.ebay.com", "https://apiz.ebay.com")
    assert live.tokens == "https://api.ebay.com/identity/v1/oauth2/token"
    assert live.trading == "https://api.ebay.com/ws/api.dll"
    sandbox = EbaySettings(client_id="x", client_secret="y", environment="sandbox")
    assert (sandbox.api, sandbox.identity) == ("https://api.sandbox.ebay.com", "https://apiz.sandbox.ebay.com")
    assert sandbox.consent == "https://auth.sandbox.ebay.com/oauth2/authorize"
    local = EbaySettings(client_id="x", client_secret="y", base_url="http://127.0.0.1:9")
    assert (local.api, local.identity) == ("http://127.0.0.1:9", "http://127.0.0.1:9")
    assert (local.tokens, local.trading) == (
        "http://127.0.0.1:9/identity/v1/oauth2/token",
        "http://127.0.0.1:9/ws/api.dll",
    )
    apart = local.model_copy(update={"token_url": "http://127.0.0.1:8/t", "trading_url": "http://127.0.0.1:7/x"})
    assert (apart.tokens, apart.trading) == ("http://127.0.0.1:8/t", "http://127.0.0.1:7/x")


class TestConsent:
    consent = CONNECTOR.guide.consent

    def test_the_address_asks_for_what_we_need(self, settings) -> None:
        address = urlsplit(self.consent.address(settings, "state-1"))
        query = {name: value for name, (value,) in parse_qs(address.query).items()}
        assert f"{address.scheme}://{address.netloc}{address.path}" == "https://auth.ebay.com/oauth2/authorize"
        assert query == {
            "client_id": "Seller-chansync-PRD-1",
            "redirect_uri": "Seller-Sellerc-chansy-abcdefg",
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "state": "state-1",
        }

    def test_without_a_ru_name_there_is_no_address(self, settings) -> None:
        with pytest.raises(NeedsSeller, match="ru_name"):
            self.consent.address(settings.model_copy(update={"ru_name": None}), "state-1")

    async def test_the_code_becomes_a_refresh_token(self, settings, resources, ebay) -> None:
        said = {"access_token": "a", "expires_in": 7200, "refresh_token": "r", "refresh_token_expires_in": 47304000}
        ebay.on("POST", TOKEN, said)
        pasted = " https://seller.example/done?state=state-1&code=v%5E1.1%23code&expires_in=299\n"
        found = await self.consent.redeem(settings, resources, pasted, "state-1")
        assert {name: one.get_secret_value() for name, one in found.items()} == {"refresh_token": "r"}
        assert form_of(ebay.of(TOKEN)[0]) == {
            "grant_type": "authorization_code",
            "code": "v^1.1#code",
            "redirect_uri": "Seller-Sellerc-chansy-abcdefg",
        }
        until = await resources.vault.get(REFRESH_TOKEN_UNTIL)
        assert datetime.fromisoformat(until.get_secret_value()) == datetime(2018, 11, 30, 21, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("pasted", "told"),
        [
            ("https://seller.example/done?state=another&code=x", "another question"),
            ("https://seller.example/done?code=x", "another question"),
            ("https://seller.example/done?state=state-1&error=access_denied", "no code"),
            ("", "another question"),
            ("nonsense", "another question"),
        ],
    )
    async def test_what_was_pasted_must_answer_the_question(self, settings, resources, ebay, pasted, told) -> None:
        with pytest.raises(NeedsSeller, match=told):
            await self.consent.redeem(settings, resources, pasted, "state-1")
        assert ebay.asked == []

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(400, json={"error": "invalid_grant"}),
            httpx.Response(200, json={"access_token": "a", "expires_in": 7200}),
        ],
    )
    async def test_a_code_that_ebay_does_not_take_is_asked_for_anew(self, settings, resources, ebay, answer) -> None:
        ebay.on("POST", TOKEN, answer)
        pasted = "https://seller.example/done?state=state-1&code=the-code"
        with pytest.raises(NeedsSeller, match="Agree anew") as caught:
            await self.consent.redeem(settings, resources, pasted, "state-1")
        assert "the-code" not in str(caught.value)
