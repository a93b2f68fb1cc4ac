"""What the shop must be set to: options that decide whether units are counted, and how long they are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from channelsync.sdk.connecting import CheckPoint
from channelsync_woocommerce.client import WooClient
from channelsync_woocommerce.settings import WooSettings

TRACKING = "woocommerce_manage_stock"
HOLDING = "woocommerce_hold_stock_minutes"
OPTIONS = (TRACKING, HOLDING)
"""Options of WooCommerce > Settings > Products > Inventory, by their names in the API."""


async def inspected(settings: WooSettings, client: WooClient) -> Sequence[CheckPoint]:
    """What can be set wrongly at the shop."""
    return checkpoints(settings, {name: await client.option(name) for name in OPTIONS})


def checkpoints(settings: WooSettings, told: Mapping[str, str | None]) -> list[CheckPoint]:
    """What the shop's options mean for us. told: their values; None: the shop does not tell.

    A limit of 0 is none, like a blank one (`wc_cancel_unpaid_orders`: "if held_duration < 1").
    """
    return [_tracking(told.get(TRACKING)), _holding(told.get(HOLDING), settings.hold_stock_minutes)]


def _tracking(value: str | None) -> CheckPoint:
    what = "stock management"
    if value is None:
        return CheckPoint(what, "the shop does not tell whether it counts units")
    if value == "yes":
        return CheckPoint(what, "on")
    return CheckPoint(
        what, "off: the shop counts no units", "WooCommerce > Settings > Products > Inventory: Enable stock management."
    )


def _holding(value: str | None, ours: float) -> CheckPoint:
    what = "hold stock"
    if value is None:
        return CheckPoint(what, "the shop does not tell how long an unpaid order holds units")
    if not value or value == "0":
        return CheckPoint(what, "unpaid orders hold units until somebody cancels them")
    if value.isdigit() and int(value) <= ours:
        return CheckPoint(what, f"{value} minutes, and we wait {ours:g}")
    return CheckPoint(
        what,
        f"{value} minutes, but we take units of unpaid orders back after {ours:g}",
        f"Set hold_stock_minutes = {value} in [channel.settings].",
    )
