"""How this Amazon behaves where Amazon varies, or where nobody outside knows for sure: data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from channelsync.lab.marketplace_rules import MarketplaceRules, Span
from channelsync.sdk.values import Applies, Deducts, GivesBack
from vendor_amazon.rates import Rate

CancelledUnits = Literal["taken off", "left in"]

AMAZON_RULES = MarketplaceRules(
    updates_per_push=1,
    reads_per_call=20,
    orders_per_page=100,
    listings_per_page=20,
    applies=Applies.ANY_ORDER,
    apply_delay=(60.0, 600.0),
    deducts=Deducts.AT_ORDER,
    gives_back=frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT}),
    visibility=(0.0, 120.0),
    unique_skus=True,
    webhooks=False,
    token_lifetime=3_600.0,
    retry_after="none",
    pending_limit=21 * 86_400.0,
)
"""What Amazon does, in the lab's words.

A pending order has already taken its units off the number (Seller Central, «Order timeline»), and holds them for up
to 21 days. Units of a cancelled order come back, unless the seller cancelled for want of units: that is the lab's
`write_off`. apply_delay and visibility are guesses of ours for «minutes».
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonHabits:
    """What varies.

    cancelled_units: whether `quantityOrdered` still counts units that were cancelled. The older API took them off;
        of the one of 2026 nobody says, so a connector must do with both.
    rate_header_share: the share of answers that tell the rate. rates: by operation, instead of the models' own,
        as sellers of size have them. page_max: the most orders on a page; None: as the request says.
    feed_delay, report_delay: seconds that processing takes. report_age: seconds for which a report is not made anew.
    tokens_live: seconds for which a pagination token of orders holds.
    """

    cancelled_units: CancelledUnits = "taken off"
    rate_header_share: float = 0.8
    rates: Mapping[str, Rate] = field(default_factory=dict)
    page_max: int | None = None
    feed_delay: Span = (30.0, 180.0)
    report_delay: Span = (20.0, 120.0)
    report_age: float = 3_600.0
    tokens_live: float = 86_400.0
