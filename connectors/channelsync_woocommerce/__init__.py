"""WooCommerce, by its REST API v3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import HttpSettings
from channelsync.sdk.other_hosts import own_host
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_woocommerce.access import Access
from channelsync_woocommerce.channel import WooChannel
from channelsync_woocommerce.client import WooClient
from channelsync_woocommerce.settings import TIMEOUTS, WooSettings, budgets, capabilities
from channelsync_woocommerce.webhooks import WooWebhooks

USER_AGENT = "channelsync-woocommerce"


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[WooChannel]:
    """The shop; nothing is asked before the first call."""
    mine = own(WooSettings, settings)
    access = Access(mine, resources.clock)
    settings_of_http = HttpSettings(
        channel=resources.channel,
        base_url=mine.base_url,
        user_agent=USER_AGENT,
        secrets=mine.secrets,
        timeouts=TIMEOUTS,
        sign=access.sign,
    )
    async with own_host(resources, settings_of_http) as http:
        yield WooChannel(mine, resources, WooClient(http, access, resources.channel))


def webhooks(settings: BaseModel, resources: Resources) -> WebhookScheme:
    """The scheme of the shop's deliveries; while neither settings nor vault hold a secret, none of them passes."""
    return WooWebhooks(own(WooSettings, settings).webhook_secrets, resources.vault)


GUIDE = Guide(
    steps=(
        "Settings > Permalinks: anything but Plain, or the API has no address.",
        "WooCommerce > Settings > Advanced > REST API > Add key: permissions Read/Write, a user who may manage "
        "WooCommerce. The secret is shown only once: copy both parts now.",
        "For each product that is to be kept right: Inventory > Track stock quantity.",
        "Nothing for webhooks: they are registered by themselves, with deliveries to {receiver}.",
    )
)


CONNECTOR = Connector(
    name="woocommerce",
    title="WooCommerce",
    settings=WooSettings,
    capabilities=lambda settings: capabilities(own(WooSettings, settings)),
    budgets=lambda settings: budgets(own(WooSettings, settings)),
    open=open_channel,
    webhooks=webhooks,
    guide=GUIDE,
)
