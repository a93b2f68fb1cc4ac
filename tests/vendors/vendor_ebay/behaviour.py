"""What an eBay of the tests is like, where eBay leaves it open or accounts differ: data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.values import Deducts, GivesBack

EBAY_RULES = MarketplaceRules(
    updates_per_push=25,
    reads_per_call=25,
    orders_per_page=200,
    listings_per_page=200,
    revisions_per_day=250,
    zero="deactivates",
    deducts=Deducts.AT_ORDER,
    gives_back=frozenset({GivesBack.ON_CANCEL}),
    visibility=(0.0, 30.0),
    order_pages="shifting",
    token_lifetime=7_200.0,
    budget_capacity=6_000.0,
    budget_per_second=400.0,
    retry_after="none",
)
"""eBay: absolute numbers that apply at once, 250 revisions a listing and day, out of stock at 0, orders found late.

That a cancelled order gives its units back is a preference of the seller's at eBay ("automatically relist cancelled
items"); it is on unless the seller turns it off. The budget is that of ReviseInventoryStatus: 6,000 calls in 15 s.
"""

QUOTAS: Mapping[str, int] = {
    "sell.inventory": 2_000_000,
    "sell.fulfillment": 100_000,
    "sell.account": 25_000,
    "commerce.notification": 10_000,
    "commerce.identity": 5_000,
    "developer.analytics": 5_000,
    "TradingAPI": 5_000,
}
"""Calls of one application a day, by API. Notification and Account are told by eBay, the others widely repeated."""

OAUTH_QUOTAS: Mapping[str, int] = {
    "client_credentials": 1_000,
    "authorization_code": 10_000,
    "refresh_token": 50_000,
}
"""Tokens of one application a day, by kind of grant: eBay's page on OAuth rate limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EbayBehaviour:
    """How this eBay behaves where that differs, or is not known.

    order_topic: whether ORDER_CONFIRMATION is among the topics (release 1.6.6; a live sandbox had it not).
    newest_first: the order of getOrders; eBay says "by creation date" only.
    order_scope: the permission that this topic asks for; which one eBay's asks for is told by getTopic alone.
    lower_counts: whether a listing shows the lower one of its item's number and its offer's (eBay's guide to bulk
        updates, its knowledge base 5100), or the offer's, which overrides the item's (its API description 1.18.0).
    item_rows: whether bulk_update_price_quantity answers for the item, too, where offers are named.
    busy_after_write: seconds in which another write to the same SKU is refused with 25025.
    down_after: failed attempts at delivery after which a destination is MARKED_DOWN.
    out_of_stock_control: the account's preference: listings made by the Trading API stay alive at 0.
    site: the marketplace. language: of its items.
    """

    order_topic: bool = True
    order_scope: str = "sell.fulfillment"
    newest_first: bool = True
    lower_counts: bool = False
    item_rows: bool = False
    busy_after_write: float = 0.0
    down_after: int = 5
    out_of_stock_control: bool = True
    site: str = "EBAY_US"
    language: str = "en-US"
    currency: str = "USD"
    quotas: Mapping[str, int] = field(default_factory=lambda: dict(QUOTAS))
    oauth_quotas: Mapping[str, int] = field(default_factory=lambda: dict(OAUTH_QUOTAS))
