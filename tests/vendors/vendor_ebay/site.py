"""An eBay ready for use: the state machine, its API, the application's keys, the seller, and the ways to reach it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_fronts import InProcessTransport, MarketplaceApp
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.clock import Clock
from vendor_ebay.api import EbayApi
from vendor_ebay.behaviour import EBAY_RULES, EbayBehaviour
from vendor_ebay.judge import Judge
from vendor_ebay.market import EbayMarketplace
from vendor_ebay.notifications import Challenge
from vendor_ebay.oauth import Application, OAuth


@dataclass(frozen=True, slots=True)
class EbaySite:
    """An eBay with one seller and one application. transport: in process. app: for a server on a socket.

    refresh_token: of the seller's consent to all scopes. verification_token: what the seller's endpoint is registered
    with. public_key_id, public_key: of the key that signs notifications, as getPublicKey tells it.
    """

    marketplace: EbayMarketplace
    api: EbayApi
    transport: InProcessTransport
    app: MarketplaceApp
    client_id: str
    client_secret: str
    ru_name: str
    refresh_token: str
    verification_token: str
    seller: str
    public_key_id: str
    public_key: str


def open_vendor(
    name: str,
    clock: Clock,
    *,
    seed: int = 0,
    contracts: Path,
    faults: FaultPlan | None = None,
    rules: MarketplaceRules = EBAY_RULES,
    behaviour: EbayBehaviour | None = None,
    challenge: Challenge | None = None,
) -> EbaySite:
    """Opens an eBay. The same arguments and calls give the same history, but for the bytes of signatures.

    contracts: the folder of all vendors' descriptions, which has `ebay`. challenge: how endpoints are reached when
    they are registered; None: each answers rightly.
    """
    chosen = behaviour or EbayBehaviour()
    rng = random.Random(f"{seed} {name} ebay")
    marketplace = EbayMarketplace(name, rules, clock, random.Random(f"{seed} {name} marketplace"))
    application = Application(
        f"Lab-{name}-PRD-{rng.getrandbits(32):08x}", f"PRD-{rng.getrandbits(96):024x}", f"Lab-{name}-runame"
    )
    oauth = OAuth(application, rng, lifetime=rules.token_lifetime or 7_200.0, quotas=chosen.oauth_quotas)
    seller = f"{name}_seller"
    api = EbayApi(
        marketplace,
        oauth,
        rng,
        judge=Judge(contracts / "ebay"),
        seller=seller,
        behaviour=chosen,
        faults=faults,
        challenge=challenge,
    )
    way = random.Random(f"{seed} {name} way")
    return EbaySite(
        marketplace,
        api,
        InProcessTransport(api, clock, way),
        MarketplaceApp(api, clock, way),
        application.client_id,
        application.client_secret,
        application.ru_name,
        oauth.seller_token(marketplace.time()),
        f"verify-{rng.getrandbits(160):040x}",
        seller,
        api.notifications.key.id,
        api.notifications.key.pem,
    )
