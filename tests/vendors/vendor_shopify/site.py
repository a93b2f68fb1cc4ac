"""A shop ready for use: the state machine, its API, the app's credentials, and the ways to reach it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_fronts import InProcessTransport, MarketplaceApp
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.clock import Clock
from vendor_shopify.access import ALL_SCOPES
from vendor_shopify.api import ShopifyApi
from vendor_shopify.cost import Plan
from vendor_shopify.schema import admin_schema
from vendor_shopify.shop import Shop, shopify_rules


@dataclass(frozen=True, slots=True)
class ShopifySite:
    """One shop with all that belongs to it. transport: in process. app: for a server on a socket.

    Shopify signs webhooks with the client secret: webhook_secret is the same text.
    """

    shop: Shop
    marketplace: Marketplace
    api: ShopifyApi
    transport: InProcessTransport
    app: MarketplaceApp
    client_id: str
    client_secret: str
    domain: str
    webhook_secret: str


def open_vendor(
    name: str,
    clock: Clock,
    *,
    seed: int = 0,
    contracts: Path,
    faults: FaultPlan | None = None,
    plan: Plan = "standard",
    rules: MarketplaceRules | None = None,
    scopes: Iterable[str] = ALL_SCOPES,
    bulk_at_once: int = 5,
    remember: int | None = None,
) -> ShopifySite:
    """Opens a shop. The same arguments and calls give the same history.

    contracts: the folder that holds shopify/admin_2026-10.graphql.gz. rules: of `shop.BASE` but with other delays;
    None: `BASE`. bulk_at_once: bulk operations that may run together. remember: exchanges that are kept; None: all.
    """
    shop = Shop(name, shopify_rules(plan, rules), clock, scopes, seed=seed, bulk_at_once=bulk_at_once)
    api = ShopifyApi(shop, admin_schema(contracts), plan, faults, remember)
    way = f"{seed} {name} way"
    return ShopifySite(
        shop=shop,
        marketplace=shop.marketplace,
        api=api,
        transport=InProcessTransport(api, clock, random.Random(way)),
        app=MarketplaceApp(api, clock, random.Random(way)),
        client_id=shop.access.client_id,
        client_secret=shop.access.client_secret,
        domain=shop.domain,
        webhook_secret=shop.access.client_secret,
    )
