"""A shop ready for use: the state machine, its API, its keys, and the ways to reach it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_fronts import InProcessTransport, MarketplaceApp
from channelsync.lab.marketplace_rules import NOTHING, Span
from channelsync.sdk.clock import Clock
from vendor_woocommerce.api import WooApi
from vendor_woocommerce.deliveries import HookDelivery
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import ApiKey, Permissions, SiteOptions


@dataclass(frozen=True, slots=True)
class WooSite:
    """One shop with all that belongs to it. transport: in process. app: for a server on a socket.

    consumer_key, consumer_secret: of the key that `open_vendor` made. webhook_secret: what `delivery` signs with.
    """

    marketplace: WooMarketplace
    api: WooApi
    transport: InProcessTransport
    app: MarketplaceApp
    consumer_key: str
    consumer_secret: str
    webhook_secret: str

    def delivery(self, order: str, topic: str = "order.updated", *, secret: str | None = None) -> HookDelivery:
        """The delivery of an order, signed now. secret: None for the site's own."""
        hook = self.api.deliveries.made_up(topic, self.webhook_secret if secret is None else secret)
        return self.api.deliveries.signed(hook, int(order), self.marketplace.time(), self.api.address)

    def ping(self, url: str = "https://nowhere.example") -> HookDelivery:
        """What the address of a webhook gets when it is made: a form, unsigned."""
        return self.api.deliveries.pinged(self.api.deliveries.made_up("order.updated", ""), url)


def open_vendor(
    name: str,
    clock: Clock,
    *,
    seed: int = 0,
    faults: FaultPlan | None = None,
    options: SiteOptions | None = None,
    permissions: Permissions = "read_write",
    keys: Sequence[ApiKey] = (),
    latency: Span = NOTHING,
) -> WooSite:
    """Opens a shop with one key. The same arguments and calls give the same history.

    permissions: of that key. keys: further ones. latency: seconds on the way, there and back each.
    """
    options = options or SiteOptions()
    rng = random.Random(f"{seed} {name} site")
    own = ApiKey(f"ck_{rng.getrandbits(160):040x}", f"cs_{rng.getrandbits(160):040x}", permissions)
    market = WooMarketplace(name, options, clock, random.Random(f"{seed} {name} marketplace"), latency)
    api = WooApi(market, options, [own, *keys], clock, random.Random(f"{seed} {name} api"), faults)
    transport = InProcessTransport(api, clock, random.Random(f"{seed} {name} way"))
    app = MarketplaceApp(api, clock, random.Random(f"{seed} {name} way"))
    return WooSite(market, api, transport, app, own.key, own.secret, f"whs_{rng.getrandbits(160):040x}")
