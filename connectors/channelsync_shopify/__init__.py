"""Shopify, by its GraphQL Admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pydantic import BaseModel

from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import Call, HttpSettings, Timeouts
from channelsync.sdk.other_hosts import other_host, own_host
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_shopify.access import Access
from channelsync_shopify.bulk import FILE_BYTES_MAX, BulkPull, Fetch
from channelsync_shopify.channel import ShopifyChannel
from channelsync_shopify.client import ShopifyClient
from channelsync_shopify.quantities import Writer
from channelsync_shopify.settings import ShopifySettings, budgets, capabilities
from channelsync_shopify.setup import SCOPES
from channelsync_shopify.webhooks import ShopifyWebhooks

USER_AGENT = "channelsync-shopify"

_REFUSED = (400, 401, 403, 404, 410)
"""What a host answers for a file that it does not give out (any more)."""


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[ShopifyChannel]:
    """The shop; nothing is asked before the first call."""
    mine = own(ShopifySettings, settings)
    settings_of_http = HttpSettings(
        channel=resources.channel, base_url=mine.url, user_agent=USER_AGENT, secrets=mine.secrets
    )
    async with own_host(resources, settings_of_http) as http:
        client = ShopifyClient(http, Access(http, resources.clock, mine, resources.vault), resources.limiter, mine)
        bulk = BulkPull(resources.channel, client, resources.clock, _loader(mine, resources))
        yield ShopifyChannel(mine, resources, client, Writer(client, resources.clock, resources.random), bulk)


def _loader(settings: ShopifySettings, resources: Resources) -> Fetch:
    """Loads files from the host that Shopify names, which gets none of our credentials."""

    async def load(url: str) -> bytes | None:
        parts = urlsplit(url)
        http = other_host(
            resources,
            HttpSettings(
                channel=resources.channel,
                base_url=f"{parts.scheme}://{parts.netloc}",
                user_agent=USER_AGENT,
                secrets=settings.secrets,
                timeouts=Timeouts(read=60, total=900),
                body_bytes_max=FILE_BYTES_MAX,
            ),
        )
        async with http:
            answer = await http.request(Call("GET", url, "read", cost=0, expect="bytes", accept=_REFUSED))
        return None if answer.status in _REFUSED else answer.body

    return load


def webhooks(settings: BaseModel, _resources: Resources) -> WebhookScheme | None:
    """The scheme of the shop's deliveries; None while its settings hold no client secret, which signs them."""
    mine = own(ShopifySettings, settings)
    return ShopifyWebhooks(mine.shop, mine.client_secrets) if mine.client_secrets else None


GUIDE = Guide(
    steps=(
        "In Shopify's developer dashboard, make an app in the organisation that owns the shop.",
        f"Give it the access scopes {', '.join(SCOPES)}; and read_all_orders, where Shopify lets it have orders older "
        "than 60 days.",
        "Release that version of the app, and install it in the shop.",
        "Copy the app's client id to client_id; its client secret is client_secret.",
        "Only for an app of another organisation: refresh_token is what Shopify gave when the app was installed.",
        "Name each location of the shop that you keep units at in `remotes`; its number is at the end of its address "
        "in the shop's admin.",
        "Nothing for webhooks: they are registered by themselves, with deliveries to {receiver}.",
    )
)
"""No consent in a browser: an app of the shop's own organisation gets its access by client id and secret, one of
another organisation by the refresh token that its installation has brought."""


CONNECTOR = Connector(
    name="shopify",
    title="Shopify",
    settings=ShopifySettings,
    capabilities=lambda settings: capabilities(own(ShopifySettings, settings)),
    budgets=lambda settings: budgets(own(ShopifySettings, settings)),
    open=open_channel,
    webhooks=webhooks,
    guide=GUIDE,
)
