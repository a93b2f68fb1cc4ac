"""Who may ask what, and how the shop says no."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import quote

import pytest

from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.options import ApiKey

NOT_LOGGED_IN = (401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")


def _said(told):
    return (told.status, told.body["code"], told.body["message"])


def _signed(site, clock, pairs=(), *, method="GET", path="/wp-json/wc/v3/products", how="SHA256", **other):
    """A query signed as OAuth 1.0a asks; `other` puts something else in its place."""
    params = {
        "oauth_consumer_key": site.consumer_key,
        "oauth_timestamp": str(int(clock.now().timestamp())),
        "oauth_nonce": "nonce-1",
        "oauth_signature_method": f"HMAC-{how}",
        **dict(pairs),
        **{f"oauth_{name}": value for name, value in other.items()},
    }
    enc = lambda text: quote(text, safe="-_.~")  # noqa: E731
    joined = "&".join(f"{enc(name)}={enc(params[name])}" for name in sorted(params))
    text = f"{method}&{enc('http://shop.example' + path)}&{enc(joined)}"
    digest = hmac.new(f"{site.consumer_secret}&".encode(), text.encode(), getattr(hashlib, how.lower())).digest()
    signature = base64.b64encode(digest).decode()
    return "&".join(f"{enc(k)}={enc(v)}" for k, v in {**params, "oauth_signature": signature}.items())


def test_basic_over_tls_lets_in_and_a_wrong_secret_is_told(ask) -> None:
    assert ask("GET", "/products").status == 200
    wrong = base64.b64encode(f"{ask.site.consumer_key}:cs_wrong".encode()).decode()
    told = ask("GET", "/products", headers={"authorization": f"Basic {wrong}"})
    assert _said(told) == (401, "woocommerce_rest_authentication_error", "Consumer secret is invalid.")
    assert told.headers["www-authenticate"].startswith("Basic realm=")


def test_an_unknown_key_no_key_and_basic_without_tls_all_look_the_same(ask, open_shop) -> None:
    unknown = base64.b64encode(b"ck_nobody:cs_x").decode()
    assert _said(ask("GET", "/orders", headers={"authorization": f"Basic {unknown}"})) == NOT_LOGGED_IN
    assert _said(ask("GET", "/orders", headers={})) == NOT_LOGGED_IN
    assert _said(open_shop(https=False)("GET", "/orders")) == NOT_LOGGED_IN


def test_a_host_that_strips_the_header_is_reached_by_keys_in_the_query(open_shop) -> None:
    ask = open_shop(strips_authorization=True)
    assert _said(ask("GET", "/products")) == NOT_LOGGED_IN
    query = f"consumer_key={ask.site.consumer_key}&consumer_secret={ask.site.consumer_secret}"
    assert ask("GET", "/products", query=query).status == 200
    plain = open_shop(https=False)
    query = f"consumer_key={plain.site.consumer_key}&consumer_secret={plain.site.consumer_secret}"
    assert _said(plain("GET", "/products", query=query)) == NOT_LOGGED_IN


@pytest.mark.parametrize("how", ["SHA1", "SHA256"])
def test_a_signed_query_lets_in_without_tls(open_shop, clock: ContractClock, how: str) -> None:
    ask = open_shop(https=False)
    pairs = [("per_page", "5"), ("search", "a mug & ü~'"), ("status", "any")]
    told = ask("GET", "/products", query=_signed(ask.site, clock, pairs, how=how), headers={"host": "shop.example"})
    assert told.status == 200, told.body


def test_the_signature_covers_every_parameter_the_method_and_the_path(open_shop, clock: ContractClock) -> None:
    ask = open_shop(https=False)
    host = {"host": "shop.example"}
    query = _signed(ask.site, clock, [("page", "1")])
    message = "Invalid signature - provided signature does not match."
    for method, path, sent in (
        ("GET", "/products", query.replace("page=1", "page=2")),
        ("GET", "/products", query + "&status=any"),
        ("GET", "/orders", query),
        ("DELETE", "/products", query),
    ):
        told = ask(method, path, query=sent, headers=host)
        assert _said(told) == (401, "woocommerce_rest_authentication_error", message), sent
    assert ask("GET", "/products", query=query, headers=host).status == 200


def test_a_timestamp_and_a_nonce_hold_once_and_for_fifteen_minutes(open_shop, clock: ContractClock) -> None:
    ask = open_shop(https=False)
    host = {"host": "shop.example"}
    query = _signed(ask.site, clock)
    assert ask("GET", "/products", query=query, headers=host).status == 200
    again = ask("GET", "/products", query=query, headers=host)
    assert again.body["message"] == "Invalid nonce - nonce has already been used."
    stale = str(int(clock.now().timestamp()) - 901)
    late = ask("GET", "/products", query=_signed(ask.site, clock, timestamp=stale, nonce="other"), headers=host)
    assert late.body["message"] == "Invalid timestamp."


def test_half_an_oauth_query_says_what_is_missing(open_shop) -> None:
    told = open_shop(https=False)("GET", "/products", query="oauth_consumer_key=ck_1", headers={})
    assert _said(told) == (
        401,
        "woocommerce_rest_authentication_missing_parameter",
        "Missing OAuth parameters oauth_timestamp, oauth_nonce, oauth_signature, oauth_signature_method",
    )


@pytest.mark.parametrize(
    ("permissions", "reads", "writes"), [("read", 200, 401), ("write", 401, 201), ("read_write", 200, 201)]
)
def test_a_key_may_do_what_its_permissions_say(
    open_shop: Callable[..., object], permissions: str, reads: int, writes: int
) -> None:
    ask = open_shop(permissions=permissions)
    assert ask("GET", "/products").status == reads
    told = ask("POST", "/products", {"name": "Mug"})
    assert told.status == writes
    if writes == 401:
        assert told.body["message"] == "The API key provided does not have write permissions."


def test_a_second_key_lets_in_too_and_the_index_needs_none(open_shop) -> None:
    ask = open_shop(keys=[ApiKey("ck_two", "cs_two")])
    token = base64.b64encode(b"ck_two:cs_two").decode()
    assert ask("GET", "/products", headers={"authorization": f"Basic {token}"}).status == 200
    assert ask("GET", "/wp-json/", headers={}).body["name"] == "shop"


def test_an_unknown_route_or_method_is_a_404(ask) -> None:
    for method, path in (("GET", "/nothing"), ("DELETE", "/orders"), ("GET", "/wp-json/wp/v2/users")):
        assert (ask(method, path).status, ask(method, path).body["code"]) == (404, "rest_no_route")


async def test_a_host_whose_clock_is_wrong_says_so_and_reads_timestamps_by_it(open_shop, clock: ContractClock) -> None:
    ask = open_shop(https=False, skew=1200.0)
    told = ask("GET", "/wp-json/", headers={})
    assert told.headers["date"] == "Thu, 01 Jun 2017 09:20:00 GMT"
    late = ask("GET", "/products", query=_signed(ask.site, clock), headers={"host": "shop.example"})
    assert late.body["message"] == "Invalid timestamp."


def test_the_hold_on_unpaid_checkouts_is_a_setting(open_shop) -> None:
    name = "/settings/products/woocommerce_hold_stock_minutes"
    assert open_shop(hold_minutes=15)("GET", name).body["value"] == "15"
    assert open_shop(hold_minutes=None)("GET", name).body["value"] == ""
    ask = open_shop(version="10.3.1")
    assert ask("GET", "/settings/products/nothing").body["code"] == "rest_setting_setting_invalid"
    assert ask("GET", "/system_status").body["environment"]["version"] == "10.3.1"
