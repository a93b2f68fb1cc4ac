"""One shop with all its books: what every part of the API reads and changes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.clock import Clock
from channelsync.sdk.values import GivesBack
from vendor_shopify.access import Access
from vendor_shopify.bulk import BulkBook
from vendor_shopify.catalogue import Catalogue
from vendor_shopify.cost import RATES, Plan
from vendor_shopify.idempotency import IdempotencyBook
from vendor_shopify.ids import Numbers
from vendor_shopify.orders import OrderBook
from vendor_shopify.subscriptions import Subscriptions

BASE = MarketplaceRules(
    updates_per_push=250,
    reads_per_call=250,
    orders_per_page=250,
    listings_per_page=250,
    compare_and_set=True,
    relative_writes=True,
    committed_readable=True,
    holds_readable=True,
    backorders=True,
    gives_back=frozenset(GivesBack),
    moves="components",
    assigns_locations=True,
    visibility=(0.0, 2.0),
)
"""How Shopify behaves as a marketplace of the lab: available falls at the order, and rises by CANCEL and RETURN."""


def shopify_rules(plan: Plan = "standard", rules: MarketplaceRules | None = None) -> MarketplaceRules:
    """Rules (None: `BASE`) with the budget of a plan."""
    rate = float(RATES[plan])
    return replace(rules or BASE, budget_capacity=20 * rate, budget_per_second=rate)


class Shop:
    """The state of one shop. domain: its myshopify.com name."""

    def __init__(
        self,
        name: str,
        rules: MarketplaceRules,
        clock: Clock,
        scopes: Iterable[str],
        *,
        seed: int = 0,
        bulk_at_once: int = 5,
    ) -> None:
        self.name = name
        self.domain = f"{name}.myshopify.com"
        self.currency = "EUR"
        self.marketplace = Marketplace(name, rules, clock, random.Random(f"{seed} {name} marketplace"))
        self.numbers = Numbers()
        self.catalogue = Catalogue(self.marketplace, self.numbers)
        self.book = OrderBook(self.marketplace, self.numbers)
        rng = random.Random(f"{seed} {name} access")
        self.access = Access(f"{rng.getrandbits(128):032x}", f"shpss_{rng.getrandbits(128):032x}", scopes, rng)
        self.subscriptions = Subscriptions(self.numbers)
        self.bulk = BulkBook(self.numbers, rng, at_once=bulk_at_once)
        self.idempotency = IdempotencyBook()
