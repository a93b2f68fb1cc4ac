"""[channel.settings] of a Shopify shop, what they say about it, and how Shopify behaves in all shops."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channelsync.sdk.channel import CallCost, Capabilities
from channelsync.sdk.http import Timeouts
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing

Count = Annotated[int, Field(strict=True, ge=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]

READS_PER_CALL = 100
READ_COST = 3
"""However many items are asked for: a list costs as much as one of its objects, `nodes` too (GraphQL Admin API rate
limits; a live capture of 2025-01 with four ids). Items at a location: the item, its level, its numbers."""
PUSH_COST = 12
"""A mutation costs 10 points however many rows it has, what it changed and of which items 1 each (live captures of
2026-04)."""

PUSH_SECONDS = 60.0
"""A push is several calls where rows are refused; none is begun after so long."""

RATES = {"standard": 100, "advanced": 200, "plus": 1000, "enterprise": 2000}
"""Points regained each second, by plan (GraphQL Admin API rate limits). The bucket holds 20 times as many: live
captures of 2026-04 show 2000 at 100 a second."""

BUCKET_SECONDS = 20

ORDER_VISIBILITY = timedelta(minutes=5)
ORDER_OVERLAP = ORDER_VISIBILITY
"""A search that goes back less than orders come late would lose some."""
STALENESS = timedelta(seconds=5)
SKEW = timedelta(seconds=2)


class ShopifySettings(BaseModel):
    """Where the shop is and how we are let in."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    shop: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$", examples=["example.myshopify.com"])]
    """The shop's own address at Shopify, not the one that buyers see."""

    client_id: str | None = None
    """The app's client id. Needed unless access_token is set."""

    client_secret: Secret | None = None
    """The app's client secret. Needed unless access_token is set, and for webhooks in any case: it signs them."""

    previous_client_secrets: tuple[Secret, ...] = ()
    """Secrets that were replaced lately: Shopify signs with the old one for up to an hour. Default none."""

    refresh_token: Secret | None = None
    """An app of another organisation: the refresh token that Shopify gave when it was installed. The ones that replace
    it are kept in the vault. Default none: the app is of the shop's own organisation, and client id and secret are
    enough."""

    access_token: Secret | None = None
    """An access token that never expires, of an app made in the shop's admin before these ended. It counts before
    client id and secret; not beside refresh_token. Default none."""

    plan: Literal["standard", "advanced", "plus", "enterprise"] = "standard"
    """The shop's plan: it decides how much may be asked for. Default standard, the smallest; the rate that Shopify
    tells with each answer counts for more."""

    orders_per_page: Annotated[Count, Field(le=250)] = 10
    """Orders in one answer. Halved by itself where Shopify finds such a question too expensive. Default 10."""

    listings_per_page: Annotated[Count, Field(le=250)] = 25
    """Listings in one answer; halved likewise. Default 25."""

    bulk_from: Count | None = 2000
    """From so many listings on they are pulled by a bulk operation, which costs no points. Default 2000."""

    base_url: Annotated[str | None, Field(pattern=r"^https?://", examples=["http://127.0.0.1:8080"])] = None
    """Where the API is, for tests. Default https:// and the shop."""

    @model_validator(mode="after")
    def _lets_us_in(self) -> Self:
        if self.access_token is None and (self.client_id is None or self.client_secret is None):
            raise ValueError("set client_id and client_secret, or access_token")
        if self.access_token is not None and self.refresh_token is not None:
            raise ValueError("set access_token or refresh_token, not both: one never expires, the other renews")
        return self

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.base_url or f"https://{self.shop}"

    @property
    def client_secrets(self) -> tuple[SecretStr, ...]:
        """The app's secrets, the present one first."""
        present = () if self.client_secret is None else (self.client_secret,)
        return (*present, *self.previous_client_secrets)

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        refresh = () if self.refresh_token is None else (self.refresh_token,)
        access = () if self.access_token is None else (self.access_token,)
        return (*self.client_secrets, *refresh, *access)


def capabilities(_settings: ShopifySettings) -> Capabilities:
    """How Shopify behaves. What no schema, page or capture tells was not measured yet (see quality.toml).

    updates_per_push: an input list takes 250 objects (GraphQL input objects limited to 250 items).
    push_cost, read_cost: captures of 2026-04; the answer corrects what was estimated.
    compare_and_set: `changeFromQuantity` of `InventoryQuantityInput` (schema 2026-10).
    answers_with_number: no; `quantityAfterChange` is null in every capture.
    meaning: `available` does not hold the units of open orders, which are `committed` (inventory states).
    zero: `available` 0 is shown as sold out; nothing is deactivated.
    behaviour: an order moves available to committed once it is confirmed (`Order.confirmed`: inventory has been
        reserved), mostly at once, paid or not. Refund lines of restock type CANCEL and RETURN, and dispositions
        RESTOCKED, raise available at their location.
    moves: the lines of a bundle's order are its components; the bundle's own number cannot be written
        (NON_MUTABLE_INVENTORY_ITEM).
    never_negative: no; captures show available at -999,999,999, and CONTINUE sells below 0.
    cap: none; a number above 1,000,000,000 is refused (INVALID_QUANTITY_TOO_HIGH), not cut.
    staleness, skew, order_visibility, order_overlap: unmeasured, so rather too long. The search for orders is served
        from an index that follows the shop's data; times have whole seconds.
    pending_limit: none; Shopify holds the units of an unpaid order until somebody cancels it.
    """
    return Capabilities(
        updates_per_push=250,
        reads_per_call=READS_PER_CALL,
        push_cost=CallCost(PUSH_COST),
        read_cost=CallCost(READ_COST),
        compare_and_set=True,
        answers_with_number=False,
        meaning="available",
        zero="shows 0",
        behaviour=NumberBehaviour(
            Deducts.AS_TOLD, frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT, GivesBack.ON_RESTOCK})
        ),
        moves="components",
        timing=Timing(
            staleness=STALENESS,
            skew=SKEW,
            # A write is in force with its answer. Counted from the sending where none came, so a push must fit in.
            grace=timedelta(seconds=PUSH_SECONDS + Timeouts().total) + STALENESS,
            applies=Applies.AT_ONCE,
            never_negative=False,
        ),
        order_visibility=ORDER_VISIBILITY,
        order_overlap=ORDER_OVERLAP,
        pending_limit=None,
        unique_skus=False,
    )


def budgets(settings: ShopifySettings) -> tuple[Budget, ...]:
    """The one bucket that every call is paid from: points of this app in this shop."""
    rate = RATES[settings.plan]
    return (Budget("points", rate * BUCKET_SECONDS, rate),)
