"""Who is let in: tokens, their lives, scopes."""

from datetime import timedelta

import orjson
import pytest

from vendor_shopify.access import ALL_SCOPES
from vendor_shopify.api import TOKEN

SHOP = "{ shop { name myshopifyDomain } }"


def asked_token(ask, **form):
    """(status, content) of the token endpoint; what is named replaces what the app sends."""
    site = ask.site
    sent = {"client_id": site.client_id, "client_secret": site.client_secret, "grant_type": "client_credentials"}
    reply = ask.raw(orjson.dumps(sent | form), TOKEN)
    return reply.status, orjson.loads(reply.body)


def test_client_credentials_give_a_token_of_a_day_that_works_until_it_ends(ask):
    status, told = asked_token(ask)
    assert (status, told["expires_in"]) == (200, 86399)
    assert "write_inventory" in told["scope"].split(",")
    assert "read_inventory" not in told["scope"].split(","), "what writing implies is not told"
    ask.token = told["access_token"]
    assert ask.data(SHOP)["shop"]["myshopifyDomain"] == ask.site.domain
    ask.advance(timedelta(hours=24).total_seconds())
    assert ask.raw(orjson.dumps({"query": SHOP})).status == 401


def test_the_token_endpoint_takes_a_form_as_well(ask):
    body = f"client_id={ask.site.client_id}&client_secret={ask.site.client_secret}&grant_type=client_credentials"
    assert ask.raw(body.encode(), TOKEN, content_type="application/x-www-form-urlencoded").status == 200


@pytest.mark.parametrize(
    "wrong", [{"client_secret": "guess"}, {"client_id": "guess"}, {"grant_type": "password"}], ids=str
)
def test_wrong_credentials_give_no_token(ask, wrong):
    status, told = asked_token(ask, **wrong)
    assert status == 400
    assert told["error"]
    assert "access_token" not in told


def test_a_refresh_token_is_replaced_and_ends_once_the_new_access_token_is_used(ask):
    first = ask.site.shop.access.refresh_token(ask.clock.now())
    status, told = asked_token(ask, grant_type="refresh_token", refresh_token=first)
    assert (status, told["expires_in"]) == (200, 3600)
    assert told["refresh_token"] != first
    assert asked_token(ask, grant_type="refresh_token", refresh_token=first)[0] == 200, "nobody used the new one yet"
    ask.token = told["access_token"]
    ask.data(SHOP)
    assert asked_token(ask, grant_type="refresh_token", refresh_token=first)[0] == 400


def test_an_unknown_token_is_refused_in_shopifys_words(ask):
    reply = ask.raw(orjson.dumps({"query": SHOP}), x_shopify_access_token="shpat_guess")
    assert reply.status == 401
    assert b"Invalid API key or access token" in reply.body


def test_a_shop_that_does_not_have_the_app_answers_403(ask):
    ask.site.shop.access.installed = False
    assert ask.raw(orjson.dumps({"query": SHOP})).status == 403


def test_a_missing_scope_denies_the_field_and_names_what_is_needed(opened):
    ask = opened(scopes=[each for each in ALL_SCOPES if each != "read_returns"])
    offer = ask.site.shop.catalogue.offer("MUG", 5)
    order = ask.site.marketplace.buy(offer.listing, 1).order
    ask.site.marketplace.ship(order.id)
    ask.site.marketplace.bring_back(order.id, order.lines[0].id, 1)
    ask.advance(5)
    answer = ask("{ orders(first: 1) { nodes { id returns(first: 1) { nodes { id } } } } }")
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "ACCESS_DENIED"
    assert "read_returns" in error["extensions"]["requiredAccess"]
    assert error["path"][:3] == ["orders", "nodes", 0]


def test_writing_needs_the_writing_scope(opened):
    ask = opened(scopes=["read_inventory", "read_products", "read_locations"])
    offer = ask.site.shop.catalogue.offer("MUG", 5)
    asked = {"name": "available", "reason": "correction"}
    asked["quantities"] = [ask.row(offer) | {"quantity": 1, "changeFromQuantity": None}]
    answer = ask(
        'mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) @idempotent(key: "1") '
        "{ userErrors { code } } }",
        i=asked,
    )
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert ask.site.marketplace.number(offer.keys[0]) == 5


def test_the_installation_tells_the_granted_scopes(ask):
    found = ask.data("{ currentAppInstallation { accessScopes { handle } } }")["currentAppInstallation"]
    assert {each["handle"] for each in found["accessScopes"]} >= set(ALL_SCOPES)


def test_only_the_version_of_the_schema_is_there(ask):
    assert ask.raw(b"{}", "/admin/api/2025-01/graphql.json").status == 404
    assert ask.raw(b"not json").status == 400
