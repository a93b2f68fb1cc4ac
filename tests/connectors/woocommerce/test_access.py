"""How a request shows the key: in a header, in the address, or by a signature."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import respx
from pydantic import SecretStr, ValidationError

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.http import Call
from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.access import Access, signature
from channelsync_woocommerce.settings import WooSettings

OAUTH = {
    "oauth_consumer_key": "ck_4f1d",
    "oauth_nonce": "0123456789abcdef0123456789abcdef",
    "oauth_signature_method": "HMAC-SHA256",
    "oauth_timestamp": "1496307600",
}

# Signatures as oauthlib 4.0.1, an implementation of RFC 5849 that is not ours, makes them.
VECTORS = [
    (
        "GET",
        "http://shop.example/wp-json/wc/v3/products",
        {"include": "10,11", "_fields": "id,sku", "per_page": "100"},
        "F0xQnrLpc0eSIVakXNo4q4HQjftCTGUasP07DQObQ4g=",
    ),
    ("POST", "http://127.0.0.1:4100/wp-json/wc/v3/products/batch", {}, "16dpPe7Y1pW1w6pWEs0KwnEHudGMp9lXiaEvM2rIqA8="),
    (
        "GET",
        "http://Shop.Example:80/blog/wp-json/wc/v3/orders",
        {"modified_after": "2026-11-21T15:07:57", "dates_are_gmt": "true", "search": "50 % off & more+\u00fc~"},
        "nyHZEu3w/6eXM5Lm79zn53G968YfJVzP/NLk+IvnZWc=",
    ),
]


@pytest.mark.parametrize(("method", "url", "params", "right"), VECTORS)
def test_a_request_is_signed_as_others_sign_it(method: str, url: str, params: dict[str, str], right: str) -> None:
    assert signature(method, url, params | OAUTH, SecretStr("cs_8e2b&odd")) == right


def woo(**changes: object) -> WooSettings:
    given = {"base_url": "https://shop.example", "consumer_key": "ck_1", "consumer_secret": "cs_1"}
    return WooSettings.model_validate(given | changes)


def test_over_https_the_key_goes_in_the_header() -> None:
    opened = Access(woo(), ContractClock()).opened(Call("GET", "/x", "read", params={"a": 1}))
    header = opened.headers["Authorization"]
    assert isinstance(header, SecretStr)
    assert header.get_secret_value() == "Basic Y2tfMTpjc18x"
    assert opened.params == {"a": 1}


def test_where_the_host_drops_the_header_the_key_goes_in_the_address() -> None:
    opened = Access(woo(auth="query"), ContractClock()).opened(Call("GET", "/x", "read", params={"a": 1}))
    assert not opened.headers
    assert opened.params == {"a": 1, "consumer_key": SecretStr("ck_1"), "consumer_secret": SecretStr("cs_1")}


def signed(access: Access, url: str) -> dict[str, str]:
    """What a request's address holds after it was signed; nothing else of it changes."""
    request = httpx.Request("GET", url)
    assert access.sign is not None
    (hidden,) = access.sign(request)
    assert str(request.url).startswith(url)
    assert hidden.get_secret_value() == request.url.params["oauth_signature"]
    assert "authorization" not in request.headers
    return dict(request.url.params)


def test_over_http_the_request_is_signed_and_the_secret_stays_here() -> None:
    access = Access(woo(base_url="http://shop.example/blog"), ContractClock())
    call = Call("GET", "/wp-json/wc/v3/orders", "read", params={"page": 2})
    assert access.opened(call) == call
    url = "http://shop.example/blog/wp-json/wc/v3/orders?page=2"
    first, second = signed(access, url), signed(access, url)
    assert first["oauth_timestamp"] == "1496307600", "the clock's own time"
    assert first["oauth_nonce"] != second["oauth_nonce"]
    assert "cs_1" not in str(first)
    told = {name: value for name, value in first.items() if name != "oauth_signature"}
    right = signature("GET", "http://shop.example/blog/wp-json/wc/v3/orders", told, SecretStr("cs_1"))
    assert first["oauth_signature"] == right


def test_a_nonce_is_new_after_a_restart_too() -> None:
    url = "http://a.example/x"
    first, second = (signed(Access(woo(base_url="http://a.example"), ContractClock()), url) for _ in "ab")
    assert first["oauth_nonce"] != second["oauth_nonce"]


@pytest.mark.parametrize("auth", ["basic", "query"])
def test_over_https_nothing_is_signed(auth: str) -> None:
    assert Access(woo(auth=auth), ContractClock()).sign is None


class TestOverHttp:
    @pytest.fixture
    def settings(self) -> WooSettings:
        return woo(base_url="http://shop.example:8080")

    @respx.mock
    async def test_what_leaves_is_what_was_signed(self, shop, settings) -> None:
        route = respx.get(host="shop.example").respond(json=[])
        await shop.orders_by_id(["7"])
        sent = route.calls[0].request
        params = {name: values[0] for name, values in parse_qs(urlsplit(str(sent.url)).query).items()}
        given = params.pop("oauth_signature")
        url = str(sent.url).partition("?")[0]
        assert given == signature("GET", url, params, settings.consumer_secret)
        assert "authorization" not in sent.headers

    @respx.mock
    async def test_a_passing_error_is_asked_again_with_a_new_signature(self, shop) -> None:
        route = respx.get(host="shop.example").mock(
            side_effect=[httpx.Response(503), httpx.Response(200, json=[]), httpx.Response(200, json=[])]
        )
        assert await shop.listings_by_id(["7"]) == []
        nonces = [dict(call.request.url.params)["oauth_nonce"] for call in route.calls]
        assert len(nonces) == len(set(nonces)) > 1, "the shop takes no nonce twice"


@pytest.mark.parametrize("auth", ["basic", "query"])
def test_the_key_itself_never_goes_over_plain_http(auth: str) -> None:
    with pytest.raises(ValidationError, match="oauth"):
        woo(base_url="http://shop.example", auth=auth)


@pytest.mark.parametrize(
    "url",
    [
        "shop.example",
        "ftp://shop.example",
        "https://",
        "https://shop.example/wp-json",
        "https://shop.example/wp-json/wc/v3",
        "https://shop.example/?page=2",
        "https://ck_1:cs_1@shop.example",
    ],
)
def test_an_address_that_is_not_the_shops_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        woo(base_url=url)
    assert "cs_1" not in str(caught.value)


def test_a_slash_at_the_end_and_a_folder_are_fine() -> None:
    assert woo(base_url="https://shop.example/blog/").base_url == "https://shop.example/blog"


def test_the_settings_hide_the_key() -> None:
    assert "ck_1" not in repr(woo()) + str(woo())
    assert CONNECTOR.budgets(woo())[0].per_second == 5
