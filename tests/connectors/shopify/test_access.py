"""Access tokens: got once for all, renewed before they end, rotated without ever losing the newest."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import MemoryVault
from channelsync_shopify import CONNECTOR
from channelsync_shopify.access import KEPT_AS
from channelsync_shopify.settings import ShopifySettings

REJECTED = httpx.Response(401, json={"errors": "[API] Invalid API key or access token"})


def token(access: str, *, refresh: str | None = None, lasts: float = 86399) -> httpx.Response:
    more = {} if refresh is None else {"refresh_token": refresh, "refresh_token_expires_in": 7776000}
    return httpx.Response(200, json={"access_token": access, "scope": "read_orders", "expires_in": lasts, **more})


@pytest.fixture
def offline(settings: ShopifySettings) -> ShopifySettings:
    """An app of another organisation: the refresh token of its installation."""
    return settings.model_copy(update={"refresh_token": SecretStr("refresh-0")})


@pytest.fixture(autouse=True)
def checked(shop, words) -> None:
    scopes = [
        {"handle": one}
        for one in (
            "read_orders",
            "read_returns",
            "read_merchant_managed_fulfillment_orders",
            "write_products",
            "read_publications",
            "write_inventory",
            "read_locations",
        )
    ]
    data = {
        "shop": {"id": "gid://shopify/Shop/77", "name": "Mugs", "myshopifyDomain": "example.myshopify.com"},
        "currentAppInstallation": {"accessScopes": scopes},
    }
    shop.on("Check", words.answer(data))


async def checks(settings: ShopifySettings, resources: Resources, times: int = 1) -> list[Any]:
    async with CONNECTOR.open(settings, resources) as channel:
        return [await channel.check() for _ in range(times)]


# Client credentials


async def test_client_id_and_secret_get_a_token_once_for_many_callers(settings, resources, shop) -> None:
    async with CONNECTOR.open(settings, resources) as channel:
        await asyncio.gather(*(channel.check() for _ in range(8)))
    assert shop.token_requests == [
        {"client_id": "the-client", "client_secret": "the-client-secret", "grant_type": "client_credentials"}
    ]
    assert set(shop.tokens) == {"shpat-first"}


async def test_a_token_is_renewed_before_it_ends(settings, resources, shop, clock) -> None:
    shop.on("token", token("shpat-1"), token("shpat-2"))
    async with CONNECTOR.open(settings, resources) as channel:
        await channel.check()
        await clock.sleep(86399 - 300)
        await channel.check()
        await clock.sleep(200)
        await channel.check()
    assert shop.tokens == ["shpat-1", "shpat-1", "shpat-2"]


async def test_a_token_that_shopify_dropped_is_replaced_once_and_then_the_seller_is_asked(
    settings, resources, shop
) -> None:
    good = shop.scripts["Check"][0]
    shop.on("Check", REJECTED, good)
    shop.on("token", token("shpat-1"), token("shpat-2"))
    await checks(settings, resources)
    assert shop.tokens == ["shpat-1", "shpat-2"]
    shop.on("Check", REJECTED)
    with pytest.raises(NeedsSeller):
        await checks(settings, resources)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_credentials_that_are_refused_need_the_seller(settings, resources, shop, status: int) -> None:
    shop.on("token", httpx.Response(status, json={"error": "invalid_client"}))
    with pytest.raises(NeedsSeller, match="invalid_client"):
        await checks(settings, resources)


async def test_a_token_endpoint_that_is_down_is_tried_later(settings, resources, shop) -> None:
    shop.on("token", httpx.Response(503, html="<html>"))
    with pytest.raises(TryLater):
        await checks(settings, resources)


async def test_a_token_that_never_ends_is_used_as_it_is(settings, resources, shop) -> None:
    lasting = settings.model_copy(update={"access_token": SecretStr("shpat-lasting")})
    await checks(lasting, resources)
    assert (shop.tokens, shop.token_requests) == (["shpat-lasting"], [])
    shop.on("Check", REJECTED)
    with pytest.raises(NeedsSeller, match="access_token"):
        await checks(lasting, resources)


def test_settings_without_a_way_in_are_refused() -> None:
    for given in ({}, {"client_id": "x"}, {"client_secret": "y"}):
        with pytest.raises(ValidationError, match="client_id and client_secret"):
            ShopifySettings(shop="example.myshopify.com", **given)
    with pytest.raises(ValidationError):
        ShopifySettings(shop="shop.example.com", client_id="x", client_secret="y")
    both = {"access_token": "z", "refresh_token": "r"}
    with pytest.raises(ValidationError, match="not both"):
        ShopifySettings(shop="example.myshopify.com", client_id="x", client_secret="y", **both)


# Rotation


async def test_each_renewal_uses_the_refresh_token_that_came_with_the_last(offline, resources, shop, clock) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2, 3)))
    async with CONNECTOR.open(offline, resources) as channel:
        for _ in range(3):
            await channel.check()
            await clock.sleep(3600)
    assert [one["refresh_token"] for one in shop.token_requests] == ["refresh-0", "refresh-1", "refresh-2"]
    assert {one["grant_type"] for one in shop.token_requests} == {"refresh_token"}
    assert shop.tokens == ["shpat-1", "shpat-2", "shpat-3"]


class SlowVault(MemoryVault):
    """Takes its time to keep a secret, and can refuse to; notes what was used by then."""

    def __init__(self, shop: Any, refusal: Exception | None = None) -> None:
        super().__init__()
        self._shop = shop
        self._refusal = refusal
        self.used_by_then: list[list[str]] = []

    async def put(self, name: str, secret: SecretStr) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.used_by_then.append([*self._shop.tokens])
        if self._refusal is not None:
            raise self._refusal
        await super().put(name, secret)


@pytest.mark.fault(35, "a new refresh token is kept before what came with it is used")
async def test_the_new_refresh_token_is_kept_before_the_new_access_token_is_used(
    offline, resources, shop, clock
) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2)))
    slow = replace(resources, vault=SlowVault(shop))
    await checks(offline, slow)
    await clock.sleep(3600)
    await checks(offline, slow)
    assert slow.vault.used_by_then == [[], ["shpat-1"]]
    kept = await slow.vault.get(KEPT_AS)
    assert kept is not None
    assert json.loads(kept.get_secret_value())["refresh_token"] == "refresh-2"


@pytest.mark.fault(35, "a restart goes on with what was kept")
async def test_a_restart_goes_on_with_what_was_kept(offline, resources, shop, clock) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2)))
    await checks(offline, resources)
    await checks(offline, resources)
    assert len(shop.token_requests) == 1, "the access token was still good"
    await clock.sleep(3600)
    await checks(offline, resources)
    assert [one["refresh_token"] for one in shop.token_requests] == ["refresh-0", "refresh-1"]


async def test_two_processes_with_one_vault_share_what_one_of_them_renewed(offline, resources, shop, clock) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2, 3)))
    async with CONNECTOR.open(offline, resources) as one, CONNECTOR.open(offline, resources) as other:
        await one.check()
        await other.check()
        await clock.sleep(3600)
        await other.check()
        await one.check()
    assert len(shop.token_requests) == 2
    assert shop.tokens == ["shpat-1", "shpat-1", "shpat-2", "shpat-2"]


async def test_an_access_token_that_was_dropped_early_is_renewed_even_though_it_is_kept(
    offline, resources, shop
) -> None:
    good = shop.scripts["Check"][0]
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2)))
    shop.on("Check", REJECTED, good)
    await checks(offline, resources)
    assert shop.tokens == ["shpat-1", "shpat-2"]


@pytest.mark.fault(35, "a renewal whose answer was lost is asked for again with the same refresh token")
async def test_a_renewal_whose_answer_was_lost_is_asked_again_with_the_same_refresh_token(
    offline, resources, shop
) -> None:
    shop.on("token", httpx.ReadTimeout("lost"), token("shpat-1", refresh="refresh-1", lasts=3600))
    await checks(offline, resources)
    assert [one["refresh_token"] for one in shop.token_requests] == ["refresh-0", "refresh-0"]


async def test_a_refresh_token_that_another_process_has_used_up_is_looked_up_anew(
    offline, resources, shop, clock
) -> None:
    """Both found the same refresh token; by the time that ours is refused, the other's answer is kept."""
    shop.on("token", token("shpat-1", refresh="refresh-1", lasts=3600))
    await checks(offline, resources)
    await clock.sleep(3600)
    kept = await resources.vault.get(KEPT_AS)
    assert kept is not None

    theirs = json.loads(kept.get_secret_value())
    until = (clock.now() + timedelta(minutes=50)).isoformat()
    theirs |= {"refresh_token": "refresh-2", "access_token": "shpat-2", "use_until": until}

    def used_up(_: Any) -> httpx.Response:
        resources.vault._secrets[KEPT_AS] = SecretStr(json.dumps(theirs))
        return httpx.Response(400, json={"error": "invalid_grant"})

    shop.on("token", used_up)
    await checks(offline, resources)
    assert shop.tokens == ["shpat-1", "shpat-2"]
    await clock.sleep(3600)
    with pytest.raises(NeedsSeller, match="invalid_grant"):
        await checks(offline, resources)


async def test_a_shop_that_is_connected_anew_starts_from_the_new_refresh_token(offline, resources, shop) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2)))
    await checks(offline, resources)
    await checks(offline.model_copy(update={"refresh_token": SecretStr("refresh-anew")}), resources)
    assert [one["refresh_token"] for one in shop.token_requests] == ["refresh-0", "refresh-anew"]


async def test_a_secret_that_cannot_be_kept_stops_before_the_new_token_is_used(offline, resources, shop) -> None:
    shop.on("token", token("shpat-1", refresh="refresh-1", lasts=3600))
    with pytest.raises(NeedsSeller, match="no key"):
        await checks(offline, replace(resources, vault=SlowVault(shop, NeedsSeller("There is no key."))))
    assert shop.tokens == []


@pytest.mark.parametrize("content", ["", "not ours", '{"first": "x"}', "[]"])
async def test_what_is_kept_and_is_not_ours_is_never_guessed_at(offline, resources, shop, content: str) -> None:
    await resources.vault.put(KEPT_AS, SecretStr(content))
    with pytest.raises(NeedsSeller, match="secrets forget"):
        await checks(offline, resources)
    assert shop.token_requests == []


async def test_a_renewal_without_a_new_refresh_token_is_not_kept(offline, resources, shop) -> None:
    shop.on("token", token("shpat-1", lasts=3600))
    with pytest.raises(Exception, match="without a new refresh token"):
        await checks(offline, resources)
    assert await resources.vault.get(KEPT_AS) is None


# Permissions and identity


async def test_the_identity_is_the_shops_id(settings, resources) -> None:
    (identity,) = await checks(settings, resources)
    assert (identity.name, identity.title) == ("77", "Mugs")


async def test_permissions_that_are_missing_are_named(settings, resources, shop, words) -> None:
    data = json.loads(shop.scripts["Check"][0].content)["data"]
    scopes = data["currentAppInstallation"]["accessScopes"]
    scopes[:] = [one for one in scopes if one["handle"] not in ("write_inventory", "read_returns")]
    shop.on("Check", words.answer(data))
    with pytest.raises(NeedsSeller, match="read_returns, read_inventory, write_inventory"):
        await checks(settings, resources)


async def test_the_access_of_another_shop_is_noticed(settings, resources, shop, words) -> None:
    data = json.loads(shop.scripts["Check"][0].content)["data"]
    data["shop"]["myshopifyDomain"] = "another.myshopify.com"
    shop.on("Check", words.answer(data))
    with pytest.raises(NeedsSeller, match=r"another\.myshopify\.com"):
        await checks(settings, resources)


async def test_a_clock_that_leaps_does_not_lengthen_a_kept_token(offline, resources, shop, clock) -> None:
    shop.on("token", *(token(f"shpat-{n}", refresh=f"refresh-{n}", lasts=3600) for n in (1, 2)))
    await checks(offline, resources)
    clock._start += timedelta(hours=2)
    await checks(offline, replace(resources))
    assert shop.tokens == ["shpat-1", "shpat-2"]
