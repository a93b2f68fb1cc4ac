"""What the shop tells of itself: the index, a few settings, the system's state."""

from __future__ import annotations

from typing import Any

from vendor_woocommerce.calls import Answer, Call, Route
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.product_json import self_link

_HOLD = "woocommerce_hold_stock_minutes"
_MANAGES = "woocommerce_manage_stock"
_ALLOW = {"allow": "GET, POST, PUT, PATCH"}


class SiteApi:
    """The shop's description. name: of the shop."""

    def __init__(self, name: str, options: SiteOptions) -> None:
        self._name = name
        self._options = options

    def routes(self) -> list[Route]:
        """All of them, but the public index."""
        return [
            Route("GET", "", "account", "list", self.namespace),
            Route("GET", f"/settings/products/{_HOLD}", "account", "view", self.hold),
            Route("GET", f"/settings/products/{_MANAGES}", "account", "view", self.manages),
            Route("GET", "/settings/[^/]+/[^/]+", "account", "view", self.unknown_setting),
            Route("GET", "/system_status", "account", "list", self.status),
        ]

    def index(self, base: str) -> dict[str, Any]:
        """GET /wp-json/, which needs no key."""
        zone = self._options.zone.key
        return {
            "name": self._name,
            "description": "",
            "url": base,
            "home": base,
            "gmt_offset": 0,
            "timezone_string": zone,
            "namespaces": ["wc/v1", "wc/v2", "wc/v3", "wc-telemetry", "wp/v2"],
            "authentication": [],
            "routes": {},
        }

    def namespace(self, call: Call) -> Answer:
        """GET /wc/v3"""
        return Answer(200, {"namespace": "wc/v3", "routes": {}, "_links": {"up": [{"href": f"{call.base}/wp-json/"}]}})

    def hold(self, call: Call) -> Answer:
        """How long unpaid checkouts hold their units, in minutes."""
        minutes = self._options.hold_minutes
        content = {
            "id": _HOLD,
            "label": "Hold stock (minutes)",
            "description": "Hold stock (for unpaid orders) for x minutes. When this limit is reached, the pending "
            "order will be cancelled. Leave blank to disable.",
            "type": "number",
            "default": "60",
            "value": "" if minutes is None else str(minutes),
        }
        return Answer(200, content | _of_group(call, _HOLD), _ALLOW)

    def manages(self, call: Call) -> Answer:
        """Whether the shop counts at all."""
        content = {
            "id": _MANAGES,
            "label": "Manage stock",
            "description": "Enable stock management",
            "type": "checkbox",
            "default": "yes",
            "value": "yes",
        }
        return Answer(200, content | _of_group(call, _MANAGES), _ALLOW)

    def unknown_setting(self, _call: Call) -> Answer:
        """Any other."""
        raise WooError(404, "rest_setting_setting_invalid", "Invalid setting.")

    def status(self, call: Call) -> Answer:
        """GET /system_status, as far as anybody asks."""
        environment = {
            "home_url": call.base,
            "site_url": call.base,
            "version": self._options.version,
            "wp_version": "6.9",
            "wp_cron": True,
            "default_timezone": "UTC",
        }
        settings = {"api_enabled": False, "currency": "USD", "HPOS_enabled": True}
        return Answer(200, {"environment": environment, "settings": settings})


def _of_group(call: Call, name: str) -> dict[str, Any]:
    group = f"{call.base}/wp-json/wc/v3/settings/products"
    links = {"self": self_link(f"{group}/{name}", ["GET", "POST", "PUT", "PATCH"]), "collection": [{"href": group}]}
    return {"group_id": "products", "_links": links}
