"""OAuth of the eBay test server: grants, scopes, lifetimes, limits, and what a bad token meets."""

from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from vendor_ebay import EbayBehaviour
from vendor_ebay.oauth import BASE, SCOPES

ORDERS = "/sell/fulfillment/v1/order"
ITEMS = "/sell/inventory/v1/inventory_item"


def consent(ebay, **changed):
    asked = {
        "client_id": ebay.site.client_id,
        "redirect_uri": ebay.site.ru_name,
        "response_type": "code",
        "scope": f"{SCOPES['sell.inventory']} {SCOPES['sell.fulfillment']}",
        "state": "mine",
    } | changed
    now = ebay.site.marketplace.time()
    return ebay.site.api.oauth.consent(f"https://auth.ebay.example/oauth2/authorize?{urlencode(asked)}", now)


def test_a_refresh_token_gives_an_access_token_of_two_hours(ebay):
    status, told = ebay.token_for(grant_type="refresh_token", refresh_token=ebay.site.refresh_token)
    assert (status, told["expires_in"], told["token_type"]) == (200, 7200, "User Access Token")
    assert "refresh_token" not in told, "a refresh token is not rotated"


def test_consent_gives_a_code_that_works_once_and_the_state_comes_back(ebay):
    back = parse_qs(urlsplit(consent(ebay)).query)
    assert back["state"] == ["mine"]
    form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": ebay.site.ru_name}
    status, told = ebay.token_for(**form)
    assert (status, told["refresh_token_expires_in"]) == (200, 47_304_000)
    assert ebay.token_for(**form) == (
        400,
        {
            "error": "invalid_grant",
            "error_description": "the provided authorization grant code is invalid or was issued to another client",
        },
    )
    assert ebay.token_for(grant_type="refresh_token", refresh_token=told["refresh_token"])[0] == 200


async def test_a_code_is_worth_nothing_after_five_minutes_or_with_another_runame(ebay, clock):
    code = parse_qs(urlsplit(consent(ebay)).query)["code"][0]
    other = parse_qs(urlsplit(consent(ebay)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": other, "redirect_uri": "https://seller.example"}
    assert ebay.token_for(**form)[0] == 400
    await clock.sleep(300)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": ebay.site.ru_name}
    assert ebay.token_for(**form)[0] == 400


@pytest.mark.parametrize("wrong", [{"client_id": "x"}, {"redirect_uri": "https://x"}, {"scope": "sell.everything"}])
def test_the_consent_page_refuses_what_is_not_registered(ebay, wrong):
    with pytest.raises(ValueError, match="eBay's page shows"):
        consent(ebay, **wrong)


def test_wrong_keys_of_the_application_are_told_as_oauth_tells_it(ebay):
    assert ebay.token_for("wrong", grant_type="client_credentials") == (
        401,
        {"error": "invalid_client", "error_description": "client authentication failed"},
    )


def test_an_unknown_kind_of_grant_and_too_wide_a_scope_are_refused(ebay):
    assert ebay.token_for(grant_type="password")[1]["error"] == "unsupported_grant_type"
    wide = {"grant_type": "client_credentials", "scope": SCOPES["sell.inventory"]}
    assert ebay.token_for(**wide)[1]["error"] == "invalid_scope"


async def test_a_token_ends_after_two_hours_and_a_refresh_token_after_eighteen_months(ebay, clock):
    ebay.login()
    await clock.sleep(7_199)
    assert ebay("GET", ITEMS)[0] == 200
    await clock.sleep(1)
    assert ebay("GET", ITEMS) == (
        401,
        {
            "errors": [
                {
                    "errorId": 1001,
                    "domain": "OAuth",
                    "category": "REQUEST",
                    "message": "Invalid access token",
                    "longMessage": "Invalid access token. Check the value of the Authorization",
                }
            ]
        },
    )
    await clock.sleep(47_304_000)
    form = {"grant_type": "refresh_token", "refresh_token": ebay.site.refresh_token}
    assert ebay.token_for(**form)[1]["error"] == "invalid_grant"


def test_a_token_without_the_scope_is_denied(ebay):
    form = {"grant_type": "refresh_token", "refresh_token": ebay.site.refresh_token}
    ebay.token = ebay.token_for(**form, scope=SCOPES["sell.inventory"])[1]["access_token"]
    assert ebay("GET", ITEMS)[0] == 200
    assert ebay.error("GET", ORDERS) == (403, 1100)
    ebay.token = ebay.token_for(grant_type="client_credentials", scope=BASE)[1]["access_token"]
    assert ebay.error("GET", ITEMS) == (403, 1100)
    assert ebay("GET", f"/commerce/notification/v1/public_key/{ebay.site.public_key_id}")[0] == 200


def test_a_missing_token_a_dropped_one_and_a_withdrawn_consent_are_refused(ebay):
    assert ebay.send("GET", ITEMS).status == 401
    ebay.login()
    ebay.site.api.oauth.drop()
    assert ebay.error("GET", ITEMS) == (401, 1001)
    ebay.login()
    ebay.site.api.oauth.withdraw_consent()
    assert ebay.error("GET", ITEMS) == (401, 1001)
    form = {"grant_type": "refresh_token", "refresh_token": ebay.site.refresh_token}
    assert ebay.token_for(**form)[1]["error"] == "invalid_grant"


async def test_tokens_of_a_day_are_limited_by_kind_of_grant(opened, clock):
    behaviour = EbayBehaviour()
    ebay = opened(behaviour=replace(behaviour, oauth_quotas=dict(behaviour.oauth_quotas) | {"client_credentials": 2}))
    form = {"grant_type": "client_credentials", "scope": BASE}
    assert [ebay.token_for(**form)[0] for _ in range(3)] == [200, 200, 429]
    assert ebay.token_for(grant_type="refresh_token", refresh_token=ebay.site.refresh_token)[0] == 200
    await clock.sleep(86_400)
    assert ebay.token_for(**form)[0] == 200
