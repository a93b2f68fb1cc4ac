"""How one shop is set up: what differs between hosts, versions and sellers' settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")

Permissions = Literal["read", "write", "read_write"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the seller creates it under WooCommerce > Settings > Advanced > REST API."""

    key: str
    secret: str
    permissions: Permissions = "read_write"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """One shop.

    https: whether the site knows that it is reached over TLS (`is_ssl()`), whatever the test's socket is: decides
        between Basic and OAuth, and the scheme of every address it tells.
    address: what the site calls itself, e.g. "https://shop.example"; empty: by the Host header of each request.
    strips_authorization: the host drops the Authorization header before PHP sees it.
    version: of WooCommerce; from 10.3.0 on there is a flat list of variations.
    zone: of the site; the dates without `_gmt` are in it.
    per_page_cap: a filter of the site that shortens every page of a list; None for none.
    hold_minutes: after so long an unpaid checkout order is cancelled; None: the setting is blank.
    notice: text that a broken plugin writes before every JSON answer, e.g. a PHP notice or "\\ufeff".
    skew: seconds by which the host's clock is ahead (negative: behind).
    batch_limit: items in one batch (the filter `woocommerce_rest_batch_items_limit`).
    """

    https: bool = True
    address: str = ""
    strips_authorization: bool = False
    version: str = "9.9.5"
    zone: ZoneInfo = UTC_ZONE
    per_page_cap: int | None = None
    hold_minutes: int | None = 60
    notice: str = ""
    skew: float = 0.0
    batch_limit: int = 100

    @property
    def has_flat_variations(self) -> bool:
        """Whether GET /wc/v3/variations exists (since 10.3.0)."""
        return tuple(int(part) for part in self.version.split(".")[:2]) >= (10, 3)
