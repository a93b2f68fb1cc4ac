"""[channel.settings] of an eBay seller, what they say about the account, and how eBay behaves for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channelsync.sdk.channel import CallCost, Capabilities
from channelsync.sdk.http import Timeouts
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing, WriteLimit

ITEMS, FULFILLMENT, TRADING, OTHER = "inventory", "fulfillment", "trading", "other"
"""The buckets: eBay counts calls a day for each of its APIs."""

ROWS_MAX = 25
"""SKUs in one bulk_update_price_quantity and in one bulk_get_inventory_item."""

LEGACY_ROWS_MAX = 4
"""Listings or variations in one ReviseInventoryStatus."""

HISTORY_DAYS_MAX = 729
"""getOrders gives error 30830 for a range of more than two years."""

PUSH_SECONDS = 60.0
"""A push may be several requests; none is begun after so long."""

TIMEOUTS = Timeouts(read=30.0, total=45.0)

Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Url = Annotated[str, Field(pattern=r"^https?://[^/?#]+")]
Calls = Annotated[int, Field(strict=True, ge=1)]


class EbaySettings(BaseModel):
    """Which application asks, for which seller, and what differs from one seller to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    environment: Literal["production", "sandbox"] = "production"
    """eBay itself, or its sandbox, which has keys and sellers of its own. Default "production"."""

    client_id: Annotated[str, Field(min_length=1, examples=["Seller-chansync-PRD-1"])]
    """The application's App ID (Client ID), of the keyset for this environment."""

    client_secret: Secret
    """The application's Cert ID (Client Secret)."""

    ru_name: str | None = None
    """The application's RuName (eBay Redirect URL name): only to connect the account. Default none."""

    refresh_token: Secret | None = None
    """What the seller's consent gave: good for 18 months. Default: the one that connecting the channel has stored."""

    legacy_listings: bool = False
    """Also keep listings that were made on eBay's pages or by the Trading API and are not migrated to the Inventory
    API. Costs one call of the Trading API for each listing that is read. Default false."""

    relists_cancelled: bool = True
    """As eBay's preference "Automatically relist canceled items": whether eBay puts the units of a cancelled order
    back on the listing. Default true."""

    verification_token: Annotated[SecretStr, Field(min_length=32, max_length=80)] | None = None
    """For notifications: 32 to 80 letters, digits, _ and - that you think up; eBay uses it to make sure that an
    address is ours. Default none: deliveries are not taken."""

    alert_email: str | None = None
    """Where eBay writes when notifications fail; it takes no address for notifications without one. Default none."""

    extra_scopes: tuple[Annotated[str, Field(pattern=r"^https://[^\s]+$")], ...] = ()
    """Permissions to ask the seller for beside those that are needed: where a topic wants one, the refusal names it.
    Default none."""

    topics: tuple[Annotated[str, Field(pattern=r"^[A-Z_]+$")], ...] = ("ORDER_CONFIRMATION",)
    """What eBay is asked to tell of; which topics an application may have differs. Default ["ORDER_CONFIRMATION"]."""

    revisions_per_day: Annotated[int, Field(strict=True, ge=1)] = 250
    """How often eBay lets a listing be revised in a day, all its variations together. Default 250."""

    revisions_kept: Annotated[int, Field(strict=True, ge=0)] = 50
    """How many of these are kept for lowering a number: raises stop before. Default 50."""

    unpaid_days: Positive = 10
    """Days that an unpaid order holds units without news. Default 10; more where you give buyers longer to pay."""

    history_days: Annotated[int, Field(strict=True, ge=1, le=HISTORY_DAYS_MAX)] = HISTORY_DAYS_MAX
    """How far back the first search for orders goes, in days. Default 729, all that eBay gives."""

    orders_per_page: Annotated[int, Field(strict=True, ge=2, le=200)] = 200
    """Orders on a page. Default 200, the most that goes."""

    listings_per_page: Annotated[int, Field(strict=True, ge=1, le=200)] = 200
    """Items on a page. Default 200, the most that goes."""

    updates_per_push: Annotated[int, Field(strict=True, ge=1, le=ROWS_MAX)] = ROWS_MAX
    """Numbers in one push. Default 25, the most that goes."""

    order_delay_s: Seconds = 300
    """Seconds after which an order is in the search at the latest. Not measured yet. Default 300."""

    staleness_s: Seconds = 5
    """Seconds that a number read may be behind. Not measured yet. Default 5."""

    skew_s: Seconds = 2
    """Seconds that eBay's clock may be off, either way. Default 2."""

    site: Annotated[int, Field(strict=True, ge=0)] = 0
    """The site id that the Trading API is called for, e.g. 0 for US, 3 for UK, 77 for Germany. Default 0."""

    calls_at_once: Annotated[float, Field(ge=30)] = 50
    """Requests that we may send in a burst to one API. Default 50."""

    calls_per_second: Positive = 10
    """Requests a second to one API over a longer time. Default 10."""

    inventory_calls_per_day: Calls = 2_000_000
    """The application's daily limit for the Inventory API. Default 2000000, as for every new application."""

    fulfillment_calls_per_day: Calls = 100_000
    """The same for the Fulfillment API. Default 100000."""

    trading_calls_per_day: Calls = 5_000
    """The same for the Trading API. Default 5000."""

    other_calls_per_day: Calls = 10_000
    """The same for all others. Default 10000."""

    base_url: Url | None = None
    """Where the API is, for tests. Default eBay's."""

    token_url: Url | None = None
    """Where tokens are handed out, for tests. Default eBay's, or below base_url."""

    trading_url: Url | None = None
    """Where the Trading API is, for tests. Default eBay's, or below base_url."""

    @model_validator(mode="after")
    def _keeps_some_for_raises(self) -> Self:
        if self.revisions_kept >= self.revisions_per_day:
            raise ValueError("revisions_kept must be below revisions_per_day, or no number could ever be raised")
        return self

    @property
    def api(self) -> str:
        """Where the REST API is."""
        return (self.base_url or f"https://api.{self._domain}").rstrip("/")

    @property
    def identity(self) -> str:
        """Where the Identity API is: eBay has a host of its own for it."""
        return self.api if self.base_url else f"https://apiz.{self._domain}"

    @property
    def tokens(self) -> str:
        """Where tokens are handed out."""
        return self.token_url or f"{self.api}/identity/v1/oauth2/token"

    @property
    def trading(self) -> str:
        """Where the Trading API is."""
        return self.trading_url or f"{self.api}/ws/api.dll"

    @property
    def consent(self) -> str:
        """The page where a seller agrees."""
        return f"https://auth.{self._domain}/oauth2/authorize"

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        return tuple(
            one for one in (self.client_secret, self.refresh_token, self.verification_token) if one is not None
        )

    @property
    def _domain(self) -> str:
        return "ebay.com" if self.environment == "production" else "sandbox.ebay.com"


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def capabilities(settings: EbaySettings) -> Capabilities:
    """How eBay behaves. What no page of eBay's tells was not measured yet (see quality.toml).

    updates_per_push: 25 (Inventory API, bulkUpdatePriceQuantity: "up to 25"); listings that are not migrated go four
        at a time (ReviseInventoryStatus).
    reads_per_call, read_cost: 25 items in one call, and one call for the offers of each: there is none for all.
    compare_and_set, answers_with_number: neither; the last write wins.
    meaning: `availableQuantity` is what buyers may buy. The offer's number overrides the item's (Inventory API 1.18.0,
        ShipToLocationAvailability) or the lower one counts (its guide, Bulk updates; knowledge base 5100), so both are
        written.
    zero: a good-till-cancelled listing stays alive, hidden as OUT_OF_STOCK, until a number above 0 (Trading guide,
        Out-of-stock); a listing that is not migrated needs the seller's out-of-stock preference for it.
    behaviour: a line item is there "as soon as there is a commitment to buy" (Fulfillment API), and lowers the number
        then, paid or not. A cancelled order's units go back where the seller lets eBay relist them (Post-Order API,
        RelistLineItem; the preference of that name). eBay's orders are not edited, and returns restock nothing.
    staleness, order_visibility, order_overlap: unmeasured, so rather too long.
    pending_limit: eBay lets sellers cancel unpaid orders after some days and does not tell when it will.
    unique_skus: an Inventory API SKU is one item; other listings may share theirs.
    writes_per_day: a listing may be revised 250 times a calendar day, and is blocked until the next one then (Inventory
        API, bulkUpdatePriceQuantity). Where that day begins is not told; 25 hours hold any, that of a clock change too.
    """
    gives_back = frozenset({GivesBack.ON_CANCEL}) if settings.relists_cancelled else frozenset[GivesBack]()
    staleness = timedelta(seconds=settings.staleness_s)
    return Capabilities(
        updates_per_push=settings.updates_per_push,
        reads_per_call=ROWS_MAX,
        push_cost=CallCost(1, ITEMS),
        read_cost=CallCost(1 + ROWS_MAX, ITEMS),
        meaning="available",
        zero="deactivates",
        behaviour=NumberBehaviour(Deducts.AT_ORDER, gives_back),
        moves="own",
        timing=Timing(
            staleness=staleness,
            skew=timedelta(seconds=settings.skew_s),
            grace=timedelta(seconds=PUSH_SECONDS + TIMEOUTS.total) + staleness,
            applies=Applies.AT_ONCE,
            never_negative=True,
        ),
        order_visibility=timedelta(seconds=settings.order_delay_s),
        order_overlap=timedelta(seconds=settings.order_delay_s),
        pending_limit=timedelta(days=settings.unpaid_days),
        unique_skus=not settings.legacy_listings,
        writes_per_day=WriteLimit(
            most=settings.revisions_per_day, kept=settings.revisions_kept, span=timedelta(hours=25)
        ),
    )


def budgets(settings: EbaySettings) -> tuple[Budget, ...]:
    """A bucket for each API. The daily numbers are eBay's for new applications; bursts and rates are our own."""
    per_day = {
        ITEMS: settings.inventory_calls_per_day,
        FULFILLMENT: settings.fulfillment_calls_per_day,
        TRADING: settings.trading_calls_per_day,
        OTHER: settings.other_calls_per_day,
    }
    return tuple(
        Budget(name, settings.calls_at_once, settings.calls_per_second, per_day=most) for name, most in per_day.items()
    )
