"""[channel.settings] of a WooCommerce shop, and what they say about it: capabilities and budget."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channelsync.sdk.channel import CallCost, Capabilities
from channelsync.sdk.http import Timeouts
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing

BATCH_MAX = 100
"""Rows that the shop takes in one batch, and puts on one page; with more it answers 413 and 400."""

TIMEOUTS = Timeouts(read=50.0, total=60.0)
"""A batch of 100 numbers can take the shop over ten seconds, on slow hosts several times that."""

PUSH_SECONDS = 60.0
"""A push is several requests (products, then the variations of each parent); none is begun after so long."""

_CRON_LATE = timedelta(hours=1)
"""How late the shop's scheduler may cancel an unpaid order: it runs only when somebody visits the shop."""

Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Rows = Annotated[int, Field(strict=True, ge=1, le=BATCH_MAX)]
Secret = Annotated[SecretStr, Field(min_length=1)]


class WooSettings(BaseModel):
    """Where the shop is, who we are there, and what differs from one shop to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    base_url: Annotated[str, Field(pattern=r"^https?://", examples=["https://shop.example"])]
    """The shop's address, without /wp-json; with the folder, where WordPress lies in one."""

    consumer_key: Annotated[SecretStr, Field(min_length=1, examples=["ck_1"])]
    """The consumer key of the REST API key (WooCommerce > Settings > Advanced > REST API; Read/Write)."""

    consumer_secret: Annotated[SecretStr, Field(min_length=1, examples=["cs_1"])]
    """The consumer secret that belongs to it."""

    auth: Literal["auto", "basic", "query", "oauth"] = "auto"
    """How we show the key. basic: in the Authorization header. query: in the address, for hosts that drop that
    header. oauth: signed (OAuth 1.0a, HMAC-SHA256), for plain http. Default "auto": basic over https, oauth over
    http."""

    webhook_secrets: tuple[Secret, ...] = ()
    """The secret of webhooks that you have made by hand; two while one replaces another. Default none: `channels
    connect` and `channels check --repair` make webhooks with a secret of their own, which is kept in the vault."""

    shipped_statuses: tuple[Annotated[str, Field(min_length=1)], ...] = ("completed",)
    """Order statuses that mean that all of the order was shipped. Default "completed" alone; add those of plugins."""

    hold_stock_minutes: Positive = 60
    """As in WooCommerce > Settings > Products > Inventory > Hold stock (minutes): an unpaid order holds units so long,
    and an hour more. Default 60, as in a new shop. A shop without that limit: as long as you like to wait."""

    updates_per_push: Rows = BATCH_MAX
    """Numbers in one batch; fewer where the host gives up on long requests. Default 100, the most that goes."""

    orders_per_page: Rows = 100
    """Orders on a page. Default 100, the most that goes."""

    listings_per_page: Rows = 100
    """Products or variations on a page. Default 100, the most that goes."""

    staleness_s: Seconds = 0
    """Seconds that an answer may be behind: only where the host answers from a cache or a replica. Default 0."""

    skew_s: Seconds = 5
    """Seconds that the shop's clock may be off, either way. Default 5."""

    calls_at_once: Annotated[float, Field(ge=2)] = 10
    """Requests that we may send in a burst. Default 10."""

    calls_per_second: Positive = 5
    """Requests a second over a longer time: WooCommerce sets no limit, the host does. Default 5."""

    @field_validator("base_url")
    @classmethod
    def _without_the_api(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.query or parts.fragment or parts.username or not parts.hostname:
            raise ValueError("is the shop's plain address, e.g. https://shop.example")
        if "/wp-json" in parts.path:
            raise ValueError("is the shop's address without /wp-json and what follows it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _keys_stay_secret(self) -> Self:
        if self.auth in ("basic", "query") and not self.secure:
            raise ValueError(f'over http WooCommerce takes signed requests only: set auth = "oauth", not "{self.auth}"')
        return self

    @property
    def secure(self) -> bool:
        """Whether the shop is called over https."""
        return self.base_url.lower().startswith("https:")

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        return (self.consumer_key, self.consumer_secret, *self.webhook_secrets)

    @property
    def way_in(self) -> Literal["basic", "query", "oauth"]:
        """How the key is shown."""
        if self.auth == "auto":
            return "basic" if self.secure else "oauth"
        return self.auth


def capabilities(settings: WooSettings) -> Capabilities:
    """What a WooCommerce shop does. Sources: a real WooCommerce 9.9.5 where recorded [R], its source [S].

    - One number per product or variation, in units that a buyer may buy; there are no locations [R].
    - It deducts when an order reaches processing, on-hold or completed, not while it is pending, and notes so per line
      (`_reduced_stock`) [R, S wc-stock-functions]. When that was: translate.deducted_at.
    - It gives back on cancelled, and on pending after one of those [R, S]; on an edit of the line [S
      wc_maybe_adjust_line_item_product_stock]; on a refund that asks for restocking [R]. Not on failed, refunded,
      trash or deletion [R].
    - A write applies before it is answered, and the answer is the row as read back afterwards [R, S
      WC_REST_Products_Controller.save_object]; there is nothing to compare with and no idempotency key. A request that
      we gave up on may go on in the shop, so the grace covers a whole push.
    - Numbers go below 0, by oversold carts and by REST orders [R]; there is no cap [R].
    - At 0 the page stays and says that it is sold out; a raise brings the button back [R].
    - Two products cannot have one SKU (400 product_invalid_sku) [R].
    - A page of orders is what the database holds [R]; the overlap is for date_modified being set some seconds before
      it is saved, and to the second only.
    - A bundle is a plugin's matter; WooCommerce itself moves the sold row's own number only.
    """
    return Capabilities(
        updates_per_push=settings.updates_per_push,
        reads_per_call=BATCH_MAX,
        push_cost=CallCost(1),
        read_cost=CallCost(1),
        compare_and_set=False,
        answers_with_number=True,
        meaning="available",
        zero="shows 0",
        behaviour=NumberBehaviour(Deducts.AS_TOLD, frozenset(GivesBack)),
        moves="own",
        timing=Timing(
            staleness=timedelta(seconds=settings.staleness_s),
            skew=timedelta(seconds=settings.skew_s),
            grace=timedelta(seconds=PUSH_SECONDS + TIMEOUTS.total),
            applies=Applies.AT_ONCE,
            never_negative=False,
        ),
        order_visibility=timedelta(seconds=30 + settings.staleness_s),
        order_overlap=timedelta(minutes=2),
        pending_limit=timedelta(minutes=settings.hold_stock_minutes) + _CRON_LATE,
        unique_skus=True,
    )


def budgets(settings: WooSettings) -> tuple[Budget, ...]:
    """The one bucket that every request is paid from."""
    return (Budget("calls", settings.calls_at_once, settings.calls_per_second),)
