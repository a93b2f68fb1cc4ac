"""eBay, by its Inventory, Fulfillment and Notification APIs; by the Trading API where a listing is not migrated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.connecting import Guide
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_ebay.access import Access
from channelsync_ebay.channel import EbayChannel
from channelsync_ebay.client import EbayClient
from channelsync_ebay.consent import CONSENT
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import EbaySettings, budgets, capabilities
from channelsync_ebay.trading import Trading
from channelsync_ebay.webhooks import EbayWebhooks, Keys


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[EbayChannel]:
    """The seller's account; nothing is asked before the first call."""
    mine = own(EbaySettings, settings)
    async with Hosts(mine, resources) as hosts:
        access = Access(hosts, mine, resources.clock, resources.vault)
        client = EbayClient(hosts, access, mine, resources.clock, resources.limiter)
        yield EbayChannel(mine, resources, client, access, Trading(hosts, access, mine))


def webhooks(settings: BaseModel, resources: Resources) -> WebhookScheme | None:
    """The scheme of the account's deliveries; None while its settings hold no verification token."""
    mine = own(EbaySettings, settings)
    if mine.verification_token is None:
        return None
    return EbayWebhooks(Keys(mine, resources), mine.verification_token)


GUIDE = Guide(
    steps=(
        "At developer.ebay.com, join the developers program and create an application keyset for production.",
        "Answer eBay's question about account deletion there: channelsync keeps nothing about eBay users, so the"
        " exemption applies.",
        "Copy the App ID to client_id and the Cert ID to client_secret.",
        "Under User Tokens, add a redirect URL (any page of yours over https; it need not answer) and copy its RuName"
        " to ru_name.",
        "In eBay's selling preferences, switch on out-of-stock control, so that listings stay alive at 0.",
        "Look there too whether cancelled items are relisted automatically, and set relists_cancelled the same.",
        "For notifications: think up verification_token and set alert_email; deliveries come to {receiver}.",
        "Then open the address below as the seller, agree, and paste the address of the page that comes.",
    ),
    consent=CONSENT,
)


CONNECTOR = Connector(
    name="ebay",
    title="eBay",
    settings=EbaySettings,
    capabilities=lambda settings: capabilities(own(EbaySettings, settings)),
    budgets=lambda settings: budgets(own(EbaySettings, settings)),
    open=open_channel,
    webhooks=webhooks,
    guide=GUIDE,
)
