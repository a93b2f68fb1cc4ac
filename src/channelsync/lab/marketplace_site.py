"""A marketplace ready for use: the state machine, its API, an account, and the way to reach it in process."""

from __future__ import annotations

import random
from dataclasses import dataclass

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_accounts import Account, Seller
from channelsync.lab.marketplace_fronts import InProcessTransport, MarketplaceApp
from channelsync.lab.marketplace_http import MarketplaceApi
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey, Offer, Takes
from channelsync.sdk.channel import Connector
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import installed

CONNECTOR = "sandbox"
"""The connector that talks to the lab's marketplaces."""


@dataclass(frozen=True, slots=True)
class Site:
    """One marketplace with all that belongs to it. transport: in process. app: for a server on a socket."""

    marketplace: Marketplace
    api: MarketplaceApi
    account: Account
    transport: InProcessTransport
    app: MarketplaceApp

    @property
    def connector(self) -> Connector:
        """Who talks to it."""
        return installed().connector(CONNECTOR)

    def settings(self, base_url: str = "") -> dict[str, object]:
        """What the connector's [channel.settings] hold; base_url: "" where the transport is in process."""
        where = base_url or f"http://{self.marketplace.name}.example"
        declares = self.marketplace.rules.declares()
        return {"base_url": where, "refresh_token": self.account.refresh_token, **declares}

    def offer(self, listing: str, sku: str, title: str, takes: Takes) -> Offer:
        """A listing whose one number is kept under its own name."""
        return Offer(listing=listing, sku=sku, title=title, keys=(NumberKey(listing),), takes=takes)


def open_site(
    name: str, rules: MarketplaceRules, clock: Clock, *, seed: int = 0, faults: FaultPlan | None = None
) -> Site:
    """Opens a marketplace with one account. The same arguments and calls give the same history."""
    marketplace = Marketplace(name, rules, clock, random.Random(f"{seed} {name} marketplace"))
    account = Account(name, f"rt-{name}")
    api = MarketplaceApi(
        marketplace, [account], random.Random(f"{seed} {name} api"), seller=Seller(f"seller of {name}"), faults=faults
    )
    transport = InProcessTransport(api, clock, random.Random(f"{seed} {name} way"))
    app = MarketplaceApp(api, clock, random.Random(f"{seed} {name} way"))
    return Site(marketplace, api, account, transport, app)
