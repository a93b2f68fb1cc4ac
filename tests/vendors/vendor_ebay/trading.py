"""The Trading API at /ws/api.dll: XML, always HTTP 200, the token in X-EBAY-API-IAF-TOKEN.

For listings that were not migrated. Listings of the Inventory API are shown here as well, but cannot be revised.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from channelsync.lab.faults import Fault
from channelsync.lab.marketplace_http import Request
from vendor_ebay.oauth import Grant
from vendor_ebay.order_json import time_json
from vendor_ebay.quotas import Quotas
from vendor_ebay.shop import Shop
from vendor_ebay.trading_items import TradingItems
from vendor_ebay.trading_orders import get_orders
from vendor_ebay.trading_revise import Outcome, Reviser
from vendor_ebay.trading_xml import TradingError, TradingFlaw, bad_input, flag_of, read_request, written

TRADING = "/ws/api.dll"
NAMES: Mapping[str, str] = {
    "ReviseInventoryStatus": "push",
    "GetMyeBaySelling": "listings",
    "GetSellerList": "listings",
    "GetItem": "read",
    "GetOrders": "orders",
}
"""Calls by the names under which the lab's faults know them."""

_NO_TOKEN = TradingFlaw(
    930, "No XML <RequesterCredentials> or IAF token was specified.", "Specify X-EBAY-API-IAF-TOKEN in the header."
)
_BAD_TOKEN = TradingFlaw(21916984, "Invalid IAF token.", "IAF token supplied is invalid.")
_OLD_TOKEN = TradingFlaw(21917053, "Expired IAF token.", "IAF token supplied is expired.")
_OVER = TradingFlaw(
    518,
    "Call usage limit has been reached.",
    "Your application has exceeded usage limit on this call, please make call to Get API Access Rules to check your "
    "call usage.",
)

_Call = Callable[[ET.Element, Fault | None], Outcome]


class Trading:
    """The calls of the Trading API."""

    def __init__(self, shop: Shop, quotas: Quotas, seller: str) -> None:
        self._shop = shop
        self._quotas = quotas
        items = TradingItems(shop)
        self._calls: dict[str, _Call] = {
            "GetItem": lambda root, _fault: Outcome(items.one(root)),
            "GetMyeBaySelling": lambda root, _fault: Outcome(items.selling(root)),
            "GetSellerList": lambda root, _fault: Outcome(items.listed(root)),
            "ReviseInventoryStatus": Reviser(shop).revise,
            "GetOrders": lambda root, _fault: Outcome(get_orders(shop, seller, root)),
            "GetUserPreferences": self._preferences,
            "SetUserPreferences": self._prefer,
        }

    def name(self, request: Request) -> str:
        """What the lab calls the call of a request."""
        call = request.headers.get("x-ebay-api-call-name", "")
        return NAMES.get(call, call or "nowhere")

    def answer(
        self, request: Request, grant: Grant | None, now: datetime, fault: Fault | None, *, stale: bool
    ) -> bytes:
        """The body of the answer. grant: what the token stands for. stale: it did so once."""
        call = request.headers.get("x-ebay-api-call-name", "")
        time = time_json(self._shop.market.time())
        try:
            self._check(request, call, grant, now, stale=stale)
            outcome = self._calls[call](read_request(request.body, call), fault)
        except TradingError as error:
            return written(call or "Unknown", time, "Failure", error.flaws, {})
        ack = "Success"
        if outcome.flaws:
            ack = "PartialFailure" if outcome.content else "Failure"
        return written(call, time, ack, outcome.flaws, outcome.content)

    def _check(self, request: Request, call: str, grant: Grant | None, now: datetime, *, stale: bool) -> None:
        if request.method != "POST":
            raise TradingError(TradingFlaw(5, "XML Parse error.", "XML Error Text: Premature end of file."))
        if call not in self._calls:
            raise TradingError(
                TradingFlaw(2, "Unsupported API call.", f'The API call "{call}" is invalid or not supported.')
            )
        if not request.headers.get("x-ebay-api-compatibility-level", "").isdecimal():
            raise bad_input("X-EBAY-API-COMPATIBILITY-LEVEL")
        if not request.headers.get("x-ebay-api-siteid", "").isdecimal():
            raise bad_input("X-EBAY-API-SITEID")
        if not request.headers.get("x-ebay-api-iaf-token"):
            raise TradingError(_NO_TOKEN)
        if grant is None or grant.kind != "user":
            raise TradingError(_OLD_TOKEN if stale else _BAD_TOKEN)
        if not self._quotas.charge("TradingAPI", now, self._shop.market.time()):
            raise TradingError(_OVER)

    def _preferences(self, root: ET.Element, _fault: Fault | None) -> Outcome:
        told: dict[str, Any] = {}
        if flag_of(root, "ShowOutOfStockControlPreference"):
            told["OutOfStockControlPreference"] = self._shop.out_of_stock_control
        return Outcome(told)

    def _prefer(self, root: ET.Element, _fault: Fault | None) -> Outcome:
        """Counts for all present and future listings."""
        if root.find("OutOfStockControlPreference") is not None:
            chosen = flag_of(root, "OutOfStockControlPreference")
            self._shop.out_of_stock_control = chosen
            for legacy in self._shop.legacy.values():
                legacy.survives_zero = chosen
        return Outcome({})
